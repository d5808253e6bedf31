"""Reading a contact as one, also while a merge into it is under way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from tributary.contacts.groups import Membership
from tributary.contacts.profile import Profile
from tributary.contacts.rows import (
    GROUP_PREFIX,
    MEMBER_PREFIX,
    MERGE_PREFIX,
    REFUSED_PREFIX,
    Member,
    MergeRecord,
    RefusedLink,
    Root,
    contact_partition,
    decode,
    decode_pointer,
    join_moved,
    pointer_key,
    root_key,
)
from tributary.errors import WriteConflict
from tributary.identity.digests import Digests
from tributary.identity.identifiers import Identifier, partitions_of
from tributary.ports import ContactStore

_ATTEMPTS: Final = 20
"""Reads that a merge overtook before the reader gives up."""

_Row = TypeVar("_Row", bound=msgspec.Struct)


@dataclass(frozen=True, kw_only=True)
class Contact:
    """A person, as far as the store knows."""

    id: str
    created: int
    """Microseconds since 1970."""
    profile: Profile
    members: tuple[Member, ...]
    memberships: tuple[Membership, ...]
    merges: tuple[MergeRecord, ...]
    refused: tuple[RefusedLink, ...]
    merge_count: int
    is_settled: bool
    """False while a merge is moving rows, or a browser's history has yet to be read."""

    def partitions(self) -> list[str]:
        """Where the log keeps this person's events: one query each is the journey."""
        return sorted({partition for member in self.members for partition in partitions_of(member.identifier)})


def read_contact(store: ContactStore, digests: Digests, identifier: Identifier) -> Contact | None:
    """The contact that an identifier belongs to; None if to none. Raises `StoreUnavailable`, or `WriteConflict` if merges overtook it twenty times."""
    pointer = store.get({pointer_key(digests.of(identifier))})
    for row in pointer.values():
        return read_contact_by_id(store, decode_pointer(row.data))
    return None


def read_contact_by_id(store: ContactStore, contact: str) -> Contact | None:
    """The contact of an id, or the one that it was merged into."""
    for _ in range(_ATTEMPTS):
        root = _root(store, contact)
        if root is None:
            return None
        if root.into is not None:
            contact = root.into
            continue
        # Rows move from loser to winner, so the losers are read first: what has left them by then is met at the winner. A merge that is committed meanwhile
        # shows in the count of merges, also if it is settled by the time we look.
        rows: dict[str, bytes] = {}
        for place in (*root.open, contact):
            for row in store.rows(contact_partition(place)):
                before = rows.get(row.key.sort)
                rows[row.key.sort] = join_moved(row.key.sort, before, row.data) if before is not None else row.data
        after = _root(store, contact)
        if after is not None and after.into is None and after.merges == root.merges:
            return _contact(contact, after, rows)
    raise WriteConflict("a contact was merged again and again while it was read")


def _root(store: ContactStore, contact: str) -> Root | None:
    row = store.get({root_key(contact)}).get(root_key(contact))
    return decode(row.data, Root) if row else None


def _contact(contact: str, root: Root, rows: Mapping[str, bytes]) -> Contact:
    return Contact(
        id=contact,
        created=root.created,
        profile=root.profile,
        members=_sorted(_of_kind(rows, MEMBER_PREFIX, Member)),
        memberships=tuple(sorted(_of_kind(rows, GROUP_PREFIX, Membership), key=lambda membership: (membership.first_seen, membership.group))),
        merges=tuple(sorted(_of_kind(rows, MERGE_PREFIX, MergeRecord), key=lambda merge: (merge.by.at, merge.loser))),
        refused=tuple(sorted(_of_kind(rows, REFUSED_PREFIX, RefusedLink), key=lambda link: (link.by.at, link.kind, link.value))),
        merge_count=root.merges,
        is_settled=root.is_settled,
    )


def _sorted(members: Iterable[Member]) -> tuple[Member, ...]:
    return tuple(sorted(members, key=lambda member: (member.by.at, member.beside is not None, member.kind, member.value)))


def _of_kind(rows: Mapping[str, bytes], prefix: str, kind: type[_Row]) -> list[_Row]:
    return [decode(data, kind) for sort, data in rows.items() if sort.startswith(prefix)]
