"""The Kissmetrics forwarder as it is deployed: its real handler, on moto, with a vendor that does as it is told."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from moto.core.models import DEFAULT_ACCOUNT_ID, botocore_stubber
from moto.sqs.models import sqs_backends

from tests.kit.builders import identify, track
from tests.kit.deliveries import message_for
from tests.kit.moto import Faults
from tests.kit.pipeline import Pipeline, pipeline
from tributary.adapters import aws
from tributary.adapters.deliveries import DynamoAttempts, DynamoParking
from tributary.adapters.queues import SqsQueue
from tributary.errors import AnswerTooLarge, VendorUnavailable
from tributary.events import Event
from tributary.identity.digests import Digests
from tributary.identity.identifiers import Identifier
from tributary.ports import OutMessage, VendorAnswer, VendorRequest

ROOT = Path(__file__).parents[2]
EMAIL = "orla@harbour.example"
API_KEY = "km_key_001"
BODY = b"<p>orla-secret-body</p>"
Answer = int | Exception


class Vendor:
    """Answers what is next for an event's person; 200 when there is nothing."""

    def __init__(self) -> None:
        self.script: dict[str, list[Answer]] = {}
        self.sent: list[VendorRequest] = []

    def send(self, request: VendorRequest, *, timeout: float) -> VendorAnswer:
        self.sent.append(request)
        person = dict(request.query or request.form or ())["_p"]
        answer = self.script[person].pop(0) if self.script.get(person) else 200
        if isinstance(answer, Exception):
            raise answer
        return VendorAnswer(status=answer, headers={"retry-after": "600"} if answer == 429 else {}, body=BODY)

    def names(self) -> list[str]:
        return [dict(request.query or request.form or ()).get("_n", "set") for request in self.sent]


class Forwarder:
    """The function and its queue. `invoke` receives a batch as Lambda does, deletes what was not reported, and answers what was."""

    def __init__(self, stack: Pipeline, vendor: Vendor) -> None:
        self.vendor = vendor
        self._stack = stack
        self.url = boto3.client("sqs").get_queue_url(QueueName="kissmetrics.fifo")["QueueUrl"]

    def send(self, *events: Event, connection: str = "con_km") -> None:
        self.send_raw(*[message_for(event, connection) for event in events])

    def send_raw(self, *messages: OutMessage) -> None:
        SqsQueue(lambda: boto3.client("sqs"), self.url).send(messages)

    def receive(self) -> list[dict[str, Any]]:
        received = boto3.client("sqs").receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"], VisibilityTimeout=720)
        return [
            {"messageId": m["MessageId"], "receiptHandle": m["ReceiptHandle"], "body": m["Body"], "attributes": m["Attributes"]}
            for m in received.get("Messages", [])
        ]

    def invoke(self) -> list[str]:
        """Message ids of the events that were reported."""
        records = self.receive()
        if not records:
            return []
        answer = self._stack.invoke("forward_kissmetrics", {"Records": records})
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for record in records:
            if record["messageId"] not in failed:
                boto3.client("sqs").delete_message(QueueUrl=self.url, ReceiptHandle=record["receiptHandle"])
        return [json.loads(record["body"])["event"]["messageId"] for record in records if record["messageId"] in failed]

    def show_all(self) -> None:
        """As if every delay were over."""
        for queue in sqs_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].queues.values():
            for message in queue._messages:
                message.change_visibility(0)
            queue.pending_messages.clear()

    @property
    def left(self) -> int:
        got = boto3.client("sqs").get_queue_attributes(
            QueueUrl=self.url, AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        )
        return sum(int(number) for number in got["Attributes"].values())


class PresentOutput:
    """Standard output as it is at the moment; a logger keeps what it was when it was made, which was another test's."""

    def write(self, text: str) -> None:
        sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


@pytest.fixture
def forwarder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Forwarder]:
    vendor = Vendor()
    with pipeline(monkeypatch, vendor) as stack:
        monkeypatch.setattr(importlib.import_module("functions.forward_kissmetrics.handler").logger.registered_handler, "stream", PresentOutput())
        yield Forwarder(stack, vendor)


