"""Percent-encoded pairs."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary.destinations import encoding
from tributary.destinations.encoding import encode_each, encode_pairs, encoded_length

_ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.text('ab%&=+ []",\\\x00\x01\x02\x7fé½𝄞')
_PAIRS = st.lists(st.tuples(_ANY_TEXT, _ANY_TEXT), max_size=8)


def test_a_space_is_percent_20_and_a_plus_is_not_a_space() -> None:
    assert encode_pairs([("Berth Booked - note", "1 + 1")]) == "Berth%20Booked%20-%20note=1%20%2B%201"


def test_text_beyond_ascii_is_encoded_as_utf_8() -> None:
    assert encode_pairs([("name", "Åsa ½ 🚢")]) == "name=%C3%85sa%20%C2%BD%20%F0%9F%9A%A2"


def test_every_separator_inside_a_name_or_value_is_escaped() -> None:
    assert encode_pairs([("a=b", "c&d"), ("e", "?f#g/h:i")]) == "a%3Db=c%26d&e=%3Ff%23g%2Fh%3Ai"


def test_a_percent_sign_is_escaped_once() -> None:
    assert encode_pairs([("off", "50% & 5%20")]) == "off=50%25%20%26%205%2520"


def test_unreserved_characters_stay() -> None:
    assert encode_pairs([("Az09-._~", "~_.-90zA")]) == "Az09-._~=~_.-90zA"


def test_every_ascii_character_is_encoded_as_the_standard_library_does_it() -> None:
    for code in range(128):
        assert encode_pairs([(f"n{chr(code)}", f"v{chr(code)}")]) == f"n{quote(chr(code), safe='')}=v{quote(chr(code), safe='')}"


def test_no_pairs_make_an_empty_text() -> None:
    assert encode_pairs([]) == ""
    assert encoded_length([]) == 0


def test_an_empty_value_keeps_its_name() -> None:
    assert encode_pairs([("tags", ""), ("note", "x")]) == "tags=&note=x"


@pytest.mark.parametrize("half", [0xD83D, 0xDEA2, 0xDCFF])
def test_half_of_a_surrogate_pair_becomes_the_replacement_character(half: int) -> None:
    assert encode_pairs([("name", f"a{chr(half)}b"), ("next", "c")]) == "name=a%EF%BF%BDb&next=c"


def test_text_that_looks_like_what_stands_between_pairs_is_text() -> None:
    assert encode_pairs([('"],["', '","'), ("]],[[", ",")]) == "%22%5D%2C%5B%22=%22%2C%22&%5D%5D%2C%5B%5B=%2C"


def test_control_characters_that_the_encoder_uses_inside_do_not_confuse_it() -> None:
    assert encode_pairs([("a\x00b", "c\x01d"), ("e", "f")]) == "a%00b=c%01d&e=f"
    assert encode_pairs([("a", "\x00")]) == "a=%00"
    assert encode_pairs([("a", "b"), ("c\x01", "d")]) == "a=b&c%01=d"


@given(pairs=_PAIRS)
def test_it_says_what_the_standard_library_says(pairs: list[tuple[str, str]]) -> None:
    expected = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    assert encode_pairs(pairs) == expected
    assert encoded_length(pairs) == len(expected)


@given(requests=st.lists(st.dictionaries(_ANY_TEXT, _ANY_TEXT, max_size=8), max_size=4))
def test_several_requests_together_are_encoded_as_each_alone(requests: list[dict[str, str]]) -> None:
    assert encode_each(requests) == [encode_pairs(list(request.items())) for request in requests]


def test_names_that_are_all_different_do_not_fill_the_memory() -> None:
    for number in range(10_000):
        encode_pairs([(f"name {number}", "x")])
    assert len(encoding._NAMES) <= 4096
    assert encode_pairs([("name 0", "x")]) == "name%200=x"


def test_a_name_as_long_as_an_event_is_encoded_and_forgotten() -> None:
    for number in range(10):
        assert encode_pairs([("n" * 30_000 + str(number), "x")]) == "n" * 30_000 + f"{number}=x"
    assert max(map(len, encoding._NAMES)) <= 512


@given(pairs=_PAIRS)
def test_what_is_encoded_decodes_to_the_same_pairs_in_the_same_order(pairs: list[tuple[str, str]]) -> None:
    assert parse_qsl(encode_pairs(pairs), keep_blank_values=True, max_num_fields=None) == pairs
