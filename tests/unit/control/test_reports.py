"""The report API over facts in memory: what it answers, refuses and keeps."""

from __future__ import annotations

import base64
import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.report_api import NOW, ReportBench, SimpleOrders, order, profile
from tests.unit.control.test_openapi import check
from tributary.contacts.rows import Root, encode, root_key
from tributary.control.report_routes import LedgerQuery
from tributary.drafts import AccountChange
from tributary.errors import ReportTooLarge, StoreUnavailable
from tributary.facts.tables import ActivityFact, ContactFact, Kind, Months, TagInterval, TagsFact, TouchFact
from tributary.ports import ContactRow
from tributary.reports.engine import REPORTS
from tributary.reports.query import DateMode, FixedCost, Model, ReportType

MARCH = datetime(2026, 3, 20, 12, tzinfo=UTC)


@pytest.fixture
def bench() -> ReportBench:
    return ReportBench(
        {
            Kind.ORDERS: [
                order(1, MARCH, 10_000, discount=1_000),
                order(2, MARCH, 5_050),
                order(3, MARCH, 2_000, connection="=cmd()"),
                order(4, MARCH, 500, currency="JPY"),
                order(5, datetime(2026, 2, 1, tzinfo=UTC), 99_900),
            ]
        }
    )


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def wrong(body: Any) -> dict[str, str]:
    return {one["field"]: one["code"] for one in body["parameters"]}


def test_a_report_says_its_figures_and_everything_that_they_follow_from(bench: ReportBench) -> None:
    said = bench.get("/api/reports/orders", {"range": "2026-03"})
    assert said.status == 200, said.text
    assert [(row["dimensions"], row["values"], row["currency"]) for row in said.body["rows"]] == [
        ({"connection": "kon_1"}, {"net_revenue": 500, "orders": 1}, "JPY"),
        ({"connection": "=cmd()"}, {"net_revenue": 2_000, "orders": 1}, "USD"),
        ({"connection": "kon_1"}, {"net_revenue": 14_050, "orders": 2}, "USD"),
    ]
    assert said.body["as_of"] == "2026-04-10T15:30:00Z"
    assert said.body["cached"] is False
    assert said.body["columns"][0]["definition"] == "Gross - discount."
    assert (said.body["coverage_pct"], said.body["notes"], said.body["rates_source"]) == (12.5, ["A note."], "the bank")
    settings = said.body["settings"]
    assert settings["range"] == {
        "first": "2026-03-01",
        "last": "2026-03-31",
        "start": "2026-03-01T00:00:00Z",
        "end": "2026-04-01T00:00:00Z",
        "words": "2026-03",
    }
    assert (settings["model"], settings["lookback_days"], settings["date_mode"], settings["time_zone"]) == ("last_touch", 30, "conversion_date", "UTC")


def test_a_time_zone_that_was_changed_changes_the_next_answer(bench: ReportBench) -> None:
    before = bench.get("/api/reports/orders").body["settings"]
    bench.operator.update_account(AccountChange(time_zone="Pacific/Auckland", reporting_currency="NZD", report_defaults={"model": "linear"}))
    after = bench.get("/api/reports/orders").body["settings"]
    assert (before["time_zone"], before["currency"], before["model"], before["range"]["last"]) == ("UTC", "USD", "last_touch", "2026-04-09")
    assert (after["time_zone"], after["currency"], after["model"], after["range"]["last"]) == ("Pacific/Auckland", "NZD", "linear", "2026-04-10")


def test_the_same_question_to_the_same_facts_is_answered_once(bench: ReportBench) -> None:
    first = bench.get("/api/reports/orders", {"range": "2026-03"})
    bench.at = bench.facts.as_of = NOW + timedelta(seconds=59)
    second = bench.get("/api/reports/orders", {"range": "2026-03", "format": "json"})
    assert len(bench.orders.asked) == 1
    assert (first.body["cached"], second.body["cached"]) == (False, True)
    assert {**first.body, "cached": True} == second.body, "as of the moment that it was worked out"
    assert (first.header("x-tributary-cached"), second.header("x-tributary-cached")) == ("false", "true")


