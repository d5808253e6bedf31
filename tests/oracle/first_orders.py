"""What people are told apart by who have bought: by the first order of theirs that a report asks about, and by whether they had bought before.

A product is each that this order has, so that somebody may be in several rows with all that they count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import product as combinations

import msgspec

from tests.oracle.credits import Dimensions, World, fits_any, product_name
from tributary.facts.tables import OrderFact
from tributary.reports.query import Query

OF_ORDER = ("product", "konnektive_campaign", "order_type", "coupon", "customer_type")


def first_order(world: World, query: Query, person: str, since: datetime | None = None) -> OrderFact | None:
    theirs = [order for order in world.orders if order.person == person and order.sold_at is not None and order.sold_at <= query.now]
    found = [(order.sold_at, order.key, order) for order in theirs if order.sold_at is not None and (since is None or order.sold_at >= since)]
    return min(found)[2] if found else None


def without(query: Query, names: Sequence[str] = OF_ORDER) -> Query:
    """The same question, told apart and filtered by none of these."""
    return msgspec.structs.replace(
        query,
        group_by=tuple(name for name in query.group_by if name not in names),
        filters=tuple(wanted for wanted in query.filters if wanted.dimension not in names),
    )


def passes(world: World, query: Query, person: str, at: datetime, *, names: Sequence[str] = OF_ORDER, since: datetime | None = None) -> bool:
    """`at`: the moment of what is counted. `since`: when the order is looked for that tells."""
    wanted = [one for one in query.filters if one.dimension in names]
    return all(fits_any([value or "" for value in values(world, query, person, at, name=one.dimension, since=since)], one) for one in wanted)


def apart(world: World, query: Query, person: str, at: datetime, *, names: Sequence[str] = OF_ORDER, since: datetime | None = None) -> Iterator[Dimensions]:
    """Each row that somebody is in."""
    asked = [name for name in query.group_by if name in names]
    for told in combinations(*(values(world, query, person, at, name=name, since=since) for name in asked)):
        yield dict(zip(asked, told, strict=True))


def values(world: World, query: Query, person: str, at: datetime, *, name: str, since: datetime | None) -> list[str | None]:
    """At least one; None of nobody's order."""
    if name == "customer_type":
        first = first_order(world, query, person)
        return ["returning" if first is not None and first.sold_at is not None and first.sold_at < at else "new"]
    order = first_order(world, query, person, since)
    if order is None:
        return [None]
    match name:
        case "product":
            return list(dict.fromkeys(product_name(item) for item in order.items)) or [None]
        case "konnektive_campaign":
            return [order.campaign_name or order.campaign_id]
        case "order_type":
            return [order.order_type]
        case "coupon":
            return [order.coupon]
        case "connection":
            return [order.connection]
    raise LookupError(name)
