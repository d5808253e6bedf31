"""Reading a contact as one, also while a merge into it is under way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from tributary.contacts import holdings
from tributary.contacts.groups import Membership
from tributary.contacts.orders import Order
from tributary.contacts.profile import Profile
from tributary.contacts.rows import (
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
    digest_of_member,
    join_moved,
    pointer_key,
    root_key,
)
from tributary.contacts.subscriptions import Subscription
from tributary.contacts.tags import Tag, Tags
from tributary.contacts.weak import contact_by_link, visitors_of
from tributary.errors import WriteConflict
from tributary.identity.digests import Digests
from tributary.identity.identifiers import ANONYMOUS, Identifier, partitions_of
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
    orders: tuple[Order, ...]
    """As they came about."""
    subscriptions: tuple[Subscription, ...]
    tags: Mapping[str, Tag]
    tags_beyond: tuple[str, ...]
    """Names beyond the bound, the first 50 of them."""
    merges: tuple[MergeRecord, ...]
    refused: tuple[RefusedLink, ...]
    merge_count: int
    visitors: tuple[Member, ...] = ()
    """Browsers that came by a link with a customer id of this contact, and that nothing else identifies. They are no members: an event that names one of them
    and somebody else takes it away."""
    is_settled: bool
    """False while a merge is moving rows, or a browser's history has yet to be read."""

    def partitions(self) -> list[str]:
        """Where the log keeps this person's events: one query each is the journey."""
        return sorted({partition for member in (*self.members, *self.visitors) for partition in partitions_of(member.identifier)})


def read_contact(store: ContactStore, digests: Digests, identifier: Identifier) -> Contact | None:
    """The contact that an identifier belongs to, a visitor by the links they opened too; None if to none. Raises `StoreUnavailable`, or `WriteConflict` if
    merges overtook it twenty times."""
    digest = digests.of(identifier)
    pointer = store.get({pointer_key(digest)})
    for row in pointer.values():
        return read_contact_by_id(store, decode_pointer(row.data))
    by_link = contact_by_link(store, digest) if identifier.kind == ANONYMOUS else None
    contact = read_contact_by_id(store, by_link) if by_link is not None else None
    return contact if contact is not None and any(visitor.value == identifier.value for visitor in contact.visitors) else None


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
            return _contact(store, contact, after, rows)
    raise WriteConflict("a contact was merged again and again while it was read")


def _root(store: ContactStore, contact: str) -> Root | None:
    row = store.get({root_key(contact)}).get(root_key(contact))
    return decode(row.data, Root) if row else None


def _contact(store: ContactStore, contact: str, root: Root, rows: Mapping[str, bytes]) -> Contact:
    members = {digest_of_member(sort): decode(data, Member) for sort, data in rows.items() if sort.startswith(MEMBER_PREFIX)}
    visitors = visitors_of(store, {digest: member.identifier for digest, member in members.items()})
    refused = [*_of_kind(rows, REFUSED_PREFIX, RefusedLink), *visitors.refused]
    (tagged,) = _of_kind(rows, holdings.TAGS, Tags) or [Tags()]
    return Contact(
        id=contact,
        created=root.created,
        profile=root.profile,
        members=_sorted(members.values()),
        memberships=tuple(sorted(_of_kind(rows, f"{holdings.GROUP}#", Membership), key=lambda membership: (membership.first_seen, membership.group))),
        orders=tuple(sorted(_of_kind(rows, f"{holdings.ORDER}#", Order), key=lambda order: (order.since or 0, order.source, order.order_id))),
        subscriptions=tuple(
            sorted(_of_kind(rows, f"{holdings.SUBSCRIPTION}#", Subscription), key=lambda one: (one.since or 0, one.source, one.subscription_id))
        ),
        tags=dict(sorted(tagged.tags.kept.items())),
        tags_beyond=tagged.tags.beyond,
        merges=tuple(sorted(_of_kind(rows, MERGE_PREFIX, MergeRecord), key=lambda merge: (merge.by.at, merge.loser))),
        refused=tuple(sorted(refused, key=lambda link: (link.by.at, link.kind, link.value))),
        merge_count=root.merges,
        visitors=visitors.attached,
        is_settled=root.is_settled,
    )


def _sorted(members: Iterable[Member]) -> tuple[Member, ...]:
    return tuple(sorted(members, key=lambda member: (member.by.at, member.beside is not None, member.kind, member.value)))


def _of_kind(rows: Mapping[str, bytes], prefix: str, kind: type[_Row]) -> list[_Row]:
    return [decode(data, kind) for sort, data in rows.items() if sort.startswith(prefix)]
