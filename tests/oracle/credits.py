"""What a report counts, one credit at a time: a part of an order, or of somebody becoming a lead, and the row that it belongs to.

An order is looked at as a whole: who bought it and when, which touches it may be due to, what its money comes to in the reporting currency. Then it is taken
apart: by its products where products are asked for, then among the touches of its path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from fractions import Fraction
from functools import cached_property
from typing import cast

from tests.oracle import calendar, models
from tests.oracle.money import Money, Rates, balances, exchanged
from tests.oracle.people import Rows, seen
from tributary.facts.tables import (
    ActivityFact,
    AdSpendFact,
    ContactFact,
    Kind,
    Movement,
    OrderFact,
    OrderItem,
    RateFact,
    SubscriptionFact,
    TagsFact,
    TouchFact,
)
from tributary.reports.query import DateMode, Filter, Query

TOUCH_COLUMNS = {
    "channel": "channel",
    "source": "source",
    "medium": "medium",
    "campaign": "campaign",
    "content": "content",
    "term": "term",
    "campaign_id": "campaign_id",
    "adset": "adset_id",
    "ad": "ad_id",
    "landing_page": "landing_page",
    "referrer": "referrer",
    "email_campaign": "email_campaign",
    "email_flow": "email_flow",
    "message": "email_message",
    "link": "email_link",
    "list": "email_list",
    "affiliate": "affiliate_id",
    "sub_affiliate": "sub_affiliate",
}
"""Dimension → the touch's column."""
OF_ORDERS = ("product", "konnektive_campaign", "order_type", "coupon", "customer_type")
"""Dimensions that only orders have: leads are not filtered by them."""

Dimensions = dict[str, str | None]


@dataclass(frozen=True, kw_only=True)
class Credit:
    kind: str
    """`order`, `lead`, `refund` or `spend`."""
    person: str
    of: str
    """The key of the order or contact."""
    at: datetime
    """What puts it into its period."""
    currency: str
    dimensions: Dimensions
    touched: bool
    """Whether a touch is known."""
    share: Fraction
    """Of one order or lead; nothing of what moved for an order in a currency that is not its own and has no rate."""
    money: Mapping[str, int]
    touch: str | None = None
    order: OrderFact | None = None
    items: int = 0
    """How many things of the order are in it."""


@dataclass(frozen=True)
class World:
    """All facts of a shop, as they were written."""

    rows: Rows

    @cached_property
    def seen(self) -> Rows:
        return seen(self.rows)

    @cached_property
    def touches(self) -> dict[str, list[TouchFact]]:
        found: dict[str, list[TouchFact]] = {}
        for touch in cast("Sequence[TouchFact]", self.seen.get(Kind.TOUCHES, ())):
            found.setdefault(touch.person, []).append(touch)
        return found

    @cached_property
    def orders(self) -> list[OrderFact]:
        return list(cast("Sequence[OrderFact]", self.seen.get(Kind.ORDERS, ())))

    @cached_property
    def contacts(self) -> dict[str, ContactFact]:
        return {row.person: row for row in cast("Sequence[ContactFact]", self.seen.get(Kind.CONTACTS, ()))}

    @cached_property
    def tags(self) -> dict[str, TagsFact]:
        return {row.person: row for row in cast("Sequence[TagsFact]", self.seen.get(Kind.TAGS, ()))}

    @cached_property
    def subscriptions(self) -> list[SubscriptionFact]:
        return list(cast("Sequence[SubscriptionFact]", self.seen.get(Kind.SUBSCRIPTIONS, ())))

    @cached_property
    def activities(self) -> list[ActivityFact]:
        return list(cast("Sequence[ActivityFact]", self.seen.get(Kind.ACTIVITIES, ())))

    @cached_property
    def spend(self) -> list[AdSpendFact]:
        return list(cast("Sequence[AdSpendFact]", self.seen.get(Kind.AD_SPEND, ())))

    @cached_property
    def rates(self) -> Rates:
        return Rates(cast("Sequence[RateFact]", self.seen.get(Kind.RATES, ())))

    @cached_property
    def first_sales(self) -> dict[str, str]:
        """Person → the key of the first order that they ever paid."""
        found: dict[str, str] = {}
        for order in sorted((order for order in self.orders if order.sold_at is not None), key=lambda order: (order.sold_at, order.key)):
            found.setdefault(order.person, order.key)
        return found

    def touches_until(self, moment: datetime, person: str) -> list[TouchFact]:
        return [touch for touch in self.touches.get(person, ()) if touch.happened_at <= moment]

    def lead_at(self, person: str) -> datetime | None:
        return self.contacts[person].lead_at if person in self.contacts else None


