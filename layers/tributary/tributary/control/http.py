"""Routes as data, and the way of a request through them: which route, whose key, which scope, which parameters; then the use case.

A route says what it takes and answers, so that requests are checked and `docs/openapi.yaml` is written from the same table. Unknown parameters and fields are
refused by name. Whatever writes or deletes has its key checked against the store, not the cache.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

import msgspec

from tributary.access import Access, AccessRefused, require
from tributary.control.problems import CONTENT_TYPE, Problem, of_validation
from tributary.errors import StoreUnavailable, place_of
from tributary.gateway import call_of
from tributary.settings import Key

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

MAX_BODY_BYTES: Final = 65_536
"""Settings are small; the gateway would let through 10 MB."""
MAX_PARAMETERS: Final = 50
MAX_IDEMPOTENCY_KEY: Final = 255
"""Characters of an `Idempotency-Key`."""
MAX_ANSWER_BYTES: Final = 6_200_000
"""Of a body written as a JSON text: a function's answer is one, of 6 MiB at most; in it a quote takes two bytes, and a letter that is not ASCII six."""

_JSON_TYPES: Final = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json(?:\s*;.*)?", re.IGNORECASE)
_CSV_TYPES: Final = re.compile(r"(?:text|application)/csv(?:\s*;.*)?", re.IGNORECASE)
_ETAG: Final = re.compile(r'"([0-9]{1,15})"')
_NOT_JSON: Final = "The body is not valid JSON."


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call. Header names are in lower case; a header that was sent twice is joined with a comma, as the gateway does it."""

    method: str
    path: str
    query: str = ""
    """As sent, undecoded."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request that has been let in and understood."""

    path: Mapping[str, str]
    query: Any
    """The route's `query`; None where it has none."""
    body: Any
    """The route's `body`; the bytes of a CSV; None where it has none."""
    key: Key | None
    """Whose call it is; None where a route is open."""
    version: int | None
    """Of `If-Match`: the version that the caller has seen."""
    idempotency_key: str | None = None
    """Of `Idempotency-Key`, where the route takes it."""
    pairs: Sequence[tuple[str, str]] = ()
    """The parameters as they were sent, of a route that checks them itself."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`body` is a struct to be written as JSON, `text` what is sent as it is, with its content type in the headers; neither for 204."""

    status: int = 200
    body: msgspec.Struct | None = None
    text: str | None = None
    version: int | None = None
    """Sent as the `ETag`."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Route:
    method: Method
    path: str
    """With `{name}` for a segment."""
    scope: str | None
    """What the key must have; None where no key is needed."""
    summary: str
    handle: Callable[[Call], Answer]
    description: str = ""
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    answer: type[msgspec.Struct] | None = None
    status: int = 200
    versioned: bool = False
    """Whether it takes `If-Match`."""
    idempotent: bool = False
    """Whether it takes `Idempotency-Key`."""
    rows: type[msgspec.Struct] | None = None
    """What the `rows` of its body are, where it reads them one by one."""
    csv: bool = False
    """Whether it takes CSV beside JSON."""
    max_body: int = MAX_BODY_BYTES
    """Bytes."""
    checks_query: bool = False
    """Whether it checks its parameters itself, all at once; `query` then says no more than what they are."""
    also: Sequence[str] = ()
    """Content types of texts that it answers with too, if it is asked to."""
    problems: Sequence[int] = ()
    """What it answers beside 400, 401, 403, 500 and 503."""


@dataclass(frozen=True, kw_only=True)
class Response:
    """What goes back, and what the log line says of it."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    route: str
    """`GET /api/sources/{source}`; `-` where none fits."""
    code: str
    """`ok`, or the problem's code."""
    key_id: str | None = None
    fault: str | None = None
    """Of a 500: the exception's type and where it was raised, without its text."""
    milliseconds: int = 0

    def report(self) -> dict[str, Any]:
        """The fields of the log line: ids and codes."""
        fields = {
            "route": self.route,
            "status": self.status,
            "code": self.code,
            "key": self.key_id,
            "fault": self.fault,
            "milliseconds": self.milliseconds,
        }
        return {name: value for name, value in fields.items() if value is not None}


