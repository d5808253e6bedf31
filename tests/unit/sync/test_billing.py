"""What Kissmetrics bills of an account that is read: sales once each, refunds taken off, and nothing for what was never sold."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from local.fakes.konnektive.shop import Shop
from tests.kit.konnektive_account import BEGUN, Account
from tributary.currencies import MINOR_UNITS
from tributary.destinations import kissmetrics
from tributary.events import Event, Track

SETTINGS = kissmetrics.parse_settings({"apiKey": "k" * 40})
SOLD = {"COMPLETE", "PENDING", "COD_PENDING", "REFUNDED", "CANCELLED"}


def billed(event: Event) -> Decimal:
    forms = [dict(request.query or request.form or ()) for request in kissmetrics.build(event, SETTINGS)]
    return sum((Decimal(form["Billing amount"]) for form in forms if "Billing amount" in form), Decimal(0))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kissmetrics_bills_what_was_sold_less_what_was_refunded(seed: int) -> None:
    """By currency: the account's payments, less the tax and shipping of what was sold, less its refunds as they were paid back. An order that waits for its
    payment, or was cancelled before it, was told as sold, and Kissmetrics is sent no way back but a refund. The same goes for voids and chargebacks."""
    shop = Shop(seed=seed)
    shop.grow(customers=120, months=18, now=BEGUN)
    account = Account(shop, resolves=False)
    account.tick()
    account.run()
    got: Counter[str] = Counter()
    names: set[str] = set()
    for event in account.log.inserted:
        if isinstance(event, Track) and (amount := billed(event)):
            got[event.properties["currency"]] += int(amount.scaleb(MINOR_UNITS[event.properties["currency"]]))
            names.add(event.event)
    expected = Counter({currency: sums["gross"] - sums["refunded"] for currency, sums in shop.truth()["revenue"].items()})
    for order in shop.orders.rows.values():
        if order.status in SOLD:
            never_paid = order.total if not any(order.payments) else 0
            expected[order.currency] += never_paid - sum(item.tax + item.shipping for item in order.items)
    assert names == {"Order Completed", "Order Refunded"}
    assert got == expected


def test_what_happens_to_an_order_after_its_sale_bills_its_refund_alone() -> None:
    shop = Shop(seed=1)
    account = Account(shop, resolves=False)
    account.tick()
    account.run()
    told: dict[str, Decimal] = {}
    happenings: dict[str, dict[str, Any]] = {"new_sale": {"offer": "one_off", "currency": "USD"}, "shipped": {}, "partial_refund": {"amount": 500}}
    for what, about in (happenings | {"full_refund": {}, "decline": {}, "lead": {}}).items():
        before = len(account.log.inserted)
        account.play(0.05)
        shop.happen(what, at=account.time, about=about)
        account.tick()
        account.run()
        told[what] = sum((billed(event) for event in account.log.inserted[before:]), Decimal(0))
    (order,) = (order for order in shop.orders.rows.values() if order.status == "REFUNDED")
    goods = order.total - sum(item.tax + item.shipping for item in order.items)
    assert {what: int(amount.scaleb(2)) for what, amount in told.items()} == {
        "new_sale": goods,
        "shipped": 0,
        "partial_refund": -500,
        "full_refund": 500 - order.total,
        "decline": 0,
        "lead": 0,
    }
