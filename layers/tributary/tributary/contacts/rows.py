"""The rows of CONTACTS, their keys, and how they are stored.

    identifier#<digest>   identifier               the id of the contact that the identifier belongs to
                          weak                     the customers whose links a visitor opened, or the visitors who opened a customer's (`weak.py`)
    contact#<id>          root                     counts, limits, profile; or, once merged, the contact it went into
                          identifier#<kind>#<digest>   a member: its value, and the event that brought it
                          group#<digest>           membership of a group   \
                          order#<digest>           an order                 | holdings
                          subscription#<digest>    a subscription           |
                          tags                     all tags                /
                          merge#<contact id>       how another contact became part of this one
                          refused#<digest>         a link that a limit refused

A contact's id is the keyed digest of the identifier that created it. Keys hold no personal data, values do. A value is JSON as it is while that fits one write
unit (1 KB), compressed beyond. Stored rows ignore fields of a newer version, so that a roll-back reads them.

Root and profile are one row on purpose. Every write of a contact writes the root under its revision, so that nothing can be written to a contact which lost
its root to a merge in between; and a profile costs one write, not a transaction.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from tributary.contacts import holdings
from tributary.contacts.profile import Profile
from tributary.contacts.versions import micros
from tributary.events import Event
from tributary.identity.identifiers import Identifier, stable_identifier
from tributary.ports import ContactRow, RowKey, WriteRow

POINTER_SORT: Final = "identifier"
WEAK_SORT: Final = "weak"
ROOT_SORT: Final = "root"
MEMBER_PREFIX: Final = "identifier#"
MERGE_PREFIX: Final = "merge#"
REFUSED_PREFIX: Final = "refused#"

MAX_REFUSED: Final = 100
"""Refused links that a contact keeps; more are only counted in the metrics. A shared device would fill the table with them."""

MAX_CHANGES: Final = 100
"""Rows that DynamoDB changes in one transaction."""
MAX_BYTES: Final = 3_500_000
"""Of a transaction: below DynamoDB's 4 MB, keys and attribute names included."""

_PLAIN_BYTES: Final = 900
"""One write unit, less the keys."""
_OVERHEAD: Final = 200
"""Bytes of a row's keys, revision and attribute names, at most."""

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


def weak_key(digest: str) -> RowKey:
    return RowKey(f"identifier#{digest}", WEAK_SORT)


def root_key(contact: str) -> RowKey:
    return RowKey(contact_partition(contact), ROOT_SORT)


def member_key(contact: str, kind: str, digest: str) -> RowKey:
    return RowKey(contact_partition(contact), f"{MEMBER_PREFIX}{kind}#{digest}")


def digest_of_member(sort: str) -> str:
    return sort.rpartition("#")[2]


def row_key(contact: str, sort: str) -> RowKey:
    return RowKey(contact_partition(contact), sort)


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


def changed_holdings(contact: str, held: holdings.Held, rows: Mapping[RowKey, ContactRow]) -> list[WriteRow]:
    """The rows to write, so that what is `held` is in the contact; none for what `rows` say already."""
    changed: list[WriteRow] = []
    for sort, new in held.items():
        key = row_key(contact, sort)
        row = rows.get(key)
        before = decode_holding(sort, row.data) if row else None
        after = new if before is None else holdings.joined(sort, before, new)
        if after != before:
            changed.append(WriteRow(key, encode(after), row.revision if row else None))
    return changed


def decode_holding(sort: str, data: bytes) -> msgspec.Struct:
    row: msgspec.Struct = decode(data, holdings.KINDS[holdings.kind_of(sort)].row)
    return row


def transactions(first: Sequence[WriteRow], rows: Sequence[WriteRow]) -> Iterator[list[WriteRow]]:
    """`rows` in as few transactions as DynamoDB takes, one at least. `first` goes into the first, the root at its head; each further one writes that root
    again, under the revision that the one before it left. They need not be one: each row joins by itself."""
    together = list(first)
    root = first[0]
    size = _size(together)
    for row in rows:
        if len(together) > 1 and (len(together) == MAX_CHANGES or size + _size([row]) > MAX_BYTES):
            yield together
            root = WriteRow(root.key, root.data, (root.expected or 0) + 1)
            together, size = [root], _size([root])
        together.append(row)
        size += _size([row])
    yield together


def _size(rows: Sequence[WriteRow]) -> int:
    return sum(len(row.data) + _OVERHEAD for row in rows)


def join_moved(sort: str, here: bytes, moved: bytes) -> bytes:
    """One row of two with the same sort key: the winner's and the one that a merge moves there."""
    if holdings.is_holding(sort):
        return encode(holdings.joined(sort, decode_holding(sort, here), decode_holding(sort, moved)))
    if sort.startswith(REFUSED_PREFIX):
        return min(here, moved, key=lambda data: decode(data, RefusedLink).by.at)
    return here
