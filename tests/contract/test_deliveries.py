"""Attempts, parked deliveries, shadow requests and changes of visibility: the fakes and AWS keep the same promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.kit.builders import NOON, later, track
from tests.kit.deliveries import MemoryAttempts, MemoryParking, MemoryShadowStore
from tests.kit.moto import Faults, dynamodb_table
from tributary.adapters.deliveries import DynamoAttempts, DynamoParking, DynamoShadowStore
from tributary.adapters.visibility import SqsVisibility
from tributary.errors import StoreUnavailable
from tributary.ports import Attempt, Attempts, Parked, Parking, ShadowStore, VendorRequest

FAILED = Attempt(first_failure=NOON, count=3, last_at=later(90), last_code="vendor_unavailable", last_status=503, last_counted=True, excluded_seconds=12.5)
PARKED = Parked(
    connection="con_1",
    source="src_shop",
    message_id="m-1",
    event_key=("user#ann", "event#src_shop#m-1"),
    received_at=NOON,
    index=0,
    parked_at=later(3600),
    code="vendor_refused",
    reason="Plain answered 400",
    request={"method": "GET", "host": "vendor.example", "path": "/e", "parameters": ["a"], "bytes": 7},
    attempts=2,
    last_status=400,
)


@pytest.fixture(params=["memory", "dynamodb"])
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A DynamoDB client, or None for the fakes."""
    if request.param == "memory":
        yield None
    else:
        with dynamodb_table() as client:
            yield client


# ---------------------------------------------------------------- attempts


@pytest.fixture
def attempts(client: Any) -> Attempts:
    return MemoryAttempts() if client is None else DynamoAttempts(lambda: client, "table")


@pytest.mark.parametrize("attempt", [FAILED, replace(FAILED, first_failure=None, last_status=None, last_counted=False, excluded_seconds=0.0)])
def test_an_attempt_comes_back_as_it_was_put(attempts: Attempts, attempt: Attempt) -> None:
    attempts.put("con_1", "src_shop#m-1", attempt)
    assert attempts.get("con_1", "src_shop#m-1") == attempt


def test_the_last_put_stands(attempts: Attempts) -> None:
    attempts.put("con_1", "src_shop#m-1", FAILED)
    attempts.put("con_1", "src_shop#m-1", replace(FAILED, count=4))
    row = attempts.get("con_1", "src_shop#m-1")
    assert row is not None
    assert row.count == 4


def test_attempts_are_of_one_message_at_one_connection(attempts: Attempts) -> None:
    attempts.put("con_1", "src_shop#m-1", FAILED)
    assert attempts.get("con_2", "src_shop#m-1") is None
    assert attempts.get("con_1", "src_shop#m-2") is None
    assert attempts.get("con_1", "src_other#m-1") is None


def test_a_deleted_attempt_is_gone_and_may_be_deleted_again(attempts: Attempts) -> None:
    attempts.put("con_1", "src_shop#m-1", FAILED)
    attempts.delete("con_1", "src_shop#m-1")
    attempts.delete("con_1", "src_shop#m-1")
    assert attempts.get("con_1", "src_shop#m-1") is None


# ---------------------------------------------------------------- parked deliveries


@pytest.fixture
def parking(client: Any) -> Parking:
    return MemoryParking() if client is None else DynamoParking(lambda: client, "table")


def test_a_parked_delivery_comes_back_as_it_was(parking: Parking) -> None:
    parking.park(PARKED)
    assert list(parking.of("con_1")) == [PARKED]
    assert list(parking.of("con_2")) == []


def test_parked_again_it_replaces_itself(parking: Parking) -> None:
    parking.park(PARKED)
    again = replace(PARKED, parked_at=later(7200), code="too_old", request=None)
    parking.park(again)
    assert list(parking.of("con_1")) == [again]


def test_parked_deliveries_are_listed_as_their_events_were_received(parking: Parking) -> None:
    wanted = [
        replace(PARKED, message_id=f"m-{9 - number}", received_at=received, index=index)
        for number, (received, index) in enumerate([(NOON, 0), (NOON, 2), (NOON, 10), (later(0.000001), 0), (later(60), 0)])
    ]
    for delivery in reversed(wanted):
        parking.park(delivery)
    assert list(parking.of("con_1")) == wanted


def test_many_parked_deliveries_are_all_listed(parking: Parking) -> None:
    for number in range(400):
        parking.park(replace(PARKED, message_id=f"m-{number}", reason="x" * 4000))
    assert len(list(parking.of("con_1"))) == 400


def test_an_event_key_that_holds_an_email_comes_back_whole(parking: Parking) -> None:
    key = ("user#orla@harbour.example", "event#src_shop#m-1")
    parking.park(replace(PARKED, event_key=key))
    assert [one.event_key for one in parking.of("con_1")] == [key]


# ---------------------------------------------------------------- shadow


@pytest.fixture
def shadow(client: Any) -> ShadowStore:
    return MemoryShadowStore() if client is None else DynamoShadowStore(lambda: client, "table")


