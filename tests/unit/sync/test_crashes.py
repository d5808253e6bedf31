"""A sandbox that dies, or a store that fails, at each step of a sync: nothing twice in the log, nothing missing, and the sync gets on by itself."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from tests.kit.queue_model import Crash
from tests.kit.syncing import ACCOUNT, START, STEPS, SyncBench, truth_of, unlucky
from tributary.errors import StoreUnavailable, VendorUnavailable, WriteConflict
from tributary.events import Track
from tributary.sync import days
from tributary.sync.streams import KINDS
from tributary.sync.tasks import HintTask

ERRORS: dict[str, Callable[[], BaseException]] = {
    "the sandbox dies": Crash,
    "the store fails": lambda: StoreUnavailable("out"),
    "a fault of ours": lambda: RuntimeError("a fault"),
}


def small() -> SyncBench:
    return SyncBench(customers=10, months=2, seconds_a_call=2.0)


def settle(bench: SyncBench) -> None:
    """Let the schedule and the queue do their work for half a day."""
    bench.live_for(12 * 3_600.0, every=900.0)


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS.keys())
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_whatever_breaks_off_at_any_step_the_history_is_read_once(step: str, moment: str, error: Callable[[], BaseException]) -> None:
    bench = small()
    bench.trap.once(step, moment, error(), time=2 if step not in {"notices.tell", "store.put_status"} else 1)
    settle(bench)
    assert bench.history().finished_at is not None
    assert bench.books() == truth_of(bench.shop)
    assert bench.names()["Initial Sync Completed"] == 1
    assert bench.live().cursors == dict.fromkeys(KINDS, days.today(bench.clock.now(), bench.zone))
    assert not bench.sync().poll_under_way


def test_a_day_whose_events_were_sent_but_not_remembered_sends_the_same_events_again_under_the_same_ids() -> None:
    bench = small()
    bench.backfill()
    bench.happen("new_sale")
    bench.clock.advance(900)
    before = len(list(bench.sent))
    bench.trap.once("states.put", "before", StoreUnavailable("out"))
    bench.tick()
    bench.run()
    again = [event.message_id for event in list(bench.sent)[before:]]
    assert len(again) > len(set(again)), "the page was sent twice"
    assert bench.books() == truth_of(bench.shop)


def test_an_order_that_gets_more_between_a_crash_and_the_next_try_is_one_sale_and_what_it_has_become_is_told() -> None:
    bench = small()
    bench.backfill()
    seen = set(bench.log)
    order = bench.happen("new_sale", offer="one_off")["orderId"]
    bench.clock.advance(900)
    bench.trap.once("states.put", "before", Crash(), time=2)  # the orders come after the customers
    bench.tick()
    bench.run(60)
    bench.trap.spring = lambda _step, _moment: None
    bench.happen("upsell", orderId=order)
    bench.run()
    told = [event for key, event in bench.log.items() if key not in seen and isinstance(event, Track) and event.properties.get("order_id") == order]
    names = [event.event for event in told if event.event.startswith("Order ")]
    assert names == ["Order Completed", "Order Updated"]
    assert [len(event.properties["products"]) for event in told if event.event.startswith("Order ")] == [1, 2]
    assert bench.books() == truth_of(bench.shop)


def test_an_order_that_a_retried_day_reads_for_the_first_time_is_not_told_twice_over() -> None:
    bench = small()
    bench.backfill()
    before = bench.names()
    bench.happen("new_sale", offer="one_off")
    bench.clock.advance(900)
    bench.trap.once("states.put", "before", StoreUnavailable("out"), time=2)
    bench.tick()
    bench.run()
    assert bench.names()["Order Completed"] == before["Order Completed"] + 1
    assert bench.names()["Order Updated"] == before["Order Updated"]


def test_the_walk_through_the_past_has_one_task_at_a_time_whatever_was_sent_twice() -> None:
    bench = small()
    bench.source.lose_deletes = 0.1
    bench.source.chance = Random(5)
    settle(bench)
    bench.source.lose_deletes = 0.0
    bench.run()
    assert bench.history().finished_at is not None
    assert [task for task in bench.waiting() if type(task).__name__ == "HistoryTask"] == []
    assert bench.books() == truth_of(bench.shop)
    assert bench.names()["Initial Sync Completed"] == 1


def test_a_walk_that_died_between_keeping_its_work_and_sending_its_successor_goes_on_when_its_task_comes_again() -> None:
    bench = small()
    bench.tick()
    bench.trap.once("tasks.send", "before", Crash())
    bench.run(600)
    assert bench.history().step == 1
    assert bench.history().finished_at is None
    bench.run()
    assert bench.history().finished_at is not None


def test_a_second_holder_of_an_account_waits_and_does_no_harm() -> None:
    bench = small()
    bench.tick()
    assert bench.store.lease(ACCOUNT, "somebody else", bench.clock.now(), 100)
    bench.run(90)
    assert set(bench.codes) == {"leased"}
    assert bench.calls == []
    bench.run()
    assert bench.books() == truth_of(bench.shop)


def test_the_lease_of_a_sandbox_that_died_ends_by_itself() -> None:
    bench = small()
    bench.tick()
    bench.trap.once("ingest.send", "after", Crash())
    bench.run(100)
    calls = len(bench.calls)
    bench.run(2_500)
    assert len(bench.calls) == calls, "its task is hidden, and holds the account's others back"
    bench.run()
    assert bench.history().finished_at is not None
    assert bench.books() == truth_of(bench.shop)


def test_two_runs_of_one_task_at_the_same_time_say_nothing_twice() -> None:
    """The queue's time-out passed while the first was still at it, and so did its lease."""
    bench = small()
    bench.tick()
    task = bench.waiting()[0]
    first, second = bench.poll("first"), bench.poll("second")

    def meanwhile(step: str, moment: str) -> BaseException | None:
        if (step, moment) == ("states.put", "before"):
            bench.trap.spring = lambda _step, _moment: None
            bench.store.leases.clear()
            assert second.run(task, receives=2, remaining=lambda: 400.0).code == "ok"
        return None

    bench.trap.spring = meanwhile
    assert first.run(task, receives=1, remaining=lambda: 400.0).code == "ok"
    bench.run()
    assert bench.books() == truth_of(bench.shop)


