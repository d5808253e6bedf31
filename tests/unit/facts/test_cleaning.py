"""What a text may say in FACTS."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary.facts.cleaning import MAX_PLACE_BYTES, MAX_TEXT_BYTES, Cleaner, country_of
from tributary.identity.digests import Digests


def cleaner() -> Cleaner:
    return Cleaner(Digests(b"a key for tests alone"))


@pytest.mark.parametrize(
    "value",
    [
        "ana@quay.example",
        "Ana <ana@quay.example>",
        "ana%40quay.example",
        "ana%2540quay.example",
        "ana\uff20quay.example",
        "to:ana@quay.example;",
        "+1 202 555 0143",
        "+353871234567",
        "(202) 555-0143",
        "202-555-0143",
        "call 202.555.0143 now",
        "%2B44%2020%207946%200958",
        "2025550143",
        "12025550143",
    ],
)
def test_an_email_or_a_phone_number_is_left_out_and_counted(value: str) -> None:
    one = cleaner()
    assert one.text(value) is None
    assert one.left_out == {"personal": 1}


@pytest.mark.parametrize("value", ["spring", "Spring Sale 2026", "50% off @ home", "v1.2.3", "2026-03-04", "KIT-1", "1.234.567", "10-12-14", "ü", "iPhone 15"])
def test_a_word_is_kept_as_it_is(value: str) -> None:
    one = cleaner()
    assert one.text(value) == value
    assert not one.left_out


def test_a_bare_number_is_an_id_where_ids_stand() -> None:
    assert cleaner().code("12025550143") == "12025550143"
    assert cleaner().code("+12025550143") is None


def test_an_order_whose_id_is_an_email_has_a_digest_of_it_the_same_everywhere() -> None:
    first, again = cleaner().identifier("order", "ana@quay.example"), cleaner().identifier("order", "ana@quay.example")
    assert first == again
    assert "ana" not in first
    assert cleaner().identifier("order", "0A1B2C") == "0A1B2C"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://www.quay.example/a/b?email=ana@quay.example#x", "quay.example/a/b"),
        ("https://quay.example", "quay.example"),
        ("https://quay.example/u/ana@quay.example/orders", "quay.example/u/…/orders"),
        ("https://quay.example/u/ana%40quay.example", "quay.example/u/…"),
        ("https://ana:secret@quay.example/a", "quay.example/a"),
        ("", None),
        (None, None),
    ],
)
def test_of_an_address_host_and_path_are_kept(url: str | None, place: str | None) -> None:
    assert cleaner().place(url) == place


@given(st.text())
def test_a_text_stands_on_one_line_within_its_bound(value: str) -> None:
    kept = cleaner().text(value) or ""
    assert len(kept.encode()) <= MAX_TEXT_BYTES
    assert not any(character in kept for character in "\n\r\t\x00\u2028")
    assert len((cleaner().place(f"https://quay.example/{value}") or "").encode()) <= MAX_PLACE_BYTES


@pytest.mark.parametrize(
    ("traits", "country"),
    [
        ({"country": "us"}, "US"),
        ({"address": {"country": "United States"}, "country": "NO"}, "US"),
        ({"country": " Norway "}, "Norway"),
        ({"address": "12 Quay Street"}, None),
        ({}, None),
    ],
)
def test_a_country_is_two_letters_where_it_can_be_told(traits: dict[str, object], country: str | None) -> None:
    assert country_of(traits) == country
