"""`Facts` on files: the manifest → what is needed of it, fetched → relations in DuckDB.

What was opened stays open while nothing has changed: then a question costs one look at the manifest.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tributary.adapters.duck import Allowance, Engine
from tributary.adapters.fact_cache import FactCache, FileGone
from tributary.errors import StoreUnavailable
from tributary.facts import relations
from tributary.facts.manifest import WHO_IS_WHO, FactFile, FactObjects, Manifest, Manifests, Partition, Place
from tributary.facts.tables import ALL_MONTHS, TABLES, Kind, Needs

_KEPT: Final = 6
"""Opened snapshots, each with its fresh rows in memory: a page of reports asks for few kinds of facts."""
_TRIES: Final = 4
"""A base may be swapped, and hours later its files deleted, between a look at the manifest and the fetch; hardly twice."""
_IDENTITIES: Final = Place(Kind.IDENTITIES, ALL_MONTHS)
_WEAK_LINKS: Final = Place(Kind.WEAK_LINKS, ALL_MONTHS)


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
            _Builder(self._engine, self._cache, manifest, self._erased_nodes(manifest)).build(needs)
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


class _Builder:
    """Makes the relations of a snapshot, in the schema that is in use."""

    def __init__(self, engine: Engine, cache: FactCache, manifest: Manifest, erased: Set[str]) -> None:
        self._engine = engine
        self._cache = cache
        self._manifest = manifest
        self._erased = erased
        self._of_kind: dict[Kind, list[Partition]] = defaultdict(list)
        for place in sorted(manifest.partitions):
            self._of_kind[place.kind].append(manifest.partitions[place])

    def build(self, needs: Needs) -> None:
        self._run("CREATE TABLE asked (node UUID)", "CREATE TABLE erased (node UUID PRIMARY KEY)")
        if self._erased:
            self._engine.run("INSERT INTO erased SELECT unnest(?)::UUID", [sorted(self._erased)])
        kinds = [kind for kind in needs if kind not in WHO_IS_WHO]
        for kind in kinds:
            self._run(*relations.raw(kind, self._paths(kind, lambda one: one.fresh)))
            met = {one.place.month for one in self._of_kind[kind] if one.fresh}
            base = self._paths(kind, lambda one: one.base.every_file)
            self._run(*relations.against_base(kind, {month: paths for month, paths in base.items() if month in met}))
        self._run(*relations.weak(self._all_paths(_WEAK_LINKS)))
        new, old = self._identities(kinds)
        self._run(*relations.identities(new, old), *relations.PEOPLE)
        moved = self._some("moved")
        for kind in kinds:
            self._run(*relations.fresh(kind))
            base = self._paths(kind, lambda one: one.base.files)
            erased = any(one.base.erased < self._manifest.erased for one in self._of_kind[kind] if one.base.files)
            if kind is Kind.CONTACTS:
                self._contacts(base.get(ALL_MONTHS, []), erased=erased)
            else:
                superseded = [month for (month,) in self._engine.run(f"SELECT DISTINCT month FROM superseded_{kind}")]
                self._run(relations.relation(kind, base, superseded=superseded, moved=moved, erased=erased, fresh=self._some(f"fresh_{kind}")))

    def _contacts(self, base: list[str], *, erased: bool) -> None:
        shared = self._paths(Kind.CONTACTS, lambda one: one.base.shared).get(ALL_MONTHS, [])
        self._run(*relations.contacts(base, shared, erased=bool(self._erased)))
        self._run(relations.contacts_relation(base, superseded=self._some("superseded_contacts"), erased=erased))

    def _identities(self, kinds: Sequence[Kind]) -> tuple[list[str], list[str]]:
        """Files with what came since the oldest base was made, and the others."""
        base = self._manifest.of(_IDENTITIES).base
        folds = [one.base.folded for kind in kinds if TABLES[kind].has_person for one in self._of_kind[kind] if one.base.every_file]
        oldest = min(folds, default=base.folded)
        new = list(self._manifest.of(_IDENTITIES).fresh)
        old: list[FactFile] = []
        for recent in base.recent:
            (new if recent.generation > oldest else old).extend(recent.files)
        before = base.recent[0].generation - 1 if base.recent else base.folded
        (new if before > oldest else old).extend(base.files)
        return self._path_of(_IDENTITIES, new), self._path_of(_IDENTITIES, old)

    def _paths(self, kind: Kind, choose: Callable[[Partition], Set[FactFile] | Sequence[FactFile]]) -> dict[str, list[str]]:
        return {one.place.month: self._path_of(one.place, choose(one)) for one in self._of_kind[kind] if choose(one)}

    def _all_paths(self, place: Place) -> list[str]:
        partition = self._manifest.of(place)
        return self._path_of(place, [*partition.base.files, *partition.base.gone, *partition.fresh])

    def _path_of(self, place: Place, files: Set[FactFile] | Sequence[FactFile]) -> list[str]:
        return [str(self._cache.path(place, file)) for file in sorted(files)]

    def _some(self, table: str) -> bool:
        return bool(self._engine.run(f"SELECT 1 FROM {table} LIMIT 1"))

    def _run(self, *statements: str) -> None:
        for statement in statements:
            self._engine.run(statement)


def _text(needs: Needs) -> str:
    return " ".join(f"{kind}:{months.first}-{months.last}" for kind, months in sorted(needs.items()))
