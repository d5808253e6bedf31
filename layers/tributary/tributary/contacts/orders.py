"""Orders: what was bought, what was paid, and what was given back.

An order is one of its source: the same order named by two sources is two. Its header is what events last said of each field; payments, refunds, voids and
chargebacks stand by their own ids. So a refund may come before its order, and nothing counts twice.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tributary.contacts import properties as read
from tributary.contacts.joining import MAX_HISTORY, Keyed, Mark, Said, earliest, fields_joined, keyed_joined, later, newest
from tributary.contacts.properties import Money
from tributary.contacts.versions import Version, short_id, version_of
from tributary.events import Event, Json, Track

MAX_ITEMS: Final = 100
"""Of one event, the first in its list."""
MAX_PAYMENTS: Final = 100
"""And refunds, voids and chargebacks, of each: of more, those stay that come first by id. With every text and id as long as may be, a row then has 300 KB, and
DynamoDB takes 400 KB."""

STARTED: Final = "started"
COMPLETED: Final = "completed"
DECLINED: Final = "declined"
CANCELLED: Final = "cancelled"
SHIPPED: Final = "shipped"
DELIVERED: Final = "delivered"
REFUNDED: Final = "refunded"
FULFILMENT: Final = frozenset({SHIPPED, DELIVERED})

_STATES: Final = {
    "Checkout Started": STARTED,
    "Order Completed": COMPLETED,
    "Order Declined": DECLINED,
    "Order Cancelled": CANCELLED,
    "Order Shipped": SHIPPED,
    "Order Delivered": DELIVERED,
    "Order Refunded": REFUNDED,
}
_TELL_THE_HEADER: Final = frozenset({"Checkout Started", "Order Completed", "Order Updated", "Order Declined", "Order Cancelled"})
_TEXTS: Final = (
    "status",
    "order_type",
    "subscription_id",
    "campaign_id",
    "campaign_name",
    "affiliate_id",
    "affiliation",
    "coupon",
    "payment_method",
    "reason",
)
_MONEY: Final = frozenset({"Payment Received", "Payment Declined", "Payment Voided", "Chargeback Received", "Chargeback Reversed"})
_EVENTS: Final = _TELL_THE_HEADER | _MONEY | _STATES.keys()


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


class Amounts(_Part, frozen=True, kw_only=True):
    """What one event says the order comes to; all of one currency, in its minor units (in ten-thousandths without one)."""

    currency: str | None = None
    total: int | None = None
    """What the customer pays."""
    subtotal: int | None = None
    revenue: int | None = None
    """Without tax and shipping."""
    discount: int | None = None
    tax: int | None = None
    shipping: int | None = None


class Item(_Part, frozen=True, kw_only=True):
    product_id: str | None = None
    sku: str | None = None
    name: str | None = None
    quantity: int = 1
    price: int | None = None
    """Of one, in the unit of `Items.currency`."""


class Items(_Part, frozen=True, kw_only=True):
    currency: str | None = None
    items: tuple[Item, ...] = ()
    more: int = 0
    """Items of the event beyond the first 100."""


class Header(_Part, frozen=True, kw_only=True):
    """What events last said of the order, field by field."""

    number: Said[str] | None = None
    status: Said[str] | None = None
    """The source's own word."""
    order_type: Said[str] | None = None
    billing_cycle: Said[int] | None = None
    subscription_id: Said[str] | None = None
    campaign_id: Said[str] | None = None
    campaign_name: Said[str] | None = None
    affiliate_id: Said[str] | None = None
    affiliation: Said[str] | None = None
    coupon: Said[str] | None = None
    payment_method: Said[str] | None = None
    reason: Said[str] | None = None
    """Why it was declined or cancelled."""
    amounts: Said[Amounts] | None = None
    items: Said[Items] | None = None


class Payment(_Part, frozen=True, kw_only=True):
    """A payment, or one that was refused."""

    version: Version
    received: bool
    amount: Money | None = None
    method: str | None = None
    billing_cycle: int | None = None
    reason: str | None = None


