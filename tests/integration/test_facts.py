"""Events on their way into FACTS: the real handlers on moto, the real files, and what a reader sees of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.fakes.fake import Fake
from local.fakes.konnektive.shop import Shop
from local.fakes.konnektive.vendor import Konnektive
from tests.kit.builders import NOON
from tests.kit.pipeline import Clock, Pipeline, kill_at, pipeline
from tests.kit.sync import FakedVendor
from tributary.adapters import aws
from tributary.adapters.duck import Allowance
from tributary.adapters.fact_files import S3FactObjects
from tributary.adapters.fact_manifest import DynamoManifests
from tributary.adapters.fact_reader import DuckFacts
from tributary.facts.tables import Kind, Months
from tributary.identity.digests import Digests
from tributary.identity.identifiers import Identifier
from tributary.ports import VendorAnswer, VendorRequest

STAMP = NOON.isoformat()
DIGESTS = Digests(b"k" * 32)
OF_PEOPLE = (Kind.TOUCHES, Kind.ACTIVITIES, Kind.ORDERS, Kind.SUBSCRIPTIONS, Kind.CONTACTS, Kind.TAGS)
EVER = Months()

Rows = list[dict[str, Any]]


class Vendor:
    def send(self, request: VendorRequest, *, timeout: float) -> VendorAnswer:
        return VendorAnswer(status=200, headers={}, body=b"GIF89a")


class Reader:
    """What reports would see."""

    def __init__(self, folder: Path) -> None:
        self._facts = DuckFacts(
            S3FactObjects(aws.s3, "facts"),
            DynamoManifests(aws.dynamodb, "config"),
            folder,
            allowance=Allowance(memory_mb=500),
            room=1 << 30,
            now=lambda: datetime.now(UTC),
        )

    def rows(self, kind: Kind) -> Rows:
        with self._facts.open({kind: EVER}) as relations:
            names = [name for name, *_ in relations.rows(f"DESCRIBE {kind}")]
            return [dict(zip(names, row, strict=True)) for row in relations.rows(f"SELECT * FROM {kind} ORDER BY ALL")]

    def everything(self) -> dict[str, Rows]:
        return {kind: self.rows(kind) for kind in OF_PEOPLE}


def of(kind: str, value: str) -> str:
    return DIGESTS.of(Identifier(kind, value))


def post(stack: Pipeline, *events: dict[str, Any]) -> None:
    said = [{"timestamp": STAMP, "integrations": {"All": False}, "messageId": f"m-{number}", **event} for number, event in enumerate(events)]
    assert stack.post("/v1/batch", {"batch": said})["statusCode"] == 200


@contextmanager
def running(monkeypatch: pytest.MonkeyPatch, **given: Any) -> Iterator[Pipeline]:
    with pipeline(monkeypatch, Vendor(), facts=True, **given) as stack:
        yield stack


VISIT: dict[str, Any] = {
    "type": "page",
    "anonymousId": "visit-9",
    "messageId": "m-visit",
    "properties": {"url": "https://www.harbour.example/spring?utm_source=google&utm_medium=cpc&utm_campaign=Spring&gclid=G"},
}
SALE: dict[str, Any] = {
    "type": "track",
    "userId": "orla-12",
    "messageId": "m-sale",
    "event": "Order Completed",
    "properties": {"order_id": "H-1", "total": 76, "tax": 6, "currency": "USD", "products": [{"sku": "ROPE", "price": 35, "quantity": 2}]},
}


def test_what_was_posted_is_what_a_reader_sees(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with running(monkeypatch) as stack:
        post(stack, VISIT, {"type": "identify", "userId": "orla-12", "traits": {"email": "orla@harbour.example"}}, SALE)
        stack.run()
        seen = Reader(tmp_path).everything()
        (touch,) = seen[Kind.TOUCHES]
        (order,) = seen[Kind.ORDERS]
        assert (touch["channel"], touch["campaign"], touch["happened_at"]) == ("paid_search", "Spring", NOON.replace(tzinfo=None))
        assert (order["gross"], order["tax"], order["order_id"], order["items"][0]["amount"]) == (7600, 600, "H-1", 7000)
        assert [row["type"] for row in seen[Kind.ACTIVITIES]].count("track") == 1
        assert str(touch["person"]).replace("-", "") == of("anonymous", "visit-9"), "nobody knows yet who came"
        assert [row["person"] for row in seen[Kind.CONTACTS]] == [order["person"]]
        assert stack.crashes == 0


def test_a_visit_of_last_month_joins_its_buyer_as_soon_as_they_are_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with running(monkeypatch) as stack:
        post(stack, {**VISIT, "timestamp": "2026-02-01T08:00:00Z"}, SALE)
        stack.run()
        reader = Reader(tmp_path)
        assert reader.rows(Kind.TOUCHES)[0]["person"] != reader.rows(Kind.ORDERS)[0]["person"]
        post(stack, {"type": "identify", "anonymousId": "visit-9", "userId": "orla-12", "messageId": "m-known"})
        stack.run()
        assert reader.rows(Kind.TOUCHES)[0]["person"] == reader.rows(Kind.ORDERS)[0]["person"]


def test_two_contacts_that_merge_are_one_with_all_their_orders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = {**SALE, "userId": "orla@harbour.example", "messageId": "m-other", "properties": {**SALE["properties"], "order_id": "H-2"}}
    with running(monkeypatch) as stack:
        post(stack, SALE, other)
        stack.run()
        reader = Reader(tmp_path)
        assert len({row["person"] for row in reader.rows(Kind.ORDERS)}) == 2
        post(stack, {"type": "identify", "userId": "orla-12", "traits": {"email": "orla@harbour.example"}, "messageId": "m-merge"})
        stack.run()
        assert sorted(row["order_id"] for row in reader.rows(Kind.ORDERS)) == ["H-1", "H-2"]
        assert len({row["person"] for row in reader.rows(Kind.ORDERS)}) == len(reader.rows(Kind.CONTACTS)) == 1


def test_an_account_that_was_read_comes_to_what_it_says_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shop = Shop(seed=5)
    shop.grow(customers=12, months=3, now=NOON)

    def account(clock: Clock) -> FakedVendor:
        return FakedVendor(Fake(Konnektive(shop)), clock.now)

    with running(monkeypatch, account=account) as stack:
        stack.tick()
        stack.run(rounds=200)
        seen = Reader(tmp_path).everything()
    truth = shop.truth()["reports"]
    sold = [row for row in seen[Kind.ORDERS] if row["sold_at"] is not None]
    assert len(seen[Kind.CONTACTS]) == truth["leads"]
    assert len({row["person"] for row in sold}) == truth["customers"]
    for currency, sales in truth["sales"].items():
        mine = [row for row in sold if row["currency"] == currency]
        assert len(mine) == sales["orders"]
        assert sum(row["rebill"] for row in mine) == sales["rebills"]
        assert sum(row["gross"] - row["discount"] for row in mine) == sales["sales"]
        assert sum(row["refunded"] for row in mine) == sales["refunded"]
    assert len(seen[Kind.SUBSCRIPTIONS]) == sum(shop.truth()["subscriptions"].values())


EMAIL, PERSON, VISITOR = "canary-mail@harbour.example", "canary-person-12", "canary-visitor-9"
PHONE, STREET, NAME, ADDRESS = "+353 87 123 4567", "canary-street 5", "canary-first", "198.51.100.77"
CANARIES = (EMAIL, EMAIL.replace("@", "%40"), "canary-mail", PERSON, VISITOR, PHONE, "871234567", "353871234567", STREET, NAME, ADDRESS, "canary-token")

TELLTALE: list[dict[str, Any]] = [
    {
        "type": "page",
        "anonymousId": VISITOR,
        "properties": {
            "url": f"https://harbour.example/u/{EMAIL}/{PHONE}?token=canary-token&utm_source=forum&utm_medium=referral&utm_campaign={EMAIL}&utm_term={PHONE}",
            "referrer": f"https://forum.example/{PERSON}?e={EMAIL}",
        },
        "context": {"ip": ADDRESS, "campaign": {"content": EMAIL}},
    },
    {
        "type": "identify",
        "anonymousId": VISITOR,
        "userId": PERSON,
        "traits": {
            "email": EMAIL,
            "phone": PHONE,
            "firstName": NAME,
            "address": {"street": STREET, "country": "IE"},
            "plan": EMAIL,
            "deck": "crew",
            "note": NAME,
        },
        "context": {"tags": {f"knows {EMAIL}": True, "vip": True}},
    },
    {
        "type": "track",
        "userId": PERSON,
        "event": f"Called {PHONE}",
        "context": {"page": {"url": f"https://harbour.example/thanks/{EMAIL}"}},
        "properties": {"email": EMAIL},
    },
    {
        "type": "track",
        "userId": PERSON,
        "event": "Order Completed",
        "properties": {
            "order_id": EMAIL,
            "coupon": EMAIL,
            "campaign_name": f"for {EMAIL}",
            "payment_method": PHONE,
            "total": 7,
            "currency": "USD",
            "products": [{"sku": EMAIL, "name": f"gift of {PHONE}", "price": 7}],
        },
    },
    {
        "type": "track",
        "userId": PERSON,
        "event": "Subscription Started",
        "properties": {"subscription_id": EMAIL, "order_id": EMAIL, "name": EMAIL, "price": 7, "currency": "USD"},
    },
    {"type": "track", "userId": PERSON, "event": "Subscription Cancelled", "properties": {"subscription_id": EMAIL, "cancel_reason": f"write to {EMAIL}"}},
    {
        "type": "track",
        "userId": PERSON,
        "event": "Email Opened",
        "properties": {"campaign_name": EMAIL, "list_name": PHONE, "link_url": f"https://x.example/{EMAIL}"},
    },
    {"type": "alias", "previousId": EMAIL, "userId": PERSON},
    {"type": "group", "userId": PERSON, "groupId": EMAIL, "traits": {"name": NAME}},
]


def test_nothing_personal_is_in_the_files_the_manifest_or_the_queue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with running(monkeypatch) as stack:
        account = {"pk": {"S": "account"}, "sk": {"S": "settings"}, "version": {"N": "1"}, "data": {"S": json.dumps({"report_fields": ["plan", "deck"]})}}
        boto3.client("dynamodb").put_item(TableName="config", Item=account)
        bodies = _listened(stack)
        post(stack, *TELLTALE)
        stack.run()
        everything = Reader(tmp_path).everything()
        manifest = json.dumps([row for row in stack.rows("config") if row["pk"]["S"] == "facts"], default=str)
        names = [item["Key"] for item in boto3.client("s3").list_objects_v2(Bucket="facts")["Contents"]]
        poisoned = [row for row in stack.rows("events") if row["pk"]["S"].startswith("poison#")]
    assert all(everything[kind] for kind in OF_PEOPLE), "each kind was told, or this shows nothing"
    (contact,) = everything[Kind.CONTACTS]
    assert (contact["fields"], contact["country"]) == ({"deck": "crew"}, "IE")
    for text in (json.dumps(everything, default=str), manifest, json.dumps(names), "".join(bodies)):
        for canary in CANARIES:
            assert canary not in text
    assert (stack.crashes, poisoned) == (0, [])


def _listened(stack: Pipeline) -> list[str]:
    """Fills with the bodies of the facts queue."""
    bodies: list[str] = []
    invoke = stack.invoke

    def invoked(function: str, event: dict[str, Any]) -> Any:
        if function == "write_facts":
            bodies.extend(record["body"] for record in event["Records"])
        return invoke(function, event)

    stack.invoke = invoked  # type: ignore[method-assign]
    return bodies


def _day(monkeypatch: pytest.MonkeyPatch, folder: Path, *, number: int = 0, applied: bool = False) -> tuple[dict[str, Rows], int, int]:
    with running(monkeypatch) as stack:
        post(stack, VISIT, SALE)
        stack.run()
        post(stack, {"type": "identify", "anonymousId": "visit-9", "userId": "orla-12", "messageId": "m-known", "traits": {"email": "orla@harbour.example"}})
        made = kill_at(number, applied=applied, counts=lambda: stack.running in {"resolve", "contact_facts", "write_facts"})
        stack.run(rounds=40)
        calls, stack.running = made(), ""
        return Reader(folder).everything(), calls, stack.crashes


@pytest.mark.slow
@pytest.mark.parametrize("applied", [False, True], ids=["before-aws-has-it", "after-aws-has-it"])
def test_killed_at_any_aws_call_and_run_again_the_facts_are_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, applied: bool
) -> None:
    calm, calls, _ = _day(monkeypatch, tmp_path_factory.mktemp("calm"))
    assert calls >= 10
    for number in range(1, calls + 1):
        seen, _, crashes = _day(monkeypatch, tmp_path_factory.mktemp("killed"), number=number, applied=applied)
        assert crashes >= 1, f"call {number} was not reached"
        assert seen == calm, f"call {number}"


def test_a_message_that_cannot_be_read_is_set_aside_and_holds_up_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with running(monkeypatch) as stack:
        boto3.client("sqs").send_message(
            QueueUrl=boto3.client("sqs").get_queue_url(QueueName="facts")["QueueUrl"], MessageBody='{"email":"orla@harbour.example"}'
        )
        post(stack, VISIT)
        stack.run()
        assert len(Reader(tmp_path).rows(Kind.TOUCHES)) == 1
        (row,) = [row for row in stack.rows("events") if row["pk"]["S"] == "poison#write_facts"]
    assert (row["code"]["S"], stack.crashes) == ("unreadable_message", 0)
