"""Facts by way of their queue, for those who have rows at hand and no DuckDB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tributary.facts.message import pack
from tributary.facts.tables import Fact, Kind
from tributary.ports import MessageQueue, OutMessage


class QueuedFacts:
    """`FactSink`: kept once the queue has them, seen by readers once `write_facts` has written them, normally within a minute.

    `generation`: whose contacts the rows are of; None: they are the same in every generation."""

    def __init__(self, queue: MessageQueue, generation: int | None = None) -> None:
        self._queue = queue
        self._generation = generation

    def append(self, rows: Mapping[Kind, Sequence[Fact]]) -> None:
        self._queue.send([OutMessage(body) for body in pack(rows, generation=self._generation)])
