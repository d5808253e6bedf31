"""A call and its answer as data."""

from __future__ import annotations

import base64
import gzip
import json
import tracemalloc
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.kit.builders import NOON
from tests.kit.intake import get, post
from tributary.intake.http import BodyTooLarge, BodyUnreadable, as_gateway_response, gif_answer, json_answer, request_of, unpacked

MILLISECONDS = int(NOON.timestamp() * 1000)


def gateway_event(**given: Any) -> dict[str, Any]:
    http = {"method": "POST", "path": "/v1/track", "sourceIp": "203.0.113.9", **given.pop("http", {})}
    context = {"http": http, "timeEpoch": MILLISECONDS, **given.pop("context", {})}
    return {"version": "2.0", "rawPath": "/v1/track", "rawQueryString": "", "headers": {}, "requestContext": context, "isBase64Encoded": False, **given}


# ---------------------------------------------------------------- from the gateway


def test_a_gateway_event_becomes_a_request() -> None:
    request = request_of(gateway_event(headers={"X-Retry-Count": "2"}, body='{"a":"ü"}', rawQueryString="a=b%20c"), NOON)
    assert (request.method, request.path, request.query, request.body) == ("POST", "/v1/track", "a=b%20c", '{"a":"ü"}'.encode())
    assert (request.headers, request.ip, request.received_at) == ({"x-retry-count": "2"}, "203.0.113.9", NOON)


def test_a_body_in_base64_is_decoded_and_a_bad_one_is_left_as_it_is() -> None:
    assert request_of(gateway_event(body=base64.b64encode(b"\x1f\x8b").decode(), isBase64Encoded=True), NOON).body == b"\x1f\x8b"
    assert request_of(gateway_event(body="{}", isBase64Encoded=True), NOON).body == b"{}"
    assert request_of(gateway_event(), NOON).body == b""


def test_the_gateway_s_time_of_receipt_is_taken_unless_it_is_far_from_ours() -> None:
    assert request_of(gateway_event(), NOON + timedelta(seconds=20)).received_at == NOON
    for now in (NOON + timedelta(minutes=2), NOON - timedelta(minutes=2)):
        assert request_of(gateway_event(), now).received_at == now
    for odd in (None, "soon", 10**30, -(10**30)):
        assert request_of(gateway_event(context={"timeEpoch": odd}), NOON).received_at == NOON


@pytest.mark.parametrize(
    ("address", "kept"), [("203.0.113.9", "203.0.113.9"), ("2001:db8::1", None), ("", None), (None, None), ("203.0.113.9.5", None), ("localhost", None)]
)
def test_only_an_ipv4_address_is_kept(address: Any, kept: str | None) -> None:
    assert request_of(gateway_event(http={"sourceIp": address}), NOON).ip == kept


@pytest.mark.parametrize(
    ("path", "call"),
    [("/v1/t", "t"), ("/v1/batch/", "batch"), ("/v1//t", "t"), ("/prod/v1/batch", "batch"), ("/v1/pixel/track", "pixel/track"), ("/t", ""), ("", "")],
)
def test_the_call_is_what_stands_behind_the_version(path: str, call: str) -> None:
    assert replace(post("track"), path=path).call == call


# ---------------------------------------------------------------- unpacking


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "GZIP", " x-gzip "])
def test_a_body_is_inflated_by_its_content_encoding(encoding: str) -> None:
    packed = gzip.compress(b'{"a":1}') if "gzip" in encoding.lower() else b'{"a":1}'
    assert unpacked(post("t", packed, headers={"content-encoding": encoding}), 100) == b'{"a":1}'


