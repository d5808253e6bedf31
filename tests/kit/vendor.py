"""A vendor that answers by a script, on the model's clock. What it is asked for is told by the query's `id`, so a script is per event."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.kit.queue_model import ModelClock
from tributary.errors import AnswerTooLarge, VendorUnavailable
from tributary.ports import VendorAnswer, VendorRequest


@dataclass(frozen=True, kw_only=True)
class Step:
    """One answer. `seconds`: how long it takes; `dropped`: the connection breaks, before the vendor acted or after; `endless`: the body does not end."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.05
    dropped: bool = False
    applied: bool | None = None
    """Whether the vendor acted on it; by default if it said 2xx."""
    endless: bool = False

    @property
    def is_final(self) -> bool:
        """A refusal that is given again whenever the same is sent again."""
        return self.endless or self.status in {400, 404, 410, 413, 422}

    @property
    def is_lost(self) -> bool:
        """The vendor acts, and nobody learns of it: its answer breaks off, comes too late or does not end."""
        return self.acts and (self.dropped or self.endless or self.seconds > 10)

    @property
    def acts(self) -> bool:
        return (200 <= self.status < 300 and not self.dropped) if self.applied is None else self.applied


OK = Step()


def answers(*statuses: int) -> list[Step]:
    return [Step(status=status) for status in statuses]


THROTTLED = Step(status=429, headers={"retry-after": "30"})
DROPPED = Step(dropped=True)
LOST = Step(dropped=True, applied=True)
"""The vendor acted, and its answer was lost."""
SLOW = Step(seconds=29)
ENDLESS = Step(endless=True, seconds=2)


@dataclass(frozen=True)
class Sent:
    at: datetime
    id: str
    request: VendorRequest
    applied: bool


class ScriptedVendor:
    """`Vendor`. After its script an event is answered what `default` says at that time: 200."""

    def __init__(self, clock: ModelClock, script: Mapping[str, Sequence[Step]] | None = None, *, default: Callable[[], Step] = lambda: OK) -> None:
        self._clock = clock
        self._script = dict(script or {})
        self.default = default
        self._asked: Counter[str] = Counter()
        self._refused: dict[str, Step] = {}
        self._lock = threading.Lock()
        self.sent: list[Sent] = []
        self.timeouts: list[float] = []

    def send(self, request: VendorRequest, *, timeout: float) -> VendorAnswer:
        key = dict(request.query)["id"]
        with self._lock:
            steps = self._script.get(key, ())
            step = steps[self._asked[key]] if self._asked[key] < len(steps) else self.default()
            step = self._refused.get(key, step)
            self._asked[key] += 1
            if step.is_final:
                self._refused[key] = step
            self.timeouts.append(timeout)
        started = self._clock.now()
        self._clock.spend(min(step.seconds, timeout))
        with self._lock:
            self.sent.append(Sent(started, key, request, step.acts))
        if step.seconds > timeout or step.dropped:
            raise VendorUnavailable("the vendor gave no answer")
        if step.endless:
            raise AnswerTooLarge("the vendor's answer does not end")
        return VendorAnswer(status=step.status, headers=step.headers, body=step.body)

    def in_order(self) -> list[Sent]:
        """All requests, by the time they were made."""
        return sorted(self.sent, key=lambda one: one.at)

    def asked(self, key: str) -> int:
        """How often it was asked for an event."""
        return self._asked[key]
