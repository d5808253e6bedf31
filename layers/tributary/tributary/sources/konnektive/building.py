"""What the four kinds of records share: a record on its way to events, its state, its context, and how an event is made of it.

A kind's module says what a row means (`Meaning`: the fields that count, and the facts to keep) and what has happened since the state before (`Happened`);
everything else of an event is written here, once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, NamedTuple

import msgspec

from tributary.events import Event, Identify, Json, Origin, Track
from tributary.identity.identifiers import is_email, is_usable
from tributary.sources.konnektive import reading as read
from tributary.sources.konnektive.settings import CUSTOM_FIELD_PREFIX, KonnektiveSettings

TAG_PREFIX: Final = "konnektive: "
"""Of tags that are derived from facts; Konnektive itself has none."""
NO_DAY: Final = "0000-00-00"
MAX_EVENT_ID: Final = 100
MAX_TAG: Final = 200
SEQUENCES_PER_STATE: Final = 100
"""Events of one state that can be told apart within a second."""
_LARGEST_SEQUENCE_BASE: Final = 10**15

UTM: Final = {"UTMSource": "source", "UTMMedium": "medium", "UTMCampaign": "name", "UTMTerm": "term", "UTMContent": "content"}
"""Konnektive's field → the name in `context.campaign`."""
_SOURCE_VALUES: Final = tuple(f"sourceValue{number}" for number in range(1, 6))
_CUSTOM: Final = tuple(f"custom{number}" for number in range(1, 6))


class Kind(StrEnum):
    CUSTOMER = "customer"
    ORDER = "order"
    TRANSACTION = "transaction"
    PURCHASE = "purchase"


ID_FIELDS: Final = {Kind.CUSTOMER: "customerId", Kind.ORDER: "orderId", Kind.TRANSACTION: "transactionId", Kind.PURCHASE: "purchaseId"}


class RecordState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered of a record. Nothing personal."""

    digest: str
    """Of the fields that mean something."""
    counter: int = 1
    """How many states were seen."""
    facts: dict[str, Any] = {}
    """What the next reading compares with, and what the daily reconciliation adds up."""


class Place(NamedTuple):
    """Where a record's state stands."""

    kind: Kind
    day: str
    """Local date of its creation, which never changes; `0000-00-00` without one."""
    id: str


@dataclass(frozen=True)
class Reading:
    """What a walk knows."""

    connection: str
    settings: KonnektiveSettings
    received_at: datetime
    since: datetime
    """When the account was connected: what happened before is history, however it comes to be read, and does not pretend to be live."""
    told_since: datetime | None = None
    """Since when an earlier run, which broke off, may have told events without keeping the states; None: there was none."""
    key: bytes = b""
    """Of the stack's keyed digests: a customer's state is a digest of who they are."""


@dataclass(frozen=True)
class Change:
    """A record's new state, and what it means."""

    place: Place
    state: RecordState
    events: Sequence[Event]
    """In their order; `index` is the sync's to set. Empty: the state changes silently."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Happened:
    """Something that happened to a record, on its way to an event."""

    event: str
    """Its name; empty for an identify."""
    slug: str
    at: datetime
    says: Any
    """What tells this event from another of the same name and counter; goes into its id. None: it happens to a record once, and has its id by that alone."""
    properties: Json
    """Of an identify the traits. What is None is left out."""
    tags: dict[str, bool] = field(default_factory=dict)
    """Tag, prefix included → whether it was applied or removed."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a row says of its record."""

    says: Any
    """The fields that count, as JSON: the digest is of these."""
    facts: dict[str, Any]


