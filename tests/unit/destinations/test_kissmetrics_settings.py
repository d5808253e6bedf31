"""The settings of a Kissmetrics connection, as they are checked when saved and when used."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tributary.destinations.kissmetrics import DESTINATION, KissmetricsSettings, parse_settings
from tributary.errors import SettingsInvalid
from tributary.events import Track

_WHEN = datetime(2026, 4, 18, 9, 30, 15, tzinfo=UTC)
_TRACK = Track(source="src_web", message_id="m-1", timestamp=_WHEN, received_at=_WHEN, user_id="maya-31", event="Rang Bell")


def _field_refused(settings: dict[str, Any]) -> str:
    with pytest.raises(SettingsInvalid) as raised:
        parse_settings(settings)
    return raised.value.field


def test_the_key_alone_is_enough() -> None:
    assert parse_settings({"apiKey": "shop-key"}) == KissmetricsSettings(
        api_key="shop-key",
        prefix_properties=True,
        track_categorized_pages=True,
        track_named_pages=True,
        endpoint="https://trk.kissmetrics.io",
        key_case="seed",
    )


def test_every_setting_can_be_given() -> None:
    settings = {
        "apiKey": "shop-key",
        "prefixProperties": False,
        "trackCategorizedPages": False,
        "trackNamedPages": False,
        "endpoint": "https://proxy.bikes.example/km/",
        "keyCase": "source",
    }
    assert parse_settings(settings) == KissmetricsSettings(
        api_key="shop-key",
        prefix_properties=False,
        track_categorized_pages=False,
        track_named_pages=False,
        endpoint="https://proxy.bikes.example/km",
        key_case="source",
    )


@pytest.mark.parametrize("settings", [{}, {"apiKey": None}, {"apiKey": ""}, {"apiKey": "  "}, {"apiKey": 7}, {"apiKey": "two words"}, {"apiKey": "pasted\n"}])
def test_a_key_is_required_because_kissmetrics_never_says_that_one_is_wrong(settings: dict[str, Any]) -> None:
    assert _field_refused(settings) == "apiKey"


@pytest.mark.parametrize("name", ["prefixProperties", "trackCategorizedPages", "trackNamedPages"])
@pytest.mark.parametrize("value", [None, 1, 0, "true", [], {}])
def test_a_toggle_is_true_or_false(name: str, value: object) -> None:
    assert _field_refused({"apiKey": "shop-key", name: value}) == name


@pytest.mark.parametrize("value", ["Seed", "", None, True, [], {}])
def test_the_key_case_is_one_of_two(value: object) -> None:
    assert _field_refused({"apiKey": "shop-key", "keyCase": value}) == "keyCase"


@pytest.mark.parametrize("name", ["apikey", "prefix_properties", "trackPages", "", "host"])
def test_an_unknown_setting_is_refused_by_its_name(name: str) -> None:
    assert _field_refused({"apiKey": "shop-key", name: "x"}) == name


@pytest.mark.parametrize(
    "endpoint", ["https://trk.kissmetrics.com", "https://trk.kissmetrics.io:8443", "http://127.0.0.1:4010", "http://localhost:4010", "https://[2001:db8::1]/km"]
)
def test_an_endpoint_is_https_or_this_machine(endpoint: str) -> None:
    assert parse_settings({"apiKey": "shop-key", "endpoint": endpoint}).endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        None,
        7,
        "",
        "trk.kissmetrics.io",
        "//trk.kissmetrics.io",
        "http://trk.kissmetrics.io",
        "http://127.0.0.2",
        "http://localhost.bikes.example",
        "http://127.0.0.1@bikes.example",
        "https://user:secret@bikes.example",
        "https://bikes.example?key=1",
        "https://bikes.example/#top",
        "https://bikes.example?",
        "https://bikes.example/a b",
        "https://",
        "https://[::1",
        "https://bikes.example:port",
        "ftp://bikes.example",
        "file:///etc/passwd",
    ],
)
def test_any_other_endpoint_is_refused(endpoint: object) -> None:
    assert _field_refused({"apiKey": "shop-key", "endpoint": endpoint}) == "endpoint"


def test_requests_go_to_the_endpoint() -> None:
    [request] = DESTINATION.build(_TRACK, {"apiKey": "shop-key", "endpoint": "http://127.0.0.1:4010/"})
    assert request.url == "http://127.0.0.1:4010/e"


def test_settings_that_change_are_seen_at_once() -> None:
    settings: dict[str, Any] = {"apiKey": "first"}
    [before] = DESTINATION.build(_TRACK, settings)
    settings["apiKey"] = "second"
    [after] = DESTINATION.build(_TRACK, settings)
    assert (dict(before.query)["_k"], dict(after.query)["_k"]) == ("first", "second")


@pytest.mark.parametrize("settings", [{}, {"apiKey": ["a", "list"]}, {"apiKey": "shop-key", "extra": {}}])
def test_stored_settings_that_do_not_fit_stop_the_connection(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsInvalid):
        DESTINATION.build(_TRACK, settings)


def test_no_message_repeats_the_key() -> None:
    with pytest.raises(SettingsInvalid) as raised:
        parse_settings({"apiKey": "secret key"})
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("value", "words"), [(1, "the setting apiKey is a text"), (None, "the setting apiKey is required"), (" ", "the setting apiKey is required")]
)
def test_what_is_wrong_with_a_key_is_said(value: object, words: str) -> None:
    with pytest.raises(SettingsInvalid, match=words):
        parse_settings({"apiKey": value})
