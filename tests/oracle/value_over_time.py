"""What the leads of a time have brought, so many days after they became leads: each person's orders, looked at one by one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction

import msgspec

from tests.oracle import calendar
from tests.oracle.credits import Conversion, Credit, World, credits_of, in_reporting_currency, path_to
from tests.oracle.reports import Answer, Figures, answer_of, count_of, percent, ratio, tells_touches
from tributary.facts.tables import ContactFact
from tributary.reports.query import DateMode, Query, Scale


def value_over_time(world: World, query: Query) -> Answer:
    """By the month in which they became leads, if nothing else is asked for."""
    by_month = query.scale is None and not query.group_by
    query = msgspec.structs.replace(query, date_mode=DateMode.CONVERSION_DATE, scale=Scale.MONTH if by_month else query.scale)

    def credits(grouped: bool) -> list[Credit]:
        cohort = [contact for contact in world.contacts.values() if contact.lead_at <= query.now]
        return [credit for contact in cohort for credit in credits_of(world, query, _brought(world, query, contact), grouped=grouped)]

    answer = answer_of(query, credits, lambda found: _figures(world, query, found))
    cohort = [credit for credit in credits(False) if credit.share]
    answer.coverage = percent(count_of(credit for credit in cohort if credit.touched), count_of(cohort)) if tells_touches(query) else None
    return answer


def _brought(world: World, query: Query, contact: ContactFact) -> Conversion:
    """The lead, with the revenue of all their orders by now, and of those until each day."""
    found: dict[str, dict[str, int]] = {query.currency: _nothing(query)}
    for order in world.orders:
        if order.person != contact.person or order.sold_at is None or order.sold_at > query.now:
            continue
        for currency, money in in_reporting_currency(world, query, order, calendar.local(order.sold_at, query.time_zone).date()):
            revenue = money.net(include_tax=query.include_tax, include_shipping=query.include_shipping)
            sums = found.setdefault(currency, _nothing(query))
            sums["revenue"] += revenue
            for days in query.intervals:
                if order.sold_at <= contact.lead_at + timedelta(days=days):
                    sums[f"revenue_{days}"] += revenue
    return Conversion(
        kind="lead",
        key=contact.person,
        person=contact.person,
        at=contact.lead_at,
        path=path_to(world, query, contact.person, contact.lead_at),
        lead_at=contact.lead_at,
        money=list(found.items()),
    )


def _nothing(query: Query) -> dict[str, int]:
    return dict.fromkeys(["revenue", *(f"revenue_{days}" for days in query.intervals)], 0)


def _figures(world: World, query: Query, found: Sequence[Credit]) -> Figures:
    counted = [credit for credit in found if credit.share]
    leads = count_of(counted)
    bought = {credit.person: _first_sale(world, query, credit.person) for credit in counted}
    buyers = count_of(credit for credit in counted if bought[credit.person] is not None)
    revenue = Fraction(sum(credit.money["revenue"] for credit in found))
    waited = Fraction()
    for credit in counted:
        first, became = bought[credit.person], world.contacts[credit.person].lead_at
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
        due = {credit.person: world.contacts[credit.person].lead_at + timedelta(days=days) for credit in counted}
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
