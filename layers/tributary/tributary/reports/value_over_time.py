"""Value over time: what the leads of a time have brought, so many days after they became leads; or the customers of a time, after their first order.

A cohort is the people who became leads in a period, or whose first order was sold in it; what they brought until a day counts all their orders until then,
whenever that was. A value is that of all the cohort's people, also while some of them are younger than the day: such a cell is not mature, and says which part
of the people is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from tributary.facts.tables import Kind, Months, Needs
from tributary.ports import Relations
from tributary.reports import dimensions
from tributary.reports.answer import Ledger, Report
from tributary.reports.credits import Conversions
from tributary.reports.frame import Asking, Detail, Leg, Measure, Table, months, together
from tributary.reports.kpis import Kpi, named
from tributary.reports.periods import timestamp
from tributary.reports.query import Cohort, DateMode, Model, Query, ReportType, Scale
from tributary.reports.sales import NET, sales
from tributary.reports.statement import Step
from tributary.reports.subjects import conversions, credited_by_person, first_orders, needs_of, needs_of_first_orders, once

INTERVALS: Final = (1, 7, 30, 365)
"""Days, where the question names none."""
_OF_ORDER: Final = frozenset({dimensions.CONNECTION})
"""What beside the usual is of a person's first order."""


def cohort_kpis(intervals: tuple[int, ...], cohort: Cohort = "lead") -> Mapping[str, Kpi]:
    who, since = ("leads", "the person became a lead") if cohort == "lead" else ("people", "the person's first order")
    told = "People who became known in the period: the cohort." if cohort == "lead" else "People whose first order ever was sold in the period: the cohort."
    values = [
        Kpi(
            key=f"value_{days}",
            name=f"Value, day {days}",
            unit="money",
            over=(f"revenue_{days}",),
            under=("leads",),
            definition=f"{NET[0].upper()}{NET[1:]}, sold until {days} days (of 24 hours) after {since} / {who}.",
        )
        for days in intervals
    ]
    mature = [
        Kpi(
            key=f"mature_{days}",
            name=f"Mature, day {days}",
            unit="percent",
            over=(f"aged_{days}",),
            under=("leads",),
            times=100,
            definition=f"100 x {who} whose day {days} has passed / {who}. Below 100 the values of that day are still growing.",
        )
        for days in intervals
    ]
    revenue = [
        Kpi(
            key=f"revenue_{days}",
            name=f"Revenue, day {days}",
            unit="money",
            over=(f"revenue_{days}",),
            definition=f"Revenue of the {who} until {days} days after {since}.",
        )
        for days in intervals
    ]
    customers = [
        Kpi(
            key=f"customers_{days}",
            name=f"Customers, day {days}",
            unit="number",
            over=(f"customers_{days}",),
            definition=f"{who.capitalize()} who had bought until {days} days after {since}.",
        )
        for days in intervals
    ]
    return named(
        Kpi(key="leads", name=who.capitalize(), unit="number", over=("leads",), definition=told),
        *values,
        *mature,
        *revenue,
        *customers,
        Kpi(key="revenue", name="Revenue to date", unit="money", over=("revenue",), definition=f"Of the {who}, until now: {NET}."),
        Kpi(key="customers", name="Customers to date", unit="number", over=("customers",), definition=f"{who.capitalize()} who have bought by now."),
        Kpi(key="lead_value", name="Lead value", unit="money", over=("revenue",), under=("leads",), definition=f"Revenue to date / {who}."),
        Kpi(
            key="customer_value",
            name="Customer value",
            unit="money",
            over=("revenue",),
            under=("customers",),
            definition="Revenue to date / customers to date.",
        ),
        Kpi(
            key="conversion_rate",
            name="Conversion rate",
            unit="percent",
            over=("customers",),
            under=("leads",),
            times=100,
            definition=f"100 x customers to date / {who}.",
        ),
        Kpi(
            key="days_to_purchase",
            name="Days to purchase",
            unit="days",
            over=("days",),
            under=("customers",),
            definition=f"Mean of the days after {since} until the first sale, of customers to date; one who had bought before counts 0.",
        ),
    )


def intervals_of(query: Query) -> tuple[int, ...]:
    return query.intervals or INTERVALS


