"""What a sync keeps, on CONFIG; the rows are told of in `sync/state.py`. A row holds its struct as JSON in `data`, and its revision in `v`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from tributary.adapters import dynamo
from tributary.adapters.lease import DynamoLease
from tributary.errors import WriteConflict
from tributary.lease import Lease
from tributary.sources.konnektive.catalogue import CatalogueEntry
from tributary.sources.konnektive.records import Kind, Place, RecordState
from tributary.sync.state import History, Live, Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_STORE: Final = "the table of syncs"
_REFUSED: Final = "ConditionalCheckFailedException"

Row = TypeVar("Row", Live, History, Status)


class DynamoSyncStore:
    """`SyncStore` on DynamoDB."""

    def __init__(self, client: Callable[[], DynamoDBClient], table: str) -> None:
        self._client = client
        self._table = table

    def live(self, connection: str) -> tuple[Live, int]:
        found, revision = self._get(connection, "live", Live)
        return found or Live(), revision

    def put_live(self, connection: str, live: Live, expected: int) -> None:
        self._put(connection, "live", live, expected)

    def history(self, connection: str) -> tuple[History | None, int]:
        return self._get(connection, "history", History)

    def put_history(self, connection: str, history: History, expected: int) -> None:
        self._put(connection, "history", history, expected)

    def status(self, connection: str) -> Status:
        return self._get(connection, "status", Status)[0] or Status()

    def put_status(self, connection: str, status: Status) -> None:
        item = {**dynamo.key(_partition(connection), "status"), "data": {"S": msgspec.json.encode(status).decode()}, "v": {"N": "0"}}
        dynamo.ask(lambda: self._client().put_item(TableName=self._table, Item=item), _STORE)

    def lease(self, connection: str, owner: str, now: datetime, seconds: float) -> Lease:
        return DynamoLease(self._client, self._table, _partition(connection)).take(owner, now, seconds)

    def release(self, connection: str, owner: str) -> None:
        DynamoLease(self._client, self._table, _partition(connection)).release(owner)

    def _get(self, connection: str, sort: str, kind: type[Row]) -> tuple[Row | None, int]:
        key = dynamo.key(_partition(connection), sort)
        item = dynamo.ask(lambda: self._client().get_item(TableName=self._table, Key=key, ConsistentRead=True), _STORE).get("Item")
        return (msgspec.json.decode(item["data"]["S"], type=kind), int(item["v"]["N"])) if item is not None else (None, 0)

    def _put(self, connection: str, sort: str, row: msgspec.Struct, expected: int) -> None:
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if expected:
            condition = {"ConditionExpression": "v = :v", "ExpressionAttributeValues": {":v": {"N": str(expected)}}}
        item = {**dynamo.key(_partition(connection), sort), "data": {"S": msgspec.json.encode(row).decode()}, "v": {"N": str(expected + 1)}}
        try:
            self._client().put_item(TableName=self._table, Item=item, **condition)
        except (BotoCoreError, ClientError) as error:
            if dynamo.code_of(error) == _REFUSED:
                raise WriteConflict(f"the {sort} row of a sync was written by somebody else at the same time") from error
            raise dynamo.unavailable(error, _STORE) from error


class DynamoRecordStates:
    """`RecordStates` on DynamoDB. Blind puts: only the holder of the account's lease writes them, and the same again does no harm."""

    def __init__(self, client: Callable[[], DynamoDBClient], table: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._table = table
        self._sleep = sleep

    def get(self, connection: str, places: Set[Place]) -> Mapping[Place, RecordState]:
        keys = {(_record_partition(connection, place.kind, place.day), place.id): place for place in places}
        items = dynamo.batch_get(self._client(), self._table, [dynamo.key(*key) for key in sorted(keys)], store=_STORE, sleep=self._sleep)
        return {keys[item["pk"]["S"], item["sk"]["S"]]: _state(item) for item in items}

    def put(self, connection: str, states: Mapping[Place, RecordState]) -> None:
        items = [_row(_record_partition(connection, place.kind, place.day), place.id, state) for place, state in states.items()]
        dynamo.put_all(self._client(), self._table, items, store=_STORE, sleep=self._sleep)

    def of_day(self, connection: str, kind: Kind, day: str) -> Iterator[tuple[str, RecordState]]:
        for item in dynamo.query(self._client(), self._table, _record_partition(connection, kind, day), store=_STORE):
            yield item["sk"]["S"], _state(item)


class DynamoCatalogue:
    """`Catalogue` on DynamoDB. What the account no longer has stays: old orders name it."""

    def __init__(self, client: Callable[[], DynamoDBClient], table: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._table = table
        self._sleep = sleep

    def put(self, connection: str, entries: Sequence[CatalogueEntry]) -> None:
        rows = {f"{entry.kind}#{entry.id}": entry for entry in entries}
        items = [_row(f"catalogue#{connection}", sort, entry) for sort, entry in rows.items()]
        dynamo.put_all(self._client(), self._table, items, store=_STORE, sleep=self._sleep)

    def of(self, connection: str) -> Iterator[CatalogueEntry]:
        for item in dynamo.query(self._client(), self._table, f"catalogue#{connection}", store=_STORE):
            yield msgspec.json.decode(item["data"]["S"], type=CatalogueEntry)


def _row(partition: str, sort: str, row: msgspec.Struct) -> dict[str, Any]:
    return {**dynamo.key(partition, sort), "data": {"S": msgspec.json.encode(row).decode()}}


def _partition(connection: str) -> str:
    return f"sync#{connection}"


def _record_partition(connection: str, kind: Kind, day: str) -> str:
    return f"record#{connection}#{kind}#{day}"


def _state(item: dict[str, Any]) -> RecordState:
    return msgspec.json.decode(item["data"]["S"], type=RecordState)