def sales(world: World, query: Query, *, grouped: bool = True) -> list[Credit]:
    """Every credit for orders that the query asks for. Not `grouped`: for its totals, where nothing is told apart and so nothing stands twice."""
    return [
        credit
        for order in world.orders
        if order.sold_at is not None and order.sold_at <= query.now
        for credit in credits_of(world, query, Conversion.of_order(world, query, order), grouped=grouped)
    ]


def leads(world: World, query: Query, *, grouped: bool = True) -> list[Credit]:
    """The same for people who became leads."""
    return [
        credit
        for contact in world.contacts.values()
        if contact.lead_at <= query.now
        for credit in credits_of(world, query, Conversion.of_lead(world, query, contact), grouped=grouped)
    ]


def refunds(world: World, query: Query, *, grouped: bool = True) -> list[Credit]:
    """The same for what was refunded, each time at its own: of orders that were sold or not."""
    return [
        credit
        for order in world.orders
        for number, movement in enumerate(order.movements)
        if movement.kind == "refund" and movement.happened_at <= query.now
        for credit in credits_of(world, query, Conversion.of_refund(world, query, order, movement, number), grouped=grouped)
    ]


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What may be credited to touches."""

    kind: str
    key: str
    person: str
    at: datetime
    path: Sequence[TouchFact]
    lead_at: datetime | None
    money: Sequence[tuple[str, Mapping[str, int]]]
    """By currency, in the reporting one where there is a rate; its own first."""
    order: OrderFact | None = None

    @classmethod
    def of_order(cls, world: World, query: Query, order: OrderFact) -> Conversion:
        assert order.sold_at is not None
        money = in_reporting_currency(world, query, order, calendar.local(order.sold_at, query.time_zone).date())
        return cls(
            kind="order",
            key=order.key,
            person=order.person,
            at=order.sold_at,
            path=path_to(world, query, order.person, _origin(world, query, order)),
            lead_at=world.lead_at(order.person),
            money=[(currency, money_figures(amounts, query)) for currency, amounts in money],
            order=order,
        )

    @classmethod
    def of_refund(cls, world: World, query: Query, order: OrderFact, refund: Movement, number: int) -> Conversion:
        """It is due to what its order is due to, and exchanged as of that order's day."""
        currency = refund.currency
        day = calendar.local(order.sold_at or order.happened_at, query.time_zone).date()
        amount = world.rates.exchanged(refund.amount, day, currency, query.currency)
        told = (currency, refund.amount) if amount is None else (query.currency, amount)
        return cls(
            kind="refund",
            key=f"{order.key}/{number}",
            person=order.person,
            at=refund.happened_at,
            path=path_to(world, query, order.person, _origin(world, query, order)),
            lead_at=world.lead_at(order.person),
            money=[(told[0], {"refunds_by_date": told[1]})],
            order=order,
        )

    @classmethod
    def of_lead(cls, world: World, query: Query, contact: ContactFact) -> Conversion:
        return cls(
            kind="lead",
            key=contact.person,
            person=contact.person,
            at=contact.lead_at,
            path=path_to(world, query, contact.person, contact.lead_at),
            lead_at=contact.lead_at,
            money=[(query.currency, {})],
        )


def in_reporting_currency(world: World, query: Query, order: OrderFact, day: date) -> list[tuple[str, Money]]:
    """What moved for the order by currency: what has a rate together, in the query's."""
    found: dict[str, Money] = {}
    for currency, money in balances(order):
        changed = exchanged(money, world.rates, day, currency, query.currency)
        code, amounts = (currency, money) if changed is None else (query.currency, changed)
        found[code] = found[code].plus(amounts) if code in found else amounts
    return list(found.items())


def money_figures(money: Money, query: Query) -> dict[str, int]:
    """Each amount that a report may show, to be split for itself."""
    return {
        "gross_revenue": money.gross,
        "discounts": money.discount,
        "tax": money.tax,
        "shipping": money.shipping,
        "refunds": money.refunded,
        "chargebacks": money.charged_back,
        "voids": money.voided,
        "net_revenue": money.net(include_tax=query.include_tax, include_shipping=query.include_shipping),
        "sales_revenue": money.sales,
        "collected_revenue": money.collected,
    }


def fits(value: str | None, wanted: Filter) -> bool:
    """Whether a value passes a filter. One that is not there is the empty one."""
    return fits_any([value or ""], wanted)