@dataclass(frozen=True)
class CohortLeg:
    """Leads with what they brought."""

    measures: Set[str] = frozenset({"leads", "attributed_leads", "revenue", "customers", "days"})
    """Beside those of the intervals that are asked for."""
    coverage: tuple[str, str] | None = ("attributed_leads", "leads")

    def needs(self, query: Query, measures: Set[str]) -> Needs:
        found: Needs = needs_of(_plain(query), months(query.range.start, min(query.range.end, query.now)))
        if query.cohort == "lead":
            found = {**found, Kind.CONTACTS: Months()}
        if query.cohort == "first_order" or _reads_orders(measures):
            found = {**found, Kind.ORDERS: months(None, query.now), Kind.RATES: Months()}
        return together((found, needs_of_first_orders(query, _OF_ORDER)))

    def detail(self, asking: Asking, measures: Set[str]) -> Detail:
        query, values = asking.query, asking.values
        intervals = intervals_of(query)
        now = timestamp(query.now)
        steps: list[Step] = [("cohort", _cohort(query))]
        amounts = [f"revenue_{days}" for days in intervals if f"revenue_{days}" in measures] + (["revenue"] if "revenue" in measures else [])
        has_orders, asks_first = _reads_orders(measures), False
        if has_orders:
            steps += [sales(asking, of="cohort"), ("spent", _spent(amounts))]
        asks_first = any(name in ("customers", "days") or name.startswith("customers_") for name in measures)
        ours = values.add(query.currency)
        steps.append(("leads", _leads(ours, amounts, has_orders=has_orders, asks_first=asks_first)))
        aged = [f"(x.began_at + to_days({days}) <= {now})::INT AS aged_{days}" for days in intervals if f"aged_{days}" in measures]
        others = ["first_at", "began_on", *(name for name in measures if name.startswith("aged_"))]
        columns = ["x.key", "x.person", "x.began_at AS happened_at", "x.began_at AS began_on", "x.currency", "x.counted", "x.first_at", *aged]
        columns += [f"x.{name}" for name in amounts]
        columns += ["CAST(NULL AS VARCHAR) AS id", "CAST(NULL AS VARCHAR) AS connection"] if asking.lines else []
        plain = replace(asking, query=_plain(query))
        firsts = first_orders(plain, of="cohort", at="x.began_at", more=_OF_ORDER)
        lead_at = "x.began_at" if query.cohort == "lead" else ""
        steps += firsts.steps
        steps += conversions(plain, source="leads", columns=columns, at="x.began_at", own=firsts.own, lists=firsts.lists, joins=firsts.joins, lead_at=lead_at)
        credits = credited_by_person(plain, Conversions(kind="lead", money=amounts, others=others, any_time=False, by_currency=True))
        asked = {name: measure for name, measure in _measures(intervals, touched=asking.attributed).items() if name in measures}
        return Detail((*steps, *credits.steps), once(asked, overlapping=credits.once, money=set(amounts)), credits.overlapping)


@dataclass(frozen=True, kw_only=True)
class CohortTable(Table):
    """A row for each month that people became leads in, or what the question tells them apart by."""

    def kpis(self, query: Query | None = None) -> Mapping[str, Kpi]:
        return cohort_kpis(INTERVALS) if query is None else cohort_kpis(intervals_of(query), query.cohort)

    def answer(self, query: Query, relations: Relations) -> Report:
        """A row is immature while the last interval that it shows has not passed for all of its people."""
        query = _by_month(query)
        last = f"mature_{intervals_of(query)[-1]}"
        report = super().answer(msgspec.structs.replace(query, kpis=tuple(dict.fromkeys((*query.kpis, last)))), relations)
        rows = tuple(msgspec.structs.replace(row, immature=row.values[last] not in (None, 100)) for row in report.rows)
        told = msgspec.structs.replace(report, rows=rows)
        return told if last in query.kpis else without(told, last)

    def needs(self, query: Query) -> Needs:
        return super().needs(_by_month(query))

    def ledger(self, query: Query, relations: Relations, *, row_key: str | None, kpi: str, limit: int, offset: int) -> Ledger:
        return super().ledger(_by_month(query), relations, row_key=row_key, kpi=kpi, limit=limit, offset=offset)

    def _asked(self, query: Query, kpis: Sequence[Kpi]) -> list[tuple[Leg, Set[str]]]:
        """All of its leg: which measures there are follows from the intervals."""
        (leg,) = self.legs
        measures = {name for kpi in kpis for name in kpi.measures}
        return [(leg, measures | set(leg.coverage or ()) if self._is_attributed(query) else measures)]


def _cohort(query: Query) -> str:
    """SQL: who is in it, and since when."""
    start, end, now = timestamp(query.range.start), timestamp(query.range.end), timestamp(query.now)
    if query.cohort == "lead":
        return f"SELECT person, lead_at AS began_at FROM contacts WHERE lead_at >= {start} AND lead_at < {end} AND lead_at <= {now}"
    # Of all that they ever bought, so that nobody is in it who had bought before.
    first = f"SELECT person, min(sold_at) AS began_at FROM orders WHERE sold_at <= {now} GROUP BY person"
    return f"{first} HAVING min(sold_at) >= {start} AND min(sold_at) < {end}"


