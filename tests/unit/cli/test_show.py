"""What reaches the terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from rich.text import Text

from tests.kit.builders import NOON, identify, track
from tests.kit.contacts import World
from tributary.cli import show
from tributary.contacts.describe import describe
from tributary.operator import Versioned
from tributary.ports import FeedEntry, FeedStatus
from tributary.settings import Connection, UnreadableConnection


def rendered(*parts: object, width: int = 200) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system="truecolor", highlight=False)
    for part in parts:
        console.print(part)
    return out.getvalue()


def entry(name: str, **given: object) -> FeedEntry:
    values = {"index": 0, "status": FeedStatus.ACCEPTED, "type": "track", "message_id": "m", **given}
    return FeedEntry(source="src_1", received_at=NOON, name=name, **values)  # type: ignore[arg-type]


def test_an_events_name_cannot_drive_the_terminal() -> None:
    hostile = "\x1b]0;owned\x07\x1b[31mred\r\n[bold]Buy"
    said = rendered(*show.events([entry(hostile, body="\x1b[2J")], {}, width=200, header=True, bodies=True))
    assert "\x1b]0;" not in said
    assert "\x1b[31mred" not in said
    assert "\x1b[2J" not in said
    assert "[bold]Buy"[:6] in said, "no markup either: it is shown as it is"


def test_a_rejected_event_says_why_and_where() -> None:
    refused = entry("", status=FeedStatus.REJECTED, code="event_not_defined", field="event", message="an event name is needed")
    said = rendered(*show.events([refused], {"src_1": "Shop"}, width=200, header=True))
    assert "event_not_defined at event: an event name is needed" in said
    assert "Shop" in said


@pytest.mark.parametrize("width", [40, 80, 100, 119, 120])
def test_the_reason_is_whole_in_a_narrow_terminal_too(width: int) -> None:
    message = "an event name is needed, and it is a text"
    refused = entry("Berth Booked", status=FeedStatus.REJECTED, code="event_not_defined", field="event", message=message)
    entries = [entry("Tide Table Seen"), refused, entry("Berth Left")]
    said = Text.from_ansi(rendered(*show.events(entries, {"src_1": "Shop"}, width=width, header=True), width=width)).plain
    shown = [line.rstrip() for line in said.splitlines()]
    assert all(len(line) <= width for line in shown)
    folded = " ".join(line[4:].strip() if width < 120 else line[84:].strip() for line in shown)
    assert f"event_not_defined at event: {message}" in " ".join(folded.split())
    if width >= 80:
        assert [re.split(r"\s{2,}", line.split("track")[1].strip())[0] for line in shown if "track" in line] == [
            "Tide Table Seen",
            "Berth Booked",
            "Berth Left",
        ]
        assert len({line.index("track") for line in shown if "track" in line}) == 1, "one table to the eye"
        assert sum("received" in line for line in shown) == 1
        assert [line[:19] for line in shown if "track" in line] == ["2026-03-04 12:00:00"] * 3
        assert sum("accepted" in line for line in shown) == 2, "nothing of the status is cut"


def test_an_empty_table_has_its_header_and_a_later_one_has_not() -> None:
    assert "received" in rendered(*show.events([], {}, width=80, header=True), width=80)
    assert "received" not in rendered(*show.events([entry("x")], {}, width=80, header=False), width=80)


def test_a_connection_that_cannot_be_read_is_shown_as_such() -> None:
    readable = Versioned(Connection(id="con_1", type="kissmetrics", label="Main", created_at=NOON), 1)
    said = rendered(show.connections([readable, UnreadableConnection("con_2")]))
    assert "Main" in said
    assert "con_2" in said
    assert "unreadable" in said


def test_a_contact_is_shown_with_why() -> None:
    touch = {"at": "2026-03-04T12:00:00Z", "channel": "email", "source": "Klaviyo", "campaign": "Spring\x1b[2J", "referrer_host": "mail.google.com"}
    described = {
        "id": "c" * 32,
        "first_seen": "2026-03-04T12:00:00+00:00",
        "last_seen": None,
        "settled": False,
        "identifiers": [{"kind": "email", "value": "orla@harbour.example", "since": "2026-03-04T12:00:00+00:00"}],
        "traits": {"firstName": "Orla", "age": 41},
        "custom_fields": {},
        "groups": [{"id": "g-1", "first_seen": "2026-03-04T12:00:00+00:00", "last_seen": None, "traits": {"name": "Harbour"}}],
        "visitors": [{"kind": "anonymous", "value": "visit-9", "since": "2026-03-04T12:00:00+00:00"}],
        "journey": {
            **dict.fromkeys(("first_touch", "last_touch", "last_non_direct_touch", "lead_source"), touch),
            "touches": [touch],
            "count": 3,
            "bots": 2,
        },
        "why": [{"sentence": "Email orla@harbour.example was first named by …"}],
        **dict.fromkeys(("tags", "subscriptions", "orders", "lifetime"), ()),
    }
    said = rendered(*show.contact(described))
    for words in ("orla@harbour.example", "Orla", "41", "g-1", "  1. Email orla@harbour.example", "never", "a merge is still moving rows", "visit-9"):
        assert words in said
    for words in ("first touch", "lead source", "Klaviyo", "mail.google.com", "touches, the latest 1 of 3, and 2 visits of machines"):
        assert words in said
    assert "\x1b[2J" not in said


def test_a_customer_is_shown_with_tags_subscriptions_orders_and_revenue() -> None:
    world = World()
    world.take(
        identify(user_id="orla", context={"tags": {"vip": True, "lead": False}}),
        track(
            "Order Completed",
            user_id="orla",
            properties={
                "order_id": "0A1B",
                "total": 1044.95,
                "status": "REFUNDED",
                "shipping": 5.95,
                "currency": "USD",
                "products": [{"sku": "KIT-1", "quantity": 2}],
            },
        ),
        track("Order Delivered", user_id="orla", properties={"order_id": "0A1B"}),
        track("Order Refunded", user_id="orla", properties={"order_id": "0A1B", "total": "10.00", "currency": "USD"}),
        track(
            "Subscription Started",
            user_id="orla",
            properties={"subscription_id": "5F6E", "sku": "KIT-1", "price": 39, "currency": "USD", "interval_days": 30, "next_bill_date": "2026-04-03"},
        ),
        track("Order Refunded", user_id="orla", properties={"order_id": "only-a-refund", "total": 700, "currency": "JPY"}),
    )
    said = rendered(*show.contact(describe(world.the("user", "orla"), ())))
    for words in (
        "vip",
        "5F6E",
        "active",
        "30 days",
        "2026-04-03",
        "39.00 USD",
        "0A1B",
        "2 x KIT-1",
        "1,044.95 USD",
        "10.00 USD",
        "1,029.00 USD",
        "-700 JPY",
        "completed (REFUNDED)",
        "delivered",
    ):
        assert words in said, words
    assert "customer since 2026-03-04 12:00:00, 1 sales" in said
