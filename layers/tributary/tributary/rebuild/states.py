"""The row that says which generations there are, and the only ways in which it changes: begun, switched, or given up, and what is no longer served dropped."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from tributary.generations import PARTITION, SORT, Generations
from tributary.operator import PutRow, Refused, Rows


class RebuildRefused(Refused):
    code: ClassVar[str] = "rebuild_refused"


class States:
    """Each change is made under the version that was read: of two people who change it at once, the second is refused (`VersionConflict`)."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def now(self) -> Generations:
        return self._read()[0]

    def begin(self) -> Generations:
        """A generation to be built; the one that is being built already, where there is one. Raises `RebuildRefused` while an old one is still there."""
        found, version = self._read()
        if found.building is not None:
            return found
        if found.retired is not None:
            raise RebuildRefused(f"generation {found.retired} was served before and is still there: drop it first")
        return self._write(msgspec.structs.replace(found, building=found.serving + 1), version)

    def switch(self) -> Generations:
        """Serve the one that was built. The other stays as it is until it is dropped, and falls behind."""
        found, version = self._read()
        if found.building is None:
            raise RebuildRefused("no generation is being built")
        return self._write(Generations(serving=found.building, retired=found.serving), version)

    def give_up(self) -> Generations:
        """Write no longer to the one that is being built; it can be dropped then."""
        found, version = self._read()
        if found.building is None:
            return found
        return self._write(Generations(serving=found.serving, retired=found.building), version)

    def dropped(self) -> Generations:
        """What was retired is no longer there."""
        found, version = self._read()
        return self._write(msgspec.structs.replace(found, retired=None), version)

    def _read(self) -> tuple[Generations, int]:
        row = self._rows.get(PARTITION, SORT)
        return (Generations(), 0) if row is None else (msgspec.json.decode(row.data, type=Generations), row.version)

    def _write(self, new: Generations, version: int) -> Generations:
        self._rows.commit([PutRow(PARTITION, SORT, msgspec.json.encode(new).decode(), version)])
        return new
