"""KPIs of subscriptions on a few that can be followed by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from tests.kit.facts import MemoryFacts
from tributary.facts.tables import Kind, RateMark, StateMark, SubscriptionFact
from tributary.reports.answer import Report
from tributary.reports.query import Query, ReportType, Scale
from tributary.reports.ranges import days
from tributary.reports.subscriptions import SUBSCRIPTIONS

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MARCH = days(date(2026, 3, 1), date(2026, 3, 31), zone="UTC")


def at(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def node(number: int) -> str:
    return UUID(int=number).hex


def subscription(number: int, *states: tuple[str, str], person: int | None = None, rates: tuple[RateMark, ...] = (), **said: Any) -> SubscriptionFact:
    """Of states by the day they began."""
    marks = tuple(StateMark(happened_at=at(day), state=state) for day, state in states)
    defaults: dict[str, Any] = {"price": 4500, "quantity": 1, "interval_days": 30, "currency": "USD", "name": "Club"}
    terms = defaults | said
    return SubscriptionFact(
        key=node(number),
        person=node(person if person is not None else 1000 + number),
        connection="crm",
        subscription_id=f"S{number}",
        started_at=marks[0].happened_at,
        state=marks[-1].state,
        states=marks,
        rates=rates or (RateMark(happened_at=marks[0].happened_at, price=terms["price"], quantity=terms["quantity"], interval_days=terms["interval_days"]),),
        **terms,
    )


def asked(*rows: SubscriptionFact, kpis: tuple[str, ...] = (), **query: Any) -> Report:
    facts = MemoryFacts({Kind.SUBSCRIPTIONS: rows})
    return SUBSCRIPTIONS.answer(question(kpis=kpis or tuple(SUBSCRIPTIONS.kpis()), **query), facts)


def question(**said: Any) -> Query:
    defaults: dict[str, Any] = {"type": ReportType.SUBSCRIPTIONS, "range": MARCH, "time_zone": "UTC", "now": NOW}
    return Query(**defaults | said)


def total(report: Report) -> dict[str, Any]:
    (only,) = report.totals
    return dict(only.values)


@pytest.mark.parametrize(
    ("interval_days", "by_30_days", "by_calendar"),
    [(1, 135000, 136875), (7, 19285.714286, 19500), (30, 4500, 4500), (90, 1500, 1500), (365, 369.863014, 375)],
)
def test_mrr_follows_both_rules(interval_days: int, by_30_days: float, by_calendar: float) -> None:
    found = total(asked(subscription(1, ("2026-01-10", "active"), interval_days=interval_days), kpis=("mrr", "mrr_calendar", "arr")))
    assert found == {"mrr": pytest.approx(by_30_days), "mrr_calendar": pytest.approx(by_calendar), "arr": pytest.approx(12 * by_30_days, abs=1e-4)}


def test_an_interval_of_weeks_or_months_is_taken_by_its_length() -> None:
    found = total(asked(subscription(1, ("2026-01-10", "active"), interval_days=14, quantity=2), kpis=("mrr", "mrr_calendar")))
    assert found == {"mrr": pytest.approx(2 * 4500 * 30 / 14), "mrr_calendar": pytest.approx(2 * 4500 * 52 / 12 / 2)}


MOVED = (
    subscription(1, ("2026-01-10", "active")),  # runs all the time
    subscription(2, ("2026-03-05", "active"), price=3000),  # new
    subscription(3, ("2026-01-10", "active"), rates=(RateMark(happened_at=at("2026-01-10"), price=1000), RateMark(happened_at=at("2026-03-09"), price=1500))),
    subscription(4, ("2026-01-10", "active"), rates=(RateMark(happened_at=at("2026-01-10"), price=2000), RateMark(happened_at=at("2026-03-09"), price=1200))),
    subscription(5, ("2026-01-10", "active"), ("2026-03-20", "cancelled"), price=700),
    subscription(6, ("2025-11-10", "active"), ("2026-01-05", "cancelled"), ("2026-03-12", "active"), price=600),
    subscription(7, ("2026-03-02", "trial"), ("2026-03-16", "active"), price=900),
    subscription(8, ("2026-03-02", "trial"), ("2026-03-16", "cancelled"), price=900),
    subscription(9, ("2026-05-02", "active"), price=9999),  # after the range
    subscription(10, ("2026-01-02", "active"), ("2026-02-10", "completed"), price=9999),  # before it
)


def test_mrr_at_the_end_is_mrr_at_the_start_and_what_moved() -> None:
    kpis = (
        "mrr_start",
        "new_mrr",
        "expansion_mrr",
        "contraction_mrr",
        "churned_mrr",
        "reactivation_mrr",
        "net_new_mrr",
        "mrr",
        "mrr_churn_rate",
        "mrr_retention",
    )
    found = total(asked(*MOVED, kpis=kpis))
    assert found == {
        "mrr_start": 4500 + 1000 + 2000 + 700,
        "new_mrr": 3000 + 900,
        "expansion_mrr": 500,
        "contraction_mrr": 800,
        "churned_mrr": 700,
        "reactivation_mrr": 600,
        "net_new_mrr": 3000 + 900 + 500 - 800 - 700 + 600,
        "mrr": 4500 + 3000 + 1500 + 1200 + 600 + 900,
        "mrr_churn_rate": pytest.approx(100 * 700 / 8200, abs=1e-4),
        "mrr_retention": pytest.approx(100 * (8200 + 500 + 600 - 800 - 700) / 8200, abs=1e-4),
    }


def test_subscriptions_are_counted_at_both_ends_and_by_what_happened_between() -> None:
    kpis = (
        "active_start",
        "active",
        "on_trial",
        "new_subscriptions",
        "activations",
        "reactivations",
        "cancellations",
        "churned",
        "churn_rate",
        "cancellation_rate",
    )
    found = total(asked(*MOVED, kpis=kpis))
    assert found == {
        "active_start": 4,
        "active": 6,
        "on_trial": 0,
        "new_subscriptions": 3,
        "activations": 2,
        "reactivations": 1,
        "cancellations": 2,
        "churned": 1,
        "churn_rate": 25.0,
        "cancellation_rate": 25.0,
    }


def test_a_trial_counts_where_it_began_and_where_it_converted() -> None:
    rows = (
        subscription(1, ("2026-02-20", "trial"), ("2026-03-06", "active")),  # began before, converts within
        subscription(2, ("2026-03-02", "trial"), ("2026-03-16", "active")),
        subscription(3, ("2026-03-20", "trial"), ("2026-04-03", "active")),  # converts later
        subscription(4, ("2026-03-02", "trial"), ("2026-03-16", "cancelled")),
        subscription(5, ("2026-03-25", "trial")),
    )
    trials = tuple(
        msgspec.structs.replace(
            row,
            trial_started_at=row.started_at,
            trial_converted_at=row.states[1].happened_at if row.subscription_id in {"S1", "S2"} else None,
        )
        for row in rows
    )
    found = total(asked(*trials, kpis=("trials_started", "trials_converted", "trial_conversion", "on_trial")))
    assert found == {"trials_started": 4, "trials_converted": 2, "trial_conversion": 50.0, "on_trial": 2}


def test_a_conversion_after_the_question_was_asked_has_not_happened() -> None:
    row = msgspec.structs.replace(subscription(1, ("2026-03-02", "trial"), ("2026-03-16", "active")), trial_started_at=at("2026-03-02"))
    found = total(asked(row, kpis=("trials_converted", "trial_conversion", "on_trial", "mrr"), now=at("2026-03-10")))
    assert found == {"trials_converted": 0, "trial_conversion": 0.0, "on_trial": 1, "mrr": 0}


def test_a_declined_rebill_is_recovered_if_the_subscription_is_active_next() -> None:
    found = total(
        asked(
            subscription(1, ("2026-01-01", "active"), ("2026-03-02", "recycling"), ("2026-03-05", "active")),
            subscription(2, ("2026-01-01", "active"), ("2026-03-30", "recycling"), ("2026-04-05", "active")),  # recovered after the range
            subscription(3, ("2026-01-01", "active"), ("2026-03-02", "recycling"), ("2026-03-12", "recycle_failed")),
            subscription(4, ("2026-01-01", "active"), ("2026-02-27", "recycling"), ("2026-03-02", "active")),  # declined before
            subscription(5, ("2026-01-01", "active"), ("2026-03-29", "recycling")),  # nobody knows yet
            kpis=("declined_rebills", "recovered_rebills", "recovery_rate", "recovered_mrr", "failures", "active"),
        )
    )
    assert found == {"declined_rebills": 4, "recovered_rebills": 2, "recovery_rate": 50.0, "recovered_mrr": 9000, "failures": 1, "active": 4}


def test_a_customer_is_lost_with_the_last_subscription_that_runs() -> None:
    rows = (
        subscription(1, ("2026-01-01", "active"), ("2026-03-02", "cancelled"), person=1),
        subscription(2, ("2026-01-01", "active"), person=1),  # keeps another
        subscription(3, ("2026-01-01", "active"), ("2026-03-05", "cancelled"), person=2),
        subscription(4, ("2026-01-01", "active"), ("2026-03-09", "cancelled"), person=2),  # the last of two
        subscription(5, ("2026-03-15", "active"), person=3),
        subscription(6, ("2026-01-01", "active"), ("2026-03-20", "cancelled"), person=4),
        subscription(7, ("2026-03-20", "active"), person=4),  # changed at one moment: never without
    )
    kpis = ("customers_start", "new_customers", "churned_customers", "customers", "customer_churn_rate", "arpu", "ltv", "churned")
    found = total(asked(*rows, kpis=kpis))
    assert found == {
        "customers_start": 3,
        "new_customers": 1,
        "churned_customers": 1,
        "customers": 3,
        "customer_churn_rate": pytest.approx(100 / 3, abs=1e-4),
        "arpu": 4500,
        "ltv": pytest.approx(4500 / (1 / 3 * 30 / 31), abs=0.01),
        "churned": 4,
    }


def test_each_week_begins_with_what_the_one_before_ended_with() -> None:
    kpis = ("active_start", "new_subscriptions", "churned", "active", "customers", "mrr_start", "mrr")
    report = asked(*MOVED, kpis=kpis, scale=Scale.WEEK)
    rows = [row.values for row in report.rows]
    assert [row.dimensions["period"] for row in report.rows] == ["2026-02-23", "2026-03-02", "2026-03-09", "2026-03-16", "2026-03-23", "2026-03-30"]
    assert [row["active"] for row in rows] == [4, 5, 6, 6, 6, 6]
    assert [row["active_start"] for row in rows] == [4, 4, 5, 6, 6, 6]
    assert [row["mrr"] for row in rows] == [8200, 11200, 11500, 11700, 11700, 11700]
    assert sum(row["new_subscriptions"] or 0 for row in rows) == total(report)["new_subscriptions"]
    assert (rows[0]["mrr_start"], rows[-1]["mrr"]) == (total(asked(*MOVED, kpis=("mrr_start",)))["mrr_start"], total(report)["mrr"])
    assert not next(column for column in report.columns if column.key == "active").adds_up


def test_a_subscription_without_states_runs_as_it_is_said_to() -> None:
    bare = msgspec.structs.replace(subscription(1, ("2026-01-10", "active")), states=(), rates=())
    assert total(asked(bare, kpis=("active", "mrr"))) == {"active": 1, "mrr": 4500}


def test_the_ledger_of_mrr_lists_each_subscription_that_runs_once() -> None:
    found = SUBSCRIPTIONS.ledger(question(kpis=("mrr",)), MemoryFacts({Kind.SUBSCRIPTIONS: MOVED}), row_key=None, kpi="mrr", limit=100, offset=0)
    assert {line.id: line.value for line in found.lines} == {"S1": 4500, "S2": 3000, "S3": 1500, "S4": 1200, "S6": 600, "S7": 900}
    assert found.total == found.adds_up_to == 11700
    assert found.lines_found == 6


def test_the_ledger_of_a_weeks_mrr_lists_what_ran_at_its_end() -> None:
    facts = MemoryFacts({Kind.SUBSCRIPTIONS: MOVED})
    query = question(kpis=("mrr",), scale=Scale.WEEK)
    week = SUBSCRIPTIONS.answer(query, facts).rows[2]
    found = SUBSCRIPTIONS.ledger(query, facts, row_key=week.key, kpi="mrr", limit=100, offset=0)
    assert found.total == found.adds_up_to == week.values["mrr"] == 11500
    assert {line.id for line in found.lines} == {"S1", "S2", "S3", "S4", "S5", "S6"}


def test_the_ledger_of_churn_lists_when_it_happened() -> None:
    found = SUBSCRIPTIONS.ledger(question(kpis=("churned_mrr",)), MemoryFacts({Kind.SUBSCRIPTIONS: MOVED}), row_key=None, kpi="churned_mrr", limit=9, offset=0)
    assert [(line.id, line.happened_at, line.value) for line in found.lines] == [("S5", at("2026-03-20"), 700)]
