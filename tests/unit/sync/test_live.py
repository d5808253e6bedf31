"""The live poll: what is planned and when, where the cursor stands, and accounts side by side."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import msgspec
import pytest

from tests.kit.queue_model import Crash
from tests.kit.syncing import ACCOUNT, START, SyncBench, truth_of, with_settings
from tributary.errors import StoreUnavailable, WriteConflict
from tributary.sync.state import Live
from tributary.sync.streams import KINDS, Stream
from tributary.sync.tasks import DayTask, HistoryTask, ReferenceTask

TODAY = date(2026, 11, 20)


def day_tasks(bench: SyncBench) -> list[DayTask]:
    return [task for task in bench.waiting() if isinstance(task, DayTask)]


def day_calls(bench: SyncBench) -> int:
    return len([sent for _, sent in bench.calls if sent.get("dateRangeType") == "dateUpdated"])


def up_to_date(**given: object) -> SyncBench:
    """An account that is read, and whose next poll is due."""
    bench = SyncBench(customers=8, **given)  # type: ignore[arg-type]
    bench.backfill()
    bench.clock.advance(900)
    return bench


def test_a_new_account_is_polled_asked_for_its_lists_and_for_its_history_in_this_order() -> None:
    bench = SyncBench()
    assert bench.tick() == {"polls": 1, "tasks": 10, "histories": 1}
    kinds = [type(task) for task in bench.waiting()]
    assert kinds == [DayTask] * 8 + [ReferenceTask] * 2 + [HistoryTask]
    assert [(task.stream, task.day) for task in day_tasks(bench)] == [(stream, day) for stream in KINDS for day in (TODAY - timedelta(days=1), TODAY)]
    assert [task.closes for task in day_tasks(bench)] == [False] * 7 + [True]


def test_two_ticks_at_once_plan_one_poll() -> None:
    bench = SyncBench()
    bench.tick()
    assert bench.tick() == {}
    assert len(bench.waiting()) == 11


@pytest.mark.parametrize(("minutes", "after", "planned"), [(15, 12, 0), (15, 14, 1), (60, 50, 0), (60, 55, 1), (5, 5, 1)])
def test_a_poll_is_planned_by_the_connections_interval(minutes: int, after: int, planned: int) -> None:
    bench = SyncBench(settings={"pollMinutes": minutes})
    bench.backfill()
    bench.clock.move_to(START + timedelta(minutes=after))
    assert bench.tick()["polls"] == planned


def test_what_is_new_is_in_the_log_after_the_next_poll_with_the_origin_of_what_is_new() -> None:
    bench = up_to_date()
    before = set(bench.log)
    bench.happen("new_sale")
    bench.tick()
    bench.run()
    new = [bench.log[key] for key in bench.log if key not in before]
    assert {getattr(event, "event", event.type) for event in new} >= {"identify", "Order Completed", "Payment Received"}
    assert {event.origin for event in new} == {"live"}
    assert bench.books() == truth_of(bench.shop)


def test_an_idle_poll_makes_no_event_and_asks_once_for_each_stream_and_day() -> None:
    bench = up_to_date()
    events, calls = len(list(bench.sent)), day_calls(bench)
    bench.tick()
    bench.run()
    assert len(list(bench.sent)) == events
    assert day_calls(bench) - calls == 8


def test_the_cursor_moves_only_once_the_days_events_are_in_the_queue() -> None:
    bench = up_to_date()
    bench.clock.move_to(START + timedelta(days=1))
    bench.happen("new_sale")
    bench.tick()
    bench.ingest.refuse = lambda _message: True
    bench.run(3_600)
    assert bench.live().cursors["orders"] == TODAY
    assert bench.live().cursors["customers"] == TODAY, "today's customer waits, so yesterday alone is read"
    bench.ingest.refuse = lambda _message: False
    bench.run()
    assert set(bench.live().cursors.values()) == {TODAY + timedelta(days=1)}
    assert bench.books() == truth_of(bench.shop)


def test_an_older_day_that_is_walked_again_does_not_move_the_cursor_back() -> None:
    bench = up_to_date()
    bench.send(DayTask(connection=ACCOUNT, stream=Stream.ORDERS, day=TODAY - timedelta(days=9), scheduled_at=bench.clock.now()))
    bench.run()
    assert bench.live().cursors["orders"] == TODAY


@pytest.mark.parametrize("lookback", [1, 3])
def test_each_poll_looks_back_and_catches_up_from_where_it_stood(lookback: int) -> None:
    bench = up_to_date(settings={"lookbackDays": lookback})
    bench.clock.move_to(START + timedelta(days=5))
    bench.tick()
    asked = [task.day for task in day_tasks(bench) if task.stream is Stream.ORDERS]
    assert asked == [TODAY + timedelta(days=number) for number in range(-lookback, 6)]


def test_a_day_that_could_not_be_read_is_not_passed_by_the_days_behind_it() -> None:
    bench = up_to_date()
    bench.clock.move_to(START + timedelta(days=4))
    sick = TODAY + timedelta(days=2)
    body = {"result": "ERROR", "message": "Database deadlock"}
    match = {"path": "/order/query/", "params": {"startDate": f"{sick:%m/%d/%Y}", "dateRangeType": "dateUpdated"}}
    bench.answers(*[{"match": match, "body": body}] * 24)
    bench.tick()
    bench.run(12 * 3_600)
    assert bench.codes[-1] == "ok"
    assert "vendor_unavailable_given_up" in bench.codes
    assert bench.live().cursors["orders"] == sick - timedelta(days=1)
    assert bench.live().cursors["customers"] == sick + timedelta(days=2)
    bench.tick()
    assert sick in [task.day for task in day_tasks(bench) if task.stream is Stream.ORDERS]
    bench.run()
    assert bench.live().cursors["orders"] == sick + timedelta(days=2)


def test_a_poll_under_way_is_not_planned_twice() -> None:
    bench = up_to_date()
    bench.tick()
    for _ in range(20):
        bench.clock.advance(900)
        assert bench.tick()["polls"] == 0


def test_a_poll_whose_end_was_never_heard_of_is_planned_again_after_six_hours() -> None:
    bench = up_to_date()
    bench.tick()
    for message in bench.tasks.messages:
        bench.tasks._remove(message)
    bench.clock.advance(6 * 3_600 - 1)
    assert bench.tick()["polls"] == 0
    bench.clock.advance(1)
    assert bench.tick()["polls"] == 1


def test_an_older_poll_that_ends_after_a_newer_one_does_not_look_like_the_newest() -> None:
    bench = up_to_date()
    bench.tick()
    old = day_tasks(bench)[-1]
    bench.run()
    bench.clock.advance(900)
    bench.tick()
    bench.run()
    newest = bench.live().finished_at
    bench.send(old)
    bench.run()
    assert bench.live().finished_at == newest


def test_a_poll_that_the_schedule_could_not_note_is_planned_once_more_and_loses_nothing() -> None:
    bench = up_to_date()
    bench.happen("new_sale")
    bench.store.fail.append("put_live")
    with pytest.raises(StoreUnavailable):
        bench.tick()
    bench.clock.advance(60)
    assert bench.tick()["polls"] == 1
    bench.run()
    assert bench.books() == truth_of(bench.shop)


def test_the_schedule_and_a_poll_that_write_at_the_same_moment_are_no_reason_to_read_a_day_twice() -> None:
    bench = up_to_date()
    bench.tick()
    bench.trap.once("store.put_live", "before", WriteConflict("raced"))
    calls = day_calls(bench)
    bench.run()
    assert day_calls(bench) - calls == 8
    assert set(bench.codes[-8:]) == {"ok"}


def test_several_accounts_are_read_side_by_side_and_keep_their_own() -> None:
    bench = SyncBench(customers=8, accounts=("con_a", "con_b", "con_c"))
    bench.tick()
    bench.run()
    for name, account in bench.by_account.items():
        assert bench.books(name) == truth_of(account.shop)
    assert len({str(truth_of(account.shop)) for account in bench.by_account.values()}) == 3


def test_an_account_that_does_not_answer_keeps_no_other_from_being_read() -> None:
    bench = SyncBench(customers=8, accounts=("con_a", "con_b"))
    bench.by_account["con_a"].shop.happenings.clear()
    bench.by_account["con_a"].control("/__script", [{"status": 503}] * 500, at=START)
    bench.tick()
    bench.run(3_600)
    assert bench.history("con_b").finished_at is not None
    assert bench.books("con_b") == truth_of(bench.by_account["con_b"].shop)
    assert bench.status("con_b").last_error is None
    assert bench.status("con_a").last_error is not None


def test_an_account_that_cannot_be_planned_keeps_no_other_from_being_planned_and_is_not_passed_over_in_silence() -> None:
    bench = SyncBench(accounts=("con_a", "con_b"))
    bench.change(with_settings(bench.by_account["con_a"].connection, timeZone="Nowhere/At_All"))
    counts: Counter[str] = Counter()
    with pytest.raises(Exception, match="Nowhere"):
        bench.schedule.tick(counts)
    assert counts["polls"] == 1
    assert {task.connection for task in bench.waiting()} == {"con_b"}


@pytest.mark.parametrize("change", [{"enabled": False}, {"mode": "paused"}])
def test_a_connection_that_is_off_is_not_asked_and_goes_on_where_it_stood(change: dict[str, object]) -> None:
    bench = up_to_date()
    bench.tick()
    on = bench.account.connection
    bench.change(msgspec.structs.replace(on, **change))
    calls = len(bench.calls)
    bench.run()
    assert len(bench.calls) == calls
    assert set(bench.codes[-8:]) == {"off"}
    bench.clock.advance(3_600)
    assert bench.tick() == {}
    assert bench.sync().state == "off"
    bench.happen("new_sale")
    bench.change(on)
    assert bench.tick()["polls"] == 1, "though the poll before it came to nothing"
    bench.run()
    assert bench.books() == truth_of(bench.shop)


def test_a_connection_that_was_deleted_is_asked_for_nothing_more() -> None:
    bench = SyncBench()
    bench.tick()
    bench.connections.connections.clear()
    bench.run()
    assert bench.calls == []
    assert len(bench.tasks) == 0


def test_streams_that_are_left_out_are_not_asked_for() -> None:
    bench = SyncBench(customers=8, settings={"streams": ["customers", "orders"]})
    bench.backfill()
    assert {endpoint for endpoint, _ in bench.calls} == {"customer/query", "order/query"}
    assert bench.sync().poll_under_way is False


def test_a_cursor_that_is_ahead_of_today_does_not_hide_today() -> None:
    bench = SyncBench()
    bench.store.put_live(ACCOUNT, Live(cursors={"orders": TODAY + timedelta(days=3)}), 0)
    bench.tick()
    assert TODAY in [task.day for task in day_tasks(bench) if task.stream is Stream.ORDERS]


def test_a_store_that_fails_before_a_task_began_lets_it_come_again() -> None:
    bench = up_to_date()
    bench.tick()
    bench.trap.once("store.lease", "before", StoreUnavailable("out"))
    bench.run()
    assert bench.codes.count("store_unavailable") == 1
    assert bench.source.crashes == 0
    assert not bench.sync().poll_under_way


def test_a_message_that_is_none_of_ours_is_set_aside_and_blocks_nobody() -> None:
    bench = up_to_date()
    bench.tick()
    first = bench.tasks.messages[0]
    first.body = '{"task":"day","connection":"con_shop","wishes":"many"}'
    bench.run()
    assert [row.code for row in bench.poison.rows.values()] == ["unreadable_message"]
    assert len(bench.tasks) == 0


def test_a_sandbox_that_dies_in_a_poll_costs_that_poll_time_and_nothing_else() -> None:
    bench = up_to_date()
    bench.happen("new_sale")
    bench.tick()
    bench.trap.once("states.put", "after", Crash())
    bench.run()
    assert bench.source.crashes == 1
    assert bench.books() == truth_of(bench.shop)
