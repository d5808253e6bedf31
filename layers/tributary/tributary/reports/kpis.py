"""KPIs: what a figure is called, what it means, and what it is made of.

A KPI is a sum of measures, or one sum of measures divided by another. Measures are what statements add up (`frame.Measure`); so each formula stands once, and
totals, rows, comparisons and ledgers all read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import cache
from typing import Final

from tributary.reports.answer import Column, Unit, Value

Sums = Mapping[str, int | float]
"""Measure → what it comes to. One that is not there is 0."""

_DIGITS: Final[Mapping[str, int]] = {"percent": 4}
_OTHER_DIGITS: Final = 6
_NOTHING: Final = 1e-9
"""Less than this is what floats leave of parts that cancel out."""


@dataclass(frozen=True, kw_only=True)
class Kpi:
    key: str
    name: str
    unit: Unit
    definition: str
    """In a sentence, with its formula."""
    over: tuple[str, ...]
    """Measures that are added; `-name` is taken off."""
    under: tuple[str, ...] = ()
    """What the sum is divided by; nothing: it is a sum. Divided by nothing at all, a KPI is None."""
    times: int = 1
    """What a quotient is multiplied with: 100 for a percentage."""
    adds_up: bool = True
    """Whether rows come to the total. Never of a quotient."""

    @property
    def column(self) -> Column:
        return Column(key=self.key, name=self.name, unit=self.unit, definition=self.definition, adds_up=self.adds_up and not self.under)

    @property
    def measures(self) -> Set[str]:
        return {name for name, _ in signed(self.over + self.under)}

    def of(self, sums: Sums) -> Value:
        if not self.under:
            return total_of(self.over, sums)
        # What is divided is not rounded before: of a hundredth of an order the sixth digit is one in ten thousand.
        top, bottom = added(self.over, sums), added(self.under, sums)
        return round(self.times * top / bottom, _DIGITS.get(self.unit, _OTHER_DIGITS)) if abs(bottom) > _NOTHING else None

    def parts(self, sums: Sums) -> dict[str, int | float]:
        """Of what is no sum: what it is made of."""
        return {"over": total_of(self.over, sums), "under": total_of(self.under, sums), "times": self.times} if self.under else {}


@cache
def signed(terms: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """Each term's measure, and 1 or -1. Kept: it is asked for each row."""
    return tuple((term[1:], -1) if term.startswith("-") else (term, 1) for term in terms)


def added(terms: tuple[str, ...], sums: Sums) -> int | float:
    return sum(sign * sums.get(name, 0) for name, sign in signed(terms))


def total_of(terms: tuple[str, ...], sums: Sums) -> int | float:
    """What the terms come to, as it is shown."""
    found = added(terms, sums)
    return round(found, _OTHER_DIGITS) if isinstance(found, float) else found


def named(*kpis: Kpi) -> dict[str, Kpi]:
    return {kpi.key: kpi for kpi in kpis}
