"""The attributed reports on small worked cases: which rows there are, what is in them, and what is not."""

from __future__ import annotations

from datetime import date

import pytest

from tests.kit.facts import MemoryFacts
from tests.kit.report_facts import UNATTRIBUTED, asked, facts, item, lead, moment, node, order, query, rate, subscription, tagged, total, touch, values
from tributary.facts.tables import Kind, Months, Movement, OtherMoney
from tributary.reports import ranges
from tributary.reports.engine import REPORTS, ledger, needs
from tributary.reports.query import DateMode, Filter, Having, Model, ReportType, Scale

# Which touches lead to an order


def test_an_order_without_a_touch_stays_in_a_row_of_its_own() -> None:
    rows = facts(touch("ann", "03-08", "email", campaign="a"), order("ann", "03-10", 700), order("bob", "03-10", 300))
    report = asked(rows, group_by=("campaign",))
    assert values(report, "net_revenue") == {"a": 700, UNATTRIBUTED: 300}
    assert report.coverage_pct == 70


def test_a_touch_without_a_campaign_is_another_row_than_no_touch() -> None:
    rows = facts(touch("ann", "03-08", "direct"), order("ann", "03-10", 700), order("bob", "03-10", 300))
    assert values(asked(rows, group_by=("campaign",)), "net_revenue") == {None: 700, UNATTRIBUTED: 300}


def test_a_touch_at_the_very_moment_counts_one_later_or_before_the_lookback_does_not() -> None:
    rows = facts(
        touch("ann", "03-10 12:00", "email", campaign="at"),
        touch("ann", "03-10 12:01", "email", campaign="later"),
        touch("bob", "02-08 11:59", "email", campaign="early"),
        touch("cat", "02-08 12:00", "email", campaign="just"),
        *(order(person, "03-10 12:00", 100) for person in ("ann", "bob", "cat")),
    )
    assert values(asked(rows, group_by=("campaign",)), "net_revenue") == {"at": 100, "just": 100, UNATTRIBUTED: 100}
    assert values(asked(rows, group_by=("campaign",), lookback_days=None), "net_revenue") == {"at": 100, "just": 100, "early": 100}


def test_a_machines_visit_leads_to_nothing() -> None:
    rows = facts(touch("ann", "03-08", "bot", campaign="a"), order("ann", "03-10", 700))
    assert values(asked(rows, group_by=("campaign",)), "net_revenue") == {UNATTRIBUTED: 700}


def test_touches_of_one_moment_are_ordered_by_source_and_key() -> None:
    rows = facts(
        touch("ann", "03-08", "email", campaign="z", connection="a"),
        touch("ann", "03-08", "email", campaign="a", connection="b"),
        order("ann", "03-10", 700),
    )
    assert values(asked(rows, group_by=("campaign",)), "net_revenue") == {"a": 700}


@pytest.mark.parametrize(
    ("model", "expected"),
    [(Model.LINEAR, {"a": 33, "b": 33, "c": 34}), (Model.POSITION, {"a": 40, "b": 20, "c": 41}), (Model.W_SHAPED, {"a": 61, "b": 10, "c": 30})],
)
def test_cents_that_are_left_over_go_to_who_lost_most_of_equals_to_the_later_touch(model: Model, expected: dict[str, int]) -> None:
    rows = facts(*(touch("ann", f"03-0{day}", "email", campaign=name) for day, name in enumerate("abc", 1)), order("ann", "03-10", sum(expected.values())))
    assert values(asked(rows, group_by=("campaign",), model=model), "net_revenue") == expected


def test_a_loss_is_divided_like_a_gain() -> None:
    rows = facts(*(touch("ann", f"03-0{day}", "email", campaign=name) for day, name in enumerate("abc", 1)), order("ann", "03-10", 0, refunded=100))
    assert values(asked(rows, group_by=("campaign",), model=Model.LINEAR), "net_revenue") == {"a": -33, "b": -33, "c": -34}


def test_counts_are_credited_as_fractions_and_people_to_each_row_they_are_in() -> None:
    rows = facts(touch("ann", "03-01", "email", campaign="a"), touch("ann", "03-02", "email", campaign="b"), order("ann", "03-10", 100))
    report = asked(rows, group_by=("campaign",), model=Model.LINEAR, kpis=("orders", "customers"))
    assert values(report, "orders") == {"a": 0.5, "b": 0.5}
    assert values(report, "customers") == {"a": 1, "b": 1}
    assert (total(report, "orders"), total(report, "customers")) == (1, 1)


