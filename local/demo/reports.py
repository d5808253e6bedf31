"""The third chapter: what a marketer asks. Reports on the eighteen months of the CRM's account, as tables; each total is what the account says of itself.

Reports are asked over HTTP, as a dashboard asks them. What advertising cost is entered first, for there is no shop that spends nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
from rich.console import Console

from local.demo.checks import Step
from local.demo.crm import Account
from local.demo.expected import PEOPLE
from local.demo.looking import NotInTime, until
from local.demo.session import MOMENTS
from local.stack import Stack
from tributary.cli import report_tables

PATIENCE_SECONDS: Final = 90.0
"""Until the last fact is in a report; at the pace of the demo a few seconds."""
CURRENCY: Final = "USD"
SPENT: Final = {("google", "Brand"): 410, ("facebook", "Spring | A"): 365, ("facebook", "Autumn"): 20}
"""Cents a day, by the source and the campaign that the advertisements name. The last has brought nobody."""
SPEND_DAYS: Final = 500
STEPS: Final = ("order:started", "order:sold", "order:rebilled")
TIME_ZONE: Final = "America/New_York"
"""The account's clock."""
INTERVALS: Final = (30, 90, 180, 365, 600)
"""Days; the last is more than the account's age."""
MONEY: Final = ("orders", "net_revenue", "refunds")
_LINES: Final = 8
_TIMEOUT: Final = 60

Answer = Mapping[str, Any]


class Reports:
    """The reports of the stack, of all time."""

    def __init__(self, stack: Stack) -> None:
        self._url = stack.api_url
        self._headers = {"authorization": f"Bearer {stack.api_key}"}

    def ask(self, type: str, **parameters: Any) -> Answer:
        return self._get(f"/api/reports/{type}", parameters)

    def ledger(self, type: str, **parameters: Any) -> Answer:
        return self._get(f"/api/reports/{type}/ledger", {"limit": "500", **parameters})

    def spend(self, rows: Sequence[Mapping[str, Any]]) -> None:
        answer = httpx.post(f"{self._url}/api/ad-spend", json={"rows": rows}, headers=self._headers, timeout=_TIMEOUT, trust_env=False)
        answer.raise_for_status()

    def _get(self, path: str, parameters: Mapping[str, Any]) -> Answer:
        answer = httpx.get(f"{self._url}{path}", params={"range": "all_time", **parameters}, headers=self._headers, timeout=_TIMEOUT, trust_env=False)
        answer.raise_for_status()
        report: Answer = answer.json()
        return report


def chapter(console: Console, stack: Stack, account: Account) -> list[Step]:
    """Ask; what must hold, step by step."""
    began = time.monotonic()
    console.print("\nWhat a marketer asks: which source, campaign and email brought which leads, customers and dollars.", highlight=False)
    reports, truth = Reports(stack), account.truth()["reports"]
    of_account = f"connection:is:{account.id}"
    reports.spend(_spend())
    spent = sum(SPENT.values()) * SPEND_DAYS
    _wait(console, reports, truth, of_account, spent)
    console.print(f"Every fact is in the reports  [dim]{time.monotonic() - began:.1f} s[/]", highlight=False)
    return [
        *_acquisition(console, reports, truth),
        *_advertisement(console, reports, spent),
        *_nurture(console, reports, truth),
        *_engagement(console, reports),
        *_orders(console, reports, truth, of_account),
        *_subscriptions(console, reports, truth),
        *_funnel(console, reports, truth, of_account),
        *_value_over_time(console, reports, truth, TIME_ZONE),
        *_ledger(console, reports, of_account),
        *_journey(console, reports, account),
    ]


def _spend() -> list[dict[str, Any]]:
    """Of the days until yesterday: they are over everywhere."""
    today = datetime.now(UTC).date()
    return [
        {
            "date": str(today - timedelta(days=days)),
            "platform": source,
            "utm_source": source,
            "utm_campaign": campaign,
            "spend": cents,
            "currency": CURRENCY,
        }
        for days in range(1, SPEND_DAYS + 1)
        for (source, campaign), cents in SPENT.items()
    ]


