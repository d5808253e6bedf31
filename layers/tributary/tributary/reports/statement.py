"""A statement in the making: the text that we write, and beside it the values that a caller said. No value ever stands in the text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

Step = tuple[str, str]
"""A step of a statement (`WITH name AS (sql)`): its name, and a SELECT that may read the steps before it."""

_MATERIALIZED: Final = frozenset({"sales", "named_orders", "unnamed", "numbered", "known"})
"""Steps that the planner is not to look into: several others read them, or it would put the joins behind them into an order that begins with `connection`, of
which all rows have the same."""
_PLACE: Final = re.compile(r"\$(\d+)")


class Values:
    """The values of one statement, in the order they were added. `add` gives what stands for a value in the text (`$3`), as often as it is needed."""

    def __init__(self) -> None:
        self._kept: list[Any] = []

    def add(self, value: Any) -> str:
        self._kept.append(value)
        return f"${len(self._kept)}"

    def ready(self, text: str) -> tuple[str, list[Any]]:
        """The text with a `?` for each value, and the values in that order: steps may be put together in another order than their values were added."""
        said: list[Any] = []

        def place(found: re.Match[str]) -> str:
            said.append(self._kept[int(found[1]) - 1])
            return "?"

        return _PLACE.sub(place, text), said


def statement(steps: Iterable[Step], select: str) -> str:
    named = [f"{name} AS {'MATERIALIZED ' if name in _MATERIALIZED else ''}(\n{sql}\n)" for name, sql in steps]
    return f"WITH {', '.join(named)}\n{select}" if named else select
