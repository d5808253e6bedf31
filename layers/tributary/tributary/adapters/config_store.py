"""Reading CONFIG in the hot path: keys, connections. Writing it is `adapters/settings_store.py`.

A settings row keeps its struct as JSON in the attribute `data`, beside plain attributes for conditions (`version`). Fields of a newer version are ignored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from tributary.adapters import dynamo
from tributary.adapters.kept import Kept
from tributary.errors import StoreUnavailable
from tributary.identity.weak import KONNEKTIVE
from tributary.settings import Account, Connection, Key, Source, UnreadableConnection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_STORE: Final = "CONFIG"
CACHE_SECONDS: Final = 30
"""How old a connection may be: a paused or disabled one stops receiving within it."""

_keys: Final = msgspec.json.Decoder(Key)
_connections: Final = msgspec.json.Decoder(Connection)
_accounts: Final = msgspec.json.Decoder(Account)
_sources: Final = msgspec.json.Decoder(Source)


class _Typed(msgspec.Struct):
    """No more of a connection than links need: one whose settings only a newer release can read is still an account that counts."""

    id: str
    type: str


_typed: Final = msgspec.json.Decoder(_Typed)
_Row = TypeVar("_Row")


class DynamoKeyStore:
    """`access.KeyStore` on CONFIG: one strongly consistent GetItem. `client` is called at the first look-up, so that a cached key costs no client."""

    def __init__(self, client: Callable[[], DynamoDBClient], table: str) -> None:
        self._client = client
        self._table = table

    def find(self, key_hash: str) -> Key | None:
        key = dynamo.key(f"key#{key_hash}", "key")
        item = dynamo.ask(lambda: self._client().get_item(TableName=self._table, Key=key, ConsistentRead=True), _STORE).get("Item")
        return None if item is None else _keys.decode(item["data"]["S"])


class DynamoConnections:
    """`ports.Connections` on CONFIG: one Query, kept 30 s."""

    def __init__(
        self, client: Callable[[], DynamoDBClient], table: str, monotonic: Callable[[], float] = time.monotonic, *, seconds: float = CACHE_SECONDS
    ) -> None:
        self._client = client
        self._table = table
        self._kept = Kept(self._read, monotonic=monotonic, seconds=seconds)

    def all(self) -> Sequence[Connection | UnreadableConnection]:
        return self._kept.get()

    def _read(self) -> tuple[Connection | UnreadableConnection, ...]:
        return tuple(map(_connection, dynamo.query(self._client(), self._table, "connection", store=_STORE, ConsistentRead=True)))


class DynamoAccount:
    """The account's settings on CONFIG: one GetItem, kept 30 s; defaults until somebody sets them. Settings that only a newer release can read are refused with
    `StoreUnavailable`: without them something might be told that is not to be."""

    def __init__(
        self, client: Callable[[], DynamoDBClient], table: str, monotonic: Callable[[], float] = time.monotonic, *, seconds: float = CACHE_SECONDS
    ) -> None:
        self._client = client
        self._table = table
        self._kept = Kept(self._read, monotonic=monotonic, seconds=seconds)

    def get(self) -> Account:
        return self._kept.get()

    def _read(self) -> Account:
        key = dynamo.key("account", "settings")
        item = dynamo.ask(lambda: self._client().get_item(TableName=self._table, Key=key, ConsistentRead=True), _STORE).get("Item")
        try:
            return Account() if item is None else _accounts.decode(item["data"]["S"])
        except (msgspec.MsgspecError, KeyError, RecursionError) as error:
            raise StoreUnavailable(f"the account's settings cannot be read: {type(error).__name__}") from error


class DynamoLinkedConnections:
    """`ports.LinkedConnections` on CONFIG: two Queries, made when a link is first met and kept 30 s."""

    def __init__(
        self, client: Callable[[], DynamoDBClient], table: str, monotonic: Callable[[], float] = time.monotonic, *, seconds: float = CACHE_SECONDS
    ) -> None:
        self._client = client
        self._table = table
        self._kept = Kept(self._read, monotonic=monotonic, seconds=seconds)

    def of(self, source: str) -> str | None:
        linked, only = self._kept.get()
        return linked.get(source, only)

    def _read(self) -> tuple[dict[str, str], str | None]:
        """What sources say, and the only account."""
        linked = {row.id: row.linked_connection for row in self._rows("source", _sources) if row.linked_connection}
        accounts = [row.id for row in self._rows("connection", _typed) if row.type == KONNEKTIVE]
        return linked, accounts[0] if len(accounts) == 1 else None

    def _rows(self, kind: str, decoder: msgspec.json.Decoder[_Row]) -> Iterator[_Row]:
        for row in dynamo.query(self._client(), self._table, kind, store=_STORE, ConsistentRead=True):
            with suppress(msgspec.MsgspecError, KeyError, RecursionError):  # of a newer release: it links nobody
                yield decoder.decode(row["data"]["S"])


def _connection(row: dict[str, Any]) -> Connection | UnreadableConnection:
    try:
        return _connections.decode(row["data"]["S"])
    except (msgspec.MsgspecError, KeyError, RecursionError):
        return UnreadableConnection(row["sk"]["S"])
