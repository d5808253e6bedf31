"""Which rows tell of erased people: an erased node is a tombstone that every writer, reader and compaction obeys, for ever."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from typing import Final

import msgspec

from tributary.facts.tables import Fact, IdentityFact, Kind, WeakLinkFact

PERSONAL: Final = tuple(kind for kind in Kind if kind not in (Kind.AD_SPEND, Kind.RATES))
"""The kinds that tell of people."""


def without(kind: Kind, facts: Iterable[Fact], erased: Set[str]) -> Iterator[Fact]:
    """The facts that are of nobody erased. Of a visitor's links those that name somebody erased are left out."""
    if not erased or kind not in PERSONAL:
        yield from facts
        return
    for fact in facts:
        match fact:
            case IdentityFact():
                nodes = {fact.key, fact.contact}
            case WeakLinkFact():
                nodes = {fact.key}
                fact = msgspec.structs.replace(fact, customers=tuple(one for one in fact.customers if one not in erased))  # noqa: PLW2901
            case _:
                nodes = {str(getattr(fact, "person", ""))}
        if not nodes & erased:
            yield fact
