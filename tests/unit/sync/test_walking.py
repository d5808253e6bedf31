"""A day of a stream, walked page by page, whatever the account answers in the middle of it."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.kit.syncing import ACCOUNT, START, SyncBench
from tributary.sync.streams import Stream
from tributary.sync.tasks import DayTask

TODAY = date(2026, 11, 20)
YESTERDAY = date(2026, 11, 19)
TRANSACTIONS = "/transactions/query/"


def crowded(orders: int, day: date = YESTERDAY, **given: Any) -> SyncBench:
    """An account with so many payments in a day, and a sync that has yet to read it."""
    bench = SyncBench(**given)
    bench.shop_does(crowd={"orders": orders, "day": day.isoformat(), "customers": 5})
    return bench


def walk(bench: SyncBench, day: date = YESTERDAY, stream: Stream = Stream.TRANSACTIONS) -> None:
    """As the schedule plans it, and let it end."""
    bench.send(DayTask(connection=ACCOUNT, stream=stream, day=day, scheduled_at=bench.clock.now()))
    bench.run(4 * 3_600)


def payments(bench: SyncBench) -> int:
    return bench.names()["Payment Received"]


def pages(bench: SyncBench) -> list[int]:
    return [int(sent["page"]) for sent in bench.calls_of("transactions/query")]


def page_of(number: int) -> dict[str, Any]:
    return {"path": TRANSACTIONS, "params": {"page": str(number)}}


def test_a_day_is_asked_for_by_what_was_updated_in_it_as_a_form_of_whole_pages_in_a_promised_order() -> None:
    bench = crowded(1)
    walk(bench)
    (sent,) = bench.calls_of("transactions/query")
    expected = {
        "startDate": "11/19/2026",
        "endDate": "11/19/2026",
        "dateRangeType": "dateUpdated",
        "resultsPerPage": "200",
        "page": "1",
        "sortDir": "1",
        "includeCustomFields": "1",
    }
    assert expected.items() <= sent.items()


@pytest.mark.parametrize(("orders", "asked"), [(0, [1]), (199, [1]), (200, [1]), (201, [1, 2]), (400, [1, 2]), (450, [1, 2, 3])])
def test_a_day_is_read_to_its_last_page_and_no_further(orders: int, asked: list[int]) -> None:
    bench = crowded(orders) if orders else SyncBench()
    walk(bench)
    assert pages(bench) == asked
    assert payments(bench) == orders


def test_page_seven_failing_thrice_and_then_right_is_one_day_read_once() -> None:
    bench = crowded(1_500)
    bench.answers(*[{"match": page_of(7), "status": 500}] * 3)
    walk(bench)
    assert payments(bench) == 1_500
    assert pages(bench) == [*range(1, 7), 7, 7, 7, *range(1, 9)], "thrice in a row, then the whole task again"
    assert bench.live().cursors == {"transactions": YESTERDAY}


def test_a_page_that_fails_twice_is_asked_again_after_a_pause_within_the_walk() -> None:
    bench = crowded(450)
    bench.answers(*[{"match": page_of(2), "status": 503}] * 2)
    walk(bench)
    assert pages(bench) == [1, 2, 2, 2, 3]
    assert bench.codes == ["ok"]


FAULTS: dict[str, dict[str, Any]] = {
    "HTML": {"body": "<html>Bad gateway</html>"},
    "half of an answer": {"body": '{"result":"SUCCESS","message":{"totalResults":3,"data":[{"transactionId":'},
    "nothing": {"body": ""},
    "a dropped connection": {"drop": "before"},
    "an answer that was lost": {"drop": "after_apply"},
    "503": {"status": 503},
    "an answer after the time-out": {"delay_s": 61},
    "an error that is none of those known": {"body": {"result": "ERROR", "message": "Database deadlock"}},
    "a success of words": {"body": {"result": "SUCCESS", "message": "Please try again"}},
    "a success of nothing": {"body": {"result": "SUCCESS", "message": {}}},
    "rows that are none": {"body": {"result": "SUCCESS", "message": {"totalResults": 3, "data": ["a", "b"]}}},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("page", [1, 2])
def test_a_page_that_cannot_be_read_is_asked_for_again_and_never_taken_for_an_empty_one(page: int, fault: dict[str, Any]) -> None:
    bench = crowded(450)
    bench.answers(*[{"match": page_of(page), **fault}] * 4)
    walk(bench)
    assert bench.codes in (["vendor_unavailable", "ok"], ["not_the_api", "ok"])
    assert payments(bench) == 450
    assert bench.status().last_error is None, "what failed has succeeded"


@pytest.mark.parametrize("data", [{"data": None}, {"data": []}, {}])
def test_a_first_page_without_rows_beside_a_total_is_no_empty_day(data: dict[str, Any]) -> None:
    bench = crowded(450)
    bench.answers({"match": page_of(1), "body": {"result": "SUCCESS", "message": {"totalResults": 450, "resultsPerPage": 200, "page": 1, **data}}})
    walk(bench)
    assert payments(bench) == 450


def test_an_account_that_wants_us_slower_is_asked_again_when_it_said() -> None:
    bench = crowded(300)
    bench.answers({"match": page_of(2), "status": 429, "headers": {"Retry-After": "400"}})
    walk(bench)
    first, second = [report.lines[0] for report in bench.reports]
    assert (first["code"], first["delay"]) == ("vendor_throttled", 400)
    assert second["code"] == "ok"
    assert payments(bench) == 300


def test_a_wait_that_an_account_asks_for_ends_within_the_hour() -> None:
    bench = crowded(1)
    bench.answers({"match": page_of(1), "status": 429, "headers": {"Retry-After": "90000"}})
    walk(bench)
    assert bench.reports[0].lines[0]["delay"] == 3_600


def test_calls_to_an_account_are_spaced() -> None:
    bench = crowded(450, seconds_a_call=0.0)
    moments: list[datetime] = []
    bench.account.vendor.before = lambda _path, _form: moments.append(bench.clock.now())
    walk(bench)
    assert [(after - before).total_seconds() for before, after in itertools.pairwise(moments)] == [0.25, 0.25]


def test_the_page_before_shown_once_more_is_no_page() -> None:
    bench = crowded(450)
    bench.shop_does(quirks={"repeat_page": 2})
    bench.send(DayTask(connection=ACCOUNT, stream=Stream.TRANSACTIONS, day=YESTERDAY, scheduled_at=bench.clock.now()))
    bench.run(10)
    assert bench.codes == ["vendor_unavailable"]
    assert "is the page before it" in str(bench.status().last_error)
    assert bench.live().cursors == {}
    bench.shop_does(quirks=None)
    bench.run()
    assert payments(bench) == 450


def test_an_account_that_shows_one_page_for_ever_is_not_asked_for_ever() -> None:
    bench = crowded(450)
    bench.shop_does(quirks={"repeat_page": 2})
    walk(bench)
    assert bench.codes == ["vendor_unavailable"] * 7 + ["vendor_unavailable_given_up"]
    assert bench.live().cursors == {}, "what was not read is read by the next poll"
    assert len(bench.tasks) == 0


def test_a_row_that_leaves_the_day_in_the_middle_of_a_walk_hides_no_other() -> None:
    """Updated today, a row of page 1 is no longer in yesterday, and the first row of page 2 moves to page 1, which was read."""
    bench = crowded(450)
    bench.shop_does(bump={"stream": "transactions", "page": 1, "rows": 1})
    walk(bench)
    assert payments(bench) == 450
    assert pages(bench) == [1, 2, 3, 1, 2, 3], "walked once more, and only once"


def test_rows_that_leave_the_day_again_and_again_do_not_keep_the_walk_for_ever() -> None:
    bench = crowded(450)
    bench.shop_does(bump={"stream": "transactions", "page": 1, "rows": 1, "times": 5})
    walk(bench)
    assert pages(bench) == [1, 2, 3, 1, 2, 3]
    assert bench.codes == ["short"]
    assert bench.live().cursors == {}, "the next poll begins there"


def test_a_day_that_is_not_over_is_walked_once_though_its_total_grows() -> None:
    bench = crowded(390, TODAY)

    def sell(_path: str, form: Any) -> None:
        if form["page"] == ["2"]:
            bench.happen("new_sale")

    bench.account.vendor.before = sell
    walk(bench, TODAY)
    assert payments(bench) == 391
    assert pages(bench) == [1, 2]


def test_nothing_found_in_the_middle_of_a_walk_is_not_believed_at_once() -> None:
    bench = crowded(450)
    body = {"result": "ERROR", "message": "No transactions matching those parameters could be found"}
    bench.answers({"match": page_of(3), "body": body})
    walk(bench)
    assert payments(bench) == 450


@pytest.mark.parametrize("how", ["error", "success"])
@pytest.mark.parametrize("said", [600, "600"])
def test_a_total_that_promises_too_much_ends_at_the_page_behind_the_last(how: str, said: int | str) -> None:
    bench = crowded(400)
    bench.shop_does(quirks={"past_end": how})
    whole = bench.account.vendor

    real = whole.send

    def send(request: Any, *, timeout: float) -> Any:
        answer = real(request, timeout=timeout)
        body = answer.body.replace(b'"totalResults": 400', f'"totalResults": {said!r}'.replace("'", '"').encode())
        return type(answer)(status=answer.status, headers=answer.headers, body=body)

    whole.send = send  # type: ignore[method-assign]
    walk(bench)
    assert payments(bench) == 400
    assert bench.codes == ["short"]
    assert pages(bench) == [1, 2, 3, 1, 2, 3]
    assert bench.status().last_error == "transactions 2026-11-19..2026-11-19 gave 400 of its 600 records, twice"


def empty(number: int) -> dict[str, Any]:
    return {"match": page_of(number), "body": {"result": "ERROR", "message": "No transactions matching those parameters could be found"}}


def test_a_past_day_that_is_short_twice_holds_the_cursor_until_a_poll_reads_it() -> None:
    bench = crowded(450)
    bench.answers(empty(2), empty(2))
    walk(bench)
    assert payments(bench) == 200
    assert bench.codes == ["short"]
    assert bench.live().cursors == {}
    assert "200 of its 450" in str(bench.status().last_error)
    walk(bench)
    assert payments(bench) == 450
    assert bench.live().cursors == {"transactions": YESTERDAY}


def test_a_poll_that_ends_with_a_short_day_is_over_all_the_same() -> None:
    bench = crowded(450)
    bench.answers(empty(2), empty(2))
    planned = bench.clock.now()
    bench.send(DayTask(connection=ACCOUNT, stream=Stream.TRANSACTIONS, day=YESTERDAY, scheduled_at=planned, closes=True))
    bench.run()
    assert bench.live().finished_at == planned


def test_a_day_that_the_account_cannot_count_holds_the_cursor_for_a_week_and_no_longer() -> None:
    bench = crowded(450, TODAY - timedelta(days=8))
    bench.answers(empty(2), empty(2))
    walk(bench, TODAY - timedelta(days=8))
    assert bench.codes == ["short"]
    assert bench.live().cursors == {"transactions": TODAY - timedelta(days=8)}


def test_an_account_that_lists_a_row_twice_in_each_walk_misses_none() -> None:
    bench = crowded(450)
    real = bench.account.vendor.send

    def send(request: Any, *, timeout: float) -> Any:
        answer = real(request, timeout=timeout)
        body = json.loads(answer.body)
        if body["message"]["page"] == 3:
            body["message"]["data"].append(body["message"]["data"][0])
        body["message"]["totalResults"] = 451
        return type(answer)(status=answer.status, headers=answer.headers, body=json.dumps(body).encode())

    bench.account.vendor.send = send  # type: ignore[method-assign]
    walk(bench)
    assert bench.codes == ["ok"]
    assert payments(bench) == 450


@pytest.mark.parametrize("quirk", [{"counts_as_text": True}, {"page_as_text": True}, {"empty": "success"}, {"numbers_as_text": True}, {"unknown_fields": True}])
def test_the_accounts_habits_change_nothing(quirk: dict[str, Any]) -> None:
    bench = crowded(250)
    bench.shop_does(quirks=quirk)
    walk(bench)
    walk(bench, TODAY)
    assert payments(bench) == 250
    assert bench.live().cursors == {"transactions": TODAY}


def test_a_row_that_cannot_be_read_is_listed_with_its_field_and_the_rest_of_the_page_goes_on() -> None:
    bench = crowded(3)
    rows = [
        {"transactionId": 1, "dateCreated": "2026-11-19 10:00:00", "txnType": "SALE", "responseType": "SUCCESS", "totalAmount": "no number", "customerId": 7},
        {"dateCreated": "2026-11-19 10:00:00"},
        {
            "transactionId": 2,
            "orderId": "00000000AB",
            "dateCreated": "2026-11-19 10:00:00",
            "dateUpdated": "2026-11-19 10:00:00",
            "txnType": "SALE",
            "responseType": "SUCCESS",
            "totalAmount": "9.50",
            "currencyCode": "USD",
            "customerId": 7,
        },
    ]
    bench.answers({"match": page_of(1), "body": {"result": "SUCCESS", "message": {"totalResults": 3, "resultsPerPage": 200, "page": 1, "data": rows}}})
    walk(bench)
    assert sorted((one.code, one.field) for one in bench.rejected) == [("row_unreadable", "totalAmount"), ("row_unreadable", "transactionId")]
    assert payments(bench) == 1
    assert bench.codes == ["ok"]
    assert bench.live().cursors == {"transactions": YESTERDAY}


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 8), 23), (date(2026, 11, 1), 25)])
def test_a_day_of_23_and_one_of_25_hours_are_read_from_their_first_second_to_their_last(day: date, hours: int) -> None:
    bench = SyncBench(now=datetime(day.year, day.month, day.day, 5 if hours == 23 else 4, tzinfo=UTC))
    begins = bench.clock.now()
    assert bench.shop.local(int(begins.timestamp())) == f"{day} 00:00:00"
    for at in (begins, begins + timedelta(hours=2), begins + timedelta(hours=hours, seconds=-1), begins + timedelta(hours=hours)):
        bench.shop_does(happen="new_sale", at=at.isoformat())
    bench.clock.move_to(begins + timedelta(hours=hours + 1))
    walk(bench, day)
    received = sorted(event.timestamp for event in bench.log.values() if getattr(event, "event", "") == "Payment Received")
    assert len(received) == 3
    assert received[0] == begins
    assert received[-1] == begins + timedelta(hours=hours, seconds=-1)


@pytest.mark.parametrize(("zone", "today"), [("America/New_York", date(2026, 11, 20)), ("Pacific/Auckland", date(2026, 11, 21)), ("UTC", date(2026, 11, 20))])
def test_today_is_the_accounts_not_ours(zone: str, today: date) -> None:
    bench = SyncBench(zone=zone)
    bench.tick()
    asked = {task.day for task in bench.waiting() if isinstance(task, DayTask)}
    assert asked == {today - timedelta(days=1), today}
    assert max(asked) == START.astimezone(bench.shop.zone).date()


def slow(orders: int) -> SyncBench:
    return crowded(orders, seconds_a_call=40.0)


def test_a_day_that_takes_longer_than_a_task_may_goes_on_in_the_next_and_is_whole() -> None:
    bench = slow(4_000)
    walk(bench)
    assert payments(bench) == 4_000
    assert pages(bench) == list(range(1, 21))
    assert bench.codes == ["ok"] * 3
    assert bench.source.overruns == 0
    assert bench.live().cursors == {"transactions": YESTERDAY}


def test_what_waits_for_a_long_day_is_served_between_its_parts() -> None:
    bench = slow(4_000)
    bench.send(DayTask(connection=ACCOUNT, stream=Stream.TRANSACTIONS, day=YESTERDAY, scheduled_at=bench.clock.now()))
    bench.send(DayTask(connection=ACCOUNT, stream=Stream.PURCHASES, day=TODAY, scheduled_at=bench.clock.now()))
    bench.run(4 * 3_600)
    assert [(line["stream"], line.get("page", 1)) for report in bench.reports for line in report.lines] == [
        ("transactions", 1),
        ("purchases", 1),
        ("transactions", 9),
        ("transactions", 17),
    ]


@pytest.mark.parametrize("page", [3, 9, 12])
def test_a_row_that_leaves_a_long_day_hides_no_other_either(page: int) -> None:
    bench = slow(4_000)
    bench.shop_does(bump={"stream": "transactions", "page": page, "rows": 1})
    walk(bench)
    assert payments(bench) == 4_000
    assert pages(bench) == [*range(1, 21), *range(1, 21)]


def test_a_walk_stops_before_the_functions_time_is_up() -> None:
    bench = crowded(1_000)
    task = DayTask(connection=ACCOUNT, stream=Stream.TRANSACTIONS, day=YESTERDAY, scheduled_at=bench.clock.now())
    assert bench.poll().run(task, receives=1, remaining=lambda: 29.0).code == "ok"
    assert pages(bench) == [1]
    assert [(task.day, task.page) for task in bench.waiting() if isinstance(task, DayTask)] == [(YESTERDAY, 2)]
    assert bench.live().cursors == {}


def test_calls_of_one_task_and_the_next_are_spaced_too() -> None:
    bench = crowded(1, seconds_a_call=0.0)
    moments: list[datetime] = []
    bench.account.vendor.before = lambda _path, _form: moments.append(bench.clock.now())
    poll = bench.poll()
    for _ in range(2):
        task = DayTask(connection=ACCOUNT, stream=Stream.TRANSACTIONS, day=YESTERDAY, scheduled_at=bench.clock.now())
        assert poll.run(task, receives=1, remaining=lambda: 400.0).code == "ok"
    assert [(after - before).total_seconds() for before, after in itertools.pairwise(moments)] == [0.25]
