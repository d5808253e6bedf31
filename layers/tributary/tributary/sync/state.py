"""What is kept of an account's sync, in CONFIG, and the ports to it.

sync#<connection>   live       the cursors, and the poll under way
                    history    the walk through the past: its plan, how far it is
                    status     what a person should know: refused, last error, last reconciliation
                    lease      who is asking the account at this moment
record#<connection>#<kind>#<day>   <id>     the state of one record
catalogue#<connection>   <kind>#<id>        a campaign, a product, a campaign's offer of one
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import date, datetime
from typing import Any, Protocol

import msgspec

from tributary.lease import Lease
from tributary.sources.konnektive.catalogue import CatalogueEntry
from tributary.sources.konnektive.records import Kind, Place, RecordState


class _Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Stored rows ignore fields of a newer version, so that a roll-back reads them."""


class Live(_Row, frozen=True, kw_only=True):
    """The live poll."""

    cursors: dict[str, date] = {}
    """Stream → the last day that was walked to its end."""
    scheduled_at: datetime | None = None
    """The newest poll that was planned,"""
    finished_at: datetime | None = None
    """and the newest that was walked to its end, by when it was planned."""
    referenced_at: datetime | None = None
    reconciled_at: datetime | None = None
    rechecked_at: datetime | None = None


class Month(_Row, frozen=True, kw_only=True):
    """How many rows a stream has in a month, or in what of it the history reaches."""

    first: date
    last: date
    rows: int


class Asked(_Row, frozen=True, kw_only=True):
    """How far the plan of one stream is: an account of many years is asked for its months in more than one task."""

    left: int
    """Rows that no month below has; 0: what is left is to be asked for;"""
    until: date
    """they are in months up to this day."""
    months: list[Month] = []
    missing: int = 0
    """Rows that the account counted as a whole, and that no month had."""
    by_years: bool = False
    """It is too slow to count all years at once."""
    again: bool = False
    """Asked once more, as rows were missing."""


class Counted(_Row, frozen=True, kw_only=True):
    """How far a stream is."""

    days: int = 0
    """Walked,"""
    all_days: int = 0
    """of so many."""
    rows: int = 0
    all_rows: int = 0
    """As the account said when the walk was planned."""
    events: int = 0
    unreadable: int = 0


class History(_Row, frozen=True, kw_only=True):
    """A walk through the past."""

    generation: int
    reason: str
    """`initial`, `restart` or `recheck` (the weekly one)."""
    first_day: date | None = None
    """From where; None: from the account's first day."""
    last_day: date
    """Up to where: the day on which it was asked for."""
    started_at: datetime
    touched_at: datetime
    """When it last got on."""
    finished_at: datetime | None = None
    connected_at: datetime | None = None
    """When the connection was made that it was begun for: one that was deleted may be made again under its id."""
    paused: bool = False
    step: int = 0
    """Of the task that is to run next."""
    streams: list[str] = []
    """What is walked, as the connection had it when the walk began: the windows are counted in their order."""
    asked: Asked | None = None
    """Of the stream that is being asked."""
    months: dict[str, list[Month]] = {}
    """The plan: for each stream its months, newest first; a stream that is not in it has yet to be asked."""
    position: int = 0
    """Windows that are done, in the order of `history.windows`."""
    page: int = 1
    """Where the next window goes on; more than 1 in a day that took longer than a task;"""
    met: int = 0
    """how many rows its pages before that gave,"""
    most: int = 0
    """and how many the account said there were."""
    failed: list[str] = []
    """Windows that were given up, or gave too few rows twice, as `orders 2024-03-09..2024-03-09`."""
    again: list[str] | None = None
    """Those of them that are tried once more at the walk's end; None: it has not come to that."""
    unread: list[str] = []
    """What earlier walks could not read, and this one does not read either."""
    counted: dict[str, Counted] = {}
    calls: int = 0
    busy_seconds: float = 0.0
    """Spent walking: the rate is counted in these."""


class Difference(_Row, frozen=True, kw_only=True):
    """A day on which the account's own sums are others than ours."""

    day: date
    what: str
    """`newSaleCnt`, `newSaleRev`, ..."""
    theirs: str
    ours: str


class Status(_Row, frozen=True, kw_only=True):
    refused: str | None = None
    """Why the account does not let us in; nothing is asked until a person resumes or changes the connection."""
    refused_at: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None
    last_error_of: str | None = None
    """What failed: the error is forgotten once that succeeds."""
    reconciled_at: datetime | None = None
    reconciled_days: int = 0
    differences: list[Difference] = []
    catalogue: dict[str, int] = {}
    """How many campaigns and products the account had when it was last asked."""


class SyncStore(Protocol):
    """Rows of `sync#<connection>`. Only the holder of the lease writes `history` and the cursors, but for the commands of a person, which bump a revision."""

    def live(self, connection: str) -> tuple[Live, int]:
        """The row and its revision; an empty one and 0 where there is none. Raises `StoreUnavailable`."""

    def put_live(self, connection: str, live: Live, expected: int) -> None:
        """Raises `WriteConflict` where the revision is another."""

    def history(self, connection: str) -> tuple[History | None, int]: ...

    def put_history(self, connection: str, history: History, expected: int) -> None: ...

    def status(self, connection: str) -> Status: ...

    def put_status(self, connection: str, status: Status) -> None: ...

    def lease(self, connection: str, owner: str, now: datetime, seconds: float) -> Lease:
        """Take or renew the lease."""

    def release(self, connection: str, owner: str) -> None: ...


class RecordStates(Protocol):
    """What is known of each record."""

    def get(self, connection: str, places: Set[Place]) -> Mapping[Place, RecordState]: ...

    def put(self, connection: str, states: Mapping[Place, RecordState]) -> None:
        """Raises `StoreUnavailable` when any was refused: the same again does no harm."""

    def of_day(self, connection: str, kind: Kind, day: str) -> Iterator[tuple[str, RecordState]]:
        """The records that were created on a day."""


class Catalogue(Protocol):
    """Campaigns and products, as the account last named them."""

    def put(self, connection: str, entries: Sequence[CatalogueEntry]) -> None: ...

    def of(self, connection: str) -> Iterator[CatalogueEntry]: ...


class Notices(Protocol):
    def tell(self, subject: str, text: str) -> None:
        """Tell the people who want to know. Nothing personal."""


def plain(row: msgspec.Struct) -> dict[str, Any]:
    """For JSON."""
    return dict(msgspec.to_builtins(row))
