"""What a postback points to, in every form that an export profile can send."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary.sources.konnektive.postbacks import Hint, Postback, Refusal, Refused, hint_of
from tributary.sources.konnektive.settings import KonnektiveSettings, settings_of

_SECRET = "hills-and-valleys-9"
_FIELDS: dict[str, Any] = {
    "customerType": "Rebill",
    "clientOrderId": "1F2E3D4C5B",
    "orderId": 5188,
    "clientPurchaseId": "5F6E7D8C9B",
    "purchaseId": "610",
    "customerId": 884,
    "emailAddress": "rosa@bikes.example",
    "cardExpiryDate": {"date": "2028-01-31", "timezone": "America/New_York"},
}
_HINT = Hint(order_id="1F2E3D4C5B", order_number=5188, customer_id="884", purchase_id="5F6E7D8C9B", purchase_number=610, event="Rebill")


def _settings(**changed: Any) -> KonnektiveSettings:
    return settings_of({"loginId": "api-user", "password": "hill-climb-7", "postbackSecret": _SECRET, **changed})


def _postback(query: Mapping[str, Any] | None = None, body: bytes = b"", secret: str | None = _SECRET, **headers: str) -> Postback:
    pairs = parse_qsl(urlencode({name: value for name, value in (query or {}).items() if not isinstance(value, dict)}))
    return Postback(query=pairs, body=body, path_secret=secret, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_a_get_carries_everything_in_its_query() -> None:
    assert hint_of(_postback(_FIELDS), _settings()) == _HINT


def test_a_form_carries_it_in_its_body() -> None:
    body = urlencode({name: value for name, value in _FIELDS.items() if not isinstance(value, dict)}).encode()
    assert hint_of(_postback(body=body, Content_Type="application/x-www-form-urlencoded"), _settings()) == _HINT
    assert hint_of(_postback(body=body), _settings()) == _HINT, "without a header too"


@pytest.mark.parametrize("headers", [{}, {"Content_Type": "application/json"}, {"content_type": "application/json; charset=utf-8"}])
def test_json_has_numbers_texts_and_objects(headers: dict[str, str]) -> None:
    assert hint_of(_postback(None, json.dumps(_FIELDS).encode(), _SECRET, **headers), _settings()) == _HINT


def test_case_does_not_matter() -> None:
    assert hint_of(_postback({name.upper(): value for name, value in _FIELDS.items()}), _settings()) == _HINT


def test_the_merchants_own_names_go_through_the_map_and_win() -> None:
    """A shop that calls the public id `orderId` means the public id."""
    settings = _settings(postbackFields={"OrderID": "clientOrderId", "evt": "customerType", "buyer": "customerId"})
    assert hint_of(_postback({"orderid": "1F2E3D4C5B", "EVT": "New Sale", "Buyer": 884}), settings) == Hint(
        order_id="1F2E3D4C5B", customer_id="884", event="New Sale"
    )


def test_a_public_id_under_the_numbers_name_is_seen_for_what_it_is() -> None:
    assert hint_of(_postback({"orderId": "1F2E3D4C5B", "purchaseId": "5f6e7d8c9b"}), _settings()) == Hint(order_id="1F2E3D4C5B", purchase_id="5f6e7d8c9b")
    assert hint_of(_postback({"orderId": "1234567890"}), _settings()) == Hint(order_number=1234567890)


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ({"clientOrderId": "1F2E3D4C5B"}, Hint(order_id="1F2E3D4C5B")),
        ({"orderId": "5188", "clientOrderId": ""}, Hint(order_number=5188)),
        ({"customerId": "884"}, Hint(customer_id="884")),
        ({"clientPurchaseId": "5F6E7D8C9B"}, Hint(purchase_id="5F6E7D8C9B")),
    ],
)
def test_one_id_is_enough(query: dict[str, str], hint: Hint) -> None:
    assert hint_of(_postback(query), _settings()) == hint


@pytest.mark.parametrize(
    "query", [{}, {"customerType": "New Sale"}, {"emailAddress": "rosa@bikes.example"}, {"clientOrderId": "two words", "orderId": "-"}, {"orderId": "0"}]
)
def test_a_postback_that_names_nothing_is_refused(query: dict[str, str]) -> None:
    assert hint_of(_postback(query), _settings()) == Refused(Refusal.NOTHING_NAMED, "clientOrderId")


@pytest.mark.parametrize("body", [b"{", b"[]", b'[{"clientOrderId": "1F2E3D4C5B"}]', b'{"a": \xff}', b"[" * 60_000, b"a=\xff", b"a&" * 400])
def test_a_body_that_cannot_be_read_is_refused(body: bytes) -> None:
    assert hint_of(_postback(body=body), _settings()) == Refused(Refusal.BODY_UNREADABLE, "body")


def test_a_body_that_is_too_large_is_refused() -> None:
    assert hint_of(_postback(body=b" " * 65_537), _settings()) == Refused(Refusal.BODY_TOO_LARGE, "body")


@pytest.mark.parametrize(
    "postback",
    [
        _postback({"clientOrderId": "1F2E3D4C5B"}),
        _postback({"clientOrderId": "1F2E3D4C5B", "Secret": _SECRET}, secret=None),
        _postback({"clientOrderId": "1F2E3D4C5B", "token": _SECRET}, secret=None),
        _postback({"clientOrderId": "1F2E3D4C5B", "k": _SECRET}, secret=None),
        _postback({"clientOrderId": "1F2E3D4C5B"}, secret=None, X_Tributary_Secret=_SECRET),
        _postback(body=json.dumps({"clientOrderId": "1F2E3D4C5B", "secret": _SECRET}).encode(), secret=None),
        _postback(body=f"clientOrderId=1F2E3D4C5B&token={_SECRET}".encode(), secret=None),
    ],
    ids=["path", "query", "token", "by the map", "header", "json", "form"],
)
def test_the_secret_may_stand_anywhere(postback: Postback) -> None:
    assert hint_of(postback, _settings(postbackFields={"k": "secret"})) == Hint(order_id="1F2E3D4C5B")


@pytest.mark.parametrize("given", [None, "", "wrong", _SECRET.upper(), _SECRET[:-1], _SECRET + " ", "ü"])
def test_without_the_secret_nothing_is_taken_and_nothing_is_told(given: str | None) -> None:
    refused = Refused(Refusal.SECRET_REFUSED, "secret")
    assert hint_of(_postback(_FIELDS, secret=given), _settings()) == refused
    assert hint_of(_postback(body=b"{", secret=given), _settings()) == refused


@pytest.mark.parametrize("given", [None, "", "anything-at-all-here"])
def test_a_connection_without_a_secret_takes_no_postbacks(given: str | None) -> None:
    assert hint_of(_postback(_FIELDS, secret=given), _settings(postbackSecret="")) == Refused(Refusal.SECRET_REFUSED, "secret")


def test_the_secret_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    genuine = hmac.compare_digest

    def noted(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return genuine(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    hint_of(_postback(_FIELDS, secret="wrong"), _settings())
    assert compared == [(b"wrong", _SECRET.encode())]


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["orderId", "secret", "x"]), inner),
)


@given(st.binary(max_size=60) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_is_more_than_a_hint_or_a_refusal(body: bytes) -> None:
    assert isinstance(hint_of(_postback(body=body), _settings()), Hint | Refused)