def test_a_filter_of_touches_keeps_the_credits_that_fit_and_does_not_change_the_path() -> None:
    rows = facts(touch("ann", "03-01", "email", campaign="a"), touch("ann", "03-02", "paid_search", campaign="b"), order("ann", "03-10", 101))
    by_email = (Filter(dimension="channel", op="is", values=("email",)),)
    assert asked(rows, filters=by_email, model=Model.LINEAR).coverage_pct == 100
    report = asked(rows, group_by=("campaign",), model=Model.LINEAR, filters=by_email)
    assert values(report, "net_revenue") == {"a": 50}
    assert total(report, "net_revenue") == 50


def test_overlapping_rows_come_to_more_than_the_total_which_counts_each_order_once() -> None:
    rows = facts(
        touch("ann", "03-01", "email", campaign="a"),
        touch("ann", "03-02", "email", campaign="a"),
        touch("ann", "03-03", "email", campaign="b"),
        order("ann", "03-10", 100),
    )
    report = asked(rows, group_by=("campaign",), model=Model.ANY_TOUCH, kpis=("net_revenue", "orders", "customers"))
    assert report.overlapping
    assert values(report, "net_revenue") == {"a": 100, "b": 100}
    assert [total(report, kpi) for kpi in ("net_revenue", "orders", "customers")] == [100, 1, 1]


# Rebills


def _rebilled() -> MemoryFacts:
    return facts(
        touch("ann", "01-05", "email", campaign="first"),
        touch("ann", "03-09", "email", campaign="later"),
        order("ann", "01-06", 500, id="one", subscription_id="s"),
        order("ann", "03-10", 500, id="two", subscription_id="s", rebill=True),
        subscription("ann", "s", began_with="one"),
    )


def test_a_rebill_inherits_the_credit_of_the_order_that_its_subscription_began_with() -> None:
    assert values(asked(_rebilled(), group_by=("campaign",)), "net_revenue") == {"first": 500}


def test_a_rebill_may_be_credited_by_its_own_touches() -> None:
    assert values(asked(_rebilled(), group_by=("campaign",), rebill_credit="own"), "net_revenue") == {"later": 500}


def test_where_no_subscription_names_its_order_the_first_one_sold_of_it_decides() -> None:
    rows = facts(
        touch("ann", "01-05", "email", campaign="first"),
        order("ann", "01-06", 500, id="one", subscription_id="s"),
        order("ann", "03-10", 500, id="two", subscription_id="s", rebill=True),
    )
    assert values(asked(rows, group_by=("campaign",)), "net_revenue") == {"first": 500}


# Dates


def _months() -> MemoryFacts:
    """Ann was brought in February and buys in March and April; nobody brought Bob."""
    return facts(
        touch("ann", "02-20", "email", campaign="feb"),
        touch("ann", "03-30", "email", campaign="mar"),
        lead("ann", "02-21"),
        lead("bob", "03-05"),
        order("ann", "03-02", 100),
        order("ann", "04-02", 30),
        order("bob", "03-06", 7),
        order("bob", "05-06", 2),
    )


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (DateMode.CONVERSION_DATE, {"feb": 100, UNATTRIBUTED: 7}),
        (DateMode.TOUCH_DATE, {"mar": 30, UNATTRIBUTED: 7}),
        (DateMode.LEAD_DATE, {UNATTRIBUTED: 9}),
    ],
)
def test_the_date_that_decides(mode: DateMode, expected: dict[str, int]) -> None:
    report = asked(_months(), group_by=("campaign",), date_mode=mode)
    assert values(report, "net_revenue") == expected
    assert total(report, "net_revenue") == sum(expected.values())


def test_periods_are_of_the_date_that_decides() -> None:
    by_touch = asked(_months(), group_by=("campaign",), date_mode=DateMode.TOUCH_DATE, scale=Scale.DAY)
    assert values(by_touch, "net_revenue") == {("2026-03-06", UNATTRIBUTED): 7, ("2026-03-30", "mar"): 30}
    by_lead = asked(_months(), date_mode=DateMode.LEAD_DATE, scale=Scale.DAY)
    assert {day: value for day, value in values(by_lead, "net_revenue").items() if value} == {"2026-03-05": 9}


