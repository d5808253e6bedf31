"""What a stream of CONTACTS brings, and what readers make of the facts that are told of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tests.kit.contacts import DIGESTS, UNLIMITED, MemoryContacts, World, resolver
from tributary.facts.of_contacts import Change, Image, Settings, facts_of
from tributary.facts.tables import TABLES, Fact, IdentityFact, Kind, WeakLinkFact
from tributary.identity.rules import IdentityRules
from tributary.ports import ContactRow, RemoveRow, WriteRow

SETTINGS = Settings(currency="USD", report_fields=frozenset({"plan", "deck"}))


class StreamedContacts(MemoryContacts):
    """`ContactStore` that keeps its changes, in order, with both images."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[Change] = []

    def commit(self, changes: Sequence[WriteRow | RemoveRow]) -> None:
        before = {change.key: self.stored.get(change.key) for change in changes}
        super().commit(changes)
        self.changes += [Change(key=change.key, old=_image(before[change.key]), new=_image(self.stored.get(change.key))) for change in changes]


class StreamedWorld(World):
    """A world whose contacts keep their changes."""

    def __init__(self, rules: IdentityRules = UNLIMITED) -> None:
        super().__init__(rules)
        self.streamed = StreamedContacts()
        self.contacts = self.streamed
        self.resolver = resolver(self.contacts, self.log, rules=rules)

    def facts(self, settings: Settings = SETTINGS) -> dict[Kind, list[Fact]]:
        """What readers see of all that was told."""
        return newest([facts_of(self.streamed.changes, settings, DIGESTS).rows])


class _Place(NamedTuple):
    kind: Kind
    key: str
    month: str | None


def newest(told: Iterable[Mapping[Kind, Sequence[Fact]]], *, by_month: bool = False) -> dict[Kind, list[Fact]]:
    """Of rows with one key the newest, none that is gone; `by_month`: as who reads one month alone sees them."""
    kept: dict[_Place, Fact] = {}
    for rows in told:
        for kind, facts in rows.items():
            for fact in facts:
                place = _Place(kind, fact.key, TABLES[kind].month_of(fact) if by_month else None)
                there = kept.get(place)
                assert there is None or there.version != fact.version or there == fact, "two rows of one version differ"
                if there is None or there.version < fact.version:
                    kept[place] = fact
    seen: dict[Kind, list[Fact]] = {}
    for place in sorted(kept, key=lambda place: (place.kind, place.key, place.month or "")):
        if not kept[place].gone:
            seen.setdefault(place.kind, []).append(kept[place])
    return seen


def standing(contacts: MemoryContacts, settings: Settings = SETTINGS) -> dict[Kind, list[Fact]]:
    """The facts of CONTACTS as it stands."""
    changes = [Change(key=key, old=None, new=_image(row)) for key, row in contacts.stored.items()]
    return newest([facts_of(changes, settings, DIGESTS).rows])


def contact_of(facts: Mapping[Kind, Sequence[Fact]], node: str) -> str:
    """The person of a node: identities followed to a contact that is in no other; of a visitor whom nothing identifies, the first of the customers whose links
    they opened that is known; else the node itself."""
    into = {fact.key: fact.contact for fact in facts.get(Kind.IDENTITIES, []) if isinstance(fact, IdentityFact)}
    links = {fact.key: fact.customers for fact in facts.get(Kind.WEAK_LINKS, []) if isinstance(fact, WeakLinkFact)}
    if node not in into:
        node = next((customer for customer in links.get(node, ()) if customer in into), node)
    while node in into and into[node] != node:
        node = into[node]
    return node


def _image(row: ContactRow | None) -> Image | None:
    return None if row is None else Image(row.revision, row.data)
