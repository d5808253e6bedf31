"""A row of the API and what was known of it → what has changed, and the events that say so. The face that the sync uses.

The rule: a record's state is a digest of the fields that mean something. A row whose digest is known changes nothing, however often it is read; another digest
is another state with the next counter, so that A → B → A is three. `docs/vendors/konnektive.md` lists the fields and the events.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from tributary.sources.konnektive import customers, orders, purchases, transactions
from tributary.sources.konnektive import reading as read
from tributary.sources.konnektive.building import (
    ID_FIELDS,
    NO_DAY,
    Change,
    Happened,
    Kind,
    Meaning,
    Place,
    Reading,
    Record,
    RecordState,
    digest_of,
    events_of,
)

__all__ = ["KINDS", "Change", "Kind", "Place", "Reading", "RecordState", "change_of", "place_of"]

KINDS: Final = {"customers": Kind.CUSTOMER, "orders": Kind.ORDER, "transactions": Kind.TRANSACTION, "purchases": Kind.PURCHASE}
"""Stream → the kind of its records."""


class _Behaviour(NamedTuple):
    meaning: Callable[[Record], Meaning]
    happened: Callable[[Record, Meaning], list[Happened]]


_BEHAVIOURS: Final = {
    Kind.CUSTOMER: _Behaviour(customers.meaning, customers.happened),
    Kind.ORDER: _Behaviour(orders.meaning, orders.happened),
    Kind.TRANSACTION: _Behaviour(transactions.meaning, transactions.happened),
    Kind.PURCHASE: _Behaviour(purchases.meaning, purchases.happened),
}


def place_of(kind: Kind, row: read.Row) -> Place:
    """Where the record's state stands. Raises `RowUnreadable` for a row without an id or with an unreadable date of creation."""
    id_field = ID_FIELDS[kind]
    created = read.local_text(row, "dateCreated")
    return Place(kind, NO_DAY if created is None else created[:10], read.required_id(row, id_field))


def change_of(kind: Kind, row: read.Row, before: RecordState | None, reading: Reading) -> Change | None:
    """What a row changes; None if nothing that means something. Raises `RowUnreadable` naming the field that cannot be read.

    The same row and state give the same events with the same ids, whenever. A row that is older than what is known (a page read before a newer one) is passed
    over.
    """
    record = Record(place_of(kind, row), row, before, reading)
    if record.is_stale:
        return None
    behaviour = _BEHAVIOURS[kind]
    meaning = behaviour.meaning(record)
    digest = digest_of(meaning.says, reading.key)
    if before is not None and before.digest == digest:
        return None
    facts = meaning.facts if record.updated_text is None else {**meaning.facts, "updated": record.updated_text}
    return Change(record.place, RecordState(digest, record.counter, facts), events_of(record, behaviour.happened(record, meaning)))
