"""Cells: what is read, exactly, and what is refused rather than guessed."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary.currencies import MINOR_UNITS
from tributary.entered.reading import Form, Reader, Row

CURRENCIES = st.sampled_from(["USD", "JPY", "KWD", "CLF"])
LATEST = date(2026, 3, 5)


def reader(value: Any, form: Form = "csv") -> Reader:
    return Reader(Row(2, {"cell": value}), form)


def reason(read: Reader) -> str:
    [error] = read.errors
    assert (error.row, error.column) == (2, "cell")
    return error.reason


@given(st.integers(min_value=-(10**14), max_value=10**14), CURRENCIES)
def test_an_amount_that_is_written_out_is_read_to_the_minor_unit(minor: int, currency: str) -> None:
    text = f"{Decimal(minor).scaleb(-MINOR_UNITS[currency]):f}"
    assert reader(text).money("cell", currency) == minor
    assert reader(f" {text} ").money("cell", currency) == minor
    assert reader(minor, "json").money("cell", currency) == minor


@given(st.integers(min_value=0, max_value=10**12), CURRENCIES.filter(lambda currency: currency != "JPY"))
def test_groups_of_thousands_are_read_where_a_point_follows(minor: int, currency: str) -> None:
    amount = Decimal(minor).scaleb(-MINOR_UNITS[currency])
    assert reader(f"{amount:,f}").money("cell", currency) == minor


@pytest.mark.parametrize("text", ["12,34", "1,234", "1.234,56", "1,23,456.00", "12,345.6,7", "1234,567.00", "0,5"])
def test_a_comma_that_might_be_either_is_refused(text: str) -> None:
    read = reader(text)
    assert read.money("cell", "USD") is None
    assert "comma" in reason(read)


@pytest.mark.parametrize(
    "text", ["$12", "12 USD", "1e3", "1 234.00", "1'234.00", "١٢", "NaN", "inf", "--", "12.", ".5", "+5", "0x10", "9" * 16, "1.2345678901234"]
)
def test_what_is_no_plain_decimal_is_refused(text: str) -> None:
    read = reader(text)
    assert read.money("cell", "USD") is None
    assert reason(read)


@pytest.mark.parametrize(("text", "currency"), [("12.345", "USD"), ("12.5", "JPY"), ("1.2345", "KWD")])
def test_more_digits_than_the_currency_has_are_refused_and_never_rounded(text: str, currency: str) -> None:
    read = reader(text)
    assert read.money("cell", currency) is None
    assert reason(read).startswith(currency)


def test_digits_that_say_nothing_are_read() -> None:
    assert reader("12.3400").money("cell", "USD") == 1234
    assert reader("12.000").money("cell", "JPY") == 12


@pytest.mark.parametrize("value", [12.34, "12.34", "1234", True, {}, Decimal("12.34")])
def test_an_amount_in_json_is_an_integer_of_minor_units_and_nothing_else(value: Any) -> None:
    read = reader(value, "json")
    assert read.money("cell", "USD") is None
    assert "1234 for 12.34 USD" in reason(read)


@given(st.integers(min_value=-(10**15), max_value=10**15), CURRENCIES)
def test_millionths_are_rounded_half_to_even(micros: int, currency: str) -> None:
    exact = Fraction(micros * 10 ** MINOR_UNITS[currency], 1_000_000)
    assert reader(str(micros)).micros("cell", currency) == round(exact)


@pytest.mark.parametrize(("micros", "yen"), [(500_000, 0), (1_500_000, 2), (2_500_000, 2), (500_001, 1), (-500_000, 0), (-1_500_000, -2)])
def test_half_a_minor_unit_goes_to_the_even_one(micros: int, yen: int) -> None:
    assert reader(str(micros)).micros("cell", "JPY") == yen


@pytest.mark.parametrize("text", ["1.2021E+17", "1.2E17", "1E+17", "120210000000000000.0"])
def test_an_id_that_a_spreadsheet_rounded_is_refused(text: str) -> None:
    read = reader(text)
    assert read.id("cell") is None
    assert "spreadsheet" in reason(read)


def test_an_id_in_json_is_text() -> None:
    read = reader(120210000000000001, "json")
    assert read.id("cell") is None
    assert "quotes" in reason(read)
    assert reader("120210000000000001", "json").id("cell") == "120210000000000001"


@pytest.mark.parametrize("text", ["3/8/2026", "08.03.2026", "2026-3-8", "2026-02-30", "20260308", "2026-03-06", "1999-12-31", "2026-03-01T00:00", ""])
def test_a_day_that_is_none_or_yet_to_come_is_refused(text: str) -> None:
    read = reader(text)
    assert read.day("cell", latest=LATEST) is None
    assert reason(read)


@pytest.mark.parametrize("text", ["Ann <ann@harbour.example>", "ann@harbour.example", "x" * 256, "two\nlines", "a\u2028b", "\ud800"])
def test_a_name_that_holds_an_email_or_cannot_be_shown_is_refused(text: str) -> None:
    read = reader(text)
    assert read.text("cell") is None
    assert "harbour" not in reason(read)


@given(st.decimals(min_value="0.000000000001", max_value="999999999999999", places=12, allow_nan=False))
def test_a_rate_is_the_decimal_that_was_written(rate: Decimal) -> None:
    assert reader(f"{rate:f}").rate("cell") == rate
    assert reader(f"{rate:f}", "json").rate("cell") == rate


@pytest.mark.parametrize("value", ["0", "-1", "1,08", "1e-3", 0, True, None, Decimal("1e999999999999"), Decimal("0.0000000000001"), "1.0842 USD"])
def test_a_rate_that_is_none_is_refused(value: Any) -> None:
    read = reader(value, "json")
    assert read.rate("cell") is None
    assert reason(read)


@pytest.mark.parametrize(("text", "count"), [("0", 0), ("1234", 1234), ("1,234,567", 1234567)])
def test_a_count_may_be_grouped(text: str, count: int) -> None:
    assert reader(text).whole("cell") == count


@pytest.mark.parametrize("text", ["-1", "1.5", "12,34", "--", "9" * 16])
def test_what_is_no_count_is_refused(text: str) -> None:
    read = reader(text)
    assert read.whole("cell") is None
    assert reason(read)
