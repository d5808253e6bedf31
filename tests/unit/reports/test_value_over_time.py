"""Cohorts of leads and what they brought by which day."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.kit.facts import MemoryFacts
from tests.kit.report_people import at, by, contact, node, order, question, total, touch
from tributary.facts.tables import Kind
from tributary.reports.answer import Report
from tributary.reports.query import Model, Query, ReportType, Scale
from tributary.reports.ranges import days
from tributary.reports.value_over_time import VALUE_OVER_TIME

SPRING = days(date(2026, 3, 1), date(2026, 5, 31), zone="UTC")
CONTACTS = (contact(1, "2026-03-02", country="US"), contact(2, "2026-03-10T12:00", country="DE"), contact(3, "2026-05-20"), contact(4, "2026-02-01"))
ORDERS = (
    order(1, "2026-03-02T10:00", 1000),  # within a day
    order(1, "2026-03-09", 500),  # 7 days to the second
    order(1, "2026-04-20", 2000),  # within 90
    order(2, "2026-03-17T12:00:01", 4000, refunded=1500),  # a second past 7 days
    order(3, "2026-05-20", 300),
    order(4, "2026-03-03", 9000),  # of another cohort
)


def relations(**rows: Any) -> MemoryFacts:
    return MemoryFacts({Kind(name): value for name, value in ({"contacts": CONTACTS, "orders": ORDERS} | rows).items()})


def asking(**said: Any) -> Query:
    base = {"type": ReportType.VALUE_OVER_TIME, "range": SPRING, "intervals": (1, 7, 30, 90), "model": Model.LEAD_SOURCE}
    query = question(**base | said)
    kpis = said.get("kpis") or tuple(VALUE_OVER_TIME.kpis(query))
    return question(**base | said | {"kpis": kpis})


def asked(facts: MemoryFacts | None = None, **said: Any) -> Report:
    return VALUE_OVER_TIME.answer(asking(**said), facts or relations())


def test_a_cohort_is_worth_what_its_leads_brought_by_each_day() -> None:
    march = by(asked(), "period")["2026-03-01"]
    assert march["leads"] == 2
    assert [march[f"revenue_{day}"] for day in (1, 7, 30, 90)] == [1000, 1500, 4000, 6000]
    assert [march[f"value_{day}"] for day in (1, 7, 30, 90)] == [500, 750, 2000, 3000]
    assert [march[f"customers_{day}"] for day in (1, 7, 30, 90)] == [1, 1, 2, 2]
    assert (march["revenue"], march["lead_value"], march["customer_value"], march["conversion_rate"]) == (6000, 3000, 3000, 100)


def test_a_cell_whose_day_has_not_passed_says_which_part_of_the_people_is_mature() -> None:
    report = asked()
    found = by(report, "period")
    assert [found["2026-03-01"][f"mature_{day}"] for day in (1, 7, 30, 90)] == [100, 100, 100, 50]
    assert [found["2026-05-01"][f"mature_{day}"] for day in (1, 7, 30, 90)] == [100, 100, 0, 0]
    assert [row.immature for row in report.rows] == [True, False, True]
    assert [row.immature for row in asked(intervals=(1, 7)).rows] == [False, False, False]


def test_a_row_is_known_to_be_immature_without_the_column_that_says_so() -> None:
    report = asked(kpis=("leads", "value_90"))
    assert [row.immature for row in report.rows] == [True, False, True]
    assert [column.key for column in report.columns] == ["leads", "value_90"]
    assert set(report.rows[0].values) == set(report.totals[0].values) == {"leads", "value_90"}


def test_cohorts_are_months_unless_another_scale_or_grouping_is_asked_for() -> None:
    assert [row.dimensions for row in asked().rows] == [{"period": "2026-03-01"}, {"period": "2026-04-01"}, {"period": "2026-05-01"}]
    assert by(asked(scale=Scale.WEEK), "period")["2026-03-09"]["leads"] == 1
    assert {country: values["leads"] for country, values in by(asked(group_by=("country",)), "country").items()} == {"US": 1, "DE": 1, None: 1}


def test_the_total_is_of_all_leads() -> None:
    found = total(asked())
    assert (found["leads"], found["revenue_7"], found["value_7"]) == (3, 1800, 600)
    assert found["days_to_purchase"] == pytest.approx((10 / 24 + 7 + 1 / 86400 + 0) / 3)


def test_the_lead_belongs_to_what_made_it_whatever_came_later() -> None:
    touches = [touch(1, "2026-03-01", "email"), touch(1, "2026-03-02T09:00", "direct"), touch(2, "2026-03-10", "paid_search")]
    report = asked(relations(touches=touches), group_by=("channel",))
    found = by(report, "channel")
    assert {channel: (row["leads"], row["revenue"]) for channel, row in found.items()} == {"email": (1, 3500), "paid_search": (1, 2500), None: (1, 300)}
    assert report.coverage_pct == pytest.approx(200 / 3, abs=1e-4)


def test_shares_of_many_touches_come_to_the_whole() -> None:
    touches = [touch(1, "2026-03-01", "email"), touch(1, "2026-03-01T09:00", "direct"), touch(1, "2026-03-01T12:00", "paid_search")]
    report = asked(relations(touches=touches), group_by=("channel",), model=Model.LINEAR)
    assert sum(row.values["revenue_1"] or 0 for row in report.rows) == total(report)["revenue_1"] == 1300
    assert sum(row.values["leads"] or 0 for row in report.rows) == pytest.approx(3)


def test_what_is_later_than_the_question_does_not_count() -> None:
    found = by(asked(now=at("2026-03-12")), "period")["2026-03-01"]
    assert (found["leads"], found["revenue"], found["mature_7"]) == (2, 1500, 50)


def test_other_currencies_stand_apart() -> None:
    report = asked(relations(orders=[*ORDERS, order(1, "2026-03-03", 700, currency="EUR")]))
    assert [(one.currency, one.values["leads"], one.values["revenue"]) for one in report.totals] == [("USD", 3, 6300), ("EUR", 0, 700)]


def test_the_ledger_of_a_cohorts_revenue_is_the_leads_who_brought_it() -> None:
    march = asked().rows[0]
    found = VALUE_OVER_TIME.ledger(asking(), relations(), row_key=march.key, kpi="revenue_7", limit=10, offset=0)
    assert [(line.person, line.value) for line in found.lines] == [(node(1), 1500)]
    rate = VALUE_OVER_TIME.ledger(asking(), relations(), row_key=march.key, kpi="value_7", limit=10, offset=0)
    assert (rate.total, rate.adds_up_to, rate.parts["under"]) == (750, 1500, 2)


def test_orders_are_not_read_where_only_leads_are_asked_for() -> None:
    assert set(VALUE_OVER_TIME.needs(asking(kpis=("leads", "mature_7")))) == {Kind.CONTACTS}
    assert set(VALUE_OVER_TIME.needs(asking(kpis=("value_7",)))) == {Kind.CONTACTS, Kind.ORDERS, Kind.RATES}
