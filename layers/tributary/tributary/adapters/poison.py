"""Records of ours that can never succeed: rows `poison#<function>` beside the log, where personal data may be."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from tributary.errors import StoreUnavailable

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
        try:
            self._client().put_item(
                TableName=self._table,
                Item={
                    "pk": {"S": PREFIX + place},
                    "sk": {"S": key},
                    "code": {"S": code},
                    "at": {"S": self._now().isoformat()},
                    "body": {"B": zlib.compress(body)},
                },
            )
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailable(f"a record of {place} could not be set aside: {type(error).__name__}") from error
