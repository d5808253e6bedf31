"""What a caller posts → events, and what is wrong with the rest."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.builders import NOON
from tests.kit.intake import SOURCE, WRITE_KEY, IntakeBench
from tributary.events import Alias, Event, Group, Identify, Page, Screen, Track
from tributary.messages import ingest_decoder
from tributary.sources import segment_api
from tributary.sources.segment_api import Accepted, Call, Caller, NotAnEnvelope

VALID: dict[str, dict[str, Any]] = {
    "identify": {"userId": "orla-12"},
    "track": {"userId": "orla-12", "event": "Berth Booked"},
    "page": {"userId": "orla-12"},
    "screen": {"userId": "orla-12"},
    "group": {"userId": "orla-12", "groupId": "g-88"},
    "alias": {"userId": "orla-12", "previousId": "sess-71"},
}
ID = {"messageId": "m-1"}


def accept(call: Call, body: Any, *, at: datetime = NOON, ip: str | None = None, client_side: bool = False) -> Accepted:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    caller = Caller(source=SOURCE, write_key=WRITE_KEY, received_at=at, ip=ip, client_side=client_side)
    return segment_api.accept(segment_api.open_envelope(call, raw), caller)


def events(accepted: Accepted) -> list[Event]:
    head = f'{{"source":"{SOURCE}","receivedAt":"{NOON.isoformat()}","events":['.encode()
    return ingest_decoder.decode(head + b",".join(accepted.events) + b"]}").events


def event(call: Call, body: Any, **given: Any) -> Any:
    accepted = accept(call, body, **given)
    assert not accepted.rejected, accepted.rejected
    (found,) = events(accepted)
    return found


def batch(*items: Any, **outer: Any) -> dict[str, Any]:
    return {"batch": list(items), **outer}


def refused(call: Call, body: Any) -> tuple[str, str]:
    accepted = accept(call, body)
    assert not accepted.events
    (rejected,) = accepted.rejected
    return rejected.code, rejected.field


# ---------------------------------------------------------------- the calls


@pytest.mark.parametrize(
    ("call", "body", "event_class", "own"),
    [
        ("identify", {**VALID["identify"], "traits": {"plan": "crew"}}, Identify, {"traits": {"plan": "crew"}}),
        ("track", {**VALID["track"], "properties": {"nights": 3}}, Track, {"event": "Berth Booked", "properties": {"nights": 3}}),
        ("page", {**VALID["page"], "name": "Tides", "category": "Docs", "properties": {"url": "https://a"}}, Page, {"name": "Tides", "category": "Docs"}),
        ("screen", {**VALID["screen"], "name": "Cart"}, Screen, {"name": "Cart", "properties": {}}),
        ("group", {**VALID["group"], "traits": {"berths": 4}}, Group, {"group_id": "g-88", "traits": {"berths": 4}}),
        ("alias", VALID["alias"], Alias, {"previous_id": "sess-71", "user_id": "orla-12"}),
    ],
)
def test_each_call_becomes_its_event_alone_and_in_a_batch(call: Call, body: dict[str, Any], event_class: type[Event], own: dict[str, Any]) -> None:
    alone = event(call, {**body, **ID})
    in_batch = event("batch", batch({**body, **ID, "type": call}))
    assert isinstance(alone, event_class)
    assert {name: getattr(alone, name) for name in own} == own
    assert alone == in_batch


def test_an_event_carries_its_source_its_receipt_and_its_place() -> None:
    first, second = events(accept("batch", batch({**VALID["page"], "type": "page"}, {**VALID["track"], "type": "track"})))
    assert (first.source, first.received_at, first.origin) == (SOURCE, NOON, "live")
    assert (second.received_at, second.index) == (NOON, 1)
    assert first.stamp < second.stamp


def test_the_path_says_the_type_whatever_the_body_says() -> None:
    assert isinstance(event("track", {**VALID["track"], "type": "identify"}), Track)


def test_a_place_in_the_request_counts_the_refused_items_too() -> None:
    accepted = accept("batch", batch({"type": "track"}, {**VALID["page"], "type": "page"}))
    assert [found.index for found in events(accepted)] == [1]
    assert [item.index for item in accepted.rejected] == [0]


def test_nobody_can_say_that_an_event_is_history_or_of_another_source() -> None:
    found = event(
        "track",
        {**VALID["track"], "origin": "history", "source": "src_other", "owner": "konnektive#1#2", "sequence": 9, "index": 7, "receivedAt": "2001-01-01"},
    )
    assert (found.origin, found.source, found.owner, found.sequence, found.index, found.received_at) == ("live", SOURCE, None, 0, 0, NOON)


def test_null_is_as_good_as_absent() -> None:
    nothing = dict.fromkeys(("anonymousId", "context", "integrations", "properties", "timestamp", "messageId", "sentAt", "options", "previousId"))
    assert event("track", {**nothing, **VALID["track"]}) == event("track", VALID["track"])
    assert event("page", {**VALID["page"], "name": None, "category": None}) == event("page", VALID["page"])


# ---------------------------------------------------------------- what Segment discards


@pytest.mark.parametrize(
    ("call", "change", "code", "field"),
    [
        ("track", {"userId": None}, "no_user_anon_id", "userId"),
        ("identify", {"userId": None}, "no_user_anon_id", "userId"),
        ("group", {"userId": None}, "no_user_anon_id", "userId"),
        ("track", {"userId": ""}, "id_not_string", "userId"),
        ("track", {"userId": "", "anonymousId": "a-1"}, "id_not_string", "userId"),
        ("track", {"userId": True}, "id_not_string", "userId"),
        ("track", {"userId": {}}, "id_not_string", "userId"),
        ("track", {"userId": 2.0**53}, "id_not_string", "userId"),
        ("track", {"anonymousId": []}, "id_not_string", "anonymousId"),
        ("track", {"event": None}, "event_not_defined", "event"),
        ("track", {"event": ""}, "event_not_defined", "event"),
        ("track", {"event": 5}, "event_not_string", "event"),
        ("track", {"properties": "nights=3"}, "properties_not_object", "properties"),
        ("track", {"properties": []}, "properties_not_object", "properties"),
        ("page", {"properties": 1}, "properties_not_object", "properties"),
        ("page", {"name": 5}, "name_not_string", "name"),
        ("page", {"name": ""}, "name_not_string", "name"),
        ("screen", {"name": {}}, "name_not_string", "name"),
        ("page", {"category": ""}, "category_not_string", "category"),
        ("screen", {"category": 1}, "category_not_string", "category"),
        ("identify", {"traits": [1]}, "traits_not_object", "traits"),
        ("group", {"traits": "x"}, "traits_not_object", "traits"),
        ("group", {"groupId": None}, "id_required", "groupId"),
        ("group", {"groupId": ""}, "id_not_string", "groupId"),
        ("alias", {"userId": None}, "id_required", "userId"),
        ("alias", {"previousId": None}, "id_required", "previousId"),
        ("alias", {"previousId": ""}, "id_not_string", "previousId"),
        ("track", {"context": "x"}, "context_not_object", "context"),
        ("track", {"context": [1]}, "context_not_object", "context"),
        ("track", {"integrations": True}, "integrations_not_object", "integrations"),
        ("track", {"messageId": 17}, "message_id_not_string", "messageId"),
        ("track", {"messageId": "m" * 101}, "message_id_too_long", "messageId"),
        ("track", {"timestamp": "last tuesday"}, "timestamp_invalid", "timestamp"),
        ("track", {"timestamp": True}, "timestamp_invalid", "timestamp"),
        ("track", {"originalTimestamp": "0001-01-01T00:00:00Z"}, "timestamp_invalid", "originalTimestamp"),
        ("track", {"timestamp": "1901-01-01T00:00:00Z", "sentAt": "2199-01-01T00:00:00Z"}, "timestamp_invalid", "timestamp"),
    ],
)
def test_an_invalid_event_is_discarded_under_its_code_with_the_field(call: Call, change: dict[str, Any], code: str, field: str) -> None:
    assert refused(call, {**VALID[call], **change}) == (code, field)
    assert refused("batch", batch({**VALID[call], **change, "type": call})) == (code, field)
    assert accept(call, {**VALID[call], **change}).refusal is None


@pytest.mark.parametrize(
    ("type_", "code"), [(None, "missing_type"), ("Track", "invalid_type"), ("batch", "invalid_type"), (5, "invalid_type"), ([], "invalid_type")]
)
def test_an_item_of_a_batch_names_its_type(type_: Any, code: str) -> None:
    assert refused("batch", batch({**VALID["track"], "type": type_})) == (code, "type")


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"writeKey": "wk_another"}, "write_key_conflict", "writeKey"),
    ],
)
def test_what_we_refuse_beyond_that_is_a_400_alone_and_one_item_of_a_batch(change: dict[str, Any], code: str, field: str) -> None:
    alone = accept("track", {**VALID["track"], **change})
    assert alone.refusal is not None
    assert (alone.refusal.code, alone.refusal.field) == (code, field)
    in_batch = accept("batch", batch({**VALID["track"], "type": "track", **change}, {**VALID["page"], "type": "page"}))
    assert in_batch.refusal is None
    assert [(item.code, item.field, item.index) for item in in_batch.rejected] == [(code, field, 0)]
    assert len(in_batch.events) == 1


@pytest.mark.parametrize("item", [None, 5, "track", [], [{}], True])
def test_an_item_that_is_no_object_is_named_by_its_place(item: Any) -> None:
    assert refused("batch", batch(item)) == ("bad_request", "batch[0]")


def test_a_rejected_item_is_kept_as_sent_but_for_the_key_and_its_length() -> None:
    body = {"type": "track", "userId": "orla-12", "messageId": "m-9", "writeKey": WRITE_KEY, "properties": {"a": "ü" * 5_000}}
    (rejected,) = accept("batch", json.dumps(batch(body), ensure_ascii=False).encode()).rejected
    assert (rejected.type, rejected.message_id, rejected.index) == ("track", "m-9", 0)
    assert rejected.body is not None
    assert WRITE_KEY not in rejected.body
    assert rejected.body.startswith('{"type": "track", "userId": "orla-12"')
    assert len(rejected.body) == 2_048


@pytest.mark.parametrize("empty", ["", "  ", None])
def test_an_empty_write_key_is_as_good_as_none(empty: str | None) -> None:
    assert event("track", {**VALID["track"], "writeKey": empty}).user_id == "orla-12"
    assert event("batch", batch({**VALID["track"], "type": "track", "writeKey": empty}, writeKey=empty)).user_id == "orla-12"
    assert event("track", {**VALID["track"], "writeKey": f" {WRITE_KEY} "}).user_id == "orla-12"


# ---------------------------------------------------------------- ids


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("orla-12", "orla-12"), (42, "42"), (-1, "-1"), (0, "0"), (9_223_372_036_854_775_807, "9223372036854775807"), (42.0, "42"), (4.5, "4.5"), (" ", " ")],
)
def test_ids_are_texts_and_numbers_become_their_digits(sent: Any, kept: str) -> None:
    found = event("alias", {"userId": sent, "anonymousId": sent, "previousId": sent})
    assert (found.user_id, found.anonymous_id, found.previous_id) == (kept, kept, kept)
    assert event("group", {"userId": sent, "groupId": sent}).group_id == kept


def test_a_number_that_javascript_would_round_is_nobodys_id() -> None:
    assert refused("track", b'{"userId":123456789012345678901234567890,"event":"x"}') == ("id_not_string", "userId")


def test_an_alias_without_previous_id_means_its_visitor() -> None:
    found = event("alias", {"userId": "orla-12", "anonymousId": "a-1"})
    assert (found.user_id, found.previous_id, found.anonymous_id) == ("orla-12", None, "a-1")


# ---------------------------------------------------------------- time


def test_the_sender_s_clock_is_corrected_by_what_it_shows_when_it_sends() -> None:
    body = {**VALID["track"], "timestamp": "2026-03-04T09:57:30.000Z", "sentAt": "2026-03-04T09:58:00.000Z"}
    found = event("track", body, at=datetime(2026, 3, 4, 10, 0, 5, tzinfo=UTC))
    assert found.timestamp == datetime(2026, 3, 4, 9, 59, 35, tzinfo=UTC)
    assert found.original_timestamp == datetime(2026, 3, 4, 9, 57, 30, tzinfo=UTC)
    assert found.sent_at == datetime(2026, 3, 4, 9, 58, tzinfo=UTC)


@given(st.timedeltas(min_value=timedelta(days=-3_000), max_value=timedelta(days=3_000)), st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=30)))
def test_however_wrong_a_clock_is_the_time_comes_out_right(wrong: timedelta, ago: timedelta) -> None:
    body = {**VALID["track"], "timestamp": (NOON - ago + wrong).isoformat(), "sentAt": (NOON + wrong).isoformat()}
    assert event("track", body).timestamp == NOON - ago


def test_one_sent_at_on_the_envelope_counts_for_every_item() -> None:
    item = {**VALID["track"], "type": "track", "timestamp": "2026-03-04T10:59:00Z"}
    found = events(accept("batch", batch(item, {**item, "sentAt": "2020-01-01T00:00:00Z"}, sentAt="2026-03-04T11:00:00Z")))
    assert [one.timestamp for one in found] == [NOON - timedelta(minutes=1)] * 2
    alone = events(accept("batch", batch({**item, "sentAt": "2026-03-04T10:59:30Z"})))
    assert [one.timestamp for one in alone] == [NOON - timedelta(seconds=30)]


@pytest.mark.parametrize(
    ("times", "timestamp", "original"),
    [
        ({}, NOON, None),
        ({"sentAt": "2026-03-04T09:00:00Z"}, NOON, None),
        ({"timestamp": "2019-05-06T07:08:09Z"}, datetime(2019, 5, 6, 7, 8, 9, tzinfo=UTC), datetime(2019, 5, 6, 7, 8, 9, tzinfo=UTC)),
        ({"originalTimestamp": "2026-03-04T11:00:00Z", "sentAt": "2026-03-04T11:00:00Z"}, NOON, datetime(2026, 3, 4, 11, tzinfo=UTC)),
        (
            {"timestamp": "2026-03-04T11:30:00Z", "originalTimestamp": "2026-03-04T11:00:00Z"},
            datetime(2026, 3, 4, 11, 30, tzinfo=UTC),
            datetime(2026, 3, 4, 11, 30, tzinfo=UTC),
        ),
        ({"timestamp": "2035-01-01T00:00:00Z"}, datetime(2035, 1, 1, tzinfo=UTC), datetime(2035, 1, 1, tzinfo=UTC)),
    ],
    ids=["no time", "sentAt alone", "an import", "RudderStack's name for it", "both names", "the future"],
)
def test_a_missing_time_is_stood_in_for(times: dict[str, Any], timestamp: datetime, original: datetime | None) -> None:
    found = event("track", {**VALID["track"], **times})
    assert (found.timestamp, found.original_timestamp) == (timestamp, original)


def test_a_sent_at_that_would_put_an_event_into_the_future_is_not_believed() -> None:
    of_the_day = {**VALID["track"], "timestamp": "2026-03-04T11:00:00Z"}
    accepted = accept("track", {**of_the_day, "sentAt": "1900-01-01T00:00:00Z"})
    (found,) = events(accepted)
    assert (found.timestamp, found.sent_at) == (NOON - timedelta(hours=1), None)
    assert accepted.ignored == ("sentAt",)
    a_day_ahead = accept("track", {**of_the_day, "sentAt": "2026-03-03T11:00:00Z"})
    assert (events(a_day_ahead)[0].timestamp, a_day_ahead.ignored) == (NOON + timedelta(days=1), ())
    assert accept("track", {**of_the_day, "sentAt": "2026-03-03T10:59:59Z"}).ignored == ("sentAt",)


def test_a_sent_at_that_cannot_be_read_costs_the_correction_and_not_the_event() -> None:
    accepted = accept("track", {**VALID["track"], "timestamp": "2026-03-04T11:00:00Z", "sentAt": "soon"})
    (found,) = events(accepted)
    assert (found.timestamp, found.sent_at) == (NOON - timedelta(hours=1), None)
    assert accepted.ignored == ("sentAt",)


# ---------------------------------------------------------------- messageId


def test_a_message_id_is_kept_up_to_a_hundred_characters() -> None:
    for given_id in ("m", "ü" * 100):
        assert event("track", {**VALID["track"], "messageId": given_id}).message_id == given_id


@pytest.mark.parametrize("absent", [{}, {"messageId": None}, {"messageId": ""}])
def test_without_a_message_id_one_is_derived_that_a_resend_brings_again(absent: dict[str, Any]) -> None:
    body = {**VALID["track"], **absent, "timestamp": "2026-03-04T11:00:00Z", "properties": {"a": 1, "b": 2}}
    resent = {**body, "properties": {"b": 2, "a": 1}, "sentAt": "2026-03-04T11:55:00Z", "writeKey": WRITE_KEY, "_metadata": {"retryCount": 3}}
    first = event("track", body)
    again = event("track", resent, at=NOON + timedelta(days=2), ip="203.0.113.9", client_side=True)
    assert first.message_id.startswith("derived-")
    assert len(first.message_id) <= 100
    assert again.message_id == first.message_id


@pytest.mark.parametrize(
    "change",
    [
        {"userId": "orla-13"},
        {"anonymousId": "a-1"},
        {"event": "Berth Left"},
        {"properties": {"a": 2}},
        {"context": {"ip": "203.0.113.1"}},
        {"integrations": {"All": False}},
        {"timestamp": "2026-03-04T11:00:01Z"},
    ],
)
def test_events_that_say_something_else_have_another_derived_id(change: dict[str, Any]) -> None:
    body = {**VALID["track"], "timestamp": "2026-03-04T11:00:00Z"}
    assert event("track", {**body, **change}).message_id != event("track", body).message_id


def test_calls_of_another_type_have_another_derived_id() -> None:
    assert event("page", VALID["page"]).message_id != event("screen", VALID["screen"]).message_id


def test_a_timeless_event_is_the_same_within_a_day_and_another_the_next() -> None:
    midnight = datetime(2026, 3, 5, tzinfo=UTC)
    morning, night, next_week = (event("track", VALID["track"], at=at).message_id for at in (NOON, midnight - timedelta(seconds=1), NOON + timedelta(days=7)))
    assert morning == night
    assert next_week != morning


def test_equal_items_of_one_request_are_several_events_and_the_same_ones_on_a_resend() -> None:
    item = {**VALID["track"], "type": "track"}
    ids = [found.message_id for found in events(accept("batch", batch(item, item, {**item, "event": "Other"}, item)))]
    again = [found.message_id for found in events(accept("batch", batch(item, item, {**item, "event": "Other"}, item), at=NOON + timedelta(minutes=3)))]
    assert len(set(ids)) == 4
    assert ids == again
    assert [ids[1], ids[3]] == [f"{ids[0]}-2", f"{ids[0]}-3"]


# ---------------------------------------------------------------- context and integrations


def test_the_batch_s_context_and_integrations_are_in_each_item_whose_own_entries_win() -> None:
    outer = {"context": {"library": {"name": "harbour-py"}, "locale": "en"}, "integrations": {"All": False, "Kissmetrics": True}}
    plain, own = events(
        accept(
            "batch",
            batch({**VALID["page"], "type": "page"}, {**VALID["page"], "type": "page", "context": {"locale": "ga"}, "integrations": {"All": True}}, **outer),
        )
    )
    assert (plain.context, plain.integrations) == (outer["context"], outer["integrations"])
    assert own.context == {"library": {"name": "harbour-py"}, "locale": "ga"}
    assert own.integrations == {"All": True, "Kissmetrics": True}


def test_what_an_item_adds_to_the_shared_context_is_its_own() -> None:
    first, second = events(
        accept(
            "batch",
            batch({**VALID["page"], "type": "page", "channel": "server"}, {**VALID["page"], "type": "page"}, context={"locale": "ga"}),
            ip="203.0.113.9",
            client_side=True,
        )
    )
    assert first.context == {"locale": "ga", "channel": "server", "ip": "203.0.113.9"}
    assert second.context == {"locale": "ga", "ip": "203.0.113.9"}


def test_php_s_empty_list_is_an_empty_object() -> None:
    found = event("batch", batch({**VALID["page"], "type": "page", "context": [], "integrations": []}, context=[], integrations=[]))
    assert (found.context, found.integrations) == ({}, {})


@pytest.mark.parametrize(("name", "code"), [("context", "context_not_object"), ("integrations", "integrations_not_object")])
def test_a_batch_whose_own_context_cannot_be_read_is_refused_whole(name: str, code: str) -> None:
    accepted = accept("batch", batch({**VALID["page"], "type": "page"}, **{name: "x"}))
    assert accepted.refusal is not None
    assert (accepted.refusal.code, accepted.refusal.field, accepted.events) == (code, name, [])


def test_rudderstack_s_traits_in_the_context_are_an_identify_s_traits_where_it_has_none() -> None:
    context = {"traits": {"email": "orla@harbour.example"}}
    assert event("identify", {"userId": "orla-12", "context": context}).traits == context["traits"]
    assert event("identify", {"userId": "orla-12", "context": context, "traits": {"plan": "crew"}}).traits == {"plan": "crew"}
    assert event("group", {**VALID["group"], "context": context}).traits == {}


@pytest.mark.parametrize(
    ("context", "client_side", "ip", "kept"),
    [
        ({}, True, "203.0.113.9", "203.0.113.9"),
        ({}, False, "203.0.113.9", None),
        ({"direct": True}, False, "203.0.113.9", "203.0.113.9"),
        ({"direct": "yes"}, False, "203.0.113.9", None),
        ({"ip": "198.51.100.4"}, True, "203.0.113.9", "198.51.100.4"),
        ({}, True, None, None),
    ],
)
def test_the_connection_s_address_is_the_visitor_s_only_if_the_visitor_calls(
    context: dict[str, Any], client_side: bool, ip: str | None, kept: str | None
) -> None:
    assert event("page", {**VALID["page"], "context": context}, ip=ip, client_side=client_side).context.get("ip") == kept


# ---------------------------------------------------------------- limits


def sized(size: int, **item: Any) -> dict[str, Any]:
    """An item of exactly so many bytes."""
    empty = len(json.dumps({**item, "properties": {"a": ""}}))
    return {**item, "properties": {"a": "x" * (size - empty)}}


def test_an_event_of_the_limit_is_accepted_and_one_byte_more_is_not() -> None:
    item = {**VALID["track"], "type": "track"}
    assert len(json.dumps(sized(32_768, **item))) == 32_768
    assert event("track", sized(32_768, **item)).properties["a"].startswith("x")
    alone = accept("track", sized(32_769, **item))
    assert alone.refusal is not None
    assert (alone.refusal.code, alone.refusal.field) == ("payload_too_large", "body")
    assert "Exceed payload limit" in alone.refusal.message
    in_batch = accept("batch", batch(sized(32_769, **item), sized(32_768, **item)))
    assert [(one.code, one.field) for one in in_batch.rejected] == [("payload_too_large", "batch[0]")]
    assert len(in_batch.events) == 1
    assert in_batch.refusal is None


def test_space_around_an_event_is_not_part_of_it() -> None:
    body = json.dumps(sized(32_768, **VALID["track"])).encode()
    assert len(accept("track", b" \n" + body + b"\n ").events) == 1


def test_an_event_of_the_limit_cannot_hold_more_keys_than_a_later_stage_takes() -> None:
    keys = {f"{number:x}": 0 for number in range(10_001)}
    assert refused("track", {**VALID["track"], "properties": keys})[0] == "payload_too_large"


def test_2500_events_are_taken_and_what_is_past_them_is_listed() -> None:
    item = {**VALID["page"], "type": "page"}
    full = accept("batch", batch(*[item] * 2_500))
    assert (len(full.events), full.rejected) == (2_500, [])
    over = accept("batch", batch(*[item] * 2_502))
    assert (len(over.events), over.rejected_count, over.refusal) == (2_500, 2, None)
    assert [(one.code, one.field, one.index) for one in over.rejected] == [("too_many_events", "batch[2500]", 2_500), ("too_many_events", "batch[2501]", 2_501)]
    assert over.rejected[1].body == json.dumps(item)


def test_a_batch_of_a_quarter_million_items_is_listed_to_an_end() -> None:
    body = b'{"batch":[' + b"1," * 249_999 + b"1]}"
    accepted = accept("batch", body)
    assert accepted.rejected_count == 250_000
    assert len(accepted.rejected) == 5_001
    assert "245,000 more" in accepted.rejected[-1].message


def test_a_shared_context_cannot_make_a_small_request_huge() -> None:
    item = {**VALID["page"], "type": "page"}
    accepted = accept("batch", batch(*[item] * 2_500, context={"a": "x" * 30_000}))
    assert sum(map(len, accepted.events)) <= segment_api.MAX_MERGED_BYTES
    assert {one.code for one in accepted.rejected} == {"payload_too_large"}
    assert len(accepted.events) + accepted.rejected_count == 2_500
    too_large = accept("batch", batch(item, context={"a": "x" * 40_000}))
    assert too_large.refusal is not None
    assert (too_large.refusal.code, too_large.refusal.field) == ("payload_too_large", "context")


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


def test_64_levels_are_accepted_and_65_are_not() -> None:
    assert event("track", {**VALID["track"], "properties": nested(63)}).properties == nested(63)
    assert refused("track", {**VALID["track"], "properties": nested(64)})[0] == "nested_too_deeply"
    assert event("batch", batch({**VALID["track"], "type": "track", "properties": nested(63)})).properties == nested(63)


@pytest.mark.parametrize("depth", [65, 900, 1_500, 10_000])
def test_one_event_nested_too_deeply_leaves_the_others_alone(depth: int) -> None:
    deep = b'{"type":"track","userId":"u","event":"x","properties":{"a":' + b"[" * depth + b"]" * depth + b"}}"
    accepted = accept("batch", b'{"batch":[' + deep + b',{"type":"page","userId":"u"}]}')
    assert [(one.code, one.index, one.field.startswith("properties.a")) for one in accepted.rejected] == [("nested_too_deeply", 0, True)]
    assert [found.index for found in events(accepted)] == [1]


def test_where_too_deep_a_value_begins_is_named_and_not_all_of_its_depth() -> None:
    deep = b'{"type":"track","userId":"u","event":"x","properties":{"a":' + b"[" * 900 + b"]" * 900 + b"}}"
    (rejected,) = accept("track", deep).rejected
    assert rejected.field.startswith("properties.a[0][0]")
    assert rejected.field.endswith("…")
    assert len(rejected.field) == 40


def test_many_containers_beside_one_another_are_no_depth() -> None:
    assert len(event("track", {**VALID["track"], "properties": {"products": [{"price": [1]}] * 200}}).properties["products"]) == 200


# ---------------------------------------------------------------- hostile values


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "9" * 5_000])
def test_a_number_that_is_none_costs_its_own_event(number: str) -> None:
    bad = f'{{"type":"track","userId":"u","event":"x","properties":{{"price":{number}}}}}'
    assert refused("track", bad.encode()) == ("number_invalid", "properties.price")
    accepted = accept("batch", f'{{"batch":[{{"type":"page","userId":"u"}},{bad},{{"type":"page","userId":"v"}}]}}'.encode())
    assert [(one.code, one.field, one.index) for one in accepted.rejected] == [("number_invalid", "properties.price", 1)]
    assert [found.index for found in events(accepted)] == [0, 2]


def test_such_a_number_in_the_batch_s_own_context_costs_the_batch() -> None:
    accepted = accept("batch", b'{"batch":[{"type":"page","userId":"u"}],"context":{"screen":{"width":NaN}}}')
    assert accepted.refusal is not None
    assert (accepted.refusal.code, accepted.refusal.field) == ("number_invalid", "context.screen.width")


def test_such_a_number_in_the_place_of_an_event_is_named_by_its_place() -> None:
    assert refused("batch", b'{"batch":[NaN]}') == ("number_invalid", "batch[0]")


def test_integers_past_64_bits_are_floats_as_javascript_has_them() -> None:
    found = event("track", b'{"userId":"u","event":"x","properties":{"big":123456789012345678901234567890,"edge":18446744073709551615}}')
    assert found.properties == {"big": 1.2345678901234568e29, "edge": 18446744073709551615}
    assert isinstance(found.properties["big"], float)


def test_characters_that_are_none_are_replaced_and_counted() -> None:
    body = rb'{"userId":"u\ud800","event":"x","properties":{"a":"' + b"\xff" + rb'","b":"\udfff"}}'
    envelope = segment_api.open_envelope("track", body)
    assert envelope.replaced == 3
    found = event("track", body)
    assert (found.user_id, found.properties) == ("u\ufffd", {"a": "\ufffd", "b": "\ufffd"})


def test_a_byte_order_mark_and_control_characters_are_read_over() -> None:
    found = event("track", b'\xef\xbb\xbf{"userId":"u","event":"a\nb","properties":{"nul":"\\u0000","del":"\x7f"}}')
    assert (found.event, found.properties) == ("a\nb", {"nul": "\x00", "del": "\x7f"})


def test_of_a_name_given_twice_the_last_counts() -> None:
    assert event("track", b'{"userId":"first","userId":"last","event":"x"}').user_id == "last"


@pytest.mark.parametrize("body", [b"", b" ", b"{", b"nope", b"[1,2]", b"5", b'"x"', b"null", b"\xff\xfe", b"{}{}", b"[" * 5_000, b'{"a":1' * 3_000])
@pytest.mark.parametrize("call", ["track", "batch"])
def test_what_is_no_json_object_is_no_envelope(call: Call, body: bytes) -> None:
    with pytest.raises(NotAnEnvelope):
        segment_api.open_envelope(call, body)


@pytest.mark.parametrize("body", [b"{}", b'{"batch":null}', b'{"batch":{}}', b'{"batch":"[1]"}', b'{"batch":5}', b'{"batch":NaN}'])
def test_a_batch_is_a_list(body: bytes) -> None:
    accepted = accept("batch", body)
    assert accepted.refusal is not None
    assert (accepted.refusal.code, accepted.refusal.field) == ("bad_request", "batch")


def test_an_empty_batch_is_discarded_as_segment_does() -> None:
    accepted = accept("batch", batch())
    assert [(one.code, one.field) for one in accepted.rejected] == [("empty_batch", "batch")]
    assert accepted.refusal is None


# ---------------------------------------------------------------- whatever comes

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("type", "userId", "anonymousId", "previousId", "groupId", "event", "name", "category", "properties", "traits", "context", "integrations")
TIMES_AND_IDS = ("timestamp", "originalTimestamp", "sentAt", "messageId", "channel")
names = st.sampled_from([*FIELDS, *TIMES_AND_IDS])
items = st.dictionaries(names, json_values | st.sampled_from(["track", "page", "identify", "u-1", "2026-03-04", {"direct": True}]), max_size=10)


@given(st.lists(items | json_values, max_size=5), st.dictionaries(st.sampled_from(["context", "integrations", "sentAt", "writeKey"]), json_values, max_size=3))
def test_each_item_is_either_an_event_that_decodes_strictly_or_refused_with_a_field(given_items: list[Any], outer: dict[str, Any]) -> None:
    accepted = accept("batch", batch(*given_items, **outer))
    found = events(accepted)
    assert all(one.code and one.field and one.message for one in accepted.rejected)
    if accepted.refusal is None and given_items:
        assert sorted([one.index for one in found] + [one.index for one in accepted.rejected]) == list(range(len(given_items)))
    assert len({one.message_id for one in found if one.message_id.startswith("derived-")}) == sum(one.message_id.startswith("derived-") for one in found)


@given(st.sampled_from(sorted(VALID)), items)
def test_a_call_alone_is_one_or_the_other(call: Call, item: dict[str, Any]) -> None:
    accepted = accept(call, {**VALID[call], **item})
    assert len(events(accepted)) + len(accepted.rejected) == 1


def test_a_single_event_that_is_invalid_is_a_200_and_one_that_cannot_be_taken_a_400() -> None:
    bench = IntakeBench()
    assert bench.refusal("track", {"userId": "u"}) == (200, "event_not_defined", "event")
    assert bench.refusal("track", {"userId": "u", "event": "x", "messageId": 5}) == (200, "message_id_not_string", "messageId")
    assert bench.refusal("track", {"userId": "u", "event": "x" * 33_000}) == (400, "payload_too_large", "body")


def test_every_code_is_in_the_docs_and_said_to_be_a_200_or_a_400() -> None:
    text = (Path(__file__).parents[3] / "docs" / "tracking-api.md").read_text()
    segments, ours = (text.split(head)[1].split("\n\n")[0] for head in ("Invalid, and answered 200", "Ours, a 400"))
    assert set(re.findall(r"`(\w+)`", segments)) == {str(code) for code in segment_api.DISCARDED}
    assert not set(re.findall(r"`(\w+)`", ours)) & {str(code) for code in segment_api.DISCARDED}
    listed_later = ["message_id_reused", "older_than_retention"]  # by the record stage
    assert [code for code in [*segment_api.Code, *listed_later] if f"`{code}`" not in text] == []
