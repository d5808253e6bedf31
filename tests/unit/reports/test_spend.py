"""Advertising spend: which rows it belongs to, and the KPIs that it is part of."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.kit.facts import MemoryFacts
from tests.kit.report_facts import asked, behind, facts, lead, order, rate, spent, total, touch, values
from tributary.facts.tables import Fact
from tributary.reports import ranges
from tributary.reports.answer import Report
from tributary.reports.as_csv import report_csv
from tributary.reports.query import Filter, FixedCost, ReportType, Scale

ADS = ReportType.ADVERTISEMENT


def _with(*more: Fact) -> MemoryFacts:
    """Ann came by an advertisement that is known by all of its ids; most visits with its campaign's id call it `Spring Sale`."""
    ids = {"campaign_id": "c1", "adset_id": "s1", "ad_id": "a1"}
    return facts(
        touch("ann", "03-02", "paid_search", source="Google", medium="cpc", campaign="Spring Sale", **ids),
        touch("bob", "03-02", "paid_search", source="Google", medium="cpc", campaign="Spring Sale", **(ids | {"ad_id": "a2", "adset_id": "s2"})),
        touch("cat", "03-02", "paid_search", source="Google", medium="cpc", campaign="typo", campaign_id="c1"),
        order("ann", "03-03", 1_000),
        *more,
    )


def _spend(rows: MemoryFacts, *by: str, **said: Any) -> Report:
    return asked(rows, type=ADS, group_by=by, kpis=("ad_spend", "net_revenue", "matched_spend"), **said)


@pytest.mark.parametrize(
    "named",
    [
        {"ad_id": "a1"},
        {"ad_id": "unknown", "adset_id": "s1"},
        {"campaign_id": "c1"},
        {"source": "google", "campaign": "spring_sale"},
        {"campaign_name": " SPRING-sale "},
    ],
)
def test_spend_stands_beside_what_its_ad_ad_set_campaign_or_names_brought(named: dict[str, str]) -> None:
    report = _spend(_with(spent("03-05", "google", 400, **named)), "campaign")
    assert values(report, "ad_spend") == {"Spring Sale": 400}
    assert values(report, "net_revenue") == {"Spring Sale": 1_000}
    assert total(report, "matched_spend") == 400


def test_spend_of_a_platform_alone_is_of_its_source() -> None:
    rows = _with(spent("03-05", "google", 400))
    assert values(_spend(rows, "source"), "ad_spend") == {"Google": 400}
    assert values(_spend(rows, "channel"), "ad_spend") == {"paid_search": 400}


def test_a_campaigns_spend_is_of_no_one_ad() -> None:
    report = _spend(_with(spent("03-05", "google", 400, campaign_id="c1")), "ad")
    assert values(report, "ad_spend") == {"a1": 0, None: 400}


def test_spend_that_no_touch_is_known_of_stays_in_a_row_of_its_own() -> None:
    report = _spend(_with(spent("03-05", "tiktok", 400, campaign_name="Dance", campaign_id="c9")), "campaign")
    assert values(report, "ad_spend") == {"Spring Sale": 0, "Dance": 400}
    assert (total(report, "ad_spend"), total(report, "matched_spend")) == (400, 0)


def test_spend_is_never_divided_by_what_touches_do_not_tell_and_the_answer_says_so() -> None:
    report = _spend(_with(spent("03-05", "google", 400, ad_id="a1")), "product")
    assert total(report, "ad_spend") == 400
    assert any("product" in note for note in report.notes)


def test_a_filter_of_touches_filters_spend_too() -> None:
    rows = _with(spent("03-05", "google", 400, ad_id="a1"), spent("03-05", "tiktok", 90, campaign="x"))
    report = _spend(rows, "campaign", filters=(Filter(dimension="source", op="is", values=("Google",)),))
    assert values(report, "ad_spend") == {"Spring Sale": 400}
    assert total(report, "ad_spend") == 400


