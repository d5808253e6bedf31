"""Copies of FACTS' files in a function's temporary folder: what is missing is fetched, several at once; what was not asked for longest makes room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tributary.errors import ReportTooLarge
from tributary.facts.manifest import FactFile, FactObjects, Place

_AT_ONCE: Final = 16
"""Fetches: a single one does not fill a function's line."""


class FileGone(Exception):
    """A file was replaced since the manifest was read."""


class FactCache:
    """Files of one generation of facts, below `folder`; `room` in bytes."""

    def __init__(self, objects: FactObjects, folder: Path, room: int) -> None:
        self._objects = objects
        self._folder = folder
        self._room = room
        self._held: OrderedDict[Path, int] = OrderedDict()

    def fetch(self, files: Mapping[Place, list[FactFile]]) -> None:
        """All of them are here when it returns. Raises `FileGone`, `StoreUnavailable`, or `ReportTooLarge` where they are more than there is room for."""
        wanted = {self.path(place, file): (place, file) for place, some in files.items() for file in some}
        size = sum(file.bytes for _, file in wanted.values())
        if size > self._room:
            raise ReportTooLarge(
                f"it reads {size >> 20} MB, and there is room for {self._room >> 20} MB: ask for a narrower range, or give the function more room"
            )
        missing = [path for path in wanted if path not in self._held]
        self._make_room(sum(wanted[path][1].bytes for path in missing), keep=set(wanted))
        if missing:
            with ThreadPoolExecutor(min(_AT_ONCE, len(missing))) as pool:
                list(pool.map(lambda path: self._fetch(path, *wanted[path]), missing))
        for path, (_, file) in wanted.items():
            self._held[path] = file.bytes
            self._held.move_to_end(path)

    def path(self, place: Place, file: FactFile) -> Path:
        return self._folder / place.kind / place.month / f"{file.name}.parquet"

    def _fetch(self, path: Path, place: Place, file: FactFile) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        if not self._objects.fetch(place, file.name, part):
            raise FileGone
        part.rename(path)

    def _make_room(self, needed: int, *, keep: set[Path]) -> None:
        used = sum(self._held.values())
        for path in [path for path in self._held if path not in keep]:
            if used + needed <= self._room:
                return
            path.unlink(missing_ok=True)
            used -= self._held.pop(path)
