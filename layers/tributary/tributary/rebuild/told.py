"""What a generation of FACTS says, in a form in which two can be compared: of each kind and month, how many rows there are and a sum over their content.

A contact's id and a row's version may differ between two that say the same; so a contact goes by its name (`people.py`), and versions are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from tributary.facts.tables import TABLES, Kind, Months, Needs, Table
from tributary.ports import Relations

COMPARED: Final = (Kind.TOUCHES, Kind.ACTIVITIES, Kind.ORDERS, Kind.SUBSCRIPTIONS, Kind.CONTACTS, Kind.TAGS)
"""What follows from events. Who is who is compared in CONTACTS itself, and shows in every person here."""
NEEDS: Final[Needs] = {kind: Months() for kind in COMPARED}

_OF_CONTACTS: Final = (Kind.CONTACTS, Kind.TAGS)
"""Their key is the contact's id."""


class Sum(NamedTuple):
    rows: int
    content: int


Told = dict[tuple[Kind, str], Sum]


def told(relations: Relations, names: Mapping[str, str]) -> Told:
    """By kind and month. `names`: contact → name. Raises `ReportTooLarge`."""
    named = [[*names], [*names.values()]]
    return {(kind, month): Sum(rows, int(content)) for kind in COMPARED for month, rows, content in relations.rows(statement(kind), named)}


def statement(kind: Kind) -> str:
    """Month, rows and sum of content of a kind, by month. Its parameters: contacts, and a name of each."""
    table = TABLES[kind]
    month = f"strftime(f.{table.month}, '%Y-%m')" if table.month else "'all'"
    content = ", ".join(["coalesce(n.name, f.person)", *_content(kind, table)])
    return (
        "WITH named AS (SELECT unnest(?::UUID[]) AS contact, unnest(?::UUID[]) AS name) "
        f"SELECT {month} AS month, count(*), sum(hash({content})::HUGEINT) FROM {kind} f LEFT JOIN named n ON n.contact = f.person GROUP BY 1 ORDER BY 1"
    )


def _content(kind: Kind, table: Table) -> list[str]:
    left_out = {"version", "gone", "person"} | ({"key"} if kind in _OF_CONTACTS else set())
    # Two maps that hold the same are told apart by the order in which it was put there.
    return [f"list_sort(map_entries(f.{name}))" if of.startswith("MAP") else f"f.{name}" for name, of in table.columns.items() if name not in left_out]


def different(one: Mapping[tuple[Kind, str], Sum], other: Mapping[tuple[Kind, str], Sum]) -> dict[tuple[Kind, str], tuple[Sum | None, Sum | None]]:
    """Where two say different things, and what."""
    return {place: (one.get(place), other.get(place)) for place in sorted(one.keys() | other.keys()) if one.get(place) != other.get(place)}
