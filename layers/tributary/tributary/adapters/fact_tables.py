"""A snapshot of FACTS in DuckDB: files → the tables and relations of `facts.relations`, in the schema that is in use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence, Set

from tributary.adapters.duck import Engine
from tributary.adapters.fact_cache import FactCache
from tributary.facts import relations
from tributary.facts.manifest import IDENTITIES, WEAK_LINKS, WHO_IS_WHO, FactFile, Manifest, Partition, Place
from tributary.facts.tables import ALL_MONTHS, TABLES, Kind, Needs


class SnapshotTables:
    """`manifest`: what is needed and no more; its files are in the cache."""

    def __init__(self, engine: Engine, cache: FactCache, manifest: Manifest, erased: Set[str]) -> None:
        self._engine = engine
        self._cache = cache
        self._manifest = manifest
        self._erased = erased
        self._of_kind: dict[Kind, list[Partition]] = defaultdict(list)
        for place in sorted(manifest.partitions):
            self._of_kind[place.kind].append(manifest.partitions[place])

    def make_relations(self, needs: Needs) -> None:
        """A relation for each kind, as `ports.Relations` has them."""
        kinds = [kind for kind in needs if kind not in WHO_IS_WHO]
        self.make_tables(kinds)
        for kind in kinds:
            self._run(relations.fresh(kind, relations.columns_of(kind)), f"DROP TABLE raw_{kind}")
            base = self.paths(kind, lambda one: one.base.files)
            erased = any(one.base.erased < self._manifest.erased for one in self._of_kind[kind])
            if kind is Kind.CONTACTS:
                self._contacts(base.get(ALL_MONTHS, []), erased=erased)
            else:
                fresh = self._engine.some(f"fresh_{kind}")
                moved, whole = self._moved(kind, base), self._whole(kind, [path for paths in base.values() for path in paths])
                self._run(relations.relation(kind, base, superseded=self.superseded(kind), moved=moved, erased=erased, fresh=fresh, whole=whole))

    def make_tables(self, kinds: Sequence[Kind]) -> None:
        """What is new of these kinds, and who is who among those it is of."""
        self._run("CREATE TABLE asked (node UUID)", "CREATE TABLE erased (node UUID PRIMARY KEY)")
        if self._erased:
            self._engine.run("INSERT INTO erased SELECT unnest(?)::UUID", [sorted(self._erased)])
        for kind in kinds:
            self._run(*relations.raw(kind, self.paths(kind, lambda one: one.fresh)))
            met = {one.place.month for one in self._of_kind[kind] if one.fresh}
            base = self.paths(kind, lambda one: one.base.every_file)
            self._run(*relations.against_base(kind, {month: paths for month, paths in base.items() if month in met}))
        weak = self._manifest.of(WEAK_LINKS)
        self._run(*relations.weak(self.path_of(WEAK_LINKS, [*weak.base.files, *weak.base.gone, *weak.fresh])))
        self._run(*self._identities(kinds), *relations.PEOPLE)

    def _moved(self, kind: Kind, base: relations.PathsByMonth) -> bool:
        """Whether a base names somebody who moved: if none does, no question pays for asking."""
        paths = [path for month in sorted(base) for path in base[month]]
        return TABLES[kind].has_person and self._engine.some("moved") and bool(self._engine.run(relations.of_moved(kind, paths)))

    def _whole(self, kind: Kind, paths: Sequence[str]) -> bool:
        """Whether all of the files have exactly the columns of the table, so that no statement need look."""
        if not paths or self._engine.number(relations.shapes(paths)) > 1:
            return False
        asked, found = (self._engine.run(f"DESCRIBE {rows}") for rows in (relations.no_rows(kind), relations.first_of(paths)))
        return {column[:2] for column in asked} == {column[:2] for column in found}

    def superseded(self, kind: Kind) -> list[str]:
        """The months of which base rows no longer stand."""
        return [month for (month,) in self._engine.run(f"SELECT DISTINCT month FROM superseded_{kind}")]

    def paths(self, kind: Kind, choose: Callable[[Partition], Iterable[FactFile]]) -> dict[str, list[str]]:
        found = {one.place.month: self.path_of(one.place, choose(one)) for one in self._of_kind[kind]}
        return {month: paths for month, paths in found.items() if paths}

    def path_of(self, place: Place, files: Iterable[FactFile]) -> list[str]:
        return [str(self._cache.path(place, file)) for file in sorted(files)]

    def _contacts(self, base: list[str], *, erased: bool) -> None:
        shared = self.paths(Kind.CONTACTS, lambda one: one.base.shared).get(ALL_MONTHS, [])
        self._run(*relations.contacts(base, shared, erased=bool(self._erased)))
        whole = self._whole(Kind.CONTACTS, base)
        self._run(relations.contacts_relation(base, superseded=self._engine.some("superseded_contacts"), erased=erased, whole=whole))

    def _identities(self, kinds: Sequence[Kind]) -> list[str]:
        who = self._manifest.of(IDENTITIES)
        folds = [one.base.folded for kind in kinds if TABLES[kind].has_person for one in self._of_kind[kind] if one.base.every_file]
        oldest = min(folds, default=who.base.folded)
        latest = [*who.fresh, *(file for recent in who.base.recent for file in recent.files)]
        moving = [*who.fresh, *(file for recent in who.base.recent if recent.generation > oldest for file in recent.files)]
        if who.base.files_generation > oldest:  # files of the base were looked at before, those of who is who after them
            moving += who.base.files
            latest += who.base.files
        return relations.identities(self.path_of(IDENTITIES, latest), self.path_of(IDENTITIES, who.base.files), self.path_of(IDENTITIES, moving))

    def _run(self, *statements: str) -> None:
        for statement in statements:
            self._engine.run(statement)
