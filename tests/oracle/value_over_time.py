"""What the leads of a time have brought, so many days after they became leads, or customers after their first order: each person's orders, one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction

import msgspec

from tests.oracle import calendar, first_orders
from tests.oracle.credits import Conversion, Credit, World, credits_of, in_reporting_currency, path_to
from tests.oracle.reports import Answer, Figures, answer_of, count_of, percent, ratio, tells_touches
from tributary.reports.query import DateMode, Query, Scale

OF_ORDER = (*first_orders.OF_ORDER, "connection")


def value_over_time(world: World, query: Query) -> Answer:
    """By the month in which they became leads, or bought first, if nothing else is asked for."""
    by_month = query.scale is None and not query.group_by
    query = msgspec.structs.replace(query, date_mode=DateMode.CONVERSION_DATE, scale=Scale.MONTH if by_month else query.scale)
    began = _began(world, query)

    def credits(grouped: bool) -> list[Credit]:
        found = []
        for person, at in began.items():
            if at <= query.now and first_orders.passes(world, query, person, at, names=OF_ORDER):
                for credit in credits_of(world, first_orders.without(query, OF_ORDER), _brought(world, query, person, at), grouped=grouped):
                    rows = first_orders.apart(world, query, person, at, names=OF_ORDER) if grouped else [{}]
                    found += [replace(credit, dimensions={**credit.dimensions, **told}) for told in rows]
        return found

    answer = answer_of(query, credits, lambda found: _figures(world, query, began, found))
    cohort = [credit for credit in credits(False) if credit.share]
    answer.coverage = percent(count_of(credit for credit in cohort if credit.touched), count_of(cohort)) if tells_touches(query) else None
    return answer


def _began(world: World, query: Query) -> dict[str, datetime]:
    """Since when each person's days are counted."""
    if query.cohort == "lead":
        return {contact.person: contact.lead_at for contact in world.contacts.values()}
    firsts = {order.person: _first_sale(world, query, order.person) for order in world.orders}
    return {person: first for person, first in firsts.items() if first is not None}


def _brought(world: World, query: Query, person: str, began: datetime) -> Conversion:
    """Somebody of the cohort, with the revenue of all their orders by now, and of those until each day."""
    found: dict[str, dict[str, int]] = {query.currency: _nothing(query)}
    for order in world.orders:
        if order.person != person or order.sold_at is None or order.sold_at > query.now:
            continue
        for currency, money in in_reporting_currency(world, query, order, calendar.local(order.sold_at, query.time_zone).date()):
            revenue = money.net(include_tax=query.include_tax, include_shipping=query.include_shipping)
            sums = found.setdefault(currency, _nothing(query))
            sums["revenue"] += revenue
            for days in query.intervals:
                if order.sold_at <= began + timedelta(days=days):
                    sums[f"revenue_{days}"] += revenue
    return Conversion(
        kind="lead",
        key=person,
        person=person,
        at=began,
        path=path_to(world, query, person, began),
        lead_at=world.lead_at(person),
        money=list(found.items()),
    )


def _nothing(query: Query) -> dict[str, int]:
    return dict.fromkeys(["revenue", *(f"revenue_{days}" for days in query.intervals)], 0)


def _figures(world: World, query: Query, began: Mapping[str, datetime], found: Sequence[Credit]) -> Figures:
    counted = [credit for credit in found if credit.share]
    leads = count_of(counted)
    bought = {credit.person: _first_sale(world, query, credit.person) for credit in counted}
    buyers = count_of(credit for credit in counted if bought[credit.person] is not None)
    revenue = Fraction(sum(credit.money["revenue"] for credit in found))
    waited = Fraction()
    for credit in counted:
        first, became = bought[credit.person], began[credit.person]
        waited += credit.share * (max(Fraction(round((first - became).total_seconds()), 86_400), Fraction()) if first is not None else 0)
    figures: Figures = {
        "leads": leads,
        "revenue": revenue,
        "customers": buyers,
        "lead_value": ratio(revenue, leads),
        "customer_value": ratio(revenue, buyers),
        "conversion_rate": percent(buyers, leads),
        "days_to_purchase": ratio(waited, buyers),
    }
    for days in query.intervals:
        brought = Fraction(sum(credit.money[f"revenue_{days}"] for credit in found))
        due = {credit.person: began[credit.person] + timedelta(days=days) for credit in counted}
        by_then = [credit for credit in counted if (first := bought[credit.person]) is not None and first <= due[credit.person]]
        figures |= {
            f"revenue_{days}": brought,
            f"value_{days}": ratio(brought, leads),
            f"mature_{days}": percent(count_of(credit for credit in counted if due[credit.person] <= query.now), leads),
            f"customers_{days}": count_of(by_then),
        }
    return figures


def _first_sale(world: World, query: Query, person: str) -> datetime | None:
    return min((order.sold_at for order in world.orders if order.person == person and order.sold_at is not None and order.sold_at <= query.now), default=None)