class Router:
    """Answers requests by a table of routes. Never raises."""

    def __init__(self, routes: Sequence[Route], access: Access, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._routes = [(_pattern(route.path), route) for route in routes]
        self._access = access
        self._monotonic = monotonic

    def answer(self, request: Request) -> Response:
        started = self._monotonic()
        route: Route | None = None
        key: Key | None = None
        fault: str | None = None
        try:
            route, path = self._route(request)
            if route.scope is not None:
                key = self._access.authenticate(request.headers, fresh=route.method != "GET")
                require(key, route.scope)
            answer: Answer | Problem = route.handle(_call(route, request, path, key))
        except Problem as problem:
            answer = problem
        except AccessRefused as refused:
            answer = Problem(
                status=refused.status, code=refused.code, detail=str(refused), scope=refused.scope, headers={"www-authenticate": refused.challenge}
            )
        except StoreUnavailable:
            answer = Problem(status=503, code="store_unavailable", detail="A store did not answer; try again.", headers={"retry-after": "1"})
        except Exception as error:
            fault = place_of(error)
            answer = Problem(status=500, code="internal", detail="This is a fault of ours; the log has it under the request's id.")
        status, headers, body, code = _encoded(answer, request.id)
        return Response(
            status=status,
            headers=headers,
            body=body,
            route=f"{route.method} {route.path}" if route else "-",
            code=code,
            key_id=key.id if key else None,
            fault=fault,
            milliseconds=round((self._monotonic() - started) * 1000),
        )

    def _route(self, request: Request) -> tuple[Route, Mapping[str, str]]:
        fitting = [(match, route) for pattern, route in self._routes if (match := pattern.fullmatch(request.path))]
        for match, route in fitting:
            if route.method == request.method:
                return route, match.groupdict()
        if fitting:
            allowed = ", ".join(sorted(route.method for _, route in fitting))
            raise Problem(status=405, code="method_not_allowed", detail=f"This path takes {allowed}.", headers={"allow": allowed})
        raise Problem(status=404, code="not_found", detail="There is nothing at this path.")


def request_of(event: Mapping[str, Any]) -> Request:
    """The call behind an HTTP API event (payload format 2.0)."""
    call = call_of(event)
    body = call.body if call.body is not None else b"\xff"  # no JSON either
    return Request(method=call.method, path=call.path, query=call.query, headers=call.headers, body=body, id=call.id)


def as_gateway_response(response: Response) -> dict[str, Any]:
    return {"statusCode": response.status, "headers": dict(response.headers), "body": response.body.decode(), "isBase64Encoded": False}


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[A-Za-z0-9_-]{1,64})", path))


def _call(route: Route, request: Request, path: Mapping[str, str], key: Key | None) -> Call:
    pairs = _pairs(request.query)
    return Call(
        path=path,
        query=None if route.checks_query else _query(route, pairs),
        body=_body(route, request),
        key=key,
        version=_version(route, request.headers),
        pairs=pairs,
        headers=request.headers,
        idempotency_key=_idempotency_key(route, request.headers),
    )


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="surrogateescape")
    except ValueError as error:
        raise Problem(status=400, code="malformed_query", detail=f"The query has more than {MAX_PARAMETERS} parameters.") from error
    for name, value in pairs:
        if not _is_text(value) or not _is_text(name):
            raise Problem(status=400, code="malformed_query", field=name[:64] if _is_text(name) else None, detail="This is not UTF-8.")
    return pairs


