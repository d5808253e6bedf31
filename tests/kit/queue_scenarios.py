"""What a FIFO queue does, as scenarios that run on the model, on moto, and on the emulator. Where they agree, a test on the model says something of AWS."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from tests.kit.queue_model import ModelClock, ModelQueue
from tributary.adapters.visibility import SqsVisibility
from tributary.ports import OutMessage

HIDDEN = 2
"""Seconds of the visibility timeout: short, as the real ones are waited for."""


class Got(NamedTuple):
    group: str
    body: str
    receives: int
    receipt: str


class Fifo(Protocol):
    """A queue with a visibility timeout of `HIDDEN`, and a dead-letter queue after three receives."""

    def send(self, group: str, body: str, deduplication: str | None = None) -> None: ...
    def receive(self) -> list[Got]: ...
    def delete(self, receipt: str) -> None: ...
    def change(self, receipts: Sequence[str], seconds: int) -> None: ...
    def wait(self, seconds: float) -> None: ...
    def dead(self) -> list[str]: ...


class ModelFifo:
    def __init__(self) -> None:
        self._clock = ModelClock()
        self._dead = ModelQueue(self._clock)
        self._queue = ModelQueue(self._clock, visibility_timeout=HIDDEN, max_receive_count=3, dead_letters=self._dead)

    def send(self, group: str, body: str, deduplication: str | None = None) -> None:
        self._queue.send([OutMessage(body, group, deduplication or f"{group}{body}")])

    def receive(self) -> list[Got]:
        return [
            Got(record["attributes"]["MessageGroupId"], record["body"], int(record["attributes"]["ApproximateReceiveCount"]), record["receiptHandle"])
            for record in self._queue.receive()
        ]

    def delete(self, receipt: str) -> None:
        self._queue.delete(receipt)

    def change(self, receipts: Sequence[str], seconds: int) -> None:
        self._queue.change(receipts, seconds)

    def wait(self, seconds: float) -> None:
        self._clock.advance(seconds)

    def dead(self) -> list[str]:
        return [message.body for message in self._dead.messages]


class SqsFifo:
    """Over the API: moto or the emulator."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._dead = client.create_queue(QueueName=f"{name}-dead.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        arn = client.get_queue_attributes(QueueUrl=self._dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        redrive = f'{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"3"}}'
        attributes = {"FifoQueue": "true", "VisibilityTimeout": str(HIDDEN), "RedrivePolicy": redrive}
        attributes |= {"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
        self._url = client.create_queue(QueueName=f"{name}.fifo", Attributes=attributes)["QueueUrl"]
        self._visibility = SqsVisibility(lambda: client, self._url)

    def send(self, group: str, body: str, deduplication: str | None = None) -> None:
        self._client.send_message(QueueUrl=self._url, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=deduplication or f"{group}{body}")

    def receive(self) -> list[Got]:
        answer = self._client.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"])
        return [
            Got(one["Attributes"]["MessageGroupId"], one["Body"], int(one["Attributes"]["ApproximateReceiveCount"]), one["ReceiptHandle"])
            for one in answer.get("Messages", [])
        ]

    def delete(self, receipt: str) -> None:
        self._client.delete_message(QueueUrl=self._url, ReceiptHandle=receipt)

    def change(self, receipts: Sequence[str], seconds: int) -> None:
        self._visibility.change(receipts, seconds)

    def wait(self, seconds: float) -> None:
        time.sleep(seconds + 0.1)

    def dead(self) -> list[str]:
        return [one["Body"] for one in self._client.receive_message(QueueUrl=self._dead, MaxNumberOfMessages=10).get("Messages", [])]


def bodies(got: Sequence[Got], group: str) -> list[str]:
    return [one.body for one in got if one.group == group]


def send(fifo: Fifo, **groups: str) -> None:
    for group, letters in groups.items():
        for letter in letters:
            fifo.send(group, letter)


def a_batch_holds_several_groups_each_in_order(fifo: Fifo) -> None:
    send(fifo, g="abc", h="xy")
    got = fifo.receive()
    assert (bodies(got, "g"), bodies(got, "h")) == (["a", "b", "c"], ["x", "y"])
    assert {one.receives for one in got} == {1}


def a_group_is_locked_while_any_of_its_messages_is_in_flight(fifo: Fifo) -> None:
    send(fifo, g="ab")
    first, second = fifo.receive()
    send(fifo, g="c", h="x")
    assert [one.body for one in fifo.receive()] == ["x"]
    fifo.delete(first.receipt)
    assert fifo.receive() == []
    fifo.delete(second.receipt)
    assert [one.body for one in fifo.receive()] == ["c"]


def what_is_not_deleted_comes_again_after_the_timeout_in_order_and_counted(fifo: Fifo) -> None:
    send(fifo, g="ab")
    fifo.receive()
    fifo.wait(HIDDEN)
    assert [(one.body, one.receives) for one in fifo.receive()] == [("a", 2), ("b", 2)]


def a_tail_let_go_waits_for_its_hidden_head(fifo: Fifo) -> None:
    send(fifo, g="abc")
    head, *tail = fifo.receive()
    fifo.change([one.receipt for one in tail], 0)
    fifo.change([head.receipt], 1)
    assert fifo.receive() == []
    fifo.wait(1)
    assert [(one.body, one.receives) for one in fifo.receive()] == [("a", 2), ("b", 2), ("c", 2)]


def a_tail_that_is_not_let_go_locks_its_head_in(fifo: Fifo) -> None:
    send(fifo, g="ab")
    head, tail = fifo.receive()
    fifo.change([tail.receipt], 4)
    fifo.change([head.receipt], 0)
    assert fifo.receive() == []
    fifo.wait(4)
    assert [one.body for one in fifo.receive()] == ["a", "b"]


def a_group_let_go_is_there_at_once(fifo: Fifo) -> None:
    send(fifo, g="ab")
    head, tail = fifo.receive()
    fifo.change([tail.receipt], 0)
    fifo.change([head.receipt], 0)
    assert [one.body for one in fifo.receive()] == ["a", "b"]


def a_longer_time_holds_past_the_timeout(fifo: Fifo) -> None:
    send(fifo, g="a")
    (held,) = fifo.receive()
    fifo.change([held.receipt], 4)
    fifo.wait(HIDDEN)
    assert fifo.receive() == []
    fifo.wait(2)
    assert [one.body for one in fifo.receive()] == ["a"]


def what_was_sent_twice_within_minutes_is_there_once(fifo: Fifo) -> None:
    fifo.send("g", "a", "same")
    fifo.send("g", "a", "same")
    fifo.send("h", "a", "same")
    got = fifo.receive()
    assert (bodies(got, "g"), bodies(got, "h")) == (["a"], ["a"])


def after_too_many_receives_a_message_is_a_dead_letter_and_its_group_goes_on(fifo: Fifo) -> None:
    send(fifo, g="a")
    for _ in range(3):
        (got,) = fifo.receive()
        fifo.change([got.receipt], 0)
    send(fifo, g="b")
    assert [one.body for one in fifo.receive()] == ["b"]
    assert fifo.dead() == ["a"]


SCENARIOS: list[Callable[[Fifo], None]] = [
    a_batch_holds_several_groups_each_in_order,
    a_group_is_locked_while_any_of_its_messages_is_in_flight,
    what_is_not_deleted_comes_again_after_the_timeout_in_order_and_counted,
    a_tail_let_go_waits_for_its_hidden_head,
    a_tail_that_is_not_let_go_locks_its_head_in,
    a_group_let_go_is_there_at_once,
    a_longer_time_holds_past_the_timeout,
    what_was_sent_twice_within_minutes_is_there_once,
    after_too_many_receives_a_message_is_a_dead_letter_and_its_group_goes_on,
]