def test_a_gzip_body_of_several_members_is_read_to_its_end() -> None:
    packed = gzip.compress(b'{"a"') + gzip.compress(b":1}") + b"\0" * 20
    assert unpacked(post("t", packed, headers={"content-encoding": "gzip"}), 100) == b'{"a":1}'


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"{}", "gzip"),
        (b"", "gzip"),
        (gzip.compress(b"{}")[:-1], "gzip"),
        (gzip.compress(b"{}")[:5], "gzip"),
        (gzip.compress(b"{}") + b"rest", "gzip"),
        (gzip.compress(b"") * 100_000, "gzip"),
        (b"{}", "br"),
        (b"{}", "deflate"),
        (gzip.compress(gzip.compress(b"{}")), "gzip,gzip"),
    ],
    ids=["not gzip", "nothing", "a byte short", "a head alone", "something behind it", "a hundred thousand empty members", "brotli", "deflate", "twice"],
)
def test_what_cannot_be_unpacked_is_refused(body: bytes, encoding: str) -> None:
    with pytest.raises(BodyUnreadable):
        unpacked(post("t", body, headers={"content-encoding": encoding}), 1_000)


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_body_of_the_limit_passes_and_one_byte_more_does_not(encoding: str) -> None:
    pack = gzip.compress if encoding else bytes
    headers = {"content-encoding": encoding}
    assert len(unpacked(post("t", pack(b"x" * 512_000), headers=headers), 512_000)) == 512_000
    with pytest.raises(BodyTooLarge):
        unpacked(post("t", pack(b"x" * 512_001), headers=headers), 512_000)


@pytest.mark.parametrize("bomb", [gzip.compress(b"\0" * 50_000_000), gzip.compress(b"x" * 400_000) * 4], ids=["one member", "several"])
def test_a_bomb_is_not_inflated_past_the_limit(bomb: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            unpacked(post("t", bomb, headers={"content-encoding": "gzip"}), 512_000)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------------- answers


def test_a_page_is_echoed_so_that_it_may_send_cookies_along() -> None:
    headers = json_answer(post("t", headers={"origin": "https://shop.example:8443"}), 200, {}).headers
    assert headers["access-control-allow-origin"] == "https://shop.example:8443"
    assert headers["access-control-allow-credentials"] == "true"
    assert headers["vary"] == "origin"


@pytest.mark.parametrize("origin", [None, "", "evil", "https://a b", "https://a\r\nset-cookie: x", "https://" + "a" * 300])
def test_what_is_no_origin_is_not_echoed(origin: str | None) -> None:
    headers = json_answer(post("t", headers={} if origin is None else {"origin": origin}), 200, {}).headers
    assert headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in headers
    assert headers["vary"] == "origin"


@pytest.mark.parametrize("origin", ["null", "capacitor://localhost", "chrome-extension://abcdef"])
def test_apps_and_sandboxes_have_origins_too(origin: str) -> None:
    assert json_answer(post("t", headers={"origin": origin}), 200, {}).headers["access-control-allow-origin"] == origin


def test_a_preflight_allows_the_headers_that_a_library_adds_of_its_own() -> None:
    asked = post("t", headers={"access-control-request-headers": 'AnonymousId, authorization,content-type, x y, "q",'})
    allowed = json_answer(asked, 200, {}).headers["access-control-allow-headers"]
    assert allowed == "authorization, content-type, content-encoding, x-retry-count, anonymousid"


def test_every_answer_allows_the_headers_of_the_browser_library_and_shows_it_when_to_try_again() -> None:
    for answer in (json_answer(post("t"), 503, {}, retry_after=5), gif_answer(get("pixel/track"))):
        assert answer.headers["access-control-allow-headers"] == "authorization, content-type, content-encoding, x-retry-count"
        assert answer.headers["access-control-allow-methods"] == "GET, POST, OPTIONS"
        assert answer.headers["access-control-expose-headers"] == "retry-after, x-ratelimit-reset"
        assert int(answer.headers["access-control-max-age"]) > 0
    assert json_answer(post("t"), 429, {}, retry_after=7).headers["retry-after"] == "7"
    assert json_answer(post("t"), 429, {}, retry_after=7).headers["x-ratelimit-reset"] == "7"


def test_the_gateway_gets_text_as_text_and_a_picture_in_base64() -> None:
    text = as_gateway_response(json_answer(post("t"), 200, {"success": True}))
    assert (text["statusCode"], json.loads(text["body"]), text["isBase64Encoded"]) == (200, {"success": True}, False)
    picture = as_gateway_response(gif_answer(get("pixel/track")))
    assert (picture["headers"]["content-type"], picture["isBase64Encoded"]) == ("image/gif", True)
    raw = base64.b64decode(picture["body"])
    assert raw[:6] == b"GIF89a"
    assert raw[6:10] == b"\x01\x00\x01\x00"