def test_spend_counts_on_its_day_and_in_its_currency() -> None:
    rows = _with(
        rate("03-04", "EUR", "1.5"),
        spent("03-05", "google", 3, currency="EUR"),
        spent("03-06", "bing", 7, currency="GBP"),
        spent("04-01", "google", 9),
    )
    report = asked(rows, type=ADS, kpis=("ad_spend",), scale=Scale.DAY)
    told = [(row.currency, row.dimensions["period"], row.values["ad_spend"]) for row in report.rows if row.values["ad_spend"]]
    assert told == [("USD", "2026-03-05", 4), ("GBP", "2026-03-06", 7)]
    assert (total(report, "ad_spend"), total(report, "ad_spend", "GBP")) == (4, 7)


def test_of_hours_a_days_spend_stands_in_its_first_also_where_the_clocks_leave_midnight_out() -> None:
    cairo = "Africa/Cairo"
    rows = facts(spent("04-24", "google", 500))
    for first in (date(2026, 4, 20), date(2026, 4, 24)):
        report = asked(rows, type=ADS, kpis=("ad_spend",), scale=Scale.HOUR, range=ranges.days(first, date(2026, 4, 24), zone=cairo), time_zone=cairo)
        assert [row.dimensions["period"] for row in report.rows if row.values["ad_spend"]] == ["2026-04-24T01:00+03:00"]


def test_fixed_costs_are_daily_or_once_and_end_today() -> None:
    daily = FixedCost(id="d", name="Agency", amount=10, currency="USD", first=date(2026, 3, 30), last=None, source="Google", campaign="spring sale")
    once = FixedCost(id="o", name="Shoot", amount=500, currency="USD", first=date(2026, 3, 5), last=date(2026, 3, 5))
    report = _spend(_with(), "campaign", fixed_costs=(daily, once))
    assert values(report, "ad_spend") == {"Spring Sale": 20, None: 500}
    assert total(report, "ad_spend") == 520


def test_the_kpis_of_advertising() -> None:
    rows = facts(
        lead("ann", "03-02"),
        lead("bob", "03-02"),
        order("ann", "03-03", 1_000),
        order("ann", "03-04", 200),
        spent("03-05", "google", 400, impressions=8_000, clicks=50),
    )
    expected = {
        "ctr": 0.625,
        "cpc": 8,
        "cpm": 50,
        "cpl": 200,
        "cac": 400,
        "cost_per_customer": 400,
        "cost_per_order": 200,
        "roas": 3,
        "roi": 200,
        "profit": 800,
        "margin": 66.6667,
        "epc": 24,
    }
    report = asked(rows, type=ADS, kpis=tuple(expected))
    assert {kpi: total(report, kpi) for kpi in expected} == expected


def test_payback_is_the_first_day_by_whose_end_the_leads_of_the_range_brought_in_what_was_spent() -> None:
    rows = facts(
        touch("ann", "03-01", "email", campaign="a"),
        touch("bob", "03-01", "email", campaign="b"),
        lead("ann", "03-02"),
        lead("bob", "03-02"),
        order("ann", "03-02", 100),
        order("ann", "05-01 12:00", 300),
        order("bob", "03-04", 10),
        order("eve", "03-04", 1_000),
        spent("03-05", "google", 400, campaign="a"),
        spent("03-05", "google", 50, campaign="b"),
    )
    report = asked(rows, type=ADS, group_by=("campaign",), kpis=("payback_days",), lookback_days=None)
    assert values(report, "payback_days") == {"a": 61, "b": None}
    assert total(report, "payback_days") is None
    of_a = (Filter(dimension="campaign", op="is", values=("a",)),)
    assert total(asked(rows, type=ADS, kpis=("payback_days",), filters=of_a, lookback_days=None), "payback_days") == 61


