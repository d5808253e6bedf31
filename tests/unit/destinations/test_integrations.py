"""The `integrations` object of an event."""

from __future__ import annotations

from typing import Any

import pytest

from tributary.destinations.integrations import integrations_allow

_NAMES = frozenset({"KISSmetrics", "Kissmetrics"})


@pytest.mark.parametrize(
    ("integrations", "allowed"),
    [
        ({}, True),
        ({"All": True}, True),
        ({"All": False}, False),
        ({"all": False}, False),
        ({"ALL": False}, False),
        ({"All": None}, True),
        ({"All": "false"}, True),
        ({"All": {}}, True),
        ({"All": 0}, True),
        ({"Klaviyo": False}, True),
        ({"All": False, "Klaviyo": True}, False),
    ],
)
def test_without_its_own_key_a_destination_follows_all(integrations: dict[str, Any], allowed: bool) -> None:
    assert integrations_allow(integrations, _NAMES) is allowed


@pytest.mark.parametrize(
    ("integrations", "allowed"),
    [
        ({"Kissmetrics": False}, False),
        ({"KISSmetrics": False}, False),
        ({"All": True, "KISSmetrics": False}, False),
        ({"All": False, "Kissmetrics": True}, True),
        ({"Kissmetrics": True, "all": False}, True),
    ],
)
def test_a_destinations_own_key_beats_all(integrations: dict[str, Any], allowed: bool) -> None:
    assert integrations_allow(integrations, _NAMES) is allowed


@pytest.mark.parametrize("options", [{"trackIp": True}, {}, None, "no", 0, []])
def test_options_of_any_kind_switch_a_destination_on(options: object) -> None:
    assert integrations_allow({"All": False, "Kissmetrics": options}, _NAMES)


@pytest.mark.parametrize("name", ["kissmetrics", "KISSMETRICS", "Kissmetrics ", "kissMetrics"])
def test_a_destinations_name_in_another_spelling_is_another_destination(name: str) -> None:
    assert integrations_allow({name: False}, _NAMES)
    assert not integrations_allow({"All": False, name: True}, _NAMES)


@pytest.mark.parametrize(
    "integrations", [{"KISSmetrics": True, "Kissmetrics": False}, {"Kissmetrics": False, "KISSmetrics": {"any": 1}}, {"All": True, "all": False}]
)
def test_where_two_keys_contradict_each_other_the_event_is_withheld(integrations: dict[str, Any]) -> None:
    assert not integrations_allow(integrations, _NAMES)
