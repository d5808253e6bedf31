"""Time as an argument.

`now` is always the real time: events keep their true times on a sped-up stack too. What a scale stretches is durations: how long something has waited, and
how long AWS is asked to wait. The scale comes from `TRIBUTARY_CLOCK_SCALE`, which only the local launcher sets; a template test refuses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

SCALE_VARIABLE: Final = "TRIBUTARY_CLOCK_SCALE"


class Clock(Protocol):
    def now(self) -> datetime:
        """The time, aware, UTC."""

    def seconds_since(self, moment: datetime) -> float:
        """How long ago `moment` was, in the seconds the rules speak of."""

    def to_wait(self, seconds: float) -> float:
        """What to ask AWS for, so that `seconds` of the rules pass."""


@dataclass(frozen=True)
class SystemClock:
    """The machine's clock; at scale 60 a minute of the rules takes a second."""

    scale: float = 1.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> SystemClock:
        return cls(scale=float(environment.get(SCALE_VARIABLE, "1")))

    def now(self) -> datetime:
        return datetime.now(UTC)

    def seconds_since(self, moment: datetime) -> float:
        return (self.now() - moment).total_seconds() * self.scale

    def to_wait(self, seconds: float) -> float:
        return seconds / self.scale
