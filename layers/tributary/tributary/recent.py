"""The recent events of all sources as one list, newest first, page by page: what `GET /api/events` answers and `events --follow` watches.

The list is kept per source; here the sources are merged by time of receipt. A cursor says for each source where to go on, and holds the window it began with,
so that "the last hour" does not move between two pages.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import heapq
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec

from tributary import events
from tributary.events import EVENT_TYPES
from tributary.ports import EventLog, Feed, FeedEntry, FeedStatus

KEPT: Final = timedelta(days=7)
"""How far back the list goes."""
DEFAULT_WINDOW: Final = timedelta(hours=1)
MAX_LIMIT: Final = 200
MAX_LIMIT_WITH_BODIES: Final = 50
"""A body has 32 KB, as JSON text within JSON more; a function's answer has 6 MB."""

_DURATION: Final = re.compile(r"([0-9]{1,5})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class QueryInvalid(Exception):
    """A parameter does not fit; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which events: received from `since` up to and without `until`."""

    since: datetime
    until: datetime
    source: str | None = None
    type: str | None = None
    status: FeedStatus | None = None


@dataclass(frozen=True)
class Page:
    entries: Sequence[FeedEntry]
    cursor: str | None


class _Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    query: str
    since: Annotated[datetime, msgspec.Meta(tz=True)]
    until: Annotated[datetime, msgspec.Meta(tz=True)]
    places: dict[str, str | None]
    """Source → where its list goes on; None: from its beginning. A source that is not named is at its end."""


def query_of(
    *, now: datetime, source: str | None = None, type: str | None = None, status: str | None = None, since: str | None = None, until: str | None = None
) -> Query:
    """The query that a person asked for: times as ISO 8601 or as a duration before now (`15m`, `2h`, `3d`). Raises `QueryInvalid`."""
    if type is not None and type not in EVENT_TYPES:
        raise QueryInvalid("type", f"one of {', '.join(EVENT_TYPES)}")
    if status is not None and status not in set(FeedStatus):
        raise QueryInvalid("status", f"one of {', '.join(FeedStatus)}")
    to = _moment("until", until, now) if until is not None else now
    start = _moment("since", since, now) if since is not None else to - DEFAULT_WINDOW
    # A minute's grace, so that `since=7d` of a slow caller is no error.
    if start < now - KEPT - timedelta(minutes=1):
        raise QueryInvalid("since", f"the list goes back {KEPT.days} days")
    if start >= to:
        raise QueryInvalid("since", "not before `until`")
    return Query(source=source, type=type, status=None if status is None else FeedStatus(status), since=start, until=to)


class RecentEvents:
    """Reads the list."""

    def __init__(self, feed: Feed, log: EventLog) -> None:
        self._feed = feed
        self._log = log

    def page(self, query: Query, *, sources: Sequence[str], limit: int, cursor: str | None = None) -> Page:
        """A page of at most `limit` lines and the cursor of the next. `sources`: those there are. Raises `QueryInvalid` for a cursor of another query."""
        if cursor is None:
            wanted = sources if query.source is None else [query.source]
            places: dict[str, str | None] = dict.fromkeys(wanted)
        else:
            query, places = _read_cursor(cursor, query)
        lists = {source: self._read(source, query, limit, place) for source, place in sorted(places.items())}
        merged = heapq.merge(*(_numbered(found[0]) for found in lists.values()), key=lambda numbered: -numbered[1].received_at.timestamp())
        taken: dict[str, int] = dict.fromkeys(places, 0)
        page: list[FeedEntry] = []
        for number, entry in merged:
            page.append(entry)
            taken[entry.source] = number
            if len(page) == limit:
                break
        following: dict[str, str | None] = {}
        for source, (found, after) in lists.items():
            if taken[source] == len(found):
                if after is not None:
                    following[source] = after
            elif taken[source] == 0:
                following[source] = places[source]
            else:
                # Only a part of what was read is on the page: asking for that part alone gives the place behind it.
                following[source] = self._read(source, query, taken[source], places[source])[1]
        return Page(page, _write_cursor(query, following) if following else None)

    def bodies(self, entries: Sequence[FeedEntry]) -> list[FeedEntry]:
        """The same lines with the body of each: of an accepted event as the log keeps it, of a rejected item as it was sent."""
        return [entry if entry.body is not None or entry.event_key is None else replace(entry, body=self._body(entry)) for entry in entries]

    def _body(self, entry: FeedEntry) -> str | None:
        if entry.event_key is None or entry.message_id is None:
            return None
        event = self._log.get(entry.event_key[0], entry.source, entry.message_id)
        return None if event is None else events.encode(event).decode()

    def _read(self, source: str, query: Query, limit: int, place: str | None) -> tuple[list[FeedEntry], str | None]:
        try:
            return self._feed.read(source=source, since=query.since, until=query.until, type=query.type, status=query.status, limit=limit, cursor=place)
        except (ValueError, TypeError) as error:
            if place is None:
                raise
            raise QueryInvalid("cursor", "not a cursor of this list") from error


def without_bodies(entries: Sequence[FeedEntry]) -> list[FeedEntry]:
    """The lines for whoever may not read bodies: neither what was sent nor where the log keeps it, since that place names a person."""
    return [replace(entry, body=None, event_key=None) for entry in entries]


def _moment(field: str, text: str, now: datetime) -> datetime:
    duration = _DURATION.fullmatch(text)
    if duration is not None:
        return now - timedelta(**{_UNITS[duration[2]]: int(duration[1])})
    try:
        # In a query string an unescaped plus is a space: `2026-03-04T12:00:00 01:00` was meant as an offset.
        moment = datetime.fromisoformat(re.sub(r" (?=[0-9]{2}:?[0-9]{2}$)", "+", text) if "T" in text else text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise QueryInvalid(field, "a time as 2026-03-04T12:00:00Z, or a duration as 15m, 2h or 3d") from error
    raise QueryInvalid(field, "a time with its offset, as 2026-03-04T12:00:00Z")


def _numbered(entries: Sequence[FeedEntry]) -> Iterator[tuple[int, FeedEntry]]:
    return iter(enumerate(entries, start=1))


def _fingerprint(query: Query) -> str:
    return hashlib.blake2b(f"{query.source}|{query.type}|{query.status}".encode(), digest_size=6).hexdigest()


def _write_cursor(query: Query, places: dict[str, str | None]) -> str:
    cursor = _Cursor(_fingerprint(query), query.since, query.until, places)
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def _read_cursor(text: str, query: Query) -> tuple[Query, dict[str, str | None]]:
    try:
        cursor = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=_Cursor)
    except (binascii.Error, ValueError) as error:  # msgspec's errors are ValueErrors
        raise QueryInvalid("cursor", "not a cursor of this list") from error
    if cursor.query != _fingerprint(query):
        raise QueryInvalid("cursor", "this cursor belongs to another source, type or status")
    if not query.until - KEPT - timedelta(days=1) <= cursor.since < cursor.until:
        raise QueryInvalid("cursor", "this cursor is too old: begin again without it")
    return replace(query, since=cursor.since, until=cursor.until), cursor.places
