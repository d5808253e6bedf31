"""The list of recent events: the fake and DynamoDB keep the same promises."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.kit.builders import NOON, later
from tests.kit.moto import dynamodb_table
from tests.kit.stores import MemoryFeed
from tributary.adapters.feed import KEPT, DynamoFeed
from tributary.ports import Feed, FeedEntry, FeedStatus


@pytest.fixture(params=["memory", "dynamodb"])
def feed(request: pytest.FixtureRequest) -> Iterator[Feed]:
    if request.param == "memory":
        yield MemoryFeed()
    else:
        with dynamodb_table() as client:
            yield DynamoFeed(lambda: client, "table")


def line(message_id: str, received_at: datetime = NOON, **given: Any) -> FeedEntry:
    base: dict[str, Any] = {"source": "src_shop", "index": 0, "status": FeedStatus.ACCEPTED, "type": "track", "name": "Booked", "message_id": message_id}
    return FeedEntry(received_at=received_at, **{**base, **given})


def read(feed: Feed, **given: Any) -> list[str | None]:
    asked: dict[str, Any] = {"source": "src_shop", "since": later(-7200), "until": later(7200), "type": None, "status": None, "limit": 100, "cursor": None}
    return [entry.message_id for entry in feed.read(**{**asked, **given})[0]]


def test_the_newest_comes_first_across_hours_and_requests(feed: Feed) -> None:
    feed.append("q-1", [line("a", later(-3600)), line("b", later(-3600), index=1)])
    feed.append("q-2", [line("c")])
    feed.append("q-3", [line("d", later(3600))])
    assert read(feed) == ["d", "c", "b", "a"]


def test_a_batch_written_again_is_listed_once(feed: Feed) -> None:
    for _ in range(2):
        feed.append("q-1", [line("a")])
    assert read(feed) == ["a"]


def test_a_line_keeps_everything_it_says(feed: Feed) -> None:
    rejected = line(
        "a", status=FeedStatus.REJECTED, code="event_not_defined", field="event", message="an event name is needed", body='{"x":"é"}', name=None, type=None
    )
    accepted = line("b", index=1, event_key=("user#u", "event#src_shop#b"))
    feed.append("q-1", [rejected, accepted])
    found, _ = feed.read(source="src_shop", since=later(-1), until=later(1), type=None, status=None, limit=10, cursor=None)
    assert found == [accepted, rejected]


def test_it_is_filtered_by_source_type_status_and_time(feed: Feed) -> None:
    feed.append("q-1", [line("a"), line("b", index=1, type="page"), line("c", index=2, status=FeedStatus.REJECTED, code="x")])
    feed.append("q-2", [line("d", source="src_app")])
    assert read(feed, type="page") == ["b"]
    assert read(feed, status=FeedStatus.REJECTED) == ["c"]
    assert read(feed, source="src_app") == ["d"]
    assert read(feed, since=later(1)) == []
    assert read(feed, until=NOON) == []


def test_pages_hold_every_line_once_and_end(feed: Feed) -> None:
    for number in range(7):
        feed.append(f"q-{number}", [line(f"{number}-{index}", later(number * 1200), index=index) for index in range(3)])
    seen: list[str | None] = []
    cursor: str | None = None
    for _ in range(20):
        page, cursor = feed.read(source="src_shop", since=NOON, until=NOON + timedelta(hours=5), type=None, status=None, limit=4, cursor=cursor)
        seen += [entry.message_id for entry in page]
        if cursor is None:
            break
    assert cursor is None
    assert seen == [f"{number}-{index}" for number in range(6, -1, -1) for index in (2, 1, 0)]


def test_a_row_goes_after_seven_days_and_a_large_request_is_several_rows() -> None:
    with dynamodb_table() as client:
        DynamoFeed(lambda: client, "table").append("q-1", [line(str(n), index=n, name="Booked") for n in range(1200)])
        items = client.scan(TableName="table")["Items"]
        assert len(items) == 3
        assert {item["ttl"]["N"] for item in items} == {str(int((NOON + KEPT).timestamp()))}
        assert not any(item["sk"]["S"].startswith("event#") for item in items)


def test_bodies_that_do_not_compress_are_spread_over_rows_that_dynamodb_takes() -> None:
    noise = random.Random(7)  # as incompressible as printable text can be
    bodies = ["".join(chr(noise.randrange(0x20, 0xD7FF)) for _ in range(2048)) for _ in range(249)]
    with dynamodb_table() as client:
        feed = DynamoFeed(lambda: client, "table")
        feed.append("q-1", [line(str(n), index=n, status=FeedStatus.REJECTED, code="x", body=body) for n, body in enumerate(bodies)])
        assert max(len(item["n"]["B"]) for item in client.scan(TableName="table")["Items"]) < 390_000
        assert len(read(feed, limit=500)) == 249
