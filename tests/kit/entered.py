"""Fakes of where entered rows go: files of batches, and facts as readers see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from tributary.errors import StoreUnavailable
from tributary.facts.tables import Fact, Kind

F = TypeVar("F", bound=Fact)


class MemoryBatchFiles:
    """`entered.batches.BatchFiles` in memory."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.read: list[str] = []

    def put(self, name: str, body: bytes) -> None:
        self.files[name] = body

    def get(self, name: str) -> bytes | None:
        self.read.append(name)
        return self.files.get(name)

    def delete(self, name: str) -> None:
        self.files.pop(name, None)


class MemoryFactSink:
    """`FactSink` in memory. `refuse`: how many calls are refused from now on."""

    def __init__(self) -> None:
        self.told: list[tuple[Kind, Fact]] = []
        self.refuse = 0

    def append(self, rows: Mapping[Kind, Sequence[Fact]]) -> None:
        if self.refuse:
            self.refuse -= 1
            raise StoreUnavailable("the queue of facts refused")
        self.told += [(kind, row) for kind, some in rows.items() for row in some]

    def standing(self, kind: Kind, row: type[F]) -> dict[str, F]:
        """What readers see: of each key the newest, unless it is gone."""
        newest: dict[str, F] = {}
        for told, fact in self.told:
            if told is kind and isinstance(fact, row) and (fact.key not in newest or fact.version > newest[fact.key].version):
                newest[fact.key] = fact
        return {key: fact for key, fact in newest.items() if not fact.gone}
