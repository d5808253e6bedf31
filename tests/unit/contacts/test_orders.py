"""An order: its money to the minor unit, its history, and what becomes of it whatever comes first."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import msgspec
import pytest

from tests.kit.builders import identify, later, track
from tests.kit.commerce import written
from tests.kit.contacts import World
from tributary.contacts.describe import describe
from tributary.contacts.lifetime import balances_of, bill_of, lifetime_of
from tributary.contacts.orders import MAX_ITEMS, MAX_PAYMENTS, Order, joined, order_of
from tributary.events import Event, Track

KIT: dict[str, Any] = {"product_id": "88", "sku": "KIT-1", "name": "Sample Kit", "price": 39.0, "quantity": 1}
SALE: dict[str, Any] = {
    "order_id": "0A1B2C3D4E",
    "order_number": "4101",
    "total": 44.95,
    "subtotal": 39.0,
    "shipping": 5.95,
    "tax": 0.0,
    "discount": 0.0,
    "revenue": 39.0,
    "currency": "USD",
    "coupon": "SPRING",
    "campaign_id": "12",
    "campaign_name": "Sample Funnel",
    "products": [KIT],
}


def _about(name: str, seconds: float = 0, **properties: Any) -> Track:
    return track(name, user_id="1", properties={"order_id": "0A1B2C3D4E", **properties}, timestamp=later(seconds), received_at=later(3_600))


def _sale(seconds: float = 0, **properties: Any) -> Track:
    return _about("Order Completed", seconds, **{**SALE, **properties})


def _order(*events: Event) -> Order:
    world = World()
    world.take(*events)
    (order,) = world.the("user", "1").orders
    return order


def _shown(*events: Event) -> dict[str, Any]:
    world = World()
    world.take(*events)
    return describe(world.the("user", "1"), ())


def _amounts(*events: Event) -> dict[str, int]:
    (balance,) = balances_of(_order(*events))
    return {name: getattr(balance, name) for name in ("gross", "received", "refunded", "charged_back", "voided", "net") if getattr(balance, name)}


def test_a_sale_is_shown_with_its_items_and_its_money() -> None:
    shown = _shown(_sale(), _about("Payment Received", 2, transaction_id="90210", amount=44.95, currency="USD", payment_method="CREDITCARD"))
    (order,) = shown["orders"]
    assert (order["number"], order["state"], order["coupon"], order["campaign"]) == ("4101", "completed", "SPRING", "Sample Funnel")
    assert order["items"][0] | {"unit_price": None} == {"product_id": "88", "sku": "KIT-1", "name": "Sample Kit", "quantity": 1, "unit_price": None}
    assert order["items"][0]["unit_price"] == {"amount": 3900, "currency": "USD", "text": "39.00 USD"}
    assert {name: money["amount"] for name, money in order["comes_to"].items()} == {"gross": 4495, "discount": 0, "tax": 0, "shipping": 595, "total": 4495}
    assert [(payment["id"], payment["received"], payment["amount"]["text"]) for payment in order["payments"]] == [("90210", True, "44.95 USD")]
    assert shown["customer_at"] == order["sold_at"] == written(later(0))
    assert shown["products"] == [{"product_id": "88", "sku": "KIT-1", "name": "Sample Kit"}]
    assert shown["campaigns"] == [{"id": "12", "name": "Sample Funnel"}]


def test_a_refund_before_its_order_a_partial_one_and_a_chargeback_give_the_same_in_any_order() -> None:
    events = [
        _sale(),
        _about("Order Refunded", 50, refund_id="90300", total=10.10, currency="USD"),
        _about("Payment Received", 2, transaction_id="90210", amount=44.95, currency="USD"),
        _about("Chargeback Received", 60, transaction_id="90210", amount=34.85, currency="USD", reason_code="4837"),
        _about("Order Cancelled", 40, **SALE, reason="asked to"),
    ]
    first = _order(*events)
    for order in permutations(events):
        world = World()
        world.take_each(*order, order[0])
        assert world.the("user", "1").orders == (first,)
    (balance,) = balances_of(first)
    assert (balance.gross, balance.shipping, balance.refunded, balance.charged_back) == (4495, 595, 1010, 3485)
    assert (balance.returned, balance.net) == (595, 0), "all was given back, its shipping with it"
    assert (first.state, first.header.reason and first.header.reason.value) == ("cancelled", "asked to")


def test_a_chargeback_that_is_reversed_counts_no_more_and_one_set_again_does() -> None:
    payment = _about("Payment Received", transaction_id="7", amount=20, currency="USD")
    steps = [
        _about(f"Chargeback {what}", number, transaction_id="7", amount=20, currency="USD") for number, what in enumerate(("Received", "Reversed", "Received"))
    ]
    assert "charged_back" not in _amounts(payment, *steps[:2])
    assert _amounts(payment, *reversed(steps))["charged_back"] == 2000
    assert _amounts(payment, _about("Chargeback Received", 1, transaction_id="7"))["charged_back"] == 2000, "without an amount, its payment's"


def test_a_payment_that_is_voided_is_taken_off_and_a_voided_hold_is_not() -> None:
    sale = _sale(total=20, shipping=0)
    assert _amounts(
        sale,
        _about("Payment Received", 1, transaction_id="7", amount=20, currency="USD"),
        _about("Payment Voided", 2, transaction_id="8", parent_transaction_id="7", amount=20, currency="USD"),
    ) == {"gross": 2000, "received": 2000, "voided": 2000}
    assert _amounts(sale, _about("Payment Voided", 2, transaction_id="8", parent_transaction_id="6", amount=20, currency="USD")) == {"gross": 2000, "net": 2000}


def test_a_payment_that_is_voided_makes_no_sale_of_an_order_that_nobody_completed() -> None:
    order = _order(
        _about("Payment Received", 1, transaction_id="7", amount=20, currency="USD"), _about("Payment Voided", 2, transaction_id="8", parent_transaction_id="7")
    )
    assert order.sold_at is None
    assert [(one.gross, one.received, one.net) for one in balances_of(order)] == [(0, 2000, 0)]


def test_of_two_payments_one_voided_the_other_is_what_was_earned() -> None:
    assert _amounts(
        _about("Payment Received", 1, transaction_id="7", amount=20, currency="USD"),
        _about("Payment Voided", 2, transaction_id="8", parent_transaction_id="7"),
        _about("Payment Received", 3, transaction_id="9", amount=15, currency="USD"),
    ) == {"gross": 3500, "received": 3500, "voided": 2000, "net": 1500}


def test_several_payments_of_one_order_are_one_sale_and_a_declined_one_is_none() -> None:
    order = _order(
        _about("Payment Received", 1, transaction_id="7", amount=20, currency="USD"),
        _about("Payment Received", 2, transaction_id="8", amount=15, currency="USD"),
        _about("Payment Declined", 0, transaction_id="6", amount=99, currency="USD", reason="no funds"),
    )
    (balance,) = balances_of(order)
    assert (balance.gross, balance.received) == (3500, 3500), "nobody said what it comes to: what was paid"
    assert len(order.payments.kept) == 3


def test_a_lead_and_a_declined_order_are_no_sale_until_they_are_completed() -> None:
    world = World()
    world.take(_about("Checkout Started", 0, **SALE), _about("Order Declined", 5, **SALE, reason="no funds"))
    lifetime = lifetime_of(world.the("user", "1"))
    assert (lifetime.sales, lifetime.customer_at, lifetime.balances) == (0, None, ())
    assert world.the("user", "1").orders[0].state == "declined"
    world.take(_sale(10))
    contact = world.the("user", "1")
    assert (lifetime_of(contact).sales, contact.orders[0].state) == (1, "completed")
    assert [state for _, state in contact.orders[0].history] == ["started", "declined", "completed"]


def test_the_last_to_speak_of_a_field_wins_and_who_is_silent_changes_nothing() -> None:
    order = _order(
        _sale(0), _about("Order Updated", 2, total=30, currency="USD", status="COMPLETE"), _about("Order Cancelled", 1, status="CANCELLED", coupon=None)
    )
    bill = bill_of(order)
    assert bill is not None
    assert (bill.total, order.state) == (3000, "cancelled")
    assert order.header.status is not None
    assert order.header.status.value == "COMPLETE"
    assert order.header.coupon is not None
    assert order.header.coupon.value == "SPRING"
    assert order.header.items is not None


@pytest.mark.parametrize(
    ("value", "code", "minor"),
    [
        (0.1, "USD", 10),
        (1.1 + 2.2, "USD", 330),
        (19.99, "USD", 1999),
        (1.005, "USD", 100),
        (1.015, "USD", 102),
        ("1,234.50", "EUR", 123450),
        (1500, "JPY", 1500),
        (1.2345, "KWD", 1234),
        (12.345, "KWD", 12345),
        ("1e-999999999", "USD", 0),
        (90_071_992_547.41, "USD", 9_007_199_254_741),
        (1e3, "usd", 100_000),
    ],
)
def test_money_is_exact_in_the_minor_units_of_its_currency(value: Any, code: str, minor: int) -> None:
    bill = bill_of(_order(_about("Order Completed", total=value, currency=code)))
    assert bill is not None
    assert (bill.total, bill.currency) == (minor, code.upper())


@pytest.mark.parametrize("value", [None, "", "free", True, float("nan"), float("inf"), 1e300, "1e999999999", 10**60, "9" * 50, [], {}])
def test_what_is_no_amount_is_passed_over(value: Any) -> None:
    assert bill_of(_order(_about("Order Completed", total=value, currency="USD"))) is None


def test_an_amount_without_a_currency_takes_its_orders_else_the_shops_default() -> None:
    order = _order(_about("Order Completed", total=1000.0, currency="JPY"), _about("Order Refunded", 1, total=400))
    assert [(one.currency, one.gross, one.refunded) for one in balances_of(order)] == [("JPY", 1000, 400)]
    silent = _order(_about("Order Completed", total=12.345))
    assert [(one.currency, one.gross) for one in balances_of(silent)] == [("USD", 1234)]
    assert [(one.currency, one.gross) for one in balances_of(silent, "KWD")] == [("KWD", 12345)]


def test_amounts_of_different_currencies_are_never_added() -> None:
    world = World()
    world.take(
        _sale(),
        track("Order Completed", user_id="1", properties={"order_id": "yen", "total": 1500, "currency": "JPY"}, timestamp=later(9)),
        _about("Order Refunded", 5, refund_id="r", total=5, currency="EUR"),
    )
    assert [(one.currency, one.gross, one.refunded) for one in lifetime_of(world.the("user", "1")).balances] == [
        ("EUR", 0, 500),
        ("JPY", 1500, 0),
        ("USD", 4495, 0),
    ]


def test_a_refund_that_names_no_amount_is_of_the_whole_order() -> None:
    assert _amounts(_sale(shipping=0), _about("Order Refunded", 5))["refunded"] == 4495
    assert _amounts(_sale(shipping=0), _about("Order Refunded", 4, total=10, currency="USD"), _about("Order Refunded", 5))["refunded"] == 4495


@pytest.mark.parametrize(
    ("given_back", "net"),
    [(0, 3900), (10, 2900), (39, 0), (40, 0), (44.95, 0), (50, -505)],
    ids=["nothing", "some goods", "all goods", "some shipping too", "all of it", "more than all"],
)
def test_what_is_given_back_is_first_goods_then_tax_and_shipping(given_back: float, net: int) -> None:
    refund = _about("Order Refunded", 5, refund_id="r", total=given_back, currency="USD")
    for sale in (_sale(), _sale(shipping=4, tax=1.95)):
        (balance,) = balances_of(_order(sale, refund))
        assert balance.net == net
        assert balance.net == balance.gross - balance.discount - balance.tax - balance.shipping - balance.refunded + balance.returned


def test_shipping_that_one_order_gave_back_is_not_taken_from_another() -> None:
    world = World()
    other = track("Order Completed", user_id="1", properties={**SALE, "order_id": "other"}, timestamp=later(9))
    world.take(_sale(), _about("Order Refunded", 5, refund_id="r", total=44.95, currency="USD"), other)
    (balance,) = lifetime_of(world.the("user", "1")).balances
    assert (balance.gross, balance.shipping, balance.returned, balance.net) == (8990, 1190, 595, 3900)


def _told(event: Track) -> Track:
    return msgspec.structs.replace(event, context={"payments": "told"})


def test_an_order_whose_source_tells_payments_comes_to_what_came_in_in_any_order() -> None:
    sale, cancelled = _told(_sale(discount=2)), _told(_about("Order Cancelled", 9, **SALE))
    hold = _about("Payment Voided", 8, transaction_id="8", parent_transaction_id="6", amount=44.95, currency="USD")
    paid = [_about("Payment Received", number, transaction_id=str(number), amount=amount, currency="USD") for number, amount in ((2, 40), (3, 4.95))]
    never = _order(sale, hold, cancelled)
    assert (never.sold_at, balances_of(never), never.state) == (None, (), "cancelled")
    for events in permutations([sale, *paid]):
        world = World()
        world.take_each(*events)
        (balance,) = lifetime_of(world.the("user", "1")).balances
        assert (balance.gross, balance.discount, balance.total, balance.net) == (4695, 200, 4495, 3900)
    (partly,) = balances_of(_order(sale, paid[0]))
    assert (partly.total, partly.net) == (4000, 3405)
    (voided,) = balances_of(_order(sale, paid[0], _about("Payment Voided", 8, transaction_id="8", parent_transaction_id="2", amount=40, currency="USD")))
    assert (voided.total, voided.voided, voided.net) == (4000, 4000, 0), "a sale that was voided was one"
    assert _amounts(_sale()) == {"gross": 4495, "net": 3900}, "of a shop that tells no payments, what it says"


def test_a_web_shops_order_is_read_by_revenue_or_subtotal_where_it_has_no_total() -> None:
    for said, total in (({"revenue": 25, "shipping": 3, "tax": 2}, 3000), ({"subtotal": 20, "tax": 1.5}, 2150), ({"total": 27.5, "revenue": 25}, 2750)):
        bill = bill_of(_order(_about("Order Completed", currency="USD", **said)))
        assert bill is not None
        assert bill.total == total


def test_the_same_order_named_by_two_sources_is_two() -> None:
    world = World()
    world.take(_sale(), track("Order Completed", user_id="1", source="con_1", properties=SALE))
    assert [(order.source, order.order_id) for order in world.the("user", "1").orders] == [("con_1", "0A1B2C3D4E"), ("src_shop", "0A1B2C3D4E")]


def test_a_blocked_order_id_is_nobodys_order() -> None:
    world = World()
    world.take(*[track("Order Completed", user_id="1", properties={"order_id": order, "total": 5}) for order in ("null", "0", "", None, "x" * 256, True)])
    assert world.the("user", "1").orders == ()


def test_a_person_is_a_lead_since_the_first_event_or_the_crm_created_them() -> None:
    world = World()
    world.take(_about("Checkout Started", 5), _sale(9))
    assert describe(world.the("user", "1"), ())["lead_at"] == written(later(5))
    world.take(identify(user_id="1", timestamp=later(20), received_at=later(20), traits={"createdAt": "2024-03-09T21:13:50Z"}))
    assert describe(world.the("user", "1"), ())["lead_at"] == "2024-03-09T21:13:50Z"


def test_what_an_order_has_beyond_its_bounds_is_the_same_in_any_order_and_counted() -> None:
    events = [_about("Payment Received", number, transaction_id=f"t-{number:04}", amount=1, currency="USD") for number in range(MAX_PAYMENTS + 20)]
    orders = [order for event in events if (order := order_of(event)) is not None]
    together, backwards = orders[0], orders[-1]
    for order in orders:
        together = joined(together, order)
    for order in reversed(orders):
        backwards = joined(backwards, order)
    assert together == backwards
    assert sorted(together.payments.kept) == [f"t-{number:04}" for number in range(MAX_PAYMENTS)]
    assert together.beyond == 20
    many = order_of(_about("Order Completed", products=[KIT] * (MAX_ITEMS + 5)))
    assert many is not None
    assert many.header.items is not None
    assert (len(many.header.items.value.items), many.header.items.value.more) == (MAX_ITEMS, 5)
