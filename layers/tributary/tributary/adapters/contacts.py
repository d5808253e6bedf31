"""CONTACTS on DynamoDB: an item has its key, the revision `v` and the data `d`. One change is a conditional put or delete, more are a transaction (twice the
price, so that callers keep what changes together in one row where they can)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence, Set
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from tributary.errors import RetryError, StoreUnavailable, WriteConflict
from tributary.ports import ContactRow, RemoveRow, RowKey, WriteRow

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_KEYS: Final = 100
_ROUNDS: Final = 6
"""BatchGetItem gives back what it was too busy for or what would pass 16 MB."""
_FIRST_WAIT: Final = 0.05
_CONFLICTS: Final = frozenset({"ConditionalCheckFailed", "ConditionalCheckFailedException", "TransactionConflict", "TransactionConflictException"})


class DynamoContacts:
    """`ContactStore` on DynamoDB."""

    def __init__(self, client: Callable[[], DynamoDBClient], table: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._table = table
        self._sleep = sleep

    def get(self, keys: Set[RowKey]) -> dict[RowKey, ContactRow]:
        wanted = sorted(keys)
        found: dict[RowKey, ContactRow] = {}
        for start in range(0, len(wanted), _KEYS):
            for item in self._page(wanted[start : start + _KEYS]):
                row = _row(item)
                found[row.key] = row
        return found

    def rows(self, partition: str) -> Iterator[ContactRow]:
        pages = (
            self._client()
            .get_paginator("query")
            .paginate(TableName=self._table, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": partition}}, ConsistentRead=True)
        )
        try:
            for page in pages:
                for item in page["Items"]:
                    yield _row(item)
        except (BotoCoreError, ClientError) as error:
            raise _refusal(error) from error

    def commit(self, changes: Sequence[WriteRow | RemoveRow]) -> None:
        writes = [_change(self._table, change) for change in changes]
        try:
            if len(writes) > 1:
                self._client().transact_write_items(TransactItems=writes)
            elif "Put" in writes[0]:
                self._client().put_item(**writes[0]["Put"])
            else:
                self._client().delete_item(**writes[0]["Delete"])
        except (BotoCoreError, ClientError) as error:
            raise _refusal(error) from error

    def _page(self, keys: Sequence[RowKey]) -> Iterator[dict[str, Any]]:
        request: Any = {self._table: {"Keys": [_key(key) for key in keys], "ConsistentRead": True}}
        for attempt in range(_ROUNDS):
            if attempt:
                self._sleep(_FIRST_WAIT * 2**attempt)
            try:
                answer = self._client().batch_get_item(RequestItems=request)
            except (BotoCoreError, ClientError) as error:
                raise _refusal(error) from error
            yield from answer["Responses"].get(self._table, [])
            request = answer.get("UnprocessedKeys")
            if not request:
                return
        raise StoreUnavailable("CONTACTS is busy")


def _key(key: RowKey) -> dict[str, Any]:
    return {"pk": {"S": key.partition}, "sk": {"S": key.sort}}


def _row(item: dict[str, Any]) -> ContactRow:
    return ContactRow(RowKey(item["pk"]["S"], item["sk"]["S"]), int(item["v"]["N"]), bytes(item["d"]["B"]))


def _change(table: str, change: WriteRow | RemoveRow) -> TransactWriteItemTypeDef:
    condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
    if change.expected is not None:
        condition = {"ConditionExpression": "v = :v", "ExpressionAttributeValues": {":v": {"N": str(change.expected)}}}
    match change:
        case WriteRow():
            item = {**_key(change.key), "v": {"N": str((change.expected or 0) + 1)}, "d": {"B": change.data}}
            put: Any = {"TableName": table, "Item": item, **condition}
            return {"Put": put}
        case RemoveRow():
            delete: Any = {"TableName": table, "Key": _key(change.key), **condition}
            return {"Delete": delete}


def _refusal(error: BotoCoreError | ClientError) -> RetryError:
    """A condition that failed, or somebody else's transaction at the same rows, is a conflict, unless another change of the call failed for its own reason."""
    if isinstance(error, BotoCoreError):
        return StoreUnavailable(f"CONTACTS did not answer: {type(error).__name__}")
    code = error.response["Error"]["Code"]
    reasons = {reason.get("Code", "None") for reason in error.response.get("CancellationReasons", [])} - {"None"}
    codes = reasons or {code}
    if codes <= _CONFLICTS:
        return WriteConflict("CONTACTS was written by somebody else at the same time")
    return StoreUnavailable(f"CONTACTS refused: {', '.join(sorted(codes - _CONFLICTS))}")
