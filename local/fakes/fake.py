"""What every fake vendor shares, without a socket: routing, the log of requests, the script of answers.

A vendor is a table of routes (`Vendor.routes`); `Fake` puts beside it, for a test or a person:

    GET    /__requests   every request received, oldest first: {at, method, path, query: {name: [value]}, headers (lower-case),
                         body (inflated text; `body_base64` instead if not UTF-8), status (null where the connection was closed), applied}
    DELETE /__requests   forget them
    POST   /__script     answers to give next, a list of {match?: {path?, params?}, status, headers, body, delay_s, drop: "before" | "after_apply"}; an
                         empty list forgets those not used yet. `params` are of the query or a form: {"page": "7"} fits page 7 alone
    GET    /__script     those not used yet
    GET    /__state      what the vendor would have stored
    DELETE /__state      forget it

A vendor may have controls of its own beside these (`Vendor.controls`).

The log is a log of what came over the wire: it holds what was scripted to fail too. `applied` tells whether the vendor took the request in.

A step of the script is used once, by the first request that its `match` fits; what a step does not name is the vendor's own. An error status means that the
vendor did not take the request in. `drop: before` closes the connection without an answer and without taking it in, `after_apply` takes it in first: the
answer that gets lost. A `delay_s` comes between the two, so that a caller who gives up has been taken in.
"""

from __future__ import annotations

import base64
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from http import HTTPStatus
from threading import Lock
from typing import Annotated, Any, ClassVar, Final, Literal
from urllib.parse import parse_qsl

import msgspec

MAX_DELAY_SECONDS: Final = 300
"""Longer than any function of ours lives."""


@dataclass(frozen=True, kw_only=True)
class Request:
    at: datetime
    method: str
    path: str
    """As it came, without the query."""
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""
    """Inflated."""
    params: Mapping[str, str] = field(default_factory=dict)
    """What stood at the `{name}`s of the route."""

    @property
    def sent(self) -> dict[str, str]:
        """The parameters of the query and, over them, of a form; the last of a repeated name."""
        query = {name: values[-1] for name, values in self.query.items()}
        form = parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True) if "json" not in self.headers.get("content-type", "") else []
        return {**query, **dict(form)}


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay_s: float = 0.0
    """How long the vendor takes over it."""

    @classmethod
    def json(cls, value: Any, *, status: int = 200) -> Answer:
        return cls(status=status, headers={"content-type": "application/json"}, body=json.dumps(value, ensure_ascii=False).encode())


@dataclass(frozen=True)
class Route:
    methods: Sequence[str]
    path: str
    """`/api/profiles/{id}`: each `{name}` takes one part of a path."""
    answer: Callable[[Request], Answer]


@dataclass(frozen=True)
class Control:
    method: str
    path: str
    """`/__shop`."""
    answer: Callable[[Request], Answer | Callable[[], Answer]]
    """A second step, if it returns one, runs while the vendor goes on answering others: what it sends out itself may make them ask."""


class Vendor(ABC):
    """One vendor: what it answers, and what it would have stored. Called for one request at a time."""

    name: ClassVar[str]

    @abstractmethod
    def routes(self) -> Sequence[Route]: ...

    @abstractmethod
    def state(self) -> Any:
        """What it would have stored, as JSON values."""

    @abstractmethod
    def forget(self) -> None:
        """Start empty again."""

    def controls(self) -> Sequence[Control]:
        """What a test or a person can do to it beside what every fake has. Not logged, not scripted."""
        return ()

    def unknown(self, status: HTTPStatus) -> Answer:
        """To a path (404) or a method (405) that it has no route for."""
        return Answer.json({"error": status.phrase}, status=status)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the caller gets: an answer or, for None, a closed connection, after `delay_s` seconds."""

    answer: Answer | None
    delay_s: float = 0.0


class _Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    path: str = "*"
    """The whole path, or a pattern of it: `/api/*`."""
    params: dict[str, str] = {}
    """Parameters of the query or a form, each with this value."""

    def fits(self, request: Request) -> bool:
        return fnmatchcase(request.path, self.path) and (not self.params or self.params.items() <= request.sent.items())


class _Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    match: _Match | None = None
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] | None = None
    headers: dict[str, str | int | float] | None = None
    """A number as its text."""
    body: Any = None
    """Text as it is, anything else as JSON."""
    delay_s: Annotated[float, msgspec.Meta(ge=0, le=MAX_DELAY_SECONDS)] = 0
    drop: Literal["before", "after_apply"] | None = None

    def fits(self, request: Request) -> bool:
        return self.match is None or self.match.fits(request)

    @property
    def applies(self) -> bool:
        """Whether the vendor takes the request in."""
        return self.drop == "after_apply" or (self.drop is None and (self.status is None or self.status < 400))

    def answer_over(self, own: Answer) -> Answer:
        """The scripted answer: what the step does not name is the vendor's own."""
        answer = replace(own, status=self.status or own.status)
        if self.body is not None:
            scripted = Answer(body=self.body.encode()) if isinstance(self.body, str) else Answer.json(self.body)
            answer = replace(answer, headers=scripted.headers, body=scripted.body)
        if self.headers is not None:
            answer = replace(answer, headers={**answer.headers, **{name.lower(): str(value) for name, value in self.headers.items()}})
        return answer


