"""A contact's profile: its traits, and when it was first and last seen.

Seen means: an event names the person by more than a browser's id, or it is an `identify` or `group` call. A page view of a browser that belongs to somebody
writes nothing anywhere but the log.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tributary.contacts import traits
from tributary.contacts.traits import KNOWN_TRAITS, MAX_PROFILE_TRAITS, Traits
from tributary.contacts.versions import version_of
from tributary.events import Event, Identify


class Profile(msgspec.Struct, frozen=True, omit_defaults=True):
    traits: Traits = Traits()
    first_seen: int | None = None
    last_seen: int | None = None
    first_source: str | None = None
    """The source or connection of the event that the person was first seen by; of several at that moment the first by name. None in rows of releases that did
    not keep it."""

    def known(self) -> dict[str, Any]:
        """The traits that every shop has: name, email, address."""
        return {name: value for name, value in self.traits.values().items() if name in KNOWN_TRAITS}

    def custom_fields(self) -> dict[str, Any]:
        """What this shop made up."""
        return {name: value for name, value in self.traits.values().items() if name not in KNOWN_TRAITS}


def profile_of(event: Event) -> Profile:
    """What one event says of its person. Only an `identify` sets traits: the `context.traits` of other calls are what a phone happens to remember, and old."""
    version = version_of(event)
    said = Traits()
    if isinstance(event, Identify):
        in_context = event.context.get("traits")
        said = traits.traits_of(event.traits or (in_context if isinstance(in_context, dict) else {}), version, MAX_PROFILE_TRAITS)
    return Profile(said, version[0], version[0], event.source)


def joined(one: Profile, other: Profile) -> Profile:
    """Both together. Commutative, associative, and the same again for what is already in."""
    if other in (_NOTHING, one):
        return one
    first = min(one, other, key=_first)
    lasts = [moment for moment in (one.last_seen, other.last_seen) if moment is not None]
    return Profile(traits.joined(one.traits, other.traits, MAX_PROFILE_TRAITS), first.first_seen, max(lasts, default=None), first.first_source)


def _first(profile: Profile) -> tuple[bool, int, bool, str]:
    """Who was never seen last; of one moment who says by whom before who does not."""
    return profile.first_seen is None, profile.first_seen or 0, profile.first_source is None, profile.first_source or ""


_NOTHING = Profile()
