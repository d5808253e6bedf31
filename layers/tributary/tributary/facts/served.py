"""The facts of the generation that is served, whichever that is by now."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from tributary.facts.tables import Needs
from tributary.ports import CurrentGenerations, Facts, Relations


class ServedFacts:
    """`Facts`. `facts_of`: those of a generation; what was opened of one that is not served any more is let go."""

    def __init__(self, generations: CurrentGenerations, facts_of: Callable[[int], Facts]) -> None:
        self._generations = generations
        self._facts_of = facts_of
        self._kept: tuple[int, Facts] | None = None

    def open(self, needs: Needs) -> AbstractContextManager[Relations]:
        serving = self._generations.now().serving
        if self._kept is None or self._kept[0] != serving:
            self._kept = (serving, self._facts_of(serving))
        return self._kept[1].open(needs)
