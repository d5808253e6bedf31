"""Batches of entered rows: the truth behind the facts of ad spend and rates.

A batch is a file of its rows and a row of CONFIG that lists it. Entering and deleting are numbered in one sequence, by a row that both write under a
condition; that number is the version of the facts that they make. So the newest row of a key is the one that was entered last, and a deletion, which is newer
than all that stood, tells each key anew: the row that it had hidden, or that there is none.

Facts are told through the queue of facts after the batch is committed. What is committed and not yet told has a mark that was committed with it; whoever comes
next tells it first, and a caller got no answer before. Telling twice does no harm.

    entered / <kind>                     the number that was given last
    entered#<kind> / <batch>             a batch, deleted ones too
    entered#<kind>#pending / <batch>     not told yet
    entered#<kind>#key / <digest>        of an Idempotency-Key
    entered#<kind>#content / <digest>    the last batch of these very rows
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from tributary.access import new_id
from tributary.entered.reading import RowError
from tributary.errors import StoreUnavailable
from tributary.facts.tables import AdSpendFact, Kind, RateFact
from tributary.identity.digests import public_digest
from tributary.operator import Change, DeleteRow, NotFound, PutRow, Refused, Rows, VersionConflict
from tributary.ports import FactSink

MAX_KEPT_ERRORS: Final = 100
"""Of a batch; the others are counted."""

_TRIES: Final = 5
"""Of a commit that somebody else was quicker with."""
_HEAD: Final = "entered"

R = TypeVar("R", bound=AdSpendFact | RateFact)


class KeyReused(Refused):
    """The Idempotency-Key was sent before, with other rows."""

    code = "idempotency_key_reused"


class BatchFiles(Protocol):
    """The files of batches, by name, as `ad-spend/<batch>`."""

    def put(self, name: str, body: bytes) -> None:
        """Raises `StoreUnavailable`."""

    def get(self, name: str) -> bytes | None:
        """Raises `StoreUnavailable`."""

    def delete(self, name: str) -> None:
        """No matter if it is not there. Raises `StoreUnavailable`."""


class Batch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A batch as CONFIG keeps it. A newer release's fields are ignored."""

    id: str
    label: str = ""
    received_at: datetime
    number: int
    """In the sequence; the version of its facts."""
    rows: int
    refused: int = 0
    first: date
    last: date
    content: str
    """Digest of its rows."""
    deleted_at: datetime | None = None
    deleted_number: int | None = None
    """In the sequence: the version of what its keys were told when it went."""


@dataclass(frozen=True)
class Entered:
    batch: Batch
    repeated: bool
    """It was here before; nothing was done."""


@dataclass(frozen=True)
class EnteredKind(Generic[R]):
    """What there is to know of a kind of entered rows."""

    kind: Kind
    fact: type[R]
    folder: str
    """Of its files, and its name in routes."""
    prefix: str
    """Of its batches' ids."""


AD_SPEND: Final = EnteredKind(Kind.AD_SPEND, AdSpendFact, "ad-spend", "spend")
RATES: Final = EnteredKind(Kind.RATES, RateFact, "rates", "rates")


class _Head(msgspec.Struct, frozen=True):
    number: int


@dataclass(frozen=True)
class _Turn:
    """A number of the sequence, to be given out while its row is at the version `expected`."""

    number: int
    expected: int


class _Reference(msgspec.Struct, frozen=True):
    """Where a repeat leads."""

    batch: str
    content: str


