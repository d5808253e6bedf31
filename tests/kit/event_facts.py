"""From what the record holds to answers, by the code itself and in one process: resolve, the stream of CONTACTS, the facts queue, Parquet files, compaction,
DuckDB. Batches are cut anywhere and come again, messages in any order; in the end reports are asked as ever."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.kit.changes import StreamedContacts
from tests.kit.contacts import DIGESTS, Links, resolver
from tests.kit.fact_store import Store, memory_store
from tests.kit.stores import MemoryEventLog, MemoryPoison, MemoryQueue
from tests.oracle.histories import Chance
from tributary.events import Event
from tributary.facts.of_contacts import Settings
from tributary.facts.queued import QueuedFacts
from tributary.facts.tables import Fact, Kind
from tributary.facts.telling import Telling
from tributary.facts.writing import WriteFacts
from tributary.generations import Generations
from tributary.identity.rules import IdentityRules
from tributary.reports import engine
from tributary.reports.answer import Report
from tributary.reports.query import Query

NOBODY = "f" * 32
"""A node that no person has."""


class _Served:
    """`CurrentGenerations`: the first alone."""

    def now(self, *, fresh: bool = False) -> Generations:
        return Generations()


class EventFacts:
    """`folder`: its own, for files. `settings`: the account's. `chance` decides how things come."""

    def __init__(self, folder: Path, settings: Settings, linked: Mapping[str, str], accounts: Sequence[str], chance: Chance) -> None:
        rules = IdentityRules()
        self._chance = chance
        self._log = MemoryEventLog()
        self._contacts = StreamedContacts()
        self._resolver = resolver(self._contacts, self._log, rules=rules, linked=Links(linked, accounts))
        self._queue = MemoryQueue()
        self._telling = Telling(facts=QueuedFacts(self._queue), digests=DIGESTS, settings=lambda: settings, rules=rules)
        self._poison = MemoryPoison()
        self.store: Store = memory_store(folder)
        self._write = WriteFacts(sink_of=lambda _: self.store.sink, generations=_Served(), poison=self._poison)

    def take(self, events: Sequence[Event]) -> None:
        """All that happened, in its order; facts are written and compacted once or twice on the way, and at the end."""
        left, before = list(events), list[Event]()
        writes = {len(left) * self._chance.randrange(5) // 5}
        while left:
            size = self._chance.randint(1, 20)
            batch, left = left[:size], left[size:]
            self._log.put(batch)
            self._resolve(batch)
            if before and self._chance.once_in(4):
                self._resolve(before)
            before = batch
            if any(len(left) <= at for at in writes):
                writes = {at for at in writes if len(left) > at}
                self.write()
        self.write()

    def enter(self, rows: Mapping[Kind, Sequence[Fact]]) -> None:
        """What was told by hand."""
        self.store.sink.append(rows)

    def write(self) -> None:
        bodies = [message.body for message in self._queue.sent]
        self._queue.sent.clear()
        bodies += self._chance.sample(bodies, len(bodies) // 3)
        self._chance.shuffle(bodies)
        outcome = self._write.handle([(str(number), body) for number, body in enumerate(bodies)])
        assert not outcome.failed
        assert not self._poison.rows
        if self._chance.once_in(3):
            self.store.manifests.erase({NOBODY})
        if self._chance.once_in(3):
            self.store.compaction().run(lambda: 900.0)

    def report(self, query: Query) -> Report:
        with self.store.facts.open(engine.needs(query)) as relations:
            return engine.answer(query, relations)

    def _resolve(self, batch: Sequence[Event]) -> None:
        self._resolver.resolve(batch)
        changes, self._contacts.changes = self._contacts.changes, []
        told: list[Callable[[], object]] = [lambda: self._telling.events(batch)]
        if changes:
            cut = self._chance.randint(0, len(changes))
            told += [lambda: self._telling.changes(changes[:cut]), lambda: self._telling.changes(changes[cut:])]
        self._chance.shuffle(told)
        for tell in told:
            tell()
