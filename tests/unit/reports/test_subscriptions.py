"""KPIs of subscriptions on a few that can be followed by hand."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.kit.facts import MemoryFacts
from tests.kit.report_people import at, by, contact, node, order, tagged, total, touch
from tests.kit.report_people import question as any_question
from tributary.facts.tables import Kind, RateFact, RateMark, StateMark, SubscriptionFact
from tributary.reports.answer import Report
from tributary.reports.query import Filter, Model, Query, ReportType, Scale
from tributary.reports.subscriptions import SUBSCRIPTIONS


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
    return any_question(**{"type": ReportType.SUBSCRIPTIONS} | said)


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


def test_what_runs_now_still_runs_in_each_period_of_a_range_that_is_all_to_come() -> None:
    report = asked(subscription(1, ("2026-01-10", "active")), kpis=("mrr", "active"), scale=Scale.WEEK, now=at("2026-02-01"))
    assert len(report.rows) > 1
    assert [row.values for row in report.rows] == [{"mrr": 4500, "active": 1}] * len(report.rows)


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


def test_a_change_of_price_does_not_end_the_trying_again() -> None:
    terms = (RateMark(happened_at=at("2026-01-01"), price=4500), RateMark(happened_at=at("2026-03-03"), price=3000))
    row = subscription(1, ("2026-01-01", "active"), ("2026-03-02", "recycling"), ("2026-03-05", "active"), rates=terms)
    assert total(asked(row, kpis=("declined_rebills", "recovered_rebills"))) == {"declined_rebills": 1, "recovered_rebills": 1}


def test_what_is_recovered_after_the_question_was_asked_is_not_known() -> None:
    row = subscription(1, ("2026-01-01", "active"), ("2026-03-02", "recycling"), ("2026-03-05", "active"))
    found = total(asked(row, kpis=("declined_rebills", "recovered_rebills"), now=at("2026-03-04")))
    assert found == {"declined_rebills": 1, "recovered_rebills": 0}


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


def test_rows_are_told_apart_by_product_and_country() -> None:
    rows = [subscription(1, ("2026-01-10", "active"), person=1), subscription(2, ("2026-01-10", "active"), person=2, name="Box")]
    facts = MemoryFacts({Kind.SUBSCRIPTIONS: rows, Kind.CONTACTS: [contact(1, "2026-01-01", country="US")]})
    kpis = ("mrr", "customers", "active_start")
    products = by(SUBSCRIPTIONS.answer(question(kpis=kpis, group_by=("product",)), facts), "product")
    assert products == {"Club": {"mrr": 4500, "customers": 1, "active_start": 1}, "Box": {"mrr": 4500, "customers": 1, "active_start": 1}}
    assert by(SUBSCRIPTIONS.answer(question(kpis=kpis, group_by=("country",)), facts), "country")["US"]["mrr"] == 4500
    chosen = SUBSCRIPTIONS.answer(question(kpis=kpis, filters=(Filter(dimension="product", op="is", values=("Box",)),)), facts)
    assert total(chosen) == {"mrr": 4500, "customers": 1, "active_start": 1}


def test_a_customer_of_two_products_is_one_in_the_total() -> None:
    rows = [
        subscription(1, ("2026-01-10", "active"), ("2026-03-09", "cancelled"), person=1),
        subscription(2, ("2026-01-10", "active"), person=1, name="Box"),
    ]
    report = asked(*rows, kpis=("customers_start", "customers", "churned_customers"), group_by=("product",))
    assert by(report, "product") == {
        "Club": {"customers_start": 1, "customers": 0, "churned_customers": 1},
        "Box": {"customers_start": 1, "customers": 1, "churned_customers": 0},
    }
    assert total(report) == {"customers_start": 1, "customers": 1, "churned_customers": 0}


def test_a_subscription_is_credited_to_the_touches_before_the_order_that_it_began_with() -> None:
    row = subscription(1, ("2026-01-10", "active"), person=1, order_id="O1")
    first = order(1, "2026-01-10T00:05", 4500, order_id="O1")
    touches = [touch(1, "2026-01-09", "email"), touch(1, "2026-01-10T00:04", "paid_social"), touch(1, "2026-03-01", "direct")]
    facts = MemoryFacts({Kind.SUBSCRIPTIONS: [row], Kind.ORDERS: [first], Kind.TOUCHES: touches})
    kpis = ("mrr", "active", "customers")
    last = SUBSCRIPTIONS.answer(question(kpis=kpis, group_by=("channel",), model=Model.LAST_TOUCH), facts)
    assert by(last, "channel") == {"paid_social": {"mrr": 4500, "active": 1, "customers": 1}}
    assert last.coverage_pct == 100
    linear = SUBSCRIPTIONS.answer(question(kpis=kpis, group_by=("channel",), model=Model.LINEAR), facts)
    assert by(linear, "channel")["email"] == {"mrr": 2250, "active": 0.5, "customers": 1}
    any_touch = SUBSCRIPTIONS.answer(question(kpis=kpis, group_by=("channel",), model=Model.ANY_TOUCH), facts)
    assert any_touch.overlapping
    assert by(any_touch, "channel")["email"]["mrr"] == 4500
    assert total(any_touch) == {"mrr": 4500, "active": 1, "customers": 1}


def test_rows_of_channels_and_weeks_carry_on_what_runs() -> None:
    row = subscription(1, ("2026-03-04", "active"), person=1)
    facts = MemoryFacts({Kind.SUBSCRIPTIONS: [row], Kind.TOUCHES: [touch(1, "2026-03-03", "email")]})
    report = SUBSCRIPTIONS.answer(question(kpis=("mrr", "active"), group_by=("channel",), scale=Scale.WEEK), facts)
    assert [(row.dimensions["period"], row.dimensions["channel"], row.values["mrr"]) for row in report.rows] == [
        ("2026-02-23", "email", 0),
        ("2026-03-02", "email", 4500),
        ("2026-03-09", "email", 4500),
        ("2026-03-16", "email", 4500),
        ("2026-03-23", "email", 4500),
        ("2026-03-30", "email", 4500),
    ]


def test_mrr_in_another_currency_is_converted_at_the_rate_of_the_day_it_began_or_stands_apart() -> None:
    rows = [
        subscription(1, ("2026-01-10", "active")),
        subscription(2, ("2026-01-10", "active"), currency="EUR", price=1000),
        subscription(3, ("2026-02-10", "active"), currency="EUR", price=2000),
    ]
    rate = RateFact(key=node(77), batch="b", day=date(2026, 1, 9), from_currency="EUR", to_currency="USD", rate=Decimal("1.25"), version=1)
    later = msgspec.structs.replace(rate, key=node(78), day=date(2026, 3, 1), rate=Decimal(2))
    facts = MemoryFacts({Kind.SUBSCRIPTIONS: rows, Kind.RATES: [rate, later]})
    report = SUBSCRIPTIONS.answer(question(kpis=("mrr", "active")), facts)
    assert [(one.currency, one.values["mrr"], one.values["active"]) for one in report.totals] == [("USD", 5750, 2), ("EUR", 2000, 1)]


def test_revenue_of_subscriptions_is_that_of_the_orders_they_began_with_and_of_their_bills() -> None:
    row = subscription(1, ("2026-01-10", "active"), person=1, order_id="O1")
    orders = [
        order(1, "2026-01-10", 4500, order_id="O1"),
        order(1, "2026-03-10", 5000, order_id="O2", subscription_id="S1", rebill=True, discount=500, refunded=1000),
        order(1, "2026-03-11", 9900, order_id="O3"),  # of no subscription
    ]
    facts = MemoryFacts({Kind.SUBSCRIPTIONS: [row, subscription(2, ("2026-02-01", "active"))], Kind.ORDERS: orders})
    kpis = ("net_revenue", "gross_revenue", "discounts", "refunds", "chargebacks", "collected_revenue", "bills", "realised_ltv")
    assert total(SUBSCRIPTIONS.answer(question(kpis=kpis), facts)) == {
        "net_revenue": 3500,
        "gross_revenue": 5000,
        "discounts": 500,
        "refunds": 1000,
        "chargebacks": 0,
        "collected_revenue": 4000,
        "bills": 1,
        "realised_ltv": (4500 + 3500) / 2,
    }
    assert "realised_ltv" not in SUBSCRIPTIONS.kpis(question(scale=Scale.WEEK))


def test_orders_and_touches_are_read_only_where_asked_for() -> None:
    assert set(SUBSCRIPTIONS.needs(question(kpis=("mrr",)))) == {Kind.SUBSCRIPTIONS, Kind.RATES}
    assert set(SUBSCRIPTIONS.needs(question(kpis=("mrr",), group_by=("channel",)))) == {Kind.SUBSCRIPTIONS, Kind.RATES, Kind.ORDERS, Kind.TOUCHES}
    assert SUBSCRIPTIONS.needs(question(kpis=("net_revenue",)))[Kind.ORDERS] == ("2026-03", "2026-04")


@pytest.mark.parametrize("seed", range(10))
def test_what_is_told_by_both_ends_alone_is_what_all_changes_come_to(seed: int) -> None:
    """Both ways of asking: those KPIs alone, and together with others, which need every change."""
    rng = random.Random(seed)
    rows = [_at_random(number, rng) for number in range(30)]
    short = ("mrr", "mrr_start", "net_new_mrr", "mrr_calendar", "arr", "active", "active_start", "on_trial", "paused", "new_subscriptions", "cancellations")
    for said in ({}, {"group_by": ("product",)}, {"now": at("2026-03-17")}, {"group_by": ("connection",), "currency": "EUR"}):
        ends = asked(*rows, kpis=short, **said)
        changes = asked(*rows, kpis=(*short, "churned_customers"), **said)
        found = [one.values for one in ends.rows] + [one.values for one in ends.totals]
        expected = [one.values for one in changes.rows] + [one.values for one in changes.totals]
        for values, others in zip(found, expected, strict=True):
            assert values == pytest.approx({name: others[name] for name in short})


def _at_random(number: int, rng: random.Random) -> SubscriptionFact:
    """Few moments, so that several marks are of one."""
    moments = sorted(rng.choice(range(1, 30)) for _ in range(rng.randrange(1, 7)))
    days_of = [f"2026-{3 if day > 8 else 2:02}-{day:02}" for day in moments]
    marks = [(day, rng.choice(["trial", "active", "recycling", "paused", "cancelled", "completed"])) for day in sorted(days_of)]
    terms = tuple(RateMark(happened_at=at(day), price=rng.randrange(1, 9) * 100, interval_days=rng.choice([1, 7, 30, 365])) for day in sorted(days_of)[:3])
    return subscription(number, *marks, rates=terms, name=rng.choice(["Club", "Box"]), currency=rng.choice(["USD", "USD", "EUR"]))


def _of_first_orders() -> MemoryFacts:
    """Ann's first order ever began one, Bob's second another, of Cat's nothing is known."""
    subscriptions = [
        subscription(1, ("2026-01-10", "active"), person=1, order_id="O1"),
        subscription(2, ("2026-02-10", "active"), person=2, order_id="O3"),
        subscription(3, ("2026-02-10", "active"), person=3, order_id="O9"),
    ]
    orders = [
        order(1, "2026-01-10", 4500, order_id="O1", coupon="TEN", order_type="new_sale", campaign_name="Offer 1"),
        order(1, "2026-03-10", 4000, order_id="O4", subscription_id="S1", rebill=True, order_type="recurring", campaign_name="Offer 2"),
        order(2, "2026-01-01", 100, order_id="O2"),
        order(2, "2026-03-02", 3000, order_id="O3", campaign_id="7"),
        order(3, "2026-03-10", 2000, order_id="O5", subscription_id="S3", rebill=True, order_type="recurring"),
        order(4, "2026-03-10", 9000, order_id="O6", coupon="TEN"),  # of no subscription
    ]
    return MemoryFacts({Kind.SUBSCRIPTIONS: subscriptions, Kind.ORDERS: orders})


