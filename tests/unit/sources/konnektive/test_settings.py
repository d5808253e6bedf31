"""The settings of a Konnektive connection, as they are checked when saved and when used."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tributary.errors import SettingsInvalid
from tributary.sources.konnektive.settings import SECRET_SETTINGS, KonnektiveSettings, parse_settings, settings_of

_LEAST = {"loginId": "api-user", "password": "hill-climb-7"}


def _refusal(**settings: Any) -> SettingsInvalid:
    with pytest.raises(SettingsInvalid) as raised:
        parse_settings({**_LEAST, **settings})
    return raised.value


def test_a_login_and_a_password_are_enough() -> None:
    assert parse_settings(_LEAST) == {
        "loginId": "api-user",
        "password": "hill-climb-7",
        "baseUrl": "https://api.konnektive.com",
        "timeZone": "America/New_York",
        "currency": "USD",
        "userId": "email",
        "streams": ("customers", "orders", "transactions", "purchases", "campaigns", "products"),
        "historyStart": "",
        "pollMinutes": 15,
        "postbackFields": {},
        "postbackSecret": "",
        "lookbackDays": 1,
    }


def test_every_setting_can_be_given_and_what_is_stored_reads_back() -> None:
    stored = parse_settings(
        {
            **_LEAST,
            "baseUrl": "https://api.checkoutchamp.com/",
            "timeZone": "Europe/Lisbon",
            "currency": "EUR",
            "userId": "customField:Member No",
            "streams": ["purchases", "orders", "orders"],
            "historyStart": "2024-02-29",
            "pollMinutes": 5,
            "postbackFields": {" OrderHex": "clientOrderId", "evt": "customerType"},
            "postbackSecret": "4f-long-enough-secret",
            "lookbackDays": 3,
        }
    )
    assert settings_of(stored) == KonnektiveSettings(
        login_id="api-user",
        password="hill-climb-7",
        base_url="https://api.checkoutchamp.com",
        time_zone="Europe/Lisbon",
        currency="EUR",
        user_id="customField:Member No",
        streams=("orders", "purchases"),
        history_start="2024-02-29",
        poll_minutes=5,
        postback_fields={"OrderHex": "clientOrderId", "evt": "customerType"},
        postback_secret="4f-long-enough-secret",
        lookback_days=3,
    )
    assert msgspec.convert(stored, KonnektiveSettings) == settings_of(stored)
    assert set(stored) >= SECRET_SETTINGS == {"password", "postbackSecret"}


def test_a_password_with_an_ampersand_is_refused_in_words() -> None:
    refusal = _refusal(password="hill&climb")
    assert refusal.field == "password"
    assert "`&`" in str(refusal)
    assert "hill" not in str(refusal)


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:8080", "http://localhost:9/k", "http://[::1]:9"])
def test_plain_http_is_for_this_machine_alone(base_url: str) -> None:
    assert parse_settings({**_LEAST, "baseUrl": base_url})["baseUrl"] == base_url


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("loginId", [None, "", " ", 7, "x" * 33, " pasted", "pasted\n", "tab\there"]),
        ("password", [None, "", 7, "x" * 33, "pasted ", "a&b"]),
        (
            "baseUrl",
            [
                None,
                7,
                "",
                "api.konnektive.com",
                "http://api.konnektive.com",
                "https://",
                "https://u:p@x.example",
                "https://x.example/?a=1",
                "https://[",
                "ftp://x.example",
            ],
        ),
        ("timeZone", [None, 7, "", "New York", "../etc/passwd", "America", "America/Nowhere", "/etc/localtime"]),
        ("currency", [None, 7, "", "usd", "XYZ", "$"]),
        ("userId", [None, 7, "", "phone", "customField:", "customField: x", "customfield:x", ["email"]]),
        ("streams", [None, "orders", [], ["orders", "refunds"], {"orders": 1}, [["orders"]]]),
        ("historyStart", [None, 7, "2024", "2024-02-30", "02/03/2024", "2024-02-03T00:00:00"]),
        ("pollMinutes", [None, "15", 4, 1441, 15.0, True]),
        ("lookbackDays", [None, "1", 0, 36, True]),
        (
            "postbackFields",
            [
                None,
                [],
                {"": "orderId"},
                {"a": "emailAddress"},
                {"a": 7},
                {"a": "orderId", "A ": "orderId"},
                {str(n): "orderId" for n in range(51)},
                {"a": ["orderId"]},
            ],
        ),
        ("postbackSecret", [None, 7, "short", "x" * 129, "has white space in it", "slash/slash/slash/slash"]),
        ("pollminutes", [15]),
    ],
)
def test_a_bad_value_is_refused_by_its_name(field: str, values: list[Any]) -> None:
    for value in values:
        refusal = _refusal(**{field: value})
        assert refusal.field == field, value


def test_a_refusal_never_says_the_value_of_a_secret() -> None:
    for name in SECRET_SETTINGS:
        assert "hush" not in str(_refusal(**{name: "hush & " * 30}))


def test_settings_that_are_shown_do_not_show_their_secrets() -> None:
    shown = repr(settings_of({**_LEAST, "postbackSecret": "4f-long-enough-secret"}))
    assert "hill-climb-7" not in shown
    assert "4f-long" not in shown
