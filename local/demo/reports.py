"""The third chapter: what a marketer asks. Reports on the eighteen months of the CRM's account, as tables; each total is what the account says of itself.

Reports are asked over HTTP, as a dashboard asks them. What advertising cost is entered first, for there is no shop that spends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
from rich.console import Console
from rich.table import Table

from local.demo.checks import Step
from local.demo.crm import Account
from local.demo.looking import NotInTime, until
from local.stack import Stack

PATIENCE_SECONDS: Final = 90.0
"""Until the last fact is in a report; at the pace of the demo a few seconds."""
CURRENCY: Final = "USD"
APART: Final = "JPY"
"""No rate is entered for it: it stands apart."""
SPENT: Final = {"google": 410, "facebook": 365}
"""Cents a day, by the source that advertisements name."""
SPEND_DAYS: Final = 500
FUNNEL: Final = {"started": "order:started", "sold": "order:sold", "rebilled": "order:rebilled"}
_TIMEOUT: Final = 60
_SHOWN: Final = 12
"""Rows of a table."""

Report = Mapping[str, Any]


class Reports:
    """The reports of the stack, as a dashboard asks them."""

    def __init__(self, stack: Stack) -> None:
        self._url = stack.api_url
        self._headers = {"authorization": f"Bearer {stack.api_key}"}

    def ask(self, type: str, **parameters: str) -> Report:
        return self._get(f"/api/reports/{type}", parameters)

    def ledger(self, type: str, **parameters: str) -> Report:
        return self._get(f"/api/reports/{type}/ledger", {"limit": "500", **parameters})

    def spend(self, rows: Sequence[Mapping[str, Any]]) -> None:
        answer = httpx.post(f"{self._url}/api/ad-spend", json={"rows": rows}, headers=self._headers, timeout=_TIMEOUT, trust_env=False)
        answer.raise_for_status()

    def _get(self, path: str, parameters: Mapping[str, str]) -> Report:
        answer = httpx.get(f"{self._url}{path}", params={"range": "all", **parameters}, headers=self._headers, timeout=_TIMEOUT, trust_env=False)
        answer.raise_for_status()
        report: Report = answer.json()
        return report


def chapter(console: Console, stack: Stack, account: Account) -> list[Step]:
    """Ask; what must hold, step by step."""
    reports = Reports(stack)
    truth = account.truth()["reports"]
    of_account = f"connection:is:{account.id}"
    console.print("\nWhat a marketer asks: which source, campaign and email brought which leads, customers and dollars.\n", highlight=False)
    reports.spend(_spend())
    expected = sum(SPENT.values()) * SPEND_DAYS
    try:
        until(
            lambda: (
                _money(reports.ask("orders", filter=of_account, kpis="orders,net_revenue,refunds"), "orders", "net_revenue", "refunds"),
                _total(reports.ask("advertisement"), "ad_spend"),
            ),
            lambda seen: seen == (_sales(truth, "orders", "earned", "refunded"), expected),
            patience=PATIENCE_SECONDS,
        )
    except NotInTime:
        console.print(f"[red]Not every fact has come within {PATIENCE_SECONDS:.0f} s.[/]")
    return [
        *_acquisition(console, reports, truth),
        *_advertisement(console, reports, truth, expected),
        *_orders(console, reports, truth, of_account),
    ]


def _spend() -> list[dict[str, Any]]:
    today = datetime.now(UTC).date()
    return [
        {"date": str(today - timedelta(days=days)), "platform": source, "utm_source": source, "spend": f"{cents / 100:.2f}", "currency": CURRENCY}
        for days in range(1, SPEND_DAYS + 1)
        for source, cents in SPENT.items()
    ]


def _acquisition(console: Console, reports: Reports, truth: Report) -> list[Step]:
    by_source = reports.ask("acquisition", group_by="source")
    by_month = reports.ask("acquisition", scale="month", group_by="", kpis="leads,net_revenue")
    show(console, "Acquisition: leads, and what they became, by source", by_source)
    months = {month: cohort["earned"].get(CURRENCY, 0) for month, cohort in truth["cohorts"].items()}
    told = {
        row["dimensions"]["period"][:7]: row["values"]["net_revenue"] for row in by_month["rows"] if row["currency"] == CURRENCY and any(row["values"].values())
    }
    return [
        Step("Acquisition: revenue of the leads of each month", months, {month: told.get(month, 0) for month in months}, f"{len(months)} months"),
    ]


def _advertisement(console: Console, reports: Reports, truth: Report, spent: int) -> list[Step]:
    report = reports.ask("advertisement", group_by="source")
    show(console, "Advertisement: what it cost and what it brought, by source", report)
    return [Step("Advertisement: what was spent, all of it", spent, _total(report, "ad_spend"), f"{spent / 100:,.2f} {CURRENCY}")]


def _orders(console: Console, reports: Reports, truth: Report, of_account: str) -> list[Step]:
    by_campaign = reports.ask("orders", group_by="konnektive_campaign", filter=of_account)
    by_source = reports.ask("orders", group_by="source", filter=of_account, kpis="orders,net_revenue,refunds,customers")
    show(console, "Orders by Konnektive's campaigns", by_campaign)
    return [
        Step(
            "Orders: sales, revenue and refunds of each currency",
            _sales(truth, "orders", "earned", "refunded"),
            _money(by_source, "orders", "net_revenue", "refunds"),
        ),
    ]


def _sales(truth: Report, *names: str) -> dict[str, list[int]]:
    return {currency: [sums[name] for name in names] for currency, sums in truth["sales"].items()}


def _money(report: Report, *names: str) -> dict[str, list[Any]]:
    return {total["currency"]: [total["values"][name] for name in names] for total in report["totals"]}


def _total(report: Report, name: str, currency: str = CURRENCY) -> Any:
    return next(total["values"][name] for total in report["totals"] if total["currency"] == currency)


def show(console: Console, title: str, report: Report) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    dimensions = list(report["rows"][0]["dimensions"]) if report["rows"] else []
    for name in dimensions:
        table.add_column(name)
    for column in report["columns"]:
        table.add_column(column["name"], justify="right")
    for row in report["rows"][:_SHOWN]:
        table.add_row(*(str(row["dimensions"][name]) for name in dimensions), *(str(row["values"][column["key"]]) for column in report["columns"]))
    console.print(table)
