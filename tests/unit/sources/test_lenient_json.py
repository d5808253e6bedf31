"""JSON that a strict reader refuses, set right."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary.sources.lenient_json import Fault, first_fault, repair


def repaired(body: bytes, max_depth: int = 64) -> Any:
    return msgspec.json.decode(repair(body, max_depth)[0])


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
        (b'"caf\xe9"', "caf\ufffd"),
        (b'"\xed\xa0\x80"', "\ufffd\ufffd\ufffd"),
        (rb'"\ud800"', "\ufffd"),
        (rb'"\udc00x"', "\ufffdx"),
        (rb'"\ud800\ud800"', "\ufffd\ufffd"),
        (rb'"\ud83d\ude00"', "😀"),
        (rb'"\\ud800"', "\\ud800"),
        (b'"a\nb\x00c"', "a\nb\x00c"),
        (b"[18446744073709551615]", [2**64 - 1]),
        (b"[18446744073709551616]", [18446744073709551616.0]),
        (b"[-9223372036854775808]", [-(2**63)]),
        (b"[123456789012345678901234567890]", [1.2345678901234568e29]),
        (b'{"id":"123456789012345678901234567890"}', {"id": "123456789012345678901234567890"}),
    ],
)
def test_what_has_an_obvious_meaning_is_given_it(body: bytes, value: Any) -> None:
    found = repaired(body)
    assert found == value
    assert [type(part) for part in found] == [type(part) for part in value]


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b"9" * 400, b"9" * 5_000, b"0." + b"1" * 5_000])
def test_a_number_that_is_none_is_found_again_where_it_stood(number: bytes) -> None:
    value = repaired(b'{"name":"Rope","products":[{"price":1},{"price":' + number + b"}]}")
    assert value["name"] == "Rope"
    assert value["products"][0] == {"price": 1}
    assert first_fault(value, 64) == Fault("products[1].price", "number")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e400"])
def test_what_looks_like_such_a_number_in_a_text_is_left_alone(number: str) -> None:
    body = json.dumps({number: f'say "{number}" or \\{number}'}).encode()
    assert repaired(body) == json.loads(body)


def test_what_is_nested_too_deeply_is_cut_out_and_the_rest_is_kept() -> None:
    deep = b"[" * 10_000 + b"]" * 10_000
    value = repaired(b'{"before":1,"deep":' + deep + b',"after":[2]}', max_depth=10)
    assert (value["before"], value["after"]) == (1, [2])
    assert first_fault(value, 64) == Fault("deep" + "[0]" * 9, "depth")


def test_the_deepest_that_is_allowed_is_left_alone() -> None:
    value = repaired(b"[" * 5 + b"NaN" + b"]" * 5, max_depth=5)
    assert first_fault(value, 5) == Fault("[0][0][0][0][0]", "number")


def test_depth_is_told_without_a_mark_too() -> None:
    assert first_fault({"a": {"b": {"c": 1}}}, 3) is None
    assert first_fault({"a": {"b": {"c": 1}}}, 2) == Fault("a.b", "depth")


def test_replaced_characters_are_counted_and_ones_that_were_sent_are_not() -> None:
    assert repair(b'["\xff","\xff\xff","\xef\xbf\xbd"]', 64)[1] == 3
    assert repair(rb'["\ud800","\udfff"]', 64)[1] == 2
    assert repair('["é😀\ufffd"]'.encode(), 64)[1] == 0


def test_a_name_that_may_be_somebodys_is_not_part_of_a_path() -> None:
    assert first_fault(repaired(b'{"properties":{"orla@harbour.example":NaN}}'), 64) == Fault("properties.\N{HORIZONTAL ELLIPSIS}", "number")


def test_a_path_is_short() -> None:
    value = repaired(b'{"' + b"a" * 64 + b'":' + (b'{"' + b"b" * 64 + b'":') * 50 + b"NaN" + b"}" * 51)
    fault = first_fault(value, 64)
    assert fault is not None
    assert len(fault.path) <= 200


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[1,]", b"{'a':1}", b'"abc', b"nul", b"[01]", b"[1-2]", b"[NaNNaN]", b"[1]]", b'{"a":1}}', b"[" * 100, rb'"\x41"', b"[.5]"]
)
def test_what_is_not_json_stays_so(text: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        repaired(text)


@pytest.mark.parametrize(
    "part", [rb"\"", rb'\\"', b'"', b'"a', b"[", b"]", b"{", b"-", b"9", b"9.", b"NaN", b"\\", b"\\ud800", b'"\\ud800', b"\xff", b"\n", b'[["']
)
def test_no_body_takes_longer_than_its_length_allows(part: bytes) -> None:
    body = part * (512_000 // len(part))
    started = time.perf_counter()
    repair(body, 64)
    repair(b'"' + body, 64)
    assert time.perf_counter() - started < 10, "a tenth of a second each, on any machine; quadratic time would be minutes"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_good_json_means_the_same_afterwards(value: Any) -> None:
    again = repaired(json.dumps(value).encode(), max_depth=1_000)
    assert again == _as_javascript(value)


@given(st.binary(max_size=200))
def test_no_bytes_raise(body: bytes) -> None:
    better, replaced = repair(body, 8)
    better.decode()
    assert replaced >= 0


def _as_javascript(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        number = float(value) if abs(value) < 10**308 else math.inf
        return number if math.isfinite(number) else "\x00tributary: not a number"
    if isinstance(value, list):
        return [_as_javascript(part) for part in value]
    if isinstance(value, dict):
        return {name: _as_javascript(part) for name, part in value.items()}
    return value
