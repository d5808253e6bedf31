"""All time begins before any shop did: rows begin where something is known."""

from __future__ import annotations

from tests.kit.report_facts import NOW, asked, facts, order, subscription
from tributary.reports import ranges
from tributary.reports.query import ReportType, Scale


def test_months_of_all_time_begin_with_the_first_that_has_anything_and_have_no_gap() -> None:
    ever = ranges.read_range("all_time", zone="UTC", now=NOW)
    report = asked(facts(order("ada", "01-05", 1_000), order("bea", "03-20", 500)), type=ReportType.ORDERS, range=ever, scale=Scale.MONTH, kpis=("orders",))
    assert [(row.dimensions["period"], row.values["orders"]) for row in report.rows] == [("2026-01-01", 1), ("2026-02-01", 0), ("2026-03-01", 1)]


def test_subscriptions_of_all_time_begin_with_the_first_and_end_with_what_has_begun() -> None:
    rows = facts(subscription("ada", "S", began_with=None, at="02-10"))
    for of, last in (("all_time", "2026-06-01"), ("2026", "2026-06-01")):
        ever = ranges.read_range(of, zone="UTC", now=NOW)
        report = asked(rows, type=ReportType.SUBSCRIPTIONS, range=ever, scale=Scale.MONTH, kpis=("new_subscriptions",))
        periods = sorted(row.dimensions["period"] or "" for row in report.rows)
        assert periods[-1] == last
        assert periods[0] == ("2026-02-01" if of == "all_time" else "2026-01-01")
