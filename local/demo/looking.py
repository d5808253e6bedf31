"""What can be seen of the afternoon from outside: the list of recent events, who is who, Kissmetrics' log."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import httpx

from local.demo.checks import Contact
from local.demo.expected import PEOPLE
from local.demo.session import VISITOR
from local.stack import STACK_NAME, Stack
from tributary.cli.people import find
from tributary.cli.target import LOCAL_CREDENTIALS, LOCAL_REGION, of_stack

_TIMEOUT: Final = 30
_SOURCE: Final = re.compile(r" of src_\w+")
"""There is one source; a sentence reads better without it."""
T = TypeVar("T")


class NotInTime(Exception):
    """Something did not arrive; the comparison tells what."""


def until(look: Callable[[], T], enough: Callable[[T], bool], *, patience: float) -> T:
    """What `look` sees once it is `enough`, looking again and again for `patience` seconds. Raises `NotInTime`."""
    deadline = time.monotonic() + patience
    while not enough(seen := look()):
        if time.monotonic() > deadline:
            raise NotInTime
        time.sleep(0.2)
    return seen


class Looking:
    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def events(self, status: str) -> list[dict[str, Any]]:
        """The list of recent events, `accepted` or `rejected`, as any program with an API key reads it."""
        lines: list[dict[str, Any]] = []
        query: dict[str, str] = {"status": status, "since": "1h"}
        while True:
            page = self._api("/api/events", query)
            lines += page["data"]
            if page.get("next_cursor") is None:
                return lines
            query["cursor"] = page["next_cursor"]

    def requests(self) -> list[dict[str, Any]]:
        """Kissmetrics' log."""
        found = self._kissmetrics("/__requests")
        assert isinstance(found, list)
        return found

    def kissmetrics(self) -> Mapping[str, Any]:
        """What Kissmetrics would have stored and ignored."""
        state = self._kissmetrics("/__state")
        assert isinstance(state, dict)
        return state

    def contacts(self) -> list[Contact]:
        """The people of the afternoon, each once, however many of their identifiers lead there: what `contacts show` of the command line says of them."""
        target = of_stack(STACK_NAME, endpoint_url=self._stack.emulator_url, region=LOCAL_REGION, credentials=LOCAL_CREDENTIALS)
        identifiers = [f"{kind}:{value}" for person in PEOPLE.values() for kind, value in sorted(person.identifiers)]
        found = [find(target, identifier) for identifier in [*identifiers, f"anonymous:{VISITOR}"]]
        described = {contact["id"]: contact for contact in found if contact is not None}
        return [_contact(one) for one in described.values()]

    def _api(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self._stack.api_key}"}
        answer = httpx.get(f"{self._stack.api_url}{path}", params=query, headers=headers, timeout=_TIMEOUT, trust_env=False)
        answer.raise_for_status()
        page = answer.json()
        assert isinstance(page, dict)
        return page

    def _kissmetrics(self, path: str) -> Any:
        return httpx.get(f"{self._stack.fakes['kissmetrics']}{path}", timeout=_TIMEOUT, trust_env=False).json()


def _contact(described: Mapping[str, Any]) -> Contact:
    why: Sequence[Mapping[str, Any]] = described["why"]
    return Contact(
        identifiers=frozenset((one["kind"], one["value"]) for one in described["identifiers"]),
        profile={**described["traits"], **described["custom_fields"]},
        groups=[group["id"] for group in described["groups"]],
        why=[_SOURCE.sub("", str(step["sentence"])) for step in why],
    )
