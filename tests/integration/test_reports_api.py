"""The report API's handler in process, on moto: facts are written as write_facts writes them, and asked through the gateway's event."""

from __future__ import annotations

import csv
import importlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from moto import mock_aws

from tests.kit.builders import NOON
from tests.kit.moto import create_table, of_a_function
from tests.kit.pipeline import CLIENTS, LambdaContext
from tests.kit.report_api import order, profile
from tributary.adapters import aws
from tributary.adapters.contacts import DynamoContacts
from tributary.adapters.duck import Allowance, Engine, Sizes
from tributary.adapters.fact_files import FactFiles, S3FactObjects
from tributary.adapters.fact_manifest import DynamoManifests
from tributary.adapters.settings_store import DynamoRows, SsmSecretStore
from tributary.contacts.rows import Root, encode, root_key
from tributary.drafts import AccountChange, NewKey
from tributary.facts.tables import ContactFact, Fact, IdentityFact, Kind, TouchFact
from tributary.operator import Operator, known_kinds
from tributary.ports import WriteRow

SAMPLES = Path(__file__).parents[2] / "events" / "reports_api"
SAMPLE_KEY = "tk_sample_key_of_all_scopes_0123456789abcdefg"
VISITOR, CUSTOMER, OTHER = "b" * 32, "c" * 32, "d" * 32
MARCH = datetime(2026, 3, 2, 12, tzinfo=UTC)

Get = Callable[..., dict[str, Any]]


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    of_a_function(monkeypatch, "reports_api", CONFIG_TABLE="config", CONTACTS_TABLE="contacts", FACTS_BUCKET="facts", MEMORY_MB="1024", STORAGE_MB="1024")
    for client in CLIENTS:
        client.cache_clear()
    with mock_aws():
        for table in ("contacts", "config"):
            create_table(boto3.client("dynamodb"), table)
        boto3.client("s3").create_bucket(Bucket="facts")
        yield importlib.reload(importlib.import_module("functions.reports_api.handler"))
    for client in CLIENTS:
        client.cache_clear()


@pytest.fixture
def operator(handler: ModuleType) -> Operator:
    return Operator(rows=DynamoRows(aws.dynamodb, "config"), secrets=SsmSecretStore(aws.ssm, "/shop"), kinds=known_kinds(), now=lambda: NOON)


@pytest.fixture
def write(handler: ModuleType, tmp_path: Path) -> Callable[[Mapping[Kind, Sequence[Fact]]], None]:
    engine = Engine(tmp_path, Allowance(memory_mb=200))
    return FactFiles(S3FactObjects(aws.s3, "facts"), DynamoManifests(aws.dynamodb, "config"), lambda: engine, tmp_path, lambda: datetime.now(UTC)).append


@pytest.fixture
def get(handler: ModuleType, operator: Operator) -> Get:
    key = operator.create_key(NewKey(label="All", scopes=["*"])).secret

    def ask(path: str, *, key: str = key, accept: str = "*/*", **parameters: str) -> dict[str, Any]:
        event = {
            "rawPath": path,
            "rawQueryString": urlencode(parameters),
            "headers": {"authorization": f"Bearer {key}", "accept": accept},
            "requestContext": {"requestId": "r-1", "http": {"method": "GET"}},
            "isBase64Encoded": False,
        }
        answer: dict[str, Any] = handler.lambda_handler(event, LambdaContext())
        is_json = "json" in answer["headers"]["content-type"]
        return {"status": answer["statusCode"], "body": json.loads(answer["body"]) if is_json else answer["body"], "headers": answer["headers"]}

    return ask


def touch(key: int, at: datetime, channel: str, *, person: str, campaign: str | None = None) -> TouchFact:
    return TouchFact(key=f"{key:032x}", person=person, happened_at=at, connection="src_shop", channel=channel, campaign=campaign)


FACTS: Mapping[Kind, Sequence[Fact]] = {
    Kind.TOUCHES: [
        touch(1, MARCH - timedelta(days=2), "paid_search", person=VISITOR, campaign="Ferry"),
        touch(2, MARCH - timedelta(hours=1), "email", person=CUSTOMER, campaign="=News"),
    ],
    Kind.ORDERS: [order(1, MARCH, 10_001, person=CUSTOMER, received=10_001), order(2, MARCH, 2_000, person=OTHER, received=2_000)],
    Kind.CONTACTS: [ContactFact(key=one, person=one, lead_at=MARCH - timedelta(days=1)) for one in (CUSTOMER, OTHER)],
    Kind.IDENTITIES: [IdentityFact(key=one, contact=one) for one in (CUSTOMER, OTHER)],
}


def by_channel(said: dict[str, Any]) -> dict[str | None, int]:
    return {row["dimensions"]["channel"]: row["values"]["net_revenue"] for row in said["body"]["rows"]}


def test_what_was_written_is_reported_and_a_late_identity_joins_in_the_very_next_answer(
    get: Get, write: Callable[[Mapping[Kind, Sequence[Fact]]], None]
) -> None:
    write(FACTS)
    asked = {"range": "2026-03", "group_by": "channel", "model": "linear", "kpis": "net_revenue,orders"}
    said = get("/api/reports/orders", **asked)
    assert said["status"] == 200, said["body"]
    assert by_channel(said) == {"email": 10_001, None: 2_000}
    assert said["body"]["totals"][0]["values"] == {"net_revenue": 12_001, "orders": 2}
    assert get("/api/reports/orders", **asked)["body"]["cached"] is True
    write({Kind.IDENTITIES: [IdentityFact(key=VISITOR, contact=CUSTOMER, version=1)]})
    joined = get("/api/reports/orders", **asked)
    assert joined["body"]["cached"] is False
    assert by_channel(joined) == {"email": 5_001, "paid_search": 5_000, None: 2_000}
    assert joined["body"]["totals"][0]["values"] == {"net_revenue": 12_001, "orders": 2}


