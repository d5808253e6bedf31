"""Tables and queues on moto, and faults between botocore and it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError
from moto import mock_aws
from moto.core.models import botocore_stubber

from tributary.adapters.aws import CLIENT_CONFIG

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def of_a_function(monkeypatch: pytest.MonkeyPatch, name: str, **variables: str) -> None:
    """The environment of the function of that name: `variables`, and nothing that this machine has set of AWS's, Powertools' or ours."""
    for one in list(os.environ):
        if one.startswith(("AWS_", "POWERTOOLS_", "TRIBUTARY_")):
            monkeypatch.delenv(one)
    always = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    always |= {"POWERTOOLS_METRICS_NAMESPACE": "Tributary", "POWERTOOLS_SERVICE_NAME": name}
    for one, value in (always | variables).items():
        monkeypatch.setenv(one, value)


def create_table(client: DynamoDBClient, name: str) -> str:
    """Every table of ours has the same keys."""
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    return name


@contextmanager
def dynamodb_table(name: str = "table") -> Iterator[DynamoDBClient]:
    """A client whose account has one table."""
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test", config=CLIENT_CONFIG)
        create_table(client, name)
        yield client


class Faults:
    """Disturbs a client's calls: `refuse` answers instead of AWS, `lose_answer` lets AWS apply and then loses the answer (the SDK's own retry included)."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: list[str] = []
        self._service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register(f"before-send.{self._service}", self._count)

    def _count(self, event_name: str, **_: Any) -> None:
        self.calls.append(event_name.rsplit(".", 1)[1])

    def refuse(self, operation: str, *, times: int, status: int = 503, body: bytes = b"{}") -> None:
        left = [times]

        def before_send(request: Any, **_: Any) -> AWSResponse | None:
            if left[0] <= 0:
                return None
            left[0] -= 1
            return _instead(request, status, body)

        self._answer(operation, before_send)

    def _answer(self, operation: str, before_send: Callable[..., AWSResponse | None]) -> None:
        def after(**_: Any) -> None:
            botocore_stubber.enabled = True

        self._client.meta.events.register_first(f"before-send.{self._service}.{operation}", before_send)
        self._client.meta.events.register(f"response-received.{self._service}.{operation}", after)

    def lag(self, operation: str) -> None:
        """A read of a table that does not ask for consistency is answered by a replica that has none of its rows yet."""

        def before_send(request: Any, **_: Any) -> AWSResponse | None:
            asked = json.loads(request.body)
            tables = asked.get("RequestItems", {"": asked})
            if all(one.get("ConsistentRead") is True for one in tables.values()):
                return None
            return _instead(request, 200, json.dumps({"Responses": {table: [] for table in tables}, "Items": []}).encode())

        self._answer(operation, before_send)

    def lose_answer(self, operation: str, *, times: int) -> None:
        """AWS applies the call, then the connection breaks. The SDK tries again by itself: `times=3` exhausts its attempts."""
        left = [times]

        def before_send(request: Any, event_name: str, **_: Any) -> None:
            if left[0] <= 0:
                return
            left[0] -= 1
            assert botocore_stubber(event_name, request) is not None
            raise ReadTimeoutError(endpoint_url=request.url)

        self._client.meta.events.register_first(f"before-send.{self._service}.{operation}", before_send)


def _instead(request: Any, status: int, body: bytes) -> AWSResponse:
    """An answer in place of moto's."""
    botocore_stubber.enabled = False  # botocore asks every handler and takes the first answer: moto's would be applied all the same
    raw = type("Raw", (), {"stream": lambda self, **_: iter([body]), "read": lambda self, *_: body})()
    headers = HTTPHeaders()
    headers["content-type"] = "application/x-amz-json-1.0"
    return AWSResponse(request.url, status, headers, raw)
