"""Funnels, walked by one person after another.

They enter by the first time in the range that they take the first step, and go on by the first time after it that they take the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from statistics import median

from tests.oracle import calendar
from tests.oracle.credits import World, fits_any, in_reporting_currency
from tests.oracle.reports import Answer, Figures, RowName, percent, ratio
from tributary.facts.tables import ActivityFact
from tributary.reports.query import Query, Step

INVOICES = {"paid": "payment", "declined": "decline", "voided": "void", "refunded": "refund", "charged_back": "chargeback"}
EVENTS = {"started": "Checkout Started", "declined": "Order Declined", "cancelled": "Order Cancelled"}
"""What of orders events tell of."""


@dataclass(frozen=True)
class Walk:
    person: str
    times: tuple[datetime, ...]
    """When each step was taken, as far as they came."""
    brought: dict[str, tuple[int, int]]
    """Currency → revenue and orders, since they entered."""


def funnel(world: World, query: Query) -> Answer:
    """Of everybody, told apart by nothing but the steps."""
    people = {*world.contacts, *(activity.person for activity in world.activities)}
    walks = [found for person in people if _passes(world, query, person) and (found := _walk(world, query, person)) is not None]
    answer = Answer()
    for currency in {query.currency, *(currency for walk in walks for currency in walk.brought)}:
        for number, step in enumerate(query.steps, start=1):
            name = RowName(dimensions=(("step", f"{number}. {step.label}"),), touched=True, currency=currency)
            answer.rows[name] = _of_step(walks, number, currency, counted=currency == query.currency)
        answer.totals[currency] = _in_all(walks, len(query.steps), currency, counted=currency == query.currency)
    return answer


def _passes(world: World, query: Query, person: str) -> bool:
    contact = world.contacts.get(person)
    return all(fits_any([(contact.country or "") if contact is not None else ""], wanted) for wanted in query.filters)


def _walk(world: World, query: Query, person: str) -> Walk | None:
    """None: they never entered."""
    times: list[datetime] = []
    for number, step in enumerate(query.steps):
        again = any((step.kind, step.value) == (earlier.kind, earlier.value) for earlier in query.steps[:number])
        found = [
            moment
            for moment in _moments(world, step, person)
            if query.range.start <= moment <= query.now
            and (times or moment < query.range.end)
            and (not times or moment > times[-1] or (moment == times[-1] and not again))
        ]
        if not found:
            break
        times.append(min(found))
    return Walk(person, tuple(times), _brought(world, query, person, times[0])) if times else None


def _moments(world: World, step: Step, person: str) -> list[datetime]:
    """Each time that somebody took the step."""
    done = [activity for activity in world.activities if activity.person == person and not activity.bot]
    orders = [order for order in world.orders if order.person == person]
    match step.kind:
        case "event":
            return [activity.happened_at for activity in done if _is_event(activity, step.value)]
        case "page":
            return [activity.happened_at for activity in done if activity.type in ("page", "screen") and _is_page(activity.page, step.value)]
        case "tag":
            tags = world.tags[person].tags if person in world.tags else ()
            return [interval.applied_at for interval in tags if interval.tag == step.value]
        case "subscription":
            theirs = [one for one in world.subscriptions if one.person == person]
            return [mark.happened_at for one in theirs for mark in one.states if mark.state == step.value]
        case "invoice":
            return [movement.happened_at for order in orders for movement in order.movements if movement.kind == INVOICES[step.value]]
        case "order":
            told = [activity.happened_at for activity in done if _is_event(activity, EVENTS.get(step.value, ""))]
            if step.value == "started":
                told += [order.happened_at for order in orders if not order.rebill]
            if step.value in ("sold", "rebilled"):
                told += [order.sold_at for order in orders if order.sold_at is not None and order.rebill == (step.value == "rebilled")]
            if step.value == "refunded":
                told += [movement.happened_at for order in orders for movement in order.movements if movement.kind == "refund"]
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


def _of_step(walks: Sequence[Walk], number: int, currency: str, *, counted: bool) -> Figures:
    """`counted`: whether people are, who stand in the rows of the query's currency."""
    reached = [walk for walk in walks if len(walk.times) >= number]
    came = [walk for walk in walks if len(walk.times) >= number - 1]
    waited = [walk.times[number - 1] - walk.times[max(number - 2, 0)] for walk in reached]
    return _figures(
        reached=len(reached),
        came=len(came),
        entered=len(walks),
        waited=[wait.total_seconds() for wait in waited],
        of_whom=reached,
        currency=currency,
        counted=counted,
    )


def _in_all(walks: Sequence[Walk], steps: int, currency: str, *, counted: bool) -> Figures:
    """Who entered, and how many of them took the last step."""
    through = [walk for walk in walks if len(walk.times) == steps]
    waited = [(walk.times[-1] - walk.times[0]).total_seconds() for walk in through]
    figures = _figures(reached=len(through), came=len(walks), entered=len(walks), waited=waited, of_whom=walks, currency=currency, counted=counted)
    return {**figures, "entrants": Fraction(len(walks) if counted else 0), "lead_value": ratio(figures["revenue"] or 0, len(walks) if counted else 0)}


def _figures(*, reached: int, came: int, entered: int, waited: Sequence[float], of_whom: Sequence[Walk], currency: str, counted: bool) -> Figures:
    if not counted:
        reached = came = entered = 0
    revenue = Fraction(sum(walk.brought.get(currency, (0, 0))[0] for walk in of_whom))
    orders = Fraction(sum(walk.brought.get(currency, (0, 0))[1] for walk in of_whom))
    return {
        "entrants": Fraction(reached),
        "step_rate": percent(reached, came),
        "total_rate": percent(reached, entered),
        "dropped": Fraction(came - reached),
        "median_time": Fraction(median(waited)) if counted and waited else None,
        "revenue": revenue,
        "orders": orders,
        "lead_value": ratio(revenue, reached),
        "aov": ratio(revenue, orders),
    }