def test_a_shadows_requests_come_back_by_the_events_stamps(shadow: ShadowStore) -> None:
    request = VendorRequest(method="GET", url="https://vendor.example/e", query=[("a", "é")], headers={"x": "y"}, notes=["long name"], encoded="a=%C3%A9")
    second, first = track(message_id="m-2", received_at=NOON, index=1), track(message_id="m-1", received_at=NOON)
    shadow.keep("con_1", second, [request, request])
    shadow.keep("con_1", first, [request])
    kept = list(shadow.of("con_1"))
    assert [(row["messageId"], len(row["requests"])) for row in kept] == [("m-1", 1), ("m-2", 2)]
    assert kept[0] == {
        "source": "src_shop",
        "messageId": "m-1",
        "type": "track",
        "receivedAt": "2026-03-04T12:00:00Z",
        "requests": [
            {
                "method": "GET",
                "url": "https://vendor.example/e",
                "query": [["a", "é"]],
                "form": None,
                "json": None,
                "headers": {"x": "y"},
                "notes": ["long name"],
            }
        ],
    }
    assert list(shadow.of("con_2")) == []


def test_the_same_event_again_replaces_its_shadow(shadow: ShadowStore) -> None:
    event = track(message_id="m-1")
    shadow.keep("con_1", event, [VendorRequest(method="GET", url="https://vendor.example/1")])
    shadow.keep("con_1", event, [VendorRequest(method="GET", url="https://vendor.example/2")])
    (kept,) = shadow.of("con_1")
    assert [request["url"] for request in kept["requests"]] == ["https://vendor.example/2"]


# ---------------------------------------------------------------- what DynamoDB alone does


def dated(client: Any, table: str) -> dict[str, int]:
    """Times to live, by the first word of the partition."""
    items = client.scan(TableName=table)["Items"]
    return {item["pk"]["S"].split("#")[0]: int(item["ttl"]["N"]) if "ttl" in item else 0 for item in items}


def test_attempts_outlive_the_queue_shadows_last_a_week_and_parked_deliveries_wait() -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    with dynamodb_table() as client:
        DynamoAttempts(lambda: client, "table", lambda: now).put("con_1", "src_shop#m-1", FAILED)
        DynamoShadowStore(lambda: client, "table", lambda: now).keep("con_1", track(), [])
        DynamoParking(lambda: client, "table").park(PARKED)
        assert dated(client, "table") == {
            "attempt": int((now + timedelta(days=15)).timestamp()),
            "shadow": int((now + timedelta(days=7)).timestamp()),
            "parked": 0,
        }


def test_what_stands_beside_the_log_is_not_taken_for_an_event_by_the_streams_readers() -> None:
    with dynamodb_table() as client:
        DynamoShadowStore(lambda: client, "table").keep("con_1", track(), [])
        DynamoParking(lambda: client, "table").park(PARKED)
        assert {item["sk"]["S"].split("#")[0] for item in client.scan(TableName="table")["Items"]} == {"shadow", "parked"}


def test_parking_is_one_write() -> None:
    with dynamodb_table() as client:
        faults = Faults(client)
        DynamoParking(lambda: client, "table").park(PARKED)
        assert faults.calls == ["PutItem"]


def test_attempts_of_a_dead_destination_are_spread_over_partitions() -> None:
    with dynamodb_table() as client:
        attempts = DynamoAttempts(lambda: client, "table")
        for number in range(200):
            attempts.put("con_1", f"src_shop#m-{number}", FAILED)
        assert len({item["pk"]["S"] for item in client.scan(TableName="table")["Items"]}) == 16


CALLS: list[tuple[str, Callable[[Any], object]]] = [
    ("GetItem", lambda client: DynamoAttempts(lambda: client, "table").get("con_1", "m")),
    ("PutItem", lambda client: DynamoAttempts(lambda: client, "table").put("con_1", "m", FAILED)),
    ("DeleteItem", lambda client: DynamoAttempts(lambda: client, "table").delete("con_1", "m")),
    ("PutItem", lambda client: DynamoParking(lambda: client, "table").park(PARKED)),
    ("Query", lambda client: list(DynamoParking(lambda: client, "table").of("con_1"))),
    ("PutItem", lambda client: DynamoShadowStore(lambda: client, "table").keep("con_1", track(), [])),
]


@pytest.mark.parametrize(("operation", "call"), CALLS)
def test_a_dynamodb_that_fails_is_an_unavailable_store(operation: str, call: Callable[[Any], object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with dynamodb_table() as client:
        Faults(client).refuse(operation, times=100, status=500)
        with pytest.raises(StoreUnavailable):
            call(client)


# ---------------------------------------------------------------- visibility


@pytest.fixture
def sqs() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("sqs", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")


def held(sqs: Any, count: int) -> tuple[str, list[str]]:
    url = sqs.create_queue(QueueName="q.fifo", Attributes={"FifoQueue": "true", "VisibilityTimeout": "100"})["QueueUrl"]
    for number in range(count):
        sqs.send_message(QueueUrl=url, MessageBody=str(number), MessageGroupId="g", MessageDeduplicationId=str(number))
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    return url, [message["ReceiptHandle"] for message in messages]


def test_messages_let_go_are_received_again_at_once_in_order(sqs: Any) -> None:
    url, receipts = held(sqs, 3)
    SqsVisibility(lambda: sqs, url).change(receipts, 0)
    assert [message["Body"] for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]] == ["0", "1", "2"]


def test_a_change_that_is_refused_is_told_and_the_others_are_made(sqs: Any) -> None:
    url, receipts = held(sqs, 2)
    with pytest.raises(StoreUnavailable):
        SqsVisibility(lambda: sqs, url).change([receipts[0], "not a receipt", receipts[1]], 0)
    assert len(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]) == 2


def test_a_queue_that_fails_is_an_unavailable_store(sqs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    url, receipts = held(sqs, 1)
    Faults(sqs).refuse("ChangeMessageVisibilityBatch", times=100, status=500)
    with pytest.raises(StoreUnavailable):
        SqsVisibility(lambda: sqs, url).change(receipts, 0)
