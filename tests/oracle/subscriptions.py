"""Subscriptions, each walked through from its beginning: what it was at a moment, and what changed in between.

One runs while it is active or a declined bill of it is tried again. What is there at the end of a range is what was there just before it began and all that
changed in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

import msgspec

from tests.oracle import calendar
from tests.oracle.credits import World, fits_any
from tests.oracle.money import DIGITS
from tests.oracle.reports import Answer, Figures, RowName, percent, ratio
from tributary.facts.tables import RateMark, SubscriptionFact
from tributary.reports.query import Query

RUNNING = ("active", "recycling")


@dataclass(frozen=True)
class Span:
    """From a moment until just before another."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Was:
    """What a subscription is at a moment. `state` None: it has not begun."""

    state: str | None
    rate: RateMark | None

    @property
    def runs(self) -> bool:
        return self.state in RUNNING

    @property
    def mrr(self) -> Fraction:
        """By the rule of 30 days, in minor units."""
        if not self.runs or self.rate is None:
            return Fraction()
        return Fraction(self.rate.price * self.rate.quantity * 30, self.rate.interval_days)

    @property
    def calendar_mrr(self) -> Fraction:
        if not self.runs or self.rate is None:
            return Fraction()
        return self.rate.price * self.rate.quantity * calendar_bills_a_month(self.rate.interval_days)


@dataclass(frozen=True)
class Life:
    """A subscription, in the currency that it is counted in."""

    told: SubscriptionFact
    worth: Fraction
    """What its minor unit is in that currency's."""


@dataclass(frozen=True)
class Change:
    of: SubscriptionFact
    at: datetime
    before: Was
    after: Was
    later: tuple[str | None, ...]
    """Its states from then on, until now."""


