"""The walk through the past: its plan, its order, what steers it, and how it ends."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from tests.kit.syncing import ACCOUNT, START, SyncBench, truth_of, with_settings
from tributary.errors import StoreUnavailable, WriteConflict
from tributary.sync.state import Month
from tributary.sync.streams import KINDS
from tributary.sync.syncs import State
from tributary.sync.tasks import DayTask, HistoryTask, decoder

TODAY = date(2026, 11, 20)


def aged(**given: Any) -> SyncBench:
    """An account of some months, which answers slowly enough for its history to take several tasks."""
    return SyncBench(**{"customers": 40, "months": 4, "seconds_a_call": 8.0, **given})


def completions(bench: SyncBench) -> list[Any]:
    return [event for event in bench.sent if "Sync Completed" in getattr(event, "event", "")]


def test_the_history_is_planned_by_totals_before_a_row_of_it_is_read() -> None:
    bench = aged()
    bench.tick()
    bench.run()
    past = [sent for _, sent in bench.calls if sent.get("dateRangeType") == "dateCreated"]
    planning = list(itertools.takewhile(lambda sent: sent["resultsPerPage"] == "1", past))
    assert all(sent["resultsPerPage"] == "200" for sent in past[len(planning) :])
    progress = {one.stream: one for one in bench.sync().streams}
    assert progress["customers"].all_records == len(bench.shop.customers)
    assert progress["transactions"].all_records == len(bench.shop.transactions)
    assert all((one.records, one.days) == (one.all_records, one.all_days) for one in progress.values())


def test_the_newest_month_is_read_first_and_in_each_the_buyers_before_what_they_bought() -> None:
    bench = aged()
    bench.backfill()
    read = [(sent["startDate"], endpoint) for endpoint, sent in bench.calls if sent.get("dateRangeType") == "dateCreated" and sent["resultsPerPage"] == "200"]
    months = [start[6:] + start[:2] for start, _ in read]
    assert months == sorted(months, reverse=True)
    newest = [endpoint for start, endpoint in read if start == "11/01/2026"]
    assert newest == ["customer/query", "order/query", "transactions/query", "purchase/query"]


def test_a_month_of_more_than_a_page_is_read_day_by_day_and_one_of_less_at_once() -> None:
    bench = SyncBench()
    bench.shop_does(crowd={"orders": 201, "day": "2026-09-10", "customers": 3})
    bench.shop_does(crowd={"orders": 200, "day": "2026-10-10", "customers": 3})
    bench.backfill()
    read = bench.calls_of("order/query", dateRangeType="dateCreated", resultsPerPage="200")
    spans = [(sent["startDate"], sent["endDate"]) for sent in read]
    assert spans[0] == ("10/01/2026", "10/31/2026")
    assert spans[1:3] == [("09/30/2026", "09/30/2026"), ("09/29/2026", "09/29/2026")]
    assert [sent["page"] for sent in read if sent["startDate"] == "09/10/2026"] == ["1", "2"]
    assert bench.books() == truth_of(bench.shop)


def test_an_account_without_anything_is_complete_at_once() -> None:
    bench = SyncBench()
    bench.backfill()
    assert bench.sync().state == State.LIVE
    assert len(completions(bench)) == 1


def test_the_history_begins_on_the_day_that_the_connection_says() -> None:
    bench = aged(settings={"historyStart": "2026-10-01"})
    bench.backfill()
    past = [sent for _, sent in bench.calls if sent.get("dateRangeType") == "dateCreated"]
    assert min(sent["startDate"][6:] + sent["startDate"][:5] for sent in past) == "202610/01"
    assert bench.books()["contacts"] < len(bench.shop.customers)


def test_a_plan_of_many_months_goes_on_in_the_next_task() -> None:
    bench = SyncBench(customers=30, months=60, seconds_a_call=9.0)
    bench.tick()
    bench.run()
    assert bench.source.overruns == 0
    longest = max(bench.history().months.values(), key=len)
    assert len(longest) > 20
    asked = [(sent["startDate"], sent["endDate"]) for sent in bench.calls_of("customer/query", resultsPerPage="1")]
    assert len(asked) == len(set(asked)), "nothing is asked twice"
    assert bench.books() == truth_of(bench.shop)


def test_what_is_read_of_the_past_says_so_and_keeps_its_own_time() -> None:
    bench = aged()
    bench.backfill()
    old = [event for event in bench.log.values() if event.timestamp < START - timedelta(days=5) and getattr(event, "event", "") == "Payment Received"]
    assert {event.origin for event in old} == {"history"}
    assert {event.received_at.date() for event in old} == {START.date()}


def test_the_past_gives_way_to_each_live_poll() -> None:
    bench = aged(settings={"pollMinutes": 5}, customers=200, months=12)
    bench.tick()
    bench.run(300)
    assert bench.history().finished_at is None
    bench.tick()
    order = [type(decoder.decode(message.body)) for message in bench.tasks.messages if message.receive_count == 0]
    assert order == [HistoryTask] + [DayTask] * 8, "one task of the past is before the poll, and no more"
    before = len(bench.reports)
    bench.run(120)
    kinds = [line["task"] for report in bench.reports[before:] for line in report.lines]
    assert kinds[0] == "history" or kinds[:2] == ["history", "history"]
    assert kinds.count("day") == 8
    assert kinds.index("day") <= 2


def test_there_is_one_task_of_the_past_at_a_time() -> None:
    bench = aged()
    bench.tick()
    while bench.history().finished_at is None:
        bench.run(20)
        assert sum('"history"' in message.body for message in bench.tasks.messages if message.receive_count == 0) <= 1


def test_progress_tells_records_rate_and_the_time_that_is_left() -> None:
    bench = aged(customers=120)
    bench.tick()
    bench.run(420)
    sync = bench.sync()
    assert sync.state == State.INITIAL
    assert sync.all_records is not None
    assert 0 < sync.records < sync.all_records
    assert sync.records_per_second is not None
    assert sync.seconds_left is not None
    assert sync.seconds_left == pytest.approx((sync.all_records - sync.records) / sync.records_per_second)
    bench.run()
    done = bench.sync()
    assert (done.records, done.seconds_left, done.state) == (done.all_records, None, State.LIVE)
    assert done.calls == len([sent for _, sent in bench.calls if sent.get("dateRangeType") == "dateCreated"])


def test_the_end_is_told_to_people_and_is_an_event_with_an_id_of_its_own_which_no_destination_gets() -> None:
    bench = aged()
    bench.backfill()
    (event,) = completions(bench)
    assert event.event == "Initial Sync Completed"
    assert event.message_id == f"konnektive:{ACCOUNT}:sync:1:completed:1"
    assert event.integrations == {"All": False}
    assert event.properties["customers"] == len(bench.shop.customers)
    ((subject, text),) = bench.notices.told
    assert subject == "The first sync of Shop 0 is complete"
    assert f"customers: {len(bench.shop.customers)} records" in text


@pytest.mark.parametrize("step", ["notices.tell", "store.put_history"])
def test_an_end_that_is_said_twice_is_one_event(step: str) -> None:
    bench = SyncBench()
    bench.tick()
    bench.trap.once(step, "before", StoreUnavailable("out"), time=1 if step == "notices.tell" else 5)
    bench.run()
    assert bench.history().finished_at is not None
    assert bench.names()["Initial Sync Completed"] == 1


def test_a_pause_ends_the_reading_of_the_past_alone_and_a_resume_goes_on_in_the_middle() -> None:
    bench = aged()
    bench.tick()
    bench.run(360)
    assert bench.syncs.pause(ACCOUNT).state == State.PAUSED
    bench.run()
    position = bench.history().position
    bench.clock.advance(86_400)
    bench.happen("new_sale")
    bench.tick()
    bench.run()
    assert bench.history().position == position
    assert bench.live().cursors["orders"] == TODAY + timedelta(days=1)
    assert bench.syncs.resume(ACCOUNT).state == State.INITIAL
    bench.run()
    assert bench.history().finished_at is not None
    assert bench.books() == truth_of(bench.shop)
    assert [sent["startDate"] for sent in bench.calls_of("customer/query", dateRangeType="dateCreated", resultsPerPage="200")].count("11/01/2026") == 1


def test_pausing_what_is_paused_and_resuming_what_goes_on_do_no_harm() -> None:
    bench = aged()
    bench.tick()
    bench.run(360)
    bench.syncs.resume(ACCOUNT)
    bench.syncs.resume(ACCOUNT)
    bench.syncs.pause(ACCOUNT)
    bench.syncs.pause(ACCOUNT)
    bench.syncs.resume(ACCOUNT)
    bench.live_for(6 * 3_600)
    assert bench.history().finished_at is not None
    assert bench.books() == truth_of(bench.shop)
    assert bench.names()["Initial Sync Completed"] == 1


def test_a_restart_in_the_middle_begins_again_and_the_walk_before_it_ends() -> None:
    bench = aged()
    bench.tick()
    bench.run(360)
    bench.syncs.restart(ACCOUNT, None)
    bench.live_for(6 * 3_600)
    assert (bench.history().generation, bench.history().reason) == (2, "initial")
    assert bench.names()["Initial Sync Completed"] == 1
    assert bench.names()["Sync Completed"] == 0
    assert bench.history().finished_at is not None
    assert bench.books() == truth_of(bench.shop)


def test_a_restart_from_a_date_reads_from_there_and_makes_no_event_of_what_has_not_changed() -> None:
    bench = aged()
    bench.backfill()
    events = len(list(bench.sent))
    calls = len(bench.calls)
    bench.clock.advance(60)
    bench.syncs.restart(ACCOUNT, date(2026, 10, 10))
    bench.run()
    again = [sent for _, sent in bench.calls[calls:] if sent.get("dateRangeType") == "dateCreated"]
    assert min(sent["startDate"][6:] + sent["startDate"][:5] for sent in again) == "202610/10"
    assert [event.message_id for event in list(bench.sent)[events:]] == [f"konnektive:{ACCOUNT}:sync:2:completed:1"]
    assert bench.notices.told[-1][0] == "The sync of Shop 0 is complete"


def test_a_window_that_always_fails_is_set_aside_and_told_and_the_others_are_read() -> None:
    bench = aged()
    match = {"path": "/order/query/", "params": {"startDate": "10/01/2026", "resultsPerPage": "200"}}
    bench.answers(*[{"match": match, "body": {"result": "ERROR", "message": "Database deadlock"}}] * 60)
    bench.live_for(8 * 3_600)
    history = bench.history()
    assert history.finished_at is not None
    assert history.failed == ["orders 2026-10-01..2026-10-31"]
    assert bench.sync().failed_windows == history.failed
    assert "not read: orders 2026-10-01..2026-10-31" in bench.notices.told[0][1]
    assert bench.books()["payments"] == truth_of(bench.shop)["payments"], "transactions of that month, and what lies before it, are read"


def failing(times: int, **fault: Any) -> SyncBench:
    """An account whose second page of one day fails so often."""
    bench = SyncBench()
    bench.shop_does(crowd={"orders": 450, "day": "2026-09-10", "customers": 5})
    bench.answers(*[{"match": {"path": "/transactions/query/", "params": {"page": "2", "resultsPerPage": "200"}}, **(fault or {"status": 500})}] * times)
    bench.backfill()
    return bench


@pytest.mark.parametrize(
    ("times", "fault"), [(24, {}), (2, {"body": {"result": "ERROR", "message": "No transactions matching those parameters could be found"}})]
)
def test_a_window_that_was_set_aside_is_read_once_more_at_the_walks_end(times: int, fault: dict[str, Any]) -> None:
    bench = failing(times, **fault)
    assert bench.books() == truth_of(bench.shop)
    assert bench.history().failed == []
    assert "not read" not in bench.notices.told[0][1]
    progress = {one.stream: one for one in bench.sync().streams}["transactions"]
    assert (progress.records, progress.days) == (progress.all_records, progress.all_days)


def test_a_window_that_was_not_read_is_named_until_a_restart_reads_it() -> None:
    bench = failing(48)
    named = ["transactions 2026-09-10..2026-09-10"]
    assert bench.sync().failed_windows == named
    bench.clock.advance(20 * 86_400)
    for _ in range(2):
        bench.clock.advance(8 * 86_400)
        bench.tick()
        bench.run()
        assert bench.history().reason == "recheck"
        assert bench.sync().failed_windows == named
    bench.syncs.restart(ACCOUNT, date(2026, 10, 1))
    bench.run()
    assert bench.sync().failed_windows == named, "it lies before what was read"
    bench.syncs.restart(ACCOUNT, date(2026, 9, 1))
    bench.run()
    assert bench.sync().failed_windows == []
    assert bench.books() == truth_of(bench.shop)


def test_a_window_that_is_short_twice_is_named_as_not_read() -> None:
    bench = SyncBench()
    bench.shop_does(crowd={"orders": 450, "day": "2026-09-10", "customers": 5})
    match = {"path": "/transactions/query/", "params": {"page": "2", "resultsPerPage": "200"}}
    bench.answers(*[{"match": match, "body": {"result": "ERROR", "message": "No transactions matching those parameters could be found"}}] * 9)
    bench.backfill()
    assert bench.history().failed == ["transactions 2026-09-10..2026-09-10"]
    assert "200 of its 450" in str(bench.status().last_error)


NOTHING = {"result": "ERROR", "message": "No orders matching those parameters could be found"}


def count_of(start: str) -> dict[str, Any]:
    return {"path": "/order/query/", "params": {"startDate": start, "resultsPerPage": "1"}}


@pytest.mark.parametrize("start", ["01/01/2010", "09/01/2026", "11/01/2026"])
def test_one_count_that_is_empty_by_mistake_costs_no_history(start: str) -> None:
    bench = aged()
    bench.answers({"match": count_of(start), "body": NOTHING})
    bench.tick()
    bench.run()
    assert bench.history().finished_at is not None
    assert bench.history().failed == []
    assert bench.books() == truth_of(bench.shop)


def test_rows_that_no_month_has_in_two_plans_are_told() -> None:
    bench = aged()
    bench.answers(*[{"match": count_of("09/01/2026"), "body": NOTHING}] * 2)
    bench.tick()
    bench.run()
    (lost,) = bench.sync().failed_windows
    assert lost.endswith(" orders that are in no month")
    assert f"not read: {lost}" in bench.notices.told[0][1]


def test_what_is_created_while_the_plan_is_made_hides_nothing_old() -> None:
    bench = SyncBench()
    bench.shop_does(crowd={"orders": 1, "day": "2026-03-10", "customers": 1})

    def sell(path: str, form: Any) -> None:
        if form.get("startDate") == ["11/01/2026"] and form["resultsPerPage"] == ["1"] and "customer" in path:
            bench.happen("new_sale")

    bench.account.vendor.before = sell
    bench.tick()
    bench.run()
    assert bench.history().finished_at is not None
    assert [month.first.month for month in bench.history().months["customers"]] == [11, 3]


@pytest.mark.parametrize("fault", [{"delay_s": 121}, {"status": 408}], ids=["no answer", "408"])
def test_an_account_that_is_too_slow_to_count_everything_is_counted_by_years(fault: dict[str, Any]) -> None:
    bench = aged(months=14, seconds_a_call=0.1)
    bench.answers(*[{"match": {"params": {"startDate": "01/01/2010", "endDate": "11/20/2026", "resultsPerPage": "1"}}, **fault}] * 2_000)
    bench.live_for(6 * 3_600)
    assert bench.source.overruns == 0
    assert bench.history().finished_at is not None
    assert bench.books() == truth_of(bench.shop)
    assert bench.history().failed == []


@pytest.mark.parametrize("lost", [("03/01/2026", "03/31/2026"), ("12/01/2025", "12/31/2025"), ("01/01/2025", "12/31/2025"), ("01/01/2026", "11/20/2026")])
def test_a_count_that_is_empty_by_mistake_costs_an_account_that_is_counted_by_years_nothing_either(lost: tuple[str, str]) -> None:
    bench = aged(months=14, seconds_a_call=0.1)
    wide = {"match": {"path": "/order/query/", "params": {"startDate": "01/01/2010", "endDate": "11/20/2026"}}, "status": 504}
    span = {"startDate": lost[0], "endDate": lost[1], "resultsPerPage": "1"}
    bench.answers(wide, wide, {"match": {"path": "/order/query/", "params": span}, "body": NOTHING})
    bench.live_for(6 * 3_600)
    assert bench.books() == truth_of(bench.shop)


def test_a_count_may_take_two_minutes() -> None:
    bench = aged()
    bench.answers({"match": count_of("01/01/2010"), "body": {"result": "SUCCESS", "message": {"totalResults": 0, "data": []}}, "delay_s": 119})
    bench.tick()
    bench.run()
    assert bench.codes.count("ok") == len(bench.codes)
    assert bench.books() == truth_of(bench.shop)


def test_a_plan_that_always_fails_is_tried_on_and_told_once() -> None:
    bench = aged()
    bench.answers(*[{"match": {"path": "/order/query/", "params": {"resultsPerPage": "1"}}, "status": 500}] * 120)
    bench.live_for(3 * 3_600)
    assert bench.history().failed == ["the plan"]
    bench.live_for(12 * 3_600)
    assert bench.books() == truth_of(bench.shop)
    assert bench.history().failed == [], "it was made in the end"


def test_a_walk_whose_task_was_lost_is_woken_once_after_half_an_hour() -> None:
    bench = aged()
    bench.tick()
    bench.run(360)
    for message in bench.tasks.messages:
        bench.tasks._remove(message)
    bench.clock.advance(1_799)
    assert bench.tick()["woken"] == 0
    bench.clock.advance(60)
    assert bench.tick()["woken"] == 1
    bench.clock.advance(300)
    assert bench.tick()["woken"] == 0
    bench.run()
    assert bench.history().finished_at is not None
    assert bench.books() == truth_of(bench.shop)


def test_a_walk_that_was_woken_though_its_task_was_only_late_does_not_double() -> None:
    bench = aged()
    bench.tick()
    bench.run(360)
    history = bench.history()
    bench.clock.advance(400)
    bench.send(HistoryTask(connection=ACCOUNT, generation=history.generation, step=history.step))
    bench.clock.advance(400)
    bench.send(HistoryTask(connection=ACCOUNT, generation=history.generation, step=history.step))
    bench.run()
    asked = [(endpoint, *sent.items()) for endpoint, sent in bench.calls if sent.get("dateRangeType") == "dateCreated"]
    assert len(asked) == len(set(asked))
    assert bench.history().finished_at is not None


@pytest.mark.parametrize(("receives", "sent"), [(1, 0), (2, 1)])
def test_a_task_that_is_one_step_behind_sends_its_successor_only_if_it_was_broken_off_before(receives: int, sent: int) -> None:
    """Else each copy of a task would begin a chain of its own."""
    bench = aged()
    bench.tick()
    bench.run(60)
    history = bench.history()
    for message in bench.tasks.messages:
        bench.tasks._remove(message)
    bench.clock.advance(600)
    behind = HistoryTask(connection=ACCOUNT, generation=history.generation, step=history.step - 1)
    assert bench.poll().run(behind, receives=receives, remaining=lambda: 400.0).code == "superseded"
    assert bench.waiting() == [msgspec.structs.replace(behind, step=history.step)] * sent


def test_the_weekly_walk_over_five_weeks_makes_no_event_when_nothing_has_changed() -> None:
    bench = aged()
    bench.backfill()
    bench.clock.advance(7 * 86_400)
    bench.tick()
    bench.run()
    events, calls = len(list(bench.sent)), len(bench.calls)
    assert (bench.history().generation, bench.history().reason) == (2, "recheck")
    assert bench.history().finished_at is not None
    assert events == len(bench.log)
    rechecked = [sent for _, sent in bench.calls[:calls] if sent.get("dateRangeType") == "dateUpdated" and sent["resultsPerPage"] == "1"]
    assert min(sent["startDate"] for sent in rechecked) == f"{TODAY + timedelta(days=7 - 35):%m/%d/%Y}"
    assert len(completions(bench)) == 1, "the weekly walk is no news"
    assert bench.sync().state == State.LIVE
    bench.clock.advance(6 * 86_400)
    bench.tick()
    assert bench.history().generation == 2
    bench.clock.advance(86_400)
    bench.tick()
    assert bench.history().generation == 3


def test_what_the_live_poll_missed_the_weekly_walk_brings_as_something_new() -> None:
    bench = aged()
    bench.backfill()
    sold = bench.happen("new_sale")
    bench.clock.advance(8 * 86_400)
    bench.store.put_live(ACCOUNT, msgspec.structs.replace(bench.live(), cursors=dict.fromkeys(KINDS, TODAY + timedelta(days=7))), bench.store.live(ACCOUNT)[1])
    bench.tick()
    bench.run()
    found = [event for event in bench.log.values() if getattr(event, "properties", {}).get("order_id") == sold["orderId"]]
    assert {event.origin for event in found} == {"live"}
    assert bench.books() == truth_of(bench.shop)


def test_a_stream_that_is_added_later_has_its_past_read_too() -> None:
    bench = aged(settings={"streams": ["customers", "orders"]})
    bench.backfill()
    bench.change(with_settings(bench.account.connection, streams=list(KINDS)))
    bench.clock.advance(900)
    bench.tick()
    bench.run()
    assert bench.history().streams == list(KINDS)
    assert bench.history().finished_at is not None
    assert bench.books() == truth_of(bench.shop)
    bench.clock.advance(900)
    assert bench.tick()["histories"] == 0


def test_a_stream_that_is_left_out_in_the_middle_shifts_no_window_of_the_others() -> None:
    bench = aged()
    bench.tick()
    bench.run(360)
    assert bench.history().position > 0
    bench.change(with_settings(bench.account.connection, streams=["orders", "transactions"]))
    bench.run()
    assert bench.history().finished_at is not None
    books, truth = bench.books(), truth_of(bench.shop)
    assert {name: books[name] for name in ("orders", "payments", "refunds")} == {name: truth[name] for name in ("orders", "payments", "refunds")}


def test_somebody_who_writes_at_the_same_moment_does_not_break_the_walk() -> None:
    bench = aged()
    bench.tick()
    bench.trap.once("store.put_history", "before", WriteConflict("raced"), time=4)
    bench.run()
    assert bench.history().finished_at is not None
    assert bench.books() == truth_of(bench.shop)


def test_rows_that_are_updated_while_the_past_is_read_come_with_the_live_poll() -> None:
    bench = aged()
    bench.tick()
    for _ in range(10):
        bench.run(60)
        bench.shop_does(play_days=0.02)
        bench.tick()
    bench.live_for(6 * 3_600)
    assert bench.history().finished_at is not None
    assert bench.books() == truth_of(bench.shop)


def test_a_backfill_asks_for_little_more_than_its_pages() -> None:
    bench = SyncBench(customers=2_000, months=18)
    bench.backfill()
    pages = sum(-(-len(table) // 200) for table in (bench.shop.customers, bench.shop.orders, bench.shop.transactions, bench.shop.purchases))
    days = len({day for month in bench.history().months.values() for one in month for day in range(one.first.toordinal(), one.last.toordinal() + 1)})
    assert bench.history().calls <= 1.1 * (pages + 4 * days)


def test_months_are_those_with_rows_alone() -> None:
    bench = SyncBench()
    bench.shop_does(crowd={"orders": 2, "day": "2026-03-10", "customers": 1})
    bench.backfill()
    assert bench.history().months["orders"] == [Month(first=date(2026, 3, 1), last=date(2026, 3, 31), rows=2)]
    assert not [task for task in bench.waiting() if isinstance(task, DayTask)]


def test_a_pause_does_not_stop_the_weekly_walk_and_the_daily_comparison() -> None:
    bench = aged()
    bench.backfill()
    bench.clock.advance(7 * 86_400)
    bench.tick()
    assert bench.syncs.pause(ACCOUNT).state == State.LIVE
    bench.run()
    assert bench.history().reason == "recheck"
    assert bench.history().finished_at is not None


def test_a_connection_that_is_made_again_under_its_id_has_its_past_read_once_more() -> None:
    bench = aged()
    bench.backfill()
    events = len(bench.log)
    bench.clock.advance(3_600)
    bench.change(msgspec.structs.replace(bench.account.connection, created_at=bench.clock.now()))
    bench.syncs.begin(bench.connections.connections[0])  # type: ignore[arg-type]
    assert bench.sync().state == State.INITIAL
    bench.run()
    assert (bench.history().generation, bench.history().reason) == (2, "initial")
    assert bench.history().finished_at is not None
    assert len(bench.log) == events + 1, "its end alone is new"
    assert bench.tick()["histories"] == 0
