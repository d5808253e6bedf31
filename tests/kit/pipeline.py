"""The whole pipeline in one process: the real handlers, moto in place of AWS, a scripted vendor in place of the network.

It pumps what AWS would: queue messages until they are deleted, stream records in order until the handler returns. A handler that raises, or is killed, gets its
batch again.
"""

from __future__ import annotations

import base64
import importlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import cache
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local.fakes.konnektive.vendor import LOGIN, PASSWORD
from tests.kit.builders import NOON
from tests.kit.moto import create_table, of_a_function
from tributary import log_codec
from tributary.access import hash_key
from tributary.adapters import aws
from tributary.events import Event
from tributary.ports import VendorAnswer, VendorRequest

STACK = "shop"
WRITE_KEY = "wk_" + "a" * 29
FUNCTIONS = ("intake", "record", "fan_out", "resolve", "forward_kissmetrics", "konnektive_schedule", "konnektive_poll", "webhooks")
OF_FACTS = ("contact_facts", "write_facts", "compact_facts", "reports_api")
API_KEY = "tk_" + "b" * 40
ACCOUNT_URL = "https://account.harbour.example"
POSTBACK_SECRET = "postback-secret-of-the-shop"
BATCH_SIZES = {"ingest": 10, "kissmetrics": 10, "sync": 1, "facts": 10}
"""As in the template; of facts as many as one receive brings."""
_STREAM_BATCH = 100
_VISIBILITY = timedelta(seconds=2_700)
"""After which the queue gives out a task again whose sandbox died."""


class Killed(BaseException):
    """The sandbox died: nothing of ours can catch it."""


class LambdaContext:
    function_name = "test"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:test"
    aws_request_id = "request"

    def __init__(self, seconds: int = 60) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return self._seconds * 1_000


class Clock:
    """What the time is, to an account that is polled and to those who poll it."""

    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        return self.time


class Network:
    """`ports.Vendor`: the account behind its address, the destination behind every other."""

    def __init__(self, vendor: Any, account: Any) -> None:
        self._vendor = vendor
        self._account = account

    def send(self, request: VendorRequest, *, timeout: float) -> VendorAnswer:
        behind = self._account if request.url.startswith(ACCOUNT_URL) else self._vendor
        answer: VendorAnswer = behind.send(request, timeout=timeout)
        return answer


