"""Generations of what is derived from the log: CONTACTS and FACTS.

One generation is served. A rebuild makes the next one beside it: from then on whatever is written goes to both, the log is read once more into the new one, and
when both say the same (`rebuild/`), the new one is served. Since order and repetition of events make no difference, the two need not be told apart otherwise.

The first generation stands where it always stood; rows, files and manifest of a later one have its number before them.
"""

from __future__ import annotations

from typing import Final

import msgspec

FIRST: Final = 1
PARTITION: Final = "generations"
SORT: Final = "derived"
"""Where CONFIG says which there are."""


class Generations(msgspec.Struct, frozen=True, kw_only=True):
    """Which there are."""

    serving: int = FIRST
    building: int | None = None
    retired: int | None = None
    """Served before, and not deleted yet; nothing is written to it."""

    @property
    def written(self) -> tuple[int, ...]:
        """Those that whatever comes is written to; the one that is served first."""
        return (self.serving,) if self.building is None else (self.serving, self.building)


def prefix_of(generation: int) -> str:
    """What stands before a key or a path of that generation."""
    return "" if generation == FIRST else f"{generation}/"


def generation_of(key: str) -> int:
    """Whose a key or path is."""
    number, slash, _ = key.partition("/")
    return int(number) if slash and number.isdecimal() else FIRST
