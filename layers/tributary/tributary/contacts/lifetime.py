"""What a contact's orders come to, worked out when it is read: money by currency, the dates that reports start from, products and campaigns seen.

Net = gross - discount - tax - shipping - refunded - charged back - voided + returned, each kept apart, so that a report may add up others. Gross is what was
sold before the discount, tax and shipping included. What is given back of an order is first its goods, then its tax and shipping: these are `returned`, so that
they are not taken off twice, and an order that is given back whole comes to nothing. Amounts of different currencies are never added.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

from tributary.contacts.joining import earliest
from tributary.contacts.orders import Amounts, Items, Order
from tributary.contacts.profile import Profile
from tributary.contacts.properties import DEFAULT_CURRENCY, Money, in_minor_units, moment_of
from tributary.contacts.reading import Contact


@dataclass(frozen=True, kw_only=True)
class Balance:
    """The money of one order or many in one currency, in its minor units."""

    currency: str
    gross: int = 0
    """What was sold: total + discount."""
    discount: int = 0
    tax: int = 0
    shipping: int = 0
    received: int = 0
    """Payments that came in, those voided later included."""
    voided: int = 0
    refunded: int = 0
    charged_back: int = 0
    """Less what was reversed."""
    returned: int = 0
    """Of tax and shipping: what was not kept, and so is within what was given back."""

    @property
    def total(self) -> int:
        return self.gross - self.discount

    @property
    def net(self) -> int:
        return self.total - self.tax - self.shipping - self.refunded - self.charged_back - self.voided + self.returned


@dataclass(frozen=True, kw_only=True)
class Product:
    product_id: str | None
    sku: str | None
    name: str | None


@dataclass(frozen=True, kw_only=True)
class Campaign:
    id: str | None
    name: str | None


class Lead(NamedTuple):
    """When somebody became known."""

    at: int
    source: str | None
    """The source or connection that says so; None where rows of CONTACTS do not tell, see `Profile.first_source`."""


@dataclass(frozen=True, kw_only=True)
class Lifetime:
    lead_at: int | None
    """Since when the person is known: the first event that names them (a checkout started, a record of the shop's CRM), or the `createdAt` that an identify
    last said, if that is earlier."""
    customer_at: int | None
    """When the first order became a sale."""
    sales: int
    balances: tuple[Balance, ...]
    """By currency, in the order of their codes."""
    products: tuple[Product, ...]
    """Of all orders, sold or not."""
    campaigns: tuple[Campaign, ...]


def lifetime_of(contact: Contact, default_currency: str = DEFAULT_CURRENCY) -> Lifetime:
    sold = [order for order in contact.orders if order.sold_at is not None]
    items = [item for order in contact.orders if order.header.items is not None for item in order.header.items.value.items]
    return Lifetime(
        lead_at=lead_date(contact.profile),
        customer_at=earliest(*(order.sold_at for order in sold)),
        sales=len(sold),
        balances=_summed(balance for order in contact.orders for balance in balances_of(order, default_currency)),
        products=tuple(dict.fromkeys(Product(product_id=item.product_id, sku=item.sku, name=item.name) for item in items)),
        campaigns=tuple(dict.fromkeys(campaign for order in contact.orders if (campaign := _campaign(order)) is not None)),
    )


def lead_date(profile: Profile) -> int | None:
    lead = lead_of(profile)
    return None if lead is None else lead.at


def lead_of(profile: Profile) -> Lead | None:
    found = [] if profile.first_seen is None else [Lead(profile.first_seen, profile.first_source)]
    for name in ("createdAt", "created_at"):
        trait = profile.traits.kept.get(name)
        if trait is not None and (moment := moment_of(trait.value)) is not None and moment > 0:
            found.append(Lead(moment, trait.version[3]))
    return min(found, key=lambda lead: lead.at, default=None)


def currency_of(order: Order, default_currency: str) -> str:
    """The order's own; where nobody says it, that of its first payment or refund."""
    if order.header.amounts is not None and (named := order.header.amounts.value.currency) is not None:
        return named
    paid = [(one.version, one.amount) for one in order.payments.kept.values()] + [(one.version, one.amount) for one in order.refunds.kept.values()]
    named_by = [(version, amount.currency) for version, amount in paid if amount is not None and amount.currency is not None]
    return min(named_by)[1] if named_by else default_currency


def bill_of(order: Order, default_currency: str = DEFAULT_CURRENCY) -> Balance | None:
    """What the order comes to, sold or not; None if no event said so, and no payment came in."""
    currency = currency_of(order, default_currency)
    said = order.header.amounts.value if order.header.amounts is not None else Amounts()
    tax, shipping, discount = (_units(part or 0, said.currency, currency) for part in (said.tax, said.shipping, said.discount))
    if said.total is not None:
        total = _units(said.total, said.currency, currency)
    elif (before := said.revenue if said.revenue is not None else said.subtotal) is not None:
        total = _units(before, said.currency, currency) + tax + shipping
    else:
        received = _by_currency((payment.amount for payment in order.payments.kept.values() if payment.received), currency)
        if currency not in received:
            return None
        total = received[currency]
    return Balance(currency=currency, gross=total + discount, discount=discount, tax=tax, shipping=shipping)


def balances_of(order: Order, default_currency: str = DEFAULT_CURRENCY) -> tuple[Balance, ...]:
    """The order's money by currency. What it comes to, and what of that was voided, counts once it is sold; what was given back counts always."""
    currency = currency_of(order, default_currency)
    bill = bill_of(order, default_currency)
    payments = {key: payment for key, payment in order.payments.kept.items() if payment.received}
    received = _by_currency((payment.amount for payment in payments.values()), currency)
    of_voided = (payments[key].amount for key in {void.payment for void in order.voids.kept.values() if void.payment is not None} & payments.keys())
    voided = _by_currency(of_voided, currency) if order.sold_at is not None else {}
    refunded = _by_currency((refund.amount for refund in order.refunds.kept.values()), currency)
    if bill is not None and any(refund.amount is None for refund in order.refunds.kept.values()):
        refunded[currency] = max(refunded.get(currency, 0), bill.total)
    open_chargebacks = {key: chargeback for key, chargeback in order.chargebacks.kept.items() if not chargeback.reversed}
    charged_back = _by_currency(
        (one.amount if one.amount is not None or key not in payments else payments[key].amount for key, one in open_chargebacks.items()), currency
    )
    sold = [_paid(order, bill, received)] if bill is not None and order.sold_at is not None else []
    moved = (
        Balance(
            currency=code,
            received=received.get(code, 0),
            voided=voided.get(code, 0),
            refunded=refunded.get(code, 0),
            charged_back=charged_back.get(code, 0),
        )
        for code in received.keys() | refunded.keys() | charged_back.keys()
    )
    return tuple(_with_returned(balance) for balance in _summed([*sold, *moved]))


def _paid(order: Order, bill: Balance, received: dict[str, int]) -> Balance:
    """What of the bill counts: where the source tells payments, as much as came in."""
    if not order.paid_apart or bill.currency not in received:
        return bill
    return replace(bill, gross=received[bill.currency] + bill.discount)


def _with_returned(balance: Balance) -> Balance:
    """Of one order. What is kept of it is tax and shipping first."""
    kept = balance.total - balance.refunded - balance.charged_back - balance.voided
    return replace(balance, returned=max(balance.tax + balance.shipping - max(kept, 0), 0))


def unit_price(items: Items, price: int, currency: str) -> int:
    """An item's price in minor units of its order's currency."""
    return _units(price, items.currency, items.currency or currency)


def _units(amount: int, named: str | None, currency: str) -> int:
    return amount if named is not None else in_minor_units(amount, currency)


def _by_currency(amounts: Iterable[Money | None], currency: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for amount in amounts:
        if amount is not None:
            money = amount.within(currency)
            found[money.currency or currency] = found.get(money.currency or currency, 0) + money.amount
    return found


def _summed(balances: Iterable[Balance]) -> tuple[Balance, ...]:
    found: dict[str, Balance] = {}
    for balance in balances:
        mine = found.get(balance.currency, Balance(currency=balance.currency))
        numbers = {field.name: getattr(mine, field.name) + getattr(balance, field.name) for field in fields(Balance) if field.name != "currency"}
        found[balance.currency] = Balance(currency=balance.currency, **numbers)
    return tuple(found[code] for code in sorted(found))


def _campaign(order: Order) -> Campaign | None:
    number, name = order.header.campaign_id, order.header.campaign_name
    return None if number is None and name is None else Campaign(id=number.value if number else None, name=name.value if name else None)
