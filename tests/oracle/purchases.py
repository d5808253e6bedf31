"""What somebody bought, by `docs/contacts.md` and `docs/facts.md`: the events that tell of one order or subscription, in turn, and what comes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from tests.oracle.buying import DIGITS
from tests.oracle.known import TELL_OF_AN_ORDER, happened_at
from tributary.events import Track
from tributary.facts.tables import Movement, OrderFact, OrderItem, OtherMoney, RateMark, StateMark, SubscriptionFact

ASSUMED: Final = "USD"
"""The account's: of what nobody named a currency of."""
HEADERS: Final = ("Checkout Started", "Order Completed", "Order Updated", "Order Declined", "Order Cancelled")
STATES: Final = ("Checkout Started", "Order Completed", "Order Declined", "Order Cancelled", "Order Refunded")
MONEY: Final = ("total", "subtotal", "revenue")
STATES_OF_SUBSCRIPTIONS: Final = {
    "Trial Started": "trial",
    "Trial Converted": "active",
    "Subscription Started": "active",
    "Subscription Renewed": "active",
    "Subscription Paused": "paused",
    "Subscription Reactivated": "active",
    "Subscription Recycled": "recycling",
    "Subscription Recycle Failed": "recycle_failed",
    "Subscription Cancelled": "cancelled",
    "Subscription Completed": "completed",
    "Subscription Updated": None,
}
"""Event → the state that it leads to, where it does not say so itself."""


def orders(key: str, person: str, told: Iterable[Track]) -> list[OrderFact]:
    """Of one person, whose events come in turn."""
    found: dict[tuple[str, str], list[Track]] = {}
    for event in told:
        if event.event in TELL_OF_AN_ORDER:
            found.setdefault((event.source, event.properties["order_id"]), []).append(event)
    return [_Order(events).fact(f"{key} {source} {order_id}", person) for (source, order_id), events in found.items()]


def subscriptions(key: str, person: str, told: Iterable[Track]) -> list[SubscriptionFact]:
    found: dict[tuple[str, str], list[Track]] = {}
    for event in told:
        if event.event in STATES_OF_SUBSCRIPTIONS:
            found.setdefault((event.source, event.properties["subscription_id"]), []).append(event)
    return [_subscription(f"{key} {source} {name}", person, events) for (source, name), events in found.items()]


def minor(value: float, currency: str) -> int:
    """Whole minor units, half a unit to the even neighbour."""
    return int((Decimal(repr(value)) * 10 ** DIGITS.get(currency, 2)).to_integral_value(ROUND_HALF_EVEN))


@dataclass(frozen=True)
class _Bill:
    """What an order comes to, in its currency."""

    total: int
    discount: int = 0
    tax: int = 0
    shipping: int = 0


