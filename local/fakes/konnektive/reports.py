"""What reports on the account must come to, read from its own records: plain sums, to compare any report of it with.

Days and months are those of the account's clock. Amounts are minor units. A sale is an order with a payment that came in, voided later or not; it is sold when
that came.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from local.fakes.konnektive.model import Customer, Order

if TYPE_CHECKING:
    from local.fakes.konnektive.shop import Shop

_IN_FORCE: Final = ("ACTIVE", "RECYCLE_BILLING")
_MONTH_DAYS: Final = 30
"""What a monthly figure counts as a month."""


def reports(shop: Shop) -> dict[str, Any]:
    """`sales`, `sources`, `cohorts`: by currency and what else they are of; `subscriptions` and `funnel` of all."""
    orders = list(shop.orders.rows.values())
    sold = [order for order in orders if sold_at(order) is not None]
    return {
        "leads": len(shop.customers),
        "customers": sum(any(sold_at(order) is not None for order in customer.orders) for customer in shop.customers.rows.values()),
        "sales": {currency: _sums(found) for currency, found in _by(sold, lambda order: order.currency).items()},
        "campaigns": _of(sold, lambda order: order.campaign.name),
        "sources": _of(sold, _source),
        "cohorts": _cohorts(shop.customers.rows.values()),
        "subscriptions": _subscriptions(shop),
        "funnel": _funnel(shop.customers.rows.values()),
    }


def sold_at(order: Order) -> str | None:
    return min((payment.created for payment in order.payments), default=None)


def _sums(orders: Iterable[Order]) -> dict[str, int]:
    found = Counter(orders=0, rebills=0, sales=0, earned=0, refunded=0)
    customers = set()
    for order in orders:
        customers.add(order.customer.id)
        found["orders"] += 1
        found["rebills"] += order.type == "RECURRING"
        found["sales"] += sum(payment.amount for payment in order.payments)
        found["earned"] += order.earned
        found["refunded"] += sum(payment.refunded for payment in order.payments if not payment.voided)
    return {**found, "customers": len(customers)}


def _source(order: Order) -> str:
    """The source that its link named, or none: every order of a customer, rebills too, says what the first one said."""
    return order.attribution.utm[0] or ""


def _by(orders: Iterable[Order], key: Any) -> dict[str, list[Order]]:
    found: dict[str, list[Order]] = defaultdict(list)
    for order in orders:
        found[key(order)].append(order)
    return dict(sorted(found.items()))


def _of(orders: list[Order], key: Any) -> dict[str, dict[str, dict[str, int]]]:
    return {
        currency: {name: _sums(found) for name, found in _by(theirs, key).items()} for currency, theirs in _by(orders, lambda order: order.currency).items()
    }


def _cohorts(customers: Iterable[Customer]) -> dict[str, dict[str, Any]]:
    """By the month in which they became leads."""
    leads: Counter[str] = Counter()
    earned: dict[str, Counter[str]] = defaultdict(Counter)
    for customer in customers:
        month = min([customer.created, *(order.created for order in customer.orders)])[:7]
        leads[month] += 1
        for order in customer.orders:
            if sold_at(order) is not None:
                earned[month][order.currency] += order.earned
    return {month: {"leads": count, "earned": dict(sorted(earned[month].items()))} for month, count in sorted(leads.items())}


def _subscriptions(shop: Shop) -> dict[str, Any]:
    """`mrr`: what runs, for 30 days, by currency; minor units with their fraction."""
    running = [purchase for purchase in shop.purchases.rows.values() if purchase.status in _IN_FORCE]
    mrr: dict[str, Fraction] = defaultdict(Fraction)
    for purchase in running:
        mrr[purchase.order.currency] += Fraction(purchase.recurring * _MONTH_DAYS, purchase.product.interval_days)
    return {"active": len(running), "all": len(shop.purchases), "mrr": {currency: float(amount) for currency, amount in sorted(mrr.items())}}


def _funnel(customers: Iterable[Customer]) -> Mapping[str, int]:
    """Who began a checkout; of those who bought afterwards; of those who were billed again after that."""
    found = Counter(started=0, sold=0, rebilled=0)
    for customer in customers:
        started = min((order.created for order in customer.orders if order.type != "RECURRING"), default=None)
        found["started"] += started is not None
        first = min((at for order in customer.orders if order.type != "RECURRING" and (at := sold_at(order)) is not None), default=None)
        found["sold"] += first is not None
        found["rebilled"] += first is not None and any(
            (at := sold_at(order)) is not None and at > first for order in customer.orders if order.type == "RECURRING"
        )
    return found
