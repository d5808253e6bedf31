"""What rows of a contact are made of, so that they join: whatever the order, grouping and repetition, the same comes out.

A value that several events say is that of the last of them, by version. A set of things that each have an id joins by id. A history keeps its newest marks.
Each is bounded, and what a bound lets in depends on names, times and values alone, never on what was there before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from tributary.contacts.versions import Version

MAX_COUNTED: Final = 50
"""Ids beyond a bound that are remembered, so that it shows how many there are."""
MAX_HISTORY: Final = 50
"""Marks of a history; of more, the newest."""

T = TypeVar("T")
Mark = tuple[Version, str]
"""A state, and the version that said so."""


class Versioned(Protocol):
    @property
    def version(self) -> Version: ...


V = TypeVar("V", bound=Versioned)
R = TypeVar("R", bound=msgspec.Struct)


class Said(msgspec.Struct, Generic[T], frozen=True, array_like=True):
    """A value, and the version that said it."""

    version: Version
    value: T


class Keyed(msgspec.Struct, Generic[T], frozen=True, omit_defaults=True):
    """Things by id."""

    kept: dict[str, T] = {}
    beyond: tuple[str, ...] = ()
    """Ids beyond the bound, the first 50 of them: of more than the bound, those stay that come first by id. An id that is once beyond stays beyond."""


def value_of(said: Said[T] | None) -> T | None:
    return None if said is None else said.value


def later(one: V, other: V) -> V:
    """Of two that say the same thing, the last. Of one version are, besides a repeat, events of two people under one message id: either would do, if always
    the same."""
    if one.version != other.version:
        return max(one, other, key=lambda entry: entry.version)
    return max(one, other, key=lambda entry: msgspec.json.encode(entry, order="sorted"))


def fields_joined(one: R, other: R) -> R:
    """A row of fields that each are `Said` or None, field by field: who does not speak of a field leaves it as it is."""
    values: dict[str, Any] = {}
    for name in one.__struct_fields__:
        mine, theirs = getattr(one, name), getattr(other, name)
        values[name] = theirs if mine is None else mine if theirs is None else later(mine, theirs)
    return type(one)(**values)


def keyed_of(things: dict[str, T], bound: int) -> Keyed[T]:
    return _bounded(things, set(), bound)


def keyed_joined(one: Keyed[T], other: Keyed[T], bound: int, join: Callable[[T, T], T]) -> Keyed[T]:
    if not other.kept and not other.beyond:
        return one
    kept = dict(one.kept)
    for key, thing in other.kept.items():
        kept[key] = join(kept[key], thing) if key in kept else thing
    return _bounded(kept, {*one.beyond, *other.beyond}, bound)


def newest(one: Sequence[T], other: Sequence[T], bound: int) -> tuple[T, ...]:
    """Marks of two histories, oldest first. A mark compares as it stands."""
    marks: list[Any] = sorted({*one, *other})
    return tuple(marks[-bound:])


def earliest(*moments: int | None) -> int | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _bounded(kept: dict[str, T], beyond: set[str], bound: int) -> Keyed[T]:
    if len(kept) <= bound and not beyond:
        return Keyed(kept)
    names = sorted(kept.keys() | beyond)
    return Keyed({name: kept[name] for name in names[:bound]}, tuple(names[bound : bound + MAX_COUNTED]))
