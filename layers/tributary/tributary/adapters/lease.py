"""A lease on CONFIG: the row `<partition>` / `lease`, taken under a condition."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from tributary.adapters import dynamo
from tributary.lease import Lease

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_STORE: Final = "a lease"
_SORT: Final = "lease"
_REFUSED: Final = "ConditionalCheckFailedException"


class DynamoLease:
    """`Leasing` on DynamoDB."""

    def __init__(self, client: Callable[[], DynamoDBClient], table: str, partition: str) -> None:
        self._client = client
        self._table = table
        self._partition = partition

    def take(self, owner: str, now: datetime, seconds: float) -> Lease:
        row = {**dynamo.key(self._partition, _SORT), "owner": {"S": owner}, "until": {"S": (now + timedelta(seconds=seconds)).isoformat()}}
        try:
            answer = self._client().put_item(
                TableName=self._table,
                Item=row,
                ConditionExpression="attribute_not_exists(pk) OR #owner = :owner OR #until < :now",
                ExpressionAttributeNames={"#owner": "owner", "#until": "until"},
                ExpressionAttributeValues={":owner": {"S": owner}, ":now": {"S": now.isoformat()}},
                ReturnValues="ALL_OLD",
            )
        except (BotoCoreError, ClientError) as error:
            if dynamo.code_of(error) == _REFUSED:
                return Lease.HELD
            raise dynamo.unavailable(error, _STORE) from error
        before = answer.get("Attributes")
        return Lease.LEFT if before and before["owner"]["S"] != owner else Lease.TAKEN

    def release(self, owner: str) -> None:
        try:
            self._client().delete_item(
                TableName=self._table,
                Key=dynamo.key(self._partition, _SORT),
                ConditionExpression="#owner = :owner",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={":owner": {"S": owner}},
            )
        except (BotoCoreError, ClientError) as error:
            if dynamo.code_of(error) != _REFUSED:
                raise dynamo.unavailable(error, _STORE) from error
