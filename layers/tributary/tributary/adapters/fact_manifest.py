"""The manifest of FACTS on CONFIG: pk `facts`, sk `<kind>#<month>`; `fresh` is a set of strings, `base` JSON, `v` counts swaps.

Erased nodes are rows of pk `erased`, sk the node; the row `facts` / `erased` counts how often the list was added to, so that a reader can tell. Rows of pk
`facts-replaced`, sk `<time>#<kind>#<month>#<digest>`, name the files that are to be looked at an hour later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence, Set
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from tributary.adapters import dynamo
from tributary.errors import WriteConflict
from tributary.facts.manifest import Base, FactFile, Manifest, Partition, Place, Replaced
from tributary.facts.tables import Kind
from tributary.generations import FIRST, prefix_of
from tributary.identity.digests import public_digest

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MANIFEST: Final = "facts"
_ERASED: Final = "erased"
_STORE: Final = "the manifest of FACTS"
_REFUSED: Final = "ConditionalCheckFailedException"

_NAMES: Final = 2_000
"""Names of one row: of about 50 bytes each, in an item of at most 400 KB."""
_KINDS: Final = frozenset(kind.value for kind in Kind)
_base: Final = msgspec.json.Decoder(Base)


class DynamoManifests:
    """`Manifests` on DynamoDB. Who was erased is the same in all generations, and counted where the first one's manifest stands."""

    def __init__(self, client: Callable[[], DynamoDBClient], table: str, *, generation: int = FIRST, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._table = table
        self._manifest = prefix_of(generation) + MANIFEST
        self._replaced = f"{self._manifest}-replaced"
        self._sleep = sleep

    def read(self) -> Manifest:
        partitions: dict[Place, Partition] = {}
        erased = 0
        for item in dynamo.query(self._client(), self._table, self._manifest, store=_STORE, ConsistentRead=True):
            if item["sk"]["S"] == _ERASED:
                erased = int(item["v"]["N"])
            elif (partition := _partition(item)) is not None:
                partitions[partition.place] = partition
        if self._manifest != MANIFEST:
            keys = [dynamo.key(MANIFEST, _ERASED)]
            erased = sum(int(item["v"]["N"]) for item in dynamo.batch_get(self._client(), self._table, keys, store=_STORE, sleep=self._sleep))
        return Manifest(partitions=partitions, erased=erased)

    def read_some(self, places: Sequence[Place]) -> list[Partition]:
        keys = [dynamo.key(self._manifest, _sort(place)) for place in places]
        items = dynamo.batch_get(self._client(), self._table, keys, store=_STORE, sleep=self._sleep)
        found = {one.place: one for one in (_partition(item) for item in items) if one is not None}
        return [found.get(place) or Partition(place=place) for place in places]

    def add(self, place: Place, file: FactFile) -> None:
        dynamo.ask(
            lambda: self._client().update_item(
                TableName=self._table,
                Key=dynamo.key(self._manifest, _sort(place)),
                UpdateExpression="ADD fresh :file",
                ExpressionAttributeValues={":file": {"SS": [file.text]}},
            ),
            _STORE,
        )

    def swap(self, before: Partition, base: Base) -> None:
        values: dict[str, Any] = {":base": {"S": msgspec.json.encode(base).decode()}, ":next": {"N": str(before.revision + 1)}}
        condition = "attribute_not_exists(v)"
        if before.revision:
            condition = "v = :v"
            values[":v"] = {"N": str(before.revision)}
        update = "SET #base = :base, v = :next"
        if before.fresh:
            update += " DELETE fresh :taken"
            values[":taken"] = {"SS": sorted(file.text for file in before.fresh)}
        try:
            self._client().update_item(
                TableName=self._table,
                Key=dynamo.key(self._manifest, _sort(before.place)),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames={"#base": "base"},  # a word of DynamoDB's own
                ExpressionAttributeValues=values,
            )
        except (BotoCoreError, ClientError) as error:
            if dynamo.code_of(error) == _REFUSED:
                raise WriteConflict(f"another compaction has swapped {before.place.kind} of {before.place.month}") from error
            raise dynamo.unavailable(error, _STORE) from error

    def will_replace(self, row: Replaced) -> None:
        names = sorted(row.names)
        parts = [names[first : first + _NAMES] for first in range(0, len(names), _NAMES)]
        # By what it names: one moment may have two of a place.
        items = [{**dynamo.key(self._replaced, f"{_replaced_sort(row)}#{public_digest(*part)}"), "names": {"SS": part}} for part in parts]
        dynamo.put_all(self._client(), self._table, items, store=_STORE, sleep=self._sleep)

    def replaced(self) -> list[Replaced]:
        found: dict[tuple[datetime, Place], set[str]] = {}
        for item in dynamo.query(self._client(), self._table, self._replaced, store=_STORE, ConsistentRead=True):
            at, kind, month, _ = item["sk"]["S"].split("#")
            if kind in _KINDS:
                found.setdefault((datetime.fromisoformat(at), Place(Kind(kind), month)), set()).update(item["names"]["SS"])
        return [Replaced(at=at, place=place, names=frozenset(names)) for (at, place), names in found.items()]

    def forget(self, row: Replaced) -> None:
        values = {":sk": {"S": f"{_replaced_sort(row)}#"}}
        rows = dynamo.query(self._client(), self._table, self._replaced, store=_STORE, where="begins_with(sk, :sk)", values=values, ConsistentRead=True)
        for item in list(rows):
            key = dynamo.key(self._replaced, item["sk"]["S"])
            dynamo.ask(lambda key=key: self._client().delete_item(TableName=self._table, Key=key), _STORE)  # type: ignore[misc]  # mypy cannot infer a default's lambda

    def drop(self) -> None:
        """Forget all of it, of a generation that nobody writes or reads; who was erased stays."""
        for partition in (self._manifest, self._replaced):
            rows = list(dynamo.query(self._client(), self._table, partition, store=_STORE, ConsistentRead=True, ProjectionExpression="pk, sk"))
            for key in [dynamo.key(item["pk"]["S"], item["sk"]["S"]) for item in rows if item["sk"]["S"] != _ERASED]:
                dynamo.ask(lambda key=key: self._client().delete_item(TableName=self._table, Key=key), _STORE)  # type: ignore[misc]  # mypy cannot infer a default's lambda

    def erased_revision(self) -> int:
        key = dynamo.key(MANIFEST, _ERASED)
        item = dynamo.ask(lambda: self._client().get_item(TableName=self._table, Key=key, ConsistentRead=True), _STORE).get("Item")
        return int(item["v"]["N"]) if item is not None else 0

    def erased(self) -> Set[str]:
        return {item["sk"]["S"] for item in dynamo.query(self._client(), self._table, _ERASED, store=_STORE, ConsistentRead=True)}

    def erase(self, nodes: Set[str]) -> None:
        items = [dynamo.key(_ERASED, node) for node in sorted(nodes)]
        dynamo.put_all(self._client(), self._table, items, store=_STORE, sleep=self._sleep)
        # The count after the rows: whoever sees it sees them.
        dynamo.ask(
            lambda: self._client().update_item(
                TableName=self._table,
                Key=dynamo.key(MANIFEST, _ERASED),
                UpdateExpression="ADD v :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            ),
            _STORE,
        )


def _sort(place: Place) -> str:
    return f"{place.kind}#{place.month}"


def _replaced_sort(row: Replaced) -> str:
    return f"{row.at.isoformat()}#{_sort(row.place)}"


def _partition(item: dict[str, Any]) -> Partition | None:
    kind, month = item["sk"]["S"].split("#")
    if kind not in _KINDS:  # of a newer release
        return None
    return Partition(
        place=Place(Kind(kind), month),
        base=_base.decode(item["base"]["S"]) if "base" in item else Base(),
        fresh=frozenset(FactFile.of(text) for text in item.get("fresh", {"SS": []})["SS"]),
        revision=int(item["v"]["N"]) if "v" in item else 0,
    )
