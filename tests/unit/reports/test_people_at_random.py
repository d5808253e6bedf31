"""Funnels, cohorts, sessions and what follows an email, against the same worked out person by person in plain Python, for small shops made at random."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any

import pytest

from tests.kit.facts import MemoryFacts
from tests.kit.report_people import MARCH, NOW, at, contact, event, node, order, question, touch
from tributary.facts.tables import ActivityFact, ContactFact, Kind, OrderFact, TouchFact
from tributary.reports.answer import Report
from tributary.reports.engine import REPORTS
from tributary.reports.query import Query, ReportType, Step

PEOPLE = range(1, 9)
NAMES = ("A", "B", "C")
SEEDS = range(12)


class Shop:
    """Few moments, so that many things happen at one."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.activities = [event(self.person(), self.moment(), self.rng.choice(NAMES)) for _ in range(60)]
        self.activities += [event(self.person(), self.moment(), "Email Opened", email_campaign=self.rng.choice("xy")) for _ in range(12)]
        self.touches = [touch(self.person(), self.moment(), self.rng.choice(["email", "direct"]), email_campaign=self.rng.choice("xy")) for _ in range(12)]
        self.orders = [order(self.person(), self.moment(), self.rng.randrange(1, 900), order_id=f"O{number}") for number in range(25)]
        self.contacts = [contact(person, self.moment()) for person in PEOPLE if self.rng.random() < 0.8]
        self.facts = MemoryFacts({Kind.ACTIVITIES: self.activities, Kind.TOUCHES: self.touches, Kind.ORDERS: self.orders, Kind.CONTACTS: self.contacts})

    def person(self) -> int:
        return self.rng.choice(PEOPLE)

    def moment(self) -> str:
        start = at("2026-02-20")
        return (start + timedelta(hours=12 * self.rng.randrange(100), minutes=self.rng.choice([0, 0, 0, 29, 30]))).replace(tzinfo=None).isoformat()

    def orders_of(self, person: str, since: datetime, until: datetime = NOW) -> list[OrderFact]:
        return [one for one in self.orders if one.person == person and since <= one.happened_at <= until]


def asked(shop: Shop, type: ReportType, **said: Any) -> Report:
    query: Query = question(type=type, **said)
    return REPORTS[type].answer(query, shop.facts)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_funnel_is_what_each_person_did_in_order(seed: int) -> None:
    shop = Shop(seed)
    steps = [shop.rng.choice([*NAMES, "sold"]) for _ in range(4)]
    asked_steps = tuple(Step(kind="order" if name == "sold" else "event", value=name, label=name) for name in steps)
    report = asked(shop, ReportType.FUNNEL, steps=asked_steps, kpis=("entrants", "median_time", "revenue", "orders"))
    ways = {person: way for person in map(node, PEOPLE) if (way := _way(shop, person, steps))}
    for number, row in enumerate(report.rows):
        reached = {person: way for person, way in ways.items() if len(way) > number}
        between = [(way[number] - way[max(number - 1, 0)]).total_seconds() for way in reached.values()]
        orders = [one for person, way in reached.items() for one in shop.orders_of(person, way[0])]
        assert row.values == {
            "entrants": len(reached),
            "median_time": median(between) if between else None,
            "revenue": sum(one.gross for one in orders),
            "orders": len(orders),
        }


