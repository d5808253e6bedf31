"""`docs/openapi.yaml` says what the code does: it is written from it, and the API's answers fit it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from local import openapi
from tests.kit.builders import NOON, later, track
from tests.kit.control import ControlBench, Said
from tests.kit.report_api import ReportBench
from tributary import log_codec
from tributary.access import SCOPES
from tributary.control import tracking
from tributary.drafts import NewConnection
from tributary.ports import FeedEntry, FeedStatus, Parked, VendorRequest
from tributary.sources import segment_api

DOCUMENT: dict[str, Any] = yaml.safe_load(openapi.text())
EVERY_ROUTE = [*ControlBench().api.routes(), *ReportBench({}).routes]


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def test_the_file_is_what_the_code_says() -> None:
    assert openapi.PATH.read_text() == openapi.text(), "run `make openapi`"


def test_every_reference_leads_somewhere() -> None:
    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            for name, value in node.items():
                if name == "$ref":
                    yield value
                else:
                    yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = set(references(DOCUMENT))
    assert found
    for reference in found:
        node: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_every_route_is_described_with_its_scope() -> None:
    routes = {(route.method.lower(), route.path): route for route in EVERY_ROUTE}
    described = {(method, path): operation for method, path, operation in operations() if not path.startswith("/v1/")}
    assert described.keys() == routes.keys()
    for place, operation in described.items():
        scope = routes[place].scope
        assert operation["security"] == ([] if scope is None else [{"bearerKey": [scope]}, {"headerKey": [scope]}])


def test_every_scope_opens_something_and_every_route_asks_for_one_there_is() -> None:
    assert {route.scope for route in EVERY_ROUTE if route.scope} == set(SCOPES)


def test_every_call_of_the_tracking_api_is_described() -> None:
    described = {path.removeprefix("/v1/") for _, path, _ in operations() if path.startswith("/v1/")}
    assert described == {*segment_api.CALLS, "m", "pixel/{type}"}
    assert set(tracking.SINGLE) | {"batch", "import"} <= described


def test_operations_have_names_of_their_own_and_parameters_are_those_of_the_path() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))
    for _, path, operation in operations():
        named = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"}
        assert named == {part.strip("{}") for part in path.split("/") if part.startswith("{")}


def check(said: Said, method: str, path: str) -> None:
    """The answer is one of those described, and its body fits."""
    response = DOCUMENT["paths"][path][method.lower()]["responses"][str(said.status)]
    if "$ref" in response:
        response = DOCUMENT["components"]["responses"][response["$ref"].rsplit("/", maxsplit=1)[1]]
    if "content" not in response:
        assert said.response.body == b""
        return
    content_type, _, _ = (said.header("content-type") or "").partition(";")
    content = response["content"][content_type]
    if content_type == "text/csv":
        return
    schema = {**content["schema"], "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(json.loads(said.response.body))
    if "headers" in response:
        assert all(said.header(name.lower()) for name in response["headers"])


def filled() -> tuple[ControlBench, dict[str, str]]:
    """An API with one of everything, and the ids to put into paths."""
    bench = ControlBench()
    source = bench.call("POST", "/api/sources", {"label": "Shop"}).body["source"]["id"]
    condition = {"any": [{"event": ["Order Completed"]}, {"field": "properties.total", "is": "at_least", "value": 5}]}
    body = {"type": "kissmetrics", "label": "Main", "settings": {"apiKey": "k"}, "sources": [source], "filter": condition}
    connection = bench.call("POST", "/api/connections", body).body["id"]
    key = bench.call("POST", "/api/keys", {"label": "x", "scopes": ["account:read"], "expires_at": "2026-05-01T00:00:00Z"}).body["key"]["id"]
    event = track(source=source, received_at=later(-5))
    bench.log.put([event])
    line = FeedEntry(
        source=source,
        received_at=event.received_at,
        index=0,
        status=FeedStatus.ACCEPTED,
        type="track",
        name=event.event,
        message_id=event.message_id,
        event_key=log_codec.key_of(event),
    )
    refused = FeedEntry(
        source=source,
        received_at=later(-4),
        index=1,
        status=FeedStatus.REJECTED,
        type=None,
        name=None,
        message_id=None,
        code="missing_type",
        field="type",
        message="…",
        body="{}",
    )
    bench.feed.append("q", [line, refused])
    bench.shadow.keep(connection, event, [VendorRequest(method="GET", url="https://x.example", query=[("a", "b")])])
    bench.parking.park(
        Parked(
            connection=connection,
            source=source,
            message_id="m",
            event_key=("user#u", "event#s#m"),
            received_at=NOON,
            index=0,
            parked_at=NOON,
            code="too_old",
            reason="…",
            request=None,
            attempts=3,
            last_status=None,
        )
    )
    account = bench.operator.create_connection(NewConnection(type="konnektive", label="CRM", settings={"loginId": "shop", "password": "secret"})).value.id
    spend = bench.call("POST", "/api/ad-spend", {"rows": [SPEND, {**SPEND, "date": "today"}]}).body["batch"]["id"]
    rates = bench.call("POST", "/api/rates", {"rows": [RATE]}).body["batch"]["id"]
    bench.call("PUT", "/api/fixed-costs/rent", COST)
    return bench, {"{cost}": "rent", "{spend}": spend, "{rates}": rates, "{source}": source, "{connection}": connection, "{account}": account, "{key}": key}


SPEND = {"date": "2026-03-01", "platform": "google", "ad_id": "7", "spend": 1234}
RATE = {"day": "2026-03-01", "from": "EUR", "to": "USD", "rate": 1.0842}
COST = {"name": "Rent", "frequency": "daily", "amount": 5000, "first": "2026-01-01"}
BODIES: dict[tuple[str, str], Any] = {
    ("PATCH", "/api/account"): {"name": "Shop"},
    ("POST", "/api/sources"): {"label": "App"},
    ("PATCH", "/api/sources/{source}"): {"label": "App"},
    ("POST", "/api/sources/{source}/rotate-key"): {"keep_old_for_s": 5},
    ("POST", "/api/connections"): {"type": "kissmetrics", "label": "Other", "settings": {"apiKey": "k"}},
    ("PATCH", "/api/connections/{connection}"): {"mode": "shadow"},
    ("POST", "/api/keys"): {"label": "y", "scopes": ["*"]},
    ("POST", "/api/ad-spend"): {"rows": [{**SPEND, "spend": 5}]},
    ("POST", "/api/rates"): {"rows": [{**RATE, "rate": "1.1"}]},
    ("PUT", "/api/fixed-costs/{cost}"): {**COST, "last": "2026-02-01"},
    ("POST", "/api/syncs/{connection}/restart"): {"from_day": "2025-01-01"},
}
ROUTES = [(route.method, route.path) for route in ControlBench().api.routes()]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_the_answers_of_each_route_are_as_described(method: str, path: str) -> None:
    bench, ids = filled()
    target = path
    chosen = {
        **ids,
        "{connection}": ids["{account}" if path.startswith("/api/syncs") else "{connection}"],
        "{batch}": ids["{spend}" if path.startswith("/api/ad-spend") else "{rates}"],
    }
    for name, value in chosen.items():
        target = target.replace(name, value)
    if target == "/api/events":
        check(bench.call(method, "/api/events?bodies=true"), method, path)
    if (method, path) == ("DELETE", "/api/sources/{source}"):
        check(bench.call(method, target), method, path)  # 409: in use
        bench.call("PATCH", f"/api/connections/{ids['{connection}']}", {"sources": []})
    body = BODIES.get((method, path))
    refusals = [
        bench.call(method, f"{target}?colour=blue", body),
        bench.call(method, target, body, headers={"authorization": "Bearer no"}),
        bench.call(method, target, body, key=bench.new_key("account:read" if path != "/api/account" else "keys:read")),
    ]
    assert [said.status for said in refusals] == ([400, 200, 200] if path == "/healthz" else [400, 401, 403])
    for said in refusals:
        check(said, method, path)
    if "{" in path:
        check(bench.call(method, path.replace("{", "").replace("}", ""), body), method, path)
    if body is not None:
        check(bench.call(method, target, raw=b"x" * 70_000), method, path)
        check(bench.call(method, target, body, headers={"content-type": "text/plain"}), method, path)
        check(bench.call(method, target, {**body, "colour": "blue"}), method, path)
    said = bench.call(method, target, body)
    assert 200 <= said.status < 300, said.text
    check(said, method, path)
