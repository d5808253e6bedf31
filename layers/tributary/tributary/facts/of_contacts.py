"""A change of a row of CONTACTS → facts: what the row says now, and what is gone with what it said before. Pure.

A fact's version is twice the revision of its row. The number between is for a row that changed its month: the old month is told, just before the new state,
that the row is not there any more, so that who reads that month alone does not see it, and who reads both sees the new one. A row that was removed (a merge
moved it) is gone at what would have been its next revision.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, TypeVar

import msgspec

from tributary.contacts import holdings
from tributary.contacts.joining import earliest, value_of
from tributary.contacts.lifetime import Balance, balances_of, bill_of, currency_of, lead_of, unit_price
from tributary.contacts.orders import Order
from tributary.contacts.properties import DEFAULT_CURRENCY, Money, moment_of
from tributary.contacts.rows import POINTER_SORT, ROOT_SORT, WEAK_SORT, Root, decode, decode_holding, decode_pointer
from tributary.contacts.subscriptions import Subscription
from tributary.contacts.tags import Tag, Tags
from tributary.contacts.versions import as_time
from tributary.contacts.weak import WeakLinks
from tributary.errors import UnreadableMessage
from tributary.facts.cleaning import Cleaner, country_of
from tributary.facts.tables import (
    TABLES,
    ContactFact,
    Fact,
    IdentityFact,
    Kind,
    Movement,
    OrderFact,
    OrderItem,
    OtherMoney,
    RateMark,
    StateMark,
    SubscriptionFact,
    TagInterval,
    TagsFact,
    WeakLinkFact,
)
from tributary.identity.digests import Digests, public_digest
from tributary.ports import RowKey
from tributary.settings import Account
from tributary.touches.touch import is_rebill

Told = tuple[Kind, Fact]
T = TypeVar("T")

ORDER_ID: Final = "order"
SUBSCRIPTION_ID: Final = "subscription"
_CONTACT: Final = "contact#"
_IDENTIFIER: Final = "identifier#"
_MERGED: Final = 1 << 40
"""Above the version of any identifier's row."""
_USUAL_INTERVAL: Final = 30
_LEAST_INTERVAL: Final = 1


class Image(NamedTuple):
    """A row as it stood."""

    revision: int
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of one row; `old` is None where it is new, `new` where it was removed."""

    key: RowKey
    old: Image | None
    new: Image | None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What of the account's settings facts depend on."""

    currency: str = DEFAULT_CURRENCY
    """Of money that nobody named a currency of."""
    report_fields: frozenset[str] = frozenset()
    """The custom fields that contacts are told with."""

    @classmethod
    def of(cls, account: Account) -> Settings:
        return cls(currency=account.reporting_currency, report_fields=frozenset(account.report_fields))


class ContactFacts(NamedTuple):
    """The facts of some changes, and how many values were left out of them, by reason."""

    rows: dict[Kind, list[Fact]]
    left_out: Counter[str]


def facts_of(changes: Iterable[Change], settings: Settings, digests: Digests) -> ContactFacts:
    """Raises `UnreadableMessage` where a row cannot be read."""
    cleaner = Cleaner(digests)
    rows: dict[Kind, list[Fact]] = {}
    for change in changes:
        for kind, fact in _told(change, settings, cleaner):
            rows.setdefault(kind, []).append(fact)
    return ContactFacts(rows, cleaner.left_out)


def _told(change: Change, settings: Settings, cleaner: Cleaner) -> list[Told]:
    """A version says all there is: what was told of the row before is only needed where it stands somewhere else, or the row is no more."""
    after = _facts(change.key, change.new, settings, cleaner) if change.new is not None else {}
    told = [(place.kind, fact) for place, fact in after.items()]
    if change.old is None:
        return told
    gone_at = 2 * (change.old.revision + 1) if change.new is None else 2 * change.new.revision - 1
    before = _facts(change.key, change.old, settings, cleaner.uncounted())
    return [(place.kind, msgspec.structs.replace(fact, version=gone_at, gone=True)) for place, fact in before.items() if place not in after] + told


class _About(NamedTuple):
    key: str
    contact: str
    version: int
    currency: str
    """Of money that nobody named a currency of."""


class _Place(NamedTuple):
    """Where a fact stands."""

    kind: Kind
    key: str
    month: str