def _plain(query: Query) -> Query:
    """People are dated by when their days began, in any way of dating. Touches lead to a lead until then, so that the lead source is the last of these."""
    model = Model.LAST_TOUCH if query.model is Model.LEAD_SOURCE and query.cohort == "lead" else query.model
    return msgspec.structs.replace(query, date_mode=DateMode.CONVERSION_DATE, model=model)


def _by_month(query: Query) -> Query:
    by_month = query.scale is None and not query.group_by
    return msgspec.structs.replace(query, scale=Scale.MONTH if by_month else query.scale)


def _reads_orders(measures: Set[str]) -> bool:
    return any(name not in ("leads", "attributed_leads") and not name.startswith("aged_") for name in measures)


def _measures(intervals: tuple[int, ...], *, touched: bool) -> dict[str, Measure]:
    found = {
        "leads": Measure(value="weight"),
        "attributed_leads": Measure(value="weight * touched::INT" if touched else "weight"),
        "revenue": Measure(value="revenue"),
        "customers": Measure(value="weight * (first_at IS NOT NULL)::INT"),
        "days": Measure(value="weight * CASE WHEN first_at IS NOT NULL THEN greatest(epoch(first_at) - epoch(began_on), 0) / 86400 ELSE 0 END"),
    }
    for days in intervals:
        found[f"revenue_{days}"] = Measure(value=f"revenue_{days}")
        found[f"aged_{days}"] = Measure(value=f"weight * aged_{days}")
        found[f"customers_{days}"] = Measure(value=f"weight * coalesce(first_at <= began_on + to_days({days}), FALSE)::INT")
    return found


def _spent(amounts: list[str]) -> str:
    """SQL: what each person of the cohort brought in each currency, and when they first bought."""
    sums = []
    for name in amounts:
        until = "" if name == "revenue" else f" FILTER (WHERE o.sold_at <= c.began_at + to_days({name.removeprefix('revenue_')}))"
        sums.append(f", CAST(coalesce(sum(o.revenue){until}, 0) AS BIGINT) AS {name}")
    return f"""SELECT c.person, o.currency, any_value(c.began_at) AS began_at, min(o.sold_at) AS first_at{"".join(sums)}
FROM cohort c JOIN bought o ON o.person = c.person GROUP BY c.person, o.currency"""


def _leads(ours: str, amounts: list[str], *, has_orders: bool, asks_first: bool) -> str:
    """SQL: one line a lead, with what they brought in the query's currency, and one for each other currency, which counts nobody. `first_at` is of all."""
    if not has_orders:
        return f"SELECT person AS key, person, began_at, {ours} AS currency, true AS counted, CAST(NULL AS TIMESTAMP) AS first_at FROM cohort"
    first_at, first = "CAST(NULL AS TIMESTAMP)", ""
    if asks_first:
        first_at, first = "f.first_at", " LEFT JOIN (SELECT person, min(first_at) AS first_at FROM spent GROUP BY person) f ON f.person = c.person"
    known = "".join(f", coalesce(m.{name}, 0) AS {name}" for name in amounts)
    others = "".join(f", m.{name}" for name in amounts)
    return f"""SELECT c.person AS key, c.person, c.began_at, {ours} AS currency, true AS counted, {first_at} AS first_at{known}
FROM cohort c{first} LEFT JOIN spent m ON m.person = c.person AND m.currency = {ours}
UNION ALL SELECT m.person, m.person, m.began_at, m.currency, false, m.first_at{others} FROM spent m WHERE m.currency <> {ours}"""


def without(report: Report, kpi: str) -> Report:
    """The report without a column that was not asked for."""
    rows = tuple(
        msgspec.structs.replace(
            row,
            values=_less(row.values, kpi),
            before=None if row.before is None else _less(row.before, kpi),
            change=None if row.change is None else _less(row.change, kpi),
        )
        for row in report.rows
    )
    totals = tuple(
        msgspec.structs.replace(
            one,
            values=_less(one.values, kpi),
            before=None if one.before is None else _less(one.before, kpi),
            change=None if one.change is None else _less(one.change, kpi),
        )
        for one in report.totals
    )
    columns = tuple(column for column in report.columns if column.key != kpi)
    return msgspec.structs.replace(report, columns=columns, rows=rows, totals=totals)


def _less(values: dict[str, Any], kpi: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != kpi}


VALUE_OVER_TIME: Final = CohortTable(
    type=ReportType.VALUE_OVER_TIME,
    legs=(CohortLeg(),),
    dimensions=dimensions.ALL_NAMES,
    touch_dimensions=dimensions.TOUCH_NAMES,
    all_kpis=cohort_kpis(INTERVALS),
    default_kpis=("leads", *(f"value_{days}" for days in INTERVALS), *(f"mature_{days}" for days in INTERVALS)),
    default_date_mode=DateMode.LEAD_DATE,
    default_model=Model.LEAD_SOURCE,
)
