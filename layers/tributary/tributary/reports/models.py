"""Attribution models: which of the touches before a conversion get its credit, and how much.

A path is the touches of a person from the lookback before the conversion until the conversion, in order; a machine's are none. A model of one touch picks it; a
model of many gives each the weight num / den, in integers. `overlapping` ones give each distinct row the whole.
"""

from __future__ import annotations

from typing import Final

from tributary.reports.query import Model
from tributary.touches.channels import PAID, Channel

OVERLAPPING: Final = frozenset({Model.ANY_TOUCH, Model.FULL_IMPACT})
FRACTIONAL: Final = frozenset({Model.LINEAR, Model.POSITION, Model.W_SHAPED, Model.TIME_DECAY})
BY_LEAD: Final = frozenset({Model.LEAD_SOURCE, Model.W_SHAPED, Model.FULL_IMPACT})
"""Models that ask when the person became a lead."""

DEFINITIONS: Final[dict[Model, str]] = {
    Model.FIRST_TOUCH: "The first touch in the lookback gets all.",
    Model.LAST_TOUCH: "The last touch before the conversion gets all.",
    Model.LAST_NON_DIRECT: "The last touch that is not direct gets all; where all are direct, the last.",
    Model.FIRST_NON_DIRECT: "The first touch that is not direct gets all; where all are direct, the first.",
    Model.LAST_PAID: "The last touch of a paid channel gets all; where none is paid, the last.",
    Model.FIRST_PAID: "The first touch of a paid channel gets all; where none is paid, the first.",
    Model.LEAD_SOURCE: "The last touch before the person became a lead gets all; where there is none, the first.",
    Model.LINEAR: "All touches get the same.",
    Model.POSITION: "The first and the last touch get 40 % each, those between share 20 %; of two each has half.",
    Model.W_SHAPED: "The first touch, the one that made the lead and the last get 30 % each, the others share 10 %; without others these share all.",
    Model.TIME_DECAY: "A touch gets half as much as one that is a half-life later.",
    Model.ANY_TOUCH: "Every row that a touch belongs to gets all, once: rows overlap, and the total counts each conversion once.",
    Model.FULL_IMPACT: "The rows of the first touch, the one that made the lead and the last get all, once: rows overlap, and the total counts each conversion "
    "once. A touch that made somebody opt in again is not known.",
}

_ORDER: Final = "t.happened_at, t.connection, t.key"
_IS_PAID: Final = f"(t.channel IN ({', '.join(repr(channel.value) for channel in PAID)}))"
_NOT_DIRECT: Final = f"(t.channel <> '{Channel.DIRECT}')"
NO_MACHINE: Final = f"t.channel <> '{Channel.BOT}'"
_WEIGHT_ONE: Final = 10**9
"""Of time decay: what the last touch weighs."""
_DAY_US: Final = 86_400_000_000


def pick(model: Model, touch: str) -> str:
    """SQL: what a model of one touch picks of the path, as an aggregate over `touches t` of the path `c`. `touch`: an expression that is never NULL."""
    first, last = f"arg_min({touch}, row({_ORDER}))", f"arg_max({touch}, row({_ORDER}))"
    match model:
        case Model.FIRST_TOUCH:
            return first
        case Model.LAST_TOUCH:
            return last
        case Model.LAST_NON_DIRECT:
            return f"arg_max({touch}, row({_NOT_DIRECT}, {_ORDER}))"
        case Model.FIRST_NON_DIRECT:
            return f"arg_min({touch}, row(NOT {_NOT_DIRECT}, {_ORDER}))"
        case Model.LAST_PAID:
            return f"arg_max({touch}, row({_IS_PAID}, {_ORDER}))"
        case Model.FIRST_PAID:
            return f"arg_min({touch}, row(NOT {_IS_PAID}, {_ORDER}))"
        case Model.LEAD_SOURCE:
            return f"coalesce({last} FILTER (WHERE t.happened_at <= c.lead_at), {first})"
        case _:
            raise ValueError(f"{model} is not of one touch")


_PATH: Final = "c.person, c.path_at"
PLACE: Final = f"row_number() OVER (PARTITION BY {_PATH} ORDER BY {_ORDER})"
COUNT: Final = f"count(*) OVER (PARTITION BY {_PATH})"
LEAD_PLACE: Final = f"greatest(1, count(*) FILTER (WHERE t.happened_at <= c.lead_at) OVER (PARTITION BY {_PATH}))"
"""Where the touch stands that made the lead: the last one until then, else the first."""


def decayed(half_life_days: float) -> str:
    """SQL: the weight of `touches t` by its distance from the last one of its path."""
    return (
        f"CAST(round(pow(2.0, -(epoch_us(max(t.happened_at) OVER (PARTITION BY {_PATH})) - epoch_us(t.happened_at)) "
        f"/ {half_life_days * _DAY_US!r}) * {_WEIGHT_ONE}) AS HUGEINT)"
    )


def weight(model: Model) -> tuple[str, str]:
    """SQL: num and den of a touch at place `i` of `touches`; of w_shaped with `lead_i`, of time decay with `decayed`."""
    match model:
        case Model.LINEAR:
            return "1", "touches"
        case Model.POSITION:
            return (
                "CASE WHEN touches <= 2 THEN 1 WHEN i = 1 OR i = touches THEN 4 * (touches - 2) ELSE 2 END",
                "CASE WHEN touches <= 2 THEN touches ELSE 10 * (touches - 2) END",
            )
        case Model.W_SHAPED:
            milestones = "((i = 1)::INTEGER + (i = lead_i)::INTEGER + (i = touches)::INTEGER)"
            rest = "(touches - 1 - (lead_i <> 1 AND lead_i <> touches)::INTEGER - (touches <> 1)::INTEGER)"
            return (
                f"CASE WHEN {rest} = 0 THEN {milestones} WHEN {milestones} = 0 THEN 1 ELSE 3 * {rest} * {milestones} END",
                f"CASE WHEN {rest} = 0 THEN 3 ELSE 10 * {rest} END",
            )
        case Model.TIME_DECAY:
            return "decayed", "sum(decayed) OVER (PARTITION BY person, path_at)"
        case _:
            raise ValueError(f"{model} has no weights")