def _facts(key: RowKey, image: Image, settings: Settings, cleaner: Cleaner) -> dict[_Place, Fact]:
    facts = _of_row(key, image, settings, cleaner)
    return {_Place(kind, fact.key, TABLES[kind].month_of(fact)): fact for kind, fact in facts}


def _of_row(key: RowKey, image: Image, settings: Settings, cleaner: Cleaner) -> list[Told]:
    version = 2 * image.revision
    if key.partition.startswith(_IDENTIFIER):
        return _of_identifier(key, image, version)
    if not key.partition.startswith(_CONTACT):
        return []
    contact = key.partition.removeprefix(_CONTACT)
    if key.sort == ROOT_SORT:
        return _of_root(contact, _read(image, lambda data: decode(data, Root)), version, settings, cleaner)
    about = _About(public_digest(*key), contact, version, settings.currency)
    match holdings.kind_of(key.sort):
        case holdings.ORDER:
            order = _of_order(_holding(key, image, Order), about, cleaner)
            return [(Kind.ORDERS, order)] if order is not None else []
        case holdings.SUBSCRIPTION:
            subscription = _of_subscription(_holding(key, image, Subscription), about, cleaner)
            return [(Kind.SUBSCRIPTIONS, subscription)] if subscription is not None else []
        case holdings.TAGS:
            tags = _intervals(_holding(key, image, Tags), cleaner)
            return [(Kind.TAGS, TagsFact(key=contact, person=contact, version=version, tags=tags))]
        case _:
            return []


def _of_identifier(key: RowKey, image: Image, version: int) -> list[Told]:
    node = key.partition.removeprefix(_IDENTIFIER)
    if key.sort == POINTER_SORT:
        return [(Kind.IDENTITIES, IdentityFact(key=node, version=version, contact=_read(image, decode_pointer)))]
    if key.sort != WEAK_SORT:
        return []
    links = _read(image, lambda data: decode(data, WeakLinks)).links
    customers = tuple(link.digest for link in links if ":" in link.kind)
    return [(Kind.WEAK_LINKS, WeakLinkFact(key=node, version=version, customers=customers))] if customers else []


def _of_root(contact: str, root: Root, version: int, settings: Settings, cleaner: Cleaner) -> list[Told]:
    """A contact that was merged is none any more: it is a node of the other. The identifier that created it is the same node, and has a row of its own that is
    moved sooner or later: what the contact says stands above it, so that it does not matter which of the two is told when."""
    if root.into is not None:
        return [(Kind.IDENTITIES, IdentityFact(key=contact, version=_MERGED + version, contact=root.into))]
    profile = root.profile
    lead = lead_of(profile)
    country = country_of(profile.traits.values())
    fields: dict[str, str] = {}
    for name, value in profile.custom_fields().items():
        if name in settings.report_fields and (text := cleaner.field(value)) is not None:
            fields[name] = text
    fact = ContactFact(
        key=contact,
        person=contact,
        version=version,
        lead_at=as_time(root.created if lead is None else lead.at),
        connection=None if lead is None else lead.source,
        last_seen_at=_time(profile.last_seen),
        country=cleaner.text(country),
        fields=fields,
    )
    return [(Kind.CONTACTS, fact)]


# ---------------------------------------------------------------- orders


def _of_order(order: Order, about: _About, cleaner: Cleaner) -> OrderFact | None:
    """None for one of which nothing is known but its id."""
    happened_at = order.sold_at if order.sold_at is not None else earliest(order.since, *_versions(order.header))
    if happened_at is None:
        return None
    named = currency_of(order, "")
    currency = named or about.currency
    balances = {balance.currency: balance for balance in balances_of(order, about.currency)}
    own = balances.pop(currency, Balance(currency=currency))
    header = order.header
    order_type, cycle = value_of(header.order_type), value_of(header.billing_cycle)
    subscription_id = value_of(header.subscription_id)
    return OrderFact(
        key=about.key,
        version=about.version,
        person=about.contact,
        connection=order.source,
        order_id=cleaner.identifier(ORDER_ID, order.order_id),
        happened_at=as_time(happened_at),
        sold_at=_time(order.sold_at),
        state=order.state,
        order_type=cleaner.text(order_type),
        billing_cycle=cycle,
        rebill=is_rebill(order_type, cycle),
        subscription_id=None if subscription_id is None else cleaner.identifier(SUBSCRIPTION_ID, subscription_id),
        campaign_id=cleaner.code(value_of(header.campaign_id)),
        campaign_name=cleaner.text(value_of(header.campaign_name)),
        affiliate_id=cleaner.code(value_of(header.affiliate_id)),
        coupon=cleaner.text(value_of(header.coupon)),
        payment_method=cleaner.text(value_of(header.payment_method)),
        currency=currency,
        currency_assumed=not named,
        gross=own.gross,
        discount=own.discount,
        tax=own.tax,
        shipping=own.shipping,
        received=own.received,
        voided=own.voided,
        refunded=own.refunded,
        charged_back=own.charged_back,
        returned=own.returned,
        items=_items(order, currency, cleaner),
        movements=_movements(order, currency, about.currency),
        others=tuple(
            OtherMoney(currency=one.currency, received=one.received, voided=one.voided, refunded=one.refunded, charged_back=one.charged_back)
            for one in balances.values()
        ),
    )


