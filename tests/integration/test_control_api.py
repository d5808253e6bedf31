"""The control API's handler in process, on moto: the samples, a life of a connection, and what reaches the logs."""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from moto import mock_aws

from tests.kit.builders import NOON
from tests.kit.moto import create_table, of_a_function
from tests.kit.pipeline import LambdaContext
from tests.template.test_template import FUNCTIONS, as_list, folder_of, statements_of
from tributary.adapters import aws
from tributary.adapters.settings_store import DynamoRows, SsmSecretStore
from tributary.drafts import NewKey
from tributary.entered.entering import MAX_ROWS
from tributary.facts.message import unpack
from tributary.facts.tables import AdSpendFact
from tributary.operator import Operator, known_kinds

SAMPLES = Path(__file__).parents[2] / "events" / "control_api"
SAMPLE_KEY = "tk_sample_key_of_all_scopes_0123456789abcdefg"
SECRET = "km_secret_4711"
SAMPLE_ANSWERS = {"health": 200, "recent_events": 200, "new_connection": 201, "no_key": 401, "ad_spend_csv": 201, "rates": 201}
CLIENTS = (aws.dynamodb, aws.dynamodb_for_caller, aws.ssm, aws.s3_for_caller, aws.sqs_for_caller)

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    queues = "https://sqs.us-east-1.amazonaws.com/123456789012"
    tables = {"EVENTS_TABLE": "events", "CONFIG_TABLE": "config", "FACTS_BUCKET": "facts"}
    of_a_function(monkeypatch, "control_api", **tables, SECRETS_PREFIX="/shop", SYNC_QUEUE_URL=f"{queues}/sync.fifo", FACTS_QUEUE_URL=f"{queues}/facts")
    for client in CLIENTS:
        client.cache_clear()
    with mock_aws():
        for table in ("events", "config"):
            create_table(boto3.client("dynamodb"), table)
        boto3.client("s3").create_bucket(Bucket="facts")
        boto3.client("sqs").create_queue(QueueName="facts", Attributes={"VisibilityTimeout": "0"})
        yield importlib.reload(importlib.import_module("functions.control_api.handler"))
    for client in CLIENTS:
        client.cache_clear()