class Refund(_Part, frozen=True, kw_only=True):
    version: Version
    amount: Money | None = None
    """None: of the whole order."""
    payment: str | None = None
    reason: str | None = None


class Void(_Part, frozen=True, kw_only=True):
    version: Version
    amount: Money | None = None
    payment: str | None = None


class Chargeback(_Part, frozen=True, kw_only=True):
    version: Version
    reversed: bool = False
    amount: Money | None = None
    reason: str | None = None


class Order(_Part, frozen=True, kw_only=True):
    source: str
    order_id: str
    started: int | None = None
    """When its checkout was first started."""
    completed: int | None = None
    """When it was first completed."""
    paid_apart: bool = False
    """Its source tells each payment: it comes to what came in, and without a payment it is no sale."""
    header: Header = Header()
    payments: Keyed[Payment] = Keyed()
    """By transaction id."""
    refunds: Keyed[Refund] = Keyed()
    voids: Keyed[Void] = Keyed()
    chargebacks: Keyed[Chargeback] = Keyed()
    """By the transaction id of the payment that is charged back."""
    history: tuple[Mark, ...] = ()
    """States, the oldest first."""

    @property
    def state(self) -> str | None:
        """Its last state; what became of the parcel and of the money apart. None: nothing but money was heard of."""
        return next((state for _, state in reversed(self.history) if state not in FULFILMENT and state != REFUNDED), None)

    @property
    def fulfilment(self) -> str | None:
        return next((state for _, state in reversed(self.history) if state in FULFILMENT), None)

    @property
    def since(self) -> int | None:
        """The earliest that is known of it."""
        money = (self.payments.kept, self.refunds.kept, self.voids.kept, self.chargebacks.kept)
        return earliest(
            self.started, self.completed, *(version[0] for version, _ in self.history), *(one.version[0] for kept in money for one in kept.values())
        )

    @property
    def received(self) -> dict[str, Payment]:
        """Payments that came in and were not voided."""
        voided = {void.payment for void in self.voids.kept.values()}
        return {key: payment for key, payment in self.payments.kept.items() if payment.received and key not in voided}

    @property
    def sold_at(self) -> int | None:
        """When it became a sale: first completed or, where nobody says so, first paid. None for a lead or a declined order, and for one whose source tells
        payments and told none. A sale that is cancelled, voided or refunded later was one all the same."""
        if self.paid_apart and not any(payment.received for payment in self.payments.kept.values()):
            return None
        return self.completed if self.completed is not None else earliest(*(payment.version[0] for payment in self.received.values()))

    @property
    def beyond(self) -> int:
        """How many payments, refunds, voids and chargebacks are not kept, counted up to 50 of each."""
        return sum(len(keyed.beyond) for keyed in (self.payments, self.refunds, self.voids, self.chargebacks))


def order_of(event: Event) -> Order | None:
    """What one event says of an order; None if it names none."""
    if not isinstance(event, Track) or event.event not in _EVENTS:
        return None
    said = event.properties
    order_id = read.identifier(said, "order_id")
    if order_id is None:
        return None
    version = version_of(event)
    state = _STATES.get(event.event)
    return Order(
        source=event.source,
        order_id=order_id,
        started=version[0] if state == STARTED else None,
        completed=version[0] if state == COMPLETED else None,
        paid_apart=event.context.get("payments") == "told",
        header=_header(said, version) if event.event in _TELL_THE_HEADER else Header(),
        history=() if state is None else ((version, state),),
        **_money(event.event, said, version),
    )


