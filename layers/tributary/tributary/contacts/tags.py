"""Tags: which a person has, since when, and which were taken away.

An event says `context.tags: {name: true | false}`: applied or removed when the event happened. Any kind of event may; other forms are passed over.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tributary.contacts.joining import Keyed, earliest, keyed_joined, keyed_of, newest
from tributary.contacts.versions import version_of
from tributary.events import Event

MAX_TAGS: Final = 300
"""Of more, those stay that come first by name."""
MAX_NAME_BYTES: Final = 400
MAX_MARKS: Final = 10
"""Of more changes of one tag, the newest."""

TagMark = tuple[int, int, bool]
"""When, the source's sequence, applied. Of two that say otherwise at one moment, applied stands."""


class Tag(msgspec.Struct, frozen=True, omit_defaults=True):
    marks: tuple[TagMark, ...]
    """The oldest first, one at least."""
    first_applied: int | None = None

    @property
    def is_applied(self) -> bool:
        return self.marks[-1][2]

    @property
    def since(self) -> int | None:
        """When it was applied and has stood since; None if it does not stand. Applying a tag that stands changes nothing."""
        if not self.is_applied:
            return None
        since = self.first_applied
        for before, mark in zip(self.marks, self.marks[1:], strict=False):
            if mark[2] and not before[2]:
                since = mark[0]
        return since

    @property
    def last_removed(self) -> int | None:
        return next((at for at, _, applied in reversed(self.marks) if not applied), None)


class Tags(msgspec.Struct, frozen=True, omit_defaults=True):
    """All tags of a contact: one row, for one event may set many."""

    tags: Keyed[Tag] = Keyed()


def tags_of(event: Event) -> Tags | None:
    """The tags that one event applies or removes; None if none."""
    said = event.context.get("tags")
    if not isinstance(said, dict):
        return None
    at, sequence, _, _ = version_of(event)
    found = {
        name: Tag(((at, sequence, applied),), at if applied else None)
        for name, applied in said.items()
        if isinstance(applied, bool) and name.strip() and len(name.encode()) <= MAX_NAME_BYTES
    }
    return Tags(keyed_of(found, MAX_TAGS)) if found else None


def joined(one: Tags, other: Tags) -> Tags:
    """Both together. Commutative, associative, and the same again for what is already in."""
    return Tags(keyed_joined(one.tags, other.tags, MAX_TAGS, _both))


def _both(one: Tag, other: Tag) -> Tag:
    return Tag(newest(one.marks, other.marks, MAX_MARKS), earliest(one.first_applied, other.first_applied))
