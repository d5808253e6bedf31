"""What travels through the facts queue."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.builders import NOON
from tests.kit.changes import SETTINGS, StreamedWorld
from tests.kit.contacts import DIGESTS
from tests.kit.histories import histories
from tributary.contacts.tags import MAX_MARKS, MAX_TAGS
from tributary.errors import Unexpected, UnreadableMessage
from tributary.events import Event
from tributary.facts import of_events
from tributary.facts.cleaning import MAX_TEXT_BYTES
from tributary.facts.message import MAX_BYTES, pack, unpack
from tributary.facts.of_contacts import facts_of
from tributary.facts.tables import ActivityFact, AdSpendFact, Fact, Kind, RateFact, TagInterval, TagsFact, TouchFact
from tributary.identity.rules import IdentityRules
from tributary.messages import MAX_MESSAGE_BYTES


def touch(number: int = 0, **given: Any) -> TouchFact:
    return TouchFact(key=f"{number:032x}", person="a" * 32, happened_at=NOON, connection="src_shop", channel="email", **given)


@settings(max_examples=100, deadline=None)
@given(histories(max_size=10), st.integers(400, 3_000))
def test_rows_come_out_as_they_went_in_each_once_in_messages_of_bounded_size(said: list[Event], max_bytes: int) -> None:
    world = StreamedWorld()
    world.take(*said)
    rows = facts_of(world.streamed.changes, SETTINGS, DIGESTS).rows | of_events.facts_of(said, IdentityRules(), DIGESTS).rows
    bodies = list(pack(rows, max_bytes))
    out: dict[Kind, list[Fact]] = {}
    for body in bodies:
        found = unpack(body).rows()
        assert len(body.encode()) <= max_bytes or sum(map(len, found.values())) == 1
        for kind, facts in found.items():
            out.setdefault(kind, []).extend(facts)
    assert out == {kind: list(facts) for kind, facts in rows.items() if facts}


def test_spend_and_rates_travel_too() -> None:
    spend = AdSpendFact(key="1" * 32, version=7, batch="b", day=date(2026, 3, 4), platform="google", currency="USD", spend=-5, type="adjustment")
    rate = RateFact(key="2" * 32, version=7, batch="b", day=date(2026, 3, 4), from_currency="EUR", to_currency="USD", rate=Decimal("1.082500000001"))
    (body,) = pack({Kind.AD_SPEND: [spend], Kind.RATES: [rate]})
    assert unpack(body).rows() == {Kind.AD_SPEND: [spend], Kind.RATES: [rate]}


def test_many_rows_take_as_few_messages_as_hold_them() -> None:
    rows = [touch(number, campaign="c" * 100) for number in range(3_000)]
    bodies = list(pack({Kind.TOUCHES: rows}))
    sizes = [len(body.encode()) for body in bodies]
    assert all(size <= MAX_BYTES for size in sizes)
    assert all(size > MAX_BYTES - 500 for size in sizes[:-1])


def test_nothing_is_no_message() -> None:
    assert list(pack({})) == list(pack({Kind.TOUCHES: []})) == []


def test_a_row_says_nothing_of_its_empty_columns() -> None:
    (body,) = pack({Kind.TOUCHES: [touch()]})
    assert set(json.loads(body)["touches"][0]) == {"key", "person", "happened_at", "connection", "channel"}


def test_what_sqs_refuses_in_a_text_is_escaped_and_comes_back() -> None:
    (body,) = pack({Kind.TOUCHES: [touch(campaign="odd \ufffe\uffff")]})
    assert not any(character in body for character in "\ufffe\uffff")
    assert unpack(body).touches == [touch(campaign="odd \ufffe\uffff")]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '{"schemaVersion":0}',
        '{"schemaVersion":"2"}',
        '{"schemaVersion":1,"touches":[{}]}',
        '{"schemaVersion":1,"touches":[{"key":"0","person":"0","happened_at":"now","connection":"s","channel":"email"}]}',
        '{"schemaVersion":1,"activities":[{"key":"0","person":"0","happened_at":"2026-03-04T12:00:00Z","connection":"s","type":"page","colour":"red"}]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_message_of_ours_is_refused(body: str) -> None:
    with pytest.raises(UnreadableMessage):
        unpack(body)


@pytest.mark.parametrize(
    "body",
    ['{"schemaVersion":1,"colours":[]}', '{"schemaVersion":2,"colours":[{"a":1}]}', '{"schemaVersion":3}', '{"schemaVersion":2,"touches":[{"shade":"red"}]}'],
)
def test_a_message_of_a_newer_release_waits_for_it(body: str) -> None:
    with pytest.raises(Unexpected):
        unpack(body)


def test_a_column_that_differs_from_its_default_is_said() -> None:
    fact = ActivityFact(key="0" * 32, person="1" * 32, happened_at=NOON, connection="s", type="page", bot=True, gone=True, version=4)
    (body,) = pack({Kind.ACTIVITIES: [fact]})
    assert json.loads(body)["activities"] == [
        {"key": "0" * 32, "version": 4, "gone": True, "person": "1" * 32, "happened_at": "2026-03-04T12:00:00Z", "connection": "s", "type": "page", "bot": True}
    ]


def test_the_longest_row_that_there_can_be_fits_a_message_of_sqs() -> None:
    """Tags: as many as a contact keeps, each applied and removed as often as is kept, with names as long as facts have them."""
    names = [f"{number:03d}" + "n" * (MAX_TEXT_BYTES - 3) for number in range(MAX_TAGS)]
    tags = tuple(TagInterval(tag=name, applied_at=NOON, removed_at=NOON) for name in names for _ in range(MAX_MARKS // 2))
    (body,) = pack({Kind.TAGS: [TagsFact(key="0" * 32, person="1" * 32, version=2, tags=tags)]})
    assert MAX_BYTES < len(body.encode()) < MAX_MESSAGE_BYTES