class _Order:
    def __init__(self, events: Sequence[Track]) -> None:
        self.events = events
        self.payments = self._by_id("transaction_id", "Payment Received", "Payment Declined")
        self.voids = self._by_id("transaction_id", "Payment Voided")
        self.refunds = self._by_id("refund_id", "Order Refunded")
        self.chargebacks = self._by_id("transaction_id", "Chargeback Received", "Chargeback Reversed")
        self.paid_apart = any(event.context.get("payments") == "told" for event in events)
        self.received = {key: event for key, event in self.payments.items() if event.event == "Payment Received"}
        named = self._currency_named()
        self.currency, self.assumed = named or ASSUMED, named is None

    def fact(self, key: str, person: str) -> OrderFact:
        sold_at = self.sold_at()
        order_type, cycle = self.said("order_type"), self.said("billing_cycle")
        columns = {currency: self._columns(currency, is_sold=sold_at is not None) for currency in {self.currency, *self._currencies_moved()}}
        own = columns.pop(self.currency)
        first = self.events[0]
        return OrderFact(
            key=key,
            person=person,
            connection=first.source,
            order_id=first.properties["order_id"],
            happened_at=sold_at if sold_at is not None else self._known_since(),
            sold_at=sold_at,
            order_type=order_type,
            billing_cycle=cycle,
            rebill=order_type == "RECURRING" or (cycle or 1) > 1,
            subscription_id=self.said("subscription_id"),
            campaign_id=self.said("campaign_id"),
            coupon=self.said("coupon"),
            currency=self.currency,
            currency_assumed=self.assumed,
            items=tuple(self._items()),
            movements=tuple(self._movements(is_sold=sold_at is not None)),
            others=tuple(
                OtherMoney(currency=currency, **{name: said[name] for name in ("received", "voided", "refunded", "charged_back")})
                for currency, said in sorted(columns.items())
            ),
            **own,
        )

    def said(self, name: str) -> Any:
        """The last that was said of a field of the header."""
        return next((event.properties[name] for event in reversed(self.events) if event.event in HEADERS and name in event.properties), None)

    def sold_at(self) -> datetime | None:
        """First completed or, where nobody says so, first paid; of who tells payments only what was paid is sold."""
        if self.paid_apart and not self.received:
            return None
        completed = [happened_at(event) for event in self.events if event.event == "Order Completed"]
        voided = {event.properties.get("parent_transaction_id") for event in self.voids.values()}
        paid = [happened_at(event) for key, event in self.received.items() if key not in voided]
        return min(completed or paid, default=None)

    def bill(self) -> _Bill | None:
        """None: nobody said what it comes to, and nothing was paid of it."""
        said = next((event for event in reversed(self.events) if event.event in HEADERS and any(name in event.properties for name in MONEY)), None)
        if said is None:
            paid = [self._amount(event, "amount") for event in self.received.values() if self._is_own(event, "amount")]
            return _Bill(sum(paid)) if paid else None
        discount, tax, shipping = (self._amount(said, name) if name in said.properties else 0 for name in ("discount", "tax", "shipping"))
        if "total" in said.properties:
            total = self._amount(said, "total")
        else:
            total = self._amount(said, "revenue" if "revenue" in said.properties else "subtotal") + tax + shipping
        return _Bill(total, discount, tax, shipping)

    def _by_id(self, name: str, *events: str) -> dict[str, Track]:
        """Each by its id, or its message's: the last to speak of one wins."""
        return {event.properties.get(name, event.message_id): event for event in self.events if event.event in events}

    def _currency_named(self) -> str | None:
        """By the last who said what it comes to, else by the first payment or refund."""
        bills = [event for event in self.events if event.event in HEADERS and any(name in event.properties for name in MONEY)]
        if bills and "currency" in bills[-1].properties:
            return str(bills[-1].properties["currency"])
        moved = [event for event in self.events if event in (*self.payments.values(), *self.refunds.values()) and {"amount", "total"} & event.properties.keys()]
        return next((event.properties["currency"] for event in moved if "currency" in event.properties), None)

    def _code(self, event: Track) -> str:
        return str(event.properties.get("currency", self.currency))

    def _is_own(self, event: Track, name: str) -> bool:
        return name in event.properties and self._code(event) == self.currency

    def _amount(self, event: Track, name: str) -> int:
        return minor(event.properties[name], self._code(event))

    def _charged_back(self) -> Mapping[str, tuple[Track, Track | None]]:
        """Chargebacks that stand, each with the event that says how much it is of."""
        found = {}
        for key, event in self.chargebacks.items():
            if event.event == "Chargeback Received":
                found[key] = (event, event if "amount" in event.properties else self.received.get(key))
        return found

    def _voided(self) -> dict[str, Track]:
        """Payments that were received and voided, each with its first void."""
        found: dict[str, Track] = {}
        for event in self.events:
            if event in self.voids.values() and (payment := event.properties.get("parent_transaction_id")) in self.received:
                found.setdefault(payment, event)
        return found

    def _movements(self, *, is_sold: bool) -> list[Movement]:
        """What moved, and what was declined, each on its own day."""
        moved: list[Movement] = []

        def add(kind: str, event: Track, amount_in: Track | None, name: str) -> None:
            told = amount_in is not None and name in amount_in.properties
            currency = self._code(amount_in) if told and amount_in is not None else self.currency
            amount = self._amount(amount_in, name) if told and amount_in is not None else 0
            moved.append(Movement(kind=kind, happened_at=happened_at(event), currency=currency, amount=amount))

        for event in self.payments.values():
            add("payment" if event.event == "Payment Received" else "decline", event, event, "amount")
        for payment, event in self._voided().items() if is_sold else ():
            add("void", event, self.received[payment], "amount")
        bill = self.bill()
        refunds = [event for event in self.events if event in self.refunds.values()]
        left = max((bill.total if bill is not None else 0) - sum(self._amount(event, "total") for event in refunds if self._is_own(event, "total")), 0)
        for event in refunds:
            if "total" in event.properties:
                add("refund", event, event, "total")
            else:  # of the whole order: what the others leave of it
                moved.append(Movement(kind="refund", happened_at=happened_at(event), currency=self.currency, amount=left))
                left = 0
        for event, says in self._charged_back().values():
            add("chargeback", event, says, "amount")
        return moved

    def _currencies_moved(self) -> set[str]:
        return {movement.currency for movement in self._movements(is_sold=True) if movement.kind != "decline"}

    def _columns(self, currency: str, *, is_sold: bool) -> dict[str, Any]:
        """The order's money in one currency: what it comes to stands in its own."""
        columns = {"payment": "received", "void": "voided", "refund": "refunded", "chargeback": "charged_back"}
        moved = dict.fromkeys(columns.values(), 0)
        for movement in self._movements(is_sold=is_sold):
            if movement.kind in columns and movement.currency == currency:
                moved[columns[movement.kind]] += movement.amount
        bill = self.bill() if is_sold and currency == self.currency else None
        bill = bill or _Bill(0)
        total = bill.total
        if self.paid_apart and is_sold and any(self._is_own(event, "amount") for event in self.received.values()) and currency == self.currency:
            total = moved["received"]
        kept = max(total - moved["refunded"] - moved["charged_back"] - moved["voided"], 0)
        return {
            "gross": total + bill.discount,
            "discount": bill.discount,
            "tax": bill.tax,
            "shipping": bill.shipping,
            **moved,
            "returned": max(bill.tax + bill.shipping - kept, 0),
        }

    def _items(self) -> list[OrderItem]:
        listed = next((event for event in reversed(self.events) if event.event in HEADERS and "products" in event.properties), None)
        found = []
        for product in listed.properties["products"] if listed is not None else ():
            assert listed is not None
            quantity = product.get("quantity", 1)
            price = minor(product["price"], self._code(listed)) if "price" in product else 0
            found.append(OrderItem(product_id=product.get("product_id"), quantity=quantity, amount=price * quantity))
        return found

    def _known_since(self) -> datetime:
        """The earliest that is known of what is no sale, as each thing was last said."""
        money = [event for found in (self.payments, self.voids, self.refunds, self.chargebacks) for event in found.values()]
        states = [event for event in self.events if event.event in STATES]
        return min(happened_at(event) for event in (*money, *states, *self._last_of_the_header()))

    def _last_of_the_header(self) -> list[Track]:
        fields: dict[str, Track] = {}
        for event in self.events:
            if event.event in HEADERS:
                said = {name for name in event.properties if name not in (*MONEY, "order_id", "currency", "discount", "tax", "shipping")}
                fields |= dict.fromkeys({*said, *(["money"] if any(name in event.properties for name in MONEY) else [])}, event)
        return list(fields.values())


