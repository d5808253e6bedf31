"""`tributary.cli rebuild`: CONTACTS and FACTS made anew from the log, beside the ones that are served, compared with them, and served in their place."""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.table import Table

from tributary.adapters.config_store import DynamoAccount, DynamoLinkedConnections
from tributary.adapters.contacts import DynamoContacts
from tributary.adapters.duck import Allowance
from tributary.adapters.event_log import DynamoEventLog
from tributary.adapters.fact_files import S3FactObjects
from tributary.adapters.fact_manifest import DynamoManifests
from tributary.adapters.fact_reader import DuckFacts
from tributary.adapters.queues import SqsQueue
from tributary.adapters.secrets import SsmSecrets, digests_from
from tributary.adapters.settings_store import DynamoRows
from tributary.adapters.suppressions import DynamoSuppressions
from tributary.cli.entering import entering_to
from tributary.cli.show import plain
from tributary.contacts.resolver import Resolver
from tributary.facts.manifest import Place
from tributary.facts.of_contacts import Settings
from tributary.facts.queued import QueuedFacts
from tributary.facts.tables import Kind
from tributary.facts.telling import Telling
from tributary.generations import Generations
from tributary.ports import RemoveRow
from tributary.rebuild import told
from tributary.rebuild.people import Differences, People, differences
from tributary.rebuild.replay import Replay
from tributary.rebuild.states import States

if TYPE_CHECKING:
    from tributary.cli.target import Target

PARTS: Final = 4
"""Of the log and of CONTACTS, read side by side."""
DELETES: Final = 8
_DELETED_AT_ONCE: Final = 1_000
_SHOWN: Final = 10
_ENGINE: Final = Allowance(memory_mb=4_096, seconds=900)
_ROOM: Final = 100_000_000_000
"""Bytes for copies of files: all there are."""


@dataclass(frozen=True)
class Verdict:
    """Two generations, compared."""

    people: Differences
    facts: Mapping[tuple[Kind, str], tuple[told.Sum | None, told.Sum | None]]
    rows: Counter[Kind]
    """Facts of each kind that the one that is served has."""
    unsettled: int

    @property
    def is_equal(self) -> bool:
        return self.people.is_empty and not self.facts and not self.unsettled