def test_payback_opens_into_what_came_in_and_what_was_spent() -> None:
    rows = facts(lead("ann", "03-02"), order("ann", "03-03", 100), order("ann", "05-01", 300), order("eve", "03-04", 9), spent("03-05", "google", 400))
    ledger = behind(rows, "payback_days", type=ADS)
    assert [(line.kind, line.value) for line in ledger.lines] == [("order", 100), ("order", 300), ("spend", -400)]
    assert (ledger.total, ledger.adds_up_to, ledger.parts) == (60, 0, {"profit": 0})


def test_the_ledger_of_profit_lists_orders_and_spend() -> None:
    rows = _with(spent("03-05", "google", 400, ad_id="a1"))
    report = asked(rows, type=ADS, group_by=("campaign",), kpis=("profit",))
    ledger = behind(rows, "profit", report.rows[0].key, type=ADS, group_by=("campaign",))
    assert [(line.kind, line.value) for line in ledger.lines] == [("order", 1_000), ("spend", -400)]
    assert ledger.total == ledger.adds_up_to == 600


@pytest.mark.parametrize("by", [(), ("campaign",), ("source",)])
def test_a_touch_of_the_platform_alone_is_no_match_of_a_campaign_that_brought_nobody(by: tuple[str, ...]) -> None:
    rows = facts(
        touch("ann", "03-04", "paid_search", source="google", campaign="Brand"),
        spent("03-05", "google", 400, campaign="Nobody"),
        spent("03-05", "google", 100, campaign="brand"),
    )
    report = asked(rows, type=ADS, group_by=by, kpis=("ad_spend", "matched_spend", "matched_spend_pct"))
    assert (total(report, "ad_spend"), total(report, "matched_spend"), total(report, "matched_spend_pct")) == (500, 100, 20)


def test_what_the_platform_claims_that_its_conversions_were_worth_is_converted_as_spend_is_and_divided_by_what_ads_cost() -> None:
    agency = FixedCost(id="d", name="Agency", amount=1_000, currency="USD", first=date(2026, 3, 5), last=date(2026, 3, 5))
    rows = facts(
        spent("03-05", "google", 400, platform_conversion_value=1_000),
        spent("03-05", "facebook", 100, currency="EUR", platform_conversion_value=250),
        spent("03-06", "facebook", 100),
        rate("03-04", "EUR", "2"),
    )
    report = asked(rows, type=ADS, kpis=("platform_conversion_value", "platform_roas"), fixed_costs=(agency,))
    assert report.totals[0].values == {"platform_conversion_value": 1_500, "platform_roas": round(1_500 / 700, 6)}
    assert behind(rows, "platform_conversion_value", type=ADS).adds_up_to == 1_500


def test_rows_by_ids_of_an_ad_platform_have_the_name_that_spend_said_last_beside_the_id() -> None:
    rows = _with(
        spent("03-05", "google", 400, ad_id="a1", ad_name="Blue boat", adset_id="s1", adset_name="Harbour", campaign_id="c1", campaign_name="Spring"),
        spent("03-06", "google", 400, ad_id="a1", ad_name="Red boat"),
        spent("04-06", "google", 400, ad_id="a1", ad_name="of April"),
        spent("03-06", "google", 400, ad_id="a3"),
    )
    report = _spend(rows, "ad", "adset")
    assert {row.dimensions["ad"]: row.names for row in report.rows} == {"a1": {"ad": "Red boat", "adset": "Harbour"}, "a3": {}}
    assert {row.dimensions["campaign_id"]: row.names for row in asked(rows, group_by=("campaign_id",)).rows} == {"c1": {"campaign_id": "Spring"}}
    header, first, *_ = report_csv(report, ("ad", "adset"), ()).splitlines()
    assert header.startswith("line,ad,adset,ad_name,adset_name,currency,")
    assert first.startswith("row,a1,s1,Red boat,Harbour,USD,")


def test_the_ad_account_stands_in_the_ledger() -> None:
    lines = behind(facts(spent("03-05", "facebook", 5, account_id="17"), spent("03-05", "google", 5)), "ad_spend", type=ADS).lines
    assert [line.connection for line in lines] == ["facebook 17", "google"]
