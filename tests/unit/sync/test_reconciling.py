"""Ours against the account's own sums: equal when all is well, and different where something is missing."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.kit.syncing import ACCOUNT, START, SyncBench
from tributary.sources.konnektive.records import Kind, RecordState
from tributary.sync import reconcile
from tributary.sync.state import Difference
from tributary.sync.tasks import ReconcileTask

TODAY = date(2026, 11, 20)


def compared(bench: SyncBench) -> list[Difference]:
    bench.send(ReconcileTask(connection=ACCOUNT, scheduled_at=bench.clock.now()))
    bench.run()
    assert bench.codes[-1] == "ok"
    return bench.status().differences


def read(**given: Any) -> SyncBench:
    bench = SyncBench(**{"customers": 150, "months": 4, **given})
    bench.backfill()
    return bench


@pytest.mark.parametrize("seed", range(4))
def test_five_weeks_of_a_shop_with_two_currencies_agree_to_the_cent(seed: int) -> None:
    bench = read(seed=seed)
    assert compared(bench) == []
    assert bench.sync().reconciled_days == 35
    truth = bench.shop.truth()
    recent = [day for day in truth["days"] if day["date"] >= (TODAY - timedelta(days=35)).isoformat()]
    assert {day["currency"] for day in recent} == {"JPY", "USD"}
    assert any(day["refunded"] for day in recent)


@pytest.mark.parametrize("what", ["partial_refund", "full_refund", "chargeback", "void", "rebill", "decline", "sale_and_refund", "upsell"])
def test_what_happens_later_to_a_sale_agrees_once_it_was_polled(what: str) -> None:
    bench = SyncBench()
    bench.happen("new_sale", offer="subscription")
    bench.happen("new_sale", currency="JPY", offer="one_off")
    bench.backfill()
    bench.clock.advance(4 * 86_400)
    bench.happen(what)
    bench.clock.advance(86_400)
    bench.live_for(3_600)
    assert compared(bench) == []


def test_a_refund_and_a_chargeback_count_on_the_day_of_the_sale_that_they_concern() -> None:
    bench = SyncBench()
    sold = bench.happen("new_sale", offer="one_off")
    bench.clock.advance(3 * 86_400)
    bench.happen("partial_refund", orderId=sold["orderId"], amount=500)
    bench.clock.advance(86_400)
    bench.backfill()
    days = [TODAY + timedelta(days=number) for number in reversed(range(5))]
    sums = reconcile.sums_of((day.isoformat(), list(bench.states.of_day(ACCOUNT, Kind.TRANSACTION, day.isoformat()))) for day in days)
    assert (sums["2026-11-20"]["USD"].counts["refundCnt"], sums["2026-11-20"]["USD"].amounts["refundRev"]) == (1, 500)
    assert all("USD" not in sums[day.isoformat()] for day in days[:-1])


def test_a_payment_that_we_do_not_have_shows_as_a_difference() -> None:
    bench = read()
    lost = next(key for key, state in bench.states.rows.items() if _counts(key[1], state))
    facts = bench.states.rows.pop(lost).facts
    found = compared(bench)
    assert {(one.day.isoformat(), one.what) for one in found} in ({(lost[1].day, "newSaleCnt"), (lost[1].day, "newSaleRev")},)
    money = next(one for one in found if one.what == "newSaleRev")
    assert Decimal(money.theirs) - Decimal(money.ours) == Decimal(facts["amount"]) / (1 if facts["currency"] == "JPY" else 100)
    assert bench.sync().differences == found
    assert sum(report.counts["differences"] for report in bench.reports) == len(found)


def _counts(place: Any, state: RecordState) -> bool:
    recent = (TODAY - timedelta(days=35)).isoformat() <= place.day < TODAY.isoformat()
    sale = state.facts.get("type") == "SALE" and state.facts.get("response") == "SUCCESS" and (state.facts.get("cycle") or 1) == 1
    return bool(place.kind is Kind.TRANSACTION and recent and sale and not state.facts.get("charged_back"))


def test_a_payment_that_the_account_does_not_have_shows_as_a_difference() -> None:
    bench = read()
    key, state = next((key, state) for key, state in bench.states.rows.items() if _counts(key[1], state))
    bench.states.rows[key[0], key[1]._replace(id="999999")] = state
    assert {one.what for one in compared(bench)} == {"newSaleCnt", "newSaleRev"}


def test_a_difference_that_is_mended_is_gone_with_the_next_comparison() -> None:
    bench = read()
    key, state = next((key, state) for key, state in bench.states.rows.items() if _counts(key[1], state))
    del bench.states.rows[key]
    assert compared(bench)
    bench.states.rows[key] = state
    bench.clock.advance(600)
    assert compared(bench) == []


def test_today_is_not_compared_as_it_is_still_moving() -> None:
    bench = read()
    bench.happen("new_sale")
    assert compared(bench) == []


def test_an_account_without_sums_is_compared_with_nothing() -> None:
    assert compared(SyncBench()) == []


def test_it_is_done_once_a_day_and_only_once_the_history_is_read() -> None:
    bench = SyncBench(customers=8)
    bench.tick()
    assert not [task for task in bench.waiting() if isinstance(task, ReconcileTask)]
    bench.run()
    bench.live_for(3 * 86_400, every=3_600)
    assert len(bench.calls_of("transactions/summary")) == 3
    at = bench.status().reconciled_at
    assert at is not None
    assert at > START


def test_sums_that_are_no_numbers_are_shown_as_they_are_missing() -> None:
    known = [("2026-11-19", [("7", RecordState("d", 1, {"type": "SALE", "response": "SUCCESS", "currency": "USD", "amount": 950}))])]
    found = reconcile.differences([{"date": "2026-11-19", "newSaleCnt": "1", "newSaleRev": "n/a"}], known, last_whole_day=date(2026, 11, 19))
    assert found == [Difference(day=date(2026, 11, 19), what="newSaleRev", theirs="-", ours="9.50")]
