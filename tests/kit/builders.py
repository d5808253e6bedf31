"""Events for tests, with everything that does not matter filled in."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tributary.events import Alias, Group, Identify, Page, Screen, Track

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
_numbers = itertools.count()


def _base(given: dict[str, Any]) -> dict[str, Any]:
    number = next(_numbers)
    received = given.get("received_at", NOON)
    return {"source": "src_shop", "message_id": f"m-{number}", "timestamp": received, "received_at": received, **given}


def track(event: str = "Berth Booked", **given: Any) -> Track:
    return Track(event=event, **_base(given))


def page(name: str | None = "Home", **given: Any) -> Page:
    return Page(name=name, **_base(given))


def screen(name: str | None = "Cart", **given: Any) -> Screen:
    return Screen(name=name, **_base(given))


def identify(**given: Any) -> Identify:
    return Identify(**_base(given))


def group(group_id: str = "g-88", **given: Any) -> Group:
    return Group(group_id=group_id, **_base(given))


def alias(previous_id: str, **given: Any) -> Alias:
    return Alias(previous_id=previous_id, **_base(given))


def later(seconds: float, *, than: datetime = NOON) -> datetime:
    return than + timedelta(seconds=seconds)


class TestClock:
    """A clock that stands until it is moved."""

    __test__ = False

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def seconds_since(self, moment: datetime) -> float:
        return (self._now - moment).total_seconds()

    def to_wait(self, seconds: float) -> float:
        return seconds

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


def always(value: Any) -> Callable[[], Any]:
    return lambda: value