@dataclass(frozen=True, kw_only=True)
class _Logged:
    request: Request
    status: int | None
    applied: bool

    def as_json(self) -> dict[str, Any]:
        request = self.request
        return {
            "at": request.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "method": request.method,
            "path": request.path,
            "query": {name: list(values) for name, values in request.query.items()},
            "headers": dict(request.headers),
            **_body_as_json(request.body),
            "status": self.status,
            "applied": self.applied,
        }


class Fake:
    """A vendor with its log and its script. `receive` is safe to call from many threads."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._routes = [(_pattern(route.path), route) for route in vendor.routes()]
        self._lock = Lock()
        self._log: list[_Logged] = []
        self._script: list[_Step] = []

    def receive(self, request: Request) -> Outcome:
        """Take one request in, or not, as the script says; one at a time, so that the log and the vendor agree on the order."""
        with self._lock:
            if not request.path.startswith("/__"):
                return self._vendor_request(request)
            answer = self._control(request)
        return Outcome(answer=answer if isinstance(answer, Answer) else answer())

    def _vendor_request(self, request: Request) -> Outcome:
        step = self._next_step(request)
        found = self._find(request)
        applied = step.applies and not isinstance(found, Answer)
        if isinstance(found, Answer):
            own = found
        elif applied:
            route, params = found
            own = route.answer(replace(request, params=params))
        else:
            own = Answer()
        answer = None if step.drop is not None else step.answer_over(own)
        self._log.append(_Logged(request=request, status=None if answer is None else answer.status, applied=applied))
        return Outcome(answer=answer, delay_s=step.delay_s + own.delay_s)

    def _next_step(self, request: Request) -> _Step:
        for index, step in enumerate(self._script):
            if step.fits(request):
                return self._script.pop(index)
        return _Step()

    def _find(self, request: Request) -> tuple[Route, Mapping[str, str]] | Answer:
        """The route and what stands at its names, or the refusal where there is none."""
        there = [(route, match.groupdict()) for pattern, route in self._routes if (match := pattern.fullmatch(request.path))]
        for route, params in there:
            if request.method in route.methods:
                return route, params
        status = HTTPStatus.METHOD_NOT_ALLOWED if there else HTTPStatus.NOT_FOUND
        return self._vendor.unknown(status)

    def _control(self, request: Request) -> Answer | Callable[[], Answer]:
        controls = self._vendor.controls()
        for control in controls:
            if (control.method, control.path) == (request.method, request.path):
                return control.answer(request)
        match request.method, request.path:
            case "GET", "/__requests":
                return Answer.json([logged.as_json() for logged in self._log])
            case "DELETE", "/__requests":
                self._log.clear()
            case "GET", "/__script":
                return Answer.json(msgspec.to_builtins(self._script))
            case "POST", "/__script":
                try:
                    steps = msgspec.json.decode(request.body, type=list[_Step])
                except msgspec.DecodeError as error:
                    return Answer.json({"error": str(error)}, status=400)
                if steps:
                    self._script.extend(steps)
                else:
                    self._script.clear()
            case "GET", "/__state":
                return Answer.json(self._vendor.state())
            case "DELETE", "/__state":
                self._vendor.forget()
            case _:
                paths = ["/__requests", "/__script", *dict.fromkeys(control.path for control in controls)]
                return Answer.json({"error": f"a fake has {', '.join(paths)} and /__state"}, status=404)
        return Answer.json({"ok": True})


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", path)
    return re.compile("".join(f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts)))


def _body_as_json(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode()}
