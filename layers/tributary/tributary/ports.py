"""What the core asks of the outside. Each port has an adapter in `adapters/`, a fake in `tests/kit/`, and one contract suite that both pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

import msgspec

from tributary.events import Event
from tributary.facts.tables import Fact, Kind, Needs
from tributary.generations import Generations
from tributary.settings import Connection, UnreadableConnection


class Put(StrEnum):
    """What became of an event put into the log."""

    NEW = "new"
    REPEATED = "repeated"
    CHANGED = "changed"
    """Repeated with other content: the first stays, the repeat is listed."""


class EventLog(Protocol):
    """EVENTS: every accepted event once, first wins."""

    def put(self, events: Sequence[Event], *, batch: str = "") -> list[Put]:
        """`batch`: what the events came in; the same again is our own earlier put, and answers NEW.

        Put each event under (stable identifier, source, message id), those of one identifier in the order given; answers in the same order.
        Raises `StoreUnavailable` when any could not be put: the caller's batch comes again."""

    def of(self, identifier: str) -> Iterator[Event]:
        """The events under one stable identifier (`user#…`, `anon#…`), in no promised order."""

    def get(self, identifier: str, source: str, message_id: str) -> Event | None:
        """One event."""


class PoisonRecords(Protocol):
    """Records of ours that can never succeed, set aside so that they block nobody."""

    def park(self, place: str, key: str, code: str, body: bytes = b"") -> None:
        """Keep it under the function it was met in. `body` stays beside the log, for it may hold personal data; the same (place, key) again replaces it."""


class RowKey(NamedTuple):
    """Where a row of CONTACTS stands."""

    partition: str
    sort: str


@dataclass(frozen=True)
class ContactRow:
    """A row as it was read. `revision` is 1 at first, and one more after every write."""

    key: RowKey
    revision: int
    data: bytes


@dataclass(frozen=True)
class WriteRow:
    """Put `data` there, if the row is still at the revision `expected`; None: if there is none yet."""

    key: RowKey
    data: bytes
    expected: int | None


@dataclass(frozen=True)
class RemoveRow:
    """Delete the row, if it is still at the revision `expected`."""

    key: RowKey
    expected: int


class ContactStore(Protocol):
    """CONTACTS: small rows, each with a revision, changed together or not at all. What the rows mean is said in `contacts/rows.py`."""

    def get(self, keys: Set[RowKey]) -> dict[RowKey, ContactRow]:
        """Those of the rows that exist; batched, strongly consistent. Raises `StoreUnavailable`."""

    def rows(self, partition: str) -> Iterator[ContactRow]:
        """Every row of a partition, in the order of their sort keys; strongly consistent. Raises `StoreUnavailable`."""

    def commit(self, changes: Sequence[WriteRow | RemoveRow]) -> None:
        """All of the changes, at most 100 of different rows and 4 MB, or none. Raises `WriteConflict` where a revision is another (or another worker is at the
        same rows at this moment), `StoreUnavailable` when it cannot be told: then they may have been made."""


class CurrentGenerations(Protocol):
    """Which generations of CONTACTS and FACTS there are (`generations.py`)."""

    def now(self, *, fresh: bool = False) -> Generations:
        """At most 30 s old, or read now. Raises `StoreUnavailable`."""


class Suppressions(Protocol):
    """Erased people, by keyed digest of each identifier."""

    def among(self, digests: Set[str]) -> set[str]:
        """Those of the digests that are suppressed; batched, strongly consistent."""


class Secrets(Protocol):
    """The parameter store, below the stack's prefix."""

    def get(self, name: str, *, fresh: bool = False) -> str:
        """A secret; kept thirty seconds unless `fresh`. Raises `CredentialMissing`."""


class Connections(Protocol):
    def all(self) -> Sequence[Connection | UnreadableConnection]:
        """Every connection, enabled or not; at most 30 s old."""


class LinkedConnections(Protocol):
    def of(self, source: str) -> str | None:
        """The Konnektive connection whose customers a source's links name: the one that the source says, else the only one there is; at most 30 s old. Raises
        `StoreUnavailable`."""


@dataclass(frozen=True)
class OutMessage:
    """A message for a queue; group and deduplication id for a FIFO queue alone."""

    body: str
    group: str | None = None
    deduplication: str | None = None


class MessageQueue(Protocol):
    def send(self, messages: Sequence[OutMessage]) -> None:
        """Send all, in order within each group; returns once the queue has every one. Raises `StoreUnavailable` when any was refused."""


class FeedStatus(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, kw_only=True)
class FeedEntry:
    """A line of the list of recent events."""

    source: str
    received_at: datetime
    index: int
    status: FeedStatus
    type: str | None
    name: str | None
    """Track name, page or screen name, group id; None otherwise. Never an identifier of a person."""
    message_id: str | None
    code: str | None = None
    """Why it was rejected: Segment's discard code or ours (`message_id_reused`, `suppressed`, `older_than_retention`)."""
    field: str | None = None
    message: str | None = None
    event_key: tuple[str, str] | None = None
    """Where the log keeps it (partition, sort key), for those who may read bodies."""
    body: str | None = None
    """Of a rejected item, as sent."""


class Feed(Protocol):
    """The accepted and rejected events of the last days, newest first."""

    def append(self, batch_id: str, entries: Sequence[FeedEntry]) -> None:
        """Write a batch's lines; the same `batch_id` again replaces them."""

    def read(
        self, *, source: str, since: datetime, until: datetime, type: str | None, status: FeedStatus | None, limit: int, cursor: str | None
    ) -> tuple[list[FeedEntry], str | None]:
        """A page and the cursor of the next."""


class VendorRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request to a vendor, as data. `query` and `form` are decoded pairs in the order they are sent; they go out as percent-encoded UTF-8."""

    method: str
    url: str
    query: Sequence[tuple[str, str]] = ()
    form: Sequence[tuple[str, str]] | None = None
    json: Any = None
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    notes: Sequence[str] = ()
    """What a person should know of it although it is sent: limits the vendor may apply, parts it does not take. Counts and lengths, no values; for the log."""
    encoded: str | None = None
    """The query or form as `encode_pairs` makes it, where the destination needed it to choose the method; to be sent as it is."""


@dataclass(frozen=True, kw_only=True)
class VendorAnswer:
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class Vendor(Protocol):
    def send(self, request: VendorRequest, *, timeout: float) -> VendorAnswer:
        """Send once; no redirect followed. `timeout`: seconds for the whole exchange. Raises `VendorUnavailable` (no answer in time) or `AnswerTooLarge`."""


class Destination(Protocol):
    """A destination module's `DESTINATION`: what the delivery engine knows of a vendor."""

    @property
    def type(self) -> str:
        """As `kissmetrics`."""

    @property
    def integration_names(self) -> Set[str]:
        """Its keys in an event's `integrations` object."""

    @property
    def secret_settings(self) -> Set[str]:
        """Which settings are credentials, kept in the parameter store."""

    def build(self, event: Event, settings: Mapping[str, Any]) -> list[VendorRequest]:
        """The requests for an event, in order; none if the vendor does not take it. Raises `InvalidForVendor` or `SettingsInvalid`."""

    def check(self, answer: VendorAnswer) -> None:
        """Raise what the answer means; return for success."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The failures so far of one event at one connection."""

    first_failure: datetime | None
    """The first real failure: one that counts towards the age. None while only 429s, halts or pauses were met."""
    count: int
    last_at: datetime
    last_code: str
    last_status: int | None = None
    last_counted: bool = True
    """Whether the time since `last_at` is part of the age."""
    excluded_seconds: float = 0.0


class Attempts(Protocol):
    """Attempt rows, by connection and message identity (`<source>#<messageId>`). Each call raises `StoreUnavailable`."""

    def get(self, connection: str, message: str) -> Attempt | None: ...

    def put(self, connection: str, message: str, attempt: Attempt) -> None: ...

    def delete(self, connection: str, message: str) -> None: ...


class Visibility(Protocol):
    """When messages of a queue that we hold are seen again."""

    def change(self, receipts: Sequence[str], seconds: int) -> None:
        """Let the messages be received again in `seconds` (0 to 43,200), at most ten of them. Raises `StoreUnavailable` when any was refused: those come again
        after the queue's own visibility timeout."""


@dataclass(frozen=True, kw_only=True)
class Parked:
    """A delivery that waits for a person. Nothing personal but `event_key`, which may hold an email: where the event stands in the log."""

    connection: str
    source: str
    message_id: str
    event_key: tuple[str, str]
    received_at: datetime
    """The event's stamp with `index`: parked deliveries are listed, and later replayed, in the order their events were received."""
    index: int
    parked_at: datetime
    code: str
    reason: str
    request: Mapping[str, Any] | None
    """Shape of the request: method, host, path, parameter names, bytes."""
    attempts: int
    last_status: int | None


class Parking(Protocol):
    def park(self, delivery: Parked) -> None:
        """Keep it; the same (connection, source, message id) again replaces it."""

    def of(self, connection: str) -> Iterator[Parked]:
        """What is parked for a connection, by the events' stamps, oldest first."""


class ShadowStore(Protocol):
    """Requests that a shadow connection would have sent, for a week."""

    def keep(self, connection: str, event: Event, requests: Sequence[VendorRequest]) -> None:
        """Keep them; the same event again replaces them. Raises `StoreUnavailable`."""

    def of(self, connection: str) -> Iterator[Mapping[str, Any]]:
        """`{source, messageId, type, receivedAt, requests: [{method, url, query, form, json, headers, notes}]}`, by the events' stamps, oldest first. What was
        built with placeholders in place of credentials."""


class FactSink(Protocol):
    """FACTS, for those who write it."""

    def append(self, rows: Mapping[Kind, Sequence[Fact]]) -> None:
        """Keep the rows; they are seen by readers that look from now on. The same rows again do no harm. Rows of erased people are left out. Raises
        `StoreUnavailable`: then some may have been kept."""


class Relations(Protocol):
    """Facts that were opened, as relations to ask in SQL: one of each kind that was asked for, named by it, with the columns of its table but `version` and
    `gone`. Of rows with one key only the newest is there, none that is gone, none of an erased person; `person` is one node for all that is known to be one
    person. A kind holds the months asked for, and may hold others. `contacts` has one row a person."""

    @property
    def as_of(self) -> datetime:
        """When it was last looked which facts there are."""

    @property
    def snapshot(self) -> str:
        """Which facts these are: the same text for the same facts."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The answer of one statement; `?` stands for a parameter. Raises `ReportTooLarge` where the memory or the time allowed does not suffice."""


class Facts(Protocol):
    """FACTS, for those who ask."""

    def open(self, needs: Needs) -> AbstractContextManager[Relations]:
        """What is needed, fetched and ready. Raises `StoreUnavailable`, or `ReportTooLarge` where it is more than this function has room for."""
