"""In-memory stores. Each passes the same contract suite as its adapter (tests/contract)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from datetime import datetime
from typing import NamedTuple

from tributary import log_codec
from tributary.errors import StoreUnavailable
from tributary.events import Event
from tributary.ports import FeedEntry, FeedStatus, OutMessage, Put


class MemoryEventLog:
    """`EventLog`. `inserted`: what the stream would show, in order. `fail`: raise for these message ids, once each."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Event] = {}
        self.batches: dict[tuple[str, str], str] = {}
        self.inserted: list[Event] = []
        self.fail: set[str] = set()
        self.lose_answer: set[str] = set()

    def put(self, events: Sequence[Event], *, batch: str = "") -> list[Put]:
        results = [self._put(event, batch) for event in events]
        if any(result is None for result in results):
            raise StoreUnavailable("a put failed")
        return [result for result in results if result is not None]

    def _put(self, event: Event, batch: str) -> Put | None:
        if event.message_id in self.fail:
            self.fail.discard(event.message_id)
            return None
        key = log_codec.key_of(event)
        stored = self.rows.get(key)
        if stored is None:
            self.rows[key] = event
            self.batches[key] = batch
            self.inserted.append(event)
            if event.message_id in self.lose_answer:
                self.lose_answer.discard(event.message_id)
                return None
            return Put.NEW
        same = log_codec.content_digest(stored) == log_codec.content_digest(event)
        if not same:
            return Put.CHANGED
        return Put.NEW if (stored.stamp, self.batches[key]) == (event.stamp, batch) else Put.REPEATED

    def of(self, identifier: str) -> Iterator[Event]:
        yield from [event for (partition, _), event in self.rows.items() if partition == identifier]

    def get(self, identifier: str, source: str, message_id: str) -> Event | None:
        return self.rows.get((identifier, f"{log_codec.SORT_KEY_PREFIX}{source}#{message_id}"))


class MemoryFeed:
    """`Feed`."""

    def __init__(self) -> None:
        self.batches: dict[str, list[FeedEntry]] = {}
        self.fail_next = False

    @property
    def entries(self) -> list[FeedEntry]:
        return [entry for batch in self.batches.values() for entry in batch]

    def append(self, batch_id: str, entries: Sequence[FeedEntry]) -> None:
        if self.fail_next:
            self.fail_next = False
            raise StoreUnavailable("the feed failed")
        self.batches[batch_id] = list(entries)

    def read(
        self, *, source: str, since: datetime, until: datetime, type: str | None, status: FeedStatus | None, limit: int, cursor: str | None
    ) -> tuple[list[FeedEntry], str | None]:
        rows = [
            (entry.received_at, batch, number, entry)
            for batch, entries in self.batches.items()
            for number, entry in enumerate(entries)
            if entry.source == source and since <= entry.received_at < until
        ]
        rows.sort(key=lambda row: row[:3], reverse=True)
        wanted = [row[3] for row in rows if (type is None or row[3].type == type) and (status is None or row[3].status == status)]
        start = int(cursor or 0)
        following = start + limit
        return wanted[start:following], str(following) if following <= len(wanted) and wanted[start:following] else None


class MemorySuppressions:
    """`Suppressions`."""

    def __init__(self, digests: Set[str] = frozenset()) -> None:
        self.digests = set(digests)
        self.calls = 0
        self.fail_next = False

    def among(self, digests: Set[str]) -> set[str]:
        self.calls += 1
        if self.fail_next:
            self.fail_next = False
            raise StoreUnavailable("the suppression list failed")
        return self.digests & digests


class Poisoned(NamedTuple):
    place: str
    key: str
    code: str
    body: bytes


class MemoryPoison:
    """`PoisonRecords`."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Poisoned] = {}

    def park(self, place: str, key: str, code: str, body: bytes = b"") -> None:
        self.rows[place, key] = Poisoned(place, key, code, body)


class MemoryQueue:
    """`MessageQueue` that keeps what it is sent; `refuse` decides which message is refused."""

    def __init__(self, refuse: Callable[[OutMessage], bool] = lambda _message: False) -> None:
        self.sent: list[OutMessage] = []
        self.refuse = refuse

    def send(self, messages: Sequence[OutMessage]) -> None:
        refused = 0
        for message in messages:
            if self.refuse(message):
                refused += 1
            else:
                self.sent.append(message)
        if refused:
            raise StoreUnavailable(f"refused {refused} messages")