def test_the_people_behind_a_row_are_named_from_contacts(get: Get, write: Callable[[Mapping[Kind, Sequence[Fact]]], None], operator: Operator) -> None:
    write(FACTS)
    root = Root(created=1, profile=profile(email="ana@quay.example", name="Ana Ruiz"))
    DynamoContacts(aws.dynamodb, "contacts").commit([WriteRow(root_key(CUSTOMER), encode(root), None)])
    asked = {"range": "2026-03", "group_by": "channel", "kpis": "net_revenue"}
    row = next(one for one in get("/api/reports/orders", **asked)["body"]["rows"] if one["dimensions"]["channel"] == "email")
    ledger = get("/api/reports/orders/ledger", **asked, row=row["key"])["body"]
    assert [(line["contact"], line["email"], line["name"], line["id"], line["value"]) for line in ledger["data"]] == [
        (CUSTOMER, "ana@quay.example", "Ana Ruiz", "O-1", 10_001)
    ]
    assert ledger["total"] == ledger["adds_up_to"] == row["values"]["net_revenue"]
    figures_alone = operator.create_key(NewKey(label="Figures", scopes=["reports:read"])).secret
    assert get("/api/reports/orders/ledger", **asked, key=figures_alone)["status"] == 403
    assert "ana@quay.example" not in json.dumps(get("/api/reports/orders", **asked, key=figures_alone)["body"])


def test_a_spreadsheet_gets_decimals_and_no_formulas(get: Get, write: Callable[[Mapping[Kind, Sequence[Fact]]], None]) -> None:
    write(FACTS)
    said = get("/api/reports/orders", accept="text/csv", range="2026-03", group_by="campaign", kpis="net_revenue")
    found = [line for line in csv.DictReader(io.StringIO(said["body"])) if line["line"] in ("row", "total")]
    assert {(one["line"], one["campaign"], one["net_revenue"], one["unattributed"]) for one in found} == {
        ("row", "'=News", "100.01", ""),
        ("row", "", "20.00", "true"),
        ("total", "", "120.01", ""),
    }


def test_the_accounts_time_zone_decides_the_days_of_the_next_answer(
    get: Get, write: Callable[[Mapping[Kind, Sequence[Fact]]], None], operator: Operator
) -> None:
    write({Kind.ORDERS: [order(1, datetime(2026, 3, 2, 2, tzinfo=UTC), 500)]})
    asked = {"range": "2026-03-01..2026-03-02", "scale": "day", "group_by": "none", "kpis": "orders"}

    def days() -> dict[str, int]:
        return {row["dimensions"]["period"]: row["values"]["orders"] for row in get("/api/reports/orders", **asked)["body"]["rows"]}

    assert days() == {"2026-03-01": 0, "2026-03-02": 1}
    operator.update_account(AccountChange(time_zone="America/New_York"))
    assert days() == {"2026-03-01": 1, "2026-03-02": 0}


def test_a_report_that_needs_more_than_the_function_has_says_so(
    get: Get, write: Callable[[Mapping[Kind, Sequence[Fact]]], None], monkeypatch: pytest.MonkeyPatch, handler: ModuleType
) -> None:
    write(FACTS)
    monkeypatch.setattr(handler, "allowance_of", lambda **_: Sizes(engine=Allowance(memory_mb=500, seconds=0.0), room=1 << 30))
    said = get("/api/reports/orders", range="2026-03")
    assert (said["status"], said["body"]["code"]) == (422, "report_too_large")
    assert "narrower range" in said["body"]["detail"]
    assert "memory" in said["body"]["detail"]
    handler.router.cache_clear()
    monkeypatch.setattr(handler, "allowance_of", lambda **_: Sizes(engine=Allowance(memory_mb=500), room=100))
    said = get("/api/reports/orders", range="2026-03")
    assert (said["status"], said["body"]["code"]) == (422, "report_too_large")


def test_what_is_logged_names_no_person_and_no_key(get: Get, handler: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    lines = io.StringIO()
    handler.logger.registered_handler.setStream(lines)
    get("/api/reports/orders", range="soon", filter="campaign:is:ana@quay.example")
    get("/api/reports/orders/ledger", row="ana@quay.example")
    get("/api/reports/ana", key="tk_of_ana")
    told = lines.getvalue() + "".join(capsys.readouterr())
    assert told.count('"answered"') == 3
    assert "ana" not in told.replace("tributary", "")


@pytest.mark.parametrize(
    ("sample", "status"), [("reports", 200), ("orders_by_channel", 200), ("orders_as_csv", 200), ("ledger", 200), ("wrong_parameters", 400)], ids=str
)
def test_a_sample_event_runs_through_the_handler(handler: ModuleType, operator: Operator, monkeypatch: pytest.MonkeyPatch, sample: str, status: int) -> None:
    monkeypatch.setattr("tributary.access.new_api_key", lambda: SAMPLE_KEY)
    operator.create_key(NewKey(label="All", scopes=["*"]))
    answer = handler.lambda_handler(json.loads((SAMPLES / f"{sample}.json").read_text()), LambdaContext())
    assert answer["statusCode"] == status, answer["body"]


def test_every_sample_is_run() -> None:
    assert {path.stem for path in SAMPLES.glob("*.json")} == {"reports", "orders_by_channel", "orders_as_csv", "ledger", "wrong_parameters"}
