"""A lease: one at a time of those who do the same work."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Lease(StrEnum):
    TAKEN = "taken"
    HELD = "held"
    """Another has it."""
    LEFT = "left"
    """Taken, from one who never gave it back: whoever it was died."""


class Leasing(Protocol):
    """The lease of one piece of work. Each call raises `StoreUnavailable`."""

    def take(self, owner: str, now: datetime, seconds: float) -> Lease:
        """Take or renew it."""

    def release(self, owner: str) -> None:
        """Give it back; nothing happens where another has it."""
