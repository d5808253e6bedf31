"""After how many days the people whom advertising brought have brought in what it cost.

The cohort of a row is the leads of the range; its revenue is what they bought at any time, credited as the query says. The day is the first one by whose end
that comes to the row's spend; it is not known while it does not.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tributary.facts.tables import Needs
from tributary.ports import Relations
from tributary.reports import conversions
from tributary.reports.ad_names import needs_of_names, with_names
from tributary.reports.answer import Ledger, Report
from tributary.reports.conversions import OrdersAsked
from tributary.reports.credits import Conversions, asks_touches, credited
from tributary.reports.frame import Asking, Cells, RowId, Table, together
from tributary.reports.kpis import Kpi, total_of
from tributary.reports.query import DateMode, Query
from tributary.reports.statement import statement

PAYBACK: Final = Kpi(
    key="payback_days",
    name="Payback days",
    unit="days",
    definition="Days until the leads of the range had brought in the ad spend: the first day by whose end their revenue comes to it; none while it does not.",
    over=("payback_days",),
    under=("paid_back",),
    adds_up=False,
)
_SPENT: Final = ("ad_spend", "fixed_costs")
_PROFIT: Final = "profit"


@dataclass(frozen=True, kw_only=True)
class PaybackTable(Table):
    """A table of orders, leads and spend, which knows `payback_days`, and what ads are called."""

    def needs(self, query: Query) -> Needs:
        found = together([super().needs(query), needs_of_names(query)])
        if PAYBACK not in self._kpis_read(query):
            return found
        ranges = [query.range, *([query.compare] if query.compare is not None else [])]
        by_lead = [msgspec.structs.replace(query, range=one, date_mode=DateMode.LEAD_DATE) for one in ranges]
        return together([found, *(conversions.needs_of_orders(one, first_sales=False) for one in by_lead)])

    def answer(self, query: Query, relations: Relations) -> Report:
        return with_names(super().answer(query, relations), query, relations)

    def ledger(self, query: Query, relations: Relations, *, row_key: str | None, kpi: str, limit: int, offset: int) -> Ledger:
        """Of `payback_days`: what the leads of the range bought until now, and what was spent; `parts` say what both come to."""
        if kpi != PAYBACK.key:
            return super().ledger(query, relations, row_key=row_key, kpi=kpi, limit=limit, offset=offset)
        by_lead = msgspec.structs.replace(query, date_mode=DateMode.LEAD_DATE)
        opened = super().ledger(by_lead, relations, row_key=row_key, kpi=_PROFIT, limit=limit, offset=offset)
        asked = (PAYBACK.key, _PROFIT)
        report = self.answer(msgspec.structs.replace(query, kpis=asked, having=(), sort=None, limit=sys.maxsize, compare=None), relations)
        told = {row.key: row.values[kpi] for row in report.rows}
        figure = report.totals[0].values[kpi] if row_key is None else told.get(row_key)
        return msgspec.structs.replace(opened, kpi=PAYBACK.column, total=figure, parts={_PROFIT: opened.total})

    def _reads_touches(self, query: Query) -> bool:
        return asks_touches(query)

    def _asked_measures(self, kpis: Sequence[Kpi]) -> set[str]:
        measures = super()._asked_measures(kpis)
        return measures | set(_SPENT) if PAYBACK in kpis else measures

    def _worked_out(self, query: Query, relations: Relations, kpis: Sequence[Kpi], cells: Cells) -> None:
        if PAYBACK not in kpis:
            return
        by = self._by(query)
        curves: dict[RowId | str, list[tuple[int, int]]] = {}
        for is_total, currency, *told, age, of_row, of_total in self._revenue_by_age(query, relations, by):
            if is_total:
                curves.setdefault(currency, []).append((age, of_total))
            if not (is_total and by):
                curves.setdefault(self._row_id(query, currency, told), []).append((age, of_row))
        every: list[tuple[RowId | str, dict[str, int | float]]] = [*cells.rows.items(), *cells.totals.items()]
        for name, sums in every:
            days = _days(curves.get(name, []), total_of(_SPENT, sums))
            if days is not None:
                sums.update(payback_days=days, paid_back=1)

    def _revenue_by_age(self, query: Query, relations: Relations, by: Sequence[str]) -> list[tuple[Any, ...]]:
        """As rows and totals are added up: whether it is a total, its currency, what tells rows apart, the age in days, revenue of the row, of the total."""
        asking: Asking = self._asking(msgspec.structs.replace(query, date_mode=DateMode.LEAD_DATE), relations)
        sales = conversions.sales(asking, OrdersAsked(money=("net_revenue",), age_days=True))
        asked = Conversions(kind="order", money=["net_revenue"], others=["age_days"], has_items=True, by_currency=sales.by_currency)
        credits = credited(asking, asked)
        columns = "".join(f", {column}" for column in by)
        once = "CASE WHEN money_once THEN net_revenue ELSE 0 END" if credits.once else "net_revenue"
        is_total, sets = (f"grouping({by[0]})", f"GROUPING SETS ((currency{columns}, age_days), (currency, age_days))") if by else ("1", "currency, age_days")
        select = f"SELECT {is_total}, currency{columns}, age_days, sum(net_revenue), sum({once}) FROM detail GROUP BY {sets}"
        return asking.rows(statement((*sales.steps, *credits.steps), select))


def _days(curve: list[tuple[int, int]], spent: int | float) -> int | None:
    """Of what came in after how many days. None: nothing was spent, or it has not come in yet."""
    if spent <= 0:
        return None
    came_in = 0
    for age, amount in sorted(curve):
        came_in += amount
        if came_in >= spent:
            return age
    return None
