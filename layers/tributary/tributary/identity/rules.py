"""How far identifiers may be linked: priority and limits by kind, as a shop may set them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tributary.events import Event
from tributary.identity.identifiers import ANONYMOUS, EMAIL, PHONE, SPELLING, USER, Identifier, Link, Strength, link_of
from tributary.identity.phones import DEFAULT_REGION

EXTERNAL: Final = "external"
"""Stands for every kind that is not one of ours."""
_OWN_KINDS: Final = frozenset({USER, EMAIL, SPELLING, PHONE, ANONYMOUS})

TOTAL: Final = "total"
MERGES: Final = "merges"
WEAK: Final = "weak"
"""Not a limit: a hint, as from a forwarded email, that met an identifier of somebody else."""


@dataclass(frozen=True)
class Breach:
    """The limit that a link would pass: a kind, `total` or `merges`; and how many it allows."""

    limit: str
    allowed: int


def _limits() -> Mapping[str, int]:
    return {USER: 1, EMAIL: 5, SPELLING: 20, PHONE: 5, EXTERNAL: 100, ANONYMOUS: 200}


@dataclass(frozen=True)
class IdentityRules:
    """The defaults: one user id a person, where Segment's are the same; more emails and phones than anybody has; browsers for years. A contact of a thousand
    identifiers or a hundred merges is a shared device or a fault in somebody's tracking code."""

    priority: tuple[str, ...] = (USER, EMAIL, PHONE, EXTERNAL, ANONYMOUS)
    """Who stays when not all can: the first kind first."""
    limits: Mapping[str, int] = field(default_factory=_limits)
    """Identifiers of a contact by kind; `external` counts for each external kind by itself."""
    total: int = 1_000
    merges: int = 100
    default_region: str = DEFAULT_REGION
    """Whose national form a phone number without a country code has."""
    blocked: frozenset[str] = frozenset()
    """Values, in lower case, that many people share in this shop: the till's address, the call centre's phone."""

    def link_of(self, event: Event) -> Link:
        """What the event names, the strongest first, without what this shop blocks."""
        link = link_of(event, self.default_region)
        named = [identifier for identifier in link.identifiers if identifier.value.lower() not in self.blocked]
        return Link(tuple(sorted(named, key=self._rank)), link.strength)

    def breach(self, one: Mapping[str, int], other: Mapping[str, int], *, merges: int, strength: Strength) -> Breach | None:
        """What would be too many in a contact of both, given the identifiers of each by kind and the merges it would have had; None if nothing.

        Only growth breaches: what one of the two has already passed by an alias stays as it is. An alias may pass the limit of user ids, since that is what it
        says: two user ids, one person.
        """
        for kind in sorted(one.keys() | other.keys()):
            allowed = self.limits[kind if kind in _OWN_KINDS else EXTERNAL]
            if kind == USER and strength is Strength.EXPLICIT:
                continue
            if _grows_past(allowed, one.get(kind, 0), other.get(kind, 0)):
                return Breach(kind, allowed)
        if _grows_past(self.total, sum(one.values()), sum(other.values())):
            return Breach(TOTAL, self.total)
        return Breach(MERGES, self.merges) if merges > self.merges else None

    def _rank(self, identifier: Identifier) -> tuple[int, str, str]:
        kind = {SPELLING: EMAIL}.get(identifier.kind, identifier.kind if identifier.kind in _OWN_KINDS else EXTERNAL)
        return (self.priority.index(kind), identifier.kind, identifier.value)


def _grows_past(allowed: int, one: int, other: int) -> bool:
    return one + other > allowed and one > 0 and other > 0
