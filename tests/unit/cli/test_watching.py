"""`events --follow`: what is new, oldest first, each line once."""

from __future__ import annotations

from tests.kit.builders import later
from tests.kit.config import MovingClock
from tests.kit.stores import MemoryEventLog, MemoryFeed
from tributary.cli import watching
from tributary.cli.watching import Follower
from tributary.ports import FeedEntry, FeedStatus
from tributary.recent import RecentEvents, query_of


class Watched:
    def __init__(self) -> None:
        self.clock = MovingClock()
        self.feed = MemoryFeed()
        self._batches = 0
        query = query_of(now=self.clock.now(), since="1m")
        self.follower = Follower(RecentEvents(self.feed, MemoryEventLog()), query, sources=lambda: ["src_a", "src_b"], now=self.clock.now)

    def arrive(self, *lines: tuple[str, str, float]) -> None:
        """Lines as (source, message id, seconds after noon)."""
        for source, message_id, seconds in lines:
            self._batches += 1
            entry = FeedEntry(
                source=source, received_at=later(seconds), index=0, status=FeedStatus.ACCEPTED, type="track", name="Booked", message_id=message_id
            )
            self.feed.append(f"q-{self._batches}", [entry])

    def look(self) -> list[str | None]:
        return [entry.message_id for entry in self.follower.look()[0]]


def test_each_line_is_shown_once_the_oldest_first() -> None:
    watched = Watched()
    watched.arrive(("src_a", "a", -20), ("src_b", "b", -30))
    assert watched.look() == ["b", "a"]
    assert watched.look() == []
    watched.clock.move(10)
    watched.arrive(("src_b", "c", 5))
    assert watched.look() == ["c"]


def test_what_comes_late_is_shown_although_something_newer_was_seen() -> None:
    watched = Watched()
    watched.arrive(("src_a", "new", -1))
    assert watched.look() == ["new"]
    watched.arrive(("src_a", "late", -50))
    assert watched.look() == ["late"]


def test_what_was_received_this_instant_is_shown() -> None:
    watched = Watched()
    watched.arrive(("src_a", "now", 0))
    assert watched.look() == ["now"]


def test_what_was_there_before_is_not_shown_and_what_was_seen_is_forgotten_in_time() -> None:
    watched = Watched()
    watched.arrive(("src_a", "old", -61), ("src_a", "first", -10))
    assert watched.look() == ["first"]
    for minute in range(1, 30):
        watched.clock.move(60)
        watched.arrive(("src_a", f"m{minute}", minute * 60 - 1))
        assert watched.look() == [f"m{minute}"]
    assert len(watched.follower._seen) <= 3


def test_more_than_can_be_shown_is_said() -> None:
    watched = Watched()
    watched.arrive(*[("src_a", f"m{number}", -30 + number / 100) for number in range(watching.MOST + 300)])
    found, more = watched.follower.look()
    assert more
    assert len(found) == watching.MOST
    assert found[-1].message_id == f"m{watching.MOST + 299}"
