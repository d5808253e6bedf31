"""Reading CONFIG in the hot path: keys, connections, sources. Writing it is `adapters/settings_store.py`.

A settings row keeps its struct as JSON in the attribute `data`, beside plain attributes for conditions (`version`). Fields of a newer version are ignored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from tributary.errors import StoreUnavailable
from tributary.settings import Connection, Key, Source

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CACHE_SECONDS: Final = 30
"""How old a connection may be: a paused or disabled one stops receiving within it."""

Row = TypeVar("Row", Key, Connection, Source)

_keys: Final = msgspec.json.Decoder(Key)
_connections: Final = msgspec.json.Decoder(Connection)
_sources: Final = msgspec.json.Decoder(Source)


class DynamoKeyStore:
    """`access.KeyStore` on CONFIG: one strongly consistent GetItem. `client` is called at the first look-up, so that a cached key costs no client."""

    def __init__(self, client: Callable[[], DynamoDBClient], table: str) -> None:
        self._client = client
        self._table = table

    def find(self, key_hash: str) -> Key | None:
        return _get(self._client(), self._table, f"key#{key_hash}", "key", _keys)


class DynamoConnections:
    """`ports.Connections` on CONFIG: one Query, kept 30 s."""

    def __init__(
        self, client: Callable[[], DynamoDBClient], table: str, monotonic: Callable[[], float] = time.monotonic, *, seconds: float = CACHE_SECONDS
    ) -> None:
        self._client = client
        self._table = table
        self._monotonic = monotonic
        self._seconds = seconds
        self._kept: tuple[float, tuple[Connection, ...]] | None = None

    def all(self) -> Sequence[Connection]:
        if self._kept is None or self._monotonic() - self._kept[0] >= self._seconds:
            asked_at = self._monotonic()
            self._kept = (asked_at, tuple(_query(self._client(), self._table, "connection", _connections)))
        return self._kept[1]


class DynamoSources:
    """Sources, uncached."""

    def __init__(self, client: Callable[[], DynamoDBClient], table: str) -> None:
        self._client = client
        self._table = table

    def get(self, source: str) -> Source | None:
        """One source, enabled or not."""
        return _get(self._client(), self._table, "source", source, _sources)

    def all(self) -> list[Source]:
        """Every source, enabled or not, by id."""
        return list(_query(self._client(), self._table, "source", _sources))


def _get(client: DynamoDBClient, table: str, pk: str, sk: str, decoder: msgspec.json.Decoder[Row]) -> Row | None:
    try:
        item = client.get_item(TableName=table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True).get("Item")
    except (BotoCoreError, ClientError) as error:
        raise StoreUnavailable(f"CONFIG could not be read: {type(error).__name__}") from error
    return None if item is None else _decode(item, decoder)


def _query(client: DynamoDBClient, table: str, pk: str, decoder: msgspec.json.Decoder[Row]) -> Iterator[Row]:
    start: dict[str, Any] | None = None
    while True:
        more: dict[str, Any] = {} if start is None else {"ExclusiveStartKey": start}
        try:
            page = client.query(TableName=table, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": pk}}, ConsistentRead=True, **more)
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailable(f"CONFIG could not be read: {type(error).__name__}") from error
        for item in page["Items"]:
            yield _decode(item, decoder)
        start = page.get("LastEvaluatedKey")
        if start is None:
            return


def _decode(item: dict[str, Any], decoder: msgspec.json.Decoder[Row]) -> Row:
    return decoder.decode(item["data"]["S"])
