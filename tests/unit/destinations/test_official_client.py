"""Our requests beside those of Kissmetrics' own Python client (py-KISSmetrics): for the same input, the same address and the same parameters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from KISSmetrics.client import Client

from tributary.destinations.encoding import encode_pairs
from tributary.destinations.kissmetrics import DESTINATION
from tributary.events import Alias, Event, Identify, Track
from tributary.ports import VendorRequest

_KEY = "0123456789abcdef0123456789abcdef01234567"
_WHEN = datetime(2026, 4, 18, 9, 30, 15, 250_000, tzinfo=UTC)
_SECONDS = 1776504615
_COMMON: dict[str, Any] = {"source": "src_web", "message_id": "m-1", "timestamp": _WHEN, "received_at": _WHEN}
_PROPERTIES = {"plan": "rider", "seats": 14, "note": "50% off & más = ½, 1 + 1?", "email": "zoe+bikes@bikes.example", "path": "/a/b#c", "blank": ""}


class _Recorded(Client):
    """The client, with the URL it would ask for instead of the asking."""

    asked: str

    def _request(self, uri: str, method: str = "GET") -> None:
        assert method == "GET"
        self.asked = uri


@pytest.fixture
def official() -> Any:  # the client has no types
    client: Any = _Recorded
    return client(key=_KEY, trk_scheme="https")


def _ours(event: Event, **settings: object) -> list[VendorRequest]:
    return DESTINATION.build(event, {"apiKey": _KEY, **settings})


def _parts(url: str) -> tuple[str, str, str, dict[str, str]]:
    split = urlsplit(url)
    pairs = parse_qsl(split.query, keep_blank_values=True)
    assert len(pairs) == len(dict(pairs))
    return split.scheme, split.netloc, split.path, dict(pairs)


def _assert_same(request: VendorRequest, official: Any) -> None:
    assert request.method == "GET"
    assert _parts(f"{request.url}?{encode_pairs(request.query)}") == _parts(official.asked)


def test_a_track_is_what_the_client_records(official: Any) -> None:
    official.record("zoe+bikes@bikes.example", "Bike Rented", properties=_PROPERTIES, timestamp=_SECONDS)
    [request] = _ours(Track(**_COMMON, user_id="zoe+bikes@bikes.example", event="Bike Rented", properties=_PROPERTIES), prefixProperties=False)
    _assert_same(request, official)


def test_a_prefixed_track_is_what_the_client_records_under_those_names(official: Any) -> None:
    official.record("maya-31", "Größe, M", properties={f"Größe, M - {name}": value for name, value in _PROPERTIES.items()}, timestamp=_SECONDS)
    [request] = _ours(Track(**_COMMON, user_id="maya-31", event="Größe, M", properties=_PROPERTIES))
    _assert_same(request, official)


def test_an_identify_is_what_the_client_sets_with_the_id(official: Any) -> None:
    official.set("maya-31", properties={**_PROPERTIES, "id": "maya-31"}, timestamp=_SECONDS)
    [request] = _ours(Identify(**_COMMON, user_id="maya-31", traits=_PROPERTIES))
    _assert_same(request, official)


def test_an_alias_is_what_the_client_aliases(official: Any) -> None:
    official.alias("old+me@bikes.example", "Ωνομα/=+")
    [request] = _ours(Alias(**_COMMON, previous_id="old+me@bikes.example", user_id="Ωνομα/=+"))
    _assert_same(request, official)


def test_the_visitor_of_an_identify_is_what_the_client_aliases(official: Any) -> None:
    official.alias("maya-31", "visitor-c2")
    [_, request] = _ours(Identify(**_COMMON, user_id="maya-31", anonymous_id="visitor-c2"))
    _assert_same(request, official)
