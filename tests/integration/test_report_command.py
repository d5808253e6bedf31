"""`tributary.cli report` on moto: facts as write_facts writes them, a table as a marketer reads it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from tests.kit.commands import CommandLine, command_line_on_moto
from tests.kit.report_api import order, profile
from tributary.adapters.contacts import DynamoContacts
from tributary.adapters.duck import Allowance, Engine
from tributary.adapters.fact_files import FactFiles, S3FactObjects
from tributary.adapters.fact_manifest import DynamoManifests
from tributary.contacts.rows import Root, encode, root_key
from tributary.facts.tables import ContactFact, IdentityFact, Kind, TouchFact
from tributary.ports import WriteRow

ANA, KIM = "a" * 32, "c" * 32
LATELY = datetime.now(UTC) - timedelta(days=3)


@pytest.fixture
def tributary(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[CommandLine]:
    with command_line_on_moto(monkeypatch, capsys) as commands:
        dynamodb, s3 = boto3.client("dynamodb"), boto3.client("s3")
        s3.create_bucket(Bucket="facts")
        engine = Engine(tmp_path, Allowance(memory_mb=200))
        sink = FactFiles(S3FactObjects(lambda: s3, "facts"), DynamoManifests(lambda: dynamodb, "config"), lambda: engine, tmp_path, lambda: datetime.now(UTC))
        sink.append(
            {
                Kind.TOUCHES: [
                    TouchFact(key=f"{number:032x}", person=ANA, happened_at=LATELY - timedelta(days=number), connection="s", channel="email", campaign=campaign)
                    for number, campaign in ((1, "Spring"), (2, "Ferry"))
                ],
                Kind.ORDERS: [order(1, LATELY, 10_001, person=ANA), order(2, LATELY, 2_000, person=KIM)],
                Kind.CONTACTS: [ContactFact(key=one, person=one, lead_at=LATELY) for one in (ANA, KIM)],
                Kind.IDENTITIES: [IdentityFact(key=one, contact=one) for one in (ANA, KIM)],
            }
        )
        root = Root(created=1, profile=profile(email="ana@quay.example", name="Ana Ruiz"))
        DynamoContacts(lambda: dynamodb, "contacts").commit([WriteRow(root_key(ANA), encode(root), None)])
        yield commands


ASKED = ("report", "orders", "--last", "30d", "--by", "campaign", "--model", "linear", "--kpis", "net_revenue,orders")


def test_a_report_is_a_table_with_its_total_and_settings(tributary: CommandLine) -> None:
    done = tributary.run(*ASKED)
    assert done.code == 0, done.err
    rows = [line.split() for line in done.lines]
    assert ["1", "Spring", "50.01", "0.50"] in rows
    assert ["2", "Ferry", "50.00", "0.50"] in rows
    assert ["3", "unattributed", "20.00", "1.00"] in rows
    assert next(row for row in rows if row[:1] == ["total"])[1] == "120.01"
    assert "model linear, touches of 30 days before" in done.out
    assert "ana" not in done.out.lower()


def test_a_row_is_opened_by_its_number_its_key_or_the_total(tributary: CommandLine) -> None:
    by_number = tributary.run(*ASKED, "--ledger", "1")
    assert by_number.code == 0, by_number.err
    (line,) = [line for line in by_number.lines if "O-1" in line]
    assert "Ana Ruiz" in line
    assert "ana@quay.example" in line
    assert "50.01 USD" in line
    key = json.loads(tributary.run(*ASKED, "--json").out)["rows"][0]["key"]
    assert [line for line in tributary.run(*ASKED, "--ledger", key).lines if "O-1" in line] == [line]
    total = tributary.run(*ASKED, "--ledger", "total", "--kpi", "orders")
    assert {"O-1", "O-2"} <= set(total.out.split())
    for words in (("--ledger", "9"), ("--ledger", "nonsense"), ("--ledger", "1", "--kpi", "guesses")):
        refused = tributary.run(*ASKED, *words)
        assert (refused.code, len(refused.err.splitlines())) == (1, 1), refused


@pytest.mark.parametrize("place", ["-", "file"])
def test_a_report_goes_into_a_csv_file_or_to_standard_output(tributary: CommandLine, tmp_path: Path, place: str) -> None:
    file = tmp_path / "orders.csv"
    done = tributary.run(*ASKED, "--csv", "-" if place == "-" else str(file))
    assert done.code == 0, done.err
    text = done.out if place == "-" else file.read_text()
    found = {line["campaign"]: line["net_revenue"] for line in csv.DictReader(io.StringIO(text)) if line["line"] == "row"}
    assert found == {"Spring": "50.01", "Ferry": "50.00", "": "20.00"}
    assert done.err == ("" if place == "-" else f"Wrote {file}.\n")


def test_everything_that_is_wrong_is_a_line_each_by_the_options_names(tributary: CommandLine) -> None:
    done = tributary.run("report", "orders", "--last", "soon", "--by", "planet", "--where", "x", "--date-mode", "any")
    assert done.code == 1
    assert [line.partition(":")[0] for line in done.err.splitlines()] == ["--range or --last", "--by", "--where", "--date-mode"]
    assert done.out == ""
    for words in (["report", "weather"], ["report", "orders", "--last", "1d", "--range", "today"], ["report", "orders", "--csv", "/nowhere/x.csv"]):
        refused = tributary.run(*words)
        assert (refused.code, len(refused.err.splitlines())) == (1, 1), words


def test_without_a_type_it_says_which_reports_there_are(tributary: CommandLine) -> None:
    done = tributary.run("report")
    assert done.code == 0, done.err
    assert "orders" in done.out
    assert "net_revenue" in done.out