def _items(order: Order, currency: str, cleaner: Cleaner) -> tuple[OrderItem, ...]:
    items = value_of(order.header.items)
    if items is None:
        return ()
    return tuple(
        OrderItem(
            product_id=cleaner.code(item.product_id),
            sku=cleaner.code(item.sku),
            name=cleaner.text(item.name),
            quantity=item.quantity,
            amount=0 if item.price is None else unit_price(items, item.price, currency) * item.quantity,
        )
        for item in items.items
    )


def _movements(order: Order, currency: str, assumed: str) -> tuple[Movement, ...]:
    """The payments, refunds, voids and chargebacks that the order's balances are made of, the earliest first; and what was declined."""
    moved: list[Movement] = []

    def add(kind: str, at: int, amount: Money | None, billing_cycle: int | None = None) -> None:
        money = Money(0, currency) if amount is None else amount.within(currency)
        moved.append(Movement(kind=kind, happened_at=as_time(at), currency=money.currency or currency, amount=money.amount, billing_cycle=billing_cycle))

    received = {key: payment for key, payment in order.payments.kept.items() if payment.received}
    for payment in order.payments.kept.values():
        add("payment" if payment.received else "decline", payment.version[0], payment.amount, payment.billing_cycle)
    if order.sold_at is not None:
        voids = sorted((void.version, void.payment) for void in order.voids.kept.values() if void.payment in received)
        for payment_id, version in {payment_id: version for version, payment_id in reversed(voids) if payment_id is not None}.items():
            add("void", version[0], received[payment_id].amount, received[payment_id].billing_cycle)
    whole = bill_of(order, assumed)
    known = sum(one.amount.within(currency).amount for one in order.refunds.kept.values() if one.amount is not None and _is_of(one.amount, currency))
    left = 0 if whole is None else max(whole.total - known, 0)
    for refund in sorted(order.refunds.kept.values(), key=lambda one: one.version):
        if refund.amount is not None:
            add("refund", refund.version[0], refund.amount)
        else:  # of the whole order: what the others have left of it
            add("refund", refund.version[0], Money(left, currency))
            left = 0
    for payment_id, chargeback in order.chargebacks.kept.items():
        if not chargeback.reversed:
            paid = received.get(payment_id)
            amount = chargeback.amount if chargeback.amount is not None or paid is None else paid.amount
            add("chargeback", chargeback.version[0], amount, paid.billing_cycle if paid is not None else None)
    return tuple(sorted(moved, key=lambda one: (one.happened_at, one.kind, one.currency, one.amount)))


def _is_of(amount: Money, currency: str) -> bool:
    return amount.currency in (None, currency)


# ---------------------------------------------------------------- subscriptions and tags


