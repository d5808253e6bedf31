"""What Kissmetrics receives for an event, case by case: `tests/golden/kissmetrics/*.json`.

A case is `{why, settings, event, requests}`. The event is what a sender posts, with the time it happened; what intake adds to it is added here, and so is the
API key. `requests`, in order: `{"GET /e": {parameter: text}}`, for a POST the form's parameters. Parameters are compared as sets: their order says nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tributary.destinations.encoding import encode_pairs
from tributary.destinations.integrations import integrations_allow
from tributary.destinations.kissmetrics import DEFAULT_ENDPOINT, DESTINATION, MAX_QUERY
from tributary.events import Event, decode, encode
from tributary.ports import VendorRequest

_FOLDER = Path(__file__).parent / "kissmetrics"
_API_KEY = "shop-key"


def _cases() -> list[Any]:
    return [
        pytest.param(case, id=f"{path.stem}: {case['why']}") for path in sorted(_FOLDER.glob("*.json")) for case in json.loads(path.read_text(encoding="utf-8"))
    ]


def _event(case: dict[str, Any]) -> Event:
    return decode(json.dumps({"source": "src_web", "messageId": "message-1", "receivedAt": "2026-04-18T09:30:17Z", **case["event"]}).encode())


def _requests(case: dict[str, Any]) -> list[VendorRequest]:
    event = _event(case)
    if not integrations_allow(event.integrations, DESTINATION.integration_names):
        return []
    return DESTINATION.build(event, {"apiKey": _API_KEY, **case["settings"]})


def _seen(request: VendorRequest) -> dict[str, dict[str, str]]:
    pairs = request.query if request.form is None else request.form
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), "a parameter twice"
    return {f"{request.method} {request.url.removeprefix(DEFAULT_ENDPOINT)}": dict(pairs)}


@pytest.mark.parametrize("case", _cases())
def test_kissmetrics_receives(case: dict[str, Any]) -> None:
    assert [_seen(request) for request in _requests(case)] == case["requests"]


@pytest.mark.parametrize("case", _cases())
def test_what_is_sent_holds_its_form(case: dict[str, Any]) -> None:
    """Everything in the query of a GET or the form of a POST, by its length; the encoded text says the same as the pairs."""
    for request in _requests(case):
        pairs, nothing = (request.query, request.form) if request.method == "GET" else (request.form or (), request.query or None)
        assert nothing is None
        assert request.encoded == encode_pairs(pairs)
        assert parse_qsl(request.encoded, keep_blank_values=True) == list(pairs)
        assert (request.method == "GET") == (len(request.encoded) <= MAX_QUERY)
        assert urlsplit(request.url).query == ""
        assert request.json is None


@pytest.mark.parametrize("case", _cases())
def test_the_event_is_left_as_it_was(case: dict[str, Any]) -> None:
    event = _event(case)
    before = encode(event)
    DESTINATION.build(event, {"apiKey": _API_KEY, **case["settings"]})
    assert encode(event) == before


def test_every_case_says_why() -> None:
    ids = [case.id for case in _cases()]
    assert len(ids) > 150
    assert len(set(ids)) == len(ids)
    assert all(case.values[0]["why"].endswith(".") for case in _cases())
