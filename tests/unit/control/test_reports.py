"""The report API over facts in memory: what it answers, refuses and keeps."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.kit.reports import NOW, ReportBench, order
from tributary.facts.tables import Kind

MARCH = datetime(2026, 3, 20, 12, tzinfo=UTC)


@pytest.fixture
def bench() -> ReportBench:
    return ReportBench(
        {
            Kind.ORDERS: [
                order(1, MARCH, 10_000, discount=1_000),
                order(2, MARCH, 5_050),
                order(3, MARCH, 2_000, connection="=cmd()"),
                order(4, MARCH, 500, currency="JPY"),
                order(5, datetime(2026, 2, 1, tzinfo=UTC), 99_900),
            ]
        }
    )


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def errors(body: Any) -> dict[str, str]:
    return {one["field"]: one["code"] for one in body["errors"]}


def test_a_report_says_its_figures_and_everything_that_they_follow_from(bench: ReportBench) -> None:
    said = bench.get("/api/reports/orders", {"range": "2026-03"})
    assert said.status == 200, said.text
    assert [(row["dimensions"], row["values"], row["currency"]) for row in said.body["rows"]] == [
        ({"connection": "kon_1"}, {"net_revenue": 500, "orders": 1}, "JPY"),
        ({"connection": "=cmd()"}, {"net_revenue": 2_000, "orders": 1}, "USD"),
        ({"connection": "kon_1"}, {"net_revenue": 14_050, "orders": 2}, "USD"),
    ]
    assert said.body["as_of"] == "2026-04-10T15:30:00Z"
    assert said.body["cached"] is False
    assert said.body["columns"][0]["definition"] == "Gross - discount."
    assert (said.body["coverage_pct"], said.body["notes"], said.body["rates_source"]) == (12.5, ["A note."], "the bank")
    settings = said.body["settings"]
    assert settings["range"] == {
        "first": "2026-03-01",
        "last": "2026-03-31",
        "start": "2026-03-01T00:00:00Z",
        "end": "2026-04-01T00:00:00Z",
        "words": "2026-03",
    }
    assert (settings["model"], settings["lookback_days"], settings["date_mode"], settings["time_zone"]) == ("last_touch", 30, "conversion_date", "UTC")
    assert NOW.isoformat() not in said.text
