"""Funnels on a few people that can be followed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.facts import MemoryFacts
from tests.kit.report_people import at, by, contact, event, node, order, page, question, tagged, total, touch
from tributary.facts.tables import Kind, Months, Movement, StateMark, SubscriptionFact
from tributary.reports.answer import Report
from tributary.reports.funnel import FUNNEL
from tributary.reports.query import Filter, Model, Query, ReportType, Scale, Step

VIEWED = Step(kind="event", value="Product Viewed", label="viewed")
ADDED = Step(kind="event", value="Product Added", label="added")
SOLD = Step(kind="order", value="sold", label="sold")
STEPS = (VIEWED, ADDED, SOLD)
ACTIVITIES = (
    event(1, "2026-03-02T10:00", "Product Viewed"),
    event(1, "2026-03-02T10:05", "Product Added"),
    event(2, "2026-03-03T10:00", "Product Viewed"),
    event(2, "2026-03-03T10:20", "Product Added"),
    event(3, "2026-03-04T10:00", "Product Viewed"),
    event(3, "2026-03-01T09:00", "Product Added"),  # before it was viewed
    event(4, "2026-03-05T10:00", "Product Added"),  # never viewed
    event(5, "2026-02-28T10:00", "Product Viewed"),  # before the range
    event(6, "2026-03-06T10:00", "Product Viewed", bot=True),
    event(7, "2026-03-31T23:00", "Product Viewed"),
    event(7, "2026-04-02T10:00", "Product Added"),  # goes on after the range
)
ORDERS = (
    order(1, "2026-03-02T10:15", 5000, tax=500),
    order(1, "2026-04-02", 3000),  # later: what somebody brings who came so far
    order(1, "2026-02-02", 9900),  # before they entered
    order(2, "2026-03-03T10:10", 7000),  # before it was added
    order(7, "2026-05-01", 1000),
)


def facts(**rows: Any) -> MemoryFacts:
    return MemoryFacts({Kind(name): value for name, value in rows.items()})


def asking(**said: Any) -> Query:
    return question(**{"type": ReportType.FUNNEL, "steps": STEPS, "kpis": tuple(FUNNEL.all_kpis)} | said)


def asked(relations: MemoryFacts | None = None, **said: Any) -> Report:
    return FUNNEL.answer(asking(**said), relations or facts(activities=ACTIVITIES, orders=ORDERS))


def test_each_step_counts_who_took_all_before_it_in_order() -> None:
    found = by(asked(), "step")
    assert {step: values["entrants"] for step, values in found.items()} == {"1. viewed": 4, "2. added": 3, "3. sold": 2}
    assert {step: values["dropped"] for step, values in found.items()} == {"1. viewed": 0, "2. added": 1, "3. sold": 1}
    assert {step: values["step_rate"] for step, values in found.items()} == {"1. viewed": 100, "2. added": 75, "3. sold": pytest.approx(200 / 3, abs=1e-4)}
    assert {step: values["total_rate"] for step, values in found.items()} == {"1. viewed": 100, "2. added": 75, "3. sold": 50}


def test_steps_are_rows_in_their_order() -> None:
    assert [row.dimensions["step"] for row in asked().rows] == ["1. viewed", "2. added", "3. sold"]


def test_the_time_of_a_step_is_the_median_since_the_one_before() -> None:
    found = by(asked(), "step")
    assert found["1. viewed"]["median_time"] == 0
    assert found["2. added"]["median_time"] == 20 * 60
    assert found["3. sold"]["median_time"] == (600 + (at("2026-05-01") - at("2026-04-02T10:00")).total_seconds()) / 2


def test_revenue_of_a_step_is_what_those_brought_who_reached_it_since_they_entered() -> None:
    found = by(asked(), "step")
    assert {step: (values["revenue"], values["orders"]) for step, values in found.items()} == {
        "1. viewed": (4500 + 3000 + 7000 + 1000, 4),
        "2. added": (4500 + 3000 + 7000 + 1000, 4),
        "3. sold": (4500 + 3000 + 1000, 3),
    }
    assert found["3. sold"]["lead_value"] == 4250
    assert found["3. sold"]["aov"] == pytest.approx(8500 / 3)


def test_the_total_is_who_entered_and_who_completed() -> None:
    found = total(asked())
    assert (found["entrants"], found["total_rate"], found["step_rate"], found["dropped"], found["revenue"]) == (4, 50, 50, 2, 15500)
    assert found["median_time"] == (900 + (at("2026-05-01") - at("2026-03-31T23:00")).total_seconds()) / 2


def test_what_is_later_than_the_question_has_not_happened() -> None:
    found = by(asked(now=at("2026-04-01")), "step")
    assert {step: values["entrants"] for step, values in found.items()} == {"1. viewed": 4, "2. added": 2, "3. sold": 1}
    assert found["3. sold"]["revenue"] == 4500


def test_the_same_step_again_is_another_time_it_is_taken() -> None:
    relations = facts(activities=[page(1, "2026-03-02", "a.example/x"), page(2, "2026-03-02", "a.example/x"), page(2, "2026-03-03", "a.example/x")])
    twice = Step(kind="page", value="a.example/x", label="x")
    assert [row.values["entrants"] for row in asked(relations, steps=(twice, twice)).rows] == [2, 1]


def test_a_page_is_told_by_its_address_or_its_beginning() -> None:
    relations = facts(
        activities=[page(1, "2026-03-02", "shop.example/checkout/1"), page(2, "2026-03-02", "shop.example/checkout"), page(3, "2026-03-02", "b.example")]
    )
    beginning = Step(kind="page", value="https://www.shop.example/checkout*", label="all")
    whole = Step(kind="page", value="https://shop.example/checkout?x=1", label="one")
    assert [row.values["entrants"] for row in asked(relations, steps=(beginning, whole)).rows] == [2, 1]


@pytest.mark.parametrize(
    ("said", "people"),
    [
        ("shop.example/checkout", 1),
        ("HTTPS://WWW.Shop.Example:443/checkout?a=b#c", 1),
        ("shop.example/check*", 2),
        ("/checkout", 2),
        ("/checkout*", 3),
        ("shop.example*", 2),
        ("*", 4),
        ("shop.example", 0),
    ],
)
def test_addresses_are_as_visitors_have_them(said: str, people: int) -> None:
    addresses = ("shop.example/checkout", "shop.example/checkout/2", "b.example/checkout", "c.example")
    relations = facts(activities=[page(person, "2026-03-02", address) for person, address in enumerate(addresses, start=1)])
    assert total(asked(relations, steps=(Step(kind="page", value=said, label="page"),)))["entrants"] == people


def test_steps_may_be_tags_orders_and_subscriptions() -> None:
    began = SubscriptionFact(
        key=node(90),
        person=node(1),
        connection="crm",
        subscription_id="S",
        started_at=at("2026-03-05"),
        currency="USD",
        states=(StateMark(happened_at=at("2026-03-05"), state="trial"), StateMark(happened_at=at("2026-03-19"), state="active")),
    )
    back = Movement(kind="refund", happened_at=at("2026-04-09"), currency="USD", amount=100)
    relations = facts(
        tags=[tagged(1, ("vip", "2026-03-01")), tagged(2, ("vip", "2026-03-02"))],
        activities=[event(1, "2026-03-03", "Checkout Started"), event(2, "2026-03-03", "Order Declined")],
        orders=[order(1, "2026-03-04", 100), order(1, "2026-04-04", 100, rebill=True, movements=(back,))],
        subscriptions=[began],
    )
    steps = [("tag", "vip"), ("order", "started"), ("order", "sold"), ("subscription", "active"), ("order", "rebilled"), ("order", "refunded")]
    found = asked(relations, steps=tuple(Step(kind=kind, value=value, label=value) for kind, value in steps))  # type: ignore[arg-type]
    assert [row.values["entrants"] for row in found.rows] == [2, 1, 1, 1, 1, 1]


def test_an_invoice_is_a_step_on_the_day_that_its_money_moved_whenever_its_order_was() -> None:
    said = (("decline", "2026-03-05"), ("payment", "2026-03-06"), ("refund", "2026-03-20"))
    moved = tuple(Movement(kind=kind, happened_at=at(day), currency="USD", amount=100) for kind, day in said)
    relations = facts(orders=[order(1, "2026-02-27", 100, movements=moved), order(2, "2026-03-02", 100, movements=moved[1:2])])
    steps = tuple(Step(kind="invoice", value=value, label=value) for value in ("declined", "paid", "refunded"))
    assert [row.values["entrants"] for row in asked(relations, steps=steps).rows] == [1, 1, 1]
    assert FUNNEL.needs(asking(steps=steps))[Kind.ORDERS] == Months()


def test_a_declined_or_cancelled_order_is_a_step() -> None:
    relations = facts(activities=[event(1, "2026-03-03", "Order Declined"), event(1, "2026-03-04", "Order Cancelled")])
    steps = tuple(Step(kind="order", value=value, label=value) for value in ("declined", "cancelled"))
    assert [row.values["entrants"] for row in asked(relations, steps=steps).rows] == [1, 1]


def test_rows_are_told_apart_by_the_channel_that_brought_who_entered() -> None:
    touches = [touch(1, "2026-03-01"), touch(2, "2026-02-20", "email"), touch(2, "2026-03-03T09:00", "direct"), touch(3, "2025-01-01", "email")]
    report = asked(facts(activities=ACTIVITIES, orders=ORDERS, touches=touches), group_by=("channel",), model=Model.LAST_NON_DIRECT)
    found = by(report, "step", "channel")
    assert {key: values["entrants"] for key, values in found.items()} == {
        ("1. viewed", "paid_social"): 1,
        ("1. viewed", "email"): 1,
        ("1. viewed", None): 2,
        ("2. added", "paid_social"): 1,
        ("2. added", "email"): 1,
        ("2. added", None): 1,
        ("3. sold", "paid_social"): 1,
        ("3. sold", "email"): 0,
        ("3. sold", None): 1,
    }
    assert found["3. sold", "paid_social"]["revenue"] == 7500
    assert total(report)["entrants"] == 4


def test_a_model_of_many_touches_shares_people_and_money_exactly() -> None:
    touches = [touch(1, "2026-03-01"), touch(1, "2026-03-01T12:00", "email"), touch(1, "2026-03-02", "direct")]
    report = asked(facts(activities=ACTIVITIES, orders=ORDERS, touches=touches), group_by=("channel",), model=Model.LINEAR)
    sold = {row.dimensions["channel"]: row.values for row in report.rows if row.dimensions["step"] == "3. sold"}
    assert sum(row["revenue"] or 0 for row in sold.values()) == 8500
    assert sold["email"]["entrants"] == pytest.approx(1 / 3)
    assert total(report)["entrants"] == pytest.approx(4)


def test_overlapping_rows_are_counted_once_in_the_total() -> None:
    touches = [touch(1, "2026-03-01"), touch(1, "2026-03-01T12:00", "email")]
    report = asked(facts(activities=ACTIVITIES, orders=ORDERS, touches=touches), group_by=("channel",), model=Model.ANY_TOUCH)
    assert report.overlapping
    assert by(report, "step", "channel")["3. sold", "email"]["revenue"] == 7500
    assert (total(report)["entrants"], total(report)["revenue"], total(report)["total_rate"]) == (4, 15500, 50)


def test_rows_are_told_apart_by_country_and_by_the_day_of_entering() -> None:
    contacts = [contact(1, "2026-03-01", country="US"), contact(2, "2026-03-01", country="DE")]
    relations = facts(activities=ACTIVITIES, orders=ORDERS, contacts=contacts)
    assert by(asked(relations, group_by=("country",)), "step", "country")["2. added", "US"]["entrants"] == 1
    weeks = asked(relations, scale=Scale.WEEK)
    found = {(row.dimensions["period"], row.dimensions["step"]): row.values["entrants"] for row in weeks.rows}
    assert found["2026-03-02", "1. viewed"] == 3
    assert found["2026-03-30", "3. sold"] == 1


def test_a_filter_by_connection_chooses_where_people_enter() -> None:
    activities = [event(1, "2026-03-02", "Product Viewed"), event(1, "2026-03-05", "Product Viewed", connection="app"), event(1, "2026-03-06", "Product Added")]
    chosen = (Filter(dimension="connection", op="is", values=("app",)),)
    found = asked(facts(activities=activities), steps=(VIEWED, ADDED), filters=chosen).rows
    assert [(row.values["entrants"], row.values["median_time"]) for row in found] == [(1, 0), (1, 86400)]


def test_steps_are_in_order_within_each_period() -> None:
    rows = [(row.dimensions["period"], row.dimensions["step"]) for row in asked(scale=Scale.WEEK).rows]
    assert rows == [(week, step) for week in ("2026-03-02", "2026-03-30") for step in ("1. viewed", "2. added", "3. sold")]


def test_other_currencies_stand_apart_and_count_nobody_twice() -> None:
    orders = [*ORDERS, order(1, "2026-03-20", 8000, currency="EUR")]
    report = asked(facts(activities=ACTIVITIES, orders=orders))
    assert [(one.currency, one.values["entrants"], one.values["revenue"]) for one in report.totals] == [("USD", 4, 15500), ("EUR", 0, 8000)]
    assert [row.values["revenue"] for row in report.rows if row.currency == "EUR"] == [8000, 8000, 8000]


def test_the_ledger_of_a_step_is_who_reached_it() -> None:
    relations = facts(activities=ACTIVITIES, orders=ORDERS)
    rows = asked(relations).rows
    found = FUNNEL.ledger(asking(), relations, row_key=rows[2].key, kpi="entrants", limit=10, offset=0)
    assert [(line.person, line.happened_at) for line in found.lines] == [(node(1), at("2026-03-02T10:15")), (node(7), at("2026-05-01"))]
    assert found.total == found.adds_up_to == 2
    money = FUNNEL.ledger(asking(), relations, row_key=rows[2].key, kpi="revenue", limit=10, offset=0)
    assert [line.value for line in money.lines] == [7500, 1000]


def test_only_what_the_steps_name_is_read() -> None:
    query = asking(kpis=("entrants",))
    assert set(FUNNEL.needs(query)) == {Kind.ACTIVITIES, Kind.ORDERS}
    assert FUNNEL.needs(query)[Kind.ACTIVITIES] == ("2026-03", "2026-06")
    assert set(FUNNEL.needs(asking(kpis=("entrants",), steps=(VIEWED,)))) == {Kind.ACTIVITIES}


def test_steps_that_nobody_came_to_are_rows_too_and_ten_stand_in_order() -> None:
    nobody = asked(facts(activities=()))
    assert {step: values["entrants"] for step, values in by(nobody, "step").items()} == {"1. viewed": 0, "2. added": 0, "3. sold": 0}
    ten = asked(facts(activities=ACTIVITIES, orders=ORDERS), steps=(VIEWED, ADDED) * 5)
    assert [row.dimensions["step"] for row in ten.rows] == [f"{number:02}. {'viewed' if number % 2 else 'added'}" for number in range(1, 11)]
