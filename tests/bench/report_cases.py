"""The questions that reports are measured by: 90 days, by campaign where a report knows campaigns; and what a statement written by hand for each reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, Literal

from tests.bench.report_data import END
from tributary.facts.tables import Kind, Months
from tributary.reports.answer import Report, Value
from tributary.reports.query import Model, Query, Range, ReportType

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
    rows: Callable[[Report, tuple[str, ...]], list[tuple[Any, ...]]]
    """What the statement answers, of a report, in the columns of the statement."""

    @property
    def statement(self) -> str:
        return (_SQL / f"{self.name}.sql").read_text()


def rows_and_total(report: Report, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """By `kind` (`total`, `touched`, `untouched`), dimensions and KPIs."""
    rows = [({"kind": "untouched" if row.unattributed else "touched", **row.dimensions}, row.values) for row in report.rows]
    totals: list[tuple[dict[str, str | None], dict[str, Value]]] = [({"kind": _TOTAL}, total.values) for total in report.totals]
    return [tuple(told[name] if name in told else values.get(name) for name in columns) for told, values in (*rows, *totals)]


def _query(of: ReportType, **settings: Any) -> Query:
    asked: dict[str, Any] = {"group_by": ("campaign",), "limit": 10_000, "currency": "USD"} | settings
    return Query(type=of, range=RANGE, time_zone="America/New_York", now=END, **asked)


_ORDERS_READ: Final = {
    "orders_in_range": (Kind.ORDERS, _IN_RANGE),
    "orders": (Kind.ORDERS, _ALL),
    "subscriptions": (Kind.SUBSCRIPTIONS, _ALL),
    "touches": (Kind.TOUCHES, _ALL),
    "rates": (Kind.RATES, _ALL),
}
_ORDERS_SHOW: Final = ("net_revenue", "orders", "customers", "refunds")

CASES: Final = (
    Case(name="orders", query=_query(ReportType.ORDERS, kpis=_ORDERS_SHOW), reads=_ORDERS_READ, touches="single", rows=rows_and_total),
    Case(
        name="orders_linear",
        query=_query(ReportType.ORDERS, kpis=_ORDERS_SHOW, model=Model.LINEAR),
        reads=_ORDERS_READ,
        touches="many",
        rows=rows_and_total,
    ),
)