def _query(route: Route, pairs: Sequence[tuple[str, str]]) -> msgspec.Struct | None:
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise Problem(status=400, code="repeated_parameter", field=name[:64], detail="It was given more than once.")
        given[name] = value
    known = route.query.__struct_fields__ if route.query else ()
    for name in given:
        if name not in known:
            takes = f"This takes {', '.join(known)}." if known else "This takes no parameters."
            raise Problem(status=400, code="unknown_parameter", field=name[:64], detail=f"There is no such parameter. {takes}")
    if route.query is None:
        return None
    try:
        return msgspec.convert(given, route.query, strict=False)
    except msgspec.ValidationError as error:
        raise of_validation(error, "parameter", route.query) from error


def _is_text(given: str) -> bool:
    """Whether all of it was UTF-8: what was not is a surrogate now."""
    return not any("\ud800" <= character <= "\udfff" for character in given)


def _body(route: Route, request: Request) -> msgspec.Struct | bytes | None:
    if route.body is None:
        if request.body:
            raise Problem(status=400, code="unexpected_body", field="body", detail="This takes no body.")
        return None
    if len(request.body) > route.max_body:
        raise Problem(status=413, code="body_too_large", field="body", detail=f"The body has more than {route.max_body} bytes.")
    content_type = request.headers.get("content-type", "").strip()
    if route.csv and _CSV_TYPES.fullmatch(content_type):
        return request.body
    if content_type and not _JSON_TYPES.fullmatch(content_type):
        csv = ", or CSV, with `text/csv`" if route.csv else ""
        raise Problem(status=415, code="unsupported_media_type", field="content-type", detail=f"Send JSON, with `content-type: application/json`{csv}.")
    try:
        return msgspec.json.decode(request.body or b"{}", type=route.body)
    except msgspec.ValidationError as error:
        raise of_validation(error, "field", route.body) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(status=400, code="malformed_json", field="body", detail=_NOT_JSON) from error
    except RecursionError as error:
        raise Problem(status=400, code="malformed_json", field="body", detail="The body is nested too deeply.") from error


def _version(route: Route, headers: Mapping[str, str]) -> int | None:
    if not route.versioned or "if-match" not in headers:
        return None
    text = headers["if-match"].strip()
    if text == "*":
        return None
    match = _ETAG.fullmatch(text)
    if match is None:
        raise Problem(status=400, code="invalid_parameter", field="if-match", detail='Give the ETag of the answer you have read, as `"3"`.')
    return int(match[1])


def _idempotency_key(route: Route, headers: Mapping[str, str]) -> str | None:
    if not route.idempotent or "idempotency-key" not in headers:
        return None
    key = headers["idempotency-key"].strip()
    if not 0 < len(key) <= MAX_IDEMPOTENCY_KEY or not key.isascii() or not key.isprintable():
        detail = f"A key is 1 to {MAX_IDEMPOTENCY_KEY} printable ASCII characters."
        raise Problem(status=400, code="invalid_parameter", field="idempotency-key", detail=detail)
    return key


def _encoded(answer: Answer | Problem, instance: str) -> tuple[int, dict[str, str], bytes, str]:
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff", **answer.headers}
    if isinstance(answer, Problem):
        body = msgspec.json.encode(answer.details(instance))
        return answer.status, {**headers, "content-type": CONTENT_TYPE}, body, answer.code
    if answer.version is not None:
        headers["etag"] = f'"{answer.version}"'
    if answer.text is not None:
        body = answer.text.encode()
    elif answer.body is not None:
        headers, body = {**headers, "content-type": "application/json"}, msgspec.json.encode(answer.body)
    else:
        body = b""
    if len(body) > MAX_ANSWER_BYTES or (len(body) > MAX_ANSWER_BYTES // 6 and len(json.dumps(body.decode())) > MAX_ANSWER_BYTES):
        detail = f"The answer has {len(body):,} bytes, which is more than can be sent: ask for fewer rows or columns at a time."
        return _encoded(Problem(status=422, code="answer_too_large", field="limit", detail=detail), instance)
    return answer.status, headers, body, "ok"
