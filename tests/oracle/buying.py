"""Orders and subscriptions as they are told, by a Konnektive account, a site or a till: in pieces, some twice, some of what never was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from tests.oracle.arrivals import CLICKS
from tests.oracle.histories import Chance
from tributary.events import Track

SITE: Final = "src_1"
TILL: Final = "src_2"
"""A server that tells orders, and browsers of another site."""
ACCOUNTS: Final = ("con_1", "con_2")
"""Konnektive's, each of which numbers its customers by itself. They tell each payment; the others do not say so."""
DIGITS: Final = {"JPY": 0, "KWD": 3}
"""Of the minor unit, where they are not two."""
PEOPLE: Final = 4
TELL_PAYMENTS: Final = ("Checkout Started", "Order Completed", "Order Updated", "Order Declined", "Order Cancelled")
"""Whose context says it."""
SUBSCRIBED: Final = (ACCOUNTS[0], ACCOUNTS[1], TILL, ACCOUNTS[0])
"""Where the subscription of a number is told, and with it the orders that name it."""


def at(chance: Chance, number: int) -> datetime:
    """A moment of the shop's; things of one kind are a second apart."""
    return chance.moment() + timedelta(seconds=number)


def after(chance: Chance, moment: datetime) -> datetime:
    return moment + chance.one(timedelta(minutes=10), timedelta(hours=2), timedelta(days=1), timedelta(days=6), timedelta(days=27))


@dataclass(frozen=True)
class Seller:
    """Who tells an order or a subscription, and how its customer is named."""

    source: str
    customer: Mapping[str, Any]

    @classmethod
    def of(cls, source: str, person: int, who: Mapping[str, Any], chance: Chance) -> Seller:
        """`who`: the customer's ids, where it is no account that tells."""
        if source not in ACCOUNTS:
            return cls(source, who)
        number = 901 + (person if source == ACCOUNTS[0] else PEOPLE - 1 - person)
        email = f"p{person}@quay.example" if chance.once_in(2) else None
        return cls(source, {"owner": f"konnektive#{source}#{number}", "user_id": email})

    @property
    def is_account(self) -> bool:
        return self.source in ACCOUNTS

    def event(self, name: str, moment: datetime, properties: Mapping[str, Any], *, tags: Mapping[str, bool] | None = None, **context: Any) -> Track:
        if self.is_account and name in TELL_PAYMENTS:
            context["payments"] = "told"
        if tags:
            context["tags"] = dict(tags)
        base: dict[str, Any] = {"source": self.source, "message_id": "", "timestamp": moment, "received_at": moment, **self.customer}
        return Track(**base, context=context, event=name, properties=dict(properties))


def bought(number: int, chance: Chance, who: Mapping[str, Any], person: int) -> Iterator[Track]:
    """An order's life, or what somebody tells of it. Where it is of a subscription it is that one's subscriber's."""
    subscription = chance.randrange(len(SUBSCRIBED)) if chance.once_in(3) else None
    source = SUBSCRIBED[subscription] if subscription is not None else chance.one(*ACCOUNTS, *ACCOUNTS, SITE, TILL)
    order = _Order(number, chance, Seller.of(source, subscription if subscription is not None else person, who, chance), subscription)
    yield from order.began()
    if chance.once_in(4):
        yield order.told("Order Updated", after(chance, order.moment), order.header())
    yield from order.given_back()
    if chance.once_in(6):
        yield order.told("Order Cancelled", after(chance, order.moment), {"reason": "changed mind"})