def uses(query: Query, dimension: str) -> bool:
    return dimension in query.group_by or any(wanted.dimension == dimension for wanted in query.filters)


def needs_touches(query: Query) -> bool:
    return query.date_mode is DateMode.TOUCH_DATE or any(uses(query, dimension) for dimension in TOUCH_COLUMNS)


def tags_at(world: World, person: str, moment: datetime) -> list[str]:
    rows = world.tags[person].tags if person in world.tags else ()
    return sorted({row.tag for row in rows if row.applied_at <= moment and (row.removed_at is None or moment < row.removed_at)})


def path_to(world: World, query: Query, person: str, until: datetime) -> list[TouchFact]:
    """The touches that led somebody to a moment, as far as the query looks back."""
    return models.path_of(world.touches_until(query.now, person), until, query.lookback_days)


def credits_of(world: World, query: Query, conversion: Conversion, *, grouped: bool) -> Iterator[Credit]:
    """What of a conversion belongs to which row, if it is asked for at all."""
    if query.date_mode is DateMode.CONVERSION_DATE and not _in_range(conversion.at, query):
        return
    if query.date_mode is DateMode.LEAD_DATE and (conversion.lead_at is None or not _in_range(conversion.lead_at, query)):
        return
    later = (*TOUCH_COLUMNS, *(OF_ORDERS if conversion.order is None else ()))
    asked = [wanted for wanted in query.filters if wanted.dimension not in later]
    if any(not fits_any(_many(world, conversion, wanted.dimension), wanted) for wanted in asked):
        return
    if not grouped or "tag" not in query.group_by:
        yield from _by_product(world, query, conversion, grouped=grouped)
        return
    tags: list[str | None] = [*tags_at(world, conversion.person, conversion.at)]
    for tag in tags or [None]:
        for credit in _by_product(world, query, conversion, grouped=True):
            yield replace(credit, dimensions={**credit.dimensions, "tag": tag})


def _origin(world: World, query: Query, order: OrderFact) -> datetime:
    """The moment whose touches an order is due to: its own, or that of the order that its subscription began with, if that was no later."""
    own = order.sold_at if order.sold_at is not None else order.happened_at
    if not order.rebill or order.subscription_id is None or query.rebill_credit == "own":
        return own
    named = [
        subscription.order_id
        for subscription in world.subscriptions
        if (subscription.connection, subscription.subscription_id) == (order.connection, order.subscription_id)
    ]
    here = [one for one in world.orders if one.connection == order.connection and one.sold_at is not None]
    began = [one for one in here if one.order_id in named] or [one for one in here if one.subscription_id == order.subscription_id]
    return min(own, min((one.sold_at for one in began if one.sold_at is not None), default=own))


def _by_product(world: World, query: Query, conversion: Conversion, *, grouped: bool) -> Iterator[Credit]:
    """By currency and product, then by touch."""
    of_order = [name for name in query.group_by if name not in (*TOUCH_COLUMNS, "tag", "product")] if grouped else []
    of_touch = [name for name in query.group_by if name in TOUCH_COLUMNS] if grouped else []
    by_product = grouped and "product" in query.group_by
    dimensions = {name: _one(world, conversion, name) for name in of_order}
    for currency, money in conversion.money:
        own = currency == conversion.money[0][0]
        for of_product, part, items in _products(query, conversion.order, money):
            for touch, share, amounts in _by_touch(query, conversion, part, grouped=grouped):
                yield Credit(
                    kind=conversion.kind,
                    person=conversion.person,
                    of=conversion.key,
                    at=_dated(query, conversion, touch),
                    currency=currency,
                    dimensions={**dimensions, **(of_product if by_product else {}), **{name: _of_touch(touch, name) for name in of_touch}},
                    touched=touch is not None or not needs_touches(query),
                    share=share if own else Fraction(),
                    money=amounts,
                    touch=touch.key if touch is not None else None,
                    order=conversion.order,
                    items=items if own else 0,
                )


def _dated(query: Query, conversion: Conversion, touch: TouchFact | None) -> datetime:
    """What puts a credit into its period."""
    if query.date_mode is DateMode.TOUCH_DATE and touch is not None:
        return touch.happened_at
    if query.date_mode is DateMode.LEAD_DATE and conversion.lead_at is not None:
        return conversion.lead_at
    return conversion.at


