"""Membership of a group: since when, and what was said of the group in this person's calls."""

from __future__ import annotations

import msgspec

from tributary.contacts import traits
from tributary.contacts.traits import MAX_GROUP_TRAITS, Traits
from tributary.contacts.versions import version_of
from tributary.events import Group


class Membership(msgspec.Struct, frozen=True, omit_defaults=True):
    group: str
    first_seen: int
    last_seen: int
    traits: Traits = Traits()


def membership_of(event: Group) -> Membership:
    version = version_of(event)
    return Membership(event.group_id, version[0], version[0], traits.traits_of(event.traits, version, MAX_GROUP_TRAITS))


def joined(one: Membership, other: Membership) -> Membership:
    """Both together; of one group. Commutative, associative, and the same again for what is already in."""
    return Membership(
        one.group,
        min(one.first_seen, other.first_seen),
        max(one.last_seen, other.last_seen),
        traits.joined(one.traits, other.traits, MAX_GROUP_TRAITS),
    )