@pytest.mark.parametrize(
    ("dimension", "expected"),
    [
        ("customer_type", {"new": (1, 4000), "returning": (1, 3000), None: (1, 2000)}),
        ("coupon", {"TEN": (1, 4000), None: (2, 5000)}),
        ("order_type", {"new_sale": (1, 4000), None: (2, 5000)}),
        ("konnektive_campaign", {"Offer 1": (1, 4000), "7": (1, 3000), None: (1, 2000)}),
    ],
)
def test_a_subscription_and_its_bills_are_told_by_the_order_that_it_began_with(dimension: str, expected: dict[str | None, tuple[int, int]]) -> None:
    kpis = ("active", "net_revenue")
    report = SUBSCRIPTIONS.answer(question(kpis=kpis, group_by=(dimension,)), _of_first_orders())
    assert {name: (values["active"], values["net_revenue"]) for name, values in by(report, dimension).items()} == expected
    for value, of_value in expected.items():
        chosen = question(kpis=kpis, filters=(Filter(dimension=dimension, op="is", values=(value or "",)),))
        assert tuple(total(SUBSCRIPTIONS.answer(chosen, _of_first_orders())).values()) == of_value


def test_which_tags_a_subscription_is_told_by_does_not_follow_from_what_else_is_asked() -> None:
    row = subscription(1, ("2026-03-10", "active"), person=1, order_id="O1")
    facts = MemoryFacts(
        {
            Kind.SUBSCRIPTIONS: [row],
            Kind.ORDERS: [order(1, "2026-03-12", 4500, order_id="O1")],
            Kind.TAGS: [tagged(1, ("early", "2026-03-01", "2026-03-11"), ("late", "2026-03-11"))],
        }
    )
    for group_by in (("tag",), ("tag", "channel")):
        (found,) = SUBSCRIPTIONS.answer(question(kpis=("active",), group_by=group_by), facts).rows
        assert found.dimensions["tag"] == "early"
