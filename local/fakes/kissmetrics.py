"""Kissmetrics, which answers 200 and a 1x1 GIF to whatever it is sent, and says nothing of what it then ignores.

So the fake keeps what Kissmetrics would have stored (`GET /__state`), and beside it what it would have done in silence:

    people       [{identities, events: [{name, at, properties}], properties: {name: value}}], those with an event or a property, the first seen first
    ignored      [{code, what, path, person, at}]   nothing of the request was stored
    altered      [{code, what, path, person, at}]   stored, but not as it was sent
    duplicates   how many requests repeated an earlier one: the same person, name, second, property names and values

`at` of an event is its own time, of the others that of the receipt. A name is shown as it was first seen: Kissmetrics knows no upper and lower case in names.

https://support.kissmetrics.io/reference/api-specifications-1
https://support.kissmetrics.io/docs/technical-notes-on-events-and-properties
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from local.fakes.fake import Answer, Request, Route, Vendor

MAX_NAME: Final = 255
MAX_IDENTITY: Final = 255
MAX_VALUE: Final = 512
EARLIEST: Final = datetime(2009, 1, 1, tzinfo=UTC)
"""Nothing before it is stored."""

_GIF: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_OWN_PARAMETERS: Final = frozenset({"_k", "_p", "_n", "_t", "_d", "_ip", "_ua"})
_REQUIRED: Final[Mapping[str, Sequence[str]]] = {"/e": ("_k", "_p", "_n"), "/s": ("_k", "_p"), "/a": ("_k", "_p", "_n")}
_PIXEL: Final = Answer(headers={"content-type": "image/gif", "cache-control": "private, no-cache"}, body=_GIF)


@dataclass(frozen=True, kw_only=True)
class _Call:
    """A request that is stored. `second` is what the duplicate rule compares, `at` what a report shows."""

    path: str
    person: str
    name: str | None
    second: int
    at: datetime
    properties: Mapping[str, str]


@dataclass(kw_only=True)
class _Person:
    identities: list[str]
    events: list[dict[str, Any]] = field(default_factory=list)
    properties: dict[str, tuple[str, str, datetime]] = field(default_factory=dict)
    """By name in lower case: the name as first seen, the newest value, its time."""


class Kissmetrics(Vendor):
    """`keys`: the product keys it knows; None takes any."""

    name = "kissmetrics"

    def __init__(self, *, keys: Iterable[str] | None = None) -> None:
        self._keys = None if keys is None else frozenset(keys)
        self.forget()

    def forget(self) -> None:
        self._calls: list[_Call] = []
        self._aliases: list[tuple[str, str]] = []
        self._ignored: list[dict[str, Any]] = []
        self._altered: list[dict[str, Any]] = []

    def routes(self) -> Sequence[Route]:
        return [Route(("GET", "POST"), path, self._take) for path in _REQUIRED]

    def state(self) -> Any:
        """See the module."""
        whole = _Groups(self._aliases)
        people: dict[str, _Person] = {}
        seen: set[tuple[Any, ...]] = set()
        shown: dict[str, str] = {}
        duplicates = 0
        collisions: dict[tuple[str, str, int], str] = {}
        altered = list(self._altered)
        for call in self._calls:
            root = whole.root(call.person)
            key = (call.path, root, _folded(call.name or ""), call.second, frozenset((_folded(name), value) for name, value in call.properties.items()))
            if key in seen:
                duplicates += 1
                continue
            seen.add(key)
            person = people.setdefault(root, _Person(identities=whole.members(root)))
            for name, value in call.properties.items():
                shown.setdefault(_folded(name), _shown(name))
                # An older page of Kissmetrics' has it that of two values of one property in one second, one is kept.
                if collisions.setdefault((root, _folded(name), call.second), value) != value:
                    altered.append(_note("same_second", f"{_shown(name)} has two values in one second", call.path, call.person, call.at))
                known = person.properties.get(_folded(name))
                if known is None or call.at >= known[2]:
                    person.properties[_folded(name)] = (shown[_folded(name)], value, call.at)
            if call.name is not None:
                shown_name = shown.setdefault(_folded(call.name), _shown(call.name))
                properties = {shown[_folded(name)]: value for name, value in call.properties.items()}
                person.events.append({"name": shown_name, "at": _iso(call.at), "properties": properties})
        return {
            "people": [
                {
                    "identities": person.identities,
                    "events": sorted(person.events, key=lambda event: event["at"]),
                    "properties": {name: value for name, value, _ in person.properties.values()},
                }
                for person in people.values()
            ],
            "ignored": list(self._ignored),
            "altered": altered,
            "duplicates": duplicates,
        }

    def _take(self, request: Request) -> Answer:
        sent = _parameters(request)
        path, person = request.path, sent.get("_p", "")
        reasons = list(self._reasons_to_ignore(path, sent))
        for code, what in reasons:
            self._ignored.append(_note(code, what, path, person, request.at))
        if not reasons:
            self._store(request, sent)
        return _PIXEL

    def _store(self, request: Request, sent: Mapping[str, str]) -> None:
        path, person = request.path, sent["_p"]
        if path == "/a":
            self._aliases.append((person, sent["_n"]))
            return
        at = datetime.fromtimestamp(int(sent["_t"]), UTC) if _states_time(sent) else request.at
        if "_t" in sent and not _states_time(sent):
            self._altered.append(_note("time_ignored", "_t counts only as whole seconds and with _d=1", path, person, request.at))
        properties = {name: value for name, value in sent.items() if name not in _OWN_PARAMETERS}
        for name, value in properties.items():
            if len(value) > MAX_VALUE:
                self._altered.append(_note("value_too_long", f"{name} has {len(value)} characters", path, person, request.at))
        # `_t` without `_d` still makes a request another one.
        second = int(sent["_t"]) if sent.get("_t", "").isdecimal() else int(request.at.timestamp())
        event = sent["_n"] if path == "/e" else None
        self._calls.append(_Call(path=path, person=person, name=event, second=second, at=at, properties=properties))

    def _reasons_to_ignore(self, path: str, sent: Mapping[str, str]) -> Iterable[tuple[str, str]]:
        for name in _REQUIRED[path]:
            if not sent.get(name, "").strip():
                yield "missing_parameter", name
        if self._keys is not None and sent.get("_k", "").strip() and sent["_k"] not in self._keys:
            yield "unknown_key", "_k"
        identities = ("_p", "_n") if path == "/a" else ("_p",)
        for name in identities:
            if len(sent.get(name, "")) > MAX_IDENTITY:
                yield "identity_too_long", name
        names = [name for name in sent if name not in _OWN_PARAMETERS] + ([sent.get("_n", "")] if path == "/e" else [])
        for name in names:
            if len(name) > MAX_NAME:
                yield "name_too_long", f"{name[:40]}…"
        if path != "/a" and _states_time(sent) and datetime.fromtimestamp(int(sent["_t"]), UTC) < EARLIEST:
            yield "too_early", "_t"


class _Groups:
    """Which identities are one person. The first seen of each names it."""

    def __init__(self, aliases: Iterable[tuple[str, str]]) -> None:
        self._root: dict[str, str] = {}
        self._members: dict[str, list[str]] = defaultdict(list)
        for one, other in aliases:
            first, second = self.root(one), self.root(other)
            if first != second:
                moved = self.members(second)
                self._members[first] = [*self.members(first), *moved]
                self._root.update(dict.fromkeys([first, *moved], first))

    def root(self, identity: str) -> str:
        return self._root.get(identity, identity)

    def members(self, root: str) -> list[str]:
        return self._members.get(root, [root])


def _parameters(request: Request) -> dict[str, str]:
    """Query and form, the last of a repeated name."""
    query = {name: values[-1] for name, values in request.query.items()}
    form = parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True) if request.method == "POST" else []
    return {**query, **dict(form)}


def _states_time(sent: Mapping[str, str]) -> bool:
    """Ten digits reach the year 2286; more are milliseconds, sent by mistake."""
    return sent.get("_d") == "1" and sent.get("_t", "").isdecimal() and len(sent["_t"]) <= 10


def _shown(name: str) -> str:
    return name.replace(",", " ").replace(":", " ")


def _folded(name: str) -> str:
    return _shown(name).casefold()


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _note(code: str, what: str, path: str, person: str, at: datetime) -> dict[str, Any]:
    return {"code": code, "what": what, "path": path, "person": person, "at": _iso(at)}
