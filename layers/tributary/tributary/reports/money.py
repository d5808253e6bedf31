"""Money in statements: conversion of currencies and division into shares, in integers, so that every cent is where it was.

An amount is converted at the rate of its local day, else of the latest day before it within a week, half a unit to the even neighbour. Where there is no
rate, it stays in its own currency.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from tributary.currencies import MINOR_UNITS
from tributary.reports.statement import Step, Values

RATE_DAYS: Final = 7
"""How many days before its own an amount may take a rate from: markets close for long weekends, no longer."""
_RATE_SCALE: Final = 10**12
"""Rates have twelve digits behind the point."""
_USUAL_DIGITS: Final = 2


def rates_step(currency: str, foreign: Collection[str], values: Values) -> Step:
    """`rates_on`: what turns minor units of a currency into those of the query's on a day: `amount * multiplier / divisor`."""
    ours = MINOR_UNITS.get(currency, _USUAL_DIGITS)
    up = [(code, 10 ** max(0, ours - MINOR_UNITS.get(code, _USUAL_DIGITS))) for code in foreign]
    down = [(code, 10 ** max(0, MINOR_UNITS.get(code, _USUAL_DIGITS) - ours)) for code in foreign]
    codes = ", ".join(values.add(code) for code in foreign)
    return (
        "rates_on",
        f"""SELECT r.from_currency AS currency, CAST(r.day + later.days AS DATE) AS day,
    CAST(arg_max(r.rate, r.day) * {_RATE_SCALE} AS HUGEINT) * {_by_code("r.from_currency", up, values)} AS multiplier,
    CAST({_RATE_SCALE} AS HUGEINT) * {_by_code("r.from_currency", down, values)} AS divisor
FROM rates r, (SELECT CAST(range AS INTEGER) AS days FROM range({RATE_DAYS + 1})) later
WHERE r.to_currency = {values.add(currency)} AND r.from_currency IN ({codes})
GROUP BY r.from_currency, CAST(r.day + later.days AS DATE)""",
    )


def converted(column: str) -> str:
    """SQL: a money column in the query's currency where `rates_on r` knows a rate of the line, else as it is."""
    return f"CASE WHEN r.multiplier IS NULL THEN {column} ELSE {exchange(column)} END"


def exchange(column: str) -> str:
    """SQL: a money column in the query's currency, by the rate `r` that there is."""
    raised = f"(CAST(abs({column}) AS HUGEINT) * r.multiplier + r.divisor // 2)"  # of divisors, which are even, the half is exact
    up = f"({raised} // r.divisor)"
    to_even = f"CASE WHEN {raised} % r.divisor = 0 AND {up} % 2 = 1 THEN 1 ELSE 0 END"
    return f"CASE WHEN {column} = 0 THEN 0 ELSE CAST(sign({column}) * ({up} - {to_even}) AS BIGINT) END"


def shares(value: str, *, num: str, den: str, within: str, order: str) -> str:
    """SQL: a line's share num/den of an integer that stands in every line of a group, so that the lines come to it: what is left over goes to those with the
    largest remainders, of equal ones to the later. `within`: the group's columns; `order`: where a line stands in it."""
    exact = f"CAST(abs({value}) AS HUGEINT) * {num}"
    whole, rest = f"({exact} // {den})", f"({exact} % {den})"
    left = f"(abs({value}) - sum({whole}) OVER (PARTITION BY {within}))"
    place = f"row_number() OVER (PARTITION BY {within} ORDER BY {rest} DESC, {order} DESC)"
    return f"CAST(sign({value}) * ({whole} + CASE WHEN {place} <= {left} THEN 1 ELSE 0 END) AS BIGINT)"


def equal_shares(value: str, *, count: str, order: str) -> str:
    """The same of equal parts: `order` goes from 1 to `count`."""
    return f"CAST(sign({value}) * (abs({value}) // {count} + CASE WHEN {order} > {count} - abs({value}) % {count} THEN 1 ELSE 0 END) AS BIGINT)"


def _by_code(column: str, factors: Sequence[tuple[str, int]], values: Values) -> str:
    cases = " ".join(f"WHEN {values.add(code)} THEN {factor}" for code, factor in factors if factor != 1)
    return f"CASE {column} {cases} ELSE 1 END" if cases else "1"