@pytest.mark.parametrize("seed", range(6))
def test_after_faults_in_every_stage_the_books_are_the_accounts_own_to_the_cent(seed: int) -> None:
    bench = SyncBench(customers=40, months=3, seed=seed, seconds_a_call=1.0)
    random = Random(seed)
    errors: list[Callable[[], BaseException]] = [Crash, lambda: StoreUnavailable("out"), lambda: WriteConflict("raced"), lambda: RuntimeError("a fault")]
    vendor = bench.account.vendor

    def answer(_path: str, _form: object) -> None:
        if random.random() < 0.05:
            raise VendorUnavailable("no answer")

    vendor.before = answer
    for _ in range(4):
        bench.trap.spring = unlucky(random, errors, 0.01)
        bench.live_for(10 * 3_600.0, every=900.0)
        bench.shop_does(play_days=0.4)
    bench.trap.spring = lambda _step, _moment: None
    vendor.before = None
    settle(bench)
    assert bench.history().finished_at is not None
    assert bench.history().failed == []
    assert bench.books() == truth_of(bench.shop)
    assert bench.names()["Initial Sync Completed"] == 1


@pytest.mark.parametrize("kind", ["hint", "history"])
def test_a_task_that_kills_its_sandbox_each_time_is_given_up_and_the_others_run(kind: str) -> None:
    bench = SyncBench()
    bench.shop_does(crowd={"orders": 450, "day": "2026-09-10", "customers": 5})
    vendor = bench.account.vendor

    def kill(_path: str, form: Any) -> None:
        if form.get("customerId") == ["77"] or (form.get("startDate"), form["resultsPerPage"]) == (["09/10/2026"], ["200"]):
            bench.trap.dead = True
            raise Crash

    if kind == "hint":
        bench.backfill()
        bench.clock.advance(1_000)
        bench.send(HintTask(connection=ACCOUNT, customer_id="77", minute=bench.clock.now()))
    vendor.before = kill
    bench.tick()
    planned = bench.clock.now()
    bench.live_for(24 * 3_600)
    assert "died_given_up" in bench.codes
    assert (bench.live().finished_at or START) > planned
    assert bench.history().finished_at is not None
    assert bench.live().cursors["orders"] >= START.date()
    assert bool(bench.history().failed) == (kind == "history")


def test_a_task_that_was_handed_back_often_is_not_given_up_for_it() -> None:
    bench = SyncBench()
    bench.answers(*[{"status": 429}] * 36)
    bench.tick()
    bench.run(4 * 3_600)
    assert "died_given_up" not in bench.codes
    assert bench.codes.count("vendor_throttled") == 12
