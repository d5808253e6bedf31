"""Attribution models by their definitions: a path → what part of a conversion each of its touches brought.

Weights are exact fractions, so that the oracle never rounds before cents are handed out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction

from tributary.facts.tables import TouchFact
from tributary.reports.query import Model

PAID = ("paid_search", "paid_social", "paid_other", "display", "affiliate")
OVERLAPPING = (Model.ANY_TOUCH, Model.FULL_IMPACT)
"""Full credit to several touches."""

Path = Sequence[TouchFact]
"""Touches in order, the earliest first."""


def path_of(touches: Path, conversion: datetime, lookback_days: int | None) -> list[TouchFact]:
    """A person's touches that a conversion may be due to."""
    start = None if lookback_days is None else conversion - timedelta(hours=24 * lookback_days)
    found = [touch for touch in touches if touch.channel != "bot" and touch.happened_at <= conversion and (start is None or start <= touch.happened_at)]
    return sorted(found, key=lambda touch: (touch.happened_at, touch.connection, touch.key))


def weights(model: Model, path: Path, *, lead_at: datetime | None, half_life_days: float = 7.0) -> list[Fraction]:
    """One a touch. They sum to 1; of models that overlap each is 1 or 0. `path` has at least one touch."""
    match model:
        case Model.LINEAR:
            return [Fraction(1, len(path))] * len(path)
        case Model.POSITION:
            return _position(len(path))
        case Model.W_SHAPED:
            return _w_shaped(path, lead_at)
        case Model.TIME_DECAY:
            return _time_decay(path, half_life_days)
        case Model.ANY_TOUCH:
            return [Fraction(1)] * len(path)
        case Model.FULL_IMPACT:
            chosen = {0, lead_touch(path, lead_at), len(path) - 1}
            return [Fraction(int(n in chosen)) for n in range(len(path))]
        case _:
            return [Fraction(int(n == _takes_all(model, path, lead_at))) for n in range(len(path))]


def lead_touch(path: Path, lead_at: datetime | None) -> int:
    """Which touch made a lead of its person: the last one until then, else the first."""
    before = [n for n, touch in enumerate(path) if lead_at is not None and touch.happened_at <= lead_at]
    return before[-1] if before else 0


def split(value: int, parts: Sequence[Fraction]) -> list[int]:
    """A value in whole units by parts that sum to 1: rounded down, then one more to those that lost most; of equals to the later one. Of a negative
    value what its opposite is split into, negated."""
    if value < 0:
        return [-share for share in split(-value, parts)]
    exact = [value * part for part in parts]
    shares = [share.numerator // share.denominator for share in exact]
    losers = sorted(range(len(parts)), key=lambda n: (exact[n] - shares[n], n), reverse=True)
    for n in losers[: value - sum(shares)]:
        shares[n] += 1
    return shares


def _takes_all(model: Model, path: Path, lead_at: datetime | None) -> int:
    """Which touch gets everything."""
    not_direct = _among(path, [n for n, touch in enumerate(path) if touch.channel != "direct"])
    paid = _among(path, [n for n, touch in enumerate(path) if touch.channel in PAID])
    return {
        Model.FIRST_TOUCH: 0,
        Model.LAST_TOUCH: len(path) - 1,
        Model.FIRST_NON_DIRECT: not_direct[0],
        Model.LAST_NON_DIRECT: not_direct[-1],
        Model.FIRST_PAID: paid[0],
        Model.LAST_PAID: paid[-1],
        Model.LEAD_SOURCE: lead_touch(path, lead_at),
    }[model]


def _among(path: Path, fitting: list[int]) -> list[int]:
    """Those that fit; all, if none does."""
    return fitting or list(range(len(path)))


def _position(count: int) -> list[Fraction]:
    if count <= 2:
        return [Fraction(1, count)] * count
    middle = Fraction(1, 5) / (count - 2)
    return [Fraction(2, 5), *[middle] * (count - 2), Fraction(2, 5)]


def _w_shaped(path: Path, lead_at: datetime | None) -> list[Fraction]:
    milestones = [0, lead_touch(path, lead_at), len(path) - 1]
    rest = [n for n in range(len(path)) if n not in milestones]
    found = [Fraction(3, 10) * milestones.count(n) for n in range(len(path))]
    for n in rest:
        found[n] = Fraction(1, 10) / len(rest)
    total = sum(found, Fraction())
    return [weight / total for weight in found]


def _time_decay(path: Path, half_life_days: float) -> list[Fraction]:
    latest = path[-1].happened_at
    half_life = timedelta(days=half_life_days).total_seconds()
    found = [round(2 ** -((latest - touch.happened_at).total_seconds() / half_life) * 1e9) for touch in path]
    return [Fraction(weight, sum(found)) for weight in found]
