"""Walking one window of a stream: page after page, each row against what is known of it, what has changed into the ingest queue, and only then into what is
known.

The order of the two is what makes a crash harmless: between them, the same rows give the same events again, under the same ids.

A page number is a poor cursor. Rows that are updated while a walk is under way move to other pages, or out of the window; a page may come twice; the total may
change. So a walk counts the different rows that it met, and one that met fewer than the account says it has is walked once more. One that is short twice is not
read: its caller says so and comes back to it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import msgspec

from tributary.errors import RetryError, RowUnreadable, VendorUnavailable
from tributary.events import Event
from tributary.messages import IngestMessage, Rejected, to_text
from tributary.ports import MessageQueue, OutMessage
from tributary.sources.konnektive.building import ID_FIELDS
from tributary.sources.konnektive.records import Kind, Place, Reading, RecordState, change_of, place_of
from tributary.sync import days
from tributary.sync.api import Konnektive, Page
from tributary.sync.state import RecordStates
from tributary.sync.streams import ENDPOINTS, KINDS, Stream

TRIES_A_PAGE: Final = 3
"""In a row, before the task goes back to the queue with a longer delay."""
FIRST_PAUSE_SECONDS: Final = 2.0
_BYTES_A_MESSAGE: Final = 240_000
"""Of events, for the record function to have small bites; SQS takes a megabyte."""
_WINDOW: Final = re.compile(rf"({'|'.join(KINDS)}) (\d{{4}}-\d\d-\d\d)\.\.(\d{{4}}-\d\d-\d\d)")

Row = dict[str, Any]


@dataclass(frozen=True)
class Window:
    stream: Stream
    first: date
    last: date
    by: str
    """`dateUpdated` or `dateCreated`."""

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    def __str__(self) -> str:
        return f"{self.stream} {self.first}..{self.last}"

    @classmethod
    def of(cls, text: str, by: str) -> Window | None:
        """The window that reads so; None where the text is none."""
        found = _WINDOW.fullmatch(text)
        return cls(Stream(found[1]), date.fromisoformat(found[2]), date.fromisoformat(found[3]), by) if found else None


@dataclass
class Walked:
    """What a walk met. `rows`: the different ones; `next_page`: where to go on, if its time was up."""

    rows: int = 0
    events: int = 0
    unreadable: int = 0
    total: int | None = None
    """The most that the account said there were. A row that leaves the window in the middle of a walk hides another one, and makes later totals smaller."""
    next_page: int | None = None
    seen: set[int] = field(default_factory=set, repr=False)
    given: int = 0
    """Rows, each as often as it came."""
    repeats: bool = False
    """As many came as the account said, the same in two passes: it lists some twice, and none is missing."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Events by name."""

    def is_short_of(self, met: int) -> bool:
        """Whether the walk is over, and met fewer rows, with `met` before it, than the account said there were."""
        return self.next_page is None and self.total is not None and met + self.rows < self.total and not self.repeats


