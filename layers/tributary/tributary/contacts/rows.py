"""The rows of CONTACTS, their keys, and how they are stored.

    identifier#<digest>   identifier               the id of the contact that the identifier belongs to
    contact#<id>          root                     counts, limits, profile; or, once merged, the contact it went into
                          identifier#<kind>#<digest>   a member: its value, and the event that brought it
                          group#<digest>           membership of a group
                          merge#<contact id>       how another contact became part of this one
                          refused#<digest>         a link that a limit refused

A contact's id is the keyed digest of the identifier that created it. Keys hold no personal data, values do. A value is JSON as it is while that fits one write
unit (1 KB), compressed beyond. Stored rows ignore fields of a newer version, so that a roll-back reads them.

Root and profile are one row on purpose. Every write of a contact writes the root under its revision, so that nothing can be written to a contact which lost
its root to a merge in between; and a profile costs one write, not a transaction.
"""

from __future__ import annotations

import zlib
from typing import Final, TypeVar

import msgspec

from tributary.contacts import groups
from tributary.contacts.groups import Membership
from tributary.contacts.profile import Profile
from tributary.contacts.versions import micros
from tributary.events import Event
from tributary.identity.digests import Digests
from tributary.identity.identifiers import Identifier, stable_identifier
from tributary.ports import RowKey

POINTER_SORT: Final = "identifier"
ROOT_SORT: Final = "root"
MEMBER_PREFIX: Final = "identifier#"
GROUP_PREFIX: Final = "group#"
MERGE_PREFIX: Final = "merge#"
REFUSED_PREFIX: Final = "refused#"

MAX_REFUSED: Final = 100
"""Refused links that a contact keeps; more are only counted in the metrics. A shared device would fill the table with them."""

MAX_MEMBERSHIPS_A_WRITE: Final = 40
"""Of the fullest memberships, 60 KB each, so that a transaction stays below DynamoDB's 4 MB."""

_PLAIN_BYTES: Final = 900
"""One write unit, less the keys."""

Row = TypeVar("Row", bound=msgspec.Struct)


class _Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


class EventRef(_Row, frozen=True, kw_only=True):
    """An event, by what finds it in the log."""

    partition: str
    source: str
    message_id: str
    type: str
    at: int
    """When it happened."""


class Root(_Row, frozen=True, kw_only=True):
    """What a contact is."""

    created: int
    into: str | None = None
    """The contact that this one was merged into; then all else here is history."""
    counts: dict[str, int] = {}
    """Its identifiers, by kind."""
    merges: int = 0
    open: tuple[str, ...] = ()
    """Contacts merged into this one whose rows have yet to be moved here."""
    unread: tuple[str, ...] = ()
    """Anonymous ids that belong to it now, whose earlier identify and group calls have yet to be read from the log."""
    refused: int = 0
    """How many refused links are kept."""
    profile: Profile = Profile()

    @property
    def size(self) -> int:
        return sum(self.counts.values())

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left over from a merge or an attach."""
        return not self.open and not self.unread


class Member(_Row, frozen=True, kw_only=True):
    """An identifier of a contact."""

    kind: str
    value: str
    by: EventRef
    beside: Identifier | None = None
    """The identifier in the same event through which it came here; None for the one that created the contact."""

    @property
    def identifier(self) -> Identifier:
        return Identifier(self.kind, self.value)


class MergeRecord(_Row, frozen=True, kw_only=True):
    """How two contacts became one."""

    loser: str
    winner: str
    by: EventRef
    between: tuple[Identifier, Identifier]
    """Two identifiers that the event named, one of each contact."""
    sizes: tuple[int, int]
    """How many identifiers the winner and the loser had."""


class RefusedLink(_Row, frozen=True, kw_only=True):
    """An identifier that an event named, and that was not made part of the contact."""

    kind: str
    value: str
    by: EventRef
    limit: str
    """What it would have breached: a kind, `total`, `merges`; or `weak`, where a hint met somebody else's identifier."""
    allowed: int


def reference(event: Event) -> EventRef:
    return EventRef(partition=stable_identifier(event), source=event.source, message_id=event.message_id, type=event.type, at=micros(event.version[0]))


def contact_partition(contact: str) -> str:
    return f"contact#{contact}"


def pointer_key(digest: str) -> RowKey:
    return RowKey(f"identifier#{digest}", POINTER_SORT)


def root_key(contact: str) -> RowKey:
    return RowKey(contact_partition(contact), ROOT_SORT)


def member_key(contact: str, kind: str, digest: str) -> RowKey:
    return RowKey(contact_partition(contact), f"{MEMBER_PREFIX}{kind}#{digest}")


def digest_of_member(sort: str) -> str:
    return sort.rpartition("#")[2]


def group_key(contact: str, group: str, digests: Digests) -> RowKey:
    return RowKey(contact_partition(contact), GROUP_PREFIX + digests.of(Identifier("group", group)))


def merge_key(contact: str, loser: str) -> RowKey:
    return RowKey(contact_partition(contact), MERGE_PREFIX + loser)


def refused_key(contact: str, digest: str) -> RowKey:
    return RowKey(contact_partition(contact), REFUSED_PREFIX + digest)


def encode(row: msgspec.Struct) -> bytes:
    plain = msgspec.json.encode(row)
    return plain if len(plain) <= _PLAIN_BYTES else zlib.compress(plain)


def decode(data: bytes, kind: type[Row]) -> Row:
    return msgspec.json.decode(data if data[:1] == b"{" else zlib.decompress(data), type=kind)


def encode_pointer(contact: str) -> bytes:
    return contact.encode()


def decode_pointer(data: bytes) -> str:
    return data.decode()


def join_moved(sort: str, here: bytes, moved: bytes) -> bytes:
    """One row of two with the same sort key: the winner's and the one that a merge moves there."""
    if sort.startswith(GROUP_PREFIX):
        return encode(groups.joined(decode(here, Membership), decode(moved, Membership)))
    if sort.startswith(REFUSED_PREFIX):
        return min(here, moved, key=lambda data: decode(data, RefusedLink).by.at)
    return here
