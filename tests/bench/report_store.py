"""A shop's files (`report_data`) as the store of FACTS that a report opens, and the hour of facts that came since they were compacted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb

from tests.bench.report_data import END, Shop
from tests.kit.fact_store import MemoryManifests
from tests.kit.stores import MemoryPoison
from tributary.adapters.duck import Allowance, Engine
from tributary.adapters.fact_files import FactFiles
from tributary.adapters.fact_reader import DuckFacts
from tributary.clock import SystemClock
from tributary.facts.manifest import Base, FactFile, Partition, Place, StoredObject
from tributary.facts.tables import ContactFact, Fact, IdentityFact, Kind, OrderFact, TouchFact
from tributary.facts.writing import WriteFacts
from tributary.generations import Generations

MINUTES: Final = 60
TOUCHES_A_MINUTE: Final = 60
"""Ten times what a shop of a million contacts has on average."""
_KNOWN_A_MINUTE: Final = 10
"""Of each: visitors who turn out to be somebody, contacts who were seen again, orders that changed, orders that are new."""
_FOLDED: Final = 1
_BASE: Final = "base"
_ROOM: Final = 4 << 30


class ShopObjects:
    """`FactObjects` in folders: bases are the shop's files, what is put lies in `folder`. It counts what was fetched."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        self._shop = shop
        self._folder = folder
        self.fetched = 0

    def put(self, place: Place, name: str, path: Path) -> None:
        kept = self._path(place, name)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(path.read_bytes())

    def fetch(self, place: Place, name: str, path: Path) -> bool:
        self.fetched += 1
        os.link(self._path(place, name), path)
        return True

    def delete(self, place: Place, names: Sequence[str]) -> None:
        raise NotImplementedError  # nothing is ever taken from a shop

    def all(self) -> Iterable[StoredObject]:
        raise NotImplementedError

    def _path(self, place: Place, name: str) -> Path:
        return self._shop.files(place.kind)[place.month] if name == _BASE else self._folder / place.kind / place.month / f"{name}.parquet"


class _One:
    """`CurrentGenerations` of a store that was never rebuilt."""

    def now(self, *, fresh: bool = False) -> Generations:
        return Generations()


class ShopStore:
    """FACTS of a shop, opened as a function with this allowance opens them. `folder`, on the disk of the shop, is its own."""

    def __init__(self, shop: Shop, folder: Path, allowance: Allowance) -> None:
        self.shop = shop
        self.objects = ShopObjects(shop, folder / "objects")
        self.manifests = MemoryManifests()
        self.manifests.manifest = self.manifests.manifest.with_(_compacted(shop))
        self.facts = DuckFacts(self.objects, self.manifests, folder / "read", allowance=allowance, room=_ROOM, now=SystemClock().now)
        engine = Engine(folder / "write", allowance)
        sink = FactFiles(self.objects, self.manifests, lambda: engine, folder / "write", SystemClock().now)
        self.writer = WriteFacts(sink_of=lambda _: sink, generations=_One(), poison=MemoryPoison())


def _compacted(shop: Shop) -> Iterator[Partition]:
    with duckdb.connect() as connection:
        for kind in Kind:
            for month, path in shop.files(kind).items():
                ((rows,),) = connection.execute("SELECT num_rows FROM parquet_file_metadata(?)", [str(path)]).fetchall()
                base = Base(files=(FactFile(_BASE, rows, path.stat().st_size),), folded=_FOLDED)
                yield Partition(place=Place(kind, month), base=base, revision=1)


def an_hour(shop: Shop) -> Iterator[Mapping[Kind, Sequence[Fact]]]:
    """What is told of the shop's last hour, minute by minute: of people it knows by a contact's id, an identifier or a link, and of new ones."""
    known = _KNOWN_A_MINUTE * MINUTES
    contacts = _some(shop, Kind.CONTACTS, "key, lead_at", known)
    visitors = _some(shop, Kind.TOUCHES, "person", TOUCHES_A_MINUTE * MINUTES)
    identifiers = _some(shop, Kind.IDENTITIES, "key", known)
    orders = _some(shop, Kind.ORDERS, "key, person, connection, order_id, happened_at", known)
    for minute in range(MINUTES):
        at = END - timedelta(minutes=MINUTES - minute)
        of_minute = range(minute * _KNOWN_A_MINUTE, (minute + 1) * _KNOWN_A_MINUTE)
        people = [
            *(identifiers[index][0] for index in of_minute),
            *(row[0] for row in visitors[minute * TOUCHES_A_MINUTE :][: TOUCHES_A_MINUTE - _KNOWN_A_MINUTE]),
        ]
        yield {
            Kind.TOUCHES: [
                TouchFact(
                    key=_key(1, minute * TOUCHES_A_MINUTE + index), person=person, happened_at=at, connection="site", channel="email", campaign="letter-1"
                )
                for index, person in enumerate(people)
            ],
            Kind.IDENTITIES: [IdentityFact(key=visitors[-1 - index][0], contact=contacts[index][0], version=2) for index in of_minute],
            Kind.CONTACTS: [
                ContactFact(key=contacts[index][0], person=contacts[index][0], lead_at=contacts[index][1], last_seen_at=at, version=2) for index in of_minute
            ],
            Kind.ORDERS: [_changed(*orders[index]) for index in of_minute] + [_new_order(index, contacts[index][0], at) for index in of_minute],
        }


def _changed(key: str, person: str, connection: str, order_id: str, happened_at: datetime) -> OrderFact:
    """It was sold for 50 dollars and given back."""
    return OrderFact(
        key=key,
        version=2,
        person=person,
        connection=connection,
        order_id=order_id,
        happened_at=happened_at,
        sold_at=happened_at,
        currency="USD",
        gross=5000,
        received=5000,
        refunded=5000,
    )


def _new_order(number: int, person: str, at: datetime) -> OrderFact:
    return OrderFact(
        key=_key(2, number), person=person, connection="crm", order_id=f"N{number}", happened_at=at, sold_at=at, currency="USD", gross=5000, received=5000
    )


def _some(shop: Shop, kind: Kind, columns: str, count: int) -> list[tuple[Any, ...]]:
    """The rows of the latest month whose keys come first in an order of chance."""
    path = str(list(shop.files(kind).values())[-1])
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT {columns} FROM read_parquet(?) ORDER BY hash(key) LIMIT {int(count)}", [path]).fetchall()
    return [
        tuple(value.hex if hasattr(value, "hex") else value.replace(tzinfo=END.tzinfo) if isinstance(value, datetime) else value for value in row)
        for row in rows
    ]


def _key(kind: int, number: int) -> str:
    return f"{kind:016x}{number:016x}"
