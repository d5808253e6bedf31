"""A polled account on moto: the real handlers from the schedule to the contacts, and the poll killed at each AWS call that it makes."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from local.fakes.fake import Fake, Request
from local.fakes.konnektive.shop import Shop
from local.fakes.konnektive.vendor import Konnektive
from tests.kit.builders import NOON
from tests.kit.konnektive_account import Told, apart
from tests.kit.pipeline import POSTBACK_SECRET, Clock, Pipeline, kill_at, logged, pipeline
from tests.kit.sync import FakedVendor
from tributary import log_codec
from tributary.adapters import aws
from tributary.adapters.contacts import DynamoContacts
from tributary.contacts.reading import Contact, read_contact
from tributary.events import Track
from tributary.identity.digests import Digests
from tributary.identity.identifiers import Identifier
from tributary.ports import VendorAnswer, VendorRequest


class Kissmetrics:
    """Counts what it is sent."""

    def __init__(self) -> None:
        self.requests = 0

    def send(self, request: VendorRequest, *, timeout: float) -> VendorAnswer:
        self.requests += 1
        return VendorAnswer(status=200, headers={}, body=b"GIF89a")


class Crm:
    """A small account, and how it is asked."""

    def __init__(self, customers: int = 6, months: int = 2) -> None:
        self.shop = Shop(seed=5)
        self.shop.grow(customers=customers, months=months, now=NOON)

    def __call__(self, clock: Clock) -> FakedVendor:
        return FakedVendor(Fake(Konnektive(self.shop)), clock.now)


def tracked(stack: Pipeline) -> list[Track]:
    return [event for event in logged(stack) if isinstance(event, Track)]


def contact(kind: str, value: str) -> Contact | None:
    return read_contact(DynamoContacts(aws.dynamodb, "contacts"), Digests(b"k" * 32), Identifier(kind, value))


def synced(stack: Pipeline) -> None:
    stack.tick()
    stack.run(rounds=60)
    assert stack.crashes == 0


def test_from_the_schedule_to_the_contacts_an_account_arrives_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    crm, kissmetrics = Crm(), Kissmetrics()
    with pipeline(monkeypatch, kissmetrics, account=crm) as stack:
        synced(stack)
        events, truth = logged(stack), crm.shop.truth()
        told = Told(events)
        assert apart(told.orders, truth["orders"]) == 0
        assert apart(told.subscriptions, truth["subscriptions"]) == 0
        assert told.refunds == truth["refunds"]
        for customer in crm.shop.customers.rows.values():
            found = contact("konnektive:con_k", str(customer.id))
            assert found is not None
            assert Identifier("email", customer.email.lower()) in {member.identifier for member in found.members}
        # The past goes to no destination that has not asked for it; what is in the live window does.
        assert kissmetrics.requests < len(events)
        assert [one.event for one in tracked(stack) if one.event.endswith("Sync Completed")] == ["Initial Sync Completed"]


def test_what_is_not_new_is_not_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipeline(monkeypatch, Kissmetrics(), account=Crm()) as stack:
        synced(stack)
        before = len(logged(stack))
        stack.clock.time = stack.clock.time.replace(hour=stack.clock.time.hour + 1)
        synced(stack)
        assert len(logged(stack)) == before


def test_a_postback_brings_the_order_that_it_points_to(monkeypatch: pytest.MonkeyPatch) -> None:
    crm = Crm()
    with pipeline(monkeypatch, Kissmetrics(), account=crm) as stack:
        synced(stack)
        (ids,) = [crm.shop.happen("new_sale", at=NOON, about={})]
        order = ids["orderId"]
        for secret, status in (("wrong-wrong-wrong-wrong", 401), (POSTBACK_SECRET, 200)):
            assert stack.call_webhook("/webhooks/konnektive/con_k", query=f"clientOrderId={order}&secret={secret}")["statusCode"] == status
        stack.run(rounds=20)
        told = [event for event in tracked(stack) if event.properties.get("order_id") == order]
        assert {event.event for event in told} >= {"Order Completed", "Payment Received"}


def test_a_refused_postback_leads_to_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipeline(monkeypatch, Kissmetrics(), account=Crm()) as stack:
        for path in ("/webhooks/konnektive/con_k", "/webhooks/konnektive/con_other", "/webhooks/konnektive/con_k/guess"):
            assert stack.call_webhook(path, query="clientOrderId=ABCDEF0123")["statusCode"] == 401
        stack.run(rounds=5)
        assert logged(stack) == []
        assert not [row for row in stack.rows("config") if row["pk"]["S"].startswith("sync#")]


def test_a_refused_login_is_kept_and_nothing_is_asked_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    crm = Crm()

    def refusing(clock: Clock) -> FakedVendor:
        fake = Fake(Konnektive(crm.shop))
        fake.receive(Request(at=NOON, method="POST", path="/__shop", body=b'{"permissions": {"login": false}}'))
        asked.append(FakedVendor(fake, clock.now))
        return asked[0]

    asked: list[FakedVendor] = []
    with pipeline(monkeypatch, Kissmetrics(), account=refusing) as stack:
        synced(stack)
        assert len(asked[0].calls) == 1
        (status,) = [json.loads(row["data"]["S"]) for row in stack.rows("config") if (row["pk"]["S"], row["sk"]["S"]) == ("sync#con_k", "status")]
        assert "login" in status["refused"]
        assert logged(stack) == []


# ---------------------------------------------------------------- crashes

STREAMS = {"streams": ["orders"]}


def after_a_sync(monkeypatch: pytest.MonkeyPatch, *, number: int = 0, applied: bool = False) -> tuple[dict[str, Any], int, int]:
    with pipeline(monkeypatch, Kissmetrics(), account=Crm(customers=2, months=1), account_settings=STREAMS) as stack:
        made = kill_at(number, applied=applied, counts=lambda: stack.running == "konnektive_poll")
        stack.tick()
        stack.run(rounds=60)
        return left(stack), made(), stack.crashes


def left(stack: Pipeline) -> dict[str, Any]:
    """What is in the stores, without what may differ between two runs that mean the same."""
    config = [row for row in stack.rows("config") if row["pk"]["S"].startswith(("record#", "sync#"))]
    rows = {(row["pk"]["S"], row["sk"]["S"]): row for row in config}
    history = json.loads(rows["sync#con_k", "history"]["data"]["S"])
    live = json.loads(rows["sync#con_k", "live"]["data"]["S"])
    return {
        "events": sorted((log_codec.key_of(event), log_codec.content_digest(event)) for event in logged(stack)),
        "contacts": [(row["pk"]["S"], row["sk"]["S"]) for row in stack.rows("contacts")],
        "records": [(key, row["data"]["S"]) for key, row in rows.items() if key[0].startswith("record#")],
        "history": (history["position"], history.get("failed"), "finished_at" in history),
        "live": (live["cursors"], live["finished_at"]),
        "waiting": [boto3.client("sqs").receive_message(QueueUrl=url).get("Messages", []) for url in stack.queues if url != stack.facts_url],
    }


@pytest.fixture(scope="module")
def undisturbed() -> tuple[dict[str, Any], int]:
    with pytest.MonkeyPatch.context() as patch:
        found, calls, crashes = after_a_sync(patch)
    assert crashes == 0
    return found, calls


def test_an_undisturbed_sync_leaves_nothing_in_the_queues(undisturbed: tuple[dict[str, Any], int]) -> None:
    found, calls = undisturbed
    assert found["history"][1:] == (None, True)
    assert found["waiting"] == [[], [], []]
    assert len(found["events"]) >= 5
    assert calls > 20


@pytest.mark.parametrize("applied", [False, True], ids=["before-aws-has-it", "after-aws-has-it"])
def test_the_poll_killed_at_any_aws_call_and_run_again_ends_the_same(
    monkeypatch: pytest.MonkeyPatch, undisturbed: tuple[dict[str, Any], int], applied: bool
) -> None:
    calm, calls = undisturbed
    for number in range(1, calls + 1):
        found, _, crashes = after_a_sync(monkeypatch, number=number, applied=applied)
        assert crashes == 1, f"call {number} was not reached"
        for what, expected in calm.items():
            assert found[what] == expected, f"call {number}: {what}"
