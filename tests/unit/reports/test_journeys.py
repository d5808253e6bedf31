"""The ways to an order, and one person's."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from tests.kit.facts import MemoryFacts
from tests.kit.report_people import at, by, contact, event, node, order, page, question, tagged, total, touch
from tributary.facts.tables import Kind, OrderItem, OtherMoney, StateMark, SubscriptionFact
from tributary.reports.answer import Report
from tributary.reports.frame import RowUnknown
from tributary.reports.journeys import JOURNEYS, PATH_KPIS
from tributary.reports.query import Filter, Having, Model, Query, ReportType

TOUCHES = (
    touch(1, "2026-03-01", "paid_social", source="facebook"),
    touch(1, "2026-03-02", "paid_social", source="instagram"),
    touch(1, "2026-03-03", "email", source="klaviyo"),
    touch(1, "2026-03-03T12:00", "bot"),
    touch(2, "2026-03-01", "paid_social", source="facebook"),
    touch(2, "2026-03-04", "email", source="klaviyo"),
    touch(3, "2026-01-01", "paid_search"),  # before the lookback
)
ORDERS = (
    order(1, "2026-03-04", 1000),
    order(1, "2026-03-20", 500, rebill=True),
    order(2, "2026-03-05", 3000),
    order(3, "2026-03-06", 700),
)


def relations(**rows: Any) -> MemoryFacts:
    return MemoryFacts({Kind(name): value for name, value in ({"touches": TOUCHES, "orders": ORDERS} | rows).items()})


def asking(**said: Any) -> Query:
    query = question(**{"type": ReportType.JOURNEYS} | said)
    return question(**{"type": ReportType.JOURNEYS, "kpis": tuple(JOURNEYS.kpis(query))} | said)


def asked(facts: MemoryFacts | None = None, **said: Any) -> Report:
    return JOURNEYS.answer(asking(**said), facts or relations())


def test_a_path_is_the_channels_before_an_order_each_run_of_one_told_once() -> None:
    report = asked()
    found = by(report, "path")
    assert {path: (row["orders"], row["customers"], row["revenue"]) for path, row in found.items()} == {
        "paid_social > email": (2, 2, 4000),
        None: (1, 1, 700),
    }
    assert found["paid_social > email"]["touches"] == 2.5
    assert found["paid_social > email"]["days"] == 3.5
    assert [row.unattributed for row in report.rows] == [False, True]
    assert report.coverage_pct == pytest.approx(200 / 3, abs=1e-4)


def test_a_path_may_be_told_by_other_dimensions_of_touches_and_rows_by_those_of_orders() -> None:
    assert set(by(asked(group_by=("source",)), "path")) == {"facebook > instagram > klaviyo", "facebook > klaviyo", None}
    found = by(asked(group_by=("connection",)), "path", "connection")
    assert found["paid_social > email", "crm"]["orders"] == 2


def test_a_filter_keeps_paths_with_a_touch_that_fits() -> None:
    found = asked(filters=(Filter(dimension="source", op="is", values=("instagram",)),))
    assert [(row.dimensions["path"], row.values["orders"]) for row in found.rows] == [("paid_social > email", 1)]
    assert total(found)["revenue"] == 1000


def test_a_long_path_shows_its_last_steps() -> None:
    touches = [touch(1, f"2026-03-01T{hour:02}:00", ("email", "direct")[hour % 2]) for hour in range(12)]
    (row,) = asked(relations(touches=touches, orders=ORDERS[:1])).rows
    assert row.dimensions["path"] == "… > " + " > ".join(["email", "direct"] * 5)


def test_touches_of_one_moment_stand_in_the_order_of_their_names() -> None:
    touches = [touch(1, "2026-03-01", channel) for channel in ("referral", "email", "organic_search")]
    (row,) = asked(relations(touches=touches, orders=ORDERS[:1])).rows
    assert row.dimensions["path"] == "email > organic_search > referral"


def test_an_order_in_two_currencies_has_its_touches_once() -> None:
    paid_back = msgspec.structs.replace(ORDERS[0], others=(OtherMoney(currency="EUR", refunded=100),))
    dollars, euros = asked(relations(orders=[paid_back]), kpis=("orders", "customers", "touches", "revenue")).rows
    assert dollars.values == {"orders": 1, "customers": 1, "touches": 3, "revenue": 1000}
    assert euros.values == {"orders": 0, "customers": 0, "touches": None, "revenue": -100}


@pytest.mark.parametrize("sort", [None, "channel", *PATH_KPIS])
@pytest.mark.parametrize("descending", [True, False])
def test_rows_that_are_not_shown_are_left_out_before_they_are_made(sort: str | None, descending: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of few values, so that many rows stand equal and their names decide."""
    monkeypatch.setattr("tributary.reports.journeys._SPARE", 3)
    rng = random.Random(sort)
    channels = [f"c{number}" for number in range(9)]
    touches = [touch(rng.randrange(40), f"2026-03-{rng.randrange(1, 20):02}", rng.choice(channels)) for _ in range(60)]
    orders = [order(person, f"2026-03-{rng.randrange(1, 28):02}", rng.choice([100, 200]), currency=rng.choice(["USD", "USD", "EUR"])) for person in range(40)]
    facts = relations(touches=touches, orders=orders)
    said: dict[str, Any] = {"group_by": ("channel",), "sort": sort, "descending": descending}
    everything = asked(facts, **said)
    few = asked(facts, limit=5, **said)
    assert few.rows == everything.rows[:5]
    assert (few.rows_found, few.totals) == (len(everything.rows), everything.totals)
    chosen = asked(facts, limit=5, **said, having=(Having(kpi="orders", op="ge", value=1),))
    assert chosen.rows_found == sum(bool(row.values["orders"]) for row in everything.rows)


