"""Holdings as rows: what they cost, how large they get, and that merges, crashes and browsers' pasts lose none."""

from __future__ import annotations

import random
import string
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit import commerce
from tests.kit.builders import identify, later, page, track
from tests.kit.contacts import DIGESTS, World, model
from tests.kit.histories import numbered
from tributary.contacts import holdings
from tributary.contacts.holdings import Held
from tributary.contacts.orders import MAX_ITEMS, MAX_PAYMENTS
from tributary.contacts.rows import MAX_BYTES
from tributary.contacts.tags import MAX_MARKS, MAX_TAGS
from tributary.events import Event, Track


def _sale(order_id: str, **given: Any) -> Track:
    properties = {"order_id": order_id, "total": 20, "currency": "USD"}
    return track("Order Completed", **{"user_id": "1", **given, "properties": {**properties, **given.get("properties", {})}})


def test_an_event_that_concerns_no_holding_costs_what_it_did_for_a_customer_of_many_orders_too() -> None:
    world = World()
    world.take(identify(user_id="1", context={"tags": {"vip": True}}), *[_sale(f"o-{number}") for number in range(20)])
    world.contacts.calls.clear()
    world.take(track(user_id="1", timestamp=later(9)))
    assert world.contacts.calls == {"get": 2, "commit": 1, "changes": 1}


def test_an_order_costs_one_read_more_and_a_row_in_the_same_write() -> None:
    world = World()
    world.take(identify(user_id="1"))
    world.contacts.calls.clear()
    world.take(_sale("o-1", timestamp=later(9)))
    assert world.contacts.calls == {"get": 3, "commit": 1, "changes": 2}


def test_all_that_a_batch_says_of_a_persons_orders_is_one_read_and_one_write() -> None:
    world = World()
    world.take(identify(user_id="1"))
    world.contacts.calls.clear()
    world.take(*[_sale(f"o-{number % 5}", timestamp=later(number), context={"tags": {f"t-{number}": True}}) for number in range(100)])
    assert world.contacts.calls == {"get": 3, "commit": 1, "changes": 7}


def test_an_order_that_comes_again_writes_nothing() -> None:
    world = World()
    sale = _sale("o-1", context={"tags": {"customer": True}})
    world.take(sale)
    world.contacts.calls.clear()
    world.take(sale, sale)
    assert world.contacts.calls["commit"] == 0


def test_an_anonymous_page_view_still_costs_no_call() -> None:
    world = World()
    world.take(page(anonymous_id="b"), track("Product Viewed", anonymous_id="b", properties={"order_id": "o-1"}), track("Order Completed", anonymous_id="b"))
    assert world.contacts.calls == {}


@pytest.mark.parametrize("order_first", [True, False])
def test_what_a_browser_bought_is_the_persons_whenever_it_is_known_whose_it_is(order_first: bool) -> None:
    events = [_sale("o-1", user_id=None, anonymous_id="b", context={"tags": {"vip": True}}), identify(user_id="1", anonymous_id="b")]
    world = World()
    world.take_each(*(events if order_first else reversed(events)))
    contact = world.the("user", "1")
    assert [order.order_id for order in contact.orders] == ["o-1"]
    assert contact.tags["vip"].is_applied


def test_a_merge_joins_an_order_that_both_sides_know() -> None:
    world = World()
    world.take_each(
        _sale("o-1"),
        track("Order Refunded", properties={"email": "ana@quay.example", "order_id": "o-1", "refund_id": "r", "total": 5, "currency": "USD"}),
        identify(user_id="1", traits={"email": "ana@quay.example"}),
    )
    (order,) = world.the("user", "1").orders
    assert (order.completed is not None, list(order.refunds.kept)) == (True, ["r"])
    assert world.the("user", "1").merge_count == 1


def _noise(chance: random.Random, length: int) -> str:
    return "".join(chance.choices(string.ascii_letters + string.digits + "äöüßéñ漢字かな", k=length))


