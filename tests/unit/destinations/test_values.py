"""Values of a JSON object as texts. The cases one by one are golden files (`tests/golden/kissmetrics/values.json`); here is what holds for all."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary.destinations.values import amount, flatten_into, number_text, unix_seconds, unix_seconds_of_text

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12) | st.datetimes().map(datetime.isoformat)
_JSON = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4), max_leaves=12)
_OBJECTS = st.dictionaries(st.text(max_size=6), _JSON, max_size=6)


def _flat(properties: dict[str, Any], prefix: str = "") -> dict[str, str]:
    texts: dict[str, str] = {}
    flatten_into(texts, properties, prefix)
    return texts


@given(properties=_OBJECTS)
def test_any_json_object_becomes_texts_and_stays_what_it_was(properties: dict[str, Any]) -> None:
    before = copy.deepcopy(properties)
    texts = _flat(properties)
    assert all(isinstance(text, str) for text in texts.values())
    assert repr(properties) == repr(before)


@given(properties=_OBJECTS)
def test_a_prefix_changes_names_alone(properties: dict[str, Any]) -> None:
    assert _flat(properties, "Signed Up - ") == {f"Signed Up - {name}": text for name, text in _flat(properties).items()}


@given(item=st.dictionaries(st.text(max_size=6), _JSON, max_size=4))
def test_an_object_in_an_array_can_be_read_again(item: dict[str, Any]) -> None:
    text = _flat({"items": [item]})["items"]
    assert _without_float_noise(json.loads(text)) == _without_float_noise(item)


def _without_float_noise(value: Any) -> Any:
    """Numbers as doubles, which is all that JavaScript has; those beyond them as text has them."""
    match value:
        case bool() | None | str():
            return value
        case int() | float():
            return float(number_text(value))
        case list():
            return [_without_float_noise(inner) for inner in value]
        case dict():
            return {name: _without_float_noise(inner) for name, inner in value.items()}
    raise AssertionError(value)


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_can_be_read_again(number: float) -> None:
    assert float(number_text(number)) == number


@given(number=st.integers(-(2**53), 2**53))
def test_an_integer_that_javascript_has_keeps_each_digit(number: int) -> None:
    assert number_text(number) == str(number)


@given(number=st.integers(2**53, 10**30))
def test_a_larger_integer_is_the_double_that_javascript_makes_of_it(number: int) -> None:
    assert number_text(number) == number_text(float(number))
    assert number_text(-number) == f"-{number_text(number)}"


@pytest.mark.parametrize(
    ("number", "text"),
    [(10**400, "Infinity"), (-(10**400), "-Infinity"), (float("inf"), "Infinity"), (float("-inf"), "-Infinity"), (float("nan"), "NaN")],
)
def test_a_number_beyond_all_numbers_has_a_text_too(number: float, text: str) -> None:
    assert number_text(number) == text


def test_an_object_five_hundred_deep_is_flattened() -> None:
    deep: dict[str, Any] = {"a": 1}
    for _ in range(499):
        deep = {"a": deep}
    assert _flat(deep) == {".".join(["a"] * 500): "1"}


def test_a_value_that_json_has_not_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="datetime is not a JSON value"):
        _flat({"when": datetime(2026, 5, 1, tzinfo=UTC)})


@given(microseconds=st.integers(-(2**55), 2**57), minutes=st.integers(-23 * 60, 23 * 60))
def test_seconds_of_a_date_are_those_of_the_calendar(microseconds: int, minutes: int) -> None:
    aware = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).astimezone(timezone(timedelta(minutes=minutes)))
    seconds = unix_seconds(aware)
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    assert start <= aware < start + timedelta(seconds=1)
    assert unix_seconds_of_text(aware.isoformat()) == seconds


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", "9999-12-31T24:00:00"])
def test_a_date_at_the_end_of_the_calendar_is_text(text: str) -> None:
    assert unix_seconds_of_text(text) is None
    assert _flat({"a": text, "b": {"c": text}}) == {"a": text, "b.c": text}


@pytest.mark.parametrize(("fraction", "milliseconds"), [("", "000"), (".5", "500"), (".05", "050"), (".0005", "000"), (",9999", "999")])
def test_a_date_inside_an_object_has_three_digits_of_its_second(fraction: str, milliseconds: str) -> None:
    assert _flat({"a": {"b": f"2026-05-01T10:30:05{fraction}Z"}}) == {"a.b": f"2026-05-01T10:30:05.{milliseconds}Z"}


def test_a_year_before_1000_keeps_its_four_digits() -> None:
    assert _flat({"a": {"b": "0042-01-01"}}) == {"a.b": "0042-01-01T00:00:00.000Z"}


@pytest.mark.parametrize(
    "text", ["\u0662\u0660\u0662\u0666-05-01", "2026-05-01\n", "2026-05-01Z", "2026-05-01T10:30Z ", "12026-05-01", "-2026-05-01", "2026-05-1T"]
)
def test_what_a_date_is_not(text: str) -> None:
    assert unix_seconds_of_text(text) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5.0),
        (-0.5, -0.5),
        (0, 0.0),
        ("5", 5.0),
        ("$5", 5.0),
        ("5$", 5.0),
        ("+5", 5.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("$1,200.50", 1200.5),
        ("-$1,200", -1200.0),
        ("12,50,000", 1250000.0),
        ("1,200,50", 1200.0),
        ("12,5", 12.0),
        ("1,2000", 1.0),
        ("1.200,50", 1.2),
        ("5 for 3", 5.0),
        ("\u00a05", 5.0),
    ],
)
def test_an_amount_is_the_number_at_the_start(value: object, expected: float) -> None:
    assert amount(value) == expected


@pytest.mark.parametrize(
    "value", [None, True, False, "", " ", "$", "free", "€5", "-", ".", ",5", "1e999", "2026-05-01", [5], {"a": 5}, float("nan"), float("inf"), 10**400]
)
def test_what_holds_no_amount_is_none(value: object) -> None:
    assert amount(value) is None
