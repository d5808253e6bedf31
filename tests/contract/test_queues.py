"""Sending to SQS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from tests.kit.moto import Faults
from tributary.adapters.aws import CLIENT_CONFIG
from tributary.adapters.queues import SqsQueue
from tributary.errors import StoreUnavailable
from tributary.messages import MAX_MESSAGE_BYTES
from tributary.ports import OutMessage

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@pytest.fixture
def sqs() -> Iterator[SQSClient]:
    with mock_aws():
        yield boto3.client("sqs", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test", config=CLIENT_CONFIG)


@pytest.fixture
def url(sqs: SQSClient) -> str:
    return sqs.create_queue(QueueName="q.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]


def waiting(sqs: SQSClient, url: str) -> list[str]:
    found: list[str] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            found.append(message["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def message(number: int, group: str = "g") -> OutMessage:
    return OutMessage(body=f"body {number}", group=group, deduplication=str(number))


def test_twenty_five_messages_arrive_in_order_in_three_calls(sqs: SQSClient, url: str) -> None:
    faults = Faults(sqs)
    SqsQueue(lambda: sqs, url).send([message(number) for number in range(25)])
    assert faults.calls == ["SendMessageBatch"] * 3
    assert waiting(sqs, url) == [f"body {number}" for number in range(25)]


def test_a_call_never_passes_the_size_of_a_batch(sqs: SQSClient, url: str) -> None:
    faults = Faults(sqs)
    big = "é" * (MAX_MESSAGE_BYTES // 5)
    SqsQueue(lambda: sqs, url).send([OutMessage(body=big, group="g", deduplication=str(number)) for number in range(5)])
    assert faults.calls == ["SendMessageBatch"] * 3


def refuse_entries(sqs: SQSClient, refused: set[str], times: int) -> None:
    """Let SQS answer that it could not take some entries of a call."""
    left = [times]

    def before_call(params: dict[str, Any], **_: Any) -> None:
        if left[0] > 0:
            body = json.loads(params["body"])
            body["Entries"] = [entry for entry in body["Entries"] if entry["MessageBody"] not in refused]
            params["body"] = json.dumps(body).encode()

    def after_call(parsed: dict[str, Any], **_: Any) -> None:
        if left[0] > 0:
            left[0] -= 1
            parsed.setdefault("Failed", []).extend({"Id": body.split()[1], "SenderFault": False, "Code": "InternalError"} for body in sorted(refused))

    sqs.meta.events.register("before-call.sqs.SendMessageBatch", before_call)
    sqs.meta.events.register("after-call.sqs.SendMessageBatch", after_call)


def test_only_the_refused_entries_of_a_call_are_sent_again_before_any_later_call(sqs: SQSClient, url: str) -> None:
    refuse_entries(sqs, {"body 1", "body 4"}, times=1)
    queue = SqsQueue(lambda: sqs, url)
    queue.send([message(number, group=f"g{number}") for number in range(12)])
    found = waiting(sqs, url)
    assert sorted(found, key=lambda body: int(body.split()[1])) == [f"body {number}" for number in range(12)]
    assert queue.take_swapped() == 0


def test_a_swap_within_a_group_is_counted(sqs: SQSClient, url: str) -> None:
    refuse_entries(sqs, {"body 1"}, times=1)
    queue = SqsQueue(lambda: sqs, url)
    queue.send([message(number) for number in range(3)])
    assert queue.take_swapped() == 1
    assert queue.take_swapped() == 0


def test_what_is_refused_again_and_again_fails_the_whole(sqs: SQSClient, url: str) -> None:
    refuse_entries(sqs, {"body 1"}, times=99)
    with pytest.raises(StoreUnavailable):
        SqsQueue(lambda: sqs, url).send([message(0), message(1)])
    assert waiting(sqs, url) == ["body 0"]


def test_a_queue_that_does_not_answer_fails_the_whole(sqs: SQSClient, url: str) -> None:
    Faults(sqs).refuse("SendMessageBatch", times=9)
    with pytest.raises(StoreUnavailable):
        SqsQueue(lambda: sqs, url).send([message(0)])


def test_a_lost_answer_puts_nothing_twice_into_a_fifo_queue(sqs: SQSClient, url: str) -> None:
    Faults(sqs).lose_answer("SendMessageBatch", times=1)
    SqsQueue(lambda: sqs, url).send([message(0), message(1)])
    assert waiting(sqs, url) == ["body 0", "body 1"]