def test_an_answer_is_given_again_for_a_minute_at_most(bench: ReportBench) -> None:
    bench.get("/api/reports/orders", {"range": "2026-03"})
    bench.at = bench.facts.as_of = NOW + timedelta(seconds=60)
    assert bench.get("/api/reports/orders", {"range": "2026-03"}).body["as_of"] == "2026-04-10T15:31:00Z"
    assert len(bench.orders.asked) == 2


@pytest.mark.parametrize(
    ("parameter", "value"), [("range", "2026-02"), ("model", "linear"), ("lookback", "7"), ("kpis", "orders"), ("limit", "1"), ("time_zone", "Asia/Tokyo")]
)
def test_another_question_is_answered_for_itself(bench: ReportBench, parameter: str, value: str) -> None:
    bench.get("/api/reports/orders", {"range": "2026-03"})
    assert bench.get("/api/reports/orders", {"range": "2026-03", parameter: value}).body["cached"] is False
    assert len(bench.orders.asked) == 2


def test_facts_that_came_meanwhile_are_in_the_next_answer(bench: ReportBench) -> None:
    before = bench.get("/api/reports/orders", {"range": "2026-03"})
    bench.facts.add(Kind.ORDERS, [order(9, MARCH, 700)])
    after = bench.get("/api/reports/orders", {"range": "2026-03"})
    assert (before.body["totals"][1]["values"]["orders"], after.body["totals"][1]["values"]["orders"]) == (3, 4)
    assert after.body["cached"] is False