@pytest.fixture
def logs(handler: ModuleType, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What the function wrote: its log lines, and its metrics, which are printed."""
    lines = io.StringIO()
    handler.logger.registered_handler.setStream(lines)
    return lambda: lines.getvalue() + "".join(capsys.readouterr())


@pytest.fixture
def operator(handler: ModuleType) -> Operator:
    return Operator(rows=DynamoRows(aws.dynamodb, "config"), secrets=SsmSecretStore(aws.ssm, "/shop"), kinds=known_kinds(), now=lambda: NOON)


@pytest.fixture
def call(handler: ModuleType, operator: Operator) -> Call:
    key = operator.create_key(NewKey(label="All", scopes=["*"])).secret

    def make(method: str, path: str, body: Any = None, *, key: str = key) -> dict[str, Any]:
        target, _, query = path.partition("?")
        event = {
            "rawPath": target,
            "rawQueryString": query,
            "headers": {"authorization": f"Bearer {key}"},
            "requestContext": {"requestId": "r-1", "http": {"method": method}},
            "body": None if body is None else json.dumps(body),
            "isBase64Encoded": False,
        }
        answer: dict[str, Any] = handler.lambda_handler(event, LambdaContext())
        return {"status": answer["statusCode"], "body": json.loads(answer["body"]) if answer["body"] else None, "headers": answer["headers"]}

    return make


@pytest.mark.parametrize(("sample", "status"), SAMPLE_ANSWERS.items(), ids=str)
def test_a_sample_event_runs_through_the_handler(handler: ModuleType, operator: Operator, monkeypatch: pytest.MonkeyPatch, sample: str, status: int) -> None:
    monkeypatch.setattr("tributary.access.new_api_key", lambda: SAMPLE_KEY)
    operator.create_key(NewKey(label="All", scopes=["*"]))
    answer = handler.lambda_handler(json.loads((SAMPLES / f"{sample}.json").read_text()), LambdaContext())
    assert answer["statusCode"] == status
    assert json.loads(answer["body"])


def test_every_sample_is_run() -> None:
    assert {path.stem for path in SAMPLES.glob("*.json")} == SAMPLE_ANSWERS.keys()


def test_a_connection_lives_and_its_credential_is_in_the_parameter_store_alone(call: Call, logs: Callable[[], str]) -> None:
    made = call("POST", "/api/connections", {"type": "kissmetrics", "label": "Main", "settings": {"apiKey": SECRET, "prefixProperties": False}})
    assert made["status"] == 201
    connection = made["body"]["id"]
    assert made["body"]["settings"] == {"prefixProperties": False}
    stored = boto3.client("ssm").get_parameter(Name=f"/shop/connections/{connection}", WithDecryption=True)["Parameter"]
    assert (stored["Type"], json.loads(stored["Value"])) == ("SecureString", {"apiKey": SECRET})
    odd = call("PATCH", f"/api/connections/{connection}", {"settings": {"prefixProperties": SECRET}})
    assert (odd["status"], odd["body"]["field"]) == (400, "settings.prefixProperties")
    assert call("PATCH", f"/api/connections/{connection}", {"mode": "paused"})["body"]["mode"] == "paused"
    assert call("GET", f"/api/connections/{connection}/parked")["body"] == {"data": [], "next_cursor": None}
    assert call("GET", f"/api/connections/{connection}/shadow")["body"] == {"data": [], "next_cursor": None}
    table = boto3.client("dynamodb").scan(TableName="config")["Items"]
    assert SECRET not in str(table)
    assert call("DELETE", f"/api/connections/{connection}")["status"] == 204
    with pytest.raises(boto3.client("ssm").exceptions.ParameterNotFound):
        boto3.client("ssm").get_parameter(Name=f"/shop/connections/{connection}")
    written = logs()
    assert written.count('"answered"') == 6
    assert SECRET not in written


def told() -> list[AdSpendFact]:
    """What the facts queue has of ad spend, in any order."""
    sqs = boto3.client("sqs")
    found: list[AdSpendFact] = []
    while messages := sqs.receive_message(QueueUrl=os.environ["FACTS_QUEUE_URL"], MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            found += unpack(message["Body"]).ad_spend
            sqs.delete_message(QueueUrl=os.environ["FACTS_QUEUE_URL"], ReceiptHandle=message["ReceiptHandle"])
    return found


def files() -> list[str]:
    return [found["Key"] for found in boto3.client("s3").list_objects_v2(Bucket="facts").get("Contents", [])]


SPENT = {"date": "2026-03-02", "platform": "facebook", "campaign_id": "120210000000000001", "spend": 1234}


def test_a_batch_lives_its_rows_reach_the_facts_queue_and_what_it_replaced_comes_back(call: Call, logs: Callable[[], str]) -> None:
    first = call("POST", "/api/ad-spend", {"rows": [SPENT]})
    assert first["status"] == 201, first
    second = call("POST", "/api/ad-spend", {"rows": [{**SPENT, "spend": 2000}, {**SPENT, "date": "2026-03-03"}]})
    ids = [made["body"]["batch"]["id"] for made in (first, second)]
    assert sorted(files()) == sorted(f"entered/ad-spend/{id}" for id in ids)
    rows = told()
    assert sorted((fact.batch, fact.spend) for fact in rows) == sorted([(ids[0], 1234), (ids[1], 1234), (ids[1], 2000)])
    assert call("DELETE", f"/api/ad-spend/batches/{ids[1]}")["status"] == 204
    later = told()
    assert {(str(fact.day), fact.spend, fact.gone) for fact in later} == {("2026-03-02", 1234, False), ("2026-03-03", 1234, True)}
    assert min(fact.version for fact in later) > max(fact.version for fact in rows)
    assert files() == [f"entered/ad-spend/{ids[0]}"]
    assert [batch["id"] for batch in call("GET", "/api/ad-spend/batches")["body"]["data"]] == ids[:1]
    assert "120210000000000001" not in logs()


def test_rows_are_kept_where_the_facts_queue_is_down_and_go_on_with_the_next_call(call: Call) -> None:
    down = [True]

    def silence(request: Any, **_: Any) -> None:
        if down[0]:
            raise ReadTimeoutError(endpoint_url=request.url)

    aws.sqs_for_caller().meta.events.register_first("before-send.sqs.SendMessageBatch", silence)
    said = call("POST", "/api/ad-spend", {"rows": [SPENT]})
    assert (said["status"], said["headers"]["retry-after"]) == (503, "1")
    assert [batch["waiting"] for batch in call("GET", "/api/ad-spend/batches")["body"]["data"]] == [True]
    down[0] = False
    assert call("POST", "/api/rates", {"rows": [{"day": "2026-03-02", "from": "EUR", "to": "USD", "rate": "1.1"}]})["status"] == 201
    again = call("POST", "/api/ad-spend", {"rows": [SPENT]})
    assert (again["body"]["repeated"], [fact.spend for fact in told()]) == (True, [1234])
    assert [batch["waiting"] for batch in call("GET", "/api/ad-spend/batches")["body"]["data"]] == [False]


def test_a_request_of_as_many_rows_as_there_may_be_is_kept_and_told(call: Call) -> None:
    rows = [{**SPENT, "ad_id": f"{number:018}"} for number in range(MAX_ROWS)]
    made = call("POST", "/api/ad-spend", {"rows": rows})
    assert made["status"] == 201, made
    assert len({fact.key for fact in told()}) == MAX_ROWS
    assert call("DELETE", f"/api/ad-spend/batches/{made['body']['batch']['id']}")["status"] == 204
    assert all(fact.gone for fact in told())


def test_entering_may_do_with_files_and_queues_what_it_does_and_no_more(call: Call) -> None:
    done: set[tuple[str, str]] = set()

    def called(params: dict[str, Any], model: Any, **_: Any) -> None:
        action = model.name.removesuffix("Batch")
        done.add((action, f"FactsBucket/{params['Key']}" if "Key" in params else params["QueueUrl"].rsplit("/", 1)[1]))

    for client, service in ((aws.s3_for_caller(), "s3"), (aws.sqs_for_caller(), "sqs")):
        client.meta.events.register(f"provide-client-params.{service}", called)
    rate = {"day": "2026-03-02", "from": "EUR", "to": "USD", "rate": "1.1"}
    for path, row in (("/api/ad-spend", SPENT), ("/api/rates", rate)):
        made = call("POST", path, {"rows": [row]})["body"]["batch"]["id"]
        assert call("GET", f"{path}/batches/{made}")["status"] == 200
        assert call("DELETE", f"{path}/batches/{made}")["status"] == 204
    (function,) = [one for one in FUNCTIONS.values() if folder_of(one) == "control_api"]
    granted = {
        (action.split(":")[1], resource["Fn::Sub"].replace("${FactsBucket.Arn}", "FactsBucket"))
        for statement in statements_of(function)
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
        if action.startswith("s3:") and "Fn::Sub" in resource
    }
    files = {use for use in done if use[1].startswith("FactsBucket/")}
    assert {use for use in files if not any(use[0] == action and fnmatchcase(use[1], where) for action, where in granted)} == set(), "not allowed"
    assert {one for one in granted if not any(use[0] == one[0] and fnmatchcase(use[1], one[1]) for use in files)} == set(), "allowed and never used"
    assert done - files == {("SendMessage", "facts")}
    sends = [statement["Resource"] for statement in statements_of(function) if statement["Action"] == "sqs:SendMessage"]
    assert {"Fn::GetAtt": ["FactsQueue", "Arn"]} in sends[0]


def test_a_line_is_logged_for_each_call_and_no_key_is_in_it(call: Call, logs: Callable[[], str]) -> None:
    made = call("POST", "/api/sources", {"label": "Harbour shop"})
    call("GET", "/api/account", key=made["body"]["write_key"])
    said = logs()
    lines = [json.loads(line) for line in said.splitlines()]
    answered = [line for line in lines if line.get("message") == "answered"]
    assert [(line["route"], line["status"], line["code"]) for line in answered] == [
        ("POST /api/sources", 201, "ok"),
        ("GET /api/account", 401, "key_of_another_kind"),
    ]
    for secret in (made["body"]["write_key"], "Harbour shop"):
        assert secret not in said


def test_a_store_that_is_down_is_a_503(call: Call) -> None:
    def silence(request: Any, **_: Any) -> None:
        raise ReadTimeoutError(endpoint_url=request.url)

    aws.dynamodb_for_caller().meta.events.register_first("before-send.dynamodb.Query", silence)
    said = call("GET", "/api/sources")
    assert (said["status"], said["body"]["code"], said["headers"]["retry-after"]) == (503, "store_unavailable", "1")


def test_the_handler_loads_nothing_that_it_does_not_need() -> None:
    """httpx, pydantic and DuckDB would each cost a cold start more than the rest of the package."""
    import subprocess

    root = Path(__file__).parents[2]
    heavy = ("pydantic", "httpx", "duckdb", "aws_xray_sdk", "aws_lambda_powertools.event_handler", "phonenumbers")
    code = f"import sys, functions.control_api.handler; print([name for name in {heavy} if name in sys.modules])"
    environment = {"PYTHONPATH": f"{root}:{root / 'layers' / 'tributary'}", "POWERTOOLS_METRICS_NAMESPACE": "x", "POWERTOOLS_SERVICE_NAME": "x"}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert said.stdout.strip() == "[]"
