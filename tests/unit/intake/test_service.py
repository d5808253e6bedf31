"""A call → its answer, with the events in the queue before the answer says so."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.builders import NOON
from tests.kit.intake import OTHER_KEY, SOURCE, WRITE_KEY, IntakeBench, basic, get, gzipped, post, write_key_row
from tributary.access import KeyStore
from tributary.errors import StoreUnavailable
from tributary.events import Alias, Group, Identify, Page, Screen, Track
from tributary.intake.http import Request
from tributary.settings import Key

TRACK = {"userId": "orla-12", "event": "Berth Booked", "messageId": "m-1"}
ITEM = {**TRACK, "type": "track"}


def batch(*items: Any, **outer: Any) -> dict[str, Any]:
    return {"batch": list(items), **outer}


# ---------------------------------------------------------------- every entrance


@pytest.mark.parametrize(
    ("call", "event_class"),
    [
        ("identify", Identify),
        ("track", Track),
        ("page", Page),
        ("screen", Screen),
        ("group", Group),
        ("alias", Alias),
        ("i", Identify),
        ("t", Track),
        ("p", Page),
        ("s", Screen),
        ("g", Group),
        ("a", Alias),
    ],
)
def test_each_call_has_its_path_and_its_letter(call: str, event_class: type) -> None:
    body = {"userId": "orla-12", "event": "x", "groupId": "g-88", "previousId": "sess-71"}
    assert isinstance(IntakeBench().event(call, body), event_class)


@pytest.mark.parametrize("call", ["batch", "import", "b"])
def test_a_batch_has_three_paths(call: str) -> None:
    assert len(IntakeBench().taken(call, batch(ITEM, {**ITEM, "messageId": "m-2"}))) == 2


def test_the_browser_library_s_counters_are_thanked_for_and_dropped() -> None:
    bench = IntakeBench()
    outcome = bench.handle(post("m", {"series": [{"type": "Counter", "metric": "analytics_js.invoke", "value": 1, "tags": {}}]}, key=None))
    assert (outcome.answer.status, json.loads(outcome.answer.body)["success"]) == (200, True)
    assert bench.queue.sent == []


def test_a_preflight_is_answered() -> None:
    outcome = IntakeBench().handle(
        Request(method="OPTIONS", path="/v1/t", query="", headers={"origin": "https://shop.example"}, body=b"", received_at=NOON, ip=None)
    )
    assert outcome.answer.status == 200
    assert outcome.answer.headers["access-control-allow-origin"] == "https://shop.example"


@pytest.mark.parametrize(
    ("method", "call", "status"),
    [("POST", "settings", 404), ("POST", "", 404), ("POST", "batch/x", 404), *[(method, "track", 405) for method in ("GET", "PUT", "PATCH", "DELETE", "HEAD")]],
)
def test_other_calls_are_refused_in_words(method: str, call: str, status: int) -> None:
    headers = {**basic(WRITE_KEY), "origin": "https://shop.example"}
    outcome = IntakeBench().handle(Request(method=method, path=f"/v1/{call}", query="", headers=headers, body=b"{}", received_at=NOON, ip=None))
    assert outcome.answer.status == status
    assert outcome.answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert {"success", "code", "message", "error"} <= json.loads(outcome.answer.body).keys()


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", "", "nonsense"])
def test_the_content_type_is_not_looked_at(content_type: str) -> None:
    assert IntakeBench().event("t", TRACK, headers={"content-type": content_type}).message_id == "m-1"


def test_a_gzip_body_is_inflated() -> None:
    body = gzipped(json.dumps(batch(ITEM)).encode())
    assert len(IntakeBench().taken("batch", body, headers={"content-encoding": "gzip"})) == 1


# ---------------------------------------------------------------- the key


@pytest.mark.parametrize(
    ("call", "body", "headers"),
    [
        ("track", TRACK, basic(WRITE_KEY)),
        ("track", TRACK, basic(WRITE_KEY, colon=False)),
        ("track", {**TRACK, "writeKey": WRITE_KEY}, {}),
        ("track", {**TRACK, "writeKey": WRITE_KEY}, basic(WRITE_KEY)),
        ("track", {**TRACK, "writeKey": WRITE_KEY}, {"authorization": "Bearer some.oauth.token"}),
        ("batch", batch(ITEM, writeKey=WRITE_KEY), {}),
        ("batch", batch({**ITEM, "writeKey": WRITE_KEY}, writeKey=WRITE_KEY), basic(WRITE_KEY)),
    ],
)
def test_the_key_is_in_the_header_or_in_the_body(call: str, body: Any, headers: dict[str, str]) -> None:
    assert IntakeBench().event(call, body, key=None, headers=headers).source == SOURCE


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        ({**TRACK, "writeKey": OTHER_KEY}, basic(WRITE_KEY), 401, "write_key_conflict"),
        ({**TRACK, "writeKey": WRITE_KEY}, basic(OTHER_KEY), 401, "write_key_conflict"),
        (TRACK, {"authorization": f"{basic(WRITE_KEY)['authorization']},{basic(WRITE_KEY)['authorization']}"}, 401, "authorization_invalid"),
        (TRACK, {"authorization": "Bearer some.oauth.token"}, 400, "write_key_missing"),
        (TRACK, {}, 400, "write_key_missing"),
        ({**TRACK, "writeKey": ""}, {}, 400, "write_key_missing"),
        ({**TRACK, "writeKey": 7}, {}, 400, "write_key_missing"),
        (TRACK, basic("wk_unknown"), 401, "unknown_source"),
        ({**TRACK, "writeKey": "x" * 10_000}, {}, 401, "unknown_source"),
        (b"not json", basic("wk_unknown"), 401, "unknown_source"),
        (b"not json", {}, 400, "bad_request"),
    ],
)
def test_a_request_without_one_good_key_stores_nothing(body: Any, headers: dict[str, str], status: int, code: str) -> None:
    bench = IntakeBench()
    bench.keys.add(OTHER_KEY, write_key_row(id="key_2", source="src_other"))
    outcome = bench.handle(post("track", body, key=None, headers=headers))
    answered = json.loads(outcome.answer.body)
    assert (outcome.answer.status, answered["code"], answered["error"], answered["success"]) == (status, code, code, False)
    assert bench.queue.sent == []


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (write_key_row(revoked_at=NOON - timedelta(days=1)), "source_disabled"),
        (write_key_row(expires_at=NOON), "source_disabled"),
        (write_key_row(source_enabled=False), "source_disabled"),
        (write_key_row(kind="api", scopes=["*"]), "unknown_source"),
        (write_key_row(source=None), "unknown_source"),
    ],
    ids=["revoked", "expired", "of a disabled source", "an API key", "of no source"],
)
@pytest.mark.parametrize("accept_unknown", [False, True])
def test_a_key_that_is_no_good_is_a_401_or_segments_silent_200(row: Key, code: str, accept_unknown: bool) -> None:
    bench = IntakeBench(accept_unknown=accept_unknown)
    bench.keys.add(WRITE_KEY, row)
    outcome = bench.handle(post("track", TRACK))
    answered = json.loads(outcome.answer.body)
    assert outcome.code == code
    assert bench.queue.sent == []
    if accept_unknown:
        assert (outcome.answer.status, answered["success"], answered.get("error")) == (200, True, None)
    else:
        assert (outcome.answer.status, answered["code"]) == (401, code)


def test_the_silent_200_does_not_hide_a_key_that_is_missing_or_unclear() -> None:
    bench = IntakeBench(accept_unknown=True)
    assert bench.handle(post("track", TRACK, key=None)).answer.status == 400
    assert bench.handle(post("track", {**TRACK, "writeKey": OTHER_KEY})).answer.status == 401


def test_a_known_key_is_looked_up_once_and_so_is_an_unknown_one() -> None:
    bench = IntakeBench()
    for _ in range(5):
        bench.handle(post("track", TRACK))
        bench.handle(post("track", TRACK, key="wk_unknown"))
    assert bench.keys.asked == 2


def test_a_revoked_key_is_refused_within_half_a_minute() -> None:
    bench = IntakeBench()
    assert bench.handle(post("track", TRACK)).answer.status == 200
    bench.keys.add(WRITE_KEY, write_key_row(revoked_at=NOON))
    bench.clock.move(30)
    assert bench.handle(post("track", TRACK, at=bench.clock.now())).answer.status == 401


# ---------------------------------------------------------------- answers


def test_a_success_has_what_the_libraries_read_and_no_error() -> None:
    assert IntakeBench().body(post("track", TRACK)) == {"success": True, "code": "ok", "message": "accepted"}


def test_a_batch_with_bad_items_is_a_200_that_names_them_and_keeps_the_good_ones() -> None:
    bench = IntakeBench()
    body = bench.body(post("batch", batch(ITEM, {"type": "track", "userId": "u"}, {**ITEM, "userId": True, "messageId": "m-3"}, {**ITEM, "messageId": "m-4"})))
    assert (body["success"], body["code"], body["accepted"], body.get("error")) == (True, "multi_user_error", 2, None)
    assert [(item["index"], item["code"], item["field"]) for item in body["rejected"]] == [(1, "event_not_defined", "event"), (2, "id_not_string", "userId")]
    assert [event.index for event in bench.events] == [0, 3]
    assert [item.index for item in bench.rejected] == [1, 2]


@pytest.mark.parametrize(
    ("call", "body", "code"),
    [
        ("batch", batch({"type": "page"}, {"type": "page"}), "empty_batch_result"),
        ("batch", batch(), "empty_batch"),
        ("track", {"userId": "u"}, "event_not_defined"),
    ],
)
def test_a_200_that_took_nothing_says_so(call: str, body: Any, code: str) -> None:
    bench = IntakeBench()
    answered = bench.body(post(call, body))
    assert (answered["success"], answered["code"], answered["accepted"]) == (True, code, 0)
    assert len(bench.rejected) == len(answered["rejected"])


def test_an_answer_does_not_name_thousands_of_items() -> None:
    answered = IntakeBench().body(post("batch", batch(*[{"type": "x"}] * 2_000)))
    assert len(answered["rejected"]) == 100
    assert answered["message"] == "2,000 of 2,000 were rejected"


def test_a_field_that_was_read_over_is_named() -> None:
    assert IntakeBench().body(post("track", {**TRACK, "sentAt": "soon"}))["ignored"] == ["sentAt"]


@pytest.mark.parametrize(
    ("call", "body", "headers", "code", "field"),
    [
        ("track", b"{", {}, "bad_request", "body"),
        ("track", b"[]", {}, "bad_request", "body"),
        ("batch", {"batch": {}}, {}, "bad_request", "batch"),
        ("batch", b"x", {"content-encoding": "gzip"}, "bad_request", "body"),
        ("batch", b"{}", {"content-encoding": "br"}, "bad_request", "body"),
        ("batch", b" " * 512_001, {}, "payload_too_large", "body"),
        ("track", {**TRACK, "properties": {"a": "x" * 33_000}}, {}, "payload_too_large", "body"),
    ],
)
def test_a_400_of_a_known_key_is_listed_as_well(call: str, body: Any, headers: dict[str, str], code: str, field: str) -> None:
    bench = IntakeBench()
    assert bench.refusal(call, body, headers=headers) == (400, code, field)
    (rejected,) = bench.rejected
    assert rejected.body is not None
    assert len(rejected.body) <= 2_048
    assert bench.messages[0].source == SOURCE


def test_an_empty_body_is_called_empty() -> None:
    for call in ("track", "batch"):
        assert IntakeBench().body(post(call, b""))["message"] == "the body is empty"


@pytest.mark.parametrize("empty", ["", "  ", None])
def test_an_empty_write_key_beside_the_header_is_none_wherever_it_stands(empty: str | None) -> None:
    bodies = [("track", {**TRACK, "writeKey": empty}), ("batch", batch(ITEM, writeKey=empty)), ("batch", batch({**ITEM, "writeKey": empty}))]
    for call, body in bodies:
        assert IntakeBench().event(call, body).message_id == "m-1"


def test_an_item_that_names_another_key_costs_itself_and_a_single_event_the_request() -> None:
    assert IntakeBench().body(post("track", {**TRACK, "writeKey": OTHER_KEY}))["code"] == "write_key_conflict"
    assert IntakeBench().handle(post("track", {**TRACK, "writeKey": OTHER_KEY})).answer.status == 401
    bench = IntakeBench()
    assert bench.handle(post("batch", batch({**ITEM, "writeKey": OTHER_KEY}, {**ITEM, "messageId": "m-2"}))).answer.status == 200
    assert [item.code for item in bench.rejected] == ["write_key_conflict"]
    assert [event.message_id for event in bench.events] == ["m-2"]


def test_a_400_stands_even_if_it_cannot_be_listed() -> None:
    bench = IntakeBench()
    bench.queue.refuse = lambda _message: True
    outcome = bench.handle(post("track", b"{"))
    assert (outcome.answer.status, outcome.lost) == (400, True)


def test_a_request_of_exactly_the_limit_is_taken() -> None:
    bench = IntakeBench()
    item = json.dumps(ITEM)
    body = ('{"batch":[' + item + "]" + " " * (512_000 - len(item) - 12) + "}").encode()
    assert len(body) == 512_000
    assert len(bench.taken("batch", body)) == 1


def test_exceed_payload_limit_is_what_segment_says() -> None:
    assert "Exceed payload limit" in IntakeBench().body(post("track", {**TRACK, "properties": {"a": "x" * 33_000}}))["message"]


# ---------------------------------------------------------------- rate and outages


def test_a_key_past_its_rate_is_told_when_to_come_back() -> None:
    bench = IntakeBench(per_second=10)
    assert bench.handle(post("batch", batch(*[{**ITEM, "messageId": f"m-{n}"} for n in range(35)]))).answer.status == 200
    outcome = bench.handle(post("track", TRACK))
    assert (outcome.answer.status, json.loads(outcome.answer.body)["code"]) == (429, "rate_limited")
    assert (outcome.answer.headers["retry-after"], outcome.answer.headers["x-ratelimit-reset"]) == ("3", "3")
    assert len(bench.events) == 35
    bench.clock.move(3)
    assert bench.handle(post("track", TRACK)).answer.status == 200


def test_refused_requests_count_too() -> None:
    bench = IntakeBench(per_second=5)
    statuses = [bench.handle(post("track", b"{")).answer.status for _ in range(7)]
    assert statuses == [400] * 5 + [429] * 2
    assert len(bench.rejected) == 5


def test_a_queue_that_refuses_is_a_503_that_asks_to_come_again() -> None:
    bench = IntakeBench()
    bench.queue.refuse = lambda _message: True
    outcome = bench.handle(post("batch", batch(ITEM)))
    body = json.loads(outcome.answer.body)
    assert (outcome.answer.status, body["success"], body["error"]) == (503, False, "unavailable")
    assert int(outcome.answer.headers["retry-after"]) > 0
    assert outcome.accepted == 0


def test_a_table_that_is_away_is_a_503_as_well() -> None:
    class Away(KeyStore):
        def find(self, key_hash: str) -> Key | None:
            raise StoreUnavailable("away")

    bench = IntakeBench()
    bench.keys.find = Away().find  # type: ignore[method-assign]
    assert bench.handle(post("track", TRACK)).answer.status == 503


def test_a_resend_after_a_503_brings_the_same_events() -> None:
    bench = IntakeBench()
    calls = iter([True, False])
    bench.queue.refuse = lambda _message: next(calls)
    nameless = {name: value for name, value in ITEM.items() if name != "messageId"}
    request = post("batch", batch(nameless, nameless))
    assert bench.handle(request).answer.status == 503
    assert bench.handle(request).answer.status == 200
    bench.queue.refuse = lambda _message: False
    assert bench.handle(request).answer.status == 200
    ids = [event.message_id for event in bench.events]
    assert ids[:2] == ids[2:]
    assert len(set(ids)) == 2


# ---------------------------------------------------------------- the pixel


def encoded(event: dict[str, Any]) -> str:
    return urlencode({"data": base64.b64encode(json.dumps(event).encode())})


def test_a_pixel_is_an_event_and_a_picture() -> None:
    for query in (encoded({**TRACK, "writeKey": WRITE_KEY}), urlencode({**TRACK, "writeKey": WRITE_KEY, "properties.pier": "C"})):
        bench = IntakeBench()
        outcome = bench.handle(get("pixel/track", query))
        assert (outcome.answer.status, outcome.answer.headers["content-type"]) == (200, "image/gif")
        assert outcome.answer.body[:6] == b"GIF89a"
        assert [event.message_id for event in bench.events] == ["m-1"]


@pytest.mark.parametrize("query", ["", "data=%%", encoded(TRACK), encoded({**TRACK, "writeKey": "wk_unknown"}), encoded({"writeKey": WRITE_KEY}), "a=1&a.b=2"])
@pytest.mark.parametrize("kind", ["track", "nonsense", "batch"])
def test_a_pixel_is_a_picture_whatever_is_wrong_with_it(query: str, kind: str) -> None:
    bench = IntakeBench()
    outcome = bench.handle(get(f"pixel/{kind}", query))
    assert (outcome.answer.status, outcome.answer.headers["content-type"]) == (200, "image/gif")
    assert bench.events == []


def test_what_is_wrong_with_a_pixel_of_a_known_key_is_listed() -> None:
    bench = IntakeBench()
    bench.handle(get("pixel/track", encoded({"writeKey": WRITE_KEY, "userId": "u"})))
    assert [(item.code, item.field) for item in bench.rejected] == [("event_not_defined", "event")]
    bench.handle(get("pixel/track", "data=%%", headers=basic(WRITE_KEY)))
    assert [(item.code, item.body) for item in bench.rejected[1:]] == [("bad_request", "data=%%")]


@pytest.mark.parametrize(
    ("kind", "query", "code", "field"),
    [
        ("track", "userId=h-1&event=E&properties=1&properties.a=2", "bad_request", "body"),
        ("track", "data=!!!", "bad_request", "body"),
        ("foo", "userId=h-1", "invalid_type", "type"),
    ],
)
@pytest.mark.parametrize("key", [WRITE_KEY, quote(WRITE_KEY).replace("_", "%5F")])
def test_a_pixel_that_cannot_be_read_is_listed_by_the_key_in_its_query(kind: str, query: str, code: str, field: str, key: str) -> None:
    bench = IntakeBench()
    outcome = bench.handle(get(f"pixel/{kind}", f"writeKey={key}&{query}"))
    assert (outcome.answer.headers["content-type"], outcome.source, outcome.rejected) == ("image/gif", SOURCE, 1)
    (rejected,) = bench.rejected
    assert (rejected.code, rejected.field) == (code, field)
    assert rejected.body is not None
    assert query in rejected.body
    assert key not in rejected.body
    assert WRITE_KEY not in rejected.body


def test_a_pixel_that_cannot_be_read_of_an_unknown_key_is_not_listed() -> None:
    bench = IntakeBench()
    for kind, query in (("track", "writeKey=wk_unknown&data=!!!"), ("foo", "writeKey=wk_unknown"), ("foo", "userId=x")):
        assert bench.handle(get(f"pixel/{kind}", query)).answer.headers["content-type"] == "image/gif"
    assert bench.queue.sent == []


def test_a_pixel_that_the_queue_refuses_is_lost_and_counted() -> None:
    bench = IntakeBench()
    bench.queue.refuse = lambda _message: True
    outcome = bench.handle(get("pixel/track", encoded({**TRACK, "writeKey": WRITE_KEY})))
    assert (outcome.answer.status, outcome.counts()["lost"]) == (200, 1)


# ---------------------------------------------------------------- where the visitor is


@pytest.mark.parametrize(
    ("call", "headers", "ip"),
    [("t", {}, "203.0.113.9"), ("track", {"origin": "https://shop.example"}, "203.0.113.9"), ("track", {}, None)],
    ids=["a browser's letter", "a page", "a server"],
)
def test_a_browser_s_address_is_its_visitor_s(call: str, headers: dict[str, str], ip: str | None) -> None:
    assert IntakeBench().event(call, TRACK, headers=headers).context.get("ip") == ip


def test_a_browser_s_batch_has_its_address_in_every_event() -> None:
    assert [event.context["ip"] for event in IntakeBench().taken("b", batch(ITEM, ITEM))] == ["203.0.113.9"] * 2


# ---------------------------------------------------------------- what is reported


def test_what_is_reported_holds_no_key_and_nothing_of_a_person() -> None:
    bench = IntakeBench(per_second=3)
    bodies: Iterator[Any] = iter([TRACK, b"{orla-12", {**TRACK, "userId": None}, {**TRACK, "writeKey": OTHER_KEY}, TRACK, TRACK, TRACK])
    outcomes = [bench.handle(post("track", body)) for body in bodies]
    assert len({outcome.code for outcome in outcomes}) == 5
    told = "".join(f"{outcome.report()}{outcome.counts()}{outcome.answer.body.decode()}" for outcome in outcomes)
    assert not any(secret in told for secret in (WRITE_KEY, OTHER_KEY, "orla-12", "Berth"))
    assert outcomes[0].counts() == {"requests": 1, "accepted": 1}


# ---------------------------------------------------------------- whatever bytes arrive

fragments = st.sampled_from(
    [
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"',
        b"\\",
        b"null",
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"9" * 30,
        b"\xff",
        b"\xef\xbb\xbf",
        b"\\ud800",
        b"\\u0000",
        b"\x00",
        "\uffff\ufffe".encode(),
        b'"batch":[',
        b'{"type":"track","userId":"u","event":"x"}',
        b'"userId":"u"',
        b'"writeKey":"' + WRITE_KEY.encode() + b'"',
        b'"context":{',
        b" ",
    ]
)
bodies = st.one_of(
    st.binary(max_size=60),
    st.lists(fragments, max_size=25).map(b"".join),
    st.lists(fragments, max_size=8).map(lambda parts: b'{"batch":[{"type":"track","userId":"u","event":"x","properties":{"a":' + b"".join(parts) + b"}}]}"),
    st.text(max_size=20).map(lambda text: json.dumps(batch({"type": "page", "userId": text, "name": text})).encode()),
    st.binary(max_size=60).map(gzipped),
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "content-encoding": st.sampled_from(["gzip", "identity", "br", ""]),
        "authorization": st.sampled_from([*basic(WRITE_KEY).values(), *basic("wk_unknown").values(), "Basic x", "Bearer y", ""]),
        "origin": st.sampled_from(["https://shop.example", "null", "\n"]),
    },
)


@given(st.sampled_from(["track", "t", "page", "identify", "alias", "group", "batch", "b", "import", "m", "zzz"]), bodies, headers)
def test_whatever_bytes_arrive_the_answer_is_an_object_and_what_is_sent_decodes_strictly(call: str, body: bytes, given_headers: dict[str, str]) -> None:
    bench = IntakeBench()
    outcome = bench.handle(post(call, body, key=None, headers=given_headers))
    answered = json.loads(outcome.answer.body)
    assert answered["success"] is (outcome.answer.status == 200)
    assert isinstance(answered["code"], str)
    assert isinstance(answered["message"], str)
    assert ("error" in answered) is (outcome.answer.status != 200)
    assert outcome.answer.status in (200, 400, 401, 404)
    assert len(bench.events) == outcome.accepted
    assert outcome.answer.headers["access-control-allow-origin"]
    assert not any({"\ufffe", "\uffff"} & set(message.body) for message in bench.queue.sent)


@given(st.text(max_size=60))
def test_whatever_query_arrives_the_answer_is_a_picture(query: str) -> None:
    bench = IntakeBench()
    outcome = bench.handle(get("pixel/track", query, headers=basic(WRITE_KEY)))
    assert (outcome.answer.status, outcome.answer.headers["content-type"]) == (200, "image/gif")
    assert len(bench.events) == outcome.accepted
