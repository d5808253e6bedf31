"""Reports by their meaning: credits put into rows, and each KPI worked out for every row and for the whole.

A figure is what a formula says over the credits of a row; totals are worked out from credits that nothing was grouped in, never from rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from math import ceil

import msgspec

from tests.oracle import calendar
from tests.oracle.credits import TOUCH_COLUMNS, Credit, World, leads, needs_touches, refunds, sales
from tests.oracle.spend import costs
from tributary.reports.query import DateMode, Query

Figure = Fraction | None
Figures = dict[str, Figure]
MONEY = (
    "gross_revenue",
    "discounts",
    "tax",
    "shipping",
    "refunds",
    "chargebacks",
    "voids",
    "net_revenue",
    "sales_revenue",
    "collected_revenue",
)


PAYBACK = "payback_days"
COSTS = ("ad_spend", "fixed_costs", "impressions", "clicks", "platform_conversions", "platform_conversion_value", "matched_spend")


@dataclass(frozen=True)
class RowName:
    """Which row: what it is of, and in which currency."""

    dimensions: tuple[tuple[str, str | None], ...]
    touched: bool
    currency: str


@dataclass
class Answer:
    rows: dict[RowName, Figures] = field(default_factory=dict)
    totals: dict[str, Figures] = field(default_factory=dict)
    """Currency → figures."""
    coverage: Figure = None
    """Percent of the revenue in the query's currency that a touch is known of; None where rows are not of touches, or nothing was sold."""


def tells_touches(query: Query) -> bool:
    """Whether rows are of touches, so that what no touch brought is one of its own."""
    return any(dimension in TOUCH_COLUMNS for dimension in query.group_by)


def attributed(world: World, query: Query) -> Answer:
    """Orders, leads, refunds and spend, of any report that has them."""

    def credits(grouped: bool) -> list[Credit]:
        return [
            *sales(world, query, grouped=grouped),
            *leads(world, query, grouped=grouped),
            *refunds(world, query, grouped=grouped),
            *costs(world, query, grouped=grouped),
        ]

    answer = answer_of(query, credits, lambda found: figures(world, found))
    if PAYBACK not in query.kpis:
        return answer
    by_lead = msgspec.structs.replace(query, date_mode=DateMode.LEAD_DATE)
    curves: dict[RowName | str, list[tuple[int, int]]] = {}
    for credit in sales(world, by_lead, grouped=True):
        curves.setdefault(_name(query, credit), []).append(_earned(world, credit))
    for credit in sales(world, by_lead, grouped=False):
        curves.setdefault(credit.currency, []).append(_earned(world, credit))
    every: list[tuple[RowName | str, Figures]] = [*answer.rows.items(), *answer.totals.items()]
    for name, found in every:
        found[PAYBACK] = _paid_back(curves.get(name, []), found["ad_spend"] or Fraction())
    return answer


def _earned(world: World, credit: Credit) -> tuple[int, int]:
    """After how many days of being a lead, those begun included, and how much."""
    lead_at = world.lead_at(credit.person)
    assert credit.order is not None
    assert credit.order.sold_at is not None
    assert lead_at is not None
    return max(0, ceil((credit.order.sold_at - lead_at) / timedelta(days=1))), credit.money["net_revenue"]


def _paid_back(earned: list[tuple[int, int]], spent: Fraction) -> Figure:
    """The first day by whose end what was spent had come in."""
    for day in sorted({day for day, _ in earned}):
        if spent > 0 and sum(amount for other, amount in earned if other <= day) >= spent:
            return Fraction(day)
    return None


