"""Which files FACTS consists of: the one page that says what exists. A file that it does not name is not there, whatever the bucket holds.

Of each (kind, month) it names `fresh` files, as they were written, which may repeat rows and hold older versions of them, and a `base`, which a compaction
made: its rows are one a key, sorted, and their `person` is resolved as of a generation of the identities. A writer only adds a name to `fresh`, which needs
no reading and does no harm twice. Only a compaction swaps a base, under the condition that nobody else has, and takes out of `fresh` just what it read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple, Protocol, Self

import msgspec

from tributary.facts.tables import ALL_MONTHS, TABLES, Kind, Needs
from tributary.identity.digests import public_digest

WHO_IS_WHO: Final = (Kind.IDENTITIES, Kind.WEAK_LINKS)
"""The kinds that tell which nodes are one person."""


class FactFile(msgspec.Struct, frozen=True, order=True):
    """A Parquet file. Never changed once it is named."""

    name: str
    rows: int
    bytes: int

    @property
    def text(self) -> str:
        """As it stands in a set of strings."""
        return f"{self.name}.{self.rows}.{self.bytes}"

    @classmethod
    def of(cls, text: str) -> Self:
        name, rows, size = text.rsplit(".", 2)
        return cls(name, int(rows), int(size))


class Recent(msgspec.Struct, frozen=True):
    """Identities that came with a generation, and are not yet in every base."""

    generation: int
    files: tuple[FactFile, ...]


class Base(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What compaction has made of a (kind, month)."""

    files: tuple[FactFile, ...] = ()
    """Rows that stand: one a key."""
    gone: tuple[FactFile, ...] = ()
    """Rows that do not: so that an older version that comes late stays away."""
    shared: tuple[FactFile, ...] = ()
    """Of contacts: the rows of people who have more than one. They are in no other file."""
    folded: int = 0
    """The generation of identities that `person` is resolved by. Of identities themselves: the latest there is."""
    erased: int = 0
    """The revision of the list of erased nodes without which the rows are."""
    recent: tuple[Recent, ...] = ()
    """Of identities: the latest generations, beside `files`, which hold all older ones."""

    @property
    def files_generation(self) -> int:
        """Of identities: the latest generation that is in `files`."""
        return self.recent[0].generation - 1 if self.recent else self.folded

    @property
    def every_file(self) -> tuple[FactFile, ...]:
        return (*self.files, *self.gone, *self.shared, *(file for recent in self.recent for file in recent.files))


_NOTHING: Final = Base()


class Place(NamedTuple):
    kind: Kind
    month: str


IDENTITIES: Final = Place(Kind.IDENTITIES, ALL_MONTHS)
WEAK_LINKS: Final = Place(Kind.WEAK_LINKS, ALL_MONTHS)


@dataclass(frozen=True, kw_only=True)
class Partition:
    place: Place
    base: Base = _NOTHING
    fresh: frozenset[FactFile] = frozenset()
    revision: int = 0
    """How often the base was swapped."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    partitions: Mapping[Place, Partition] = field(default_factory=dict)
    erased: int = 0
    """The revision of the list of erased nodes."""

    def of(self, place: Place) -> Partition:
        return self.partitions.get(place) or Partition(place=place)

    def needed(self, needs: Needs) -> Manifest:
        """What a question can need: its kinds and months, and who is who if any of it has people."""
        kinds = set(needs)
        if any(TABLES[kind].has_person for kind in needs):
            kinds.update(WHO_IS_WHO)
        return replace(
            self,
            partitions={
                place: partition
                for place, partition in self.partitions.items()
                if place.kind in kinds and (place.kind in WHO_IS_WHO or needs[place.kind].holds(place.month))
            },
        )

    def with_(self, partitions: Iterable[Partition]) -> Manifest:
        return replace(self, partitions={**self.partitions, **{one.place: one for one in partitions}})

    @property
    def id(self) -> str:
        """The same text for the same files."""
        lines: list[str] = []
        for one in sorted(self.partitions.values(), key=lambda one: one.place):
            lines += (one.place.kind, one.place.month, str(one.base.folded), str(one.base.erased))
            lines += sorted(file.name for file in (*one.base.every_file, *one.fresh))
        return public_digest(str(self.erased), *lines)


@dataclass(frozen=True, kw_only=True)
class Replaced:
    """Files that a compaction was about to replace, or to put in their place."""

    at: datetime
    place: Place
    names: frozenset[str]


class Manifests(Protocol):
    """The manifest and the list of erased nodes. All reads are strongly consistent; each call raises `StoreUnavailable`."""

    def read(self) -> Manifest: ...

    def read_some(self, places: Sequence[Place]) -> list[Partition]: ...

    def add(self, place: Place, file: FactFile) -> None:
        """Name a fresh file. The same again does no harm."""

    def swap(self, before: Partition, base: Base) -> None:
        """Put the base in place of `before`'s, and take `before`'s fresh files out. Raises `WriteConflict` if another base has come since."""

    def will_replace(self, row: Replaced) -> None:
        """Remember them: those that are not named in the end are to be deleted."""

    def replaced(self) -> list[Replaced]:
        """The oldest first."""

    def forget(self, row: Replaced) -> None: ...

    def erased_revision(self) -> int: ...

    def erased(self) -> Set[str]:
        """All erased nodes. Read after a revision, it holds at least what that revision stands for."""

    def erase(self, nodes: Set[str]) -> None:
        """Add to the list, for ever: when this returns, whoever looks from now on obeys it."""


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    place: Place
    name: str
    written_at: datetime


class FactObjects(Protocol):
    """The files themselves, in the bucket. Each call raises `StoreUnavailable`."""

    def put(self, place: Place, name: str, path: Path) -> None: ...

    def fetch(self, place: Place, name: str, path: Path) -> bool:
        """Copy it to `path`; False if there is no such file."""

    def delete(self, place: Place, names: Sequence[str]) -> None: ...

    def all(self) -> Iterable[StoredObject]: ...
