"""Holdings: what a contact has in rows of its own, beside its root. Memberships, orders, subscriptions and tags.

An event contributes to few of them, often none. Two rows of one holding join: commutative, associative, and the same again for what is already in. That is all
that resolve, a merge, a reader and a rebuild need to know of them. A kind to come is a line in `KINDS` and one in `holdings_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from tributary.contacts import groups, orders, subscriptions, tags
from tributary.contacts.groups import Membership
from tributary.contacts.orders import Order
from tributary.contacts.subscriptions import Subscription
from tributary.contacts.tags import Tags
from tributary.events import Event, Group, Identify
from tributary.identity.digests import Digests
from tributary.identity.identifiers import Identifier, is_usable

GROUP: Final = "group"
ORDER: Final = "order"
SUBSCRIPTION: Final = "subscription"
TAGS: Final = "tags"

R = TypeVar("R", bound=msgspec.Struct)


@dataclass(frozen=True)
class Kind(Generic[R]):
    row: type[R]
    joined: Callable[[R, R], R]


KINDS: Final[Mapping[str, Kind[Any]]] = {
    GROUP: Kind(Membership, groups.joined),
    ORDER: Kind(Order, orders.joined),
    SUBSCRIPTION: Kind(Subscription, subscriptions.joined),
    TAGS: Kind(Tags, tags.joined),
}


class Holding(NamedTuple):
    """What one event says of one holding."""

    kind: str
    name: str | None
    """Which of its kind; None where a contact has one only."""
    row: msgspec.Struct


Held = dict[str, msgspec.Struct]
"""By sort key."""


def holdings_of(event: Event) -> list[Holding]:
    """All that one event says of holdings."""
    found: list[Holding] = []
    if isinstance(event, Group) and is_usable(event.group_id):
        found.append(Holding(GROUP, event.group_id, groups.membership_of(event)))
    if (order := orders.order_of(event)) is not None:
        found.append(Holding(ORDER, f"{order.source}#{order.order_id}", order))
    if (subscription := subscriptions.subscription_of(event)) is not None:
        found.append(Holding(SUBSCRIPTION, f"{subscription.source}#{subscription.subscription_id}", subscription))
    if (tagged := tags.tags_of(event)) is not None:
        found.append(Holding(TAGS, None, tagged))
    return found


def tells_of_a_person(event: Event) -> bool:
    """Whether it says something of its person even where it names nothing but a browser. A page view does not."""
    return isinstance(event, Identify | Group) or bool(holdings_of(event))


def take(held: Held, event: Event, digests: Digests) -> None:
    """Add what an event says to what is held."""
    take_all(held, ((kind if name is None else f"{kind}#{digests.of(Identifier(kind, name))}", row) for kind, name, row in holdings_of(event)))


def take_all(held: Held, rows: Iterable[tuple[str, msgspec.Struct]]) -> None:
    for sort, row in rows:
        held[sort] = joined(sort, held[sort], row) if sort in held else row


def is_holding(sort: str) -> bool:
    return kind_of(sort) in KINDS


def kind_of(sort: str) -> str:
    return sort.partition("#")[0]


def joined(sort: str, one: msgspec.Struct, other: msgspec.Struct) -> msgspec.Struct:
    together: msgspec.Struct = KINDS[kind_of(sort)].joined(one, other)
    return together