def joined(one: Order, other: Order) -> Order:
    """Both together; of one order. Commutative, associative, and the same again for what is already in."""
    return Order(
        source=one.source,
        order_id=one.order_id,
        started=earliest(one.started, other.started),
        completed=earliest(one.completed, other.completed),
        paid_apart=one.paid_apart or other.paid_apart,
        header=fields_joined(one.header, other.header),
        payments=keyed_joined(one.payments, other.payments, MAX_PAYMENTS, later),
        refunds=keyed_joined(one.refunds, other.refunds, MAX_PAYMENTS, later),
        voids=keyed_joined(one.voids, other.voids, MAX_PAYMENTS, later),
        chargebacks=keyed_joined(one.chargebacks, other.chargebacks, MAX_PAYMENTS, later),
        history=newest(one.history, other.history, MAX_HISTORY),
    )


def _header(said: Json, version: Version) -> Header:
    found: dict[str, Any] = {
        "number": read.text(said, "order_number"),
        "billing_cycle": read.whole(said, "billing_cycle"),
        "amounts": _amounts(said),
        "items": _items(said),
        **{name: read.text(said, name) for name in _TEXTS},
    }
    return Header(**{name: Said(version, value) for name, value in found.items() if value is not None})


def _amounts(said: Json) -> Amounts | None:
    """An event that says what the order comes to says all of it; one that only mentions tax, say, says nothing of the money."""
    code = read.currency(said)
    total, subtotal, revenue = (read.amount(said, name, code) for name in ("total", "subtotal", "revenue"))
    if total is None and subtotal is None and revenue is None:
        return None
    discount = read.amount(said, "discount", code)
    return Amounts(
        currency=code,
        total=total,
        subtotal=subtotal,
        revenue=revenue,
        discount=None if discount is None else abs(discount),
        tax=read.amount(said, "tax", code),
        shipping=read.amount(said, "shipping", code),
    )


def _items(said: Json) -> Items | None:
    listed = said.get("products")
    if not isinstance(listed, list):
        return None
    code = read.currency(said)
    products = [product for product in listed if isinstance(product, dict)]
    return Items(currency=code, items=tuple(_item(product, code) for product in products[:MAX_ITEMS]), more=max(0, len(products) - MAX_ITEMS))


def _item(product: Json, code: str | None) -> Item:
    quantity = read.whole(product, "quantity")
    return Item(
        product_id=read.text(product, "product_id") or read.text(product, "id"),
        sku=read.text(product, "sku"),
        name=read.text(product, "name"),
        quantity=1 if quantity is None else quantity,
        price=read.amount(product, "price", code),
    )


def _money(name: str, said: Json, version: Version) -> dict[str, Any]:
    """The one payment, refund, void or chargeback that an event tells of. One without an id of its own goes by its message's."""
    transaction = _id(said, "transaction_id") or version[2]
    parent = _id(said, "parent_transaction_id")
    match name:
        case "Payment Received" | "Payment Declined":
            payment = Payment(
                version=version,
                received=name == "Payment Received",
                amount=read.money(said, "amount"),
                method=read.text(said, "payment_method"),
                billing_cycle=read.whole(said, "billing_cycle"),
                reason=read.text(said, "reason"),
            )
            return {"payments": Keyed({transaction: payment})}
        case "Payment Voided":
            return {"voids": Keyed({transaction: Void(version=version, amount=read.money(said, "amount"), payment=parent)})}
        case "Order Refunded":
            refund = Refund(version=version, amount=read.money(said, "total") or read.money(said, "amount"), payment=parent, reason=read.text(said, "reason"))
            return {"refunds": Keyed({_id(said, "refund_id") or version[2]: refund})}
        case "Chargeback Received" | "Chargeback Reversed":
            chargeback = Chargeback(
                version=version, reversed=name == "Chargeback Reversed", amount=read.money(said, "amount"), reason=read.text(said, "reason_code")
            )
            return {"chargebacks": Keyed({transaction: chargeback})}
        case _:
            return {}


def _id(said: Json, name: str) -> str | None:
    """An id within the order; a long one is shortened by a digest, so that it still tells one from the other."""
    found = read.identifier(said, name)
    return None if found is None else short_id(found)
