"""One request as few queue messages as hold it."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.builders import NOON
from tributary.events import Track, encode
from tributary.intake.packing import pack
from tributary.messages import MAX_MESSAGE_BYTES, Rejected, ingest_decoder

SQS_REFUSES = {chr(0xFFFE), chr(0xFFFF)} | {chr(code) for code in range(32) if chr(code) not in "\t\n\r"}


def track(text: str, index: int = 0) -> Track:
    return Track(source="src_shop", message_id=f"m-{index}", timestamp=NOON, received_at=NOON, index=index, user_id="u", event=text)


def test_one_request_is_one_message() -> None:
    events = [track("x" * 100, index) for index in range(2_500)]
    (text,) = pack("src_shop", NOON, [encode(event) for event in events], [])
    message = ingest_decoder.decode(text)
    assert (message.source, message.received_at, message.events, message.rejected) == ("src_shop", NOON, events, [])
    assert json.loads(text)["schemaVersion"] == 1


def test_rejected_items_travel_with_the_events() -> None:
    rejected = Rejected(code="event_not_defined", field="event", message="a track call needs a name", index=1)
    (text,) = pack("src_shop", NOON, [encode(track("x"))], [rejected])
    assert ingest_decoder.decode(text).rejected == [rejected]


def test_nothing_is_no_message() -> None:
    assert list(pack("src_shop", NOON, [], [])) == []


@given(
    st.lists(st.text(max_size=60), max_size=30),
    st.lists(st.text(max_size=60), max_size=10),
    st.integers(min_value=900, max_value=4_000),
)
def test_every_event_is_in_one_message_in_order_and_no_message_is_larger_than_allowed(names: list[str], bodies: list[str], limit: int) -> None:
    events = [track(name, index) for index, name in enumerate(names)]
    rejected = [Rejected(code="bad_request", field="body", message="no", body=body) for body in bodies]
    texts = list(pack("src_shop", NOON, [encode(event) for event in events], rejected, max_bytes=limit))
    messages = [ingest_decoder.decode(text) for text in texts]
    assert [event for message in messages for event in message.events] == events
    assert [item for message in messages for item in message.rejected] == rejected
    assert all(len(text.encode()) <= limit for text in texts)
    sizes = [len(text.encode()) for text in texts]
    assert all(first + second > limit for first, second in itertools.pairwise(sizes)), "two neighbours would have fitted into one"


@pytest.mark.parametrize("character", [*sorted(SQS_REFUSES), "😀", "\x7f", "\u2028"])
def test_no_character_that_sqs_refuses_is_sent_and_none_is_lost(character: str) -> None:
    event = track(character * 10)
    (text,) = pack("src_shop", NOON, [encode(event)], [])
    assert not SQS_REFUSES & set(text)
    assert ingest_decoder.decode(text).events == [event]


def test_size_is_counted_after_escaping() -> None:
    events = [encode(track("\uffff" * 30_000, index)) for index in range(11)]
    texts = list(pack("src_shop", NOON, events, []))
    assert sum(map(len, events)) < MAX_MESSAGE_BYTES
    assert len(texts) == 3, "five of them fill one"
    assert all(len(text.encode()) <= MAX_MESSAGE_BYTES for text in texts)
