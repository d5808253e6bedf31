"""Emails and tags, and what people did afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.facts import MemoryFacts
from tests.kit.report_people import at, by, contact, event, node, order, question, tagged, total, touch
from tributary.facts.tables import Kind
from tributary.reports.answer import Report
from tributary.reports.nurture import NURTURE
from tributary.reports.query import Filter, Query, ReportType, Scale

ACTIVITIES = (
    event(1, "2026-03-02", "Email Delivered", email_campaign="spring"),
    event(2, "2026-03-02", "Email Delivered", email_campaign="spring"),
    event(3, "2026-03-02", "Received Email", email_campaign="spring"),
    event(4, "2026-03-02", "Received Email", email_campaign="spring"),
    event(1, "2026-03-02T08:00", "Email Opened", email_campaign="spring"),
    event(1, "2026-03-03T08:00", "Opened Email", email_campaign="spring"),
    event(2, "2026-03-03", "Email Opened", email_campaign="spring"),
    event(1, "2026-03-03T08:01", "Email Link Clicked", email_campaign="spring", email_link="shop now"),
    event(1, "2026-03-10", "Clicked Email", email_campaign="summer"),
    event(1, "2026-02-20", "Email Opened", email_campaign="spring"),  # before the range
    event(5, "2026-03-03", "Product Viewed", email_campaign="spring"),
    event(6, "2026-03-03", "Email Opened", email_campaign="spring", bot=True),
    event(4, "2026-03-03", "Email Unsubscribed", email_campaign="spring"),
)
TOUCHES = (
    touch(1, "2026-03-03T08:02", "email", email_campaign="spring"),
    touch(3, "2026-03-04", "email", email_campaign="spring"),
    touch(3, "2026-03-05", "direct"),
)
ORDERS = (
    order(1, "2026-03-04", 1000),  # after spring
    order(1, "2026-03-12", 500),  # after both
    order(1, "2026-03-01", 9000),  # before either
    order(2, "2026-04-02", 700),  # 30 days after it was opened
    order(3, "2026-04-20", 800),  # later than the lookback
    order(4, "2026-03-05", 4000),  # got it, and did nothing with it
)
CONTACTS = (contact(1, "2026-01-01"), contact(2, "2026-03-03T00:10"), contact(3, "2026-03-04"))


def relations(**rows: Any) -> MemoryFacts:
    base = {"activities": ACTIVITIES, "touches": TOUCHES, "orders": ORDERS, "contacts": CONTACTS}
    return MemoryFacts({Kind(name): value for name, value in (base | rows).items()})


def asking(**said: Any) -> Query:
    return question(**{"type": ReportType.NURTURE, "kpis": tuple(NURTURE.all_kpis), "group_by": ("email_campaign",)} | said)


def asked(facts: MemoryFacts | None = None, **said: Any) -> Report:
    return NURTURE.answer(asking(**said), facts or relations())


def test_a_campaign_counts_what_happened_and_to_how_many() -> None:
    spring = by(asked(), "email_campaign")["spring"]
    counted = ("received", "opens", "openers", "clicks", "clickers", "visits", "visitors", "unsubscribes", "people")
    assert [spring[key] for key in counted] == [4, 3, 2, 1, 1, 2, 2, 1, 3]
    assert (spring["open_rate"], spring["click_rate"], spring["click_to_open"]) == (50, 25, 50)


def test_orders_in_the_lookback_after_a_campaign_count_in_its_row() -> None:
    found = by(asked(), "email_campaign")
    assert (found["spring"]["orders"], found["spring"]["customers"], found["spring"]["revenue"]) == (3, 2, 2200)
    assert (found["summer"]["orders"], found["summer"]["customers"], found["summer"]["revenue"]) == (1, 1, 500)
    assert found["spring"]["conversion_rate"] == pytest.approx(200 / 3, abs=1e-4)
    assert found["summer"]["days_to_order"] == 2


def test_rows_overlap_and_the_total_counts_each_order_once() -> None:
    report = asked()
    assert report.overlapping
    found = total(report)
    assert (found["orders"], found["customers"], found["revenue"], found["people"]) == (3, 2, 2200, 3)


def test_without_a_lookback_orders_count_until_now() -> None:
    assert by(asked(lookback_days=None), "email_campaign")["spring"]["revenue"] == 3000
    assert by(asked(lookback_days=None, now=at("2026-04-01")), "email_campaign")["spring"]["revenue"] == 1500


def test_leads_are_those_who_became_known_afterwards() -> None:
    assert by(asked(), "email_campaign")["spring"]["leads"] == 2


def test_links_and_weeks_tell_rows_apart_too() -> None:
    assert by(asked(group_by=("link",)), "link")["shop now"]["clicks"] == 1
    found = by(asked(group_by=(), scale=Scale.WEEK), "period")
    assert (found["2026-03-02"]["opens"], found["2026-03-09"]["clicks"], found["2026-03-16"]["opens"]) == (3, 1, 0)


def test_a_filter_chooses_what_happened() -> None:
    found = total(asked(filters=(Filter(dimension="email_campaign", op="is", values=("summer",)),)))
    assert (found["clicks"], found["opens"], found["revenue"]) == (1, 0, 500)


def test_tags_count_who_got_them_and_what_those_bought_afterwards() -> None:
    tags = [tagged(1, ("vip", "2026-03-02"), ("club", "2026-03-10")), tagged(2, ("vip", "2026-03-05")), tagged(3, ("vip", "2026-02-05"))]
    report = asked(relations(tags=tags), group_by=("tag",))
    found = by(report, "tag")
    assert {tag: (row["people"], row["customers"], row["revenue"]) for tag, row in found.items()} == {"vip": (2, 2, 2200), "club": (1, 1, 500)}
    assert found["vip"]["days_to_order"] == pytest.approx((2 + 10 + 28) / 3)
    assert (total(report)["people"], total(report)["revenue"]) == (2, 2200)
    chosen = asked(relations(tags=tags), group_by=("tag",), filters=(Filter(dimension="tag", op="is", values=("club",)),))
    assert set(by(chosen, "tag")) == {"club"}


def test_the_ledger_of_revenue_is_the_orders_and_of_people_the_people() -> None:
    report = asked()
    spring = next(row for row in report.rows if row.dimensions["email_campaign"] == "spring")
    money = NURTURE.ledger(asking(), relations(), row_key=spring.key, kpi="revenue", limit=10, offset=0)
    assert [(line.kind, line.id, line.value) for line in money.lines] == [
        ("order", "O2026-03-04", 1000),
        ("order", "O2026-03-12", 500),
        ("order", "O2026-04-02", 700),
    ]
    people = NURTURE.ledger(asking(), relations(), row_key=spring.key, kpi="people", limit=10, offset=0)
    assert {line.person for line in people.lines} == {node(1), node(2), node(3)}
    whole = NURTURE.ledger(asking(), relations(), row_key=None, kpi="revenue", limit=10, offset=0)
    assert whole.total == whole.adds_up_to == 2200


def test_only_what_is_asked_for_is_read() -> None:
    assert set(NURTURE.needs(asking(kpis=("opens",)))) == {Kind.ACTIVITIES, Kind.TOUCHES}
    assert set(NURTURE.needs(asking(kpis=("people",), group_by=("tag",)))) == {Kind.TAGS}
    assert NURTURE.needs(asking(kpis=("revenue",)))[Kind.ORDERS] == ("2026-03", "2026-06")
