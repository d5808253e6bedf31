"""The OpenAPI document, from the tables of routes. `make openapi` writes it to `docs/openapi.yaml`; a test fails when that file says anything else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from tributary.access import SCOPES
from tributary.control import tracking
from tributary.control.http import MAX_IDEMPOTENCY_KEY, Route
from tributary.control.problems import CONTENT_TYPE, ProblemDetails
from tributary.version import VERSION

_REF: Final = "#/components/schemas/{name}"
_JSON: Final = "application/json"
_CSV: Final = "text/csv"
_DESCRIPTION: Final = """\
A customer-journey pipeline: the Segment tracking API in, marketing tools out, and this API to operate it.

Errors under `/api` are RFC 9457 problem details; errors under `/v1` have the keys that Segment's SDKs read. Unknown parameters and fields are refused by name.
Lists page by an opaque cursor. Times are ISO 8601, UTC. The gateway itself may answer 413 (over 10 MB), 429 (throttled) or 503 with `{"message": "..."}`.
"""
_PROBLEMS: Final[dict[int, str]] = {
    400: "A parameter or field does not fit; `field` names it.",
    401: "No key, or none that works.",
    403: "The key lacks a scope; `scope` names it.",
    404: "There is no such thing.",
    409: "Something refers to it, or it was changed at the same time.",
    412: "It was changed since the version in `If-Match`.",
    413: "The body is too large.",
    415: "The body is not JSON, or CSV where that is taken.",
    422: "It takes more memory or time than the function has, or the answer is larger than can be sent: ask for less at a time.",
    500: "A fault of ours.",
    503: "A store did not answer; try again after `Retry-After`.",
}
_TAGS: Final[dict[str, str]] = {
    "account": "The business: its name, time zone, currency, defaults.",
    "sources": "Where events come from; each has write keys.",
    "connections": "Destination accounts that events are forwarded to.",
    "keys": "API keys, and write keys to list and revoke.",
    "ad-spend": "What advertisements cost, in batches that can be taken back.",
    "reports": "Which source, campaign and email brought which leads, customers and dollars.",
    "rates": "What currencies were worth in one another, in batches too.",
    "fixed-costs": "Costs that no advertisement has.",
    "events": "The accepted and rejected events of the last days.",
    "health": "Whether it is alive.",
    "tracking": "The Segment tracking API: any Segment SDK works by changing its host.",
}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The whole document as plain data."""
    structs = [struct for route in routes for struct in (route.query, route.body, route.rows, route.answer) if struct is not None]
    structs += [ProblemDetails, tracking.TrackingCall, tracking.TrackingBatch, tracking.TrackingAnswer, tracking.TrackingRefusal]
    queries = {route.query.__name__ for route in routes if route.query is not None}
    _, schemas = msgspec.json.schema_components(dict.fromkeys(structs), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.body is not None and route.rows is not None:
            schemas[route.body.__name__]["properties"]["rows"]["items"] = _ref(route.rows)
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tributary", "version": VERSION, "description": _DESCRIPTION, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": {**paths, **_tracking_paths()},
        "components": {
            "securitySchemes": _security(),
            "responses": {f"Problem{status}": _problem(text) for status, text in _PROBLEMS.items()},
            "schemas": {name: schema for name, schema in sorted(schemas.items()) if name not in queries},
        },
    }


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": _operation_id(route), "tags": [_tag(route.path)], "summary": route.summary}
    if route.description:
        operation["description"] = route.description
    operation["security"] = [] if route.scope is None else [{"bearerKey": [route.scope]}, {"headerKey": [route.scope]}]
    parameters = [_path_parameter(name) for name in re.findall(r"\{(\w+)\}", route.path)]
    if route.query is not None:
        parameters += [_query_parameter(name, schema) for name, schema in schemas[route.query.__name__]["properties"].items()]
    if route.versioned:
        text = 'The `ETag` of what you have read, as `"3"`: changes nothing if it was changed since.'
        parameters.append({"name": "If-Match", "in": "header", "description": text, "schema": {"type": "string"}})
    if route.idempotent:
        text = "The same key again is the same batch again, whatever happened to the first answer; with other rows it is refused."
        parameters.append({"name": "Idempotency-Key", "in": "header", "description": text, "schema": {"type": "string", "maxLength": MAX_IDEMPOTENCY_KEY}})
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        content: dict[str, Any] = {_JSON: {"schema": _ref(route.body)}}
        if route.csv:
            content[_CSV] = {"schema": {"type": "string"}}
        operation["requestBody"] = {"required": bool(schemas[route.body.__name__]["required"]), "content": content}
    operation["responses"] = _responses(route)
    return operation