def _wait(console: Console, reports: Reports, truth: Answer, of_account: str, spent: int) -> None:
    def seen() -> Any:
        orders = reports.ask("orders", filter=of_account, kpis="orders,net_revenue,refunds")
        return _totals(orders), _total(reports.ask("advertisement", kpis="ad_spend"), "ad_spend")

    try:
        until(seen, lambda found: found == (_sales(truth), spent), patience=PATIENCE_SECONDS)
    except NotInTime:
        console.print(f"[red]Not every fact has come within {PATIENCE_SECONDS:.0f} s.[/]")


def _acquisition(console: Console, reports: Reports, truth: Answer) -> list[Step]:
    report = reports.ask("acquisition", group_by="source")
    _show(console, report)
    leads = truth["leads"] + len(PEOPLE)
    return [Step("Acquisition: every lead, the account's and the tea shop's", leads, _total(report, "leads"), f"{leads} leads")]


def _advertisement(console: Console, reports: Reports, spent: int) -> list[Step]:
    report = reports.ask("advertisement", group_by="campaign")
    _show(console, report)
    expected = {campaign: cents * SPEND_DAYS for (_, campaign), cents in SPENT.items()} | {"all": spent}
    got = {row["dimensions"]["campaign"]: row["values"]["ad_spend"] for row in report["rows"] if row["values"]["ad_spend"]}
    found = f"{spent / 100:,.2f} {CURRENCY}"
    return [Step("Advertisement: what each campaign cost, one that brought nobody too", expected, got | {"all": _total(report, "ad_spend")}, found)]


def _nurture(console: Console, reports: Reports, truth: Answer) -> list[Step]:
    report = reports.ask("nurture", group_by="tag", limit="12")
    _show(console, report)
    people = _total(report, "people")
    return [Step("Nurture: everybody whom the account knows has tags, and counts once", truth["leads"], people, f"{people} people")]


def _engagement(console: Console, reports: Reports) -> list[Step]:
    report = reports.ask("engagement", group_by="page")
    _show(console, report)
    views = sum(moment.call in ("page", "screen") for moment in MOMENTS)
    return [Step("Engagement: pages and screens, all of the afternoon's", views, _total(report, "page_views"), f"{views} page views")]


def _orders(console: Console, reports: Reports, truth: Answer, of_account: str) -> list[Step]:
    """Each order of the account says where its buyer came from: that is its last touch, also of what is billed later."""
    by_campaign = reports.ask("orders", group_by="konnektive_campaign", filter=of_account)
    by_source = reports.ask("orders", group_by="source", filter=of_account, kpis=",".join(MONEY))
    linear = reports.ask("orders", group_by="source", filter=of_account, kpis=",".join(MONEY), model="linear")
    _show(console, by_campaign)
    _show(console, by_source)
    sales = _sales(truth)
    said = f"{sales[CURRENCY][0]} orders, {sales[CURRENCY][1] / 100:,.2f} {CURRENCY}"
    return [
        Step("Orders: sales, revenue and refunds, each currency by itself", sales, _totals(by_source), said),
        Step("Orders: the same, to the cent, by each source", true_sums(truth["sources"]), sums_by(by_source, "source", MONEY)),
        Step(
            "Orders: the same, to the cent, by each of Konnektive's campaigns",
            true_sums(truth["campaigns"]),
            sums_by(by_campaign, "konnektive_campaign", MONEY),
        ),
        Step("Orders: another model moves credit, and makes and loses none", sales, _totals(linear), "linear"),
    ]


def _subscriptions(console: Console, reports: Reports, truth: Answer) -> list[Step]:
    report = reports.ask("subscriptions")
    _show(console, report)
    mrr = {total["currency"]: total["values"]["mrr"] for total in report["totals"] if total["values"]["mrr"]}
    active = sum(total["values"]["active"] for total in report["totals"])
    running = truth["subscriptions"]
    found = f"{active} active, {mrr.get(CURRENCY, 0) / 100:,.2f} {CURRENCY} a month"
    return [Step("Subscriptions: what runs, and its MRR", [running["active"], running["mrr"]], [active, mrr], found)]