def _subscription(key: str, person: str, events: Sequence[Track]) -> SubscriptionFact:
    def said(name: str) -> Any:
        return next((event.properties[name] for event in reversed(events) if name in event.properties), None)

    def first(name: str) -> datetime | None:
        return min((happened_at(event) for event in events if event.event == name), default=None)

    priced = [event for event in events if "price" in event.properties]
    named = priced[-1].properties.get("currency") if priced else None
    currency = named or ASSUMED
    states = [(event, state) for event in events if (state := event.properties.get("status", STATES_OF_SUBSCRIPTIONS[event.event])) is not None]
    last = {name: event for event in events for name in event.properties if name not in ("subscription_id", "currency")}
    started_at = min(happened_at(event) for event in (*(event for event, _ in states), *last.values()))
    return SubscriptionFact(
        key=key,
        person=person,
        connection=events[0].source,
        subscription_id=events[0].properties["subscription_id"],
        order_id=said("order_id"),
        product_id=said("product_id"),
        started_at=started_at,
        trial_started_at=first("Trial Started"),
        trial_converted_at=first("Trial Converted"),
        state=states[-1][1] if states else None,
        currency=currency,
        currency_assumed=named is None,
        states=tuple(StateMark(happened_at=happened_at(event), state=state) for event, state in states),
        rates=tuple(_rates(events, currency, started_at)),
    )


def _rates(events: Sequence[Track], currency: str, started_at: datetime) -> list[RateMark]:
    """From the beginning what was said first of each part, then each time what was said."""
    names = ("price", "quantity", "interval_days")
    usual = {"price": 0, "quantity": 1, "interval_days": 30}
    now = {name: next((event.properties[name] for event in events if name in event.properties), usual[name]) for name in names}
    found = []
    for moment, told in [(started_at, {}), *((happened_at(event), event.properties) for event in events)]:
        now |= {name: told[name] for name in names if name in told}
        found.append(RateMark(happened_at=moment, price=minor(now["price"], currency), quantity=int(now["quantity"]), interval_days=int(now["interval_days"])))
    return found
