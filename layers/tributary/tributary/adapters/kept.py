"""What was last read of a store, kept for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """`read`: asks the store; what it raises is raised, and nothing kept. `seconds`: how old an answer may be, from the moment it was asked for; 0: none is."""

    def __init__(self, read: Callable[[], T], *, monotonic: Callable[[], float], seconds: float) -> None:
        self._read = read
        self._monotonic = monotonic
        self._seconds = seconds
        self._kept: tuple[float, T] | None = None

    def get(self, *, fresh: bool = False) -> T:
        if self._kept is None or fresh or self._monotonic() - self._kept[0] >= self._seconds:
            asked_at = self._monotonic()
            self._kept = (asked_at, self._read())
        return self._kept[1]