class _Order:
    """One order on its way. `moment`: until when it has been told."""

    def __init__(self, number: int, chance: Chance, seller: Seller, subscription: int | None) -> None:
        self._number = number
        self._chance = chance
        self._seller = seller
        self._subscription = subscription
        self._rebill = subscription is not None and chance.once_in(2)
        self._currency = chance.one("USD", "USD", "USD", "EUR", "JPY", "KWD", None)
        self._id = f"order of ana@quay.example {number}" if chance.once_in(20) else f"O-{number if not chance.once_in(10) else 0}"
        self._total = chance.one(0, 1, 99, 100, 999, 1000, 3333, 10_000)
        self._payment = "T-unknown"
        self.moment = at(chance, number)

    def told(self, name: str, moment: datetime, said: Mapping[str, Any], **more: Any) -> Track:
        return self._seller.event(name, moment, {"order_id": self._id, **said}, **more)

    def header(self) -> dict[str, Any]:
        chance = self._chance
        money = "total" if self._seller.is_account or not chance.once_in(4) else chance.one("revenue", "subtotal")
        products = [
            _present(product_id=chance.one("p1", "p2", "p3"), price=self._decimal(chance.one(0, 100, 999, 3333)), quantity=chance.one(None, 1, 2))
            for _ in range(chance.randint(0, 3))
        ]
        return _present(
            order_type=chance.one("RECURRING", None) if self._rebill else chance.one("NEW_SALE", None),
            billing_cycle=chance.one(2, 3) if self._rebill else chance.one(1, None),
            subscription_id=None if self._subscription is None else f"S-{self._subscription}",
            campaign_id=chance.maybe("11", "12"),
            coupon=chance.maybe("TEN"),
            discount=self._decimal(chance.one(0, 1, 250)) if chance.once_in(2) else None,
            tax=self._decimal(min(chance.one(0, 0, 1, 100), self._total // 2)),
            shipping=self._decimal(min(chance.one(0, 0, 1, 250), self._total // 2)),
            currency=self._currency,
            products=products if chance.once_in(2) else None,
            **{money: self._decimal(chance.one(self._total, self._total, self._total + 500))},
        )

    def began(self) -> Iterator[Track]:
        """Until it is paid, or is not."""
        chance, header = self._chance, self.header()
        if chance.once_in(3):
            yield self.told("Checkout Started", self.moment, header, tags={"trial": True} if chance.once_in(3) else None, **self._came())
            self.moment = after(chance, self.moment)
        ending = chance.one("sold", "sold", "sold", "sold", "sold", "declined", "paid alone")
        if ending == "declined":
            yield self.told("Order Declined", self.moment, {**header, "reason": "no funds"}, **self._came())
        elif ending == "sold":
            yield self.told("Order Completed", self.moment, header, tags={"vip": True} if chance.once_in(3) else None, **self._came())
        if ending != "declined" or chance.once_in(8):
            yield from self._paid()

    def given_back(self) -> Iterator[Track]:
        chance = self._chance
        if chance.once_in(8):
            void = {"transaction_id": f"V-{self._number}", "parent_transaction_id": self._payment}
            yield self.told("Payment Voided", after(chance, self.moment), void)
        while chance.once_in(3):
            self.moment = after(chance, self.moment)
            is_whole = not self._seller.is_account and chance.once_in(4)
            amount = None if is_whole else self._decimal(chance.one(1, 100, self._total // 3, self._total))
            refund_id = None if chance.once_in(4) else f"R-{self._number}-{chance.randrange(3)}"
            currency = chance.one(self._currency, self._currency, self._currency, "EUR")
            yield self.told("Order Refunded", self.moment, _present(refund_id=refund_id, total=amount, currency=currency))
        if chance.once_in(6):
            self.moment = after(chance, self.moment)
            amount = self._decimal(chance.one(100, self._total)) if chance.once_in(2) else None
            charged = _present(transaction_id=self._payment, amount=amount, currency=self._currency)
            yield self.told("Chargeback Received", self.moment, charged)
            if chance.once_in(2):
                yield self.told("Chargeback Reversed", after(chance, self.moment), charged)

    def _paid(self) -> Iterator[Track]:
        """In one or two parts; a part may be refused at first, or be told again with another amount."""
        chance = self._chance
        parts = chance.one(0, 1, 1, 1, 2) if self._seller.is_account else chance.one(0, 0, 1, 2)
        currency = self._currency if self._seller.is_account or not chance.once_in(6) else "EUR"
        for part in range(parts):
            self._payment = f"T-{self._number}-{part}"
            amount = chance.one(self._total, self._total, self._total // 2)
            paid = _present(transaction_id=self._payment, amount=decimal(amount, currency), currency=currency)
            if chance.once_in(6):
                yield self.told("Payment Declined", self.moment, {**paid, "transaction_id": f"{self._payment}-refused", "reason": "try again"})
            yield self.told("Payment Received", self.moment, paid)
            if chance.once_in(10):
                yield self.told("Payment Received", after(chance, self.moment), {**paid, "amount": decimal(amount // 3, currency)})

    def _came(self) -> dict[str, Any]:
        """How, as an account says it with an order."""
        click = self._chance.choice(CLICKS)
        told = (("campaign", click.campaign), ("konnektive", click.konnektive)) if self._seller.is_account else ()
        return {name: dict(said) for name, said in told if said}

    def _decimal(self, minor: int) -> float:
        return decimal(minor, self._currency)


def decimal(minor: int, currency: str | None) -> float:
    return float(minor / 10 ** DIGITS.get(currency or "USD", 2))


def _present(**said: Any) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value is not None}


_LATER: Final = {
    "Subscription Paused": "paused",
    "Subscription Recycled": "recycling",
    "Subscription Recycle Failed": "recycle_failed",
    "Subscription Cancelled": "cancelled",
    "Subscription Completed": "completed",
    "Subscription Reactivated": "active",
    "Subscription Renewed": "active",
    "Trial Converted": "active",
    "Subscription Updated": None,
}
"""What may become of one, and the status that an account says with it."""


def subscribed(number: int, chance: Chance, who: Mapping[str, Any]) -> Iterator[Track]:
    """The first four are those that orders name, of the people of their number; the others have names of their own."""
    seller = Seller.of(SUBSCRIBED[number % len(SUBSCRIBED)], number % PEOPLE, who, chance)
    currency = chance.one("USD", "USD", "EUR", "JPY", None)
    says_status = seller.is_account or chance.once_in(2)

    def terms(*, everything: bool) -> dict[str, Any]:
        def said(value: Any) -> Any:
            return value if everything or chance.once_in(2) else None

        price = said(decimal(chance.one(4500, 3000, 2999), currency))
        return _present(
            subscription_id=f"S-{number}",
            order_id=said(f"O-{chance.randrange(16)}"),
            product_id=said(chance.one("p1", "p2")),
            price=price,
            currency=currency if price is not None else None,
            quantity=said(chance.one(1, 1, 2)),
            interval_days=said(chance.one(30, 7, 365, 90, 10)),
        )

    def event(name: str, moment: datetime, status: str | None, *, everything: bool) -> Track:
        return seller.event(name, moment, terms(everything=everything) | ({"status": status} if says_status and status is not None else {}))

    moment = at(chance, number)
    begins = chance.one("Trial Started", "Subscription Started", "Subscription Started", None)
    if begins is not None:
        yield event(begins, moment, "trial" if begins == "Trial Started" else "active", everything=not chance.once_in(4))
    for _ in range(chance.randint(0, 5)):
        moment = after(chance, moment)
        name = chance.choice(list(_LATER))
        yield event(name, moment, _LATER[name], everything=seller.is_account)
