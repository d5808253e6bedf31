"""FACTS' manifest and files in memory, and what readers see of rows worked out plainly: no files, no bases, no SQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import duckdb
import msgspec

from tests.kit.config import MovingClock
from tests.kit.moto import dynamodb_table
from tributary.adapters.aws import CLIENT_CONFIG
from tributary.adapters.duck import Allowance, Engine
from tributary.adapters.fact_cache import FactCache
from tributary.adapters.fact_files import FactFiles, S3FactObjects
from tributary.adapters.fact_manifest import DynamoManifests
from tributary.adapters.fact_reader import DuckFacts
from tributary.adapters.fact_workshop import DuckWorkshop
from tributary.adapters.lease import DynamoLease
from tributary.errors import WriteConflict
from tributary.facts.compaction import Compaction
from tributary.facts.erasure import without
from tributary.facts.manifest import Base, FactFile, FactObjects, Manifest, Manifests, Partition, Place, Replaced, StoredObject
from tributary.facts.tables import TABLES, ContactFact, Fact, IdentityFact, Kind, WeakLinkFact
from tributary.lease import Lease, Leasing

ALLOWANCE = Allowance(memory_mb=500, seconds=20)
ROOM = 1 << 30
BUCKET = "facts-bucket"


class MemoryManifests:
    """`Manifests` in memory."""

    def __init__(self) -> None:
        self.manifest = Manifest()
        self.nodes: set[str] = set()
        self.reads = 0
        self.rows: list[Replaced] = []

    def read(self) -> Manifest:
        self.reads += 1
        return self.manifest

    def read_some(self, places: Sequence[Place]) -> list[Partition]:
        return [self.manifest.of(place) for place in places]

    def add(self, place: Place, file: FactFile) -> None:
        before = self.manifest.of(place)
        self.manifest = self.manifest.with_([replace(before, fresh=before.fresh | {file})])

    def swap(self, before: Partition, base: Base) -> None:
        now = self.manifest.of(before.place)
        if now.revision != before.revision:
            raise WriteConflict("swapped")
        self.manifest = self.manifest.with_([replace(now, base=base, fresh=now.fresh - before.fresh, revision=now.revision + 1)])

    def will_replace(self, row: Replaced) -> None:
        self.rows.append(row)

    def replaced(self) -> list[Replaced]:
        return list(self.rows)

    def forget(self, row: Replaced) -> None:
        self.rows.remove(row)

    def erased_revision(self) -> int:
        return self.manifest.erased

    def erased(self) -> Set[str]:
        return set(self.nodes)

    def erase(self, nodes: Set[str]) -> None:
        self.nodes |= nodes
        self.manifest = replace(self.manifest, erased=self.manifest.erased + 1)


class MemoryObjects:
    """`FactObjects` in memory; it keeps what was fetched, as (kind, month, name)."""

    def __init__(self, clock: MovingClock) -> None:
        self._clock = clock
        self.held: dict[tuple[Place, str], tuple[bytes, datetime]] = {}
        self.fetched: list[tuple[Place, str]] = []

    def put(self, place: Place, name: str, path: Path) -> None:
        self.held[place, name] = (path.read_bytes(), self._clock.now())

    def fetch(self, place: Place, name: str, path: Path) -> bool:
        self.fetched.append((place, name))
        if (place, name) not in self.held:
            return False
        path.write_bytes(self.held[place, name][0])
        return True

    def delete(self, place: Place, names: Sequence[str]) -> None:
        for name in names:
            self.held.pop((place, name), None)

    def all(self) -> Iterable[StoredObject]:
        return [StoredObject(place=place, name=name, written_at=at) for (place, name), (_, at) in self.held.items()]


class MemoryLease:
    """`Leasing` in memory."""

    def __init__(self) -> None:
        self.held: tuple[str, datetime] | None = None

    def take(self, owner: str, now: datetime, seconds: float) -> Lease:
        before = self.held
        if before is not None and before[0] != owner and before[1] > now:
            return Lease.HELD
        self.held = (owner, now + timedelta(seconds=seconds))
        return Lease.TAKEN if before is None or before[0] == owner else Lease.LEFT

    def release(self, owner: str) -> None:
        if self.held is not None and self.held[0] == owner:
            self.held = None


@dataclass
class Store:
    """A fact store of its own folder."""

    manifests: Manifests
    objects: FactObjects
    folder: Path
    clock: MovingClock = field(default_factory=MovingClock)
    lease: Leasing = field(default_factory=MemoryLease)

    def __post_init__(self) -> None:
        self.engine = Engine(self.folder / "write", ALLOWANCE)
        self.sink = FactFiles(self.objects, self.manifests, lambda: self.engine, self.folder / "write", self.clock.now)
        self.facts = self.reader("read")

    def compaction(self, owner: str = "a", **options: Any) -> Compaction:
        """Another sandbox's."""
        folder = self.folder / f"compact-{owner}"
        cache = FactCache(self.objects, folder / "cache", ROOM)
        engine = Engine(folder, ALLOWANCE)
        return Compaction(
            lease=self.lease,
            manifests=self.manifests,
            objects=self.objects,
            workshop=DuckWorkshop(lambda: engine, cache, folder),
            owner=owner,
            now=self.clock.now,
            name=lambda: uuid4().hex,
            **options,
        )

    def reader(self, name: str, *, room: int = ROOM, allowance: Allowance = ALLOWANCE) -> DuckFacts:
        """Another sandbox's."""
        return DuckFacts(self.objects, self.manifests, self.folder / name, allowance=allowance, room=room, now=self.clock.now)