class Pipeline:
    """`running`: the function that is at work. `clock`: of an account that is polled; a sandbox's death takes it on by what the queue then waits."""

    def __init__(self, handlers: dict[str, ModuleType], urls: dict[str, str], clock: Clock) -> None:
        self._handlers = handlers
        self._urls = urls
        self.queues = tuple(urls.values())
        self.facts_url = urls["facts"]
        self.clock = clock
        self.running = ""
        self._seen: dict[str, int] = {"fan_out": 0, "resolve": 0, "contact_facts": 0}
        self.crashes = 0
        self._client: Callable[[str], Any] = cache(lambda service: boto3.client(service))  # noqa: PLW0108  (its overloads)
        """Making one takes longer than a call of moto."""

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        self.running = function
        return self._handlers[function].lambda_handler(event, LambdaContext(900 if function == "compact_facts" else 60))

    def post(self, path: str, body: Any, *, key: str = WRITE_KEY) -> dict[str, Any]:
        """A request to the tracking API, as the gateway hands it over."""
        token = base64.b64encode(f"{key}:".encode()).decode()
        event = {
            "version": "2.0",
            "routeKey": "POST /v1/{call}",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"authorization": f"Basic {token}", "content-type": "application/json"},
            "requestContext": {"http": {"method": "POST", "path": path, "sourceIp": "203.0.113.7"}, "timeEpoch": int(NOON.timestamp() * 1000)},
            "pathParameters": {"call": path.rsplit("/", 1)[1]},
            "body": body if isinstance(body, str) else json.dumps(body),
            "isBase64Encoded": False,
        }
        answer: dict[str, Any] = self.invoke("intake", event)
        return answer

    def get(self, path: str, query: str = "") -> dict[str, Any]:
        """A request to the report API, with a key of all scopes, as the gateway hands it over."""
        event = {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": query,
            "headers": {"authorization": f"Bearer {API_KEY}"},
            "requestContext": {"requestId": "r-1", "http": {"method": "GET", "path": path}},
            "isBase64Encoded": False,
        }
        answer: dict[str, Any] = self.invoke("reports_api", event)
        return answer

    def tick(self) -> None:
        """The schedule's."""
        with self._surviving():
            self.invoke("konnektive_schedule", {})

    def call_webhook(self, path: str, *, method: str = "GET", query: str = "", body: str = "", headers: dict[str, str] | None = None) -> dict[str, Any]:
        """A call of another system, as the gateway hands it over."""
        event = {
            "version": "2.0",
            "routeKey": "ANY /webhooks/{proxy+}",
            "rawPath": path,
            "rawQueryString": query,
            "headers": headers or {},
            "requestContext": {"http": {"method": method, "path": path, "sourceIp": "203.0.113.7"}, "timeEpoch": int(NOON.timestamp() * 1000)},
            "body": body,
            "isBase64Encoded": False,
        }
        answer: dict[str, Any] = self.invoke("webhooks", event)
        return answer

    def run(self, rounds: int = 12) -> None:
        """Pump until nothing is left to do."""
        for _ in range(rounds):
            idle = not self._pump_queue("konnektive_poll", "sync")
            idle &= not self._pump_queue("record", "ingest")
            idle &= not self._pump_stream("fan_out")
            idle &= not self._pump_stream("resolve")
            idle &= not self._pump_queue("forward_kissmetrics", "kissmetrics")
            if "write_facts" in self._handlers:
                idle &= not self._pump_stream("contact_facts")
                idle &= not self._pump_queue("write_facts", "facts")
            if idle:
                return
        raise AssertionError("the pipeline does not come to rest")

    def _pump_queue(self, function: str, queue: str) -> bool:
        sqs = self._client("sqs")
        url = self._urls[queue]
        messages = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=BATCH_SIZES[queue], AttributeNames=["All"], MessageSystemAttributeNames=["All"], VisibilityTimeout=30
        ).get("Messages", [])
        if not messages:
            return False
        records: list[dict[str, Any]] = [
            {"messageId": m["MessageId"], "receiptHandle": m["ReceiptHandle"], "body": m["Body"], "attributes": m["Attributes"], "eventSource": "aws:sqs"}
            for m in messages
        ]
        failed = {record["messageId"] for record in records}
        with self._surviving():
            answer = self.invoke(function, {"Records": records}) or {}
            failed = {failure["itemIdentifier"] for failure in answer.get("batchItemFailures", [])}
        for record in records:
            if record["messageId"] in failed:
                sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=0)
            else:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=record["receiptHandle"])
        return True

    def _pump_stream(self, function: str) -> bool:
        if function == "contact_facts":
            records = self._stream("contacts")
        else:
            log = self._stream("events")
            records = [record for record in log if record["eventName"] == "INSERT" and record["dynamodb"]["Keys"]["sk"]["S"].startswith("event#")]
        batch = records[self._seen[function] :][:_STREAM_BATCH]
        if not batch:
            return False
        with self._surviving():
            self.invoke(function, {"Records": batch})
            self._seen[function] += len(batch)
        return True

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        try:
            yield
        except (Killed, Exception):
            self.crashes += 1
            self.clock.time += _VISIBILITY
            self.restart()

    def restart(self) -> None:
        """New sandboxes: nothing built before is left."""
        for name in self._handlers:
            self._handlers[name] = importlib.reload(self._handlers[name])

    def _stream(self, table: str) -> list[dict[str, Any]]:
        client = self._client("dynamodbstreams")
        arn = self._client("dynamodb").describe_table(TableName=table)["Table"]["LatestStreamArn"]
        found: list[dict[str, Any]] = []
        for shard in client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            iterator = client.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
            found += client.get_records(ShardIterator=iterator)["Records"]
        return [json.loads(json.dumps(record, default=_json)) for record in found]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Every row of a table, by key."""
        pages = self._client("dynamodb").get_paginator("scan").paginate(TableName=table)
        return sorted((item for page in pages for item in page["Items"]), key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def logged(stack: Pipeline) -> list[Event]:
    """What the log has."""
    return [log_codec.unpack(row["p"]["B"]) for row in stack.rows("events") if row["sk"]["S"].startswith("event#")]


def _json(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


@contextmanager
def pipeline(
    monkeypatch: pytest.MonkeyPatch,
    vendor: Any,
    *,
    account: Callable[[Clock], Any] | None = None,
    account_settings: dict[str, Any] | None = None,
    facts: bool = False,
) -> Iterator[Pipeline]:
    """A stack with one source, one write key and one Kissmetrics connection. `vendor`: what stands in for the network (`ports.Vendor`).

    `account`: what stands in for the API of a Konnektive account, which is then connected as `con_k`, under a clock that moves only when it is told to.
    `facts`: whether facts are written too; without, they stay in their queue.
    """
    clock = Clock()
    _forget_clients()
    with mock_aws(), monkeypatch.context() as patch:
        of_a_function(patch, "test", POWERTOOLS_LOG_LEVEL="INFO")
        urls = _stack(patch)
        if facts:
            boto3.client("s3").create_bucket(Bucket="facts")
        network = vendor
        if account is not None:
            patch.setattr("tributary.clock.SystemClock.now", lambda _: clock.now())
            patch.setattr("time.sleep", lambda _: None)
            _connect_account(account_settings or {})
            network = Network(vendor, account(clock))
        patch.setattr("tributary.adapters.http.HttpVendor", lambda *_, **__: network)
        handlers = {name: importlib.reload(importlib.import_module(f"functions.{name}.handler")) for name in (*FUNCTIONS, *(OF_FACTS if facts else ()))}
        yield Pipeline(handlers, urls, clock)
    _forget_clients()


CLIENTS = (aws.dynamodb, aws.s3, aws.sqs, aws.ssm, aws.sns, aws.dynamodb_for_caller, aws.s3_for_caller, aws.sqs_for_caller, aws.ssm_for_caller)


def _forget_clients() -> None:
    for client in CLIENTS:
        client.cache_clear()


def _connect_account(settings: dict[str, Any]) -> None:
    connection = {
        "id": "con_k",
        "type": "konnektive",
        "label": "Shop's CRM",
        "settings": {"loginId": LOGIN, "baseUrl": ACCOUNT_URL, **settings},
        "secrets": ["password", "postbackSecret"],
        "created_at": NOON.isoformat(),
    }
    item = {"pk": {"S": "connection"}, "sk": {"S": "con_k"}, "data": {"S": json.dumps(connection)}, "version": {"N": "1"}}
    boto3.client("dynamodb").put_item(TableName="config", Item=item)
    secret = json.dumps({"password": PASSWORD, "postbackSecret": POSTBACK_SECRET})
    boto3.client("ssm").put_parameter(Name=f"/{STACK}/connections/con_k", Type="SecureString", Value=secret)


def _stack(patch: pytest.MonkeyPatch) -> dict[str, str]:
    dynamodb, sqs, ssm = boto3.client("dynamodb"), boto3.client("sqs"), boto3.client("ssm")
    for table in ("events", "contacts", "config"):
        create_table(dynamodb, table)
    dynamodb.update_table(TableName="events", StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
    dynamodb.update_table(TableName="contacts", StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    urls = {
        "ingest": sqs.create_queue(QueueName="ingest")["QueueUrl"],
        "kissmetrics": sqs.create_queue(QueueName="kissmetrics.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"],
        "sync": sqs.create_queue(QueueName="sync.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"],
        "facts": sqs.create_queue(QueueName="facts")["QueueUrl"],
    }
    for name, value in {
        "EVENTS_TABLE": "events",
        "CONTACTS_TABLE": "contacts",
        "CONFIG_TABLE": "config",
        "INGEST_QUEUE_URL": urls["ingest"],
        "KISSMETRICS_QUEUE_URL": urls["kissmetrics"],
        "QUEUE_URL": urls["kissmetrics"],
        "SYNC_QUEUE_URL": urls["sync"],
        "FACTS_QUEUE_URL": urls["facts"],
        "FACTS_BUCKET": "facts",
        "NOTICE_TOPIC": boto3.client("sns").create_topic(Name="notices")["TopicArn"],
        "SECRETS_PREFIX": f"/{STACK}",
        "UNKNOWN_KEY": "refuse",
        "EVENTS_PER_SECOND": "1000000",
        "RETENTION_DAYS": "0",
        "MEMORY_MB": "1024",
        "STORAGE_MB": "1024",
    }.items():
        patch.setenv(name, value)
    ssm.put_parameter(Name=f"/{STACK}/digest-key", Type="SecureString", Value=base64.b64encode(b"k" * 32).decode())
    ssm.put_parameter(Name=f"/{STACK}/connections/con_km", Type="SecureString", Value=json.dumps({"apiKey": "km_key_001"}))
    _put_settings(dynamodb)
    return urls


def _put_settings(dynamodb: Any) -> None:
    created = NOON.isoformat()
    key = {"id": "key_1", "kind": "write", "source": "src_shop", "created_at": created}
    api_key = {"id": "key_2", "kind": "api", "scopes": ["*"], "created_at": created}
    connection = {"id": "con_km", "type": "kissmetrics", "label": "Kissmetrics", "created_at": created}
    source = {"id": "src_shop", "label": "Shop", "created_at": created}
    for pk, sk, data in (
        (f"key#{hash_key(WRITE_KEY)}", "key", key),
        (f"key#{hash_key(API_KEY)}", "key", api_key),
        ("source", "src_shop", source),
        ("connection", "con_km", connection),
    ):
        item = {"pk": {"S": pk}, "sk": {"S": sk}, "data": {"S": json.dumps(data)}, "version": {"N": "1"}, "source_enabled": {"BOOL": True}}
        with suppress(KeyError):
            dynamodb.put_item(TableName="config", Item=item)


def kill_at(number: int, *, applied: bool, counts: Callable[[], bool] = lambda: True) -> Callable[[], int]:
    """Kill the sandbox at the n-th AWS call that it makes, before AWS has it or after; answers how many calls were made in all.

    `counts`: whether the call at hand is one of them. Call inside `pipeline(...)`, once the events are posted.
    """
    from moto.core.models import botocore_stubber

    made = [0]

    def before_send(request: Any, event_name: str, **_: Any) -> None:
        if not counts():
            return
        made[0] += 1
        if made[0] == number:
            if applied:
                assert botocore_stubber(event_name, request) is not None
            raise Killed

    for client in (aws.dynamodb(), aws.sqs(), aws.ssm(), aws.sns()):
        client.meta.events.register_first(f"before-send.{client.meta.service_model.service_id.hyphenize()}", before_send)
    return lambda: made[0]
