"""Funnels, walked by one person after another.

They enter by the first time in the range that they take the first step, and go on by the first time after it that they take the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from statistics import median

import msgspec

from tests.oracle import calendar, first_orders
from tests.oracle.credits import Conversion, Credit, World, credits_of, fits, in_reporting_currency, path_to
from tests.oracle.reports import Answer, Figures, RowName, percent, ratio, tells_touches
from tributary.facts.tables import ActivityFact
from tributary.reports.query import DateMode, Query, Step

INVOICES = {"paid": "payment", "declined": "decline", "voided": "void", "refunded": "refund", "charged_back": "chargeback"}
EVENTS = {"started": "Checkout Started", "declined": "Order Declined", "cancelled": "Order Cancelled"}
"""What of orders events tell of."""


OF_ORDER = (*first_orders.OF_ORDER, "connection")


@dataclass(frozen=True)
class Walk:
    person: str
    times: tuple[datetime, ...]
    """When each step was taken, as far as they came."""
    connection: str | None
    """Of what they entered by."""
    brought: dict[str, tuple[int, int]]
    """Currency → revenue and orders, since they entered."""


def funnel(world: World, query: Query) -> Answer:
    """Each person who entered is credited as a conversion of that moment is; a row is of a step and of what tells people apart."""
    query = msgspec.structs.replace(query, date_mode=DateMode.CONVERSION_DATE)
    people = {*world.contacts, *(activity.person for activity in world.activities)}
    walks = {person: found for person in people if (found := _walk(world, query, person)) is not None}
    entered = [walk for walk in walks.values() if first_orders.passes(world, query, walk.person, walk.times[0], since=walk.times[0])]
    in_rows = [credit for walk in entered for credit in _credits(world, query, walk, grouped=True)]
    in_all = [credit for walk in entered for credit in _credits(world, query, walk, grouped=False)]
    answer, rows = Answer(), dict[tuple[RowName, int], list[Credit]]()
    for credit in in_rows:
        for number in range(1, len(query.steps) + 1):
            rows.setdefault((_name(query, credit, number), number), []).append(credit)
    for (name, number), theirs in rows.items():
        answer.rows[name] = _of_step(_told(query, walks, in_rows, theirs), number)
    for currency in {query.currency, *(credit.currency for credit in in_all)}:
        answer.totals[currency] = _in_all(_told(query, walks, in_all, [credit for credit in in_all if credit.currency == currency]), len(query.steps))
    if tells_touches(query):
        known = sum(credit.share for credit in in_all if credit.touched)
        answer.coverage = percent(known, sum(credit.share for credit in in_all))
    return answer


def _name(query: Query, credit: Credit, number: int) -> RowName:
    period = {"period": calendar.period(credit.at, query.scale, query.time_zone)} if query.scale is not None else {}
    step = f"{number}. {query.steps[number - 1].label}"
    return RowName(
        dimensions=tuple(sorted({**period, **credit.dimensions, "step": step}.items())),
        touched=credit.touched or not tells_touches(query),
        currency=credit.currency,
    )


def _credits(world: World, query: Query, walk: Walk, *, grouped: bool) -> Iterator[Credit]:
    began = walk.times[0]
    money = {query.currency: (0, 0), **walk.brought}
    conversion = Conversion(
        kind="person",
        key=walk.person,
        person=walk.person,
        at=began,
        path=path_to(world, query, walk.person, began),
        lead_at=world.lead_at(walk.person),
        money=[(currency, {"revenue": revenue}) for currency, (revenue, _) in money.items()],
    )
    own = {"connection": walk.connection} if "connection" in query.group_by else {}
    for credit in credits_of(world, first_orders.without(query, OF_ORDER), conversion, grouped=grouped):
        for told in first_orders.apart(world, query, walk.person, began, since=began) if grouped else [{}]:
            yield replace(credit, dimensions={**credit.dimensions, **told, **own})


@dataclass(frozen=True)
class Part:
    """Of a walk, what one credit has."""

    walk: Walk
    share: Fraction
    """Of the person: nothing in a currency that is not the report's."""
    counted: bool
    revenue: int
    orders: Fraction


def _told(query: Query, walks: Mapping[str, Walk], every: Sequence[Credit], found: Sequence[Credit]) -> list[Part]:
    shares = {(credit.of, credit.touch): credit.share for credit in every if credit.currency == query.currency}
    return [
        Part(
            walk=(walk := walks[credit.person]),
            share=credit.share,
            counted=credit.currency == query.currency,
            revenue=credit.money["revenue"],
            orders=shares[credit.of, credit.touch] * walk.brought.get(credit.currency, (0, 0))[1],
        )
        for credit in found
    ]


