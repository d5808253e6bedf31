"""What a caller says → a question with every setting in it, or everything that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.report_api import SimpleOrders
from tributary.reports.asking import Parameters, QueryWrong, Settings, check_defaults, parameters_of, query_of
from tributary.reports.query import DateMode, Filter, FixedCost, Having, Model, Query, ReportType, Scale

NOW = datetime(2026, 4, 10, 2, 30, tzinfo=UTC)
SETTINGS = Settings(time_zone="America/New_York", currency="EUR", fields=("plan", "size:eu"))


def ask(*pairs: tuple[str, str], type: ReportType = ReportType.ORDERS, settings: Settings = SETTINGS, **kind: Any) -> Query:
    parameters, _, wrong = parameters_of(pairs)
    return query_of(type, parameters, kind=SimpleOrders(type=type, **kind), settings=settings, now=NOW, wrong=wrong)


def wrong_with(*pairs: tuple[str, str], type: ReportType = ReportType.ORDERS, settings: Settings = SETTINGS) -> list[tuple[str, str]]:
    with pytest.raises(QueryWrong) as caught:
        ask(*pairs, type=type, settings=settings)
    return [(one.field, one.code) for one in caught.value.wrong]


def test_what_a_question_leaves_out_is_the_accounts_then_the_reports_then_the_general_default() -> None:
    query = ask()
    assert (query.time_zone, query.currency) == ("America/New_York", "EUR")
    assert (query.range.first, query.range.last, query.range.words) == (date(2026, 3, 10), date(2026, 4, 8), "last_30_days")
    assert query.range.end == datetime(2026, 4, 9, 4, tzinfo=UTC), "today is still the ninth in New York"
    assert (query.group_by, query.kpis) == (("connection",), ("net_revenue", "orders"))
    assert (query.model, query.lookback_days, query.half_life_days, query.date_mode) == (Model.LAST_TOUCH, 30, 7.0, DateMode.CONVERSION_DATE)
    assert (query.rebill_credit, query.include_tax, query.include_shipping, query.limit) == ("inherit", False, False, 100)
    assert (query.scale, query.compare, query.sort, query.now) == (None, None, None, NOW)


def test_the_accounts_defaults_count_where_a_question_says_nothing() -> None:
    defaults = {"model": "linear", "lookback": 90, "include_tax": True, "range": "last_7_days", "half_life": 3.5, "scale": "day", "limit": 20}
    settings = Settings(defaults=defaults)
    query = ask(("lookback", "lifetime"), settings=settings)
    assert (query.model, query.lookback_days, query.include_tax, query.range.words) == (Model.LINEAR, None, True, "last_7_days")
    assert (query.half_life_days, query.scale, query.limit) == (3.5, Scale.DAY, 20)


def test_what_a_report_is_by_nature_goes_before_the_accounts_default_and_behind_the_question() -> None:
    settings = Settings(defaults={"model": "linear", "date_mode": "touch_date"})
    assert ask(settings=settings).date_mode is DateMode.TOUCH_DATE
    by_nature: Mapping[str, Any] = {"default_date_mode": DateMode.LEAD_DATE, "default_model": Model.LEAD_SOURCE}
    query = ask(settings=settings, **by_nature)
    assert (query.date_mode, query.model) == (DateMode.LEAD_DATE, Model.LEAD_SOURCE)
    query = ask(("date_mode", "conversion_date"), ("model", "position"), settings=settings, **by_nature)
    assert (query.date_mode, query.model) == (DateMode.CONVERSION_DATE, Model.POSITION)


def test_a_default_that_no_longer_fits_counts_for_nothing() -> None:
    assert ask(settings=Settings(defaults={"model": "markov", "lookback": {"days": 3}, "limit": -1, "range": "one fine day"})) == ask(settings=Settings())


@pytest.mark.parametrize(
    ("pairs", "first", "last"),
    [
        ([("range", "2026-02")], date(2026, 2, 1), date(2026, 2, 28)),
        ([("range", "this_quarter")], date(2026, 4, 1), date(2026, 6, 30)),
        ([("range", "yesterday")], date(2026, 4, 8), date(2026, 4, 8)),
        ([("range", "all")], date(2000, 1, 1), date(2026, 4, 9)),
        ([("from", "2026-01-05"), ("to", "2026-01-06")], date(2026, 1, 5), date(2026, 1, 6)),
        ([("from", "2026-01-05")], date(2026, 1, 5), date(2026, 4, 9)),
        ([("range", "today"), ("time_zone", "UTC")], date(2026, 4, 10), date(2026, 4, 10)),
    ],
)
def test_a_range_in_words_or_dates_is_days_of_the_time_zone(pairs: list[tuple[str, str]], first: date, last: date) -> None:
    query = ask(*pairs)
    assert (query.range.first, query.range.last) == (first, last)


@pytest.mark.parametrize(
    ("compare", "first", "last"),
    [
        ("previous", date(2026, 1, 1), date(2026, 1, 31)),
        ("previous_year", date(2025, 2, 1), date(2025, 2, 28)),
        ("2025-12-01..2025-12-24", date(2025, 12, 1), date(2025, 12, 24)),
    ],
)
def test_a_report_is_compared_with_the_period_before_the_year_before_or_any_range(compare: str, first: date, last: date) -> None:
    query = ask(("range", "2026-02"), ("compare", compare))
    assert query.compare is not None
    assert (query.compare.first, query.compare.last) == (first, last)


def test_the_year_before_a_leap_day_ends_on_the_28th() -> None:
    query = ask(("range", "2024-02-29"), ("compare", "previous_year"))
    assert query.compare is not None
    assert query.compare.first == query.compare.last == date(2023, 2, 28)


def test_filters_of_one_dimension_are_alternatives_where_they_say_what_it_is_and_all_hold_otherwise() -> None:
    query = ask(
        ("filter", "channel:is:email"),
        ("filter", "coupon:contains:A:B"),
        ("filter", "channel:is:"),
        ("filter", "coupon:contains:C"),
        ("filter", "field:size:eu:is_not:42"),
        ("filter", "coupon:is:is:it"),
    )
    assert query.filters == (
        Filter(dimension="channel", op="is", values=("email", "")),
        Filter(dimension="field:size:eu", op="is_not", values=("42",)),
        Filter(dimension="coupon", op="is", values=("is:it",)),
        Filter(dimension="coupon", op="contains", values=("A:B",)),
        Filter(dimension="coupon", op="contains", values=("C",)),
    )


def test_rows_are_chosen_sorted_and_cut_as_asked() -> None:
    query = ask(("having", "orders:ge:5"), ("having", "net_share:lt:-2.5"), ("sort", "orders"), ("limit", "7"), ("kpis", "orders, net_share ,orders"))
    assert query.having == (Having(kpi="orders", op="ge", value=5.0), Having(kpi="net_share", op="lt", value=-2.5))
    assert (query.sort, query.descending, query.limit, query.kpis) == ("orders", True, 7, ("orders", "net_share"))


@pytest.mark.parametrize(
    ("sort", "by", "descending"),
    [("orders:asc", "orders", False), ("connection", "connection", False), ("connection:desc", "connection", True), ("period", "period", False)],
)
def test_the_greatest_figure_comes_first_and_names_and_periods_rise(sort: str, by: str, descending: bool) -> None:
    query = ask(("sort", sort), ("scale", "day"))
    assert (query.sort, query.descending) == (by, descending)


def test_a_report_may_be_asked_for_its_totals_alone_and_for_all_its_kpis() -> None:
    query = ask(("group_by", "none"), ("kpis", "all"))
    assert (query.group_by, query.kpis) == ((), ("net_revenue", "orders", "net_share"))


def test_custom_fields_are_those_that_the_account_names() -> None:
    assert ask(("group_by", "field:plan,connection")).group_by == ("field:plan", "connection")
    assert wrong_with(("group_by", "field:email"), ("filter", "field:email:is:x")) == [("group_by", "invalid_parameter"), ("filter", "invalid_parameter")]
    assert wrong_with(("group_by", "field:")) == [("group_by", "invalid_parameter")]


def test_other_names_of_models_are_understood() -> None:
    assert ask(("model", "purchase_touch")).model is Model.LAST_TOUCH
    assert ask(("model", "Opt_In")).model is Model.LEAD_SOURCE


def test_everything_that_is_wrong_is_told_at_once() -> None:
    found = wrong_with(
        ("modell", "linear"),
        ("limit", "5"),
        ("limit", "6"),
        ("model", "markov"),
        ("range", "someday"),
        ("time_zone", "Mars/Olympus"),
        ("scale", "fortnight"),
        ("group_by", "planet"),
        ("filter", "channel=email"),
        ("filter", "channel:contains:"),
        ("having", "orders>5"),
        ("having", "guesses:ge:1"),
        ("kpis", "guesses"),
        ("lookback", "0"),
        ("half_life", "91"),
        ("date_mode", "any"),
        ("rebill_credit", "none"),
        ("currency", "XXY"),
        ("include_tax", "perhaps"),
        ("include_shipping", "2"),
        ("compare", "later"),
        ("sort", "guesses"),
        ("steps", "event:x"),
        ("intervals", "1"),
        ("contact", "0" * 32),
    )
    assert sorted(found) == sorted(
        [
            ("modell", "unknown_parameter"),
            ("limit", "repeated_parameter"),
            *((name, "invalid_parameter") for name in ("model", "range", "time_zone", "scale", "group_by", "kpis", "lookback", "half_life", "date_mode")),
            *((name, "invalid_parameter") for name in ("rebill_credit", "currency", "include_tax", "include_shipping", "compare", "sort", "steps")),
            *((name, "invalid_parameter") for name in ("filter", "filter", "having", "having", "intervals", "contact")),
        ]
    )


@pytest.mark.parametrize(
    ("pairs", "named"),
    [
        ([("range", "today"), ("from", "2026-01-01")], "range"),
        ([("to", "2026-01-01")], "from"),
        ([("from", "2026-01-02"), ("to", "2026-01-01")], "from"),
        ([("from", "2026-02-30")], "from"),
        ([("from", "1999-01-01")], "from"),
        ([("range", "all"), ("compare", "previous")], "compare"),
        ([("kpis", ",")], "kpis"),
        ([("group_by", "a" * 1_001)], "group_by"),
    ],
)
def test_what_cannot_be_names_its_parameter(pairs: list[tuple[str, str]], named: str) -> None:
    assert named in {field for field, _ in wrong_with(*pairs)}


def test_no_refusal_repeats_what_was_sent() -> None:
    secret = "jo@harbour.example"
    names = [name for name in Parameters.__struct_encode_fields__ if name not in ("from", "to")]
    with pytest.raises(QueryWrong) as caught:
        ask(*((name, f"'{secret}' x") for name in names))
    with pytest.raises(QueryWrong) as of_dates:
        ask(("from", secret), ("to", secret), (secret * 9, "1"))
    for one in (*caught.value.wrong, *of_dates.value.wrong):
        assert secret not in one.message


def test_a_funnel_takes_steps_and_value_over_time_its_intervals() -> None:
    funnel = ask(("steps", "event:Product Viewed: Blue"), ("steps", "order:sold"), type=ReportType.FUNNEL)
    assert [(step.kind, step.value) for step in funnel.steps] == [("event", "Product Viewed: Blue"), ("order", "sold")]
    assert ask(type=ReportType.VALUE_OVER_TIME).intervals == (1, 7, 30, 365)
    assert ask(("intervals", "0, 14,60"), type=ReportType.VALUE_OVER_TIME).intervals == (0, 14, 60)
    for intervals in ("7,1", "1,1", ",".join(map(str, range(13))), "", "-1", "x"):
        if intervals:
            assert wrong_with(("intervals", intervals), type=ReportType.VALUE_OVER_TIME) == [("intervals", "invalid_parameter")], intervals
    for steps in ([], ["order:sold"], ["order:lost", "order:sold"], ["visit:x", "order:sold"], ["event:", "order:sold"]):
        assert ("steps", "invalid_parameter") in wrong_with(*(("steps", step) for step in steps), type=ReportType.FUNNEL), steps


def test_fixed_costs_go_with_the_question() -> None:
    cost = FixedCost(id="c", name="Agency", amount=100, currency="USD", first=date(2026, 1, 1), last=None)
    query = query_of(ReportType.ADVERTISEMENT, Parameters(), kind=SimpleOrders(), settings=SETTINGS, now=NOW, fixed_costs=[cost])
    assert query.fixed_costs == (cost,)


def test_an_account_is_told_which_default_does_not_fit() -> None:
    assert check_defaults({"model": "linear", "lookback": 30, "include_tax": False, "half_life": 2.5, "range": "last_90_days"}) == []
    found = check_defaults({"model": "markov", "colour": "red", "lookback": [30], "range": "soon"})
    assert [(one.field, one.code) for one in found] == [
        ("model", "invalid_parameter"),
        ("colour", "unknown_parameter"),
        ("lookback", "invalid_parameter"),
        ("range", "invalid_parameter"),
    ]


NAMES = st.sampled_from([*Parameters.__struct_encode_fields__, "group", ""])
OPERATORS = ["is", "is_not", "contains", "ge", ":", ",", "..", "-1", "1e9", "99999999999", "NaN", "'", "\x00", "desc"]
WORDS = ["channel", "field:plan", "field:", "last_", "days", "orders", "previous", "previous_year", "none", "all", "all_time", "today", "lifetime"]
DATES = ["2026-02-30", "0001-01-01", "9999-12-31", "\u0663", "\u0662\u0660\u0662\u0666-01-01"]
PARTS = st.sampled_from([*OPERATORS, *WORDS, *DATES])
VALUES = st.one_of(st.text(max_size=30), st.lists(PARTS, max_size=5).map("".join))


@given(st.sampled_from(ReportType), st.lists(st.tuples(NAMES, VALUES), max_size=12))
def test_whatever_is_sent_is_a_question_or_a_refusal_that_names_parameters(type: ReportType, pairs: list[tuple[str, str]]) -> None:
    refused: QueryWrong | None = None
    try:
        query = ask(*pairs, type=type)
    except QueryWrong as error:
        refused = error
    if refused is not None:
        assert refused.wrong
        assert all(one.message and len(one.field) <= 64 for one in refused.wrong)
        return
    assert query.range.start < query.range.end
    assert hash(query) == hash(ask(*pairs, type=type)), "an identical question is known again"
    assert query.kpis


@given(st.dictionaries(st.one_of(NAMES, st.text(max_size=9)), st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | VALUES, st.lists)))
def test_whatever_an_account_keeps_as_defaults_reports_can_be_asked(defaults: dict[str, Any]) -> None:
    check_defaults(defaults)
    assert ask(settings=Settings(defaults=defaults)).kpis


@pytest.mark.parametrize(
    ("name", "value"),
    [("filter", "channel:is:sms"), ("having", "revenue:gt:1"), ("group_by", "campaign"), ("scale", "day"), ("compare", "previous"), ("sort", "revenue")],
)
def test_one_persons_journey_is_told_whole_and_refuses_what_would_narrow_it(name: str, value: str) -> None:
    assert (name, "invalid_parameter") in wrong_with((name, value), ("contact", "0" * 32), type=ReportType.JOURNEYS)
    assert ask(("contact", "0" * 32), type=ReportType.JOURNEYS).person == "0" * 32
