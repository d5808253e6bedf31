"""What an answer of the account means. Errors come with HTTP 200, so the words decide, and a refusal must never be taken for an empty day."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.kit.builders import NOON
from tributary.errors import SourceRefused, TributaryError, VendorThrottled, VendorUnavailable
from tributary.ports import VendorAnswer
from tributary.sync.api import Page, read


def answer(body: Any, status: int = 200, **headers: str) -> VendorAnswer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return VendorAnswer(status=status, headers={"content-type": "text/html; charset=UTF-8", **headers}, body=raw)


def error(message: Any) -> VendorAnswer:
    return answer({"result": "ERROR", "message": message})


def read_it(one: VendorAnswer) -> Page:
    return read(one, "order/query", now=NOON, secrets=("hunter-2", "shop-api"))


@pytest.mark.parametrize(
    ("message", "rows", "total", "per_page"),
    [
        ({"totalResults": 2, "resultsPerPage": 200, "page": 1, "data": [{"orderId": "A"}, {"orderId": "B"}]}, 2, 2, 200),
        ({"totalResults": "2", "resultsPerPage": "25", "page": "1", "data": [{"orderId": "A"}]}, 1, 2, 25),
        ({"totalResults": 2, "data": {"12": {"campaignId": 12}, "13": {"campaignId": 13}}}, 2, 2, 200),
        ({"totalResults": 0, "data": []}, 0, 0, 200),
        ({"totalResults": 0, "data": None}, 0, 0, 200),
        ([{"date": "2024-03-09"}], 1, None, 200),
    ],
)
def test_a_success_has_rows_in_one_of_three_forms(message: Any, rows: int, total: int | None, per_page: int) -> None:
    page = read_it(answer({"result": "SUCCESS", "message": message}))
    assert (len(page.rows), page.total, page.per_page) == (rows, total, per_page)


@pytest.mark.parametrize(
    "words",
    [
        "No orders matching those parameters could be found",
        "No purchases matching those parameters could be found",
        "  no records were found.",
    ],
)
def test_an_error_that_says_nothing_was_found_is_an_empty_page(words: str) -> None:
    assert read_it(error(words)) == Page(rows=[], total=0)


@pytest.mark.parametrize(
    ("words", "problem", "says"),
    [
        ("IP must be whitelisted - 203.0.113.9", "address", "(203.0.113.9)"),
        ("IP must be whitelisted - 203.0.113.9", "address", "keyword AWS"),
        ("API user does not have access to this endpoint", "permission", "order/query"),
        ("Invalid login credentials", "login", "API User"),
        ("invalid log-in", "login", "loginId"),
        ("No user with that password could be found", "login", "password"),
        ("Not authorized", "permission", "Access Details"),
        ("No transactions with this IP could be found", "login", "loginId"),
        ({"loginId": "is a required field"}, "login", "loginId"),
    ],
)
def test_a_refusal_says_in_words_what_a_person_has_to_do(words: Any, problem: str, says: str) -> None:
    with pytest.raises(SourceRefused) as refused:
        read_it(error(words))
    assert refused.value.problem == problem
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (error("Something went wrong"), VendorUnavailable),
        (error({"startDate": "is invalid"}), VendorUnavailable),
        (answer({"result": "MERC_REDIRECT", "message": {}}), VendorUnavailable),
        (answer(b"<html><body>502 Bad Gateway</body></html>"), VendorUnavailable),
        (answer(b'{"result":"SUCCESS","message":{"totalResults":1,"data":[{"orderId":'), VendorUnavailable),
        (answer(b"\xff\xfe"), VendorUnavailable),
        (answer([]), VendorUnavailable),
        (answer({"result": "SUCCESS", "message": {"data": "text"}}), VendorUnavailable),
        (answer({"result": "SUCCESS", "message": "Please try again"}), VendorUnavailable),
        (answer({"result": "SUCCESS", "message": {}}), VendorUnavailable),
        (answer({"result": "SUCCESS"}), VendorUnavailable),
        (answer({"result": "SUCCESS", "message": {"data": [1, 2]}}), VendorUnavailable),
        (answer(b"", 503), VendorUnavailable),
        (answer(b"", 404), VendorUnavailable),
        (answer(b"", 408), VendorUnavailable),
        (answer(b"", 302), VendorUnavailable),
        (answer(b"", 429), VendorThrottled),
        (answer(b"<html>Attention Required!</html>", 403), VendorUnavailable),
    ],
)
def test_whatever_else_comes_is_asked_for_again_and_never_an_empty_day(given: VendorAnswer, expected: type[TributaryError]) -> None:
    with pytest.raises(expected):
        read_it(given)


def test_the_wait_that_is_asked_for_is_kept() -> None:
    with pytest.raises(VendorThrottled) as throttled:
        read_it(answer(b"", 429, **{"retry-after": "90"}))
    assert throttled.value.retry_after == 90


def test_an_errors_text_repeats_no_credential_and_nothing_of_a_person() -> None:
    with pytest.raises(VendorUnavailable) as raised:
        read_it(error("shop-api/hunter-2 cannot read kim@example.com of order 4101220 now"))
    text = str(raised.value)
    assert not any(secret in text for secret in ("hunter-2", "shop-api", "kim@", "4101220"))
    assert "cannot read" in text
