"""Which write key a request is made with."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.intake import basic
from tributary.intake.write_key import KeyUnclear, agreed, of_header


def encoded(text: bytes) -> str:
    return base64.b64encode(text).decode()


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic " + encoded(b"wk_a-b_c:"),
        "Basic " + encoded(b"wk_a-b_c"),
        "basic " + encoded(b"wk_a-b_c:"),
        "BASIC  " + encoded(b"wk_a-b_c:") + " ",
        "Basic " + encoded(b"wk_a-b_c:a password"),
        "Basic " + encoded(b"wk_a-b_c:").rstrip("="),
        "Basic " + base64.urlsafe_b64encode(b"wk_a-b_c:").decode(),
    ],
)
def test_the_key_is_the_user_of_a_basic_header_with_a_colon_and_without(authorization: str) -> None:
    assert of_header({"authorization": authorization}) == "wk_a-b_c"


def test_no_header_a_bearer_token_and_an_empty_user_are_no_key() -> None:
    assert of_header({}) is None
    assert of_header({"authorization": "Bearer abc.def.ghi"}) is None
    assert of_header({"authorization": "Basic " + encoded(b":")}) is None


@pytest.mark.parametrize(
    "authorization",
    [
        basic("wk_1")["authorization"] + ", " + basic("wk_2")["authorization"],
        basic("wk_1")["authorization"] + "," + basic("wk_1")["authorization"],
        "Bearer a,Bearer b",
        "Digest abc",
        "wk_1",
        "Basic !!!",
        "Basic a",
        "Basic " + encoded(b"\xff\xfe:"),
    ],
)
def test_a_header_that_is_repeated_or_unreadable_is_refused_and_not_guessed_at(authorization: str) -> None:
    with pytest.raises(KeyUnclear) as refused:
        of_header({"authorization": authorization})
    assert (refused.value.status, refused.value.code, refused.value.at) == (401, "authorization_invalid", "authorization")


@pytest.mark.parametrize(
    ("header", "body", "key"), [("wk_1", None, "wk_1"), (None, "wk_1", "wk_1"), ("wk_1", "wk_1", "wk_1"), ("wk_1", "", "wk_1"), (None, " wk_1 ", "wk_1")]
)
def test_header_and_body_agree_on_one_key(header: str | None, body: Any, key: str) -> None:
    assert agreed(header, body) == key


@pytest.mark.parametrize(
    ("header", "body", "status", "code"),
    [
        ("wk_1", "wk_2", 401, "write_key_conflict"),
        (None, None, 400, "write_key_missing"),
        (None, "", 400, "write_key_missing"),
        (None, "   ", 400, "write_key_missing"),
        (None, 5, 400, "write_key_missing"),
        ("wk_1", ["wk_1"], 400, "write_key_missing"),
    ],
)
def test_two_keys_are_a_401_and_none_is_a_400(header: str | None, body: Any, status: int, code: str) -> None:
    with pytest.raises(KeyUnclear) as refused:
        agreed(header, body)
    assert (refused.value.status, refused.value.code, refused.value.at) == (status, code, "writeKey")


@given(st.text(max_size=60) | st.text(max_size=60).map("Basic {}".format))
def test_no_header_raises_anything_else(authorization: str) -> None:
    try:
        key = of_header({"authorization": authorization})
    except KeyUnclear:
        return
    assert key is None or key
