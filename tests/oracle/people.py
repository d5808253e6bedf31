"""Who is who: which nodes are one person, and what facts look like once that is known.

A node is an identifier's digest or a contact's id. It leads to a contact, that perhaps into another; a visitor whom nothing identifies is the first customer
whose link they opened, if anybody knows that customer; else the node is nobody but itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar, cast

import msgspec

from tributary.facts.tables import ContactFact, Fact, IdentityFact, Kind, TagInterval, TagsFact, WeakLinkFact

F = TypeVar("F", bound=Fact)
Rows = Mapping[Kind, Sequence[Fact]]


def seen(rows: Rows) -> dict[Kind, list[Fact]]:
    """What readers see of rows as they were written: the newest of each key, none that is gone, people as one."""
    newest = {kind: _newest(found) for kind, found in rows.items()}
    contact_of = {row.key: cast("IdentityFact", row).contact for row in newest.get(Kind.IDENTITIES, [])}
    customers_of = {row.key: cast("WeakLinkFact", row).customers for row in newest.get(Kind.WEAK_LINKS, [])}

    def person_of(node: str) -> str:
        if node not in contact_of:
            known = [customer for customer in customers_of.get(node, ()) if customer in contact_of]
            return person_of(known[0]) if known else node
        while node in contact_of:
            node = contact_of[node]
        return node

    found: dict[Kind, list[Fact]] = {}
    for kind, kept in newest.items():
        if kind in (Kind.IDENTITIES, Kind.WEAK_LINKS):
            continue
        found[kind] = [msgspec.structs.replace(row, person=person_of(row.person)) if hasattr(row, "person") else row for row in kept]
    found[Kind.CONTACTS] = list(_one_a_person(cast("list[ContactFact]", found.get(Kind.CONTACTS, []))))
    found[Kind.TAGS] = list(_tags_together(cast("list[TagsFact]", found.get(Kind.TAGS, []))))
    return found


def _newest(rows: Sequence[F]) -> list[F]:
    found: dict[str, F] = {}
    for row in sorted(rows, key=lambda row: row.version):
        found[row.key] = row
    return [row for row in found.values() if not row.gone]


def _one_a_person(contacts: list[ContactFact]) -> list[ContactFact]:
    """The earliest date of any counts, with its connection; of all else what the contact that the others are in says, or they do where it says nothing."""
    found: dict[str, ContactFact] = {}
    for row in sorted(contacts, key=lambda row: (row.key != row.person, row.key)):
        mine = found.setdefault(row.person, row)
        first = min(mine, row, key=lambda one: (one.lead_at, one.connection is None, one.connection or ""))
        found[row.person] = msgspec.structs.replace(
            mine, lead_at=first.lead_at, connection=first.connection, country=mine.country or row.country, fields=mine.fields or row.fields
        )
    return list(found.values())


def _tags_together(rows: list[TagsFact]) -> list[TagsFact]:
    found: dict[str, tuple[TagInterval, ...]] = {}
    for row in rows:
        found[row.person] = found.get(row.person, ()) + row.tags
    return [TagsFact(key=person, person=person, tags=tags) for person, tags in found.items()]