@dataclass(frozen=True)
class Record:
    """A row being read."""

    place: Place
    row: read.Row
    before: RecordState | None
    reading: Reading

    @property
    def zone(self) -> str:
        return self.reading.settings.time_zone

    @property
    def counter(self) -> int:
        return 1 if self.before is None else self.before.counter + 1

    @property
    def known(self) -> dict[str, Any]:
        """Facts of the state before; empty for a record that is seen for the first time."""
        return {} if self.before is None else self.before.facts

    @cached_property
    def currency(self) -> str:
        return read.currency_of(self.row, self.reading.settings.currency)

    @cached_property
    def updated_text(self) -> str | None:
        return read.local_text(self.row, "dateUpdated")

    @cached_property
    def created(self) -> datetime:
        """When the record came to be; without its date, when it was updated or read."""
        local = read.local_text(self.row, "dateCreated")
        return self.updated if local is None else read.utc_of(local, self.zone)

    @cached_property
    def updated(self) -> datetime:
        """When the row last changed; without its date, when it was read. A clock that went back within the hour that autumn repeats shows it for the second
        time."""
        local, known = self.updated_text, self.known.get("updated")
        if local is None:
            return self.reading.received_at
        is_second = known is not None and local < known and read.is_ambiguous(local, self.zone)
        return read.utc_of(local, self.zone, second=is_second)

    @property
    def since(self) -> datetime:
        """When a change to a known record happened, never before its creation."""
        return max(self.updated, self.created)

    @property
    def is_stale(self) -> bool:
        """Whether a later state of the record is known already. In the hour that autumn repeats, the clock cannot tell."""
        known = self.known.get("updated")
        if known is None or self.updated_text is None or self.updated_text >= known:
            return False
        return not read.is_ambiguous(self.updated_text, self.zone)

    @property
    def may_have_been_told(self) -> bool:
        """Whether a run that broke off may have told this change already, and the row has moved on since."""
        return self.reading.told_since is not None and self.updated >= self.reading.told_since

    def local_moment(self, row: read.Row, name: str) -> datetime | None:
        """A time of the account's clock that may be missing or unreadable."""
        local = read.optional_local_text(row, name)
        return None if local is None else read.utc_of(local, self.zone)

    def money(self, name: str, row: read.Row | None = None) -> float | None:
        """An amount as the decimal number that properties carry."""
        return read.number_of(read.minor(self.row if row is None else row, name, self.currency), self.currency)


def digest_of(says: Any, key: bytes = b"") -> str:
    """`key`: where `says` holds what is somebody's, so that nobody can confirm a guess by the digest."""
    return hashlib.blake2b(msgspec.json.encode(says), digest_size=16, key=key[:64]).hexdigest()


def events_of(record: Record, happened: Sequence[Happened]) -> list[Event]:
    """The events, in their order."""
    if not happened:
        return []
    common = _Common(record)
    return [common.event(one, position) for position, one in enumerate(happened)]


def tag(*words: str | None) -> str:
    return (TAG_PREFIX + " ".join(word for word in words if word is not None))[:MAX_TAG]


def campaign_tags(record: Record) -> dict[str, bool]:
    name = read.text(record.row, "campaignName")
    return {} if name is None else {tag("campaign", name): True}


def attribution_properties(row: read.Row) -> Json:
    """Campaign, affiliate and UTM values as properties; UTM values in their exact text."""
    return {
        "affiliation": read.text(row, "sourceTitle"),
        "campaign_id": read.id_of(row, "campaignId"),
        "campaign_name": read.text(row, "campaignName"),
        "affiliate_id": read.text(row, "affId"),
        **{f"source_value_{number}": read.text(row, name) for number, name in enumerate(_SOURCE_VALUES, 1)},
        **{f"utm_{'campaign' if name == 'name' else name}": read.exact_text(row, theirs) for theirs, name in UTM.items()},
    }


def custom_properties(row: read.Row) -> Json:
    values = ((number, name, read.text(row, name)) for number, name in enumerate(_CUSTOM, 1))
    return {f"custom_{number}": value for number, name, value in values if value is not None and not read.holds_secret("", value)}


def present(properties: Json) -> Json:
    """Without what is not known."""
    return {name: value for name, value in properties.items() if value is not None}


