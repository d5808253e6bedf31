"""Weak links: which visitor opened a link that names which customer.

They are kept apart from what resolve links, under the identifiers themselves and not under a contact, on both sides: what a visitor opened, and who opened what
names a customer. To whom a visitor belongs by them is worked out when a contact is read. So a weak link can be known before the visitor or the customer is, a
merge has nothing to move, and what an event names strongly is never held up, brought together or parted by a link that was passed on.

The rule: a visitor whom something identifies belongs where that says, whatever links they opened. Another belongs to the first customer, by the time of the
visit, whom a contact has. Both rows keep the earliest links, so that the same visits in any order leave the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from tributary.contacts.rows import EventRef, Member, RefusedLink, decode, decode_pointer, encode, pointer_key, reference, weak_key
from tributary.errors import StoreUnavailable, WriteConflict
from tributary.events import Event
from tributary.identity.identifiers import ANONYMOUS, Identifier
from tributary.identity.rules import WEAK
from tributary.ports import ContactRow, ContactStore, RowKey, WriteRow

MAX_CUSTOMERS: Final = 20
"""Of one visitor: a till or a tester opens many links."""
MAX_VISITORS: Final = 200
"""Of one customer: as many browsers as a contact may have. A link that was published has thousands."""
_ATTEMPTS: Final = 12
"""Rounds lost to other workers before the batch is given back."""


class WeakLink(msgspec.Struct, frozen=True, kw_only=True):
    """The other side of a link, and the earliest visit that named both."""

    kind: str
    value: str
    digest: str
    by: EventRef

    @property
    def identifier(self) -> Identifier:
        return Identifier(self.kind, self.value)

    @property
    def order(self) -> tuple[int, str, str, str]:
        return (self.by.at, self.by.source, self.by.message_id, self.digest)


class WeakLinks(msgspec.Struct, frozen=True, kw_only=True):
    links: tuple[WeakLink, ...] = ()
    """The earliest first."""

    def with_(self, link: WeakLink, limit: int) -> WeakLinks:
        """With one more. In any order, and repeated, the same links give the same: each with its earliest visit, and the earliest of them."""
        earliest = {one.digest: one for one in self.links}
        earliest[link.digest] = min(link, earliest.get(link.digest, link), key=lambda one: one.order)
        return WeakLinks(links=tuple(sorted(earliest.values(), key=lambda one: one.order)[:limit]))


@dataclass(frozen=True)
class Visit:
    """A visitor who opened a link that names a customer; each with its digest."""

    event: Event
    visitor: Identifier
    visitor_digest: str
    customer: Identifier
    customer_digest: str


def keep(store: ContactStore, visits: Sequence[Visit], pause: Callable[[int], None]) -> None:
    """Note the visits, each in one transaction on both sides; nothing is written for what is known. Raises `StoreUnavailable`."""
    todo = list(visits)
    for attempt in range(_ATTEMPTS):
        if attempt:
            pause(attempt)
        rows = store.get({weak_key(digest) for visit in todo for digest in (visit.visitor_digest, visit.customer_digest)})
        again: list[Visit] = []
        for visit in todo:
            changes = _changes(visit, rows)
            try:
                if changes:
                    store.commit(changes)
            except WriteConflict:
                again.append(visit)
                continue
            rows |= {change.key: ContactRow(change.key, (change.expected or 0) + 1, change.data) for change in changes}
        if not again:
            return
        todo = again
    raise StoreUnavailable("visits of the same people are being written by others at the same time")


def _changes(visit: Visit, rows: Mapping[RowKey, ContactRow]) -> list[WriteRow]:
    by = reference(visit.event)
    sides = (
        (visit.visitor_digest, WeakLink(kind=visit.customer.kind, value=visit.customer.value, digest=visit.customer_digest, by=by), MAX_CUSTOMERS),
        (visit.customer_digest, WeakLink(kind=visit.visitor.kind, value=visit.visitor.value, digest=visit.visitor_digest, by=by), MAX_VISITORS),
    )
    changes: list[WriteRow] = []
    for digest, link, limit in sides:
        row = rows.get(weak_key(digest))
        before = links_in(row)
        after = before.with_(link, limit)
        if after != before:
            changes.append(WriteRow(weak_key(digest), encode(after), row.revision if row else None))
    return changes


def links_in(row: ContactRow | None) -> WeakLinks:
    return decode(row.data, WeakLinks) if row else WeakLinks()


@dataclass(frozen=True)
class Visitors:
    """Who opened links that name a contact's customer ids."""

    attached: tuple[Member, ...] = ()
    """Those who belong to it, for nothing else says who they are."""
    refused: tuple[RefusedLink, ...] = ()
    """Those who are somebody else: the link was passed on."""


def visitors_of(store: ContactStore, members: Mapping[str, Identifier]) -> Visitors:
    """Of a contact, given its identifiers by digest."""
    customers = {digest for digest, identifier in members.items() if ":" in identifier.kind}
    rows = store.get({weak_key(digest) for digest in customers}) if customers else {}
    if not rows:
        return Visitors()
    opened: dict[str, tuple[WeakLink, Identifier]] = {}
    for digest in sorted(customers):
        for link in links_in(rows.get(weak_key(digest))).links:
            if link.digest not in members and (link.digest not in opened or link.order < opened[link.digest][0].order):
                opened[link.digest] = (link, members[digest])
    found = store.get({key(digest) for digest in opened for key in (pointer_key, weak_key)}) if opened else {}
    theirs = {digest: links_in(found.get(weak_key(digest))).links for digest in opened if pointer_key(digest) not in found}
    others = {pointer_key(link.digest) for links in theirs.values() for link in links if link.digest not in members}
    known = store.get(others).keys() if others else set()
    attached: list[Member] = []
    refused: list[RefusedLink] = []
    for digest, (link, customer) in sorted(opened.items(), key=lambda one: one[1][0].order):
        first = next((one.digest for one in theirs.get(digest, ()) if one.digest in members or pointer_key(one.digest) in known), None)
        if first in members:
            attached.append(Member(kind=ANONYMOUS, value=link.value, by=link.by, beside=customer))
        else:
            refused.append(RefusedLink(kind=ANONYMOUS, value=link.value, by=link.by, limit=WEAK, allowed=0))
    return Visitors(tuple(attached), tuple(refused))


def contact_by_link(store: ContactStore, visitor_digest: str) -> str | None:
    """The contact that a visitor whom nothing identifies may belong to by the links they opened, as the customer's pointer has it."""
    key = weak_key(visitor_digest)
    links = links_in(store.get({key}).get(key)).links
    pointers = store.get({pointer_key(link.digest) for link in links}) if links else {}
    return next((decode_pointer(row.data) for link in links if (row := pointers.get(pointer_key(link.digest))) is not None), None)