def _responses(route: Route) -> dict[str, Any]:
    success: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    if route.answer is not None:
        success["content"] = {_JSON: {"schema": _ref(route.answer)}, **{type: {"schema": {"type": "string"}} for type in route.also}}
        if "version" in route.answer.__struct_fields__ and route.scope is not None:
            success["headers"] = {"ETag": {"description": "Its version, for `If-Match`.", "schema": {"type": "string"}}}
    refusals = {400, 500, *route.problems}
    if route.scope is not None:
        refusals |= {401, 403, 503}
    if route.body is not None:
        refusals |= {413, 415}
    return {str(route.status): success, **{str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in sorted(refusals)}}


def _tracking_paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for call, letter in tracking.SINGLE.items():
        paths[f"/v1/{call}"] = {"post": _tracking(call, f"Send a {call} call", tracking.TrackingCall)}
        paths[f"/v1/{letter}"] = {"post": _tracking(letter, f"As /v1/{call}, from a browser", tracking.TrackingCall)}
    for call in tracking.BATCHES:
        paths[f"/v1/{call}"] = {"post": _tracking(call, "Send calls of any type", tracking.TrackingBatch)}
    metrics = {
        "operationId": "track_m",
        "tags": ["tracking"],
        "summary": "The browser library's counters about itself: answered, not kept",
        "security": [],
        "responses": {"200": {"description": "OK", "content": {_JSON: {"schema": _ref(tracking.TrackingAnswer)}}}},
    }
    pixel = {
        "operationId": "track_pixel",
        "tags": ["tracking"],
        "summary": "Send a call by loading a picture",
        "description": "Whatever became of it, the answer is the picture.",
        "security": [],
        "parameters": [
            {"name": "type", "in": "path", "required": True, "schema": {"enum": list(tracking.SINGLE)}},
            {"name": "data", "in": "query", "description": "The call as base64 of its JSON, `writeKey` included.", "schema": {"type": "string"}},
        ],
        "responses": {"200": {"description": "One transparent pixel", "content": {"image/gif": {}}}},
    }
    return {**paths, "/v1/m": {"post": metrics}, "/v1/pixel/{type}": {"get": pixel}}


def _tracking(call: str, summary: str, body: type[msgspec.Struct]) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for status, text in tracking.STATUSES.items():
        said = tracking.TrackingAnswer if status == "200" else tracking.TrackingRefusal
        answers[status] = {"description": text, "content": {_JSON: {"schema": _ref(said)}}}
    for status in ("429", "503"):
        answers[status]["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    taken = "JSON under any content type; gzip if `Content-Encoding` says so."
    return {
        "operationId": f"track_{call}",
        "tags": ["tracking"],
        "summary": summary,
        "security": [{"writeKey": []}, {}],
        "requestBody": {"required": True, "description": taken, "content": {_JSON: {"schema": _ref(body)}}},
        "responses": answers,
    }


def _security() -> dict[str, Any]:
    scopes = ", ".join(f"`{scope}`" for scope in SCOPES)
    return {
        "bearerKey": {"type": "http", "scheme": "bearer", "description": f"An API key, `tk_...`. Scopes: {scopes}; `*` for all."},
        "headerKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "The same key in a header of its own; not both."},
        "writeKey": {"type": "http", "scheme": "basic", "description": "A source's write key as the user, no password; or `writeKey` in the body."},
    }


def _problem(text: str) -> dict[str, Any]:
    return {"description": text, "content": {CONTENT_TYPE: {"schema": _ref(ProblemDetails)}}}


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}}


def _query_parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter is left out or has a value: that a struct keeps None for the first is ours alone."""
    schema = dict(schema)
    description = schema.pop("description", None)
    if "anyOf" in schema:
        (inner,) = [one for one in schema["anyOf"] if one != {"type": "null"}]
        schema = dict(inner)
        description = schema.pop("description", description)
    parameter: dict[str, Any] = {"name": name, "in": "query", "schema": schema}
    if schema.get("type") == "array":
        # Given once for each value.
        schema.pop("default", None)
        parameter |= {"style": "form", "explode": True}
    return parameter if description is None else {"name": parameter.pop("name"), "in": parameter.pop("in"), "description": description, **parameter}


def _ref(struct: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": _REF.format(name=struct.__name__)}


def _tag(path: str) -> str:
    return path.split("/")[2] if path.startswith("/api/") else "health"


def _operation_id(route: Route) -> str:
    """`patch_connections_connection`, `get_connections_connection_parked`: from the path, so that it is stable and unique."""
    words = re.findall(r"\w+", route.path.removeprefix("/api"))
    return "_".join([route.method.lower(), *words])