def orders(person: str, *names: str) -> list[Event]:
    return [track(name, user_id=person, message_id=f"{person}-{name}", index=number) for number, name in enumerate(names)]


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_what_kissmetrics_takes_is_acknowledged(forwarder: Forwarder) -> None:
    forwarder.send(*orders("orla-12", "one", "two"), *orders("ulf-3", "three"))
    assert forwarder.invoke() == []
    assert sorted(forwarder.vendor.names()) == ["one", "three", "two"]
    assert dict(forwarder.vendor.sent[0].query)["_k"] == API_KEY
    assert forwarder.left == 0


def test_what_fails_is_remembered_and_comes_again_before_what_followed_it(forwarder: Forwarder) -> None:
    forwarder.vendor.script["orla-12"] = [503]
    forwarder.send(*orders("orla-12", "one", "two"), *orders("ulf-3", "three"))
    assert forwarder.invoke() == ["orla-12-one", "orla-12-two"]
    attempt = DynamoAttempts(aws.dynamodb, "config").get("con_km", "src_shop#orla-12-one")
    assert attempt is not None
    assert (attempt.count, attempt.last_status, attempt.last_counted) == (1, 503, True)

    forwarder.show_all()
    assert forwarder.invoke() == []
    assert [name for name in forwarder.vendor.names() if name != "three"] == ["one", "one", "two"]
    assert DynamoAttempts(aws.dynamodb, "config").get("con_km", "src_shop#orla-12-one") is None


def test_the_queue_keeps_a_delayed_group_to_itself(forwarder: Forwarder) -> None:
    forwarder.vendor.script["orla-12"] = [429]
    forwarder.send(*orders("orla-12", "one", "two"))
    assert forwarder.invoke() == ["orla-12-one", "orla-12-two"]
    assert forwarder.receive() == []  # both: the head for ten minutes, the tail because of it


def test_what_is_refused_is_parked_with_the_shape_of_its_request_and_nothing_of_its_content(forwarder: Forwarder) -> None:
    forwarder.vendor.script["orla-12"] = [400]
    forwarder.send(identify(user_id="orla-12", message_id="m-1", traits={"email": EMAIL, "plan": "crew", EMAIL: "mine"}), *orders("orla-12", "next"))
    assert forwarder.invoke() == []
    (parked,) = DynamoParking(aws.dynamodb, "events").of("con_km")
    assert (parked.code, parked.last_status, parked.attempts) == ("vendor_refused", 400, 1)
    assert parked.request is not None
    assert (parked.request["method"], parked.request["host"], parked.request["path"]) == ("GET", "trk.kissmetrics.io", "/s")
    assert {"_k", "_p", "email", "plan"} <= set(parked.request["parameters"])
    assert EMAIL not in str(parked)
    assert API_KEY not in str(parked)
    assert forwarder.vendor.names()[-1] == "next"


def test_a_parked_delivery_of_somebody_whose_id_is_an_email_leaves_no_trace_in_the_settings_table(forwarder: Forwarder) -> None:
    forwarder.vendor.script[EMAIL] = [503, 400]
    forwarder.send(track(user_id=EMAIL, message_id="m-1"))
    assert forwarder.invoke() == ["m-1"]
    assert EMAIL not in str(forwarder._stack.rows("config"))
    forwarder.show_all()
    assert forwarder.invoke() == []
    (parked,) = DynamoParking(aws.dynamodb, "events").of("con_km")
    assert parked.event_key == (f"user#{EMAIL}", "event#src_shop#m-1")
    assert EMAIL not in str(forwarder._stack.rows("config"))


def test_who_was_erased_a_moment_ago_is_sent_nothing_although_a_replica_has_not_heard_of_it(forwarder: Forwarder) -> None:
    erased = Digests(b"k" * 32).of(Identifier("user", "orla-12"))
    boto3.client("dynamodb").put_item(TableName="config", Item={"pk": {"S": f"suppressed#{erased}"}, "sk": {"S": "suppressed"}})
    Faults(aws.dynamodb()).lag("BatchGetItem")
    forwarder.send(*orders("orla-12", "one"), *orders("ulf-3", "two"))
    assert forwarder.invoke() == []
    assert forwarder.vendor.names() == ["two"]


