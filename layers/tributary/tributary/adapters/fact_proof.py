"""The proof of an erasure: every file of FACTS is read, whether anything names it or not, and the rows that tell of somebody erased are counted."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Set
from pathlib import Path

from tributary.adapters.duck import Engine
from tributary.facts import relations
from tributary.facts.erasure import PERSONAL
from tributary.facts.manifest import FactObjects
from tributary.facts.tables import Kind


def rows_left(objects: FactObjects, nodes: Set[str], engine: Engine, folder: Path) -> Counter[Kind]:
    """How many rows of each kind name one of the nodes; empty once an erasure is done: after the next compaction, and an hour. `folder`: the engine's. Raises
    `StoreUnavailable`. A file that is deleted meanwhile has none."""
    engine.run("CREATE OR REPLACE TABLE main.erased AS SELECT unnest(?)::UUID AS node", [sorted(nodes)])
    engine.run("USE main")
    left: Counter[Kind] = Counter()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as here:
        path = Path(here) / "file.parquet"
        for one in objects.all():
            if one.place.kind in PERSONAL and objects.fetch(one.place, one.name, path):
                left[one.place.kind] += engine.number(f"SELECT count(*) FROM ({relations.of_erased(one.place.kind, [str(path)])})")
    return +left
