"""Intake's handler in process, on moto: each sample event, the official libraries' own requests, and what happens when AWS fails."""

from __future__ import annotations

import base64
import importlib
import io
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
import requests
import rudderstack.analytics.request as rudderstack_request
import segment.analytics.request as segment_request
from moto import mock_aws
from moto.core.models import botocore_stubber

from tests.kit.intake import basic
from tests.kit.moto import Faults, create_table, of_a_function
from tributary.access import hash_key
from tributary.adapters import aws
from tributary.events import Alias, Event, Group, Identify, Page, Screen, Track
from tributary.messages import IngestMessage, Rejected, ingest_decoder

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "events" / "intake"
WRITE_KEY = "wk_" + "a" * 29
HEAVY = ("pydantic", "httpx", "duckdb", "aws_xray_sdk", "phonenumbers", "typer", "rich")


class LambdaContext:
    function_name = "intake"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:intake"
    aws_request_id = "request"


class Killed(BaseException):
    """The sandbox died."""


@dataclass
class Stack:
    handler: ModuleType
    queue_url: str

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self.handler.lambda_handler(event, LambdaContext())
        return answer

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> dict[str, Any]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.invoke(
            {
                "version": "2.0",
                "rawPath": path,
                "headers": basic(WRITE_KEY) if headers is None else headers,
                "requestContext": {"http": {"method": "POST", "path": path, "sourceIp": "203.0.113.9"}},
                "body": base64.b64encode(raw).decode(),
                "isBase64Encoded": True,
            }
        )

    def messages(self) -> list[IngestMessage]:
        """Take what is in the queue."""
        sqs, found = boto3.client("sqs"), []
        while received := sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in received:
                found.append(ingest_decoder.decode(message["Body"]))
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def taken(self) -> tuple[list[Event], list[Rejected]]:
        messages = self.messages()
        return [event for message in messages for event in message.events], [item for message in messages for item in message.rejected]


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """A table with one write key, a queue, and a new sandbox of intake."""
    clients = (aws.dynamodb_for_caller, aws.sqs_for_caller)
    for client in clients:
        client.cache_clear()
    of_a_function(monkeypatch, "intake", CONFIG_TABLE="config", UNKNOWN_KEY="refuse", EVENTS_PER_SECOND="1000000")
    with mock_aws():
        create_table(boto3.client("dynamodb"), "config")
        row = {"id": "key_1", "kind": "write", "source": "src_shop", "created_at": "2026-01-01T00:00:00Z"}
        item = {"pk": {"S": f"key#{hash_key(WRITE_KEY)}"}, "sk": {"S": "key"}, "data": {"S": json.dumps(row)}}
        boto3.client("dynamodb").put_item(TableName="config", Item=item)
        queue_url = boto3.client("sqs").create_queue(QueueName="ingest", Attributes={"MaximumMessageSize": "1048576"})["QueueUrl"]
        monkeypatch.setenv("INGEST_QUEUE_URL", queue_url)
        yield Stack(importlib.reload(importlib.import_module("functions.intake.handler")), queue_url)
    for client in clients:
        client.cache_clear()


# ---------------------------------------------------------------- samples

EXPECTED: dict[str, tuple[int, list[type[Event]], list[tuple[str, str]]]] = {
    "batch_with_bad_items": (200, [Track], [("event_not_defined", "event"), ("number_invalid", "properties.amount"), ("no_user_anon_id", "userId")]),
    "browser_batch": (200, [Track, Track], []),
    "browser_metrics": (200, [], []),
    "browser_page": (200, [Page], []),
    "browser_preflight": (200, [], []),
    "curl_identify": (200, [Identify], []),
    "curl_key_in_body": (200, [Track], []),
    "not_json": (400, [], [("bad_request", "body")]),
    "pixel": (200, [Track], []),
    "pixel_flat": (200, [Track], []),
    "rudderstack_python_gzip": (200, [Identify, Page], []),
    "segment_node": (200, [Track, Alias], []),
    "segment_python": (200, [Identify, Track, Group], []),
    "segment_ruby": (200, [Track, Screen], []),
    "two_keys": (401, [], []),
    "unknown_key": (401, [], []),
}


def sample(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text())
    return event


def test_every_sample_has_its_expectation() -> None:
    assert {path.stem for path in SAMPLES.glob("*.json")} == EXPECTED.keys()


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_sample_is_answered_and_stored_as_expected(stack: Stack, name: str) -> None:
    status, types, rejected = EXPECTED[name]
    answer = stack.invoke(sample(name))
    events, refused = stack.taken()
    assert answer["statusCode"] == status
    assert [type(event) for event in events] == types
    assert [(item.code, item.field) for item in refused] == rejected
    if name.startswith("pixel"):
        assert base64.b64decode(answer["body"]).startswith(b"GIF89a")
    else:
        body = json.loads(answer["body"])
        assert {"success", "code", "message"} <= body.keys()
        assert body["success"] is (status == 200)
        assert ("error" in body) is (status != 200)
    assert answer["headers"]["access-control-allow-origin"] == sample(name)["headers"].get("origin", "*")


