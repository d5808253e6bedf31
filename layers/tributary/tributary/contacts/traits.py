"""Traits: the last writer of each key wins, by the version of the event that wrote it.

Bounded in a way that does not depend on order. What a bound lets in is decided by the key's name or by the value alone, never by what was there before:

* a name over 100 bytes is passed over;
* a value over 1,000 bytes of JSON is not kept, but takes its turn: it shows as too long, and hides the older value;
* of more keys than the bound, those stay that come first in a fixed order (the known ones, then by name). A key that is once beyond the bound stays beyond it,
  since keys never go away; how many there are is counted up to 50.

The events themselves stay whole in the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tributary.contacts.versions import Version

MAX_PROFILE_TRAITS: Final = 300
"""Segment's own bound for a profile. 300 of the longest fill a row of DynamoDB (400 KB) just not."""
MAX_GROUP_TRAITS: Final = 50
MAX_NAME_BYTES: Final = 100
MAX_VALUE_BYTES: Final = 1_000
MAX_COUNTED: Final = 50

KNOWN_TRAITS: Final = frozenset(
    {"address", "age", "avatar", "birthday", "company", "createdAt", "description", "email", "firstName", "gender", "id", "lastName", "name", "phone", "title"}
    | {"username", "website", "created_at", "first_name", "last_name", "country", "city", "state", "postalCode"}
)
"""Segment's reserved traits and their usual other spellings; whatever else a shop sends is a custom field."""


class Trait(msgspec.Struct, frozen=True, array_like=True):
    version: Version
    value: Any = None
    """None: unset by a later `null`."""
    too_long: bool = False


class Traits(msgspec.Struct, frozen=True, omit_defaults=True):
    kept: dict[str, Trait] = {}
    beyond: tuple[str, ...] = ()
    """Names beyond the bound, the first 50 of them."""

    def values(self) -> dict[str, Any]:
        """What is set, by name."""
        return {name: trait.value for name, trait in sorted(self.kept.items()) if trait.value is not None}

    def too_long(self) -> list[str]:
        return sorted(name for name, trait in self.kept.items() if trait.too_long)


def traits_of(values: Mapping[str, Any], version: Version, bound: int) -> Traits:
    """The traits that one event sets."""
    kept = {name: _trait(value, version) for name, value in values.items() if name and len(name.encode()) <= MAX_NAME_BYTES}
    return _bounded(kept, set(), bound)


def joined(one: Traits, other: Traits, bound: int) -> Traits:
    """Both together. Commutative, associative, and the same again for what is already in."""
    if not other.kept and not other.beyond:
        return one
    kept = dict(one.kept)
    for name, trait in other.kept.items():
        mine = kept.get(name)
        if mine is None or _is_later(trait, mine):
            kept[name] = trait
    return _bounded(kept, {*one.beyond, *other.beyond}, bound)


def _is_later(trait: Trait, than: Trait) -> bool:
    """Of one version are, besides a repeat, events of two people under one message id. Where they are joined since, either would do, if always the same."""
    if trait.version != than.version:
        return trait.version > than.version
    return trait != than and _weight(trait) > _weight(than)


def _weight(trait: Trait) -> tuple[bytes, bool]:
    return msgspec.json.encode(trait.value, order="sorted"), trait.too_long


def _bounded(kept: dict[str, Trait], beyond: set[str], bound: int) -> Traits:
    if len(kept) <= bound and not beyond:
        return Traits(kept)
    names = sorted(kept.keys() | beyond, key=lambda name: (name not in KNOWN_TRAITS, name))
    return Traits({name: kept[name] for name in names[:bound]}, tuple(names[bound : bound + MAX_COUNTED]))


def _trait(value: Any, version: Version) -> Trait:
    if value is None or isinstance(value, bool | float) or len(msgspec.json.encode(value)) <= MAX_VALUE_BYTES:
        return Trait(version, value)
    return Trait(version, None, too_long=True)
