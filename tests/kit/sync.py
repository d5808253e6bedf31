"""What a sync needs, in memory; and a vendor that is one of the local fakes, called without a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import msgspec

from local.fakes.fake import Fake, Request
from tributary.destinations.encoding import encode_pairs
from tributary.errors import StoreUnavailable, VendorUnavailable, WriteConflict
from tributary.lease import Lease
from tributary.ports import VendorAnswer, VendorRequest
from tributary.sources.konnektive.catalogue import CatalogueEntry
from tributary.sources.konnektive.records import Kind, Place, RecordState
from tributary.sync.state import History, Live, Status


class MemorySyncStore:
    """`SyncStore`. `fail`: names of methods that fail, once each."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], tuple[bytes, int]] = {}
        self.leases: dict[str, tuple[str, datetime]] = {}
        self.statuses: dict[str, Status] = {}
        self.fail: list[str] = []

    def live(self, connection: str) -> tuple[Live, int]:
        data, revision = self.rows.get((connection, "live"), (b"{}", 0))
        return msgspec.json.decode(data, type=Live), revision

    def put_live(self, connection: str, live: Live, expected: int) -> None:
        self._put("put_live", (connection, "live"), live, expected)

    def history(self, connection: str) -> tuple[History | None, int]:
        found = self.rows.get((connection, "history"))
        return (msgspec.json.decode(found[0], type=History), found[1]) if found is not None else (None, 0)

    def put_history(self, connection: str, history: History, expected: int) -> None:
        self._put("put_history", (connection, "history"), history, expected)

    def status(self, connection: str) -> Status:
        return self.statuses.get(connection, Status())

    def put_status(self, connection: str, status: Status) -> None:
        self.statuses[connection] = status

    def lease(self, connection: str, owner: str, now: datetime, seconds: float) -> Lease:
        holder = self.leases.get(connection)
        if holder is not None and holder[0] != owner and holder[1] >= now:
            return Lease.HELD
        self.leases[connection] = (owner, now + timedelta(seconds=seconds))
        return Lease.LEFT if holder is not None and holder[0] != owner else Lease.TAKEN

    def release(self, connection: str, owner: str) -> None:
        if self.leases.get(connection, ("", None))[0] == owner:
            del self.leases[connection]

    def _put(self, method: str, key: tuple[str, str], row: msgspec.Struct, expected: int) -> None:
        if method in self.fail:
            self.fail.remove(method)
            raise StoreUnavailable(f"{method} failed")
        if self.rows.get(key, (b"", 0))[1] != expected:
            raise WriteConflict("another revision")
        self.rows[key] = (msgspec.json.encode(row), expected + 1)


class MemoryRecordStates:
    """`RecordStates`. `fail_puts`: how many of the next puts fail before they are made."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, Place], RecordState] = {}
        self.fail_puts = 0

    def get(self, connection: str, places: Set[Place]) -> Mapping[Place, RecordState]:
        return {place: self.rows[connection, place] for place in places if (connection, place) in self.rows}

    def put(self, connection: str, states: Mapping[Place, RecordState]) -> None:
        if self.fail_puts:
            self.fail_puts -= 1
            raise StoreUnavailable("the states could not be written")
        self.rows |= {(connection, place): state for place, state in states.items()}

    def of_day(self, connection: str, kind: Kind, day: str) -> Iterator[tuple[str, RecordState]]:
        for (owner, place), state in sorted(self.rows.items()):
            if owner == connection and place.kind == kind and place.day == day:
                yield place.id, state


class MemoryCatalogue:
    """`Catalogue`."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], CatalogueEntry] = {}

    def put(self, connection: str, entries: Sequence[CatalogueEntry]) -> None:
        self.rows |= {(connection, entry.kind, entry.id): entry for entry in entries}

    def of(self, connection: str) -> Iterator[CatalogueEntry]:
        yield from [entry for key, entry in sorted(self.rows.items()) if key[0] == connection]


class MemoryNotices:
    """`Notices`."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def tell(self, subject: str, text: str) -> None:
        self.told.append((subject, text))


class FakedVendor:
    """`Vendor` that is a local fake, in this process. `before`: called with each request's path and form, for what is to happen in the middle of a walk.
    `spend`: told how many seconds an answer took."""

    def __init__(self, fake: Fake, now: Callable[[], datetime], spend: Callable[[float], None] = lambda _seconds: None) -> None:
        self._fake = fake
        self._now = now
        self._spend = spend
        self.before: Callable[[str, Mapping[str, Sequence[str]]], None] | None = None
        self.calls: list[tuple[str, Mapping[str, Sequence[str]]]] = []

    def send(self, request: VendorRequest, *, timeout: float) -> VendorAnswer:
        path = urlsplit(request.url).path
        body = encode_pairs(request.form or ())
        form = parse_qs(body, keep_blank_values=True)
        self.calls.append((path, form))
        if self.before is not None:
            self.before(path, form)
        headers = {"content-type": "application/x-www-form-urlencoded"}
        outcome = self._fake.receive(Request(at=self._now(), method=request.method, path=path, headers=headers, body=body.encode()))
        self._spend(min(outcome.delay_s, timeout))
        if outcome.answer is None or outcome.delay_s >= timeout:
            raise VendorUnavailable("no answer in time")
        return VendorAnswer(status=outcome.answer.status, headers=outcome.answer.headers, body=outcome.answer.body)
