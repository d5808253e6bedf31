"""`ad-spend`, `rates` and `fixed-costs`, on moto."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests.kit.commands import CommandLine, command_line_on_moto
from tributary.facts.message import FactsMessage, unpack


@pytest.fixture
def tributary(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[CommandLine]:
    with command_line_on_moto(monkeypatch, capsys) as commands:
        boto3.client("s3").create_bucket(Bucket="facts")
        commands.outputs["FactsQueueUrl"] = boto3.client("sqs").create_queue(QueueName="facts", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
        yield commands


def told(tributary: CommandLine) -> list[FactsMessage]:
    sqs, url = boto3.client("sqs"), tributary.outputs["FactsQueueUrl"]
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [unpack(message["Body"]) for message in messages]


def test_an_export_is_imported_shown_and_taken_back(tributary: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "march.csv"
    file.write_text("Day,Campaign ID,Amount spent (USD),Reach\n2026-03-02,1,12.34,9\n2026-03-03,1,free,9\n")
    done = tributary.run("ad-spend", "import", str(file), "--platform", "facebook", "--time-zone", "America/New_York")
    assert done.code == 0, done.err
    batch = done.out.strip()
    assert done.err.splitlines() == [
        "1 rows of 2026-03-02 were taken; reports have them within a minute.",
        "1 rows were not taken:",
        "  row 3, spend: Not a decimal such as 1234.56, of at most 15 digits before and 12 behind the point.",
        "Columns that were not read: Reach.",
    ]
    [message] = told(tributary)
    [fact] = message.ad_spend
    assert (fact.batch, fact.spend, fact.time_zone) == (batch, 1234, "America/New_York")
    assert "nothing was done" in tributary.run("ad-spend", "import", str(file), "--platform", "facebook", "--time-zone", "America/New_York").err
    listed = tributary.run("ad-spend", "batches").out
    assert batch in listed
    assert "march.csv" in listed
    assert "row 3, spend" in tributary.run("ad-spend", "errors", batch).out
    assert tributary.run("ad-spend", "delete", batch).out == f"{batch} is taken back.\n"
    assert [fact.gone for message in told(tributary) for fact in message.ad_spend] == [True]
    assert tributary.run("ad-spend", "batches").out == "Nothing was entered.\n"
    gone = tributary.run("ad-spend", "errors", batch)
    assert (gone.code, gone.err) == (1, "there is no such batch\n")


def test_json_is_imported_as_the_api_takes_it(tributary: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "rates.json"
    for text in (
        '{"rows": [{"day": "2026-03-02", "from": "EUR", "to": "USD", "rate": 1.0842}]}',
        ' [{"day": "2026-03-02", "from": "EUR", "to": "USD", "rate": "1.1"}]',
    ):
        file.write_text(text)
        done = tributary.run("rates", "import", str(file), "--source", "ECB", "--label", "March")
        assert done.code == 0, done.err
    assert sorted(str(fact.rate) for message in told(tributary) for fact in message.rates) == ["1.0842", "1.1"]
    batch = done.out.strip()
    assert tributary.run("rates", "batches").out.count("March") == 2
    assert tributary.run("rates", "errors", batch).out == "Every row was taken.\n"
    assert tributary.run("rates", "delete", batch).code == 0
    assert [str(fact.rate) for message in told(tributary) for fact in message.rates] == ["1.0842"]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("date,spend\n", (), "There are no rows."),
        ("date,campaign_id\n1,2\n", (), "there is none for spend"),
        ("{", (), "looks like JSON and is none"),
        ("date,campaign_id,spend\n2026-03-02,1,12,34\n", (), "Nothing was taken."),
        ("date,campaign_id,spend\n2026-03-02,1,1\n2026-03-02,2,x\n", ("--platform", "x", "--all-or-nothing"), "Nothing was taken."),
        ("date,campaign_id,spend\n2026-03-02,1,1\n", ("--currency", "XXX"), "--currency takes an ISO 4217 code"),
        ("date,campaign_id,spend\n2026-03-02,1,1\n", ("--time-zone", "Mars"), "not an IANA time zone"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused_in_words(tributary: CommandLine, tmp_path: Path, text: str, options: tuple[str, ...], said: str) -> None:
    file = tmp_path / "spend.csv"
    file.write_text(text)
    done = tributary.run("ad-spend", "import", str(file), *options)
    assert done.code == 1
    assert said in done.err.splitlines()[-1]
    assert told(tributary) == []


def test_a_file_that_is_not_there_is_said(tributary: CommandLine, tmp_path: Path) -> None:
    done = tributary.run("ad-spend", "import", str(tmp_path / "none.csv"))
    assert (done.code, "cannot be read" in done.err) == (1, True)


def test_fixed_costs_are_set_listed_and_removed(tributary: CommandLine) -> None:
    assert tributary.run("fixed-costs", "list").out == "There are no fixed costs.\n"
    assert tributary.run("fixed-costs", "set", "rent", "50.5", "2026-01-01", "--platform", "office").code == 0
    assert tributary.run("fixed-costs", "set", "fair", "9000", "2026-02-03", "--once", "--currency", "jpy", "--name", "Spring fair").code == 0
    listed = tributary.run("fixed-costs", "list").out
    for words in ("50.50 USD", "9000 JPY", "since 2026-01-01", "Spring fair", "once", "platform=office"):
        assert words in listed
    refused = tributary.run("fixed-costs", "set", "rent", "50,5", "2026-01-01")
    assert (refused.code, refused.err.startswith("amount: ")) == (1, True)
    refused = tributary.run("fixed-costs", "set", "rent", "-5", "2026-01-01")
    assert refused.code != 0
    assert tributary.run("fixed-costs", "set", "Rent", "5", "2026-01-01").err.startswith("id: ")
    assert tributary.run("fixed-costs", "delete", "rent").out == "rent is removed.\n"
    assert tributary.run("fixed-costs", "delete", "rent").code == 1