def test_a_connection_of_a_release_that_was_rolled_back_waits_and_the_others_go_on(forwarder: Forwarder) -> None:
    _set_connection(id="con_new", type="tributary_of_tomorrow")
    forwarder.send(*orders("ulf-3", "two"), connection="con_new")
    forwarder.send(*orders("orla-12", "one"))
    assert forwarder.invoke() == ["ulf-3-two"]
    assert forwarder.vendor.names() == ["one"]
    assert list(DynamoParking(aws.dynamodb, "events").of("con_new")) == []


def test_a_message_that_is_not_ours_is_set_aside_with_its_body(forwarder: Forwarder) -> None:
    forwarder.send_raw(OutMessage("not json", "group", "dedup"))
    records = forwarder.receive()
    forwarder.show_all()
    forwarder._stack.invoke("forward_kissmetrics", {"Records": records})
    (row,) = [row for row in forwarder._stack.rows("events") if row["pk"]["S"].startswith("poison#")]
    assert row["pk"]["S"] == "poison#forward_kissmetrics"
    assert row["sk"]["S"] == records[0]["messageId"]


def test_a_shadow_connection_keeps_its_requests_beside_the_log(forwarder: Forwarder) -> None:
    _set_connection(mode="shadow")
    forwarder.send(*orders("orla-12", "one"))
    assert forwarder.invoke() == []
    assert forwarder.vendor.sent == []
    (row,) = [row for row in forwarder._stack.rows("events") if row["pk"]["S"] == "shadow#con_km"]
    assert API_KEY.encode() not in bytes(row["p"]["B"])


def test_a_paused_connection_hands_back_and_sends_nothing(forwarder: Forwarder) -> None:
    _set_connection(mode="paused")
    forwarder.send(*orders("orla-12", "one", "two"))
    assert forwarder.invoke() == ["orla-12-one", "orla-12-two"]
    assert forwarder.vendor.sent == []


def _set_connection(**given: Any) -> None:
    data = {"id": "con_km", "type": "kissmetrics", "label": "Kissmetrics", "created_at": "2026-03-04T12:00:00Z", **given}
    boto3.client("dynamodb").put_item(TableName="config", Item={"pk": {"S": "connection"}, "sk": {"S": data["id"]}, "data": {"S": json.dumps(data)}})


# ---------------------------------------------------------------- what it says of itself


def test_each_message_has_one_line_and_each_outcome_is_counted_by_destination(forwarder: Forwarder, capsys: pytest.CaptureFixture[str]) -> None:
    forwarder.vendor.script |= {"ulf-3": [503], "finn-1": [400]}
    forwarder.send(*orders("orla-12", "one"), *orders("ulf-3", "two", "three"), *orders("finn-1", "four"))
    forwarder.invoke()
    said = lines(capsys.readouterr().out)
    told = {line["message_id"]: line for line in said if "message_id" in line}
    assert {name: (line["message"], line.get("code"), line["level"]) for name, line in told.items()} == {
        "orla-12-one": ("Delivered", None, "INFO"),
        "ulf-3-two": ("Retried", "vendor_unavailable", "WARNING"),
        "finn-1-four": ("Parked", "vendor_refused", "WARNING"),
    }
    assert told["ulf-3-two"]["behind"] == 1
    assert told["finn-1-four"]["group_released"] is True
    assert told["orla-12-one"]["connection"] == "con_km"
    assert told["orla-12-one"]["function_request_id"] == "request"  # the invocation's keys, in the groups' threads too
    (emf,) = [line for line in said if "_aws" in line]
    assert emf["destination"] == "kissmetrics"
    assert {name: emf[name] for name in ("Delivered", "Retried", "Parked", "NotTried")} == {
        "Delivered": [1.0],
        "Retried": [1.0],
        "Parked": [1.0],
        "NotTried": [1.0],
    }
    assert ["destination", "service"] in [sorted(dimensions) for dimensions in emf["_aws"]["CloudWatchMetrics"][0]["Dimensions"]]


FAILURES: Sequence[Answer] = [
    *(400, 404, 408, 413, 429, 500, 503, 302),
    VendorUnavailable("trk.kissmetrics.io gave no answer: ReadTimeout"),
    AnswerTooLarge("trk.kissmetrics.io answered 200 and more than 65536 bytes"),
    ValueError(f"{EMAIL} {API_KEY} {BODY!r}"),
    *(401, 403),  # last: they stop the connection
]


