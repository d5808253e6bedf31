"""The pixel's query as a body."""

from __future__ import annotations

import base64
import contextlib
import json
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary.sources.segment_api import NotAnEnvelope
from tributary.sources.segment_pixel import body_of

EVENT = {"writeKey": "wk_1", "userId": "orla-12", "event": "Email Opened", "properties": {"subject": "Tide>?tables~ü"}}
ENCODED = base64.b64encode(json.dumps(EVENT, ensure_ascii=False).encode())


@pytest.mark.parametrize(
    "query",
    [
        urlencode({"data": ENCODED}),
        urlencode({"data": ENCODED.rstrip(b"=")}),
        "data=" + ENCODED.decode(),
        "data=" + base64.urlsafe_b64encode(json.dumps(EVENT, ensure_ascii=False).encode()).decode(),
        "data=" + quote(json.dumps(EVENT)),
        "utm_source=x&data=" + quote(ENCODED.decode()),
    ],
    ids=["base64", "without padding", "not escaped", "for addresses", "json as it is", "not the first field"],
)
def test_data_holds_the_event(query: str) -> None:
    assert json.loads(body_of(query)) == EVENT


def test_plus_signs_of_base64_survive_an_address() -> None:
    event = {"a": "~~~???>>>"}
    assert b"+" in base64.b64encode(json.dumps(event).encode()) or b"/" in base64.b64encode(json.dumps(event).encode())
    assert json.loads(body_of("data=" + base64.b64encode(json.dumps(event).encode()).decode())) == event


def test_a_flat_query_is_the_event_by_dotted_names() -> None:
    query = "writeKey=wk_1&userId=orla-12&event=Email+Opened&properties.subject=Tide%20tables&context.campaign.name=spring&properties.empty="
    assert json.loads(body_of(query)) == {
        "writeKey": "wk_1",
        "userId": "orla-12",
        "event": "Email Opened",
        "properties": {"subject": "Tide tables", "empty": ""},
        "context": {"campaign": {"name": "spring"}},
    }


@pytest.mark.parametrize(
    "query", ["data=%%%", "data=a", "data=ä", "properties=1&properties.a=2", "properties.a=2&properties=1", "&".join(f"a{n}=1" for n in range(1_001))]
)
def test_what_is_no_event_is_refused(query: str) -> None:
    with pytest.raises(NotAnEnvelope):
        body_of(query)


@given(st.text(max_size=200))
def test_no_query_raises_anything_else(query: str) -> None:
    with contextlib.suppress(NotAnEnvelope):
        assert isinstance(body_of(query), bytes)


def test_dots_do_not_nest_without_end() -> None:
    body = body_of(".".join("a" * 2_000) + "=1")
    assert body.count(b"{") == 64