def memory_store(folder: Path) -> Store:
    clock = MovingClock()
    return Store(MemoryManifests(), MemoryObjects(clock), folder, clock)


@contextmanager
def aws_store(folder: Path) -> Iterator[tuple[Store, Any, Any]]:
    """On moto, with its clients of DynamoDB and S3."""
    with dynamodb_table() as dynamodb:
        s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test", config=CLIENT_CONFIG)
        s3.create_bucket(Bucket=BUCKET)
        manifests = DynamoManifests(lambda: dynamodb, "table", sleep=lambda _: None)
        lease = DynamoLease(lambda: dynamodb, "table", "facts-compaction")
        yield Store(manifests, S3FactObjects(lambda: s3, BUCKET), folder, lease=lease), dynamodb, s3


class PlainFacts:
    """What was ever written, and what is to be seen of it."""

    def __init__(self) -> None:
        self.rows: list[tuple[Kind, str, Fact]] = []
        self.nodes: set[str] = set()

    def append(self, rows: Mapping[Kind, Sequence[Fact]]) -> None:
        self.rows += [(kind, TABLES[kind].month_of(row), row) for kind, some in rows.items() for row in some]

    def seen(self, kind: Kind) -> list[dict[str, Any]]:
        """The rows of a kind with the columns of its relation, in order."""
        people = self._people()
        found = []
        for row in without(kind, self._standing(kind), self.nodes):
            values = {name: _plain(value) for name, value in msgspec.structs.asdict(row).items() if name not in ("version", "gone")}
            if "person" in values:
                values["person"] = people.get(values["person"], values["person"])
                if values["person"] in self.nodes:
                    continue
            found.append(values)
        if kind is Kind.CONTACTS:
            found = _together(found)
        return sorted(found, key=lambda row: str(row["key"]))

    def _standing(self, kind: Kind) -> list[Fact]:
        newest: dict[tuple[str, str], Fact] = {}
        for of, month, row in self.rows:
            if of is kind:
                before = newest.get((row.key, month))
                if before is None or (row.version, row.gone) > (before.version, before.gone):
                    newest[row.key, month] = row
        return [row for row in newest.values() if not row.gone]

    def _people(self) -> dict[str, str]:
        contact_of = {row.key: row.contact for row in self._standing(Kind.IDENTITIES) if isinstance(row, IdentityFact)}

        def root(node: str) -> str:
            while contact_of.get(node, node) != node:
                node = contact_of[node]
            return node

        people = {node: root(node) for node in contact_of}
        for row in self._standing(Kind.WEAK_LINKS):
            assert isinstance(row, WeakLinkFact)
            known = [root(customer) for customer in row.customers if customer in contact_of and root(customer) not in self.nodes]
            if row.key not in contact_of and known:
                people[row.key] = known[0]
        return people


def _together(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Contacts of one person as one."""
    people: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        people.setdefault(row["person"], []).append(row)
    return [
        {
            "key": person,
            "person": person,
            "lead_at": min(row["lead_at"] for row in some),
            "connection": min(some, key=lambda row: (row["lead_at"], row["connection"] is None, row["connection"] or ""))["connection"],
            "last_seen_at": max((row["last_seen_at"] for row in some if row["last_seen_at"]), default=None),
            "country": next((row["country"] for row in _foremost(some) if row["country"]), None),
            "fields": next((row["fields"] for row in _foremost(some) if row["fields"]), {}),
        }
        for person, some in people.items()
    ]


def _foremost(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    oldest = datetime.min  # noqa: DTZ901  # of a column that has no zone
    return sorted(sorted(rows, key=lambda row: row["key"]), key=lambda row: (row["key"] == row["person"], row["last_seen_at"] or oldest), reverse=True)


def read(store_facts: DuckFacts, kind: Kind, needs: Mapping[Kind, Any]) -> list[dict[str, Any]]:
    """The relation's rows, as `PlainFacts.seen` has them."""
    columns = [name for name in TABLES[kind].columns if name not in ("version", "gone")]
    with store_facts.open(needs) as relations:
        rows = relations.rows(f"SELECT {', '.join(columns)} FROM {kind} ORDER BY key")
    return [dict(zip(columns, (_from_sql(value) for value in row), strict=True)) for row in rows]


def mentions(store: Store, nodes: set[str]) -> dict[tuple[Kind, str], int]:
    """How often nodes stand anywhere in any file that is in the bucket, by kind and column."""
    found: dict[tuple[Kind, str], int] = {}
    for one in store.objects.all():
        path = store.folder / "looked-at.parquet"
        assert store.objects.fetch(one.place, one.name, path)
        for row in duckdb.from_parquet(str(path)).fetchall():
            for name, value in zip(TABLES[one.place.kind].columns, row, strict=True):
                values = value if isinstance(value, list) else [value]
                count = sum(getattr(inner, "hex", None) in nodes for inner in values)
                if count:
                    found[one.place.kind, name] = found.get((one.place.kind, name), 0) + count
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, msgspec.Struct):
        return {name: _plain(inner) for name, inner in msgspec.structs.asdict(value).items()}
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return value


def _from_sql(value: Any) -> Any:
    if hasattr(value, "hex") and hasattr(value, "urn"):
        return value.hex
    if isinstance(value, list):
        return [_from_sql(inner) for inner in value]
    return value


def node(number: int) -> str:
    return f"{number:032x}"


def contact(number: int, **values: Any) -> ContactFact:
    return ContactFact(key=node(number), person=node(number), **values)
