"""Fields of a row, in all the spellings that they come in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tributary.errors import RowUnreadable
from tributary.sources.konnektive import reading as read


@pytest.mark.parametrize(
    ("value", "cents"),
    [
        ("29.99", 2999),
        (29.99, 2999),
        (30, 3000),
        ("1,234.50", 123450),
        ("1,234,567", 123456700),
        ("$29.99", 2999),
        ("-5.00", -500),
        ("-$5", -500),
        ("$-5", -500),
        ("+5", 500),
        (" 7 ", 700),
        (".5", 50),
        ("5.", 500),
        ("0.00", 0),
        ("0.005", 1),
        ("0.004", 0),
        (0.1 + 0.2, 30),
        ("-0.005", -1),
        (None, None),
        ("", None),
        ("12,50", None),
        ("1,23,4", None),
        ("free", None),
        ("1e3", None),
        ("NaN", None),
        (float("nan"), None),
        (float("inf"), None),
        (10**13, None),
        (True, None),
        ([], None),
        ({}, None),
        ("9" * 70, None),
        ("-", None),
        ("$", None),
        (".", None),
        ("5 USD", None),
    ],
)
def test_money_is_read_exactly_or_not_at_all(value: Any, cents: int | None) -> None:
    assert read.minor({"price": value}, "price", "USD") == cents


@pytest.mark.parametrize(("currency", "minor", "number"), [("JPY", 1235, 1235.0), ("USD", 123450, 1234.5), ("KWD", 1234500, 1234.5), ("CLF", 12345000, 1234.5)])
def test_minor_units_are_the_currencys(currency: str, minor: int, number: float) -> None:
    assert read.minor({"price": "1,234.50"}, "price", currency) == minor
    assert read.number_of(minor, currency) == number


@pytest.mark.parametrize("value", ["12,50", "free", [], True, float("nan")])
def test_money_that_makes_an_order_is_never_guessed(value: Any) -> None:
    with pytest.raises(RowUnreadable) as raised:
        read.required_minor({"totalAmount": value}, "totalAmount", "USD")
    assert raised.value.field == "totalAmount"
    assert raised.value.code == "row_unreadable"


@pytest.mark.parametrize("value", [None, "", "  "])
def test_no_money_is_no_fault(value: Any) -> None:
    assert read.required_minor({"totalAmount": value}, "totalAmount", "USD") is None
    assert read.required_minor({}, "totalAmount", "USD") is None


@pytest.mark.parametrize(("value", "code"), [(None, "CAD"), ("", "CAD"), ("usd", "USD"), (" EUR ", "EUR")])
def test_the_currency_is_the_rows_or_the_connections(value: Any, code: str) -> None:
    assert read.currency_of({"currencyCode": value}, "CAD") == code


def test_an_unknown_currency_is_not_counted_as_another() -> None:
    with pytest.raises(RowUnreadable) as raised:
        read.currency_of({"currencyCode": "DOGE"}, "USD")
    assert raised.value.field == "currencyCode"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (771, "771"),
        ("771", "771"),
        (771.0, "771"),
        (" 0A1B2C3D4E ", "0A1B2C3D4E"),
        (None, None),
        ("", None),
        (0, None),
        ("0", None),
        (True, None),
        (7.5, None),
        ([], None),
        ("a#b", None),
        ("x" * 65, None),
        (10**20, None),
        ("two words", None),
        ("a:b", None),
        (float("inf"), None),
        (float("nan"), None),
    ],
)
def test_an_id_is_text_whatever_it_came_as(value: Any, found: str | None) -> None:
    assert read.id_of({"orderId": value}, "orderId") == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("Recycle Billing", "RECYCLE_BILLING"),
        (" cod-pending ", "COD_PENDING"),
        ("NEW_SALE", "NEW_SALE"),
        ("Ünknown", "ÜNKNOWN"),
        (None, None),
        ([], None),
        (7, "7"),
    ],
)
def test_an_enum_has_one_spelling(value: Any, found: str | None) -> None:
    assert read.enum({"status": value}, "status") == found


@pytest.mark.parametrize(
    ("value", "found"), [(1, True), ("1", True), ("0", False), (0, False), (False, False), ("yes", True), (None, None), ("", None), ("maybe", None), ([], None)]
)
def test_a_flag_may_be_a_number_or_its_digit(value: Any, found: bool | None) -> None:
    assert read.flag({"isChargedback": value}, "isChargedback") is found


@pytest.mark.parametrize(
    ("value", "found"),
    [(2, 2), ("2", 2), ("-2", -2), (2.0, 2), ("2.00", 2), ("ONE_TIME", None), (None, None), (2.5, None), ("", None), (10**30, None), (float("inf"), None)],
)
def test_a_whole_number_may_be_its_digits(value: Any, found: int | None) -> None:
    assert read.whole({"billingCycleNumber": value}, "billingCycleNumber") == found


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2024-01-15 12:00:00", datetime(2024, 1, 15, 17, tzinfo=UTC)),
        ("2024-07-15 12:00:00", datetime(2024, 7, 15, 16, tzinfo=UTC)),
        ("2024-07-15T12:00", datetime(2024, 7, 15, 16, tzinfo=UTC)),
        ("2024-07-15", datetime(2024, 7, 15, 4, tzinfo=UTC)),
        ("2024-11-03 01:30:00", datetime(2024, 11, 3, 5, 30, tzinfo=UTC)),
        ("2024-03-10 02:30:00", datetime(2024, 3, 10, 7, 30, tzinfo=UTC)),
    ],
    ids=["winter", "summer", "iso", "a day", "the repeated hour is the first", "the hour that never was"],
)
def test_a_time_is_the_accounts_wall_clock(local: str, utc: datetime) -> None:
    text = read.local_text({"dateCreated": local}, "dateCreated")
    assert text is not None
    assert read.utc_of(text, "America/New_York") == utc


@pytest.mark.parametrize("value", [None, "", " ", "0000-00-00 00:00:00", "0000-00-00"])
def test_no_time_is_none(value: Any) -> None:
    assert read.local_text({"dateCreated": value}, "dateCreated") is None


@pytest.mark.parametrize(
    "value", ["yesterday", "2024-13-01", "2024-02-30 10:00:00", 1700000000, True, [], "03/09/2024", "9999-01-01 00:00:00", "2024-01-01 25:00:00"]
)
def test_an_unreadable_time_is_a_fault_of_the_row(value: Any) -> None:
    with pytest.raises(RowUnreadable) as raised:
        read.local_text({"dateCreated": value}, "dateCreated")
    assert raised.value.field == "dateCreated"


@pytest.mark.parametrize(
    "given",
    [
        {"quiz": "yes", "size": 54},
        {"a": {"name": "quiz", "value": "yes"}, "size": {"value": 54}},
        [{"name": "quiz", "value": "yes"}, {"label": "size", "value": 54}, "odd", {"value": "x"}],
    ],
)
def test_custom_fields_have_one_shape(given: Any) -> None:
    assert read.custom_fields({"customFields": given}) == {"quiz": "yes", "size": 54}


@pytest.mark.parametrize("given", [None, "", [], {}, 7, "yes,no", [["quiz", "yes"]], {"quiz": None}, {"": "x"}, {"quiz": {"deep": 1}}])
def test_what_are_no_custom_fields_are_none(given: Any) -> None:
    assert read.custom_fields({"customFields": given}) == {}


@pytest.mark.parametrize(
    "name",
    ["Card Number", "cvv", "CVC2", "card_expiry", "Expiration", "Password", "achRoutingNumber", "Account Number", "IBAN", "SSN", "auth code", "descriptor"],
)
def test_a_custom_field_that_names_a_secret_is_dropped(name: str) -> None:
    assert read.custom_fields({"customFields": {name: "1", "quiz": "yes"}}) == {"quiz": "yes"}


@pytest.mark.parametrize("value", ["4111111111111111", "4111 1111 1111 1111", "my card 5555-5555-5555-4444 ok", 4111111111111111 // 10**0, "378282246310005"])
def test_a_custom_field_that_holds_a_card_number_is_dropped(value: Any) -> None:
    assert read.custom_fields({"customFields": {"note": value}}) == {}


@pytest.mark.parametrize("value", ["4111111111111112", "120210000000000017", "23843000000000017", "5550117", "2026-02-10 20:15:30"])
def test_other_numbers_are_kept(value: str) -> None:
    assert read.custom_fields({"customFields": {"note": value}}) == {"note": value}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["VIP", " Spring ", "VIP", 7], ["VIP", "Spring", "7"]),
        ("VIP, Spring", ["VIP", "Spring"]),
        ([{"name": "VIP"}, {"tag": "Spring"}, {"x": 1}], ["VIP", "Spring"]),
        ({"1": "VIP"}, ["VIP"]),
        (None, []),
        ("", []),
        (7, []),
        ([None, [], True], []),
    ],
)
def test_tags_should_there_ever_be_any(given: Any, found: list[str]) -> None:
    assert read.tags({"tags": given}) == found


def test_half_a_surrogate_pair_is_no_text_that_json_can_hold() -> None:
    assert read.text({"firstName": "Ro\ud800sa"}, "firstName") == "Ro?sa"


def test_utm_values_keep_their_blanks_and_names_do_not() -> None:
    assert read.exact_text({"UTMMedium": " Set A "}, "UTMMedium") == " Set A "
    assert read.text({"firstName": " Rosa "}, "firstName") == "Rosa"
    assert read.exact_text({"UTMMedium": "  "}, "UTMMedium") is None
