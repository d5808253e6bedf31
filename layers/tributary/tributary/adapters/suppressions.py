"""Suppression rows in CONFIG: `suppressed#<digest>` / `suppressed`. Erasure writes them; here they are read, a hundred a call, never cached."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from tributary.errors import StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import KeysAndAttributesTypeDef

PREFIX: Final = "suppressed#"
SORT_KEY: Final = "suppressed"
_KEYS: Final = 100
_ROUNDS: Final = 5
"""BatchGetItem gives back what it was too busy for; after this many rounds the caller's batch comes again."""


class DynamoSuppressions:
    """`Suppressions` on DynamoDB."""

    def __init__(self, client: Callable[[], DynamoDBClient], table: str) -> None:
        self._client = client
        self._table = table

    def among(self, digests: Set[str]) -> set[str]:
        wanted = sorted(digests)
        found: set[str] = set()
        for start in range(0, len(wanted), _KEYS):
            found |= self._page(wanted[start : start + _KEYS])
        return found

    def _page(self, digests: list[str]) -> set[str]:
        request: dict[str, KeysAndAttributesTypeDef] = {
            self._table: {
                "Keys": [{"pk": {"S": PREFIX + digest}, "sk": {"S": SORT_KEY}} for digest in digests],
                "ProjectionExpression": "pk",
                "ConsistentRead": True,
            }
        }
        found: set[str] = set()
        for _ in range(_ROUNDS):
            try:
                answer = self._client().batch_get_item(RequestItems=request)
            except (BotoCoreError, ClientError) as error:
                raise StoreUnavailable(f"the suppression list did not answer: {type(error).__name__}") from error
            found |= {item["pk"]["S"].removeprefix(PREFIX) for item in answer["Responses"].get(self._table, [])}
            left = answer.get("UnprocessedKeys") or {}
            if not left:
                return found
            request = left  # type: ignore[assignment]  # the answer's form is the request's
        raise StoreUnavailable("the suppression list is busy")