def figures(world: World, found: Sequence[Credit]) -> Figures:
    """Every KPI of credits in one currency."""
    of_orders = [credit for credit in found if credit.kind == "order"]
    money = {name: _sum(of_orders, name) for name in MONEY}
    revenue = money["net_revenue"]
    paid = [credit for credit in of_orders if credit.share]
    count, became = count_of(paid), count_of(credit for credit in found if credit.kind == "lead")
    items = sum((credit.share * credit.items for credit in paid), Fraction())
    buyers = {credit.person for credit in paid}
    bought = {person: {credit.of for credit in paid if credit.person == person} for person in buyers}
    new = {person for person in buyers if world.first_sales[person] in bought[person]}
    refunded = count_of(credit for credit in paid if credit.order is not None and credit.order.refunded)
    spent = [credit for credit in found if credit.kind == "spend"]
    cost = {name: _sum(spent, name) for name in COSTS}
    ad_spend = cost["ad_spend"] + cost["fixed_costs"]
    profit = revenue - ad_spend
    return {
        **money,
        **cost,
        "refunds_by_date": _sum([credit for credit in found if credit.kind == "refund"], "refunds_by_date"),
        "orders": count,
        "customers": Fraction(len(buyers)),
        "new_customers": Fraction(len(new)),
        "returning_customers": Fraction(len(buyers - new)),
        "items_sold": items,
        "items_per_order": ratio(items, count),
        "aov": ratio(revenue, count),
        "orders_per_customer": ratio(count, len(buyers)),
        "customer_value": ratio(revenue, len(buyers)),
        "repeat_rate": percent(sum(len(keys) > 1 for keys in bought.values()), len(buyers)),
        "refund_rate_count": percent(refunded, count),
        "refund_rate_value": percent(money["refunds"], money["gross_revenue"]),
        "leads": became,
        "conversion_rate": percent(len(buyers), became),
        "lead_value": ratio(revenue, became),
        "ad_spend": ad_spend,
        "ctr": percent(cost["clicks"], cost["impressions"]),
        "cpc": ratio(ad_spend, cost["clicks"]),
        "cpm": ratio(1000 * ad_spend, cost["impressions"]),
        "cpl": ratio(ad_spend, became),
        "cac": ratio(ad_spend, len(new)),
        "cost_per_customer": ratio(ad_spend, len(buyers)),
        "cost_per_order": ratio(ad_spend, count),
        "roas": ratio(revenue, ad_spend),
        "platform_roas": ratio(cost["platform_conversion_value"], cost["ad_spend"]),
        "roi": percent(profit, ad_spend),
        "profit": profit,
        "margin": percent(profit, revenue),
        "epc": ratio(revenue, cost["clicks"]),
        "matched_spend_pct": percent(cost["matched_spend"], cost["ad_spend"]),
    }


def ratio(over: Fraction | int, under: Fraction | int) -> Figure:
    """None where there is nothing to divide by."""
    return Fraction(over) / Fraction(under) if under else None


def percent(over: Fraction | int, under: Fraction | int) -> Figure:
    return ratio(100 * Fraction(over), under)


def _sum(found: Iterable[Credit], name: str) -> Fraction:
    return Fraction(sum(credit.money[name] for credit in found))


def count_of(found: Iterable[Credit]) -> Fraction:
    """How many orders or leads: each touch's part of one once, however many of its products are here."""
    return sum({(credit.of, credit.touch): credit.share for credit in found}.values(), Fraction())


def answer_of(query: Query, credits: Callable[[bool], list[Credit]], figures: Callable[[Sequence[Credit]], Figures]) -> Answer:
    rows: dict[RowName, list[Credit]] = {}
    for credit in credits(True):
        rows.setdefault(_name(query, credit), []).append(credit)
    totals: dict[str, list[Credit]] = {query.currency: []}
    for credit in credits(False):
        totals.setdefault(credit.currency, []).append(credit)
    sold = [credit for credit in totals[query.currency] if credit.kind == "order"] if needs_touches(query) else []
    known = [credit for credit in sold if credit.touched]
    return Answer(rows=_each(rows, figures), totals=_each(totals, figures), coverage=percent(_sum(known, "net_revenue"), _sum(sold, "net_revenue")))


def _name(query: Query, credit: Credit) -> RowName:
    period = {"period": calendar.period(credit.at, query.scale, query.time_zone)} if query.scale is not None else {}
    return RowName(
        dimensions=tuple(sorted({**period, **credit.dimensions}.items())), touched=credit.touched or not tells_touches(query), currency=credit.currency
    )


def _each(found: Mapping[RowName, list[Credit]] | Mapping[str, list[Credit]], figures: Callable[[Sequence[Credit]], Figures]) -> dict:  # type: ignore[type-arg]
    return {name: figures(theirs) for name, theirs in found.items()}
