"""Hints: what a postback points to is read again through the same door as a poll."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.kit.syncing import ACCOUNT, SyncBench, truth_of
from tributary.sync.tasks import HintTask


def read(**given: Any) -> SyncBench:
    bench = SyncBench(customers=8, **given)
    bench.backfill()
    bench.clock.advance(120)
    return bench


def hint(bench: SyncBench, *, order_id: str | None = None, customer_id: str | None = None, purchase_id: str | None = None) -> None:
    minute = bench.clock.now().replace(second=0, microsecond=0)
    bench.send(HintTask(connection=ACCOUNT, order_id=order_id, customer_id=customer_id, purchase_id=purchase_id, minute=minute))
    bench.run()


def test_an_order_that_a_postback_names_is_in_the_log_before_the_next_poll() -> None:
    bench = read()
    sold = bench.happen("new_sale", offer="subscription")
    calls = len(bench.calls)
    hint(bench, order_id=sold["orderId"], customer_id=str(sold["customerId"]))
    assert bench.books() == truth_of(bench.shop)
    assert [(endpoint, sent.get("customerId"), sent.get("orderId")) for endpoint, sent in bench.calls[calls:]] == [
        ("customer/query", str(sold["customerId"]), None),
        ("order/query", None, sold["orderId"]),
        ("transactions/query", None, sold["orderId"]),
        ("purchase/query", None, sold["orderId"]),
    ]


def test_a_customer_alone_is_read_with_everything_of_theirs() -> None:
    bench = read()
    sold = bench.happen("new_sale")
    hint(bench, customer_id=str(sold["customerId"]))
    assert bench.books() == truth_of(bench.shop)


def test_a_subscription_alone_is_read_with_what_was_paid_for_it() -> None:
    bench = read()
    sold = bench.happen("new_sale", offer="subscription")
    hint(bench, customer_id=str(sold["customerId"]))
    bench.clock.advance(60)
    bench.happen("rebill", purchaseId=sold["purchaseId"])
    bench.happen("cancel", purchaseId=sold["purchaseId"])
    hint(bench, purchase_id=sold["purchaseId"])
    assert bench.names()["Subscription Cancelled"] >= 1
    assert bench.books()["payments"] == truth_of(bench.shop)["payments"]


def test_the_poll_that_reads_the_same_later_makes_nothing_twice() -> None:
    bench = read()
    sold = bench.happen("new_sale")
    hint(bench, order_id=sold["orderId"], customer_id=str(sold["customerId"]))
    events = len(list(bench.sent))
    bench.live_for(3_600)
    assert len(list(bench.sent)) == events
    assert bench.books() == truth_of(bench.shop)


def test_a_lost_postback_costs_nothing_as_the_poll_brings_it() -> None:
    bench = read()
    bench.happen("new_sale")
    bench.live_for(1_800)
    assert bench.books() == truth_of(bench.shop)


def test_a_hint_moves_no_cursor() -> None:
    bench = read()
    before = bench.live()
    bench.clock.advance(2 * 86_400)
    hint(bench, order_id=bench.happen("new_sale")["orderId"])
    assert bench.live() == before


def test_an_id_that_does_not_exist_is_no_error() -> None:
    bench = read()
    events = len(list(bench.sent))
    hint(bench, order_id="00000000AB", customer_id="99999", purchase_id="00000000AC")
    assert bench.codes[-1] == "ok"
    assert len(list(bench.sent)) == events


def test_a_hint_for_a_stream_that_is_left_out_reads_the_others() -> None:
    bench = read(settings={"streams": ["customers", "orders"]})
    calls = len(bench.calls)
    hint(bench, order_id=bench.happen("new_sale")["orderId"])
    assert [endpoint for endpoint, _ in bench.calls[calls:]] == ["order/query"]


def test_a_hint_that_cannot_be_read_is_given_up_in_the_end_and_left_to_the_poll() -> None:
    bench = read()
    sold = bench.happen("new_sale")
    match = {"path": "/order/query/", "params": {"orderId": sold["orderId"]}}
    bench.answers(*[{"match": match, "status": 500}] * 20)
    bench.send(HintTask(connection=ACCOUNT, minute=bench.clock.now(), order_id=sold["orderId"]))
    bench.run(3_600)
    assert bench.codes[-1] == "vendor_unavailable_given_up"
    bench.live_for(1_800)
    assert bench.books() == truth_of(bench.shop)


@pytest.mark.parametrize(("seconds", "reads"), [(0, 1), (30, 1), (360, 2)])
def test_a_burst_of_hints_for_one_order_is_one_read(seconds: int, reads: int) -> None:
    bench = read()
    sold = bench.happen("new_sale")
    minute = bench.clock.now().replace(second=0, microsecond=0)
    for after in (0, seconds):
        bench.clock.move_to(max(bench.clock.now(), minute + timedelta(seconds=after)))
        for _ in range(10):
            hint(bench, order_id=sold["orderId"])
    assert len(bench.calls_of("order/query", orderId=sold["orderId"])) == reads


def test_hints_that_a_poll_was_planned_after_do_not_keep_it_waiting() -> None:
    bench = read(seconds_a_call=1.0)
    for number in range(500):
        bench.send(HintTask(connection=ACCOUNT, customer_id=str(number), minute=bench.clock.now()))
    sold = bench.happen("new_sale")
    bench.clock.advance(900)
    bench.tick()
    planned = bench.clock.now()
    bench.run(120)
    assert bench.live().finished_at == planned
    assert bench.books() == truth_of(bench.shop)
    assert sold


def test_words_for_an_id_that_is_not_found_are_no_error() -> None:
    bench = read()
    bench.answers({"match": {"path": "/customer/query/"}, "body": {"result": "ERROR", "message": "Customer not found"}})
    hint(bench, customer_id="77")
    assert bench.codes[-1] == "ok"


def test_a_hint_that_fails_twice_is_left_to_the_poll() -> None:
    bench = read()
    bench.answers(*[{"match": {"path": "/customer/query/"}, "status": 500}] * 9)
    hint(bench, customer_id="77")
    assert bench.codes[-2:] == ["vendor_unavailable", "vendor_unavailable_given_up"]
