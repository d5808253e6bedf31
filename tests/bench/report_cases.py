"""The questions that reports are measured by: 90 days, by campaign where a report knows campaigns; and what a statement written by hand for each reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, Literal

from tests.bench.report_data import END
from tributary.facts.tables import Kind, Months
from tributary.reports.answer import Report, Value
from tributary.reports.query import DateMode, Model, Query, Range, ReportType, Step

_SQL: Final = Path(__file__).parent / "sql"
_ALL: Final = Months()
_IN_RANGE: Final = Months("2026-04", "2026-06")
RANGE: Final = Range(
    first=date(2026, 4, 2), last=date(2026, 6, 30), start=datetime(2026, 4, 2, 4, tzinfo=UTC), end=datetime(2026, 7, 1, 4, tzinfo=UTC), words="last_90_days"
)
"""Of New York, where the shop is."""
_TOTAL: Final = "total"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A report, and `sql/<name>.sql`, which comes to the same rows. That finds the files that it reads as lists in variables."""

    name: str
    query: Query
    reads: Mapping[str, tuple[Kind, Months]]
    """Variable → what it lists."""
    touches: Literal["none", "single", "many"] = "none"
    """How many touches of a path get credit."""

    @property
    def months_read(self) -> Mapping[Kind, list[Months]]:
        """Of each kind."""
        found: dict[Kind, list[Months]] = {}
        for kind, months in self.reads.values():
            found.setdefault(kind, []).append(months)
        return found

    @property
    def statement(self) -> str:
        return (_SQL / f"{self.name}.sql").read_text()


def rows_and_total(report: Report, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """By `kind` (`total`, `touched`, `untouched`), dimensions and KPIs."""
    rows = [({"kind": "untouched" if row.unattributed else "touched", **row.dimensions}, row.values) for row in report.rows]
    totals: list[tuple[dict[str, str | None], dict[str, Value]]] = [({"kind": _TOTAL}, total.values) for total in report.totals]
    return [tuple(told[name] if name in told else values.get(name) for name in columns) for told, values in (*rows, *totals)]


def _query(of: ReportType, kpis: tuple[str, ...], **settings: Any) -> Query:
    asked: dict[str, Any] = {"group_by": ("campaign",), "currency": "USD"} | settings
    return Query(type=of, range=RANGE, time_zone="America/New_York", now=END, kpis=kpis, **asked)


_LOOKED_BACK: Final = Months("2026-03", "2026-06")
_TOUCHES: Final = {"touches": (Kind.TOUCHES, _ALL)}
_RATES: Final = {"rates": (Kind.RATES, _ALL)}
_CONTACTS: Final = {"contacts": (Kind.CONTACTS, _ALL)}
_ACTIVITIES: Final = {"activities": (Kind.ACTIVITIES, _IN_RANGE)}
_ORDERS: Final = {"orders_in_range": (Kind.ORDERS, _IN_RANGE), "orders": (Kind.ORDERS, _ALL), "subscriptions": (Kind.SUBSCRIPTIONS, _ALL), **_RATES}
_SALES: Final = {"orders": (Kind.ORDERS, _IN_RANGE), **_RATES}
_LEADS: Final = {**_CONTACTS, "touches_of_leads": (Kind.TOUCHES, _LOOKED_BACK)}
_ORDERS_SHOW: Final = ("net_revenue", "orders", "customers", "refunds")
_LEADS_SHOW: Final = ("leads", "customers", "net_revenue")

CASES: Final = (
    Case(
        name="acquisition",
        query=_query(ReportType.ACQUISITION, _LEADS_SHOW, date_mode=DateMode.LEAD_DATE),
        reads={**_ORDERS, **_LEADS, **_TOUCHES},
        touches="single",
    ),
    Case(
        name="advertisement",
        query=_query(ReportType.ADVERTISEMENT, ("ad_spend", *_LEADS_SHOW)),
        reads={**_ORDERS, **_LEADS, **_TOUCHES, "touches_of_ads": (Kind.TOUCHES, _LOOKED_BACK), "ad_spend": (Kind.AD_SPEND, _IN_RANGE)},
        touches="single",
    ),
    Case(
        name="nurture",
        query=_query(ReportType.NURTURE, ("people", "clicks", "customers", "revenue")),
        reads={**_ACTIVITIES, **_SALES, "touches": (Kind.TOUCHES, _IN_RANGE)},
    ),
    Case(
        name="engagement",
        query=_query(ReportType.ENGAGEMENT, ("page_views", "visitors", "engaged_contacts")),
        reads={**_ACTIVITIES, **_CONTACTS, "touches": (Kind.TOUCHES, _LOOKED_BACK)},
        touches="single",
    ),
    Case(name="orders", query=_query(ReportType.ORDERS, _ORDERS_SHOW), reads={**_ORDERS, **_TOUCHES}, touches="single"),
    Case(name="orders_linear", query=_query(ReportType.ORDERS, _ORDERS_SHOW, model=Model.LINEAR), reads={**_ORDERS, **_TOUCHES}, touches="many"),
    Case(
        name="subscriptions",
        query=_query(ReportType.SUBSCRIPTIONS, ("mrr", "active", "new_subscriptions", "cancellations")),
        reads={"subscriptions": (Kind.SUBSCRIPTIONS, _ALL), "orders": (Kind.ORDERS, _ALL), **_RATES, **_TOUCHES},
        touches="single",
    ),
    Case(
        name="funnel",
        query=_query(
            ReportType.FUNNEL,
            ("entrants", "revenue"),
            steps=(
                Step(kind="page", value="shop.example.com/quiz", label="came"),
                Step(kind="event", value="Product Added", label="added"),
                Step(kind="order", value="sold", label="bought"),
            ),
        ),
        reads={**_ACTIVITIES, **_SALES, "touches": (Kind.TOUCHES, _LOOKED_BACK)},
        touches="single",
    ),
    Case(
        name="value_over_time",
        query=_query(ReportType.VALUE_OVER_TIME, ("leads", "value_30", "value_90"), intervals=(30, 90), model=Model.LEAD_SOURCE, date_mode=DateMode.LEAD_DATE),
        reads={"orders": (Kind.ORDERS, _ALL), **_RATES, **_CONTACTS, "touches": (Kind.TOUCHES, _LOOKED_BACK)},
        touches="single",
    ),
    Case(
        name="attribution",
        query=_query(ReportType.ATTRIBUTION, ("net_revenue", "orders", "customers", "new_customers")),
        reads={**_ORDERS, **_TOUCHES},
        touches="single",
    ),
    Case(
        name="lead_source",
        query=_query(ReportType.LEAD_SOURCE, _LEADS_SHOW, model=Model.LEAD_SOURCE),
        reads={**_ORDERS, **_LEADS, **_TOUCHES},
        touches="single",
    ),
    Case(
        name="journeys",
        query=_query(ReportType.JOURNEYS, ("orders", "revenue")),
        reads={**_SALES, "touches": (Kind.TOUCHES, _LOOKED_BACK)},
        touches="many",
    ),
)