class _Common:
    """What all events of one row have in common."""

    def __init__(self, record: Record) -> None:
        row, settings = record.row, record.reading.settings
        self._record = record
        customer = read.id_of(row, "customerId")
        self._owner = None if customer is None or not is_usable(customer) else f"konnektive#{record.reading.connection}#{customer}"
        self._user_id = _user_id(row, settings.user_id, customer)
        self._context = _context(row)
        if record.place.kind is Kind.ORDER:
            self._context |= {"payments": "told"}

    def event(self, one: Happened, position: int) -> Event:
        record = self._record
        origin: Origin = "history" if one.at < record.reading.since else "live"
        context = {**self._context, "tags": one.tags} if one.tags else self._context
        common: dict[str, Any] = {
            "source": record.reading.connection,
            "message_id": _event_id(record, one),
            "timestamp": one.at,
            "received_at": record.reading.received_at,
            "origin": origin,
            "user_id": self._user_id,
            "owner": self._owner,
            "sequence": _sequence(record, position),
            "context": context,
        }
        if not one.event:
            return Identify(**common, traits=present(one.properties))
        return Track(**common, event=one.event, properties=present(one.properties))


def _event_id(record: Record, one: Happened) -> str:
    place = record.place
    meaning = one.slug if one.says is None else f"{one.slug}-{digest_of(one.says, record.reading.key)[:8]}:{record.counter}"
    whole = f"konnektive:{record.reading.connection}:{place.kind}:{place.id}:{meaning}"
    if len(whole) <= MAX_EVENT_ID:
        return whole
    return f"konnektive:{hashlib.blake2b(whole.encode(), digest_size=20).hexdigest()}"


def _sequence(record: Record, position: int) -> int:
    """Orders what may share a second: transactions by their ids, which rise; one record's states by their counter, the events of one state by their place."""
    base = record.counter
    if record.place.kind is Kind.TRANSACTION and record.place.id.isdecimal() and int(record.place.id) < _LARGEST_SEQUENCE_BASE:
        base, position = int(record.place.id), 2 * record.counter + position
    return base * SEQUENCES_PER_STATE + min(position, SEQUENCES_PER_STATE - 1)


def email_of(row: read.Row) -> str | None:
    """The email, in lower case, if it looks like one and is somebody's own."""
    found = read.text(row, "emailAddress")
    return found.lower() if found is not None and is_email(found) and is_usable(found) else None


def _user_id(row: read.Row, setting: str, customer: str | None) -> str | None:
    if setting == "customerId":
        return customer if is_usable(customer) else None
    if not setting.startswith(CUSTOM_FIELD_PREFIX):
        return email_of(row)
    wanted = setting.removeprefix(CUSTOM_FIELD_PREFIX).lower()
    for name, value in read.custom_fields(row).items():
        if name.lower() == wanted and isinstance(value, str | int) and not isinstance(value, bool):
            return str(value) if is_usable(str(value)) else None
    return None


def _context(row: read.Row) -> Json:
    phone = read.text(row, "phoneNumber", 64)
    traits = present({"email": email_of(row), "phone": phone, "country": None if phone is None else read.text(row, "country", 64)})
    referrer = read.text(row, "httpReferer", read.MAX_URL)
    if referrer is None and isinstance(browser := row.get("browserDetails"), dict):
        referrer = read.text(browser, "httpReferer", read.MAX_URL)
    url = read.text(row, "salesUrl", read.MAX_URL)
    theirs = present(
        {
            "affId": read.text(row, "affId"),
            "sourceId": read.id_of(row, "sourceId"),
            "sourceTitle": read.text(row, "sourceTitle"),
            **{name: read.text(row, name) for name in _SOURCE_VALUES},
            "campaignId": read.id_of(row, "campaignId"),
            "campaignName": read.text(row, "campaignName"),
            "salesUrl": url,
            "httpReferer": referrer,
        }
    )
    context = {
        "traits": traits,
        "campaign": present({name: read.exact_text(row, theirs_name) for theirs_name, name in UTM.items()}),
        "ip": read.text(row, "ipAddress", 64),
        "page": present({"url": url, "referrer": referrer}),
        "konnektive": theirs,
    }
    return {name: value for name, value in context.items() if value}