def test_the_kept_answers_are_bounded(bench: ReportBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tributary.reports.reporting.KEPT_ANSWERS", 2)
    for limit in ("1", "2", "3", "3", "2", "1"):
        bench.get("/api/reports/orders", {"range": "2026-03", "limit": limit})
    assert [query.limit for query in bench.orders.asked] == [1, 2, 3, 1]
    monkeypatch.setattr("tributary.reports.reporting.KEPT_ROWS", 3)
    bench.orders.asked.clear()
    for limit in ("5", "1", "5", "1"):
        bench.get("/api/reports/orders", {"range": "2026-03", "limit": limit, "kpis": "orders"})
    assert [query.limit for query in bench.orders.asked] == [5, 1, 5, 1]


def test_only_the_facts_that_it_can_need_are_opened(bench: ReportBench) -> None:
    bench.get("/api/reports/orders", {"range": "2026-02"})
    assert bench.facts.needs == {Kind.ORDERS: Months("2026-02", "2026-03")}


def test_what_reports_there_are_is_told_with_what_everything_means(bench: ReportBench) -> None:
    bench.operator.update_account(AccountChange(report_fields=["plan"]))
    (only,) = bench.get("/api/reports").body["data"]
    assert only["type"] == "orders"
    assert (only["kpis"][0]["key"], only["kpis"][0]["definition"]) == ("net_revenue", "Gross - discount.")
    assert [one["key"] for one in only["dimensions"]] == ["channel", "coupon", "connection", "field:plan"]
    assert all(one["name"] and one["definition"] for one in only["dimensions"])


def test_every_wrong_parameter_of_a_question_is_named(bench: ReportBench) -> None:
    said = bench.get("/api/reports/orders", [("range", "soon"), ("modle", "x"), ("kpis", "guesses"), ("limit", "1"), ("limit", "2"), ("format", "xml")])
    assert said.status == 400
    assert wrong(said.body) == {
        "range": "invalid_parameter",
        "modle": "unknown_parameter",
        "kpis": "invalid_parameter",
        "limit": "repeated_parameter",
        "format": "invalid_parameter",
    }
    assert (said.body["field"], said.body["code"]) == ("modle", "unknown_parameter")
    assert "net_revenue, orders, net_share" in next(one["detail"] for one in said.body["parameters"] if one["field"] == "kpis")
    assert bench.orders.asked == []


def test_a_report_that_there_is_not_is_said_with_those_there_are(bench: ReportBench) -> None:
    said = bench.get("/api/reports/weather")
    assert (said.status, said.body["code"]) == (404, "not_found")
    assert "orders" in said.body["detail"]


def test_a_report_that_is_too_large_says_what_would_help(bench: ReportBench) -> None:
    bench.orders.failing = ReportTooLarge("it needs more than 2,000 MB: ask for a narrower range, or give the function more memory")
    said = bench.get("/api/reports/orders")
    assert (said.status, said.body["code"]) == (422, "report_too_large")
    assert said.body["detail"] == "It needs more than 2,000 MB: ask for a narrower range, or give the function more memory."
    bench.orders.failing = StoreUnavailable("no")
    assert bench.get("/api/reports/orders").status == 503


def test_an_answer_that_cannot_be_sent_is_refused_in_words(bench: ReportBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tributary.control.http.MAX_ANSWER_BYTES", 1_000)
    said = bench.get("/api/reports/orders", {"range": "2026-03"})
    assert (said.status, said.body["code"]) == (422, "answer_too_large")


# ---------------------------------------------------------------- who may ask


def test_figures_and_people_are_opened_by_scopes_of_their_own(bench: ReportBench) -> None:
    figures, people, neither = bench.new_key("reports:read"), bench.new_key("reports:read_people"), bench.new_key("account:read", "events:read_bodies")
    for path in ("/api/reports", "/api/reports/orders"):
        assert bench.get(path, key=figures).status == 200
        for key in (people, neither):
            assert (bench.get(path, key=key).status, bench.get(path, key=key).body["scope"]) == (403, "reports:read")
    ledger = "/api/reports/orders/ledger"
    assert bench.get(ledger, key=people).status == 200
    for key in (figures, neither):
        assert (bench.get(ledger, key=key).status, bench.get(ledger, key=key).body["scope"]) == (403, "reports:read_people")


def test_one_persons_journey_needs_the_scope_of_people() -> None:
    journeys = SimpleOrders(type=ReportType.JOURNEYS)
    bench = ReportBench({}, kinds={ReportType.JOURNEYS: journeys})
    asked = {"contact": "0" * 32}
    figures, both = bench.new_key("reports:read"), bench.new_key("reports:read", "reports:read_people")
    assert bench.get("/api/reports/journeys", asked, key=figures).body["scope"] == "reports:read_people"
    assert bench.get("/api/reports/journeys", key=figures).status == 200
    assert bench.get("/api/reports/journeys", asked, key=both).body["settings"]["contact"] == "0" * 32


# ---------------------------------------------------------------- CSV


@pytest.mark.parametrize("how", [{"parameter": "csv"}, {"accept": "text/csv"}, {"accept": "text/csv;q=0.9, */*;q=0.1"}], ids=str)
def test_a_report_comes_as_csv_with_money_as_decimals(bench: ReportBench, how: dict[str, str]) -> None:
    parameters = {"range": "2026-03", "kpis": "all", **({"format": how["parameter"]} if "parameter" in how else {})}
    said = bench.get("/api/reports/orders", parameters, **({"accept": how["accept"]} if "accept" in how else {}))
    assert said.header("content-type") == "text/csv; charset=utf-8"
    assert said.header("content-disposition") == 'attachment; filename="orders.csv"'
    found = lines(said.text)
    assert [(one["line"], one["connection"], one["currency"], one["net_revenue"], one["orders"], one["net_share"]) for one in found[:5]] == [
        ("row", "kon_1", "JPY", "500", "1", "100.0"),
        ("row", "'=cmd()", "USD", "20.00", "1", "100.0"),
        ("row", "kon_1", "USD", "140.50", "2", "93.3555"),
        ("total", "", "JPY", "500", "1", ""),
        ("total", "", "USD", "160.50", "3", ""),
    ]
    about = [tuple(line[:3]) for line in csv.reader(io.StringIO(said.text)) if line[0] in ("setting", "kpi", "note")]
    assert {("setting", "model", "last_touch"), ("setting", "lookback_days", "30"), ("setting", "as_of", "2026-04-10T15:30:00Z")} <= set(about)
    assert {("setting", "rates_source", "the bank"), ("setting", "coverage_pct", "12.5"), ("kpi", "orders", "How many orders were sold.")} <= set(about)
    assert ("note", "A note.") in {one[:2] for one in about}


def test_json_is_the_answer_where_both_are_taken(bench: ReportBench) -> None:
    assert bench.get("/api/reports/orders", accept="application/json, text/csv").header("content-type") == "application/json"
    assert bench.get("/api/reports/orders", {"format": "json"}, accept="text/csv").header("content-type") == "application/json"


# ---------------------------------------------------------------- ledger


def test_the_people_and_orders_behind_a_row_add_up_to_its_figure(bench: ReportBench) -> None:
    asked = {"range": "2026-03"}
    row = bench.get("/api/reports/orders", asked).body["rows"][2]
    said = bench.get("/api/reports/orders/ledger", {**asked, "row": row["key"]}).body
    assert said["kpi"]["key"] == "net_revenue"
    assert said["total"] == said["adds_up_to"] == row["values"]["net_revenue"] == sum(line["value"] for line in said["data"])
    assert [(line["id"], line["value"], line["happened_at"]) for line in said["data"]] == [
        ("O-1", 9_000, "2026-03-20T12:00:00Z"),
        ("O-2", 5_050, "2026-03-20T12:00:00Z"),
    ]
    total = bench.get("/api/reports/orders/ledger", {**asked, "kpi": "orders"}).body
    assert (total["row"], total["lines_found"], total["next_cursor"]) == (None, 3, None)


def test_the_lines_of_a_rate_are_of_what_is_divided(bench: ReportBench) -> None:
    asked = {"range": "2026-03", "kpi": "net_share"}
    said = bench.get("/api/reports/orders/ledger", asked).body
    assert (said["kpi"]["unit"], said["unit"]) == ("percent", "money")
    assert [one["value"] for one in lines(bench.get("/api/reports/orders/ledger", {**asked, "format": "csv"}).text)] == ["90.00", "50.50", "20.00"]
    assert bench.get("/api/reports/orders/ledger", {**asked, "kpi": "orders"}).body["unit"] == "count"


def test_a_line_says_who_it_is_where_somebody_is_known(bench: ReportBench) -> None:
    first, second = f"{1:032x}", f"{2:032x}"
    bench.contacts.stored |= {
        key: ContactRow(key, 1, encode(root))
        for key, root in {
            root_key(first): Root(created=1, into="a" * 32),
            root_key("a" * 32): Root(created=1, profile=profile(email="jo@harbour.example", first_name="Jo", lastName="Ferry")),
            root_key(second): Root(created=1, profile=profile(name="Kim")),
        }.items()
    }
    found = bench.get("/api/reports/orders/ledger", {"range": "2026-03"}).body["data"]
    assert [(line["person"], line["contact"], line["email"], line["name"]) for line in found] == [
        (first, "a" * 32, "jo@harbour.example", "Jo Ferry"),
        (second, second, None, "Kim"),
        (f"{3:032x}", None, None, None),
    ]
    assert bench.contacts.calls["get"] == 2
    as_csv = bench.get("/api/reports/orders/ledger", {"range": "2026-03", "format": "csv"})
    assert [(one["email"], one["name"], one["value"], one["currency"], one["told_by"]) for one in lines(as_csv.text)] == [
        ("jo@harbour.example", "Jo Ferry", "90.00", "USD", "kon_1"),
        ("", "Kim", "50.50", "USD", "kon_1"),
        ("", "", "20.00", "USD", "'=cmd()"),
    ]


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_ledger_is_read_page_by_page_as_of_its_first(bench: ReportBench, form: str) -> None:
    asked = {"range": "today", "limit": "2", "format": form}
    bench.facts.add(Kind.ORDERS, [order(number, NOW - timedelta(hours=20 - number), 100) for number in range(10, 15)])
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        said = bench.get("/api/reports/orders/ledger", {**asked, **({"cursor": cursor} if cursor else {})})
        assert said.status == 200, said.text
        found += [one["id"] for one in (said.body["data"] if form == "json" else lines(said.text))]
        cursor = said.body["next_cursor"] if form == "json" else said.header("x-next-cursor")
        bench.at += timedelta(hours=10)  # another day by the second page
    assert found == ["O-10", "O-11", "O-12", "O-13", "O-14"]


def test_a_cursor_goes_on_with_its_own_list_alone(bench: ReportBench) -> None:
    asked = {"range": "2026-03", "limit": "1"}
    cursor = bench.get("/api/reports/orders/ledger", asked).body["next_cursor"]
    for other in ({"model": "linear"}, {"kpi": "orders"}, {"row": "USD~kon_1"}, {"cursor": "x" + cursor}, {"cursor": "bm8"}):
        said = bench.get("/api/reports/orders/ledger", {**asked, "cursor": cursor, **other})
        assert (said.status, said.body["field"]) == (400, "cursor"), other
    assert bench.get("/api/reports/orders/ledger", {**asked, "limit": "2", "cursor": cursor}).body["lines_found"] == 3


@pytest.mark.parametrize(
    "place",
    [
        [0, "0001-01-01T00:00:00Z", "q"],
        [0, "2026-04-11T00:00:00Z", "q"],
        [0, "2026-04-10T15:00:00", "q"],
        [-1, "2026-04-10T15:00:00Z", "q"],
        [10**30, "2026-04-10T15:00:00Z", "q"],
        [0],
        {"offset": 0},
    ],
    ids=str,
)
def test_a_cursor_that_somebody_made_up_is_none(bench: ReportBench, place: Any) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(place).encode()).decode()
    said = bench.get("/api/reports/orders/ledger", {"cursor": cursor})
    assert (said.status, said.body["field"]) == (400, "cursor")


def test_a_row_or_kpi_that_there_is_not_is_named(bench: ReportBench) -> None:
    for name, value in (("row", "nonsense"), ("kpi", "guesses"), ("limit", "501"), ("limit", "0")):
        said = bench.get("/api/reports/orders/ledger", {name: value})
        assert (said.status, said.body["field"]) == (400, name)


@pytest.mark.parametrize(
    ("path", "parameters", "status"),
    [
        ("", {}, 200),
        ("", {"x": "1"}, 400),
        ("/orders", {"range": "2026-03", "compare": "previous", "filter": "coupon:is:A", "having": "orders:ge:1", "scale": "day"}, 200),
        ("/orders", {"range": "2026-03", "format": "csv"}, 200),
        ("/orders", {"range": "soon", "x": "1"}, 400),
        ("/weather", {}, 404),
        ("/orders/ledger", {"range": "2026-03", "limit": "1"}, 200),
        ("/orders/ledger", {"row": "nonsense"}, 400),
    ],
)
def test_answers_are_as_the_document_describes_them(bench: ReportBench, path: str, parameters: dict[str, str], status: int) -> None:
    described = "/api/reports" + path.replace("/orders", "/{type}").replace("/weather", "/{type}")
    said = bench.get(f"/api/reports{path}", parameters)
    assert said.status == status, said.text
    check(said, "GET", described)
    check(bench.get(f"/api/reports{path}", key=bench.new_key("account:read")), "GET", described)
    bench.orders.failing = ReportTooLarge("no room")
    check(bench.get("/api/reports/orders"), "GET", "/api/reports/{type}")


@given(
    st.sampled_from(["/api/reports/orders", "/api/reports/orders/ledger"]),
    st.lists(
        st.tuples(
            st.sampled_from([*LedgerQuery.__struct_encode_fields__, "x"]),
            st.text(max_size=12) | st.sampled_from(["csv", "USD~", "orders", "today", "bm8", "WzEsMiwzXQ"]),
        ),
        max_size=6,
    ),
)
@settings(max_examples=200, deadline=None)
def test_whatever_is_sent_it_is_never_a_fault_of_ours(path: str, pairs: list[tuple[str, str]]) -> None:
    said = SHARED.get(path, pairs)
    assert said.status in (200, 400, 404), said.text
    assert said.status == 200 or said.body["field"]


SHARED = ReportBench({Kind.ORDERS: [order(1, NOW, 100)]})


# ---------------------------------------------------------------- every report there is


STEPS = [("steps", "order:started"), ("steps", "order:sold")]


@pytest.fixture(scope="module")
def every() -> ReportBench:
    return ReportBench({Kind.ORDERS: [order(1, MARCH, 10_000, discount=1_000)]}, kinds=REPORTS)


@pytest.mark.parametrize("type", REPORTS, ids=str)
def test_every_report_is_asked_with_its_own_defaults_and_opened_into_people(every: ReportBench, type: ReportType) -> None:
    asked = [("range", "2026-03"), ("compare", "previous"), *(STEPS if type is ReportType.FUNNEL else [])]
    said = every.get(f"/api/reports/{type}", asked)
    assert said.status == 200, said.text
    assert all(column["definition"] for column in said.body["columns"])
    check(said, "GET", "/api/reports/{type}")
    of_rows = {name for row in said.body["rows"] for name in row["dimensions"]}
    assert of_rows <= set(said.body["dimensions"])
    ledger = every.get(f"/api/reports/{type}/ledger", asked)
    assert ledger.status == 200, ledger.text
    check(ledger, "GET", "/api/reports/{type}/ledger")
    for form in ("", "/ledger"):
        as_csv = every.get(f"/api/reports/{type}{form}", [*asked, ("format", "csv")])
        assert len({len(line) for line in csv.reader(io.StringIO(as_csv.text)) if line[0] in ("line", "row", "total", "person")}) <= 2


def test_every_report_and_dimension_is_described(every: ReportBench) -> None:
    said = every.get("/api/reports")
    check(said, "GET", "/api/reports")
    assert [one["type"] for one in said.body["data"]] == [type.value for type in ReportType if type in REPORTS]
    for one in said.body["data"]:
        assert one["name"], one["type"]
        assert one["description"], one["type"]
        assert [dimension["key"] for dimension in one["dimensions"] if not dimension["definition"]] == []


@pytest.mark.parametrize(
    ("type", "ignored"),
    [
        (ReportType.FUNNEL, {"date_mode": "touch_date", "rebill_credit": "own"}),
        (ReportType.VALUE_OVER_TIME, {"date_mode": "touch_date", "rebill_credit": "own"}),
        (ReportType.JOURNEYS, {"date_mode": "touch_date"}),
        (ReportType.SUBSCRIPTIONS, {"date_mode": "touch_date"}),
        (ReportType.NURTURE, {"date_mode": "lead_date", "model": "linear", "half_life": "3", "rebill_credit": "own"}),
        (ReportType.ENGAGEMENT, {"date_mode": "lead_date", "model": "linear", "half_life": "3", "rebill_credit": "own"}),
    ],
)
def test_a_report_repeats_no_setting_that_it_does_not_follow(type: ReportType, ignored: dict[str, str]) -> None:
    bench = ReportBench({}, kinds=REPORTS)
    asked = [("range", "2026-03"), *(STEPS if type is ReportType.FUNNEL else [])]
    refused = bench.get(f"/api/reports/{type}", [*asked, *ignored.items()])
    assert wrong(refused.body) == dict.fromkeys(ignored, "invalid_parameter")
    own = "lead_date" if type is ReportType.VALUE_OVER_TIME else "conversion_date"
    assert bench.get(f"/api/reports/{type}", [*asked, ("date_mode", own)]).status == 200, "it is what it follows"
    bench.operator.update_account(AccountChange(report_defaults=ignored))
    settings = bench.get(f"/api/reports/{type}", asked).body["settings"]
    assert settings["date_mode"] == own
    for parameter, name in (("model", "model"), ("half_life", "half_life_days"), ("rebill_credit", "rebill_credit"), ("lookback", "lookback_days")):
        assert (settings[name] is None) == (parameter in ignored), parameter


def test_cohorts_that_are_grouped_by_nothing_are_months_and_say_so(every: ReportBench) -> None:
    assert every.get("/api/reports/value-over-time", {"range": "2026-03"}).body["settings"]["scale"] == "month"
    assert every.get("/api/reports/value-over-time", {"range": "2026-03", "group_by": "channel"}).body["settings"]["scale"] is None


@pytest.mark.parametrize("type", ["orders", "acquisition", "attribution", "lead-source", "advertisement"])
def test_fixed_costs_are_in_every_report_that_has_costs(type: str) -> None:
    bench = ReportBench({}, kinds=REPORTS)
    bench.costs.append(FixedCost(id="c", name="Agency", amount=10_000, currency="USD", first=date(2026, 3, 30), last=None))
    said = bench.get(f"/api/reports/{type}", {"range": "2026-03", "group_by": "none", "kpis": "fixed_costs,profit"}).body
    assert said["totals"][0]["values"] == {"fixed_costs": 20_000, "profit": -20_000}


def test_a_figure_that_the_report_does_not_show_is_opened_with_the_facts_that_it_needs(every: ReportBench) -> None:
    asked = {"range": "2026-03", "group_by": "none"}
    every.get("/api/reports/orders", asked)
    assert Kind.CONTACTS not in every.facts.needs
    every.get("/api/reports/orders/ledger", {**asked, "kpi": "leads"})
    assert Kind.CONTACTS in every.facts.needs


def test_what_a_report_itself_tells_rows_apart_by_is_a_column_too(every: ReportBench) -> None:
    asked = [("range", "2026-03"), *STEPS]
    assert every.get("/api/reports/funnel", asked).body["dimensions"] == ["step"]
    header = every.get("/api/reports/funnel", [*asked, ("format", "csv")]).text.splitlines()[0]
    assert header.startswith("line,step,currency,")


def _questions(type: ReportType) -> st.SearchStrategy[list[tuple[str, str]]]:
    """Those that fit the type of report, for the most part."""
    kind = REPORTS[type]
    names = st.sampled_from([one if one != "field:" else "field:plan" for one in sorted(kind.dimensions)] or ["channel"])
    kpis = st.sampled_from([*kind.kpis()])
    one_of_each = {
        "range": st.sampled_from(["2026-03", "all", "last_90_days", "2026-03-08..2026-03-09", "today"]),
        "time_zone": st.sampled_from(["America/New_York", "Pacific/Auckland", "UTC"]),
        "scale": st.sampled_from(["day", "week", "month", "hour"]),
        "group_by": st.lists(names, max_size=3).map(",".join),
        "kpis": st.lists(kpis, max_size=4).map(",".join) | st.just("all"),
        "model": st.sampled_from([*Model]),
        "lookback": st.sampled_from(["1", "30", "lifetime"]),
        "date_mode": st.sampled_from([*DateMode]),
        "rebill_credit": st.sampled_from(["inherit", "own"]),
        "currency": st.sampled_from(["USD", "JPY", "KWD"]),
        "include_tax": st.sampled_from(["true", "false"]),
        "compare": st.sampled_from(["previous", "previous_year", "2026-02"]),
        "sort": kpis | names | st.just("period"),
        "limit": st.sampled_from(["1", "100"]),
        "format": st.sampled_from(["json", "csv"]),
    }
    if type is ReportType.JOURNEYS:
        one_of_each["contact"] = st.just(f"{1:032x}")
    if type is ReportType.VALUE_OVER_TIME:
        one_of_each["intervals"] = st.just("0,30,400")
    singles = st.fixed_dictionaries({}, optional=one_of_each).map(lambda given: [*given.items()])
    ops = st.sampled_from(["is", "is_not", "contains", "not_contains", "starts_with"])
    filters = st.lists(st.tuples(names, ops, st.sampled_from(["kon_1", "x", "'; DROP TABLE orders"])).map(lambda one: ("filter", ":".join(one))), max_size=2)
    havings = st.lists(st.tuples(kpis, st.sampled_from(["gt", "eq", "le"])).map(lambda one: ("having", f"{one[0]}:{one[1]}:0")), max_size=1)
    steps = st.just(STEPS if type is ReportType.FUNNEL else [])
    return st.tuples(singles, filters, havings, steps).map(lambda parts: [pair for part in parts for pair in part])


@given(st.sampled_from([*REPORTS]).flatmap(lambda type: st.tuples(st.just(type), _questions(type))))
@settings(max_examples=40, deadline=None)
def test_every_question_that_can_be_asked_of_a_report_is_answered(asked: tuple[ReportType, list[tuple[str, str]]]) -> None:
    type, pairs = asked
    said = EVERY.get(f"/api/reports/{type}", pairs)
    assert said.status in (200, 400), said.text
    if said.status == 400:
        return
    as_json = EVERY.get(f"/api/reports/{type}", [pair for pair in pairs if pair[0] != "format"]).body
    keys = [row["key"] for row in as_json["rows"]]
    assert len(keys) == len(set(keys)), "a key opens one row"
    for row in as_json["rows"][:2]:
        opened = EVERY.get(f"/api/reports/{type}/ledger", [*(pair for pair in pairs if pair[0] not in ("format", "limit")), ("row", row["key"])])
        assert opened.status == 200, opened.text
        said_of = opened.body["kpi"]["key"]
        figure = row["values"][said_of] or 0
        assert (opened.body["total"] or 0) == pytest.approx(figure), "the figure is the report's"
        if not opened.body["parts"] and opened.body["kpi"]["unit"] not in _NO_SUMS:
            assert opened.body["adds_up_to"] == pytest.approx(figure, abs=1e-5), "its lines come to it"


_NO_SUMS = ("seconds", "days", "percent", "ratio")
"""A median and its like are made of lines, and are not their sum."""


@pytest.mark.parametrize(
    ("path", "kpi", "figure", "people"),
    [("orders", "returning_customers", 0, []), ("orders", "new_customers", 1, [f"{1:032x}"]), ("engagement", "sessions", 1, [f"{1:032x}"])],
)
def test_a_ledger_has_a_line_for_each_that_counts_and_none_for_others(path: str, kpi: str, figure: int, people: list[str]) -> None:
    said = EVERY.get(f"/api/reports/{path}/ledger", [("range", "2026-03"), ("kpi", kpi)]).body
    assert (said["total"], said["adds_up_to"], [line["person"] for line in said["data"]]) == (figure, figure, people)
    assert sum(line["value"] for line in said["data"]) == figure


EVERY = ReportBench(
    {
        Kind.ORDERS: [
            order(1, MARCH, 10_000, discount=1_000, tax=700, received=9_700, refunded=300, coupon="SPRING"),
            order(2, MARCH + timedelta(days=30), 500, currency="JPY", rebill=True, subscription_id="S-1"),
        ],
        Kind.CONTACTS: [ContactFact(key=f"{number:032x}", person=f"{number:032x}", lead_at=MARCH, fields={"plan": "gold"}) for number in (1, 2)],
        Kind.TOUCHES: [
            TouchFact(key=f"{number:032x}", person=f"{number:032x}", happened_at=MARCH - timedelta(hours=number), connection="src_shop", channel="email")
            for number in (1, 2)
        ],
        Kind.TAGS: [TagsFact(key=f"{1:032x}", person=f"{1:032x}", tags=(TagInterval(tag="vip", applied_at=MARCH),))],
        Kind.ACTIVITIES: [ActivityFact(key=f"{1:032x}", person=f"{1:032x}", happened_at=MARCH, connection="src_shop", type="page", page="shop.example/")],
    },
    kinds=REPORTS,
)
EVERY.operator.update_account(AccountChange(report_fields=["plan"]))
