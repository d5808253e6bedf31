"""Reports by their meaning: credits put into rows, and each KPI worked out for every row and for the whole.

A figure is what a formula says over the credits of a row; totals are worked out from credits that nothing was grouped in, never from rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from tests.oracle import calendar
from tests.oracle.credits import Credit, World, leads, sales
from tributary.reports.query import Query

Figure = Fraction | None
Figures = dict[str, Figure]
MONEY = (
    "gross_revenue",
    "discounts",
    "tax",
    "shipping",
    "refunds",
    "chargebacks",
    "net_revenue",
    "sales_revenue",
    "collected_revenue",
)


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


def orders(world: World, query: Query) -> Answer:
    return _answer(query, lambda grouped: sales(world, query, grouped=grouped), lambda found: of_orders(world, found))


def acquisition(world: World, query: Query) -> Answer:
    def credits(grouped: bool) -> list[Credit]:
        return [*leads(world, query, grouped=grouped), *sales(world, query, grouped=grouped)]

    return _answer(query, credits, lambda found: of_acquisition(world, found))


def of_orders(world: World, found: Sequence[Credit]) -> Figures:
    """KPIs of credits for orders in one currency."""
    money = {name: Fraction(sum(credit.money[name] for credit in found)) for name in MONEY}
    paid = [credit for credit in found if credit.share]
    count = _count(paid)
    buyers = {credit.person for credit in paid}
    bought = {person: {credit.of for credit in paid if credit.person == person} for person in buyers}
    new = {person for person in buyers if world.first_sales[person] in bought[person]}
    refunded = _count(credit for credit in paid if credit.order is not None and credit.order.refunded)
    return {
        **money,
        "orders": count,
        "customers": Fraction(len(buyers)),
        "new_customers": Fraction(len(new)),
        "returning_customers": Fraction(len(buyers - new)),
        "aov": ratio(money["net_revenue"], count),
        "orders_per_customer": ratio(count, len(buyers)),
        "customer_value": ratio(money["net_revenue"], len(buyers)),
        "repeat_rate": percent(sum(len(keys) > 1 for keys in bought.values()), len(buyers)),
        "refund_rate_count": percent(refunded, count),
        "refund_rate_value": percent(money["refunds"], money["gross_revenue"]),
    }


def of_acquisition(world: World, found: Sequence[Credit]) -> Figures:
    became = [credit for credit in found if credit.order is None]
    of_sales = of_orders(world, [credit for credit in found if credit.order is not None])
    count = _count(became)
    return {
        **of_sales,
        "leads": count,
        "conversion_rate": percent(of_sales["customers"] or 0, count),
        "lead_value": ratio(of_sales["net_revenue"] or 0, count),
    }


def ratio(over: Fraction | int, under: Fraction | int) -> Figure:
    """None where there is nothing to divide by."""
    return Fraction(over) / Fraction(under) if under else None


def percent(over: Fraction | int, under: Fraction | int) -> Figure:
    return ratio(100 * Fraction(over), under)


def _count(found: Iterable[Credit]) -> Fraction:
    """How many orders or leads: each touch's part of one once, however many of its products are here."""
    return sum({(credit.of, credit.touch): credit.share for credit in found}.values(), Fraction())


def _answer(query: Query, credits: Callable[[bool], list[Credit]], figures: Callable[[Sequence[Credit]], Figures]) -> Answer:
    rows: dict[RowName, list[Credit]] = {}
    for credit in credits(True):
        period = {"period": calendar.period(credit.at, query.scale, query.time_zone)} if query.scale is not None else {}
        name = RowName(dimensions=tuple(sorted({**period, **credit.dimensions}.items())), touched=credit.touched, currency=credit.currency)
        rows.setdefault(name, []).append(credit)
    totals: dict[str, list[Credit]] = {query.currency: []}
    for credit in credits(False):
        totals.setdefault(credit.currency, []).append(credit)
    return Answer(rows=_each(rows, figures), totals=_each(totals, figures))


def _each(found: Mapping[RowName, list[Credit]] | Mapping[str, list[Credit]], figures: Callable[[Sequence[Credit]], Figures]) -> dict:  # type: ignore[type-arg]
    return {name: figures(theirs) for name, theirs in found.items()}
