"""Following the list of recent events: what is new since the last look, oldest first, each line once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from tributary.ports import FeedEntry
from tributary.recent import MAX_LIMIT, Query, RecentEvents

OVERLAP: Final = timedelta(minutes=1)
"""How far each look goes back behind the newest line: lines are listed by receipt, and an event may take this long to be recorded."""
MOST: Final = 1_000
"""Lines of one look: more than a person reads."""

_Line = tuple[str, datetime, int, str | None, str]


class Follower:
    def __init__(self, recent: RecentEvents, query: Query, *, sources: Callable[[], list[str]], now: Callable[[], datetime]) -> None:
        self._recent = recent
        self._query = query
        self._sources = sources
        self._now = now
        self._seen: dict[_Line, datetime] = {}

    def look(self) -> tuple[list[FeedEntry], bool]:
        """What is new, oldest first, and whether there was more of it than is given."""
        # A second ahead, since the window's end is outside it and clocks differ a little.
        query = replace(self._query, until=self._now() + timedelta(seconds=1))
        entries: list[FeedEntry] = []
        cursor: str | None = None
        while len(entries) < MOST:
            page = self._recent.page(query, sources=self._sources(), limit=MAX_LIMIT, cursor=cursor)
            entries += page.entries
            cursor = page.cursor
            if cursor is None:
                break
        new = [entry for entry in entries if _line(entry) not in self._seen]
        self._seen |= {_line(entry): entry.received_at for entry in new}
        if entries:
            since = max(self._query.since, entries[0].received_at - OVERLAP)
            self._query = replace(self._query, since=since)
            self._seen = {line: received for line, received in self._seen.items() if received >= since}
        return new[::-1], cursor is not None


def _line(entry: FeedEntry) -> _Line:
    return entry.source, entry.received_at, entry.index, entry.message_id, entry.status
