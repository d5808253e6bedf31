"""Compaction's DuckDB: the files of a partition → the files of its base."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from tributary.adapters.duck import Allowance, Engine
from tributary.adapters.fact_cache import FactCache, FileGone
from tributary.adapters.fact_tables import SnapshotTables
from tributary.errors import StoreUnavailable
from tributary.facts import relations
from tributary.facts.compaction import Made, NewBase
from tributary.facts.manifest import IDENTITIES, FactFile, FactObjects, Manifest, Partition, Place
from tributary.facts.tables import TABLES, Kind

_GROUP_ROWS: Final = 122_880
_FILE_BYTES: Final = "128MB"
"""A file of a base: large enough to be few, small enough for several to be fetched at once."""
_SCHEMA: Final = "compaction"
_ENGINE_PERCENT: Final = 70
_SECONDS: Final = 600.0
"""For one statement: less than the function's time."""


def workshop_of(objects: FactObjects, folder: Path, *, memory_mb: int, storage_mb: int) -> DuckWorkshop:
    """In a function's memory and temporary folder, of which copies, what is put aside, and what is made get a third each."""

    @cache
    def engine() -> Engine:
        return Engine(folder, Allowance(memory_mb=memory_mb * _ENGINE_PERCENT // 100, seconds=_SECONDS, spill_mb=storage_mb // 3))

    return DuckWorkshop(engine, FactCache(objects, folder / "copies", (storage_mb // 3) << 20), folder)


class DuckWorkshop:
    """`Workshop` on DuckDB. `folder` is its own; `cache` lies within it."""

    def __init__(self, engine: Callable[[], Engine], cache: FactCache, folder: Path) -> None:
        self._engine = engine
        self._cache = cache
        self._out = folder / "made"

    def merged(self, manifest: Manifest, place: Place, erased: Set[str]) -> NewBase | None:
        tables = self._open(manifest, erased)
        kind = place.kind
        tables.make_tables([kind])
        before = manifest.of(place).base
        columns = relations.every_column(kind)
        held = tables.path_of(place, (*before.files, *before.shared))
        gone = tables.path_of(place, before.gone)
        engine = self._engine()
        moved, erasing = engine.some("moved"), engine.some("erased") and before.erased < manifest.erased
        if not engine.some(f"raw_{kind}") and not self._names(kind, [*held, *gone], moved="person" in columns and moved, erased=erasing):
            return None
        engine.run(relations.fresh(kind, columns))
        superseded = tables.superseded(kind)
        rows = relations.standing(kind, {place.month: held}, columns, superseded=superseded, moved=moved, erased=erasing, fresh=True)
        rows = relations.standing_without_erased(kind, rows) if engine.some("erased") else rows
        dropped = relations.dropped(kind, gone)
        if kind is not Kind.CONTACTS:
            return NewBase(files=self._write(kind, rows), gone=self._write(kind, dropped))
        engine.run(f"CREATE TABLE several AS SELECT person FROM ({rows}) GROUP BY person HAVING count(*) > 1")
        return NewBase(
            files=self._write(kind, f"SELECT * FROM ({rows}) ANTI JOIN several USING (person)"),
            shared=self._write(kind, f"SELECT * FROM ({rows}) SEMI JOIN several USING (person)"),
            gone=self._write(kind, dropped),
        )

    def generation(self, identities: Partition, erased: Set[str]) -> Sequence[Made]:
        self._open(Manifest(partitions={IDENTITIES: identities}), erased).make_tables([Kind.IDENTITIES])
        columns = ", ".join(relations.every_column(Kind.IDENTITIES))
        rows = relations.standing_without_erased(Kind.IDENTITIES, f"SELECT {columns} FROM raw_{Kind.IDENTITIES}")
        return self._write(Kind.IDENTITIES, rows)

    def consolidated(self, identities: Partition, generation: int) -> NewBase:
        tables = self._open(Manifest(partitions={IDENTITIES: identities}), frozenset())
        tables.make_tables([])
        base = identities.base
        settled = [file for recent in base.recent if recent.generation <= generation for file in recent.files]
        rows, dropped = relations.consolidated(*(tables.path_of(IDENTITIES, files) for files in (base.files, base.gone, settled)))
        return NewBase(files=self._write(Kind.IDENTITIES, rows), gone=self._write(Kind.IDENTITIES, dropped))

    def without(self, place: Place, files: Sequence[FactFile], erased: Set[str]) -> Sequence[Made] | None:
        manifest = Manifest(partitions={place: Partition(place=place, fresh=frozenset(files))})
        tables = self._open(manifest, erased)
        tables.make_tables([])
        paths = tables.path_of(place, files)
        if not self._names(place.kind, paths, moved=False, erased=True):
            return None
        return self._write(place.kind, relations.standing_without_erased(place.kind, relations.rows_of(place.kind, paths)))

    def clear(self) -> None:
        shutil.rmtree(self._out, ignore_errors=True)

    def _open(self, manifest: Manifest, erased: Set[str]) -> SnapshotTables:
        """An empty schema, and all files at hand."""
        try:
            self._cache.fetch({place: [*one.base.every_file, *one.fresh] for place, one in manifest.partitions.items()})
        except FileGone as error:
            raise StoreUnavailable("a file that the manifest names is not in the bucket of FACTS") from error
        engine = self._engine()
        for statement in ("USE main", f"DROP SCHEMA IF EXISTS {_SCHEMA} CASCADE", f"CREATE SCHEMA {_SCHEMA}", f"USE {_SCHEMA}"):
            engine.run(statement)
        return SnapshotTables(engine, self._cache, replace(manifest, partitions=dict(manifest.partitions)), erased)

    def _names(self, kind: Kind, paths: Sequence[str], *, moved: bool, erased: bool) -> bool:
        """Whether files name somebody who moved, or who was erased."""
        found = False
        if moved:
            found = bool(self._engine().run(relations.of_moved(kind, paths)))
        return found or (erased and bool(self._engine().run(f"{relations.of_erased(kind, paths)} LIMIT 1")))

    def _write(self, kind: Kind, rows: str) -> list[Made]:
        """Files of the rows, sorted; none of no rows."""
        self._out.mkdir(parents=True, exist_ok=True)
        folder = self._out / str(len(list(self._out.iterdir())))
        order = ", ".join((*TABLES[kind].sort, "key"))
        self._engine().run(
            f"COPY (SELECT {', '.join(relations.every_column(kind))} FROM ({rows}) ORDER BY {order}) TO '{folder}' "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_GROUP_ROWS}, FILE_SIZE_BYTES '{_FILE_BYTES}')"
        )
        made = [Made(path, self._engine().number("SELECT num_rows FROM parquet_file_metadata(?)", [str(path)])) for path in sorted(folder.iterdir())]
        return [one for one in made if one.rows]