def test_the_ledger_of_a_path_is_the_orders_that_it_led_to() -> None:
    first = asked().rows[0]
    found = JOURNEYS.ledger(asking(), relations(), row_key=first.key, kpi="revenue", limit=10, offset=0)
    assert [(line.person, line.kind, line.value) for line in found.lines] == [(node(1), "order", 1000), (node(2), "order", 3000)]


SUBSCRIPTION = SubscriptionFact(
    key=node(80),
    person=node(1),
    connection="crm",
    subscription_id="S1",
    name="Club",
    started_at=at("2026-03-04"),
    currency="USD",
    states=(StateMark(happened_at=at("2026-03-04"), state="active"),),
)
WAY = {
    "activities": [page(1, "2026-03-01T00:01", "shop.example/"), event(1, "2026-03-03T00:10", "Product Viewed"), page(2, "2026-03-01", "shop.example/other")],
    "contacts": [contact(1, "2026-03-02"), contact(2, "2026-03-02")],
    "tags": [tagged(1, ("vip", "2026-03-05", "2026-03-09"))],
    "subscriptions": [SUBSCRIPTION],
}


def test_one_persons_way_is_all_that_they_did_in_order_of_time() -> None:
    report = asked(relations(**WAY), person=node(1))
    assert [(row.dimensions["kind"], row.dimensions["what"]) for row in report.rows] == [
        ("touch", None),
        ("activity", "shop.example/"),
        ("touch", None),
        ("lead", "became a lead"),
        ("touch", None),
        ("activity", "Product Viewed"),
        ("touch", None),
        ("order", "order O2026-03-04: sold"),
        ("subscription", "Club: active"),
        ("tag", "+ vip"),
        ("tag", "- vip"),
        ("order", "rebill O2026-03-20: sold"),
    ]
    assert report.rows[0].dimensions["channel"] == "paid_social"
    assert report.rows[0].dimensions["happened_at"] == "2026-03-01T00:00:00+00:00"
    assert report.rows_found == 12


def test_touches_of_a_way_say_what_they_are_credited_with() -> None:
    report = asked(relations(**WAY), person=node(1), model=Model.LINEAR)
    credited: list[Any] = [(row.dimensions["channel"], row.values["credit"], row.values["credited_revenue"]) for row in report.rows if row.values["credit"]]
    assert credited == [
        ("paid_social", pytest.approx(1 / 3 + 1 / 3), pytest.approx(333 + 166)),
        ("paid_social", pytest.approx(2 / 3), pytest.approx(333 + 167)),
        ("email", pytest.approx(2 / 3), pytest.approx(334 + 167)),
    ]
    assert (total(report)["revenue"], total(report)["credited_revenue"], total(report)["credit"]) == (1500, 1500, pytest.approx(2))


def test_a_single_touch_may_get_all_the_credit() -> None:
    report = asked(relations(**WAY), person=node(1), model=Model.LAST_TOUCH)
    assert [row.values["credit"] for row in report.rows if row.dimensions["kind"] == "touch"] == [None, None, 2, None]


def test_a_way_is_limited_to_its_range_and_its_rows() -> None:
    report = asked(relations(**WAY), person=node(1), limit=3, now=at("2026-03-04"))
    assert (len(report.rows), report.rows_found) == (3, 9)
    assert asked(relations(**WAY), person=node(99)).rows == ()


def test_the_ledger_of_a_way_is_its_orders_and_a_row_opens_by_its_key() -> None:
    report = asked(relations(**WAY), person=node(1))
    found = JOURNEYS.ledger(asking(person=node(1)), relations(**WAY), row_key=None, kpi="revenue", limit=10, offset=0)
    assert [(line.id, line.value) for line in found.lines] == [("O2026-03-04", 1000), ("O2026-03-20", 500)]
    one = JOURNEYS.ledger(asking(person=node(1)), relations(**WAY), row_key=report.rows[7].key, kpi="revenue", limit=10, offset=0)
    assert (one.total, one.lines_found) == (1000, 1)
    with pytest.raises(RowUnknown):
        JOURNEYS.ledger(asking(person=node(1)), relations(**WAY), row_key="nothing", kpi="revenue", limit=10, offset=0)


def test_an_order_is_in_the_row_of_each_of_its_products_and_tags_and_once_in_the_total() -> None:
    of_two = msgspec.structs.replace(ORDERS[0], items=(OrderItem(name="shoe", amount=600), OrderItem(name="hat", amount=400)))
    facts = relations(orders=[of_two], tags=[tagged(1, ("vip", "2026-03-01"), ("new", "2026-03-01", "2026-03-10"), ("late", "2026-03-05"))])
    kpis = ("orders", "customers", "revenue", "touches")
    products = asked(facts, group_by=("product",), kpis=kpis)
    assert by(products, "path", "product") == {
        ("paid_social > email", "shoe"): {"orders": 1, "customers": 1, "revenue": 600, "touches": 3},
        ("paid_social > email", "hat"): {"orders": 1, "customers": 1, "revenue": 400, "touches": 3},
    }
    tags = asked(facts, group_by=("tag",), kpis=kpis)
    assert {row.dimensions["tag"]: row.values["revenue"] for row in tags.rows} == {"vip": 1000, "new": 1000}
    for report in (products, tags):
        assert report.overlapping
        assert total(report) == {"orders": 1, "customers": 1, "revenue": 1000, "touches": 3}
    assert [column.adds_up for column in products.columns] == [False, False, True, False]
    chosen = asked(facts, filters=(Filter(dimension="tag", op="is", values=("late",)),), kpis=kpis)
    assert total(chosen)["orders"] == 0
