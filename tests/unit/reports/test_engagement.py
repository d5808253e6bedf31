"""Who is active, and whether the active buy."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.facts import MemoryFacts
from tests.kit.report_people import by, contact, event, node, order, page, question, tagged, total
from tributary.facts.tables import Kind
from tributary.reports.answer import Report
from tributary.reports.engagement import ENGAGEMENT
from tributary.reports.query import Filter, Query, ReportType, Scale

ACTIVITIES = (
    page(1, "2026-03-02T10:00", "shop.example/"),
    page(1, "2026-03-02T10:29", "shop.example/p"),
    event(1, "2026-03-02T10:59", "Product Viewed"),  # still the same session
    page(1, "2026-03-02T11:29:01", "shop.example/"),  # half an hour and a second later
    page(2, "2026-03-10T10:00", "shop.example/"),
    event(2, "2026-03-10T10:05", "Email Opened", email_campaign="spring"),
    event(3, "2026-03-20", "Clicked Email", email_campaign="spring"),
    page(3, "2026-04-02", "shop.example/"),  # after the range
    page(4, "2026-03-02", "shop.example/", bot=True),
)
CONTACTS = (contact(1, "2026-03-02", country="US"), contact(3, "2026-01-02", country="DE"), contact(5, "2026-02-02", country="US"), contact(6, "2026-04-02"))
ORDERS = (order(1, "2026-03-02T10:30", 1000), order(3, "2026-04-02", 1000), order(2, "2026-03-11", 1000))


def relations(**rows: Any) -> MemoryFacts:
    return MemoryFacts({Kind(name): value for name, value in ({"activities": ACTIVITIES, "contacts": CONTACTS, "orders": ORDERS} | rows).items()})


def asking(**said: Any) -> Query:
    return question(**{"type": ReportType.ENGAGEMENT, "kpis": tuple(ENGAGEMENT.all_kpis)} | said)


def asked(facts: MemoryFacts | None = None, **said: Any) -> Report:
    return ENGAGEMENT.answer(asking(**said), facts or relations())


def test_what_people_did_is_counted_and_who_they_were() -> None:
    found = total(asked())
    counted = ("activities", "page_views", "events", "visitors", "opens", "clicks")
    assert [found[key] for key in counted] == [7, 4, 3, 3, 1, 1]
    assert found["pages_per_person"] == 2


def test_a_session_ends_after_half_an_hour_without_anything() -> None:
    found = total(asked())
    assert (found["sessions"], found["pages_per_session"]) == (4, 1)
    assert {where: row["sessions"] for where, row in by(asked(group_by=("page",)), "page").items()} == {"shop.example/": 3, "shop.example/p": 1, None: 3}


def test_the_engaged_are_contacts_who_did_anything_and_their_rate_is_of_all_contacts() -> None:
    found = total(asked())
    assert (found["engaged_contacts"], found["contacts"], found["engagement_rate"]) == (2, 3, pytest.approx(200 / 3, abs=1e-4))
    assert (found["engaged_customers"], found["engaged_customer_rate"]) == (1, 50)


def test_all_contacts_are_counted_by_country_but_not_by_page() -> None:
    found = by(asked(group_by=("country",)), "country")
    assert {country: (row["engaged_contacts"], row["contacts"]) for country, row in found.items()} == {"US": (1, 2), "DE": (1, 1), None: (0, 0)}
    assert by(asked(group_by=("page",)), "page")["shop.example/"]["engagement_rate"] is None


def test_rows_are_told_apart_by_event_email_and_day() -> None:
    assert by(asked(group_by=("event",)), "event")["Product Viewed"]["events"] == 1
    assert by(asked(group_by=("email_campaign",)), "email_campaign")["spring"]["visitors"] == 2
    days = by(asked(scale=Scale.DAY), "period")
    assert (days["2026-03-02"]["page_views"], days["2026-03-03"]["page_views"]) == (3, 0)


def test_by_tags_rows_overlap_and_the_total_counts_each_activity_once() -> None:
    facts = relations(tags=[tagged(1, ("vip", "2026-03-01"), ("club", "2026-03-02T10:30"))])
    report = asked(facts, group_by=("tag",))
    assert {tag: row["activities"] for tag, row in by(report, "tag").items()} == {"vip": 4, "club": 2, None: 3}
    assert report.overlapping
    assert (total(report)["activities"], total(report)["visitors"]) == (7, 3)
    chosen = asked(facts, filters=(Filter(dimension="tag", op="is", values=("club",)),))
    assert total(chosen)["activities"] == 2


def test_the_ledger_of_engaged_contacts_is_who_they_are() -> None:
    found = ENGAGEMENT.ledger(asking(), relations(), row_key=None, kpi="engaged_contacts", limit=10, offset=0)
    assert [line.person for line in found.lines] == [node(1), node(3)]
    assert found.total == found.adds_up_to == 2
    rate = ENGAGEMENT.ledger(asking(), relations(), row_key=None, kpi="engagement_rate", limit=10, offset=0)
    assert (rate.parts["over"], rate.parts["under"]) == (2, 3)


def test_contacts_and_orders_are_read_only_where_asked_for() -> None:
    assert set(ENGAGEMENT.needs(asking(kpis=("page_views", "visitors")))) == {Kind.ACTIVITIES}
    assert set(ENGAGEMENT.needs(asking(kpis=("engaged_customer_rate",)))) == {Kind.ACTIVITIES, Kind.CONTACTS, Kind.ORDERS}


def test_what_was_done_to_people_engages_nobody() -> None:
    told = [
        event(1, "2026-03-05", "Order Completed", connection="con_crm"),
        event(2, "2026-03-05", "Email Delivered"),
        event(3, "2026-03-05", "Email Opened", connection="con_mail"),
        event(4, "2026-03-05", "Berth Booked"),
    ]
    report = asked(
        relations(orders=(), activities=told, contacts=[contact(number, "2026-03-01") for number in range(1, 5)]),
        kpis=("visitors", "sessions", "engaged_contacts"),
    )
    assert total(report) == {"visitors": 2, "sessions": 2, "engaged_contacts": 2}


def test_where_all_contacts_are_not_counted_there_is_no_figure_rather_than_a_wrong_one() -> None:
    for report in (asked(scale=Scale.MONTH), asked(group_by=("page",))):
        assert {(row["contacts"], row["engagement_rate"]) for row in [*[dict(row.values) for row in report.rows], total(report)]} == {(None, None)}
        assert total(report)["engaged_contacts"] == 2