def test_what_is_later_than_now_has_not_happened() -> None:
    assert total(asked(_months(), now=moment("03-04")), "net_revenue") == 100


def test_an_empty_period_is_a_row_of_zeros_and_days_come_to_the_range() -> None:
    report = asked(_months(), scale=Scale.DAY)
    assert len(report.rows) == 31
    assert sum(values(report, "net_revenue").values()) == total(report, "net_revenue") == 107


def test_the_day_that_the_clocks_are_put_forward_has_23_hours_and_all_that_was_sold_in_it() -> None:
    new_york = "America/New_York"
    rows = facts(
        *(order("ann", f"03-08 {hour:02}:30", 1, id=f"{hour}") for hour in range(24)),
        *(order("ann", f"03-09 0{hour}:30", 1, id=f"9{hour}") for hour in range(5)),
    )
    day = ranges.days(date(2026, 3, 8), date(2026, 3, 8), zone=new_york)
    report = asked(rows, range=day, time_zone=new_york, scale=Scale.HOUR)
    assert len(report.rows) == total(report, "orders") == 23
    assert set(values(report, "orders").values()) == {1}


# Orders


def test_the_parts_of_revenue_stand_apart() -> None:
    rows = facts(
        order("ann", "03-02", 12_000, discount=1_000, tax=700, shipping=300, received=11_000, refunded=2_000, charged_back=500, voided=100, returned=0)
    )
    kpis = ("gross_revenue", "discounts", "tax", "shipping", "refunds", "chargebacks", "voids", "sales_revenue", "collected_revenue", "net_revenue")
    assert [total(asked(rows, kpis=kpis), kpi) for kpi in kpis] == [12_000, 1_000, 700, 300, 2_000, 500, 100, 11_000, 8_400, 7_400]


@pytest.mark.parametrize(("tax", "shipping", "expected"), [(False, False, 0), (True, False, 500), (False, True, 0), (True, True, 500)])
def test_of_tax_and_shipping_what_was_kept_may_be_added_shipping_being_given_back_first(tax: bool, shipping: bool, expected: int) -> None:
    rows = facts(order("ann", "03-02", 10_000, tax=700, shipping=300, refunded=9_500, returned=500))
    assert total(asked(rows, include_tax=tax, include_shipping=shipping), "net_revenue") == expected


def test_refunds_by_their_own_date_are_also_of_older_orders_and_of_what_is_no_sale() -> None:
    def refund(at: str, amount: int) -> tuple[Movement, ...]:
        return (Movement(kind="refund", happened_at=moment(at), currency="USD", amount=amount),)

    rows = facts(
        touch("ann", "01-02", "email", campaign="a"),
        order("ann", "01-03", 1_000, refunded=400, movements=refund("03-05", 400)),
        order("bob", "03-03", 0, sold=False, refunded=50, movements=refund("03-06", 50)),
        order("cat", "03-04", 1_000, refunded=30, movements=refund("05-01", 30)),
    )
    report = asked(rows, group_by=("campaign",), kpis=("refunds", "refunds_by_date"))
    assert values(report, "refunds_by_date") == {"a": 400, UNATTRIBUTED: 0 + 50}
    assert (total(report, "refunds"), total(report, "refunds_by_date")) == (30, 450)


def test_a_new_customer_is_one_whose_first_order_ever_counts() -> None:
    rows = facts(order("ann", "01-02", 1), order("ann", "03-02", 1), order("bob", "03-03", 1), order("bob", "03-04", 1))
    kpis = ("customers", "new_customers", "returning_customers", "repeat_rate", "orders_per_customer")
    report = asked(rows, kpis=kpis)
    assert [total(report, kpi) for kpi in kpis] == [2, 1, 1, 50, 1.5]
    by_type = asked(rows, group_by=("customer_type",))
    assert values(by_type, "orders") == {"new": 1, "returning": 2}


