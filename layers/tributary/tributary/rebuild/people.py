"""What a generation of CONTACTS says, in a form in which two can be compared.

Ids of contacts and revisions of rows may differ between two that say the same: they follow from the order in which events came. So a person goes by the least
digest of their identifiers, and what is compared is which identifiers are one person, and what is known of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import msgspec

from tributary.contacts import holdings
from tributary.contacts.rows import MEMBER_PREFIX, ROOT_SORT, WEAK_SORT, Root, decode, decode_holding, digest_of_member
from tributary.ports import ContactRow

_CONTACT: Final = "contact#"
_canonical: Final = msgspec.json.Encoder(order="deterministic")


@dataclass
class People:
    """A generation of them."""

    content: dict[str, bytes] = field(default_factory=dict)
    """Person (or visitor's link) → digest of all that is known of them."""
    names: dict[str, str] = field(default_factory=dict)
    """Contact → person."""
    unsettled: int = 0
    """Contacts that a merge has yet to move rows into. They settle by themselves, and cannot be compared before."""

    def add(self, rows: Iterable[ContactRow]) -> None:
        """`rows`: those of a partition together."""
        for partition, group in groupby(rows, key=lambda row: row.key.partition):
            found = {row.key.sort: row.data for row in group}
            if partition.startswith(_CONTACT):
                self._add_contact(partition.removeprefix(_CONTACT), found)
            elif WEAK_SORT in found:
                self.content[f"link {partition}"] = hashlib.sha256(found[WEAK_SORT]).digest()

    def _add_contact(self, contact: str, rows: Mapping[str, bytes]) -> None:
        root = decode(rows[ROOT_SORT], Root) if ROOT_SORT in rows else None
        if root is None or root.into is not None:
            return
        self.unsettled += not root.is_settled
        members = sorted(sort for sort in rows if sort.startswith(MEMBER_PREFIX))
        name = min((digest_of_member(sort) for sort in members), default="")
        held = {sort: decode_holding(sort, data) for sort, data in rows.items() if holdings.is_holding(sort)}
        said = _canonical.encode([members, root.profile, sorted(held.items())])
        self.names[contact] = name
        self.content[name] = hashlib.sha256(said).digest()


@dataclass(frozen=True)
class Differences:
    """Of two generations."""

    same: int
    missing: tuple[str, ...]
    """Whom only the first knows."""
    added: tuple[str, ...]
    """Whom only the second knows."""
    changed: tuple[str, ...]
    """Of whom they say different things."""

    def __iter__(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        return iter((("missing", self.missing), ("added", self.added), ("changed", self.changed)))

    @property
    def is_empty(self) -> bool:
        return not any(names for _, names in self)


def differences(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> Differences:
    both = one.keys() & other.keys()
    changed = sorted(name for name in both if one[name] != other[name])
    return Differences(len(both) - len(changed), tuple(sorted(one.keys() - other.keys())), tuple(sorted(other.keys() - one.keys())), tuple(changed))
