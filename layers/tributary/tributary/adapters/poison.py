"""Records of ours that can never succeed: rows `poison#<function>` beside the log, where personal data may be."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tributary.adapters import dynamo

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PREFIX = "poison#"


class DynamoPoisonRecords:
    """`PoisonRecords` on DynamoDB."""

    def __init__(self, client: Callable[[], DynamoDBClient], table: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._client = client
        self._table = table
        self._now = now

    def park(self, place: str, key: str, code: str, body: bytes = b"") -> None:
        item: dict[str, Any] = {
            **dynamo.key(PREFIX + place, key),
            "code": {"S": code},
            "at": {"S": self._now().isoformat()},
            "body": {"B": zlib.compress(body)},
        }
        dynamo.ask(lambda: self._client().put_item(TableName=self._table, Item=item), "the place for what can never succeed")