def _walk(world: World, query: Query, person: str) -> Walk | None:
    """None: they never entered."""
    times: list[datetime] = []
    connection: str | None = None
    wanted = [one for one in query.filters if one.dimension == "connection"]
    for number, step in enumerate(query.steps):
        again = any((step.kind, step.value) == (earlier.kind, earlier.value) for earlier in query.steps[:number])
        found = [
            (moment, by or "")
            for moment, by in _moments(world, step, person)
            if query.range.start <= moment <= query.now
            and (times or (moment < query.range.end and all(fits(by, one) for one in wanted)))
            and (not times or moment > times[-1] or (moment == times[-1] and not again))
        ]
        if not found:
            break
        moment, by = min(found)
        connection = connection if times else by or None
        times.append(moment)
    return Walk(person, tuple(times), connection, _brought(world, query, person, times[0])) if times else None


def _moments(world: World, step: Step, person: str) -> list[tuple[datetime, str | None]]:
    """Each time that somebody took the step, and on which connection; a tag is of none."""
    done = [activity for activity in world.activities if activity.person == person and not activity.bot]
    orders = [order for order in world.orders if order.person == person]
    match step.kind:
        case "event":
            return [(activity.happened_at, activity.connection) for activity in done if _is_event(activity, step.value)]
        case "page":
            return [
                (activity.happened_at, activity.connection) for activity in done if activity.type in ("page", "screen") and _is_page(activity.page, step.value)
            ]
        case "tag":
            tags = world.tags[person].tags if person in world.tags else ()
            return [(interval.applied_at, None) for interval in tags if interval.tag == step.value]
        case "subscription":
            theirs = [one for one in world.subscriptions if one.person == person]
            return [(mark.happened_at, one.connection) for one in theirs for mark in one.states if mark.state == step.value]
        case "invoice":
            return [(movement.happened_at, order.connection) for order in orders for movement in order.movements if movement.kind == INVOICES[step.value]]
        case "order":
            told: list[tuple[datetime, str | None]]
            told = [(activity.happened_at, activity.connection) for activity in done if _is_event(activity, EVENTS.get(step.value, ""))]
            if step.value == "started":
                told += [(order.happened_at, order.connection) for order in orders if not order.rebill]
            if step.value in ("sold", "rebilled"):
                told += [(order.sold_at, order.connection) for order in orders if order.sold_at is not None and order.rebill == (step.value == "rebilled")]
            if step.value == "refunded":
                told += [(movement.happened_at, order.connection) for order in orders for movement in order.movements if movement.kind == "refund"]
            return told


def _is_event(activity: ActivityFact, name: str) -> bool:
    return activity.type == "track" and activity.name == name


def _is_page(page: str | None, wanted: str) -> bool:
    return page is not None and (page.startswith(wanted[:-1]) if wanted.endswith("*") else page == wanted)


def _brought(world: World, query: Query, person: str, since: datetime) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for order in world.orders:
        if order.person == person and order.sold_at is not None and since <= order.sold_at <= query.now:
            money = in_reporting_currency(world, query, order, calendar.local(order.sold_at, query.time_zone).date())
            for number, (currency, amounts) in enumerate(money):
                revenue, count = found.get(currency, (0, 0))
                net = amounts.net(include_tax=query.include_tax, include_shipping=query.include_shipping)
                found[currency] = (revenue + net, count + (number == 0))
    return found


def _of_step(parts: Sequence[Part], number: int) -> Figures:
    reached = [part for part in parts if len(part.walk.times) >= number]
    came = [part for part in parts if len(part.walk.times) >= number - 1]
    waited = [part.walk.times[number - 1] - part.walk.times[max(number - 2, 0)] for part in reached if part.counted]
    return _figures(reached=_people(reached), came=_people(came), entered=_people(parts), waited=[wait.total_seconds() for wait in waited], of_whom=reached)


def _in_all(parts: Sequence[Part], steps: int) -> Figures:
    """Who entered, and how many of them took the last step."""
    through = [part for part in parts if len(part.walk.times) == steps]
    waited = [(part.walk.times[-1] - part.walk.times[0]).total_seconds() for part in through if part.counted]
    entered = _people(parts)
    figures = _figures(reached=_people(through), came=entered, entered=entered, waited=waited, of_whom=parts)
    return {**figures, "entrants": entered, "lead_value": ratio(figures["revenue"] or 0, entered)}


def _people(parts: Sequence[Part]) -> Fraction:
    return sum((part.share for part in parts), Fraction())


def _figures(*, reached: Fraction, came: Fraction, entered: Fraction, waited: Sequence[float], of_whom: Sequence[Part]) -> Figures:
    revenue = Fraction(sum(part.revenue for part in of_whom))
    orders = sum((part.orders for part in of_whom), Fraction())
    return {
        "entrants": reached,
        "step_rate": percent(reached, came),
        "total_rate": percent(reached, entered),
        "dropped": came - reached,
        "median_time": Fraction(median(waited)) if waited else None,
        "revenue": revenue,
        "orders": orders,
        "lead_value": ratio(revenue, reached),
        "aov": ratio(revenue, orders),
    }
