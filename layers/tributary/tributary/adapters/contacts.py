"""CONTACTS on DynamoDB: an item has its key, the revision `v` and the data `d`. One change is a conditional put or delete, more are a transaction (twice the
price, so that callers keep what changes together in one row where they can)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence, Set
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from tributary.adapters import dynamo
from tributary.errors import RetryError, StoreUnavailable, WriteConflict
from tributary.generations import FIRST, generation_of, prefix_of
from tributary.ports import ContactRow, RemoveRow, RowKey, WriteRow

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_STORE: Final = "CONTACTS"
_CONFLICTS: Final = frozenset({"ConditionalCheckFailed", "ConditionalCheckFailedException", "TransactionConflict", "TransactionConflictException"})


class DynamoContacts:
    """`ContactStore` on DynamoDB. `generation`: which one of it is meant, asked at each call."""

    def __init__(
        self, client: Callable[[], DynamoDBClient], table: str, sleep: Callable[[float], None] = time.sleep, *, generation: Callable[[], int] = lambda: FIRST
    ) -> None:
        self._client = client
        self._table = table
        self._sleep = sleep
        self._generation = generation

    def get(self, keys: Set[RowKey]) -> dict[RowKey, ContactRow]:
        items = dynamo.batch_get(self._client(), self._table, [self._key(key) for key in sorted(keys)], store=_STORE, sleep=self._sleep)
        return {row.key: row for row in map(self._row, items)}

    def rows(self, partition: str) -> Iterator[ContactRow]:
        return map(self._row, dynamo.query(self._client(), self._table, prefix_of(self._generation()) + partition, store=_STORE, ConsistentRead=True))

    def everything(self, part: int = 0, parts: int = 1) -> Iterator[ContactRow]:
        """Every row of one of so many parts of the table, those of a partition together; for a rebuild, not for a request."""
        for item in dynamo.scan(self._client(), self._table, store=_STORE, part=part, parts=parts, ConsistentRead=True):
            if generation_of(item["pk"]["S"]) == self._generation():
                yield self._row(item)

    def commit(self, changes: Sequence[WriteRow | RemoveRow]) -> None:
        writes = [self._change(change) for change in changes]
        try:
            if len(writes) > 1:
                self._client().transact_write_items(TransactItems=writes)
            elif "Put" in writes[0]:
                self._client().put_item(**writes[0]["Put"])
            else:
                self._client().delete_item(**writes[0]["Delete"])
        except (BotoCoreError, ClientError) as error:
            raise _refusal(error) from error

    def _key(self, key: RowKey) -> dict[str, dict[str, str]]:
        return dynamo.key(prefix_of(self._generation()) + key.partition, key.sort)

    def _row(self, item: dict[str, Any]) -> ContactRow:
        return ContactRow(RowKey(item["pk"]["S"].removeprefix(prefix_of(self._generation())), item["sk"]["S"]), int(item["v"]["N"]), bytes(item["d"]["B"]))

    def _change(self, change: WriteRow | RemoveRow) -> TransactWriteItemTypeDef:
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if change.expected is not None:
            condition = {"ConditionExpression": "v = :v", "ExpressionAttributeValues": {":v": {"N": str(change.expected)}}}
        match change:
            case WriteRow():
                item = {**self._key(change.key), "v": {"N": str((change.expected or 0) + 1)}, "d": {"B": change.data}}
                put: Any = {"TableName": self._table, "Item": item, **condition}
                return {"Put": put}
            case RemoveRow():
                delete: Any = {"TableName": self._table, "Key": self._key(change.key), **condition}
                return {"Delete": delete}


def _refusal(error: BotoCoreError | ClientError) -> RetryError:
    """A condition that failed, or somebody else's transaction at the same rows, is a conflict, unless another change of the call failed for its own reason."""
    if isinstance(error, BotoCoreError):
        return dynamo.unavailable(error, _STORE)
    reasons = {reason.get("Code", "None") for reason in error.response.get("CancellationReasons", [])} - {"None"}
    codes = reasons or {dynamo.code_of(error)}
    if codes <= _CONFLICTS:
        return WriteConflict("CONTACTS was written by somebody else at the same time")
    return StoreUnavailable(f"CONTACTS refused: {', '.join(sorted(codes - _CONFLICTS))}")
