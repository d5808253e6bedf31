"""Which generations of CONTACTS and FACTS there are: one row of CONFIG, read by whoever writes or reads them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from tributary.adapters import dynamo
from tributary.adapters.kept import Kept
from tributary.generations import PARTITION, SORT, Generations

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CACHE_SECONDS: Final = 30
"""How long a function may write to the served generation alone after a rebuild has begun; the rebuild waits for longer than that."""

_STORE: Final = "CONFIG"
_decoder: Final = msgspec.json.Decoder(Generations)


class DynamoGenerations:
    """`ports.CurrentGenerations` on CONFIG: one strongly consistent GetItem, kept 30 s."""

    def __init__(
        self, client: Callable[[], DynamoDBClient], table: str, monotonic: Callable[[], float] = time.monotonic, *, seconds: float = CACHE_SECONDS
    ) -> None:
        self._client = client
        self._table = table
        self._kept = Kept(self._read, monotonic=monotonic, seconds=seconds)

    def now(self, *, fresh: bool = False) -> Generations:
        return self._kept.get(fresh=fresh)

    def _read(self) -> Generations:
        item = dynamo.ask(lambda: self._client().get_item(TableName=self._table, Key=dynamo.key(PARTITION, SORT), ConsistentRead=True), _STORE).get("Item")
        return Generations() if item is None else _decoder.decode(item["data"]["S"])