@dataclass(frozen=True, kw_only=True)
class Walker:
    """`enough`: whether the time for a task is up. `chance`: from 0 to 1."""

    api: Konnektive
    states: RecordStates
    queue: MessageQueue
    reading: Callable[[], Reading]
    """A new one for each page: its time of receipt orders the events."""
    enough: Callable[[], bool]
    chance: Callable[[], float]

    def walk(self, window: Window, *, page: int = 1, finished: bool) -> Walked:
        """Walk the window from a page on. `finished`: whether all of its days are over, so that the total should hold still."""
        walked = self._once(window, page)
        if page == 1 and finished and walked.is_short_of(0):
            again = self._once(window, 1)
            again.events += walked.events
            again.repeats = again.seen == walked.seen and again.given >= (again.total or 0)
            return again
        return walked

    def take(self, kind: Kind, rows: Sequence[Row]) -> Walked:
        """Take rows in that were read in another way."""
        walked = Walked(rows=len(rows))
        self._take(kind, rows, walked)
        return walked

    def _once(self, window: Window, page: int) -> Walked:
        walked = Walked()
        before: list[int] = []
        kind = KINDS[window.stream]
        while True:
            answer = self._page(window, page)
            if answer.total is not None:
                walked.total = max(answer.total, walked.total or 0)
            if not answer.rows:
                return walked
            here = [_fingerprint(kind, row) for row in answer.rows]
            if here == before:
                raise VendorUnavailable(f"page {page} of {window} is the page before it")
            before = here
            walked.seen.update(here)
            walked.given += len(here)
            walked.rows = len(walked.seen)
            self._take(kind, answer.rows, walked)
            if answer.total is None:
                if len(answer.rows) < answer.per_page:
                    return walked
            elif page * answer.per_page >= answer.total:
                return walked
            page += 1
            if self.enough():
                walked.next_page = page
                return walked

    def _page(self, window: Window, page: int) -> Page:
        """A page, asked for thrice before it is given up."""
        parameters = {
            "startDate": days.as_parameter(window.first),
            "endDate": days.as_parameter(window.last),
            "dateRangeType": window.by,
            "sortDir": "1",
            "includeCustomFields": "1",
        }
        for attempt in range(1, TRIES_A_PAGE + 1):
            try:
                return self.api.page(ENDPOINTS[window.stream], parameters, number=page)
            except RetryError as error:
                if attempt == TRIES_A_PAGE or error.retry_after is not None or self.enough():
                    raise
                self.api.wait(FIRST_PAUSE_SECONDS * 2**attempt * (0.5 + self.chance() / 2))
        raise AssertionError

    def _take(self, kind: Kind, rows: Sequence[Row], walked: Walked) -> None:
        reading = self.reading()
        placed, rejected = _placed(kind, rows)
        known = dict(self.states.get(reading.connection, {place for place, _ in placed}))
        events: list[Event] = []
        changed: dict[Place, RecordState] = {}
        for place, row in placed:
            try:
                change = change_of(kind, row, known.get(place), reading)
            except RowUnreadable as error:
                rejected.append(_rejected(kind, place.id, error))
                continue
            if change is not None:
                known[place] = changed[place] = change.state
                events += change.events
        self.queue.send([OutMessage(body=body) for body in self._messages(reading, events, rejected)])
        self.states.put(reading.connection, changed)
        walked.events += len(events)
        walked.unreadable += len(rejected)
        walked.kinds.update(name_of(event) for event in events)

    def _messages(self, reading: Reading, events: Sequence[Event], rejected: Sequence[Rejected]) -> Iterator[str]:
        numbered = [msgspec.structs.replace(event, index=index) for index, event in enumerate(events)]
        for chunk in _chunks(numbered):
            yield _message(reading, chunk, [])
        if rejected:
            yield _message(reading, [], [msgspec.structs.replace(one, index=len(events) + index) for index, one in enumerate(rejected)])


def _message(reading: Reading, events: list[Event], rejected: list[Rejected]) -> str:
    return to_text(IngestMessage(source=reading.connection, received_at=reading.received_at, events=events, rejected=rejected))


def name_of(event: Event) -> str:
    return getattr(event, "event", event.type)


def _placed(kind: Kind, rows: Sequence[Row]) -> tuple[list[tuple[Place, Row]], list[Rejected]]:
    placed: list[tuple[Place, Row]] = []
    rejected: list[Rejected] = []
    for row in rows:
        try:
            placed.append((place_of(kind, row), row))
        except RowUnreadable as error:
            rejected.append(_rejected(kind, None, error))
    return placed, rejected


def _rejected(kind: Kind, record: str | None, error: RowUnreadable) -> Rejected:
    return Rejected(code=error.code, field=error.field, message=f"a row of {kind} {record or 'without an id'}: {error}", type="track")


def _fingerprint(kind: Kind, row: Row) -> int:
    """Which row, in eight bytes: a day may have a hundred thousand. A row without an id is itself."""
    return int.from_bytes(hashlib.blake2b(str(row.get(ID_FIELDS[kind]) or row).encode(), digest_size=8).digest())


def _chunks(events: Sequence[Event]) -> Iterator[list[Event]]:
    chunk: list[Event] = []
    size = 0
    for event in events:
        length = len(msgspec.json.encode(event))
        if chunk and size + length > _BYTES_A_MESSAGE:
            yield chunk
            chunk, size = [], 0
        chunk.append(event)
        size += length
    if chunk:
        yield chunk
