"""Nothing personal and no credential reaches a log, a metric or an error's text, whatever fails on the way."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import boto3
import msgspec
import pytest
from moto.sns.models import sns_backends

from local.fakes.fake import Fake
from local.fakes.konnektive.shop import Shop
from local.fakes.konnektive.vendor import LOGIN, PASSWORD, Konnektive
from tests.kit.builders import NOON
from tests.kit.moto import Faults
from tests.kit.pipeline import POSTBACK_SECRET, WRITE_KEY, Clock, Pipeline, logged, pipeline
from tests.kit.sync import FakedVendor
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
    for function in ("record", "forward_kissmetrics", "write_facts"):
        stack.invoke(function, {"Records": [{**record, "attributes": attributes}]})
    broken = {
        "eventName": "INSERT",
        "eventSource": "aws:dynamodb",
        "dynamodb": {"Keys": {"pk": {"S": f"user#{EMAIL}"}, "sk": {"S": f"event#{TEXT}"}}, "NewImage": {"p": {"B": "AAAA"}}},
    }
    for function in ("fan_out", "resolve"):
        stack.invoke(function, {"Records": [broken]})
    for data in ("!", base64.b64encode(f'{{"email":"{EMAIL}"'.encode()).decode()):
        row = {"Keys": {"pk": {"S": "contact#c"}, "sk": {"S": "root"}}, "NewImage": {"v": {"N": "1"}, "d": {"B": data}}}
        stack.invoke("contact_facts", {"Records": [{"eventName": "MODIFY", "eventSource": "aws:dynamodb", "dynamodb": row}]})


def failing_stores(stack: Pipeline) -> None:
    of_tables = ("PutItem", "BatchGetItem", "Query", "TransactWriteItems", "UpdateItem")
    for client, operations in ((aws.dynamodb(), of_tables), (aws.sqs(), ("SendMessageBatch",)), (aws.s3(), ("PutObject",))):
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
    with pipeline(monkeypatch, Vendor(vendor), facts=True) as stack:
        story(stack)
        config = json.dumps(stack.rows("config"), default=str)
    output = capfd.readouterr()
    logged = output.out + output.err + caplog.text
    assert logged.count("\n") >= 2
    for canary in CANARIES:
        assert canary not in logged
        assert canary not in config


# ---------------------------------------------------------------- an account that is polled

CARD = "4929420573595709"
BANK = "canary-iban-55"
SHOPPER_PASSWORD = "canary-shopper-password"
NEVER_KEPT = (CARD, BANK, SHOPPER_PASSWORD, PASSWORD, POSTBACK_SECRET)


class Crm:
    """An account whose rows carry canaries; `spoil` makes of an answer what it likes."""

    def __init__(self, spoil: Callable[[VendorAnswer], VendorAnswer]) -> None:
        self._spoil = spoil

    def __call__(self, clock: Clock) -> Crm:
        shop = Shop(seed=5)
        shop.grow(customers=4, months=2, now=NOON)
        self._vendor = FakedVendor(Fake(Konnektive(shop)), clock.now)
        return self

    def send(self, request: VendorRequest, *, timeout: float) -> VendorAnswer:
        return self._spoil(self._vendor.send(request, timeout=timeout))


def with_canaries(answer: VendorAnswer) -> VendorAnswer:
    said = json.loads(answer.body)
    for row in _rows_of(said):
        row |= {"emailAddress": EMAIL, "notes": TEXT, "ipAddress": ADDRESS, "customFields": {"favourite": TEXT, "card number": CARD}, "custom1": CARD}
        row |= {"cardNumber": CARD, "achAccountNumber": BANK, "eCommercePassword": SHOPPER_PASSWORD}
    return replace(answer, body=json.dumps(said).encode())


def _rows_of(said: Any) -> list[dict[str, Any]]:
    message = said.get("message")
    data = message.get("data") if isinstance(message, dict) else None
    return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []


def unreadable_rows(answer: VendorAnswer) -> VendorAnswer:
    said = json.loads(with_canaries(answer).body)
    for row in _rows_of(said):
        row |= {name: EMAIL for name in ("totalAmount", "dateUpdated", "price", "currencyCode") if name in row}
    return replace(answer, body=json.dumps(said).encode())


def an_error(text: str) -> Callable[[VendorAnswer], VendorAnswer]:
    return lambda answer: replace(answer, body=json.dumps({"result": "ERROR", "message": text}).encode())


def broken(answer: VendorAnswer) -> VendorAnswer:
    raise RuntimeError(f"{EMAIL} {PASSWORD} {CARD}")


def sync(stack: Pipeline) -> None:
    stack.tick()
    with suppress(AssertionError):  # an account that keeps failing never comes to rest
        stack.run(rounds=20)


def sync_on_failing_stores(stack: Pipeline) -> None:
    stack.tick()
    told = json.dumps({"__type": "InternalServerError", "message": f"{EMAIL} {TEXT}"}).encode()
    for operation in ("PutItem", "BatchGetItem", "BatchWriteItem", "Query", "GetItem"):
        Faults(aws.dynamodb()).refuse(operation, times=4, status=400, body=told)
    Faults(aws.sqs()).refuse("SendMessageBatch", times=4, status=400, body=told)
    for _ in range(6):  # what fails is made good by the next
        sync(stack)


def postbacks(stack: Pipeline) -> None:
    place = "/webhooks/konnektive/con_k"
    form = f"clientOrderId=ABCDEF0123&emailAddress={EMAIL}&cardNumber={CARD}&note={TEXT}"
    for secret in (POSTBACK_SECRET, TEXT):
        stack.call_webhook(f"{place}/{secret}", query=form)
        stack.call_webhook(place, method="POST", body=form, headers={"x-tributary-secret": secret})
        stack.call_webhook(place, method="POST", body=f'{{"emailAddress": "{EMAIL}", "secret": "{secret}"')
    stack.call_webhook(f"/webhooks/konnektive/{PERSON}", query=form)
    stack.invoke("konnektive_poll", {"Records": [{"messageId": "q", "receiptHandle": "h", "body": f'{{"email":"{EMAIL}"}}', "attributes": _RECEIVED}]})
    with suppress(AssertionError):
        stack.run(rounds=4)


_RECEIVED = {"ApproximateReceiveCount": "1", "SentTimestamp": "1772625600000", "MessageGroupId": "g"}


@pytest.mark.parametrize(
    ("spoil", "story"),
    [
        pytest.param(with_canaries, sync, id="all-well"),
        pytest.param(with_canaries, postbacks, id="postbacks"),
        pytest.param(with_canaries, sync_on_failing_stores, id="failing-stores"),
        pytest.param(unreadable_rows, sync, id="unreadable-rows"),
        pytest.param(an_error(f"Something of {EMAIL} went wrong with {PASSWORD} for {LOGIN}"), sync, id="error"),
        pytest.param(an_error(f"Invalid login credentials {LOGIN} {PASSWORD} {EMAIL}"), sync, id="refused"),
        pytest.param(lambda answer: replace(answer, status=500, body=f"{EMAIL} {PASSWORD}".encode()), sync, id="500"),
        pytest.param(lambda answer: replace(answer, body=f"<html>{EMAIL}".encode()), sync, id="html"),
        pytest.param(lambda answer: replace(answer, body=with_canaries(answer).body[:900]), sync, id="truncated"),
        pytest.param(broken, sync, id="fault-of-ours"),
    ],
)
def test_what_an_account_says_of_people_is_in_the_log_and_the_contacts_alone_and_what_it_says_of_cards_nowhere(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[VendorAnswer], VendorAnswer],
    story: Callable[[Pipeline], None],
) -> None:
    with pipeline(monkeypatch, Vendor(answering(200)), account=Crm(spoil)) as stack:
        story(stack)
        config = json.dumps([row for row in stack.rows("config") if row["pk"]["S"] != "connection"], default=str)
        kept = json.dumps([msgspec.to_builtins(event) for event in logged(stack)]) + json.dumps(stack.rows("contacts"), default=str)
        poisoned = [row for row in stack.rows("events") if row["pk"]["S"].startswith("poison#")]
        told = json.dumps([str(notice) for topic in sns_backends["123456789012"]["us-east-1"].topics.values() for notice in topic.sent_notifications])
    output = capfd.readouterr()
    logged_lines = output.out + output.err + caplog.text
    assert logged_lines.count("\n") >= 2
    for canary in (*CANARIES, *NEVER_KEPT):
        assert canary not in logged_lines
        assert canary not in told
        assert canary not in config
    for canary in NEVER_KEPT:
        assert canary not in kept
    assert len(poisoned) == (story is postbacks)
    if spoil is with_canaries and story is sync:
        assert EMAIL in kept
