"""Conditions as data: which events a connection takes.

    {"all": [{"type": ["track"]}, {"any": [{"event": ["Order Completed"]}, {"field": "properties.revenue", "is": "greater_than", "value": 100}]}]}

A condition is one of: `all` or `any` of others, `not` another, `type` one of a list, `event` (the track name) one of a list, or a comparison of a field, given
by its dotted path in the event's JSON.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from tributary.events import Event, EventType, Track

Comparison = Literal[
    "equals", "not_equals", "contains", "starts_with", "ends_with", "greater_than", "at_least", "less_than", "at_most", "exists", "missing", "one_of"
]

MAX_DEPTH: Final = 8
"""Deeper conditions are refused when saved: nobody can read them."""


class Condition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    all: list[Condition] | None = None
    any: list[Condition] | None = None
    not_: Condition | None = msgspec.field(default=None, name="not")
    type: list[EventType] | None = None
    event: list[str] | None = None
    field: str | None = None
    is_: Comparison | None = msgspec.field(default=None, name="is")
    value: Any = None

    def __post_init__(self) -> None:
        forms = [form for form in (self.all, self.any, self.not_, self.type, self.event, self.field) if form is not None]
        if len(forms) != 1:
            raise ValueError("a condition has exactly one of all, any, not, type, event, field")
        if (self.field is None) != (self.is_ is None):
            raise ValueError("a comparison has both `field` and `is`")


def matches(condition: Condition, event: Event) -> bool:
    """Whether the event meets the condition. A comparison with a field that is absent, or of another type, is false (`not_equals` and `missing` are true)."""
    if condition.all is not None:
        return all(matches(part, event) for part in condition.all)
    if condition.any is not None:
        return any(matches(part, event) for part in condition.any)
    if condition.not_ is not None:
        return not matches(condition.not_, event)
    if condition.type is not None:
        return event.type in condition.type
    if condition.event is not None:
        return isinstance(event, Track) and event.event in condition.event
    assert condition.field is not None
    assert condition.is_ is not None
    return _compare(_value_at(event, condition.field), condition.is_, condition.value)


def depth(condition: Condition) -> int:
    """How many conditions stand inside one another; 1 for a plain one."""
    parts = [*(condition.all or []), *(condition.any or []), *([condition.not_] if condition.not_ else [])]
    return 1 + max((depth(part) for part in parts), default=0)


def _value_at(event: Event, path: str) -> Any:
    value: Any = msgspec.to_builtins(event)
    for part in path.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def _compare(found: Any, comparison: Comparison, wanted: Any) -> bool:
    match comparison:
        case "exists":
            return found is not None
        case "missing":
            return found is None
        case "equals":
            return _same(found, wanted)
        case "not_equals":
            return not _same(found, wanted)
        case "one_of":
            return isinstance(wanted, list) and any(_same(found, one) for one in wanted)
        case "contains":
            return wanted in found if isinstance(found, list) else isinstance(found, str) and isinstance(wanted, str) and wanted in found
        case "starts_with":
            return isinstance(found, str) and isinstance(wanted, str) and found.startswith(wanted)
        case "ends_with":
            return isinstance(found, str) and isinstance(wanted, str) and found.endswith(wanted)
        case "greater_than" | "at_least" | "less_than" | "at_most":
            return _is_number(found) and _is_number(wanted) and _ordered(found, comparison, wanted)


def _ordered(found: float, comparison: str, wanted: float) -> bool:
    match comparison:
        case "greater_than":
            return found > wanted
        case "at_least":
            return found >= wanted
        case "less_than":
            return found < wanted
        case _:
            return found <= wanted


def _same(found: Any, wanted: Any) -> bool:
    """Equal, where `true` is not `1`."""
    return bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
