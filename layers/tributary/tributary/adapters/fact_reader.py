"""`Facts` on files: the manifest → what is needed of it, fetched → relations in DuckDB.

What was opened stays open while nothing has changed: then a question costs one look at the manifest.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tributary.adapters.duck import Allowance, Engine
from tributary.adapters.fact_cache import FactCache, FileGone
from tributary.adapters.fact_tables import SnapshotTables
from tributary.errors import StoreUnavailable
from tributary.facts.manifest import WHO_IS_WHO, FactObjects, Manifest, Manifests
from tributary.facts.tables import Needs

_KEPT: Final = 6
"""Opened snapshots, each with its fresh rows in memory: a page of reports asks for few kinds of facts."""
_TRIES: Final = 4
"""A base may be swapped, and hours later its files deleted, between a look at the manifest and the fetch; hardly twice."""


@dataclass(frozen=True)
class _Opened:
    schema: str
    needs: Needs
    manifest: Manifest


class _Relations:
    """`Relations` of a schema."""

    def __init__(self, engine: Engine, opened: _Opened, as_of: datetime) -> None:
        self._engine = engine
        self._opened = opened
        self.as_of = as_of
        self.snapshot = opened.manifest.id

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self._engine.run(f"USE {self._opened.schema}")
        return self._engine.run(sql, parameters)


class DuckFacts:
    """`Facts` on DuckDB. `folder` is its own; `room`: bytes for copies of files."""

    def __init__(self, objects: FactObjects, manifests: Manifests, folder: Path, *, allowance: Allowance, room: int, now: Callable[[], datetime]) -> None:
        self._manifests = manifests
        self._folder = folder
        self._allowance = allowance
        self._now = now
        self._cache = FactCache(objects, folder, room)
        self._engine: Engine | None = None
        self._opened: OrderedDict[tuple[str, str], _Opened] = OrderedDict()
        self._schemas = 0
        self._erased: tuple[int, Set[str]] = (0, frozenset())

    @contextmanager
    def open(self, needs: Needs) -> Iterator[_Relations]:
        as_of = self._now()
        if self._engine is None:
            self._engine = Engine(self._folder, self._allowance)
        self._engine.begin()
        yield _Relations(self._engine, self._open(needs), as_of)

    def _open(self, needs: Needs) -> _Opened:
        for _ in range(_TRIES):
            manifest = self._manifests.read().needed(needs)
            found = self._opened.get((_text(needs), manifest.id))
            try:
                if found is None:
                    # Who is who is read after all else: whoever names a fact has named its people's identities before.
                    manifest = manifest.with_(self._manifests.read_some([place for place in manifest.partitions if place.kind in WHO_IS_WHO]))
                    self._fetch(manifest)
                    return self._build(needs, manifest)
                self._fetch(manifest)
            except FileGone:
                continue
            self._opened.move_to_end((_text(needs), manifest.id))
            return found
        raise StoreUnavailable("facts were replaced again and again while they were read")

    def _fetch(self, manifest: Manifest) -> None:
        self._cache.fetch({place: [*one.base.every_file, *one.fresh] for place, one in manifest.partitions.items()})

    def _build(self, needs: Needs, manifest: Manifest) -> _Opened:
        if self._engine is None:
            self._engine = Engine(self._folder, self._allowance)
        for key in [key for key, one in self._opened.items() if one.needs == needs]:
            self._drop(key)
        while len(self._opened) >= _KEPT:
            self._drop(next(iter(self._opened)))
        self._schemas += 1
        opened = _Opened(f"facts_{self._schemas}", needs, manifest)
        self._engine.run(f"CREATE SCHEMA {opened.schema}")
        self._engine.run(f"USE {opened.schema}")
        try:
            SnapshotTables(self._engine, self._cache, manifest, self._erased_nodes(manifest)).make_relations(needs)
        except BaseException:
            self._engine.drop(opened.schema)
            raise
        self._opened[_text(needs), manifest.id] = opened
        return opened

    def _drop(self, key: tuple[str, str]) -> None:
        if self._engine is not None:
            self._engine.drop(self._opened.pop(key).schema)

    def _erased_nodes(self, manifest: Manifest) -> Set[str]:
        if manifest.erased != self._erased[0]:
            self._erased = (manifest.erased, self._manifests.erased())
        return self._erased[1]


def _text(needs: Needs) -> str:
    return " ".join(f"{kind}:{months.first}-{months.last}" for kind, months in sorted(needs.items()))
