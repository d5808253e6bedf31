"""Nothing personal and no credential reaches a log, a metric or an error's text, whatever fails on the way."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import boto3
import pytest

from tests.kit.moto import Faults
from tests.kit.pipeline import WRITE_KEY, Pipeline, pipeline
from tributary.adapters import aws
from tributary.errors import VendorUnavailable
from tributary.ports import VendorAnswer, VendorRequest

EMAIL = "canary-mail@harbour.example"
PERSON = "canary-person-12"
VISITOR = "canary-visitor-9"
SECRET = "km_key_001"
TEXT = "canary-text"
ADDRESS = "198.51.100.77"
CANARIES = (EMAIL, PERSON, VISITOR, SECRET, TEXT, ADDRESS, WRITE_KEY, base64.b64encode(f"{WRITE_KEY}:".encode()).decode())

DAY: list[dict[str, Any]] = [
    {"type": "page", "anonymousId": VISITOR, "messageId": "m-1", "name": TEXT, "context": {"ip": ADDRESS}},
    {"type": "identify", "anonymousId": VISITOR, "userId": PERSON, "messageId": "m-2", "traits": {"email": EMAIL, "phone": "+353 87 123 4567", "note": TEXT}},
    {"type": "track", "userId": EMAIL, "messageId": "m-3", "event": "Order Completed", "properties": {"revenue": 7, "note": TEXT, "products": [{"sku": TEXT}]}},
    {"type": "alias", "previousId": PERSON, "userId": EMAIL, "messageId": "m-4"},
    {"type": "group", "userId": PERSON, "groupId": TEXT, "messageId": "m-5"},
    {"type": "track", "userId": PERSON, "messageId": "m-6", "properties": {"email": EMAIL}},
    {"type": TEXT, "userId": PERSON, "messageId": "m-7"},
    {"type": "track", "userId": {"email": EMAIL}, "event": TEXT, "messageId": "m-8"},
    {"type": "track", "userId": "x" * 300 + EMAIL, "event": TEXT, "messageId": "m-9", "timestamp": EMAIL},
    {"type": "track", "userId": "y" * 300 + PERSON, "event": TEXT, "messageId": "m-10"},
]


class Vendor:
    def __init__(self, answer: Callable[[], VendorAnswer]) -> None:
        self._answer = answer

    def send(self, request: VendorRequest, *, timeout: float) -> VendorAnswer:
        return self._answer()


def answering(status: int) -> Callable[[], VendorAnswer]:
    return lambda: VendorAnswer(status=status, headers={"x-echo": EMAIL, "location": f"https://x.example/?e={EMAIL}"}, body=f"{EMAIL} {TEXT}".encode())


def raising(error: Exception) -> Callable[[], VendorAnswer]:
    def answer() -> VendorAnswer:
        raise error

    return answer


def day(stack: Pipeline) -> None:
    stack.post("/v1/batch", {"batch": DAY, "context": {"ip": ADDRESS}})
    with suppress(AssertionError):  # a vendor that keeps failing never comes to rest
        stack.run(rounds=6)


def bad_requests(stack: Pipeline) -> None:
    for body in (
        f'{{"userId": "{PERSON}", "traits": {{"email": "{EMAIL}"',
        f'["{EMAIL}"]',
        f'"{TEXT}"',
        "",
        json.dumps({"event": TEXT * 20_000, "userId": PERSON}),
    ):
        stack.post("/v1/track", body)
    stack.post("/v1/batch", {"batch": TEXT})
    stack.post("/v1/track", {"writeKey": TEXT, "userId": PERSON, "event": TEXT})
    stack.post("/v1/track", {"userId": PERSON, "event": TEXT}, key=TEXT)
    stack.run()


def unreadable(stack: Pipeline) -> None:
    record = {"messageId": "q", "receiptHandle": "h", "body": f'{{"email":"{EMAIL}"}}', "eventSource": "aws:sqs"}
    attributes = {"ApproximateReceiveCount": "1", "SentTimestamp": "1772625600000", "MessageGroupId": "g"}
    for function in ("record", "forward_kissmetrics"):
        stack.invoke(function, {"Records": [{**record, "attributes": attributes}]})
    broken = {
        "eventName": "INSERT",
        "eventSource": "aws:dynamodb",
        "dynamodb": {"Keys": {"pk": {"S": f"user#{EMAIL}"}, "sk": {"S": f"event#{TEXT}"}}, "NewImage": {"p": {"B": "AAAA"}}},
    }
    for function in ("fan_out", "resolve"):
        stack.invoke(function, {"Records": [broken]})


def failing_stores(stack: Pipeline) -> None:
    for client, operations in ((aws.dynamodb(), ("PutItem", "BatchGetItem", "Query", "TransactWriteItems")), (aws.sqs(), ("SendMessageBatch",))):
        for operation in operations:
            Faults(client).refuse(operation, times=4, status=400, body=json.dumps({"__type": "InternalServerError", "message": f"{EMAIL} {TEXT}"}).encode())
    day(stack)


def suppressed(stack: Pipeline) -> None:
    from tributary.identity.digests import Digests
    from tributary.identity.identifiers import Identifier

    for identifier in (Identifier("user", PERSON), Identifier("email", EMAIL)):
        key = {"pk": {"S": f"suppressed#{Digests(b'k' * 32).of(identifier)}"}, "sk": {"S": "suppressed"}}
        boto3.client("dynamodb").put_item(TableName="config", Item=key)
    day(stack)


@pytest.mark.parametrize(
    ("vendor", "story"),
    [
        pytest.param(answering(200), day, id="delivered"),
        pytest.param(answering(500), day, id="vendor-500"),
        pytest.param(answering(429), day, id="vendor-429"),
        pytest.param(answering(400), day, id="vendor-400"),
        pytest.param(answering(302), day, id="vendor-302"),
        pytest.param(answering(401), day, id="vendor-401"),
        pytest.param(raising(VendorUnavailable("no answer")), day, id="vendor-gone"),
        pytest.param(raising(RuntimeError(f"{EMAIL} {TEXT} {SECRET}")), day, id="fault-of-ours"),
        pytest.param(answering(200), bad_requests, id="bad-requests"),
        pytest.param(answering(200), unreadable, id="unreadable"),
        pytest.param(answering(200), failing_stores, id="failing-stores"),
        pytest.param(answering(200), suppressed, id="suppressed"),
    ],
)
def test_no_canary_is_in_the_logs(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    vendor: Callable[[], VendorAnswer],
    story: Callable[[Pipeline], None],
) -> None:
    with pipeline(monkeypatch, Vendor(vendor)) as stack:
        story(stack)
        config = json.dumps(stack.rows("config"), default=str)
    output = capfd.readouterr()
    logged = output.out + output.err + caplog.text
    assert logged.count("\n") >= 2
    for canary in CANARIES:
        assert canary not in logged
        assert canary not in config
