"""The way of a request through the router: what is refused, how, and what is said of it."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.config import RowKeys
from tests.kit.control import ControlBench
from tributary.access import hash_key
from tributary.control.http import Answer, Call, Request, Route, Router, as_gateway_response, request_of
from tributary.control.problems import Problem
from tributary.errors import StoreUnavailable


def test_health_needs_no_key_and_tells_the_version() -> None:
    bench = ControlBench()
    answer = bench.router.answer(Request(method="GET", path="/healthz"))
    assert answer.status == 200
    assert answer.body == b'{"status":"ok","version":"0.1.0"}'


def test_every_refusal_is_a_problem_of_the_standards_form() -> None:
    bench = ControlBench()
    said = bench.call("GET", "/api/nothing")
    assert said.status == 404
    assert said.header("content-type") == "application/problem+json"
    assert said.body == {
        "type": "urn:problem-type:tributary:not-found",
        "title": "Not found",
        "status": 404,
        "detail": "There is nothing at this path.",
        "code": "not_found",
        "instance": "req-1",
    }


@pytest.mark.parametrize(
    ("target", "code", "field"),
    [
        ("/api/sources?colour=blue", "unknown_parameter", "colour"),
        ("/api/account?limit=1", "unknown_parameter", "limit"),
        ("/healthz?x=", "unknown_parameter", "x"),
        ("/api/sources?limit=1&limit=2", "repeated_parameter", "limit"),
        ("/api/sources?limit=0", "invalid_parameter", "limit"),
        ("/api/sources?limit=201", "invalid_parameter", "limit"),
        ("/api/sources?limit=many", "invalid_parameter", "limit"),
        ("/api/sources?limit=", "invalid_parameter", "limit"),
        ("/api/sources?cursor=%25", "invalid_parameter", "cursor"),
        ("/api/sources?cursor=e30", "invalid_parameter", "cursor"),
        ("/api/events?since=soon", "invalid_parameter", "since"),
        ("/api/events?since=9d", "invalid_parameter", "since"),
        ("/api/events?type=purchase", "invalid_parameter", "type"),
        ("/api/events?status=maybe", "invalid_parameter", "status"),
        ("/api/events?bodies=perhaps", "invalid_parameter", "bodies"),
        ("/api/events?bodies=true&limit=51", "invalid_parameter", "limit"),
        ("/api/events?cursor=x", "invalid_parameter", "cursor"),
        ("/api/keys?kind=master", "invalid_parameter", "kind"),
        ("/api/sources?limit=%ff", "malformed_query", "limit"),
        ("/api/sources?cursor=x&limit=1%ff", "malformed_query", "limit"),
        ("/api/sources?%ff=1", "malformed_query", None),
        ("/api/events?source=src_none", "invalid_parameter", "source"),
        ("/api/events?source=src_none&status=rejected", "invalid_parameter", "source"),
        ("/api/sources?" + "&".join(f"a{n}=1" for n in range(51)), "malformed_query", None),
    ],
)
def test_a_parameter_that_does_not_fit_is_named(target: str, code: str, field: str | None) -> None:
    said = ControlBench().call("GET", target)
    assert (said.status, said.body["code"], said.body.get("field")) == (400, code, field)


@pytest.mark.parametrize(
    ("method", "target", "body", "code", "field"),
    [
        ("POST", "/api/sources", {}, "missing_field", "label"),
        ("POST", "/api/sources", {"label": "Shop", "colour": "blue"}, "unknown_field", "colour"),
        ("POST", "/api/sources", {"label": 7}, "invalid_field", "label"),
        ("POST", "/api/sources", {"label": ""}, "invalid_field", "label"),
        ("POST", "/api/sources", {"label": None}, "invalid_field", "label"),
        ("POST", "/api/sources", {"label": "   "}, "invalid_value", "label"),
        ("POST", "/api/sources", {"label": "Sh\x1b[31mop"}, "invalid_value", "label"),
        ("POST", "/api/sources", {"label": "Shop\n"}, "invalid_value", "label"),
        ("POST", "/api/keys", {"label": "\t", "scopes": ["*"]}, "invalid_value", "label"),
        ("POST", "/api/connections", {"type": "kissmetrics", "label": "\x00", "settings": {"apiKey": "k"}}, "invalid_value", "label"),
        ("POST", "/api/sources", [], "invalid_field", "body"),
        ("POST", "/api/connections", {"type": "kissmetrics", "label": "x", "settings": {}}, "invalid_value", "settings.apiKey"),
        ("POST", "/api/connections", {"type": "telegraph", "label": "x"}, "invalid_field", "type"),
        (
            "POST",
            "/api/connections",
            {"type": "kissmetrics", "label": "x", "settings": {"apiKey": "k"}, "filter": {"all": [{"type": ["track"]}, {"fields": 1}]}},
            "unknown_field",
            "filter.all[1].fields",
        ),
        (
            "POST",
            "/api/connections",
            {"type": "kissmetrics", "label": "x", "settings": {"apiKey": "k"}, "filter": {"field": "properties.total"}},
            "invalid_field",
            "filter",
        ),
        ("POST", "/api/connections", {"type": "kissmetrics", "label": "x", "settings": {"apiKey": "k"}, "sources": ["src_x"]}, "invalid_value", "sources[0]"),
        ("PATCH", "/api/account", {"time_zone": "Mars"}, "invalid_value", "time_zone"),
        ("PATCH", "/api/account", {"reporting_currency": "XYZ"}, "invalid_value", "reporting_currency"),
        ("POST", "/api/keys", {"label": "x", "scopes": ["events:fly"]}, "invalid_value", "scopes[0]"),
        ("POST", "/api/keys", {"label": "x", "scopes": []}, "invalid_field", "scopes"),
        ("POST", "/api/keys", {"label": "x", "scopes": ["*"], "expires_at": "2026-05-01T00:00:00"}, "invalid_field", "expires_at"),
        ("GET", "/api/account", {"x": 1}, "unexpected_body", "body"),
    ],
)
def test_a_field_that_does_not_fit_is_named(method: str, target: str, body: Any, code: str, field: str) -> None:
    said = ControlBench().call(method, target, body)
    assert (said.status, said.body["code"], said.body.get("field")) == (400, code, field)


@pytest.mark.parametrize("target", ["/api/sources/{source}", "/api/connections/{connection}"])
def test_a_label_is_not_changed_to_one_that_nobody_can_read(target: str) -> None:
    bench = ControlBench()
    source = bench.call("POST", "/api/sources", {"label": "👩‍🚀 Ølbåt"}).body["source"]["id"]
    connection = bench.call("POST", "/api/connections", {"type": "kissmetrics", "label": "x", "settings": {"apiKey": "k"}}).body["id"]
    said = bench.call("PATCH", target.format(source=source, connection=connection), {"label": "\u2028"})
    assert (said.status, said.body["field"]) == (400, "label")


CONNECTION = {"type": "kissmetrics", "label": "x", "settings": {"apiKey": "k"}}


@pytest.mark.parametrize(
    ("method", "target", "body", "detail"),
    [
        ("GET", "/api/events?status=maybe", None, "One of accepted, rejected."),
        ("GET", "/api/events?type=purchase", None, "One of identify, track, page, screen, group, alias."),
        ("GET", "/api/keys?kind=master", None, "One of api, write."),
        ("POST", "/api/connections", {**CONNECTION, "mode": "fast"}, "One of live, paused, shadow."),
        ("POST", "/api/connections", {**CONNECTION, "type": "telegraph"}, "One of kissmetrics, konnektive."),
        ("POST", "/api/connections", {**CONNECTION, "filter": {"all": [{"type": ["x"]}]}}, "One of identify, track, page, screen, group, alias."),
        ("POST", "/api/connections", {**CONNECTION, "filter": {"all": 1}}, "Expected a list or null, got a whole number."),
        ("POST", "/api/connections", {**CONNECTION, "filter": {"not": []}}, "Expected an object or null, got a list."),
        ("POST", "/api/connections", {**CONNECTION, "filter": {"field": "x"}}, "A comparison has both `field` and `is`."),
        ("POST", "/api/sources", {"label": 1.5}, "Expected a text, got a number."),
    ],
)
def test_a_refusal_says_in_plain_words_what_would_fit(method: str, target: str, body: Any, detail: str) -> None:
    said = ControlBench().call(method, target, body)
    assert sorted(re.findall(r"\w+", said.body["detail"])) == sorted(re.findall(r"\w+", detail)), said.body["detail"]


@pytest.fixture
def the_interpreters_own_recursion_limit() -> Iterator[None]:
    """As on Lambda: some test libraries raise it for the whole process."""
    raised = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(raised)


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"{", 400, "malformed_json"),
        (b"\xff", 400, "malformed_json"),
        (b'{"label":"\\ud800"}', 400, "malformed_json"),
        (b'{"label":NaN}', 400, "malformed_json"),
        (b'{"label":"x","settings":' + b'{"a":' * 14_000 + b"1" + b"}" * 2_000 + b"}", 413, "body_too_large"),
        (b'{"settings":{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}}", 400, "malformed_json"),  # deeper than Python 3.12 and later allow, too
    ],
)
@pytest.mark.usefixtures("the_interpreters_own_recursion_limit")
def test_a_body_that_cannot_be_read_is_refused(raw: bytes, status: int, code: str) -> None:
    bench = ControlBench()
    source = bench.call("POST", "/api/connections", {"type": "kissmetrics", "label": "x", "settings": {"apiKey": "k"}}).body["id"]
    said = bench.call("PATCH", f"/api/connections/{source}", raw=raw)
    assert (said.status, said.body["code"], said.body["field"]) == (status, code, "body")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("application/merge-patch+json", 201),
        ("", 201),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonx", 415),
    ],
)
def test_a_body_is_json(content_type: str, status: int) -> None:
    assert ControlBench().call("POST", "/api/sources", {"label": "Shop"}, headers={"content-type": content_type}).status == status


def test_a_path_that_takes_another_method_says_which() -> None:
    said = ControlBench().call("PUT", "/api/account")
    assert (said.status, said.header("allow"), said.body["code"]) == (405, "GET, PATCH", "method_not_allowed")


@pytest.mark.parametrize("path", ["/api/sources/", "/api/sources/a/b/c", "/api/sources/..%2f", "/api/sources/" + "x" * 65, "/api", "/apix/account"])
def test_only_the_paths_there_are_lead_anywhere(path: str) -> None:
    assert ControlBench().call("GET", path).status == 404


def test_without_a_key_no_use_case_is_reached() -> None:
    bench = ControlBench()
    for method, path in [(route.method, route.path) for route in bench.api.routes() if route.scope is not None]:
        said = bench.router.answer(Request(method=method, path=path.replace("{", "").replace("}", ""), body=b"{"))
        assert said.status == 401
        assert said.headers["www-authenticate"] == 'Bearer realm="tributary"'
        assert said.code == "key_missing"


def test_a_key_without_the_scope_is_told_which_it_lacks_on_every_route() -> None:
    bench = ControlBench()
    for route in bench.api.routes():
        if route.scope is None:
            continue
        others = [one.scope for one in bench.api.routes() if one.scope not in (None, route.scope)]
        key = bench.new_key(*{str(scope) for scope in others})
        said = bench.call(route.method, route.path.replace("{", "").replace("}", ""), key=key)
        assert (said.status, said.body["code"], said.body["scope"]) == (403, "scope_missing", route.scope)
        assert said.header("www-authenticate") == f'Bearer realm="tributary", error="insufficient_scope", scope="{route.scope}"'


def test_a_revoked_key_reads_for_less_than_thirty_seconds_and_writes_no_more() -> None:
    bench = ControlBench()
    made = bench.call("POST", "/api/keys", {"label": "x", "scopes": ["sources:read", "sources:write"]}).body
    assert bench.call("GET", "/api/sources", key=made["secret"]).status == 200
    bench.clock.move(20)
    bench.call("DELETE", f"/api/keys/{made['key']['id']}")
    bench.clock.move(9)
    assert bench.call("GET", "/api/sources", key=made["secret"]).status == 200
    bench.clock.move(1)
    said = bench.call("GET", "/api/sources", key=made["secret"])
    assert (said.status, said.body["code"]) == (401, "key_revoked")


def test_a_revoked_key_is_refused_at_once_where_it_writes() -> None:
    bench = ControlBench()
    made = bench.call("POST", "/api/keys", {"label": "x", "scopes": ["sources:read", "sources:write"]}).body
    bench.call("GET", "/api/sources", key=made["secret"])
    bench.call("DELETE", f"/api/keys/{made['key']['id']}")
    for method, path in [("POST", "/api/sources"), ("PATCH", "/api/sources/src_x"), ("DELETE", "/api/sources/src_x")]:
        assert bench.call(method, path, key=made["secret"]).status == 401


def test_an_expired_key_is_refused_with_401() -> None:
    bench = ControlBench()
    made = bench.call("POST", "/api/keys", {"label": "x", "scopes": ["*"], "expires_at": "2026-03-04T12:00:10Z"}).body
    assert bench.call("GET", "/api/account", key=made["secret"]).status == 200
    bench.clock.move(10)
    said = bench.call("GET", "/api/account", key=made["secret"])
    assert (said.status, said.body["code"]) == (401, "key_expired")


def test_a_write_key_does_not_open_the_api() -> None:
    bench = ControlBench()
    write_key = bench.call("POST", "/api/sources", {"label": "Shop"}).body["write_key"]
    assert RowKeys(bench.rows).find(hash_key(write_key)) is not None
    assert bench.call("GET", "/api/sources", key=write_key).body["code"] == "key_of_another_kind"


def route(handle: Any) -> Router:
    return Router([Route(method="GET", path="/x", scope=None, summary="", handle=handle)], ControlBench().router._access)


def test_a_fault_of_ours_is_a_500_that_tells_the_log_the_place_and_nobody_the_text() -> None:
    def fail(_: Call) -> Answer:
        raise RuntimeError("orla@harbour.example")

    response = route(fail).answer(Request(method="GET", path="/x"))
    assert (response.status, response.code) == (500, "internal")
    assert b"orla" not in response.body
    assert response.fault is not None
    assert response.fault.startswith("RuntimeError at ")
    assert "orla" not in str(response.report())


def test_a_store_that_does_not_answer_is_a_503_to_try_again() -> None:
    def fail(_: Call) -> Answer:
        raise StoreUnavailable("x")

    response = route(fail).answer(Request(method="GET", path="/x"))
    assert (response.status, response.code, response.headers["retry-after"]) == (503, "store_unavailable", "1")


def test_a_problem_may_bring_headers() -> None:
    def fail(_: Call) -> Answer:
        raise Problem(status=409, code="in_use", detail="x", headers={"retry-after": "7"})

    assert route(fail).answer(Request(method="GET", path="/x")).headers["retry-after"] == "7"


def test_the_log_line_has_ids_and_codes_and_no_values() -> None:
    bench = ControlBench()
    made = bench.call("POST", "/api/sources", {"label": "Harbour"})
    source = made.body["source"]["id"]
    report = bench.call("GET", f"/api/sources/{source}").response.report()
    (key,) = [one.id for one in bench.operator.keys() if one.kind == "api"]  # noqa: SIM118  (it is no mapping)
    assert report["route"] == "GET /api/sources/{source}"
    assert (report["status"], report["code"], report["milliseconds"]) == (200, "ok", 0)
    assert report["key"] == key
    assert bench.key not in str(report)


def test_an_event_of_the_gateway_becomes_a_request_and_the_answer_goes_back() -> None:
    event = {
        "rawPath": "/api/sources",
        "rawQueryString": "limit=1",
        "headers": {"Authorization": "Bearer tk_x", "content-type": "application/json"},
        "requestContext": {"requestId": "r-9", "http": {"method": "POST"}},
        "body": base64.b64encode(b'{"label":"Shop"}').decode(),
        "isBase64Encoded": True,
    }
    request = request_of(event)
    assert request == Request(
        method="POST",
        path="/api/sources",
        query="limit=1",
        headers={"authorization": "Bearer tk_x", "content-type": "application/json"},
        body=b'{"label":"Shop"}',
        id="r-9",
    )
    assert request_of({**event, "body": "!!!"}).body == b"\xff"
    assert request_of({**event, "body": '{"é":1}', "isBase64Encoded": False}).body == '{"é":1}'.encode()
    assert request_of({}).path == ""
    answer = as_gateway_response(ControlBench().router.answer(Request(method="GET", path="/healthz")))
    assert answer["statusCode"] == 200
    assert answer["headers"]["cache-control"] == "no-store"
    assert answer["body"] == '{"status":"ok","version":"0.1.0"}'