@dataclass(frozen=True)
class Rebuild:
    target: Target

    @property
    def states(self) -> States:
        return States(DynamoRows(lambda: self.target.dynamodb, self.target.config_table))

    def begin(self) -> Generations:
        return self.states.begin()

    def replay(self, generation: int, seen: Callable[[int], object]) -> Counter[str]:
        """The whole log into a generation, what people entered too. Raises `StoreUnavailable`: begin again."""
        log = DynamoEventLog(lambda: self.target.dynamodb, self.target.events_table)
        counts: Counter[str] = Counter()
        with ThreadPoolExecutor(PARTS) as pool:
            for done in pool.map(lambda part: self._replay(generation).run(log.everything(part, PARTS), seen), range(PARTS)):
                counts += done
        entering = entering_to(self.target)
        for kind, batches in ((Kind.AD_SPEND, entering.spend.facts()), (Kind.RATES, entering.rates.facts())):
            for rows in batches:
                self._sink(generation).append({kind: rows})
        return counts

    def compare(self, now: Generations) -> Verdict:
        assert now.building is not None
        served, built = self._people(now.serving), self._people(now.building)
        facts = {generation: self._told(generation, people.names) for generation, people in ((now.serving, served), (now.building, built))}
        rows: Counter[Kind] = Counter()
        for (kind, _), found in facts[now.serving].items():
            rows[kind] += found.rows
        return Verdict(
            people=differences(served.content, built.content),
            facts=told.different(facts[now.serving], facts[now.building]),
            rows=rows,
            unsettled=served.unsettled + built.unsettled,
        )

    def drop(self, generation: int) -> Counter[str]:
        """Delete what a generation that nobody writes or reads consists of."""
        counts: Counter[str] = Counter()
        contacts = self._contacts(generation)
        left = contacts.everything()
        with ThreadPoolExecutor(DELETES) as pool:
            while rows := list(islice(left, _DELETED_AT_ONCE)):
                counts["rows"] += len(list(pool.map(lambda row: contacts.commit([RemoveRow(row.key, row.revision)]), rows)))
        objects = self._objects(generation)
        places: dict[Place, list[str]] = {}
        for found in objects.all():
            places.setdefault(found.place, []).append(found.name)
        for place, names in places.items():
            objects.delete(place, names)
            counts["files"] += len(names)
        self._manifests(generation).drop()
        return counts

    def _replay(self, generation: int) -> Replay:
        digests = digests_from(SsmSecrets(lambda: self.target.ssm, self.target.prefix))
        resolver = Resolver(
            contacts=self._contacts(generation),
            log=DynamoEventLog(lambda: self.target.dynamodb, self.target.events_table),
            suppressions=DynamoSuppressions(lambda: self.target.dynamodb, self.target.config_table),
            digests=digests,
            sleep=time.sleep,
            jitter=random.random,
            linked=DynamoLinkedConnections(lambda: self.target.dynamodb, self.target.config_table),
        )
        account = DynamoAccount(lambda: self.target.dynamodb, self.target.config_table)
        facts = Telling(facts=self._sink(generation), digests=digests, settings=lambda: Settings.of(account.get()))
        return Replay(resolver=resolver, facts=facts)

    def _sink(self, generation: int) -> QueuedFacts:
        return QueuedFacts(SqsQueue(lambda: self.target.sqs, self.target.facts_queue_url), generation)

    def _people(self, generation: int) -> People:
        people = People()
        for part in range(PARTS):
            people.add(self._contacts(generation).everything(part, PARTS))
        return people

    def _told(self, generation: int, names: Mapping[str, str]) -> told.Told:
        with tempfile.TemporaryDirectory() as folder:
            facts = DuckFacts(
                self._objects(generation), self._manifests(generation), Path(folder), allowance=_ENGINE, room=_ROOM, now=lambda: datetime.now(UTC)
            )
            with facts.open(told.NEEDS) as relations:
                return told.told(relations, names)

    def _contacts(self, generation: int) -> DynamoContacts:
        return DynamoContacts(lambda: self.target.dynamodb, self.target.contacts_table, generation=lambda: generation)

    def _objects(self, generation: int) -> S3FactObjects:
        return S3FactObjects(lambda: self.target.s3, self.target.facts_bucket, generation=generation)

    def _manifests(self, generation: int) -> DynamoManifests:
        return DynamoManifests(lambda: self.target.dynamodb, self.target.config_table, generation=generation)


def shown(verdict: Verdict) -> Group:
    """What was compared, and what is not the same."""
    table = Table("", "the same", "different", box=None, header_style="dim", pad_edge=False)
    people = verdict.people
    table.add_row("people", f"{people.same:,}", f"{sum(len(names) for _, names in people):,}")
    for kind, rows in sorted(verdict.rows.items()):
        months = [month for other, month in verdict.facts if other is kind]
        table.add_row(kind.replace("_", " "), f"{rows:,} rows" if not months else "", ", ".join(months))
    parts: list[RenderableType] = [table]
    for what, names in people:
        parts += [plain(f"{what}: {name}", "red") for name in names[:_SHOWN]]
    for (kind, month), (served, built) in verdict.facts.items():
        parts.append(plain(f"{kind} of {month}: {_rows(served)} are served, {_rows(built)} were built", "red"))
    if verdict.unsettled:
        parts.append(plain(f"{verdict.unsettled} contacts are about to be merged; compare again in a minute", "yellow"))
    return Group(*parts)


def _rows(found: told.Sum | None) -> str:
    return "no rows" if found is None else f"{found.rows:,} rows"


def until_equal(look: Callable[[], Verdict], patience: float, *, sleep: Callable[[float], None] = time.sleep, pause: float = 10.0) -> Verdict:
    """The last comparison: an equal one, or what it is after so many seconds. Facts take up to a minute to arrive."""
    waited = 0.0
    while True:
        verdict = look()
        if verdict.is_equal or waited >= patience:
            return verdict
        sleep(pause)
        waited += pause


def lines(states: Generations) -> Iterable[str]:
    """What there is, in sentences."""
    yield f"Generation {states.serving} is served."
    if states.building is not None:
        yield f"Generation {states.building} is being built: whatever comes is written to both."
    if states.retired is not None:
        yield f"Generation {states.retired} is not written any more, and can be dropped."