def _funnel(console: Console, reports: Reports, truth: Answer, of_account: str) -> list[Step]:
    report = reports.ask("funnel", steps=STEPS, filter=of_account)
    _show(console, report)
    reached = [row["values"]["entrants"] for row in report["rows"] if row["currency"] == CURRENCY]
    return [Step("Funnel: who began a checkout, bought, was billed again", [*truth["funnel"].values()], reached, " → ".join(map(str, reached)))]


def _value_over_time(console: Console, reports: Reports, truth: Answer, zone: str) -> list[Step]:
    kpis = ["leads", *(f"value_{days}" for days in INTERVALS), "revenue"]
    report = reports.ask("value-over-time", scale="month", intervals=",".join(map(str, INTERVALS)), kpis=",".join(kpis), time_zone=zone)
    _show(console, report)
    months = {month: cohort["earned"].get(CURRENCY, 0) for month, cohort in truth["cohorts"].items()}
    got = {row["dimensions"]["period"][:7]: row["values"]["revenue"] for row in report["rows"] if row["currency"] == CURRENCY}
    return [Step("Value over time: what the leads of each month have brought", months, {month: got.get(month) for month in months}, f"{len(months)} months")]


def _ledger(console: Console, reports: Reports, of_account: str) -> list[Step]:
    """One figure, opened."""
    asked = {"group_by": "source", "filter": of_account, "kpis": "net_revenue"}
    row = next(row for row in reports.ask("orders", **asked)["rows"] if row["dimensions"]["source"] == "newsletter" and row["currency"] == CURRENCY)
    opened = reports.ledger("orders", **asked, row=row["key"])
    for part in report_tables.ledger({**opened, "data": opened["data"][:_LINES]}):
        console.print(part)
    figure = row["values"]["net_revenue"]
    said = f"{opened['lines_found']} orders, {figure / 100:,.2f} {CURRENCY}"
    step = "Opened: the people and orders behind what the newsletter brought add up to it"
    return [Step(step, [figure, figure], [opened["adds_up_to"], sum(line["value"] for line in opened["data"])], said)]


def _journey(console: Console, reports: Reports, account: Account) -> list[Step]:
    """Of whoever has brought most."""
    opened = reports.ledger("orders", filter=f"connection:is:{account.id}", kpi="net_revenue")
    brought: Counter[str] = Counter()
    for line in opened["data"]:
        if line["currency"] == CURRENCY:
            brought[line["contact"]] += line["value"]
    ((person, figure),) = brought.most_common(1)
    report = reports.ask("journeys", contact=person)
    _show(console, report)
    return [Step("A journey: what one person brought, order by order", figure, _total(report, "revenue"), f"{figure / 100:,.2f} {CURRENCY}")]


def true_sums(sums: Mapping[str, Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, list[int]]]:
    """What the account says, as `sums_by` of `MONEY` tells it."""
    return {currency: {of: [one[name] for name in ("orders", "earned", "refunded")] for of, one in ofs.items()} for currency, ofs in sums.items()}


def sums_by(report: Answer, dimension: str, names: Sequence[str]) -> dict[str, dict[str, list[Any]]]:
    """By currency and dimension; what has none, and what has no touch at all, together, as the account cannot tell them apart."""
    found: dict[str, dict[str, list[Any]]] = {}
    for row in report["rows"]:
        ofs = found.setdefault(row["currency"], {})
        of = row["dimensions"][dimension] or ""
        before = ofs.get(of, [0] * len(names))
        ofs[of] = [one + row["values"][name] for one, name in zip(before, names, strict=True)]
    return found


def _sales(truth: Answer) -> dict[str, list[int]]:
    return {currency: [sums[name] for name in ("orders", "earned", "refunded")] for currency, sums in truth["sales"].items()}


def _totals(report: Answer) -> dict[str, list[Any]]:
    """By currency: the values of the columns, in order."""
    return {total["currency"]: [*total["values"].values()] for total in report["totals"]}


def _total(report: Answer, name: str, currency: str = CURRENCY) -> Any:
    return next(total["values"][name] for total in report["totals"] if total["currency"] == currency)


def _show(console: Console, report: Answer) -> None:
    console.print()
    for part in report_tables.report(report, definitions=False):
        console.print(part)