@pytest.mark.parametrize("broken_store", [None, "PutItem", "GetItem", "BatchGetItem"])
def test_emails_keys_and_bodies_never_appear_in_what_is_logged(
    forwarder: Forwarder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, broken_store: str | None
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    if broken_store is not None:
        _break(broken_store, applied=False)
    for number, failure in enumerate(FAILURES):
        person = f"orla-{number}"
        forwarder.vendor.script[person] = [failure] * 5
        forwarder.send(
            identify(user_id=person, anonymous_id=f"visit-{number}", message_id=f"m-{number}", traits={"email": EMAIL, EMAIL: "x"}),
            track(f"Mailed {EMAIL}", user_id=person, message_id=f"n-{number}", properties={"to": EMAIL, "products": [{"sku": EMAIL}]}),
        )
        forwarder.invoke()
        forwarder.show_all()
    said = capsys.readouterr()
    codes = {line.get("code") for line in lines(said.out)}
    if broken_store is None:
        assert codes >= {"vendor_refused", "credential_refused", "vendor_throttled", "vendor_unavailable", "answer_too_large", "unexpected"}
    else:
        assert "store_unavailable" in codes
    for secret in (EMAIL, API_KEY, "orla-secret-body", "orla%40harbour"):
        assert secret not in said.out + said.err


# ---------------------------------------------------------------- answers of AWS that are lost


def _break(operation: str, *, applied: bool) -> Callable[[], int]:
    """Every call of an operation fails for its caller; with `applied` AWS has done it. Answers how many were made."""
    made = [0]

    def before_send(request: Any, event_name: str, **_: Any) -> None:
        made[0] += 1
        if applied:
            assert botocore_stubber(event_name, request) is not None
        raise ReadTimeoutError(endpoint_url=request.url)

    for client in (aws.dynamodb(), aws.sqs(), aws.ssm()):
        client.meta.events.register_first(f"before-send.{client.meta.service_model.service_id.hyphenize()}.{operation}", before_send)
    return lambda: made[0]


@pytest.mark.parametrize("applied", [False, True], ids=["not applied", "applied"])
@pytest.mark.parametrize("operation", ["PutItem", "DeleteItem", "GetItem", "BatchGetItem", "Query", "GetParameter", "ChangeMessageVisibilityBatch"])
def test_a_call_of_aws_that_fails_or_whose_answer_is_lost_changes_nothing_in_the_end(
    forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch, operation: str, *, applied: bool
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    forwarder.vendor.script |= {"orla-12": [503], "finn-1": [400]}
    forwarder.send(*orders("orla-12", "one", "two"), *orders("finn-1", "three"))
    made = _break(operation, applied=applied)
    for _ in range(2):
        records = forwarder.receive()
        if not records:
            continue
        try:
            forwarder._stack.invoke("forward_kissmetrics", {"Records": records})
        except Exception:
            assert operation == "GetParameter"  # while the function is built: the whole batch comes again
        # The deletes of this batch are lost too.
        forwarder.show_all()
    assert made() > 0

    for name in ("dynamodb", "sqs", "ssm"):
        getattr(aws, name).cache_clear()
    forwarder._stack.restart()
    forwarder.vendor.script["finn-1"] = [400]
    for _ in range(3):
        forwarder.invoke()
        forwarder.show_all()
    assert forwarder.left == 0
    first_times = list(dict.fromkeys(name for name in forwarder.vendor.names() if name != "three"))
    assert first_times == ["one", "two"]
    assert [parked.message_id for parked in DynamoParking(aws.dynamodb, "events").of("con_km")] == ["finn-1-three"]
    assert len({str(request) for request in forwarder.vendor.sent}) == 3  # one request an event, however often it was sent


# ---------------------------------------------------------------- start-up


def test_the_handler_loads_nothing_heavy_that_it_does_not_need() -> None:
    script = "import sys, handler; print([name for name in ('pydantic', 'httpx', 'aws_xray_sdk', 'duckdb', 'trio') if name in sys.modules])"
    path = [str(ROOT / "functions" / "forward_kissmetrics"), str(ROOT / "layers" / "tributary")]
    variables = {
        "PYTHONPATH": ":".join(path),
        "POWERTOOLS_METRICS_NAMESPACE": "Tributary",
        "POWERTOOLS_SERVICE_NAME": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    loaded = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"