def calendar_bills_a_month(interval_days: int) -> Fraction:
    """A year is twelve months, a month of 30 days one, 52 weeks a year, 365 days a year."""
    for unit, months in ((365, Fraction(1, 12)), (30, Fraction(1)), (7, Fraction(52, 12))):
        if interval_days % unit == 0:
            return months / (interval_days // unit)
    return Fraction(365, 12) / interval_days


def subscriptions(world: World, query: Query) -> Answer:
    """By products, connections, or what is known of the subscribers."""
    wanted = [
        _exchanged(world, query, one)
        for one in world.subscriptions
        if one.started_at <= query.now and all(fits_any([_dimension(world, one, condition.dimension) or ""], condition) for condition in query.filters)
    ]
    whole = Span(query.range.start, query.range.end)
    answer = Answer(totals={query.currency: figures([], whole, query)})
    for currency in {one.told.currency for one in wanted}:
        answer.totals[currency] = figures([one for one in wanted if one.told.currency == currency], whole, query)
    groups: dict[RowName, list[Life]] = {}
    for one in wanted:
        dimensions = tuple(sorted((name, _dimension(world, one.told, name)) for name in query.group_by))
        groups.setdefault(RowName(dimensions=dimensions, touched=True, currency=one.told.currency), []).append(one)
    for name, theirs in groups.items():
        if query.scale is None:
            answer.rows[name] = figures(theirs, whole, query)
        else:
            for period, span in spans(query).items():
                dimensions = tuple(sorted((*name.dimensions, ("period", period))))
                answer.rows[RowName(dimensions=dimensions, touched=True, currency=name.currency)] = figures(theirs, span, query)
    return answer


def figures(lives: Sequence[Life], span: Span, query: Query) -> Figures:
    """Every KPI of some subscriptions in one currency."""
    now, days = query.now, Fraction(round((span.end - span.start).total_seconds()), 86_400)
    found = [life.told for life in lives]
    worth = {life.told.key: life.worth for life in lives}
    opening = [was_before(one, span.start, now) for one in found]
    closing = [was_before(one, min(span.end, now), now) for one in found]
    changes = [change for one in found for change in changes_of(one, now) if span.start <= change.at < min(span.end, now)]

    def mrr_of(was: Was, one: SubscriptionFact) -> Fraction:
        return was.mrr * worth[one.key]

    starts = [change for change in changes if change.after.runs and not change.before.runs]
    stops = [change for change in changes if change.before.runs and not change.after.runs]
    first = [change for change in starts if change.at == first_run(change.of, now)]
    again = [change for change in starts if change not in first]
    moved = [mrr_of(change.after, change.of) - mrr_of(change.before, change.of) for change in changes if change.before.runs and change.after.runs]
    mrr_start = sum((mrr_of(was, one) for was, one in zip(opening, found, strict=True)), Fraction())
    mrr = sum((mrr_of(was, one) for was, one in zip(closing, found, strict=True)), Fraction())
    by_calendar = sum((was.calendar_mrr * worth[one.key] for was, one in zip(closing, found, strict=True)), Fraction())
    new = sum((mrr_of(change.after, change.of) for change in first), Fraction())
    back = sum((mrr_of(change.after, change.of) for change in again), Fraction())
    lost = sum((mrr_of(change.before, change.of) for change in stops), Fraction())
    grew, shrank = sum((by for by in moved if by > 0), Fraction()), -sum((by for by in moved if by < 0), Fraction())
    active_start = sum(was.runs for was in opening)
    customers_start = {one.person for one, was in zip(found, opening, strict=True) if was.runs}
    customers = {one.person for one, was in zip(found, closing, strict=True) if was.runs}
    gained, gone = _crossings(found, opening, changes)
    trials = [change for change in changes if change.at == change.of.trial_started_at]
    declined = [change for change in changes if change.after.state == "recycling" and change.before.state != "recycling"]
    recovered = [change for change in declined if next((state for state in change.later if state != "recycling"), None) == "active"]
    return {
        "mrr": mrr,
        "mrr_calendar": by_calendar,
        "arr": 12 * mrr,
        "mrr_start": mrr_start,
        "new_mrr": new,
        "expansion_mrr": grew,
        "contraction_mrr": shrank,
        "churned_mrr": lost,
        "reactivation_mrr": back,
        "net_new_mrr": mrr - mrr_start,
        "active": Fraction(sum(was.runs for was in closing)),
        "active_start": Fraction(active_start),
        "on_trial": Fraction(sum(was.state == "trial" for was in closing)),
        "paused": Fraction(sum(was.state == "paused" for was in closing)),
        "new_subscriptions": Fraction(sum(change.before.state is None for change in changes)),
        "activations": Fraction(len(first)),
        "reactivations": Fraction(len(again)),
        "cancellations": Fraction(_became(changes, "cancelled")),
        "completions": Fraction(_became(changes, "completed")),
        "failures": Fraction(_became(changes, "recycle_failed")),
        "pauses": Fraction(_became(changes, "paused")),
        "churned": Fraction(len(stops)),
        "churn_rate": percent(len(stops), active_start),
        "cancellation_rate": percent(sum(change.after.state == "cancelled" for change in stops), active_start),
        "mrr_churn_rate": percent(lost, mrr_start),
        "mrr_retention": percent(mrr_start + grew + back - shrank - lost, mrr_start),
        "customers": Fraction(len(customers)),
        "customers_start": Fraction(len(customers_start)),
        "new_customers": Fraction(gained),
        "churned_customers": Fraction(gone),
        "customer_churn_rate": percent(gone, len(customers_start)),
        "arpu": ratio(mrr, len(customers)),
        "ltv": ratio(mrr * len(customers_start) * days, len(customers) * gone * 30) if customers_start else None,
        "trials_started": Fraction(len(trials)),
        "trials_converted": Fraction(sum(change.at == converted_at(change.of, now) for change in changes)),
        "trial_conversion": percent(sum(converted_at(change.of, now) is not None for change in trials), len(trials)),
        "declined_rebills": Fraction(len(declined)),
        "recovered_rebills": Fraction(len(recovered)),
        "recovery_rate": percent(len(recovered), len(declined)),
        "recovered_mrr": sum((mrr_of(change.after, change.of) for change in recovered), Fraction()),
    }


def was_at(one: SubscriptionFact, moment: datetime) -> Was:
    if moment < one.started_at:
        return Was(None, None)
    states = [mark.state for mark in one.states if mark.happened_at <= moment] or [mark.state for mark in one.states[:1]] or [one.state or "active"]
    own = RateMark(happened_at=one.started_at, price=one.price, quantity=one.quantity, interval_days=one.interval_days)
    rates = [mark for mark in one.rates if mark.happened_at <= moment] or list(one.rates[:1]) or [own]
    return Was(states[-1], rates[-1])


def was_before(one: SubscriptionFact, moment: datetime, now: datetime) -> Was:
    """What it was just before a moment."""
    earlier = [point for point in points_of(one, now) if point < moment]
    return was_at(one, earlier[-1]) if earlier else Was(None, None)


def points_of(one: SubscriptionFact, now: datetime) -> list[datetime]:
    """When anything may have changed, until now."""
    said = [one.started_at, *(mark.happened_at for mark in one.states), *(mark.happened_at for mark in one.rates)]
    said += [moment for moment in (one.trial_started_at, converted_at(one, now)) if moment is not None]
    return sorted({moment for moment in said if one.started_at <= moment <= now})


def changes_of(one: SubscriptionFact, now: datetime) -> list[Change]:
    points = points_of(one, now)
    states = [was_at(one, point) for point in points]
    befores = [Was(None, None), *states]
    return [Change(of=one, at=point, before=befores[n], after=states[n], later=tuple(was.state for was in states[n:])) for n, point in enumerate(points)]


def first_run(one: SubscriptionFact, now: datetime) -> datetime | None:
    return next((point for point in points_of(one, now) if was_at(one, point).runs), None)


def converted_at(one: SubscriptionFact, now: datetime) -> datetime | None:
    """When its trial was converted, if that has happened."""
    found = one.trial_converted_at
    if found is None and one.trial_started_at is not None:
        found = next((mark.happened_at for mark in one.states if mark.state == "active" and mark.happened_at > one.trial_started_at), None)
    return found if found is not None and found <= now else None


def spans(query: Query) -> dict[str, Span]:
    """The periods of the query's range, cut to it."""
    assert query.scale is not None
    starts: dict[str, datetime] = {}
    moment = query.range.start
    while moment < query.range.end:
        starts.setdefault(calendar.period(moment, query.scale, query.time_zone), moment)
        moment += timedelta(minutes=30)
    ends = [*list(starts.values())[1:], query.range.end]
    return {name: Span(start, end) for (name, start), end in zip(starts.items(), ends, strict=True)}


def _became(changes: Sequence[Change], state: str) -> int:
    return sum(change.after.state == state != change.before.state for change in changes)


def _crossings(found: Sequence[SubscriptionFact], opening: Sequence[Was], changes: Sequence[Change]) -> tuple[int, int]:
    """How often somebody came from no running subscription to one, and from one to none. What begins at a moment comes before what ends at it."""
    running = dict.fromkeys((one.person for one in found), 0)
    for one, was in zip(found, opening, strict=True):
        running[one.person] += was.runs
    gained = lost = 0
    for change in sorted(changes, key=lambda change: (change.at, change.before.runs - change.after.runs)):
        before = running[change.of.person]
        after = running[change.of.person] = before + change.after.runs - change.before.runs
        gained += before == 0 < after
        lost += after == 0 < before
    return gained, lost


def _exchanged(world: World, query: Query, one: SubscriptionFact) -> Life:
    """At the rate of the day that it began, all its life, so that no rate moves what it comes to."""
    if one.currency_assumed or one.currency == query.currency:
        return Life(msgspec.structs.replace(one, currency=query.currency), Fraction(1))
    rate = world.rates.rate(calendar.local(one.started_at, query.time_zone).date(), one.currency, query.currency)
    if rate is None:
        return Life(one, Fraction(1))
    digits = DIGITS.get(query.currency, 2) - DIGITS.get(one.currency, 2)
    return Life(msgspec.structs.replace(one, currency=query.currency), Fraction(rate) * Fraction(10) ** digits)


def _dimension(world: World, one: SubscriptionFact, name: str) -> str | None:
    contact = world.contacts.get(one.person)
    match name:
        case "product":
            return one.name or one.sku or one.product_id
        case "connection":
            return one.connection
        case "country":
            return contact.country if contact is not None else None
        case _:
            return contact.fields.get(name.removeprefix("field:")) if contact is not None else None