def _way(shop: Shop, person: str, steps: Sequence[str]) -> list[datetime]:
    """When the person took each step, as far as they came."""
    way: list[datetime] = []
    for number, name in enumerate(steps):
        if name == "sold":
            taken = [one.happened_at for one in shop.orders if one.person == person]
        else:
            taken = [one.happened_at for one in shop.activities if one.person == person and one.name == name]
        if number == 0:
            fitting = [moment for moment in taken if MARCH.start <= moment < MARCH.end]
        elif name in steps[:number]:
            fitting = [moment for moment in taken if moment > way[-1]]
        else:
            fitting = [moment for moment in taken if moment >= way[-1]]
        if not fitting:
            return way
        way.append(min(fitting))
    return way


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cohort_is_worth_what_each_of_its_leads_brought(seed: int) -> None:
    shop = Shop(seed)
    intervals = (1, 7, 40)
    kpis = ("leads", "revenue", "customers", *(f"{kind}_{day}" for day in intervals for kind in ("revenue", "customers", "mature")))
    (row,) = asked(shop, ReportType.VALUE_OVER_TIME, intervals=intervals, kpis=kpis, now=at("2026-04-10")).rows
    leads = [one for one in shop.contacts if MARCH.start <= one.lead_at < MARCH.end]
    until = at("2026-04-10")
    assert (row.values["leads"], row.values["revenue"]) == (len(leads), sum(_brought(shop, lead, until) for lead in leads))
    for day in intervals:
        ends = {lead.person: min(lead.lead_at + timedelta(days=day), until) for lead in leads}
        assert row.values[f"revenue_{day}"] == sum(_brought(shop, lead, ends[lead.person]) for lead in leads)
        assert row.values[f"customers_{day}"] == sum(_brought(shop, lead, ends[lead.person]) > 0 for lead in leads)
        aged = sum(lead.lead_at + timedelta(days=day) <= until for lead in leads)
        assert row.values[f"mature_{day}"] == (round(100 * aged / len(leads), 4) if leads else None)


def _brought(shop: Shop, lead: ContactFact, until: datetime) -> int:
    return sum(one.gross for one in shop.orders_of(lead.person, at("2026-01-01"), until))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_follows_an_email_is_what_each_person_did_in_the_lookback_after_it(seed: int) -> None:
    shop = Shop(seed)
    lookback = shop.rng.choice([3, 10, None])
    kpis = ("people", "orders", "customers", "revenue", "leads")
    report = asked(shop, ReportType.NURTURE, group_by=("email_campaign",), kpis=kpis, lookback_days=lookback)
    emails: list[ActivityFact | TouchFact] = [one for one in shop.activities if one.email_campaign] + [one for one in shop.touches if one.channel == "email"]
    happened = [one for one in emails if MARCH.start <= one.happened_at < MARCH.end]
    for row in report.rows:
        assert row.values == _followed(shop, [one for one in happened if one.email_campaign == row.dimensions["email_campaign"]], lookback)
    assert report.totals[0].values == _followed(shop, happened, lookback)


def _followed(shop: Shop, happened: Sequence[ActivityFact | TouchFact], lookback: int | None) -> dict[str, int]:
    def is_after(person: str, moment: datetime) -> bool:
        return any(
            one.person == person and one.happened_at <= moment and (lookback is None or moment <= one.happened_at + timedelta(days=lookback))
            for one in happened
        )

    orders = [one for one in shop.orders if is_after(one.person, one.happened_at)]
    return {
        "people": len({one.person for one in happened}),
        "orders": len(orders),
        "customers": len({one.person for one in orders}),
        "revenue": sum(one.gross for one in orders),
        "leads": sum(is_after(one.person, one.lead_at) for one in shop.contacts),
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_sessions_are_what_each_person_did_without_a_pause(seed: int) -> None:
    shop = Shop(seed)
    (row,) = asked(shop, ReportType.ENGAGEMENT, kpis=("sessions", "visitors", "engaged_contacts", "engaged_customers")).rows
    in_range = [one for one in shop.activities if MARCH.start <= one.happened_at < MARCH.end]
    moments = {person: sorted(one.happened_at for one in in_range if one.person == person) for person in {one.person for one in in_range}}
    sessions = sum(1 + sum(later - sooner > timedelta(minutes=30) for sooner, later in itertools.pairwise(theirs)) for theirs in moments.values())
    known = {one.person for one in shop.contacts} & moments.keys()
    buyers = {one.person for one in shop.orders if MARCH.start <= one.happened_at < MARCH.end}
    assert row.values == {
        "sessions": sessions,
        "visitors": len(moments),
        "engaged_contacts": len(known),
        "engaged_customers": len(known & buyers),
    }