def _of_subscription(subscription: Subscription, about: _About, cleaner: Cleaner) -> SubscriptionFact | None:
    """None for one of which nothing is known but its id."""
    terms = subscription.terms
    started_at = earliest(subscription.since, *_versions(terms))
    if started_at is None:
        return None
    price = value_of(terms.price)
    named = price.currency if price is not None else None
    currency = named or about.currency
    order_id, cancellation = value_of(terms.order_id), value_of(terms.cancellation)
    return SubscriptionFact(
        key=about.key,
        version=about.version,
        person=about.contact,
        connection=subscription.source,
        subscription_id=cleaner.identifier(SUBSCRIPTION_ID, subscription.subscription_id),
        order_id=None if order_id is None else cleaner.identifier(ORDER_ID, order_id),
        product_id=cleaner.code(value_of(terms.product_id)),
        sku=cleaner.code(value_of(terms.sku)),
        name=cleaner.text(value_of(terms.name)),
        started_at=as_time(started_at),
        trial_started_at=_time(subscription.trial_started),
        trial_converted_at=_time(subscription.trial_converted),
        trial_ends_at=_time(moment_of(value_of(terms.trial_end))),
        state=cleaner.text(subscription.state),
        cancelled_at=None if cancellation is None else as_time(cancellation.at),
        cancel_reason=None if cancellation is None else cleaner.text(cancellation.reason),
        currency=currency,
        currency_assumed=named is None,
        price=0 if price is None else price.within(currency).amount,
        quantity=_quantity(value_of(terms.quantity)),
        interval_days=_interval(value_of(terms.interval_days)),
        cycle=value_of(terms.cycle),
        states=tuple(StateMark(happened_at=as_time(mark[0]), state=cleaner.text(state) or "") for mark, state in subscription.history),
        rates=_rates(subscription, currency, started_at),
    )


def _rates(subscription: Subscription, currency: str, started_at: int) -> tuple[RateMark, ...]:
    """What it came to from when on. Each event says a part of it; what it does not say stays, and what nobody has said yet is what is said of it first. Prices
    in another currency than the last are passed over."""
    marks = [mark for mark in subscription.rates if mark.price is None or _is_of(mark.price, currency)]
    terms = subscription.terms
    price = next((mark.price for mark in marks if mark.price is not None), value_of(terms.price)) or Money(0, currency)
    quantity = next((mark.quantity for mark in marks if mark.quantity is not None), value_of(terms.quantity))
    interval = next((mark.interval_days for mark in marks if mark.interval_days is not None), value_of(terms.interval_days))
    first = RateMark(happened_at=as_time(started_at), price=price.within(currency).amount, quantity=_quantity(quantity), interval_days=_interval(interval))
    found = [first]
    for mark in marks:
        price = price if mark.price is None else mark.price
        quantity = quantity if mark.quantity is None else mark.quantity
        interval = interval if mark.interval_days is None else mark.interval_days
        rate = RateMark(
            happened_at=as_time(mark.version[0]),
            price=price.within(currency).amount,
            quantity=_quantity(quantity),
            interval_days=_interval(interval),
        )
        if msgspec.structs.replace(rate, happened_at=found[-1].happened_at) != found[-1]:
            found.append(rate)
    return tuple(found)


def _quantity(said: int | None) -> int:
    return 1 if said is None else max(said, 0)


def _interval(said: int | None) -> int:
    """Days; what is no interval is a month."""
    return _USUAL_INTERVAL if said is None or said < _LEAST_INTERVAL else said


def _intervals(tags: Tags, cleaner: Cleaner) -> tuple[TagInterval, ...]:
    found: list[TagInterval] = []
    for name, tag in sorted(tags.tags.kept.items()):
        text = cleaner.text(name)
        if text is not None:
            found += [TagInterval(tag=text, applied_at=as_time(start), removed_at=_time(end)) for start, end in _stood(tag)]
    return tuple(found)


def _stood(tag: Tag) -> list[tuple[int, int | None]]:
    """From when to when the tag stood. Of one with more changes than are kept, what was before these is taken for one time since it was first applied."""
    first = tag.marks[0][0]
    start = tag.first_applied if tag.first_applied is not None and tag.first_applied < first else None
    found: list[tuple[int, int | None]] = []
    for at, _, applied in tag.marks:
        if applied and start is None:
            start = at
        elif not applied and start is not None:
            if at > start:
                found.append((start, at))
            start = None
    return found if start is None else [*found, (start, None)]


# ---------------------------------------------------------------- reading


def _holding(key: RowKey, image: Image, kind: type[T]) -> T:
    row = _read(image, lambda data: decode_holding(key.sort, data))
    assert isinstance(row, kind)
    return row


def _read(image: Image, decoded: Callable[[bytes], T]) -> T:
    try:
        return decoded(image.data)
    except (msgspec.MsgspecError, zlib.error, UnicodeError) as error:
        raise UnreadableMessage(f"a row of CONTACTS cannot be read: {type(error).__name__}") from error


def _versions(row: msgspec.Struct) -> list[int]:
    """When each field of a row of `Said` was last said."""
    return [said.version[0] for name in row.__struct_fields__ if (said := getattr(row, name)) is not None]


def _time(moment: int | None) -> datetime | None:
    return None if moment is None else as_time(moment)
