"""Routing, and the messages it makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.kit.builders import NOON, identify, later, page, track
from tests.kit.stores import MemoryQueue
from tributary.conditions import Condition
from tributary.errors import StoreUnavailable
from tributary.events import Event
from tributary.fan_out.routing import Route, decide
from tributary.fan_out.service import FanOut
from tributary.messages import delivery_decoder
from tributary.settings import Connection, UnreadableConnection

NAMES = {"KISSmetrics", "Kissmetrics"}


def connection(connection_id: str = "con_km", **given: Any) -> Connection:
    return Connection(id=connection_id, type="kissmetrics", label="Kissmetrics", created_at=NOON, **given)


class FixedConnections:
    def __init__(self, *connections: Connection | UnreadableConnection) -> None:
        self._connections = connections

    def all(self) -> Sequence[Connection | UnreadableConnection]:
        return self._connections


def fan_out(queue: MemoryQueue, *connections: Connection | UnreadableConnection) -> FanOut:
    return FanOut(connections=FixedConnections(*connections), queues={"kissmetrics": queue}, integration_names={"kissmetrics": NAMES})


@pytest.mark.parametrize(
    ("event", "given", "expected"),
    [
        (track(), {}, Route.SEND),
        (track(), {"enabled": False}, Route.DISABLED),
        (track(), {"mode": "paused"}, Route.SEND),
        (track(), {"mode": "shadow"}, Route.SEND),
        (track(), {"sources": ["src_shop"]}, Route.SEND),
        (track(), {"sources": ["src_app"]}, Route.OTHER_SOURCE),
        (track(origin="history"), {}, Route.HISTORY),
        (track(origin="history"), {"history": True}, Route.SEND),
        (track(integrations={"All": False}), {}, Route.INTEGRATIONS),
        (track(integrations={"All": False, "KISSmetrics": {}}), {}, Route.SEND),
        (track("Booked"), {"filter": Condition(event=["Booked"])}, Route.SEND),
        (track("Sailed"), {"filter": Condition(event=["Booked"])}, Route.FILTERED),
    ],
)
def test_a_connection_takes_an_event_or_says_why_not(event: Event, given: dict[str, Any], expected: Route) -> None:
    assert decide(event, connection(**given), NAMES) is expected


@pytest.mark.parametrize(
    ("preferences", "default", "expected"),
    [
        ({"marketing": True, "analytics": True}, "withhold", Route.SEND),
        ({"marketing": True, "analytics": False}, "send", Route.CONSENT),
        ({"marketing": True}, "send", Route.CONSENT),
        ({"marketing": True, "analytics": "true"}, "send", Route.CONSENT),
        ({}, "send", Route.CONSENT),
        (None, "send", Route.SEND),
        (None, "withhold", Route.CONSENT),
    ],
)
def test_an_event_goes_only_where_each_listed_category_is_agreed_to(preferences: dict[str, Any] | None, default: Any, expected: Route) -> None:
    context = {} if preferences is None else {"consent": {"categoryPreferences": preferences}}
    listed = connection(consent_categories=["marketing", "analytics"], consent_default=default)
    assert decide(track(context=context), listed, NAMES) is expected


def test_a_connection_that_lists_no_category_takes_an_event_whatever_its_preferences() -> None:
    assert decide(track(context={"consent": {"categoryPreferences": {"marketing": False}}}), connection(), NAMES) is Route.SEND


def test_one_message_goes_to_each_connection_that_takes_the_event() -> None:
    queue = MemoryQueue()
    event = track(user_id="orla-12")
    counts = fan_out(queue, connection("con_a"), connection("con_b"), connection("con_off", enabled=False)).handle([event])
    delivered = [delivery_decoder.decode(message.body) for message in queue.sent]
    assert [(message.connection, message.event) for message in delivered] == [("con_a", event), ("con_b", event)]
    assert counts == {Route.SEND: 2, Route.DISABLED: 1}


def test_a_connection_that_this_release_cannot_read_is_sent_nothing_and_told_and_the_others_go_on() -> None:
    queue = MemoryQueue()
    service = fan_out(queue, UnreadableConnection("con_new"), connection("con_b"))
    assert service.handle([track(), page()]) == {Route.SEND: 2, "connection_unreadable": 2}
    assert {delivery_decoder.decode(message.body).connection for message in queue.sent} == {"con_b"}
    assert service.unreadable() == ["con_new"]


def test_what_is_withheld_for_consent_is_counted() -> None:
    listed = connection(consent_categories=["marketing"], consent_default="withhold")
    assert fan_out(MemoryQueue(), listed).handle([track(), page()])[Route.CONSENT] == 2


def test_one_persons_events_leave_in_the_order_of_their_stamps_however_the_stream_brings_them() -> None:
    queue = MemoryQueue()
    events: list[Event] = [
        track("3", user_id="u", received_at=later(2)),
        track("2", user_id="u", received_at=later(1), index=4),
        identify(user_id="v"),
        track("1", user_id="u", received_at=later(1), index=0),
    ]
    fan_out(queue, connection()).handle(events)
    sent = [delivery_decoder.decode(message.body).event for message in queue.sent]
    assert [event.event for event in sent if event.type == "track"] == ["1", "2", "3"]  # type: ignore[union-attr]
    assert len({message.group for message in queue.sent}) == 2


def test_a_batch_that_comes_again_sends_the_same_messages_again() -> None:
    first, again = MemoryQueue(), MemoryQueue()
    events: list[Event] = [track(user_id="u"), page(anonymous_id="a")]
    fan_out(first, connection()).handle(events)
    fan_out(again, connection()).handle(list(reversed(events)))
    assert first.sent == again.sent


def test_a_group_is_of_one_connection_and_one_identifier_and_shows_neither() -> None:
    queue = MemoryQueue()
    fan_out(queue, connection("con_a"), connection("con_b")).handle([track(user_id="orla@harbour.example"), track(user_id="orla@harbour.example")])
    groups = [message.group or "" for message in queue.sent]
    assert len(set(groups)) == 2
    assert not any("orla" in group for group in groups)
    assert len({message.deduplication for message in queue.sent}) == 4


def test_ten_thousand_events_of_a_guest_are_ten_thousand_groups() -> None:
    """Nobody waits for a junk id, and it makes no hot partition."""
    queue = MemoryQueue()
    fan_out(queue, connection()).handle([track(user_id="guest") for _ in range(10_000)])
    assert len({message.group for message in queue.sent}) == 10_000


def test_a_queue_that_refuses_makes_the_batch_come_again() -> None:
    with pytest.raises(StoreUnavailable):
        fan_out(MemoryQueue(refuse=lambda _message: True), connection()).handle([track()])