def test_a_browser_s_event_keeps_what_the_page_said_and_gets_its_visitor_s_address(stack: Stack) -> None:
    stack.invoke(sample("browser_page"))
    ((page,), _) = stack.taken()
    assert isinstance(page, Page)
    assert (page.user_id, page.anonymous_id) == (None, "7b1c2d3e-0000-4111-8222-933344445599")
    assert page.context["campaign"] == {"source": "newsletter", "medium": "email", "name": "spring"}
    assert page.context["ip"] == "203.0.113.9"
    assert page.properties["title"] == "Ropes"


def test_a_library_s_numbers_nulls_and_zones_are_read(stack: Stack) -> None:
    stack.invoke(sample("segment_ruby"))
    (track, screen), _ = stack.taken()
    assert (track.user_id, track.anonymous_id, track.index, screen.index) == ("42", None, 0, 1)
    assert (screen.user_id, screen.anonymous_id) == (None, "a-71")
    assert (track.original_timestamp, track.sent_at) != (None, None)
    assert track.original_timestamp is not None
    assert track.original_timestamp.isoformat() == "2026-03-04T11:59:57.512000+00:00"


# ---------------------------------------------------------------- the official libraries


class Gateway:
    """Stands in for a library's HTTP session: the request goes to the handler."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.answers: list[dict[str, Any]] = []

    def post(self, url: str, data: str | bytes, headers: dict[str, str], auth: Any = None, **_: Any) -> requests.Response:
        prepared = requests.Request("POST", url, headers=headers, data=data, auth=auth).prepare()
        body = prepared.body if isinstance(prepared.body, bytes) else str(prepared.body).encode()
        answer = self._stack.post(urlsplit(url).path, body, {name.lower(): str(value) for name, value in prepared.headers.items()})
        self.answers.append(answer)
        response = requests.Response()
        response.status_code = answer["statusCode"]
        response.headers.update(answer["headers"])
        response._content = answer["body"].encode()
        return response


LIBRARIES = [pytest.param(segment_request, id="segment"), pytest.param(rudderstack_request, id="rudderstack")]
EVENTS = [{"type": "track", "userId": "orla-12", "event": "Berth Booked", "messageId": "m-1", "timestamp": "2026-03-04T12:00:00+00:00"}]


@pytest.mark.parametrize("gzip", [False, True])
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_s_own_request_is_taken(stack: Stack, monkeypatch: pytest.MonkeyPatch, library: ModuleType, gzip: bool) -> None:
    monkeypatch.setattr(library, "_session", Gateway(stack))
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # RudderStack's still calls utcnow
        assert library.post(WRITE_KEY, host="https://events.shop.example", gzip=gzip, batch=EVENTS).status_code == 200
    ((track,), rejected) = stack.taken()
    assert (track.message_id, track.source, rejected) == ("m-1", "src_shop", [])
    assert track.sent_at is not None


@pytest.mark.parametrize(
    "refused",
    [("wk_unknown", EVENTS, (401, "unknown_source")), (WRITE_KEY, {}, (400, "bad_request")), ("", EVENTS, (400, "write_key_missing"))],
)
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_reads_a_refusal_and_does_not_stumble_over_it(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, library: ModuleType, refused: tuple[str, Any, tuple[int, str]]
) -> None:
    key, batch, expected = refused
    monkeypatch.setattr(library, "_session", Gateway(stack))
    with pytest.raises(library.APIError) as error, warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        library.post(key, host="https://events.shop.example", gzip=False, batch=batch)
    assert (error.value.status, error.value.code) == expected
    assert error.value.message


# ---------------------------------------------------------------- AWS fails


def nameless(number: int = 3) -> dict[str, Any]:
    return {"batch": [{"type": "page", "userId": f"u-{index // 2}"} for index in range(number)]}


def wide() -> dict[str, Any]:
    """A request that becomes several queue messages."""
    return {"batch": [{"type": "page", "userId": f"u-{index}"} for index in range(80)], "context": {"a": "x" * 32_000}}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's waits between attempts take no time."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)


PARTLY = json.dumps({"Successful": [], "Failed": [{"Id": "0", "SenderFault": False, "Code": "InternalError", "Message": "try again"}]}).encode()


def test_a_message_that_sqs_refuses_once_is_sent_again(stack: Stack) -> None:
    Faults(aws.sqs_for_caller()).refuse("SendMessageBatch", times=1, status=200, body=PARTLY)
    assert stack.post("/v1/batch", nameless())["statusCode"] == 200
    assert len(stack.taken()[0]) == 3


@pytest.mark.parametrize(("status", "body"), [(200, PARTLY), (503, b"{}"), (500, b"{}"), (400, b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist"}')])
@pytest.mark.usefixtures("impatient")
def test_while_sqs_refuses_the_answer_is_503_and_nothing_is_called_stored(stack: Stack, status: int, body: bytes) -> None:
    Faults(aws.sqs_for_caller()).refuse("SendMessageBatch", times=10, status=status, body=body)
    answer = stack.post("/v1/batch", nameless())
    assert (answer["statusCode"], json.loads(answer["body"])["success"]) == (503, False)
    assert int(answer["headers"]["retry-after"]) > 0
    assert stack.taken() == ([], [])


@pytest.mark.usefixtures("impatient")
def test_a_lost_answer_of_sqs_is_a_503_and_the_resend_brings_the_same_ids(stack: Stack) -> None:
    Faults(aws.sqs_for_caller()).lose_answer("SendMessageBatch", times=2)
    assert stack.post("/v1/batch", nameless())["statusCode"] == 503
    stored = [event.message_id for event in stack.taken()[0]]
    assert stack.post("/v1/batch", nameless())["statusCode"] == 200
    again = [event.message_id for event in stack.taken()[0]]
    assert stored == again * 2, "the SDK tried twice, and both had been taken"
    assert len(set(again)) == 3


@pytest.mark.usefixtures("impatient")
def test_while_dynamodb_is_away_an_unseen_key_is_a_503_and_a_seen_one_is_served(stack: Stack) -> None:
    assert stack.post("/v1/batch", nameless())["statusCode"] == 200
    Faults(aws.dynamodb_for_caller()).refuse("GetItem", times=10, status=503)
    assert stack.post("/v1/batch", nameless())["statusCode"] == 200
    assert stack.post("/v1/batch", nameless(), basic("wk_unseen"))["statusCode"] == 503


@pytest.mark.filterwarnings("ignore:No application metrics")  # of the sandbox that dies
@pytest.mark.parametrize("call", [1, 2, 3])
@pytest.mark.parametrize("applied", [False, True])
def test_a_sandbox_that_dies_between_two_messages_of_a_request_loses_and_doubles_nothing(stack: Stack, call: int, applied: bool) -> None:
    made = 0

    def kill(request: Any, event_name: str, **_: Any) -> None:
        nonlocal made
        made += 1
        if made == call:
            if applied:
                assert botocore_stubber(event_name, request) is not None
            raise Killed

    aws.sqs_for_caller().meta.events.register_first("before-send.sqs.SendMessageBatch", kill)
    with suppress(Killed):
        stack.post("/v1/batch", wide())
    before = {event.message_id for event in stack.taken()[0]}
    assert len(before) == (0, 31, 62, 80)[call if applied else call - 1]
    assert stack.post("/v1/batch", wide())["statusCode"] == 200
    after = [event.message_id for event in stack.taken()[0]]
    assert len(set(after)) == len(after) == 80
    assert before <= set(after), "what was stored before comes again under the same ids"
    assert made == call + 3


# ---------------------------------------------------------------- lean and quiet


def test_a_key_is_read_once_and_a_call_is_one_message(stack: Stack) -> None:
    table, queue = Faults(aws.dynamodb_for_caller()), Faults(aws.sqs_for_caller())
    for _ in range(20):
        assert stack.post("/v1/batch", nameless(100))["statusCode"] == 200
    assert table.calls == ["GetItem"]
    assert queue.calls == ["SendMessageBatch"] * 20


def test_no_client_is_built_for_a_call_that_needs_none(stack: Stack) -> None:
    for name in ("browser_preflight", "browser_metrics", "two_keys"):
        stack.invoke(sample(name))
    assert aws.dynamodb_for_caller.cache_info().currsize == 0
    assert aws.sqs_for_caller.cache_info().currsize == 0


def test_the_silent_200_is_a_setting(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNKNOWN_KEY", "accept")
    stack.handler.intake.cache_clear()
    assert stack.invoke(sample("unknown_key"))["statusCode"] == 200
    assert stack.taken() == ([], [])


def test_the_rate_is_a_setting(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTS_PER_SECOND", "2")
    stack.handler.intake.cache_clear()
    answers = [stack.post("/v1/batch", nameless(40)) for _ in range(2)]
    assert [answer["statusCode"] for answer in answers] == [200, 429]
    assert 15 <= int(answers[1]["headers"]["retry-after"]) <= 20
    assert answers[1]["headers"]["access-control-allow-origin"] == "*"


def test_the_log_holds_counts_and_codes_and_nothing_of_anybody(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    logged = io.StringIO()
    stack.handler.logger.registered_handler.setStream(logged)
    for name in EXPECTED:
        stack.invoke(sample(name))
    told = logged.getvalue() + "".join(capsys.readouterr())
    lines = [json.loads(line) for line in told.splitlines()]
    assert len([line for line in lines if "_aws" in line]) == len(EXPECTED)
    assert {line["code"] for line in lines if "code" in line} == {"multi_user_error", "bad_request", "write_key_conflict", "unknown_source"}
    secrets = (WRITE_KEY, "wk_nobody", basic(WRITE_KEY)["authorization"][6:], "orla", "harbour", "Berth", "203.0.113")
    assert [secret for secret in secrets if secret in told] == []


def test_intake_starts_without_anything_heavy() -> None:
    program = f"import sys, handler; print([name for name in {HEAVY!r} if name in sys.modules])"
    path = os.pathsep.join([str(ROOT / "functions" / "intake"), str(ROOT / "layers" / "tributary")])
    found = subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