class Batches(Generic[R]):
    """Use cases on the batches of one kind. Raises `Refused` and `StoreUnavailable`."""

    def __init__(self, kind: EnteredKind[R], *, rows: Rows, files: BatchFiles, sink: FactSink, now: Callable[[], datetime]) -> None:
        self._kind = kind
        self._rows = rows
        self._files = files
        self._sink = sink
        self._now = now
        self._pk = f"entered#{kind.kind}"

    def enter(self, facts: Sequence[R], *, label: str = "", errors: Sequence[RowError] = (), refused: int = 0, key: str | None = None) -> Entered:
        """Keep the rows (one at least, keys all different) and tell them. `key`: the caller's Idempotency-Key; with one that was sent before, the batch that it
        made is the answer, or `KeyReused` where the rows are others. Without one, the same rows as a batch that still stands whole are that batch again."""
        self.settle()
        content = _digest(facts)
        written: str | None = None
        for _ in range(_TRIES):
            turn = self._turn()
            again = self._repeated(content, key)
            if again is not None:
                if written is not None:
                    self._files.delete(self._file(written))
                return Entered(again, repeated=True)
            batch = self._made(written or new_id(self._kind.prefix), turn, facts, label=label, refused=refused, content=content)
            if written is None:
                self._files.put(self._file(batch.id), _packed(facts, errors))
                written = batch.id
            try:
                self._rows.commit([self._taken(turn), *self._new_rows(batch, key)])
            except VersionConflict:
                continue
            self._tell(batch, facts)
            self._told(batch.id, 1)
            return Entered(batch, repeated=False)
        raise StoreUnavailable("others entered rows at the same moment")

    def all(self) -> list[Batch]:
        """The batches that stand, the newest first."""
        listed = [msgspec.json.decode(row.data, type=Batch) for _, row in self._rows.under(self._pk)]
        return sorted((batch for batch in listed if batch.deleted_at is None), key=lambda batch: -batch.number)

    def one(self, id: str) -> Batch:
        """A batch that stands. Raises `NotFound`."""
        batch = self._batch(id)
        if batch is None or batch.deleted_at is not None:
            raise NotFound("there is no such batch")
        return batch

    def waiting(self) -> Set[str]:
        """Ids of batches that are kept and were not told yet, whose callers had no answer."""
        return {id for id, _ in self._rows.under(self._pending)}

    def errors(self, batch: Batch) -> list[RowError]:
        """What was wrong with the rows that were not taken: the first of it."""
        found = self._files.get(self._file(batch.id))
        return [] if found is None else self._unpacked(found)[1]

    def delete(self, id: str) -> None:
        """Take a batch back: what it had hidden shows again. Safe to repeat. Raises `NotFound`."""
        for _ in range(_TRIES):
            turn = self._turn()
            row = self._rows.get(self._pk, id)
            if row is None:
                raise NotFound("there is no such batch")
            batch = msgspec.json.decode(row.data, type=Batch)
            if batch.deleted_at is not None:
                break
            gone = msgspec.structs.replace(batch, deleted_at=self._now(), deleted_number=turn.number)
            pending = self._rows.get(self._pending, id)
            changes: list[Change] = [
                self._taken(turn),
                PutRow(self._pk, id, _json(gone), row.version),
                PutRow(self._pending, id, "{}", 0 if pending is None else pending.version),
            ]
            try:
                self._rows.commit(changes)
            except VersionConflict:
                continue
            break
        else:
            raise StoreUnavailable("others entered rows at the same moment")
        self.settle()

    def settle(self) -> None:
        """Tell what was committed and never told: somebody's call ended in between."""
        for id, mark in self._rows.under(self._pending):
            batch = self._batch(id)
            if batch is not None and batch.deleted_number is None:
                self._tell(batch, self._facts(batch))
            elif batch is not None:
                self._tell_deletion(batch)
            self._told(id, mark.version)

    def facts(self) -> Iterator[list[R]]:
        """Every row of every batch that stands, the oldest batch first: what the facts of this kind are made of, to make them again."""
        for batch in reversed(self.all()):
            yield _versioned(self._facts(batch), batch)

    # ---------------------------------------------------------------- inside

    @property
    def _pending(self) -> str:
        return f"{self._pk}#pending"

    def _file(self, id: str) -> str:
        return f"{self._kind.folder}/{id}"

    def _batch(self, id: str) -> Batch | None:
        row = self._rows.get(self._pk, id)
        return None if row is None else msgspec.json.decode(row.data, type=Batch)

    def _turn(self) -> _Turn:
        """The number to come. Microseconds since 1970, so that the sequence goes on where CONFIG was lost. To be asked for before anything else is read: what
        is committed with it then fails if anything was entered or deleted since."""
        row = self._rows.get(_HEAD, str(self._kind.kind))
        now = int(self._now().timestamp() * 1_000_000)
        return _Turn(now, 0) if row is None else _Turn(max(now, msgspec.json.decode(row.data, type=_Head).number + 1), row.version)

    def _taken(self, turn: _Turn) -> Change:
        return PutRow(_HEAD, str(self._kind.kind), _json(_Head(turn.number)), turn.expected)

    def _made(self, id: str, turn: _Turn, facts: Sequence[R], *, label: str, refused: int, content: str) -> Batch:
        days = [fact.day for fact in facts]
        return Batch(
            id=id,
            label=label,
            received_at=self._now(),
            number=turn.number,
            rows=len(facts),
            refused=refused,
            first=min(days),
            last=max(days),
            content=content,
        )

    def _new_rows(self, batch: Batch, key: str | None) -> list[Change]:
        reference = _json(_Reference(batch.id, batch.content))
        of_content = self._rows.get(f"{self._pk}#content", batch.content)
        changes: list[Change] = [
            PutRow(self._pk, batch.id, _json(batch), 0),
            PutRow(self._pending, batch.id, "{}", 0),
            PutRow(f"{self._pk}#content", batch.content, reference, 0 if of_content is None else of_content.version),
        ]
        if key is not None:
            changes.append(PutRow(f"{self._pk}#key", public_digest(key), reference, 0))
        return changes

    def _repeated(self, content: str, key: str | None) -> Batch | None:
        if key is not None:
            row = self._rows.get(f"{self._pk}#key", public_digest(key))
            if row is None:
                return None
            known = msgspec.json.decode(row.data, type=_Reference)
            if known.content != content:
                raise KeyReused("this key was sent before, with other rows", field="idempotency-key")
            return self._batch(known.batch)
        row = self._rows.get(f"{self._pk}#content", content)
        batch = None if row is None else self._batch(msgspec.json.decode(row.data, type=_Reference).batch)
        if batch is None or batch.deleted_at is not None:
            return None
        later = [other for other in self.all() if other.number > batch.number and _overlap(other, batch)]
        return None if later else batch

    def _facts(self, batch: Batch) -> list[R]:
        found = self._files.get(self._file(batch.id))
        if found is None:
            raise StoreUnavailable("the rows of a batch are not there")
        return self._unpacked(found)[0]

    def _tell(self, batch: Batch, facts: Iterable[R]) -> None:
        self._sink.append({self._kind.kind: _versioned(facts, batch)})

    def _tell_deletion(self, batch: Batch) -> None:
        """What each of its keys is now. Whatever happened to a key since is newer, and has been told, or is going to be."""
        file = self._files.get(self._file(batch.id))
        if file is None:  # told: its rows go after that
            return
        assert batch.deleted_number is not None
        left = {fact.key: fact for fact in self._unpacked(file)[0]}
        told: list[R] = []
        for other in self.all():
            if not left:
                break
            if not _overlap(other, batch):
                continue
            shown = [fact for fact in self._rows_of(other) if left.pop(fact.key, None) is not None]
            told += [msgspec.structs.replace(fact, batch=other.id, version=batch.deleted_number) for fact in shown]
        told += [msgspec.structs.replace(fact, batch=batch.id, version=batch.deleted_number, gone=True) for fact in left.values()]
        self._sink.append({self._kind.kind: told})
        self._files.delete(self._file(batch.id))

    def _rows_of(self, batch: Batch) -> list[R]:
        """Of a batch that stood a moment ago; none if it was deleted since, which tells its keys itself."""
        try:
            return self._facts(batch)
        except StoreUnavailable:
            now = self._batch(batch.id)
            if now is not None and now.deleted_at is not None:
                return []
            raise

    def _told(self, id: str, version: int) -> None:
        """`version`: of the mark as it was before it was told. A mark that was put anew meanwhile, since the batch was deleted, stays."""
        try:
            self._rows.commit([DeleteRow(self._pending, id, version)])
        except VersionConflict:
            return

    def _unpacked(self, body: bytes) -> tuple[list[R], list[RowError]]:
        stored = msgspec.json.decode(zlib.decompress(body), type=_Stored)
        return msgspec.json.decode(stored.rows, type=list[self._kind.fact]), list(stored.errors)  # type: ignore[name-defined]


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A batch's file."""

    schema_version: int = 1
    rows: msgspec.Raw
    errors: Sequence[RowError] = ()


def _packed(facts: Sequence[Any], errors: Sequence[RowError]) -> bytes:
    rows = msgspec.Raw(msgspec.json.encode(facts))
    return zlib.compress(msgspec.json.encode(_Stored(rows=rows, errors=errors[:MAX_KEPT_ERRORS])))


def _versioned(facts: Iterable[R], batch: Batch) -> list[R]:
    return [msgspec.structs.replace(fact, batch=batch.id, version=batch.number) for fact in facts]


def _digest(facts: Sequence[Any]) -> str:
    """Of the rows as they are, in whatever order."""
    return hashlib.sha256(msgspec.json.encode(sorted(facts, key=lambda fact: str(fact.key)))).hexdigest()[:32]


def _overlap(one: Batch, other: Batch) -> bool:
    return one.first <= other.last and other.first <= one.last


def _json(value: msgspec.Struct) -> str:
    return msgspec.json.encode(value).decode()