def test_an_order_is_divided_over_its_products_by_amount_and_counts_in_each() -> None:
    rows = facts(order("ann", "03-02", 100, items=(item("shoe", 1), item("hat", 2), item("hat", 0))))
    report = asked(rows, group_by=("product",), kpis=("net_revenue", "orders", "items_sold"))
    assert values(report, "net_revenue") == {"shoe": 33, "hat": 67}
    assert values(report, "orders") == {"shoe": 1, "hat": 1}
    assert values(report, "items_sold") == {"shoe": 1, "hat": 2}
    assert [total(report, kpi) for kpi in ("net_revenue", "orders", "items_sold")] == [100, 1, 3]
    assert report.overlapping
    assert [column.adds_up for column in report.columns] == [True, False, True]


def test_a_filter_of_products_chooses_orders() -> None:
    rows = facts(order("ann", "03-02", 100, items=(item("shoe", 1), item("hat", 1))), order("bob", "03-02", 7, items=(item("hat", 7),)))
    assert total(asked(rows, filters=(Filter(dimension="product", op="is", values=("shoe",)),)), "net_revenue") == 100
    assert total(asked(rows, filters=(Filter(dimension="product", op="is_not", values=("shoe",)),)), "net_revenue") == 7


def test_tags_are_those_of_the_time_and_overlap() -> None:
    rows = facts(
        tagged("ann", vip=("03-01", None), trial=("01-01", "03-05"), late=("04-01", None)),
        order("ann", "03-02", 10, id="one"),
        order("ann", "03-06", 5, id="two"),
        order("bob", "03-06", 2),
    )
    report = asked(rows, group_by=("tag",))
    assert report.overlapping
    assert values(report, "net_revenue") == {"vip": 15, "trial": 10, None: 2}
    assert (total(report, "net_revenue"), total(report, "orders")) == (17, 3)
    assert total(asked(rows, filters=(Filter(dimension="tag", op="is", values=("trial",)),)), "net_revenue") == 10
    assert total(asked(rows, filters=(Filter(dimension="tag", op="is", values=("",)),)), "net_revenue") == 2


# Currencies


def test_amounts_are_converted_by_the_rate_of_their_day_half_to_even() -> None:
    rows = facts(rate("03-01", "EUR", "1.5"), rate("03-03", "EUR", "2"), order("ann", "03-02", 3, currency="EUR"), order("bob", "03-04", 5, currency="EUR"))
    assert total(asked(rows), "net_revenue") == 4 + 10
    assert total(asked(facts(rate("03-02", "EUR", "2.5"), order("ann", "03-02", 1, currency="EUR"))), "net_revenue") == 2


def test_currencies_of_no_and_of_three_decimals_are_exact() -> None:
    rows = facts(
        rate("03-02", "JPY", "0.0067"), rate("03-02", "KWD", "3.25"), order("ann", "03-02", 1_000, currency="JPY"), order("bob", "03-02", 1_234, currency="KWD")
    )
    assert total(asked(rows), "net_revenue") == 670 + 401
    in_yen = facts(rate("03-02", "USD", "149.5", to="JPY"), order("ann", "03-02", 1_001))
    assert total(asked(in_yen, currency="JPY"), "net_revenue", "JPY") == 1_496


def test_a_currency_without_a_rate_has_rows_and_a_total_of_its_own_and_a_note() -> None:
    rows = facts(rate("02-22", "EUR", "2"), order("ann", "03-02", 30, currency="EUR"), order("bob", "03-02", 500))
    report = asked(rows, group_by=("connection",))
    assert [(row.currency, row.values["net_revenue"]) for row in report.rows] == [("USD", 500), ("EUR", 30)]
    assert (total(report, "net_revenue"), total(report, "net_revenue", "EUR")) == (500, 30)
    assert any("EUR" in note for note in report.notes)


def test_the_answer_says_whose_rates_it_was_converted_by() -> None:
    rows = facts(rate("03-01", "EUR", "1.5", source="ECB"), order("ann", "03-02", 3, currency="EUR"), order("bob", "04-02", 3))
    assert asked(rows).rates_source == "ECB"
    april = ranges.days(date(2026, 4, 1), date(2026, 4, 30), zone="UTC")
    assert asked(rows, range=april).rates_source is None