def _full_order(order_id: str, chance: random.Random) -> list[Event]:
    """All of an order that its bounds let in, of the longest texts."""

    def about(name: str, **properties: Any) -> Event:
        return msgspec.structs.replace(_sale(order_id, message_id=_noise(chance, 100), properties=properties), event=name)

    products = [{"product_id": _noise(chance, 200), "sku": _noise(chance, 200), "name": _noise(chance, 200), "price": 9_999_999.99} for _ in range(MAX_ITEMS)]
    texts = ("status", "order_type", "campaign_id", "campaign_name", "affiliate_id", "affiliation", "coupon", "payment_method", "reason", "order_number")
    said: list[Event] = [about("Order Completed", products=products, **{name: _noise(chance, 200) for name in texts})]
    for _ in range(MAX_PAYMENTS):
        transaction, parent, reason = _noise(chance, 120), _noise(chance, 120), _noise(chance, 200)
        known = {"amount": 9_999_999.99, "transaction_id": transaction, "parent_transaction_id": parent, "reason": reason, "payment_method": reason}
        said.append(about("Payment Received", **known))
        said.append(about("Payment Voided", **known))
        said.append(about("Order Refunded", **known, refund_id=transaction))
        said.append(about("Chargeback Received", **known, reason_code=reason))
    return said


def test_the_fullest_row_of_each_kind_fits_dynamodb() -> None:
    chance = random.Random(2)
    held: Held = {}
    for event in _full_order("o-1", chance):
        holdings.take(held, event, DIGESTS)
    for number in range(MAX_TAGS * MAX_MARKS // 100 + 1):
        for _ in range(MAX_MARKS):
            names = [f"{tag:03}{_noise(random.Random(tag), 190)}" for tag in range(number * 100 % MAX_TAGS, number * 100 % MAX_TAGS + 100)]
            tagged = page(context={"tags": {name: chance.random() < 0.5 for name in names}}, timestamp=later(chance.random() * 300))
            holdings.take(held, tagged, DIGESTS)
    for number in range(60):
        terms = {name: _noise(chance, 200) for name in ("status", "order_id", "product_id", "sku", "name", "next_bill_date", "cancel_reason")}
        said = {"subscription_id": "s", "price": 9_999_999.99, "total_billed": 9_999_999.99, **terms}
        holdings.take(held, track("Subscription Cancelled", properties=said, message_id=_noise(chance, 100), timestamp=later(number)), DIGESTS)
    assert {holdings.kind_of(sort) for sort in held} == {"order", "tags", "subscription"}
    for sort, row in held.items():
        assert len(msgspec.json.encode(row)) < 409_600 - 200, sort


def test_the_fullest_orders_of_a_batch_and_of_a_merge_go_in_transactions_that_dynamodb_takes() -> None:
    """Each is some 110 KB. The fake refuses an item of more than 400 KB and a transaction of more than 4 MB, as DynamoDB does."""
    chance = random.Random(3)
    orders = [_full_order(f"o-{number}", chance) for number in range(MAX_BYTES // 80_000)]
    world = World()
    counts = world.take(*[event for said in orders for event in said]).counts
    assert counts["conflicts"] == 0, "the second transaction knows the revision that the first one left"
    whole = world.the("user", "1").orders
    assert len(whole) == len(orders)
    assert world.contacts.calls["commit"] > 1

    theirs = World()
    theirs.take(*[event for said in orders for event in said])
    theirs.take(*[msgspec.structs.replace(_sale(f"o-{number}"), user_id=None, owner="konnektive#con_1#1") for number in range(len(orders))])
    theirs.take(track(user_id="1", owner="konnektive#con_1#1"))
    assert len(theirs.the("user", "1").orders) == len(orders)
    assert theirs.the("user", "1").is_settled


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(commerce.commerce(), commerce.tags, st.integers(0, 1)), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_holdings_join_in_any_order_and_grouping_also_of_events_that_share_an_id(
    said: list[tuple[tuple[str, dict[str, Any]], dict[str, bool], int]], chance: random.Random
) -> None:
    parts: list[Held] = []
    for (name, properties), tagged, second in said:
        parts.append({})
        holdings.take(parts[-1], track(name, properties=properties, context={"tags": tagged}, timestamp=later(second), message_id="m"), DIGESTS)

    def together(some: list[Held]) -> Held:
        if len(some) == 1:
            return dict(some[0])
        cut = chance.randint(1, len(some) - 1)
        held = together(some[:cut])
        holdings.take_all(held, together(some[cut:]).items())
        return held

    again = [*parts, *parts]
    chance.shuffle(again)
    assert together(again) == together(parts)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(commerce.commerce(), st.integers(0, 3)), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_one_persons_purchases_are_the_same_in_any_order(said: list[tuple[tuple[str, dict[str, Any]], int]], chance: random.Random) -> None:
    events = numbered([track(name, user_id="1", properties=properties, timestamp=later(seconds)) for (name, properties), seconds in said])
    again = [*events, *events[::2]]
    chance.shuffle(again)
    world = World()
    while again:
        size = chance.randint(1, 5)
        world.take(*again[:size])
        again = again[size:]
    assert world.people() == model(events)
