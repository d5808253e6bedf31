"""Writing CONFIG's settings rows and the connections' credentials. Reading them in the hot path is `adapters/config_store.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from tributary.errors import CredentialMissing, StoreUnavailable
from tributary.operator import Change, DeleteRow, PutRow, Row, VersionConflict

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef
    from mypy_boto3_ssm import SSMClient


class DynamoRows:
    """`operator.Rows` on DynamoDB. A single change is a transaction too: botocore gives it a token, so that a repeat after a lost answer is no conflict."""

    def __init__(self, client: Callable[[], DynamoDBClient], table: str) -> None:
        self._client = client
        self._table = table

    def get(self, pk: str, sk: str) -> Row | None:
        try:
            item = self._client().get_item(TableName=self._table, Key=_key(pk, sk), ConsistentRead=True).get("Item")
        except (BotoCoreError, ClientError) as error:
            raise _unavailable(error) from error
        return None if item is None else _row(item)

    def under(self, pk: str) -> Sequence[tuple[str, Row]]:
        pages = (
            self._client()
            .get_paginator("query")
            .paginate(TableName=self._table, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": pk}}, ConsistentRead=True)
        )
        try:
            return [(item["sk"]["S"], _row(item)) for page in pages for item in page["Items"]]
        except (BotoCoreError, ClientError) as error:
            raise _unavailable(error) from error

    def commit(self, changes: Sequence[Change]) -> None:
        try:
            self._client().transact_write_items(TransactItems=[_write(self._table, change) for change in changes])
        except ClientError as error:
            reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
            if "ConditionalCheckFailed" in reasons:
                raise VersionConflict("it was changed by somebody else at the same time; read it again") from error
            raise _unavailable(error) from error
        except BotoCoreError as error:
            raise _unavailable(error) from error


class SsmSecretStore:
    """`operator.SecretStore` on SSM: SecureStrings below the stack's prefix."""

    def __init__(self, client: Callable[[], SSMClient], prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def get(self, name: str) -> str:
        try:
            return self._client().get_parameter(Name=self._full(name), WithDecryption=True)["Parameter"]["Value"]
        except ClientError as error:
            if _code(error) == "ParameterNotFound":
                raise CredentialMissing(f"no secret is stored as {name}") from error
            raise _unavailable(error) from error
        except BotoCoreError as error:
            raise _unavailable(error) from error

    def put(self, name: str, value: str) -> None:
        try:
            self._client().put_parameter(Name=self._full(name), Value=value, Type="SecureString", Overwrite=True)
        except (BotoCoreError, ClientError) as error:
            raise _unavailable(error) from error

    def put_once(self, name: str, value: str) -> bool:
        try:
            self._client().put_parameter(Name=self._full(name), Value=value, Type="SecureString", Overwrite=False)
        except ClientError as error:
            if _code(error) == "ParameterAlreadyExists":
                return False
            raise _unavailable(error) from error
        except BotoCoreError as error:
            raise _unavailable(error) from error
        return True

    def delete(self, name: str) -> None:
        try:
            self._client().delete_parameter(Name=self._full(name))
        except ClientError as error:
            if _code(error) != "ParameterNotFound":
                raise _unavailable(error) from error
        except BotoCoreError as error:
            raise _unavailable(error) from error

    def _full(self, name: str) -> str:
        return f"{self._prefix}/{name}"


def _write(table: str, change: Change) -> TransactWriteItemTypeDef:
    condition: dict[str, Any] = {
        "TableName": table,
        "ConditionExpression": "attribute_not_exists(pk)" if change.expected == 0 else "version = :expected",
    }
    if change.expected > 0:
        condition["ExpressionAttributeValues"] = {":expected": {"N": str(change.expected)}}
    match change:
        case PutRow():
            item = {**_key(change.pk, change.sk), "data": {"S": change.data}, "version": {"N": str(change.expected + 1)}}
            return {"Put": {**condition, "Item": item}}  # type: ignore[typeddict-item]
        case DeleteRow():
            return {"Delete": {**condition, "Key": _key(change.pk, change.sk)}}  # type: ignore[typeddict-item]


def _key(pk: str, sk: str) -> dict[str, dict[str, str]]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _row(item: dict[str, Any]) -> Row:
    return Row(data=item["data"]["S"], version=int(item["version"]["N"]))


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _unavailable(error: BotoCoreError | ClientError) -> StoreUnavailable:
    """Says which error it was, and nothing of what was written."""
    return StoreUnavailable(f"a settings store refused: {_code(error) if isinstance(error, ClientError) else type(error).__name__}")
