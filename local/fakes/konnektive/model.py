"""The records of an account, as the shop changes them. Amounts are minor units, times are the account's wall clock as text, as the vendor keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from local.fakes.konnektive.catalogue import Attribution, Campaign, Product


@dataclass(kw_only=True, eq=False, slots=True)
class Record:
    created: str
    """YYYY-MM-DD HH:MM:SS, without a zone."""
    updated: str


@dataclass(kw_only=True, eq=False, slots=True)
class Customer(Record):
    id: int
    campaign: Campaign
    first_name: str
    last_name: str
    email: str
    phone: str
    street: str
    city: str
    state: str
    country: str
    postal_code: str
    ip: str
    attribution: Attribution
    pay_source: str
    card: tuple[str, str, str, str]
    """Type, bin, last four, MM/YYYY."""
    email_opt_in: bool
    blacklisted: bool = False
    custom: dict[str, str] = field(default_factory=dict)
    active: str = ""
    """mostRecentActivity."""
    orders: list[Order] = field(default_factory=list)
    purchases: list[Purchase] = field(default_factory=list)


@dataclass(kw_only=True, eq=False, slots=True)
class Item:
    id: int
    product: Product
    price: int
    shipping: int
    tax: int
    discount: int
    upsell: bool = False
    purchase: Purchase | None = None

    @property
    def total(self) -> int:
        return self.price + self.shipping + self.tax - self.discount


@dataclass(kw_only=True, eq=False, slots=True)
class Order(Record):
    number: int
    """What the vendor calls actualOrderId here and orderId in a postback."""
    id: str
    customer: Customer
    campaign: Campaign
    attribution: Attribution
    type: str
    email: str
    """The buyer's at the time of the order."""
    status: str = "PARTIAL"
    items: list[Item] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    fulfillments: list[Fulfillment] = field(default_factory=list)
    coupon: str | None = None
    decline_save: bool = False
    custom: tuple[str | None, ...] = (None,) * 5

    @property
    def currency(self) -> str:
        return self.campaign.currency

    @property
    def total(self) -> int:
        return sum(item.total for item in self.items)

    @property
    def payments(self) -> Iterator[Transaction]:
        return (transaction for transaction in self.transactions if transaction.paid)

    @property
    def earned(self) -> int:
        """What was paid for the goods and not given back; below zero if more was given back than was paid."""
        paid, tax_and_shipping, given_back = 0, 0, 0
        for payment in self.payments:
            paid += payment.amount
            tax_and_shipping += sum(item.tax + item.shipping for item in payment.items)
            given_back += payment.amount if payment.voided else payment.refunded
            given_back += payment.chargeback[0] if payment.chargeback else 0
        kept = paid - given_back
        return kept if kept < 0 else max(kept - tax_and_shipping, 0)

    @property
    def refundable(self) -> int:
        return sum(transaction.remaining for transaction in self.payments)


@dataclass(kw_only=True, eq=False, slots=True)
class Transaction(Record):
    number: int
    id: str
    order: Order
    parent: Transaction | None
    type: str
    response: str
    text: str
    amount: int
    cycle: int
    recycle: int
    items: list[Item]
    purchase: Purchase | None
    merchant: tuple[int, str, str]
    pay_source: str
    refunded: int = 0
    voided: bool = False
    chargeback: tuple[int, str, str, str] | None = None
    """Amount, day, code, note, while it stands."""
    reason: str | None = None

    @property
    def paid(self) -> bool:
        return self.type in ("SALE", "CAPTURE") and self.response == "SUCCESS"

    @property
    def remaining(self) -> int:
        """What can still be given back."""
        return 0 if self.voided or self.chargeback else self.amount - self.refunded


@dataclass(kw_only=True, eq=False, slots=True)
class Purchase(Record):
    number: int
    id: str
    order: Order
    customer: Customer
    product: Product
    status: str
    cycle: int = 1
    recycle: int = 0
    turn: int = 0
    """Plans made for an earlier turn are void."""
    next_bill: str | None = None
    pause_scheduled: bool = False
    cancel_scheduled: bool = False
    cancel_reason: str | None = None
    cancelled_at: str | None = None
    billed: int = 0
    refunded: int = 0
    transactions: list[Transaction] = field(default_factory=list)

    @property
    def recurring(self) -> int:
        return self.product.recurring or 0


@dataclass(kw_only=True, eq=False, slots=True)
class Fulfillment(Record):
    number: int
    id: str
    order: Order
    items: list[Item]
    status: str = "PENDING"
    shipped: str | None = None
    delivered: str | None = None
    returned: str | None = None
    tracking: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Happening:
    """Something that a postback would tell of. `kind` is its customer type in a routing."""

    kind: str
    at: str
    customer: Customer
    order: Order | None = None
    transaction: Transaction | None = None
    purchase: Purchase | None = None


R = TypeVar("R", bound=Record)


class Table(Generic[R]):
    """Records by their id and by the days on which they were made and last changed, so that a window of days costs what stands in it."""

    def __init__(self) -> None:
        self.rows: dict[Any, R] = {}
        self.by_created: dict[str, dict[Any, R]] = {}
        self.by_updated: dict[str, dict[Any, R]] = {}
        self.version = 0
        """Grows with every change."""

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, key: Any, row: R) -> None:
        self.rows[key] = row
        self.by_created.setdefault(row.created[:10], {})[key] = row
        self.by_updated.setdefault(row.updated[:10], {})[key] = row
        self.version += 1

    def touch(self, key: Any, row: R, at: str) -> None:
        """It changed at `at`; never back in time."""
        self.version += 1
        if at <= row.updated:
            return
        before, after = row.updated[:10], at[:10]
        row.updated = at
        if before != after:
            del self.by_updated[before][key]
            self.by_updated.setdefault(after, {})[key] = row

    def within(self, days: dict[str, dict[Any, R]], first: str, last: str) -> Iterable[R]:
        """The rows of these days, both inclusive. `days` is one of the two indexes."""
        for day in sorted(day for day in days if first <= day <= last):
            yield from days[day].values()