def test_a_currency_that_nobody_named_is_the_accounts_and_not_the_questions() -> None:
    rows = facts(rate("03-02", "USD", "0.5", to="EUR"), order("ann", "03-02", 30, currency_assumed=True), order("bob", "03-02", 30))
    assert total(asked(rows, currency="EUR"), "net_revenue", "EUR") == 30


def test_what_moved_in_another_currency_than_the_orders_counts_as_money_and_as_no_other_order() -> None:
    rows = facts(
        rate("03-02", "EUR", "2"), order("ann", "03-02", 500, others=(OtherMoney(currency="EUR", refunded=10), OtherMoney(currency="GBP", refunded=1)))
    )
    report = asked(rows, kpis=("net_revenue", "refunds", "orders", "customers"))
    assert [total(report, kpi) for kpi in ("net_revenue", "refunds", "orders", "customers")] == [480, 20, 1, 1]
    assert [total(report, kpi, "GBP") for kpi in ("net_revenue", "orders", "customers")] == [-1, 0, 0]


# Leads


def test_acquisition_is_of_those_who_became_leads_and_of_all_that_they_ever_bought() -> None:
    rows = facts(
        touch("ann", "03-01", "email"),
        lead("ann", "03-02"),
        lead("bob", "03-03"),
        lead("cat", "01-03"),
        order("ann", "03-04", 100),
        order("ann", "05-04", 50),
        order("cat", "03-04", 9),
    )
    report = asked(rows, type=ReportType.ACQUISITION, date_mode=DateMode.LEAD_DATE, kpis=("leads", "customers", "conversion_rate", "lead_value"))
    assert [total(report, kpi) for kpi in ("leads", "customers", "conversion_rate", "lead_value")] == [2, 1, 50, 75]
    by_channel = asked(rows, type=ReportType.ACQUISITION, date_mode=DateMode.LEAD_DATE, group_by=("channel",), kpis=("leads", "net_revenue"))
    assert values(by_channel, "leads") == {"email": 1, UNATTRIBUTED: 1}


def test_what_they_bought_does_not_narrow_the_leads() -> None:
    rows = facts(lead("ann", "03-02", country="US"), lead("bob", "03-03", country="DE"), order("ann", "03-04", 100))
    filters = (Filter(dimension="coupon", op="is", values=("TEN",)), Filter(dimension="country", op="is", values=("US", "FR")))
    report = asked(rows, type=ReportType.ACQUISITION, filters=filters, kpis=("leads", "customers"))
    assert (total(report, "leads"), total(report, "customers")) == (1, 0)


# What is made of rows


def test_a_comparison_stands_beside_each_row_and_the_total() -> None:
    rows = facts(order("ann", "02-02", 100, connection="a"), order("ann", "03-02", 150, connection="a"), order("ann", "03-02", 7, id="b", connection="b"))
    february = ranges.days(date(2026, 2, 1), date(2026, 2, 28), zone="UTC")
    report = asked(rows, group_by=("connection",), compare=february)
    assert [(row.dimensions["connection"], row.before, row.change) for row in report.rows] == [
        ("a", {"net_revenue": 100, "orders": 1}, {"net_revenue": 50, "orders": 0}),
        ("b", {"net_revenue": 0, "orders": 0}, {"net_revenue": None, "orders": None}),
    ]
    assert report.totals[0].change == {"net_revenue": 57, "orders": 100}


def test_that_leads_are_not_narrowed_by_what_only_orders_tell_is_said() -> None:
    rows = facts(lead("ann", "03-01"), lead("bob", "03-01"), order("ann", "03-02", 100, coupon="TEN"))
    report = asked(rows, filters=(Filter(dimension="coupon", op="is", values=("TEN",)),), kpis=("leads", "orders"))
    assert total(report, "leads") == 2
    assert "Leads are not told by coupon: they are neither divided nor filtered by it." in report.notes


