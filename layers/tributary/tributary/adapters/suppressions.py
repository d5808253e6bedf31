"""Suppression rows in CONFIG: `suppressed#<digest>` / `suppressed`. Erasure writes them; here they are read, a hundred a call, never cached."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import TYPE_CHECKING, Final

from tributary.adapters import dynamo

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PREFIX: Final = "suppressed#"
SORT_KEY: Final = "suppressed"


class DynamoSuppressions:
    """`Suppressions` on DynamoDB."""

    def __init__(self, client: Callable[[], DynamoDBClient], table: str) -> None:
        self._client = client
        self._table = table

    def among(self, digests: Set[str]) -> set[str]:
        keys = [dynamo.key(PREFIX + digest, SORT_KEY) for digest in sorted(digests)]
        items = dynamo.batch_get(self._client(), self._table, keys, store="the suppression list", ProjectionExpression="pk")
        return {item["pk"]["S"].removeprefix(PREFIX) for item in items}
