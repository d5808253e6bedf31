"""The recent events of all sources as one list."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.builders import NOON, later, track
from tests.kit.stores import MemoryEventLog, MemoryFeed
from tributary import log_codec
from tributary.ports import FeedEntry, FeedStatus
from tributary.recent import Query, QueryInvalid, RecentEvents, query_of, without_bodies

SOURCES = ["src_a", "src_b", "src_c"]


def line(source: str, message_id: str, seconds: float = 0, **given: Any) -> FeedEntry:
    base: dict[str, Any] = {"index": 0, "status": FeedStatus.ACCEPTED, "type": "track", "name": "Booked"}
    return FeedEntry(source=source, message_id=message_id, received_at=later(seconds), **{**base, **given})


def whole(recent: RecentEvents, query: Query, limit: int) -> list[list[str | None]]:
    """Every page, by following the cursors."""
    pages: list[list[str | None]] = []
    cursor: str | None = None
    while True:
        page = recent.page(query, sources=SOURCES, limit=limit, cursor=cursor)
        pages.append([entry.message_id for entry in page.entries])
        cursor = page.cursor
        if cursor is None:
            return pages


def test_sources_are_merged_by_time_the_newest_first() -> None:
    feed = MemoryFeed()
    feed.append("q-1", [line("src_a", "a1", -50), line("src_a", "a2", -10)])
    feed.append("q-2", [line("src_b", "b1", -30), line("src_b", "b2", -20)])
    recent = RecentEvents(feed, MemoryEventLog())
    assert whole(recent, query_of(now=NOON), 10) == [["a2", "b2", "b1", "a1"]]
    assert [name for page in whole(recent, query_of(now=NOON), 1) for name in page] == ["a2", "b2", "b1", "a1"]
    assert [name for page in whole(recent, query_of(now=NOON, source="src_b"), 1) for name in page] == ["b2", "b1"]


@given(st.lists(st.tuples(st.sampled_from(SOURCES), st.integers(min_value=-20, max_value=-1)), max_size=25), st.integers(min_value=1, max_value=7))
def test_pages_of_any_size_hold_each_line_once_and_in_order(spread: list[tuple[str, int]], limit: int) -> None:
    feed = MemoryFeed()
    for number, (source, seconds) in enumerate(spread):
        feed.append(f"q-{number}", [line(source, f"m{number}", seconds)])
    pages = whole(RecentEvents(feed, MemoryEventLog()), query_of(now=NOON), limit)
    listed = [name for page in pages for name in page]
    assert sorted(map(str, listed)) == sorted(f"m{number}" for number in range(len(spread)))
    times = [spread[int(str(name)[1:])][1] for name in listed]
    assert times == sorted(times, reverse=True)
    assert all(len(page) == limit for page in pages[:-1])


def test_the_window_does_not_move_between_two_pages() -> None:
    feed = MemoryFeed()
    feed.append("q-1", [line("src_a", f"m{number}", -3590 + number) for number in range(4)])
    recent = RecentEvents(feed, MemoryEventLog())
    first = recent.page(query_of(now=NOON), sources=SOURCES, limit=2)
    feed.append("q-2", [line("src_a", "new", 30)])
    second = recent.page(query_of(now=NOON + timedelta(minutes=1)), sources=SOURCES, limit=2, cursor=first.cursor)
    assert [entry.message_id for entry in [*first.entries, *second.entries]] == ["m3", "m2", "m1", "m0"]


def test_a_cursor_of_another_query_or_of_nobody_is_refused() -> None:
    feed = MemoryFeed()
    feed.append("q-1", [line("src_a", f"m{number}", -number - 1) for number in range(4)])
    recent = RecentEvents(feed, MemoryEventLog())
    cursor = recent.page(query_of(now=NOON), sources=SOURCES, limit=2).cursor
    assert cursor is not None
    forged = base64.urlsafe_b64encode(b'["x"]').decode()
    endless = base64.urlsafe_b64encode(
        base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).replace(b"2026-03-04T11:00:00Z", b"0001-03-04T11:00:00Z")
    ).decode()
    for query, bad in [
        (query_of(now=NOON, type="page"), cursor),
        (query_of(now=NOON), forged),
        (query_of(now=NOON), "%%%"),
        (query_of(now=NOON), "é"),
        (query_of(now=NOON), endless),
        (query_of(now=NOON + timedelta(days=9)), cursor),
    ]:
        with pytest.raises(QueryInvalid) as refused:
            recent.page(query, sources=SOURCES, limit=2, cursor=bad)
        assert refused.value.field == "cursor"


@pytest.mark.parametrize(
    ("given", "since"),
    [
        ({}, NOON - timedelta(hours=1)),
        ({"since": "15m"}, NOON - timedelta(minutes=15)),
        ({"since": "90s"}, NOON - timedelta(seconds=90)),
        ({"since": "2h"}, NOON - timedelta(hours=2)),
        ({"since": "7d"}, NOON - timedelta(days=7)),
        ({"since": "2026-03-04T09:00:00Z"}, datetime(2026, 3, 4, 9, tzinfo=UTC)),
        ({"since": "2026-03-04T11:00:00+02:00"}, datetime(2026, 3, 4, 9, tzinfo=UTC)),
        ({"since": "2026-03-04T11:00:00 02:00"}, datetime(2026, 3, 4, 9, tzinfo=UTC)),
        ({"until": "2026-03-04T10:00:00Z"}, datetime(2026, 3, 4, 9, tzinfo=UTC)),
    ],
)
def test_since_is_a_time_or_a_duration_and_an_hour_by_default(given: dict[str, str], since: datetime) -> None:
    found = query_of(now=NOON, **given).since
    assert found == since
    assert found.tzinfo is UTC, "the list is kept by hours of UTC"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-03-04T09:00:00"}, "since"),
        ({"since": "8d"}, "since"),
        ({"since": "99999d"}, "since"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "since"),
        ({"since": "2026-03-04T12:00:01Z"}, "since"),
        ({"until": "never"}, "until"),
        ({"type": "purchase"}, "type"),
        ({"status": "maybe"}, "status"),
    ],
)
def test_a_parameter_that_does_not_fit_is_named(given: dict[str, str], field: str) -> None:
    with pytest.raises(QueryInvalid) as refused:
        query_of(now=NOON, **given)
    assert refused.value.field == field


def test_a_body_is_the_event_of_the_log_or_what_was_sent() -> None:
    feed, log = MemoryFeed(), MemoryEventLog()
    event = track(source="src_a", user_id="orla@harbour.example", properties={"seat": "7C"})
    log.put([event])
    feed.append(
        "q-1",
        [
            line("src_a", event.message_id, -2, event_key=log_codec.key_of(event)),
            line("src_a", "refused", -1, status=FeedStatus.REJECTED, body='{"type":"track"}', code="event_not_defined"),
            line("src_a", "gone", -3, event_key=("user#x", "event#src_a#gone")),
        ],
    )
    recent = RecentEvents(feed, log)
    page = recent.page(query_of(now=NOON), sources=SOURCES, limit=10)
    refused, accepted, gone = recent.bodies(page.entries)
    assert refused.body == '{"type":"track"}'
    assert accepted.body is not None
    assert '"seat":"7C"' in accepted.body
    assert gone.body is None
    plain = without_bodies(recent.bodies(page.entries))
    assert "orla" not in repr(plain)
    assert "7C" not in repr(plain)