def _by_touch(
    query: Query, conversion: Conversion, figures: Mapping[str, int], *, grouped: bool
) -> Iterator[tuple[TouchFact | None, Fraction, dict[str, int]]]:
    """The touches that get credit and are asked for, and what of the figures."""
    if not needs_touches(query):
        yield None, Fraction(1), dict(figures)
        return
    wanted = [one for one in query.filters if one.dimension in TOUCH_COLUMNS]
    if not conversion.path:
        if all(fits(None, one) for one in wanted) and (query.date_mode is not DateMode.TOUCH_DATE or _in_range(conversion.at, query)):
            yield None, Fraction(1), dict(figures)
        return
    parts = models.weights(query.model, conversion.path, lead_at=conversion.lead_at, half_life_days=query.half_life_days)
    overlapping = query.model in models.OVERLAPPING
    shares = {name: [value * int(part) for part in parts] if overlapping else models.split(value, parts) for name, value in figures.items()}
    told = set()
    for number, (touch, part) in enumerate(zip(conversion.path, parts, strict=True)):
        if not part or (query.date_mode is DateMode.TOUCH_DATE and not _in_range(touch.happened_at, query)):
            continue
        if not all(fits(_of_touch(touch, one.dimension), one) for one in wanted):
            continue
        if overlapping:
            row = _row_of_touch(query, touch) if grouped else ()
            if row in told:
                continue
            told.add(row)
        yield touch, part, {name: amounts[number] for name, amounts in shares.items()}


def _row_of_touch(query: Query, touch: TouchFact) -> tuple[str | None, ...]:
    """What of a row's name comes from the touch: where touches overlap, each row is told once."""
    found = [_of_touch(touch, name) for name in query.group_by if name in TOUCH_COLUMNS]
    if query.scale is not None and query.date_mode is DateMode.TOUCH_DATE:
        found.append(calendar.period(touch.happened_at, query.scale, query.time_zone))
    return tuple(found)


def _products(query: Query, order: OrderFact | None, figures: Mapping[str, int]) -> Iterator[tuple[Dimensions, dict[str, int], int]]:
    """Where products are rows each item's name, its part of the figures by what it costs, and how many it is; else all at once."""
    items = order.items if order is not None else ()
    if "product" not in query.group_by or not items:
        yield {"product": None}, dict(figures), sum(item.quantity for item in items)
        return
    total = sum(item.amount for item in items)
    parts = [Fraction(item.amount, total) if total else Fraction(1, len(items)) for item in items]
    shares = {name: models.split(value, parts) for name, value in figures.items()}
    for number, item in enumerate(items):
        yield {"product": product_name(item)}, {name: amounts[number] for name, amounts in shares.items()}, item.quantity


def product_name(item: OrderItem) -> str | None:
    return item.name or item.sku or item.product_id


def _many(world: World, conversion: Conversion, dimension: str) -> list[str]:
    """All values of a dimension that a conversion has; the empty one if none."""
    if dimension == "product":
        return [product_name(item) or "" for item in conversion.order.items] or [""] if conversion.order is not None else [""]
    if dimension == "tag":
        return list(tags_at(world, conversion.person, conversion.at)) or [""]
    return [_one(world, conversion, dimension) or ""]


def _one(world: World, conversion: Conversion, dimension: str) -> str | None:
    """The value of a dimension of the order or its person."""
    order = conversion.order
    contact = world.contacts.get(conversion.person)
    if dimension == "country":
        return contact.country if contact is not None else None
    if dimension.startswith("field:"):
        return contact.fields.get(dimension.removeprefix("field:")) if contact is not None else None
    if dimension == "connection":
        return order.connection if order is not None else contact.connection if contact is not None else None
    if order is None:
        return None
    match dimension:
        case "konnektive_campaign":
            return order.campaign_name or order.campaign_id
        case "order_type":
            return order.order_type
        case "coupon":
            return order.coupon
        case "customer_type":
            return "new" if world.first_sales.get(order.person) == order.key else "returning"
    raise LookupError(dimension)


def fits_any(values: Sequence[str], wanted: Filter) -> bool:
    match wanted.op:
        case "is":
            return any(value in wanted.values for value in values)
        case "is_not":
            return not any(value in wanted.values for value in values)
        case "contains":
            return any(part in value for value in values for part in wanted.values)
        case "not_contains":
            return not any(part in value for value in values for part in wanted.values)
        case "starts_with":
            return any(value.startswith(part) for value in values for part in wanted.values)


def _of_touch(touch: TouchFact | None, dimension: str) -> str | None:
    found: str | None = getattr(touch, TOUCH_COLUMNS[dimension]) if touch is not None else None
    return found


def _in_range(moment: datetime, query: Query) -> bool:
    return query.range.start <= moment < query.range.end
