"""The deployed local stack as its callers see it: the tracking API, the list of recent events, the control API, and a fake vendor's log and script."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar
from urllib.parse import parse_qsl

import httpx

PATIENCE_SECONDS: Final = 60.0
"""What the slowest machine may take for what usually takes one."""
SETTLING_SECONDS: Final = 1.5
"""How long to look on for something that must not come."""

T = TypeVar("T")


class RunningStack(Protocol):
    @property
    def api_url(self) -> str: ...
    @property
    def write_key(self) -> str: ...
    @property
    def api_key(self) -> str: ...
    @property
    def fakes(self) -> Mapping[str, str]: ...
    @property
    def connections(self) -> Mapping[str, str]: ...


class NotInTime(AssertionError):
    """What was waited for did not come; the text holds what was there instead."""


def unique(name: str) -> str:
    """An id that no other test uses: all share one stack."""
    return f"{name}-{uuid.uuid4().hex[:10]}"


def until(look: Callable[[], T], enough: Callable[[T], bool], *, patience: float = PATIENCE_SECONDS) -> T:
    """What `look` sees once it is `enough`."""
    deadline = time.monotonic() + patience
    while True:
        seen = look()
        if enough(seen):
            return seen
        if time.monotonic() > deadline:
            raise NotInTime(f"after {patience:.0f} s: {seen!r}")
        time.sleep(0.1)


def taken(answer: httpx.Response) -> bool:
    """Whether the tracking API said so."""
    return answer.status_code == 200 and answer.json()["success"] is True


class Kissmetrics:
    """The fake's log, by person: several tests' people are in it."""

    def __init__(self, url: str, client: httpx.Client) -> None:
        self._url = url
        self._client = client

    def log(self, *people: str) -> list[dict[str, Any]]:
        """Every request that names one of these people as `_p`, oldest first, with its decoded `params`."""
        found: list[dict[str, Any]] = []
        for request in self._client.get(f"{self._url}/__requests").json():
            query = {name: values[-1] for name, values in request["query"].items()}
            params = {**query, **dict(parse_qsl(request.get("body", ""), keep_blank_values=True))}
            if params.get("_p") in people:
                found.append({**request, "params": params})
        return found

    def applied(self, *people: str) -> list[dict[str, Any]]:
        """Those that Kissmetrics took in."""
        return [request for request in self.log(*people) if request["applied"]]

    def names(self, *people: str) -> list[str]:
        """What they did, or the path of what is no event."""
        return [told(request) for request in self.applied(*people)]

    def until(self, people: Sequence[str], count: int) -> list[dict[str, Any]]:
        """The requests that Kissmetrics took in, once there are so many; looks on a little, so that one too many shows."""
        until(lambda: self.applied(*people), lambda requests: len(requests) >= count)
        time.sleep(SETTLING_SECONDS)
        return self.applied(*people)

    def script(self, *steps: Mapping[str, Any]) -> None:
        self._client.post(f"{self._url}/__script", json=steps).raise_for_status()

    def script_left(self) -> list[Any]:
        left = self._client.get(f"{self._url}/__script").json()
        assert isinstance(left, list)
        return left

    def state(self) -> dict[str, Any]:
        state = self._client.get(f"{self._url}/__state").json()
        assert isinstance(state, dict)
        return state

    def person(self, identity: str) -> dict[str, Any] | None:
        """What Kissmetrics would know of the person."""
        return next((person for person in self.state()["people"] if identity in person["identities"]), None)

    def silently_ignored(self, *people: str) -> list[dict[str, Any]]:
        state = self.state()
        return [note for note in [*state["ignored"], *state["altered"]] if note["person"] in people]


def told(request: Mapping[str, Any]) -> str:
    """An event by its name, the others by their path."""
    return str(request["params"]["_n"]) if request["path"] == "/e" else str(request["path"])


class Deployed:
    """Use as a context manager: it holds a pool of connections."""

    def __init__(self, stack: RunningStack) -> None:
        self.stack = stack
        self.client = httpx.Client(base_url=stack.api_url, timeout=30, trust_env=False)
        self.kissmetrics = Kissmetrics(stack.fakes["kissmetrics"], self.client)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.client.close()

    def post(self, call: str, body: Any, **rest: Any) -> httpx.Response:
        """Post to the tracking API as curl would."""
        return self.client.post(f"/v1/{call}", json=body, auth=(self.stack.write_key, ""), **rest)

    def batch(self, *events: Mapping[str, Any]) -> None:
        """Post events and be sure that they were taken."""
        answer = self.post("batch", {"batch": events})
        assert taken(answer), answer.text

    def api(self, method: str, path: str, **rest: Any) -> httpx.Response:
        return self.client.request(method, path, headers={"authorization": f"Bearer {self.stack.api_key}"}, **rest)

    def events(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The lines of the list of recent events with these `messageId`s."""
        found: list[dict[str, Any]] = []
        params: dict[str, str] = {"since": "1h", "limit": "200"}
        while True:
            answer = self.api("GET", "/api/events", params=params)
            answer.raise_for_status()
            page = answer.json()
            found += [line for line in page["data"] if line["message_id"] in ids]
            if page.get("next_cursor") is None:
                return found
            params["cursor"] = page["next_cursor"]

    def until_listed(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Their lines, once each has one."""
        return until(lambda: self.events(ids), lambda lines: {line["message_id"] for line in lines} >= set(ids))