def test_leads_are_told_apart_and_filtered_by_the_connection_that_made_them_known() -> None:
    rows = facts(
        lead("ann", "03-01", connection="shop"),
        lead("bob", "03-01", connection="crm"),
        lead("cyd", "03-02", connection="crm"),
        lead("dan", "03-03"),
        order("ann", "03-02", 100, connection="crm"),
    )
    report = asked(rows, group_by=("connection",), kpis=("leads", "customers"))
    assert values(report, "leads") == {"shop": 1, "crm": 2, None: 1}
    assert values(report, "customers") == {"shop": 0, "crm": 1, None: 0}
    assert report.notes == ()
    of_crm = asked(rows, filters=(Filter(dimension="connection", op="is", values=("crm",)),), kpis=("leads",))
    assert total(of_crm, "leads") == 2
    opened = ledger(query(kpis=("leads",)), rows, row_key=None, kpi="leads", limit=9)
    assert {(line.person, line.connection) for line in opened.lines} == {
        (node("ann"), "shop"),
        (node("bob"), "crm"),
        (node("cyd"), "crm"),
        (node("dan"), None),
    }


def test_a_currency_that_was_there_before_and_is_no_more_is_a_total_of_the_comparison_with_its_note() -> None:
    rows = facts(order("ann", "02-02", 100, currency="EUR"), order("ann", "03-02", 50))
    report = asked(rows, compare=ranges.days(date(2026, 2, 1), date(2026, 2, 28), zone="UTC"), kpis=("net_revenue",))
    assert [(total.currency, total.values, total.before) for total in report.totals] == [
        ("USD", {"net_revenue": 50}, {"net_revenue": 0}),
        ("EUR", {"net_revenue": 0}, {"net_revenue": 100}),
    ]
    assert [note for note in report.notes if "EUR" in note]


def test_what_was_there_before_and_is_no_more_is_a_row_of_the_comparison() -> None:
    rows = facts(order("ann", "02-02", 100, connection="old"), order("ann", "03-02", 50, connection="new"))
    february = ranges.days(date(2026, 2, 1), date(2026, 2, 28), zone="UTC")
    report = asked(rows, group_by=("connection",), compare=february, kpis=("net_revenue",))
    assert {row.dimensions["connection"]: (row.values["net_revenue"], row.before, row.change) for row in report.rows} == {
        "new": (50, {"net_revenue": 0}, {"net_revenue": None}),
        "old": (0, {"net_revenue": 100}, {"net_revenue": -100}),
    }


def test_rows_are_chosen_sorted_and_cut_and_the_total_stays() -> None:
    rows = facts(*(order("ann", "03-02", amount, id=name, connection=name) for name, amount in (("a", 5), ("b", 9), ("c", 7), ("d", 1))))
    report = asked(rows, group_by=("connection",), having=(Having(kpi="net_revenue", op="gt", value=1),), limit=2)
    assert list(values(report, "net_revenue")) == ["b", "c"]
    assert (report.rows_found, total(report, "net_revenue")) == (3, 22)
    by_name = asked(rows, group_by=("connection",), sort="connection", descending=False)
    assert list(values(by_name, "net_revenue")) == ["a", "b", "c", "d"]


def test_only_the_facts_that_a_question_can_need_are_read() -> None:
    plain = needs(query(kpis=("net_revenue",)))
    assert set(plain) == {Kind.ORDERS, Kind.RATES}
    assert plain[Kind.ORDERS] == Months("2026-03", "2026-04")
    own = needs(query(group_by=("campaign",), rebill_credit="own", lookback_days=30))
    assert own[Kind.TOUCHES] == Months("2026-01", "2026-04")
    assert Kind.SUBSCRIPTIONS in needs(query(group_by=("campaign",)))


@pytest.mark.parametrize("kind", [ReportType.ORDERS, ReportType.ACQUISITION, ReportType.ADVERTISEMENT, ReportType.ATTRIBUTION, ReportType.LEAD_SOURCE])
def test_every_kpi_is_answered_where_there_is_nothing(kind: ReportType) -> None:
    kpis = tuple(REPORTS[kind].kpis())
    report = asked(facts(), type=kind, kpis=kpis, group_by=("campaign", "product", "tag"), scale=Scale.DAY)
    assert report.rows == ()
    assert set(report.totals[0].values.values()) <= {0, None}


def test_by_touch_date_touches_after_the_range_are_read_for_they_may_take_the_credit_of_those_in_it() -> None:
    early_march = ranges.days(date(2026, 3, 1), date(2026, 3, 9), zone="UTC")
    by_touch = query(group_by=("campaign",), date_mode=DateMode.TOUCH_DATE, range=early_march)
    assert needs(by_touch)[Kind.TOUCHES].last == needs(by_touch)[Kind.ORDERS].last == "2026-06"
