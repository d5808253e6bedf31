"""Reports on the deployed stack: what comes in by the tracking API is in the next report, whoever it turns out to have been."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.demo.reports import Reports
from local.stack import Stack
from tests.kit.deployed import Deployed, taken, unique, until
from tributary.cli.target import LOCAL_STACK_FILE

pytestmark = pytest.mark.e2e


@pytest.fixture
def deployed(stack: Stack) -> Iterator[Deployed]:
    with Deployed(stack) as deployed:
        yield deployed


def ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat()


def visit(browser: str, source: str, **when: float) -> dict[str, Any]:
    page = {"url": f"https://harbour.example/berths?utm_source={source}&utm_medium=cpc&utm_campaign=spring"}
    return {"type": "page", "anonymousId": browser, "name": "Berths", "properties": page, "messageId": unique("page"), "timestamp": ago(**when)}


def bought(user: str, order: str, total: float) -> dict[str, Any]:
    said = {"order_id": order, "total": total, "revenue": total, "currency": "USD"}
    return {"type": "track", "userId": user, "event": "Order Completed", "messageId": unique("track"), "properties": said}


def send(deployed: Deployed, *events: dict[str, Any]) -> None:
    """Without the clock of the sender: what is a month old stays so."""
    assert taken(deployed.post("import", {"batch": [*events]}))


def test_the_visit_of_last_month_joins_its_buyer_in_the_next_report(deployed: Deployed, stack: Stack) -> None:
    """The order is there, its buyer came from nowhere; then they say who they are, and the visit that was there all along is theirs."""
    reports, source = Reports(stack), unique("lighthouse")
    user, browser = unique("ada"), unique("browser")
    send(deployed, visit(browser, source, days=28), bought(user, unique("order"), 89.5))

    def sources() -> dict[Any, Any]:
        rows = reports.ask("orders", group_by="source", kpis="net_revenue", lookback="60d")["rows"]
        return {row["dimensions"]["source"]: row["values"]["net_revenue"] for row in rows if row["currency"] == "USD"}

    until(lambda: reports.ask("engagement", group_by="page", filter="page:is:harbour.example/berths")["rows"], bool)
    assert source not in sources()

    send(deployed, {"type": "identify", "userId": user, "anonymousId": browser, "messageId": unique("identify")})

    assert until(sources, lambda found: source in found)[source] == 8_950


def test_a_report_is_printed_by_the_command_line_and_opened(deployed: Deployed, stack: Stack, tmp_path: Path) -> None:
    user, order = unique("bea"), unique("order")
    send(deployed, {"type": "identify", "userId": user, "traits": {"name": "Bea Quay", "email": f"{user}@quay.example"}, "messageId": unique("identify")})
    send(deployed, bought(user, order, 12.34))
    reports = Reports(stack)
    until(lambda: [line["id"] for line in reports.ledger("orders", kpi="net_revenue")["data"]], lambda ids: order in ids)

    (tmp_path / LOCAL_STACK_FILE).parent.mkdir()
    (tmp_path / LOCAL_STACK_FILE).write_text(json.dumps(stack.as_document()))

    def command(*arguments: str) -> str:
        run = [sys.executable, "-m", "tributary.cli", "--local", "report", *arguments]
        return subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60).stdout

    printed = command("orders", "--range", "all_time", "--by", "source", "--model", "linear")
    assert "Orders" in printed
    assert "total" in printed
    opened = json.loads(command("orders", "--range", "all_time", "--ledger", "total", "--json"))
    (line,) = [line for line in opened["data"] if line["id"] == order]
    assert (line["value"], line["name"], line["email"]) == (1_234, "Bea Quay", f"{user}@quay.example")
