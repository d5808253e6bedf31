"""A customer of a polled account is one person, whatever becomes of their email on the way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.kit.builders import page
from tests.kit.contacts import World
from tributary.events import Event
from tributary.sources.konnektive.records import Kind, Reading, RecordState, change_of
from tributary.sources.konnektive.settings import settings_of

READING = Reading(
    "con_shop",
    settings_of({"loginId": "shop", "password": "secret"}),
    datetime(2026, 3, 4, 12, tzinfo=UTC),
    datetime(2000, 1, 1, tzinfo=UTC),
)
LEAD: dict[str, Any] = {
    "orderId": "0A1B2C3D4E",
    "customerId": 771,
    "orderStatus": "PARTIAL",
    "emailAddress": "kim@exmaple.example",
    "dateCreated": "2026-03-01 10:00:00",
    "dateUpdated": "2026-03-01 10:00:00",
    "currencyCode": "USD",
}
BUYER: dict[str, Any] = {"customerId": 771, "dateCreated": "2026-03-01 10:00:00", "dateUpdated": "2026-03-01 10:00:00"}


def test_an_email_that_is_corrected_during_a_checkout_leaves_one_contact_and_one_journey() -> None:
    state: dict[Kind, RecordState] = {}
    events: list[Event] = []

    def read(kind: Kind, row: dict[str, Any]) -> None:
        change = change_of(kind, row, state.get(kind), READING)
        if change is not None:
            state[kind] = change.state
            events.extend(change.events)

    read(Kind.CUSTOMER, {**BUYER, "emailAddress": "kim@exmaple.example"})
    read(Kind.ORDER, LEAD)
    corrected = {"emailAddress": "kim@example.example", "dateUpdated": "2026-03-01 10:04:00"}
    read(Kind.CUSTOMER, {**BUYER, **corrected})
    read(Kind.ORDER, {**LEAD, **corrected, "orderStatus": "COMPLETE", "totalAmount": "44.95"})
    world = World()
    world.take(*events, page(anonymous_id="visit-9"))
    contact = world.the("email", "kim@example.example")
    assert contact.id == world.the("email", "kim@exmaple.example").id == world.the("konnektive:con_shop", "771").id
    assert contact.profile.known()["email"] == "kim@example.example"
    assert [order.order_id for order in contact.orders] == ["0A1B2C3D4E"]
    journey = {event.message_id for partition in contact.partitions() for event in world.log.of(partition)}
    assert journey == {event.message_id for event in events}
