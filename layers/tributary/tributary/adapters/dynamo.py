"""What every reader of a table does alike: pages to their end, batches until all keys are answered, and one error for whatever AWS says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from tributary.errors import StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]
"""As DynamoDB writes it: attribute → {type: value}."""
_Answer = TypeVar("_Answer")

_KEYS: Final = 100
_A_WRITE: Final = 25
_ROUNDS: Final = 6
"""BatchGetItem gives back what it was too busy for, or what would pass 16 MB."""
_FIRST_WAIT: Final = 0.05


def key(pk: str, sk: str) -> dict[str, dict[str, str]]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def ask(call: Callable[[], _Answer], store: str) -> _Answer:
    """The call's answer. Raises `StoreUnavailable`, which names the store and the error's code, and nothing of what was asked."""
    try:
        return call()
    except (BotoCoreError, ClientError) as error:
        raise unavailable(error, store) from error


def unavailable(error: BotoCoreError | ClientError, store: str) -> StoreUnavailable:
    return StoreUnavailable(f"{store} did not answer: {code_of(error)}")


def code_of(error: BotoCoreError | ClientError) -> str:
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__


def query(client: DynamoDBClient, table: str, pk: str, *, store: str, where: str = "", values: Item | None = None, **options: Any) -> Iterator[Item]:
    """The rows of a partition, page after page. `where`: a condition on `sk`, of the `values`; `options`: DynamoDB's own."""
    asked: dict[str, Any] = {
        "TableName": table,
        "KeyConditionExpression": f"pk = :pk AND {where}" if where else "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": pk}, **(values or {})},
        **options,
    }
    while True:
        page = ask(lambda: client.query(**asked), store)
        yield from page["Items"]
        start = page.get("LastEvaluatedKey")
        if start is None:
            return
        asked["ExclusiveStartKey"] = start


def scan(client: DynamoDBClient, table: str, *, store: str, part: int = 0, parts: int = 1, **options: Any) -> Iterator[Item]:
    """The rows of one of so many parts of a table, page after page. `options`: DynamoDB's own."""
    asked: dict[str, Any] = {"TableName": table, "Segment": part, "TotalSegments": parts, **options}
    while True:
        page = ask(lambda: client.scan(**asked), store)
        yield from page["Items"]
        start = page.get("LastEvaluatedKey")
        if start is None:
            return
        asked["ExclusiveStartKey"] = start


def batch_get(
    client: DynamoDBClient, table: str, keys: Sequence[Item], *, store: str, sleep: Callable[[float], None] = time.sleep, **options: Any
) -> Iterator[Item]:
    """Those of the rows that exist, strongly consistent, a hundred keys a call. `options`: DynamoDB's own."""
    for first in range(0, len(keys), _KEYS):
        request: Any = {table: {"Keys": keys[first : first + _KEYS], "ConsistentRead": True, **options}}
        for attempt in range(_ROUNDS):
            if attempt:
                sleep(_FIRST_WAIT * 2**attempt)
            answer = ask(lambda request=request: client.batch_get_item(RequestItems=request), store)  # type: ignore[misc]  # mypy cannot infer a default's lambda
            yield from answer["Responses"].get(table, [])
            request = answer.get("UnprocessedKeys")
            if not request:
                break
        else:
            raise StoreUnavailable(f"{store} is busy")


def put_all(client: DynamoDBClient, table: str, items: Sequence[Item], *, store: str, sleep: Callable[[float], None] = time.sleep) -> None:
    """Blind puts, twenty-five a call, until all are taken."""
    for start in range(0, len(items), _A_WRITE):
        left: Any = {table: [{"PutRequest": {"Item": item}} for item in items[start : start + _A_WRITE]]}
        for attempt in range(_ROUNDS):
            if attempt:
                sleep(_FIRST_WAIT * 2**attempt)
            request = left
            left = ask(lambda: client.batch_write_item(RequestItems=request), store).get("UnprocessedItems")  # noqa: B023  # called at once
            if not left:
                break
        else:
            raise StoreUnavailable(f"{store} is busy")
