from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.kit.builders import NOON, alias, group, identify, later, page, screen, track
from tributary import log_codec
from tributary.errors import UnreadableMessage
from tributary.events import Event

EVERY_TYPE: list[Event] = [
    track(user_id="u", properties={"a": [1, {"b": None}]}),
    page(anonymous_id="a", context={"page": {"url": "https://shop.example/"}}),
    screen(user_id="u", category="Settings"),
    identify(user_id="u", traits={"email": "orla@harbour.example"}),
    group(user_id="u", traits={"name": "Harbour"}),
    alias("sess-71", user_id="u", original_timestamp=NOON, sent_at=NOON, sequence=3, owner="konnektive#c#1", origin="history"),
]


@pytest.mark.parametrize("event", EVERY_TYPE, ids=lambda event: event.type)
def test_an_event_comes_back_from_the_log_as_it_went_in(event: Event) -> None:
    assert log_codec.unpack(log_codec.pack(event)) == event


def test_a_page_view_of_a_browser_fits_in_one_write_unit_with_room_to_spare() -> None:
    assert len(log_codec.pack(browser_page_view())) < 600


def test_a_resend_says_the_same_whenever_it_is_received() -> None:
    first = track(message_id="m", user_id="u", original_timestamp=NOON, sent_at=NOON, index=1, context={"ip": "203.0.113.7"})
    again = track(
        message_id="m",
        user_id="u",
        original_timestamp=NOON,
        sent_at=later(60),
        received_at=later(61),
        timestamp=later(1),
        index=7,
        context={"ip": "203.0.113.8"},
    )
    assert log_codec.content_digest(first) == log_codec.content_digest(again)


@pytest.mark.parametrize(
    "change", [{"properties": {"a": 2}}, {"event": "Other"}, {"user_id": "v"}, {"original_timestamp": later(1)}, {"context": {"locale": "en-GB"}}]
)
def test_other_content_has_another_digest(change: dict[str, Any]) -> None:
    said: dict[str, Any] = {"message_id": "m", "user_id": "u", "event": "Booked", "properties": {"a": 1}, "original_timestamp": NOON}
    assert log_codec.content_digest(track(**said)) != log_codec.content_digest(track(**{**said, **change}))


def test_the_order_of_keys_is_not_content() -> None:
    assert log_codec.content_digest(track(message_id="m", properties={"a": 1, "b": 2})) == log_codec.content_digest(
        track(message_id="m", properties={"b": 2, "a": 1})
    )


@pytest.mark.parametrize("packed", [b"", b"\x01", b"\x63abc", b"\x01garbage", log_codec.pack(page())[:-3]])
def test_what_cannot_be_read_is_named_so(packed: bytes) -> None:
    with pytest.raises(UnreadableMessage):
        log_codec.unpack(packed)


def test_a_stream_batch_yields_its_events_and_the_keys_of_those_it_cannot_read() -> None:
    good = page(anonymous_id="a")
    records = [
        {"dynamodb": {"Keys": {"pk": {"S": "anon#a"}, "sk": {"S": "event#s#1"}}, "NewImage": {"p": {"B": base64.b64encode(log_codec.pack(good)).decode()}}}},
        {"dynamodb": {"Keys": {"pk": {"S": "anon#b"}, "sk": {"S": "event#s#2"}}, "NewImage": {"p": {"B": "!!"}}}},
        {"dynamodb": {"Keys": {"pk": {"S": "anon#c"}, "sk": {"S": "event#s#3"}}}},
    ]
    assert log_codec.events_of_stream(records) == ([good], ["anon#b|event#s#2", "anon#c|event#s#3"])


def browser_page_view() -> Event:
    """What analytics.js sends for a visit from an ad."""
    url = "https://shop.harbour.example/collections/winter?utm_source=google&utm_medium=cpc&utm_campaign=winter-sale"
    where = {
        "path": "/collections/winter",
        "referrer": "https://www.google.com/",
        "search": "?utm_source=google&utm_medium=cpc&utm_campaign=winter-sale",
        "title": "Winter collection | Harbour Outfitters",
        "url": url,
    }
    return page(
        message_id="ajs-next-1772600767890-0f5b2c1e-8d3a-4c57-9e61-7a2b4d9c3f10",
        anonymous_id="5d0c7e1a-93b4-4f28-a6d1-c8e2f7b09354",
        original_timestamp=NOON,
        sent_at=NOON,
        properties={**where, "name": "Home"},
        context={
            "campaign": {"source": "google", "medium": "cpc", "name": "winter-sale"},
            "ip": "203.0.113.9",
            "library": {"name": "analytics.js", "version": "next-1.84.1"},
            "locale": "en-GB",
            "page": where,
            "timezone": "Europe/London",
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
        },
    )
