"""How many events a second one write key may bring.

In memory, of one sandbox, so that no request waits for a store: approximate by design. With N sandboxes at work a key is admitted up to N times the rate; a
sandbox serves one request at a time, so N is about the rate of requests times their duration.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

_MAX_KEYS: Final = 1_000


class EventRate:
    """A token bucket a key that holds one second's worth.

    A request is admitted while anything is left, whatever its size, and its events are owed: a batch larger than a second's worth still passes, and those
    behind it wait for longer.
    """

    def __init__(self, per_second: float, monotonic: Callable[[], float]) -> None:
        """`per_second`: 0 for no limit."""
        self._per_second = per_second
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str, events: int) -> float:
        """Take the events of the key, and answer 0; or take nothing and answer in how many seconds to try again."""
        if not self._per_second:
            return 0.0
        now = self._monotonic()
        left, at = self._buckets.get(key, (self._per_second, now))
        left = min(self._per_second, left + (now - at) * self._per_second)
        admitted = left > 0
        self._buckets[key] = (left - events if admitted else left, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > _MAX_KEYS:
            self._buckets.popitem(last=False)
        return 0.0 if admitted else max(-left, 1.0) / self._per_second
