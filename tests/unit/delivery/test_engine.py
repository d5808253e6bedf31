"""What becomes of a message, disposition by disposition."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from tests.kit.builders import track
from tests.kit.deliveries import CONNECTION, Desk, PlainDestination, connection, message_for, story
from tests.kit.queue_model import Crash
from tests.kit.vendor import DROPPED, ENDLESS, SLOW, Step, answers
from tributary.delivery.batch import Handled, Outcome, Report
from tributary.delivery.gate import ADMITTED, Admission
from tributary.delivery.policy import Policy
from tributary.errors import StoreUnavailable
from tributary.events import Event
from tributary.identity.identifiers import Identifier
from tributary.ports import OutMessage, VendorAnswer, VendorRequest
from tributary.settings import Connection, UnreadableConnection


def only(report: Report) -> Handled:
    (handled,) = report.handled
    return handled


def outcomes(report: Report) -> dict[str, tuple[Outcome, str | None]]:
    return {str(one.event_id or one.message.message_id): (one.outcome, one.code) for one in report.handled}


# ---------------------------------------------------------------- success


def test_a_delivered_message_is_acknowledged_and_leaves_nothing_behind() -> None:
    desk = Desk()
    desk.send(track(user_id="ann", message_id="m"))
    handled = only(desk.once())
    assert (handled.outcome, handled.back_in, handled.requests) == (Outcome.DELIVERED, None, 1)
    assert desk.waiting == 0
    assert desk.attempts.rows == {}


def test_a_first_receive_reads_no_attempt_row() -> None:
    desk = Desk()
    desk.send(*story("ann", 5))
    desk.once()
    assert desk.attempts.reads == 0


def test_an_event_the_destination_does_not_take_is_acknowledged() -> None:
    desk = Desk()
    desk.send(track(user_id="ann", properties={"nothing": True}))
    assert only(desk.once()).outcome is Outcome.NOTHING_TO_SEND
    assert desk.waiting == 0


def test_the_requests_of_an_event_go_out_in_order_and_stop_at_the_first_failure() -> None:
    desk = Desk({"order": answers(200, 500, 200, 200, 200)})
    desk.send(track(user_id="ann", message_id="order", properties={"requests": 3}))
    handled = only(desk.once())
    assert (handled.outcome, handled.requests) == (Outcome.RETRIED, 1)
    assert [dict(one.request.query)["part"] for one in desk.vendor.sent] == ["0", "1"]

    desk.run()
    parts = [dict(one.request.query)["part"] for one in desk.vendor.sent]
    assert parts == ["0", "1", "0", "1", "2"]
    requests = [one.request for one in desk.vendor.sent]
    assert requests[0] == requests[2]  # the same, to the byte
    assert requests[1] == requests[3]


# ---------------------------------------------------------------- retry


@pytest.mark.parametrize("step", [Step(status=500), Step(status=503), DROPPED, SLOW], ids=["500", "503", "dropped", "29 s"])
def test_no_answer_and_5xx_are_retried_and_begin_the_age(step: Step) -> None:
    desk = Desk({"m": [step]})
    desk.send(track(user_id="ann", message_id="m"))
    handled = only(desk.once())
    assert handled.outcome is Outcome.RETRIED
    assert handled.back_in is not None
    assert 0 <= handled.back_in <= 10
    row = desk.attempts.rows[CONNECTION, "src_shop#m"]
    assert row.first_failure is not None
    assert (row.count, row.last_counted) == (1, True)
    assert desk.waiting == 1

    desk.run()
    assert desk.applied("ann") == ["m"]
    assert desk.attempts.rows == {}  # gone with the success


def test_a_slow_vendor_is_waited_for_as_long_as_the_policy_says_and_no_longer() -> None:
    desk = Desk({"m": [SLOW]}, options={"policy": Policy(answer=7)})
    desk.send(track(user_id="ann", message_id="m"))
    started = desk.clock.now()
    with desk.clock.invocation() as took:
        desk.handle({"Records": desk.queue.receive()}, lambda: 120)
    assert (took(), desk.clock.now()) == (7, started)


def test_the_delay_grows_with_the_failures_of_the_event() -> None:
    desk = Desk({"m": answers(*[500] * 6)}, options={"chance": lambda: 1.0})
    desk.send(track(user_id="ann", message_id="m"))
    desk.run()
    assert [one.back_in for one in desk.handled] == [10, 20, 40, 80, 160, 320, None]


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"retry-after": "0"}, 0, 10),
        ({"retry-after": "1"}, 1, 10),
        ({"retry-after": "3600"}, 3600, 3660),
        ({"retry-after": "100000"}, 3600, 3660),
        ({"retry-after": "Wed, 04 Mar 2026 12:02:00 GMT", "date": "Wed, 04 Mar 2026 12:00:00 GMT"}, 120, 180),
        ({"retry-after": "Wed, 04 Mar 2026 11:00:00 GMT", "date": "Wed, 04 Mar 2026 12:00:00 GMT"}, 0, 10),
        ({"retry-after": "soon"}, 0, 10),
        ({}, 0, 10),
    ],
    ids=["0", "1", "3600", "a day", "date", "past date", "garbage", "absent"],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured_capped_and_spread(status: int, headers: dict[str, str], least: float, most: float) -> None:
    waits = []
    for seed in range(40):
        desk = Desk({"m": [Step(status=status, headers=headers)]}, seed=seed)
        desk.send(track(user_id="ann", message_id="m"))
        waits.append(only(desk.once()).back_in)
    assert all(wait is not None and least <= wait <= most for wait in waits)
    assert len(set(waits)) > 30


def test_a_throttled_message_has_no_age() -> None:
    desk = Desk({"m": answers(429)})
    desk.send(track(user_id="ann", message_id="m"))
    desk.once()
    row = desk.attempts.rows[CONNECTION, "src_shop#m"]
    assert (row.first_failure, row.count, row.last_counted, row.last_status) == (None, 1, False, 429)


def test_the_row_of_an_earlier_delivery_of_the_same_event_does_not_make_a_new_one_old() -> None:
    desk = Desk({"m": answers(500, 500)})
    desk.send(track(user_id="ann", message_id="m"))
    desk.once()
    old = desk.attempts.rows[CONNECTION, "src_shop#m"]
    desk.queue.delete("message-1/1")
    desk.clock.advance(10 * 3600)
    desk.attempts.rows[CONNECTION, "src_shop#m"] = old
    desk.send(track(user_id="ann", message_id="m"))
    desk.queue.messages[0].receive_count = 1  # a receive that led to nothing
    assert only(desk.once()).outcome is Outcome.RETRIED
    assert desk.attempts.rows[CONNECTION, "src_shop#m"].count == 1


# ---------------------------------------------------------------- order within a group


def test_everything_behind_a_message_that_waits_goes_back_without_a_call() -> None:
    desk = Desk({"ann-1": answers(500)})
    desk.send(*story("ann", 4))
    report = desk.once()
    assert [one.outcome for one in report.handled] == [Outcome.DELIVERED, Outcome.RETRIED, Outcome.NOT_TRIED, Outcome.NOT_TRIED]
    assert [one.id for one in desk.vendor.sent] == ["ann-0", "ann-1"]
    assert [failure["itemIdentifier"] for failure in report.as_sqs_response()["batchItemFailures"]] == ["message-2", "message-3", "message-4"]
    assert report.handled[1].behind == 2


def test_the_rest_is_let_go_first_and_then_the_head() -> None:
    desk = Desk({"ann-0": answers(500)}, options={"chance": lambda: 1.0})
    changes: list[tuple[tuple[str, ...], int]] = []
    plain = desk.queue.change

    def change(receipts: list[str], seconds: int) -> None:
        changes.append((tuple(receipts), seconds))
        plain(receipts, seconds)

    desk.queue.change = change  # type: ignore[method-assign,assignment]
    desk.send(*story("ann", 3))
    desk.once()
    assert changes == [(("message-2/1", "message-3/1"), 0), (("message-1/1",), 10)]


def test_while_the_head_is_hidden_nothing_of_its_group_is_received_and_then_all_of_it_in_order() -> None:
    desk = Desk({"ann-0": answers(500)}, options={"chance": lambda: 1.0})
    desk.send(*story("ann", 3))
    desk.once()
    desk.clock.advance(9)
    assert desk.queue.receive() == []
    desk.clock.advance(2)
    assert [one.event_id for one in desk.once().handled] == ["ann-0", "ann-1", "ann-2"]


@pytest.mark.parametrize("refused", [0, 10], ids=["the rest's", "the head's"])
def test_a_refused_change_of_visibility_costs_time_and_not_order(refused: int) -> None:
    desk = Desk({"ann-0": answers(500)}, options={"chance": lambda: 1.0})
    desk.queue.refuse_change = lambda _receipt, seconds: seconds == refused
    desk.send(*story("ann", 3))
    report = desk.once()
    assert report.handled[0].delay_set is False
    desk.queue.refuse_change = lambda _receipt, _seconds: False
    desk.clock.advance(700)
    assert desk.queue.receive() == []  # locked for the queue's own visibility timeout
    desk.clock.advance(20)
    desk.run(hours=1)
    assert desk.applied("ann") == ["ann-0", "ann-1", "ann-2"]


def test_people_of_one_batch_do_not_wait_for_each_other() -> None:
    desk = Desk({"ann-0": [SLOW], "bob-0": answers(500), "cy-0": answers(400)})
    for person in ("ann", "bob", "cy", "dan"):
        desk.send(*story(person, 2))
    begun = desk.clock.now()
    report = desk.once()
    assert len(report.handled) == 8
    assert desk.applied("dan") == ["dan-0", "dan-1"]
    assert max((one.at - begun).total_seconds() for one in desk.vendor.sent if one.id.startswith(("bob", "cy", "dan"))) < 1
    assert desk.applied("cy") == ["cy-1"]


class Meeting:
    """A vendor that answers only once so many requests are waiting for it."""

    def __init__(self, people: int, status: int) -> None:
        self._barrier = Barrier(people, timeout=20)
        self._status = status

    def send(self, request: VendorRequest, *, timeout: float) -> VendorAnswer:
        self._barrier.wait()
        return VendorAnswer(status=self._status, headers={}, body=b"")


def test_all_people_of_a_batch_are_served_at_the_same_time() -> None:
    desk = Desk(options={"vendor": Meeting(10, 200)})
    desk.send(*[track(user_id=f"user-{number}", message_id=f"m-{number}") for number in range(10)])
    assert desk.once().counts() == {Outcome.DELIVERED: 10}


# ---------------------------------------------------------------- park


@pytest.mark.parametrize("status", [400, 404, 410, 413, 422, 301, 302, 307])
def test_a_final_answer_parks_at_once_and_releases_the_group(status: int) -> None:
    desk = Desk({"ann-0": answers(status)})
    desk.send(*story("ann", 2))
    report = desk.once()
    assert outcomes(report) == {"ann-0": (Outcome.PARKED, "vendor_refused"), "ann-1": (Outcome.DELIVERED, None)}
    parked = desk.parking.rows[CONNECTION, "src_shop", "ann-0"]
    assert (parked.code, parked.attempts, parked.last_status) == ("vendor_refused", 1, status)
    assert parked.event_key == ("user#ann", "event#src_shop#ann-0")
    assert parked.request == {
        "method": "GET",
        "host": "vendor.example",
        "path": "/e",
        "parameters": ["id", "key", "part", "person"],
        "other_parameters": 0,
        "bytes": 43,
    }
    assert "key-1" not in str(parked)


def test_an_event_the_vendor_would_misread_is_parked_before_a_call() -> None:
    desk = Desk()
    desk.send(track(user_id="ann", message_id="m", properties={"invalid": True}))
    assert only(desk.once()).code == "invalid_for_vendor"
    parked = desk.parking.rows[CONNECTION, "src_shop", "m"]
    assert (parked.request, parked.attempts, parked.reason) == (None, 0, "the name is too long")
    assert desk.vendor.sent == []


def test_an_answer_that_does_not_end_is_parked() -> None:
    desk = Desk({"m": [ENDLESS]})
    desk.send(track(user_id="ann", message_id="m"))
    assert only(desk.once()).code == "answer_too_large"


def test_a_park_after_failures_says_how_many_and_forgets_them() -> None:
    desk = Desk({"m": answers(500, 500, 400)})
    desk.send(track(user_id="ann", message_id="m"))
    desk.run()
    assert desk.parking.rows[CONNECTION, "src_shop", "m"].attempts == 3
    assert desk.attempts.rows == {}


def test_what_cannot_be_parked_now_is_not_lost() -> None:
    desk = Desk({"m": [Step(status=400)] * 2})
    desk.parking.fails = True
    desk.send(track(user_id="ann", message_id="m"))
    handled = only(desk.once())
    assert (handled.outcome, handled.code) == (Outcome.RETRIED, "store_unavailable")
    desk.parking.fails = False
    desk.run()
    assert desk.parking.rows[CONNECTION, "src_shop", "m"].code == "vendor_refused"


@pytest.mark.parametrize(
    "body", ["", "not json", "{}", '{"schemaVersion":2,"connection":"con_1"}', "[" * 100_000, '{"connection":"con_1","event":{"type":"track"}}', "\ud800"]
)
def test_an_unreadable_message_is_set_aside_with_its_body_and_blocks_nobody(body: str) -> None:
    desk = Desk()
    good = message_for(track(user_id="ann", message_id="m"))
    desk.queue.send([OutMessage(body, good.group, "d"), good])
    report = desk.once()
    assert outcomes(report) == {"message-1": (Outcome.PARKED, "unreadable_message"), "m": (Outcome.DELIVERED, None)}
    kept = desk.poison.rows["forward_plain", "message-1"]
    assert kept.body.decode(errors="surrogatepass") == body


def test_a_fault_of_ours_is_retried_for_the_whole_window_and_then_parked_without_the_event_in_the_reason() -> None:
    desk = Desk()
    desk.send(track(user_id="ann@example.com", message_id="m", properties={"poison": True}), *story("bob", 3))
    handled = next(one for one in desk.once().handled if one.event_id == "m")
    assert (handled.outcome, handled.code) == (Outcome.RETRIED, "unexpected")
    assert handled.where is not None
    assert handled.where.startswith("ValueError at deliveries.py:")
    assert desk.applied("bob") == ["bob-0", "bob-1", "bob-2"]
    desk.run()
    parked = desk.parking.rows[CONNECTION, "src_shop", "m"]
    assert parked.code == "too_old"
    assert "unexpected" in parked.reason
    assert "ann" not in parked.reason


def test_a_deploy_that_mends_a_fault_within_the_window_delivers() -> None:
    desk = Desk()
    desk.send(track(user_id="ann", message_id="m", properties={"poison": True}))
    desk.run(hours=1)
    assert desk.waiting == 1

    class Mended(PlainDestination):
        def build(self, event: Event, settings: Mapping[str, Any]) -> list[VendorRequest]:
            return super().build(track(user_id=event.user_id, message_id=event.message_id), settings)

    desk.delivery = replace(desk.delivery, destination=Mended())
    desk.run(hours=1)
    assert desk.applied("ann") == ["m"]


# ---------------------------------------------------------------- halt


def test_a_refused_credential_is_read_afresh_once_and_used_if_it_is_another() -> None:
    desk = Desk()
    desk.secrets.get(f"connections/{CONNECTION}")  # an earlier batch read it
    desk.secrets.stored[f"connections/{CONNECTION}"] = '{"apiKey": "key-new"}'
    script = {"m": answers(200, 401, 200, 200)}
    desk.vendor._script = dict(script)
    desk.send(track(user_id="ann", message_id="m", properties={"requests": 2}))
    assert only(desk.once()).outcome is Outcome.DELIVERED
    assert [(dict(one.request.query)["part"], dict(one.request.query)["key"]) for one in desk.vendor.sent] == [
        ("0", "key-1"),
        ("1", "key-1"),
        ("0", "key-new"),
        ("1", "key-new"),
    ]
    assert desk.secrets.fresh_reads == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_credential_that_stays_refused_halts_and_parks_nothing(status: int) -> None:
    desk = Desk({"ann-0": answers(status)})
    desk.send(*story("ann", 2))
    report = desk.once()
    assert [(one.outcome, one.code, one.back_in) for one in report.handled] == [
        (Outcome.HALTED, "credential_refused", 60),
        (Outcome.NOT_TRIED, "behind_earlier", 0),
    ]
    assert desk.parking.rows == {}
    assert desk.attempts.rows == {}
    assert len(desk.vendor.sent) == 1


def test_a_halted_connection_is_asked_of_the_store_once_a_batch_and_of_the_vendor_hardly_more() -> None:
    desk = Desk()
    desk.vendor.default = lambda: Step(status=401)
    desk.send(*[track(user_id=f"user-{number}", message_id=f"m-{number}") for number in range(40)])
    for _ in range(4):
        desk.once()
    assert len(desk.vendor.sent) <= 10  # the first batch's groups, side by side
    assert desk.secrets.fresh_reads == 1
    assert {one.outcome for one in desk.handled} == {Outcome.HALTED}


def test_a_credential_refused_to_many_at_once_is_read_afresh_once() -> None:
    desk = Desk(options={"vendor": Meeting(10, 401)})
    desk.send(*[track(user_id=f"user-{number}", message_id=f"m-{number}") for number in range(10)])
    assert desk.once().counts() == {Outcome.HALTED: 10}
    assert desk.secrets.fresh_reads == 1


def test_one_halted_connection_does_not_halt_another() -> None:
    desk = Desk({"m-1": answers(401)})
    desk.connections.connections.append(connection(id="con_2"))
    desk.send(track(user_id="ann", message_id="m-1"))
    desk.once()
    desk.send(track(user_id="ann", message_id="m-2"), connection_id="con_2")
    assert [one.outcome for one in desk.once().handled] == [Outcome.DELIVERED]


@pytest.mark.parametrize(
    ("secret", "code"), [(None, "credential_missing"), ("not json", "settings_invalid"), ("[1]", "settings_invalid")], ids=["missing", "no json", "no object"]
)
def test_a_credential_that_is_missing_or_unreadable_halts(secret: str | None, code: str) -> None:
    desk = Desk()
    desk.secrets.stored = {} if secret is None else {f"connections/{CONNECTION}": secret}
    desk.send(track(user_id="ann", message_id="m"))
    handled = only(desk.once())
    assert (handled.outcome, handled.code) == (Outcome.HALTED, code)
    desk.secrets.stored = {f"connections/{CONNECTION}": '{"apiKey": "key-1"}'}
    desk.secrets._kept.clear()
    desk.run()
    assert desk.applied("ann") == ["m"]


def test_a_setting_that_does_not_fit_halts() -> None:
    desk = Desk()
    desk.send(track(user_id="ann", message_id="m", properties={"misconfigured": True}))
    handled = only(desk.once())
    assert (handled.outcome, handled.code) == (Outcome.HALTED, "settings_invalid")


# ---------------------------------------------------------------- modes, deletion, suppression


@pytest.mark.parametrize(("given", "code"), [({"mode": "paused"}, "connection_paused"), ({"enabled": False}, "connection_disabled")])
def test_a_paused_or_disabled_connection_keeps_its_messages_in_the_queue(given: dict[str, object], code: str) -> None:
    desk = Desk()
    desk.connections.connections = [connection(**given)]
    desk.send(*story("ann", 2))
    desk.run(hours=10)
    waits = [one.back_in for one in desk.handled]
    assert waits[:3] == [60, 120, 180]
    assert max(wait for wait in waits if wait is not None) == 1800
    assert {one.code for one in desk.handled} == {code}
    assert desk.vendor.sent == []

    desk.connections.connections = [connection()]
    desk.run(hours=1)
    assert desk.applied("ann") == ["ann-0", "ann-1"]


def test_a_shadow_connection_keeps_what_it_would_have_sent_without_its_credential() -> None:
    desk = Desk()
    desk.connections.connections = [connection(mode="shadow")]
    desk.send(track(user_id="ann", message_id="m"))
    assert only(desk.once()).outcome is Outcome.SHADOWED
    (kept,) = desk.shadow.of(CONNECTION)
    assert ["key", "<apiKey>"] in kept["requests"][0]["query"]
    assert desk.vendor.sent == []
    assert "key-1" not in json.dumps(kept)


def test_a_shadow_connection_parks_what_the_vendor_would_misread() -> None:
    desk = Desk()
    desk.connections.connections = [connection(mode="shadow")]
    desk.send(track(user_id="ann", message_id="m", properties={"invalid": True}), track(user_id="bob", properties={"nothing": True}))
    assert sorted(one.outcome for one in desk.once().handled) == [Outcome.NOTHING_TO_SEND, Outcome.PARKED]


def test_a_shadow_that_cannot_be_kept_now_comes_again() -> None:
    desk = Desk()
    desk.connections.connections = [connection(mode="shadow")]
    desk.shadow.fails = True
    desk.send(track(user_id="ann", message_id="m"))
    assert only(desk.once()).outcome is Outcome.RETRIED


def test_a_connection_made_just_now_is_waited_for_and_one_that_is_gone_parks() -> None:
    desk = Desk()
    desk.connections.connections = []
    desk.send(track(user_id="ann", message_id="new"))
    assert only(desk.once()).code == "connection_unknown"
    desk.connections.connections = [connection()]
    desk.run(hours=1)
    assert desk.applied("ann") == ["new"]

    desk.connections.connections = []
    desk.send(track(user_id="ann", message_id="late"))
    desk.run(hours=1)
    assert desk.parking.rows[CONNECTION, "src_shop", "late"].code == "connection_deleted"


def test_a_connection_that_this_release_cannot_read_is_halted_alone_and_loses_nothing() -> None:
    desk = Desk()
    desk.connections.connections = [UnreadableConnection(CONNECTION), connection(id="con_2")]
    desk.send(*story("ann", 2))
    desk.send(track(user_id="bob", message_id="other"), connection_id="con_2")
    assert outcomes(desk.once()) == {
        "ann-0": (Outcome.HALTED, "connection_unreadable"),
        "message-2": (Outcome.NOT_TRIED, "behind_earlier"),
        "other": (Outcome.DELIVERED, None),
    }
    desk.run(hours=24)
    assert desk.parking.rows == {}
    desk.connections.connections = [connection(), connection(id="con_2")]
    desk.run(hours=1)
    assert desk.applied("ann") == ["ann-0", "ann-1"]


def test_erased_people_are_dropped_and_looked_up_once_a_batch() -> None:
    desk = Desk()
    desk.suppressions.digests = {desk.digests.of(Identifier("user", "ann"))}
    desk.send(*story("ann", 2), *story("bob", 2))
    report = desk.once()
    assert report.counts() == {Outcome.SUPPRESSED: 2, Outcome.DELIVERED: 2}
    assert desk.suppressions.calls == 1
    assert desk.applied("ann") == []
    assert desk.waiting == 0


def test_an_erased_person_is_dropped_from_a_paused_connection_too() -> None:
    desk = Desk()
    desk.connections.connections = [connection(mode="paused")]
    desk.suppressions.digests = {desk.digests.of(Identifier("user", "ann"))}
    desk.send(*story("ann", 1))
    assert only(desk.once()).outcome is Outcome.SUPPRESSED


# ---------------------------------------------------------------- deadlines


def test_nothing_is_begun_that_could_not_finish() -> None:
    desk = Desk()
    desk.send(*story("ann", 3))
    report = desk.once(remaining=lambda: 24.9)
    assert [(one.outcome, one.code, one.back_in) for one in report.handled] == [
        (Outcome.NOT_TRIED, "deadline_near", 0),
        (Outcome.NOT_TRIED, "behind_earlier", 0),
        (Outcome.NOT_TRIED, "behind_earlier", 0),
    ]
    assert desk.vendor.sent == []
    assert desk.attempts.rows == {}  # not an attempt
    assert len(desk.queue.receive()) == 3  # there again at once


def test_a_function_stops_in_time_and_the_rest_follows_at_once() -> None:
    desk = Desk()
    desk.vendor.default = lambda: Step(seconds=9)
    desk.mapping.function_timeout = 60
    desk.send(*story("ann", 10))
    desk.run(hours=1)
    assert desk.applied("ann") == [f"ann-{number}" for number in range(10)]
    assert desk.mapping.overruns == 0
    assert desk.mapping.invocations >= 2
    assert len(desk.vendor.sent) == 10


def test_an_event_that_is_too_long_for_an_invocation_is_parked_in_the_end() -> None:
    desk = Desk()
    desk.vendor.default = lambda: Step(seconds=9)
    desk.send(track(user_id="ann", message_id="order", properties={"requests": 40}))
    desk.run(hours=12)
    assert desk.parking.rows[CONNECTION, "src_shop", "order"].code == "too_old"
    assert desk.mapping.overruns == 0


# ---------------------------------------------------------------- the gate


class Closed:
    """Refuses the first calls."""

    def __init__(self, times: int) -> None:
        self.left = times

    def admit(self, connection: Connection) -> Admission:
        if self.left > 0:
            self.left -= 1
            return Admission(ok=False, wait=300, code="breaker_open")
        return ADMITTED


def test_a_closed_gate_hands_the_group_back_without_a_call_for_as_long_as_it_says() -> None:
    desk = Desk(options={"gate": Closed(1)})
    desk.send(*story("ann", 2))
    head = desk.once().handled[0]
    assert (head.outcome, head.code, head.back_in) == (Outcome.NOT_TRIED, "breaker_open", 300)
    assert desk.vendor.sent == []
    desk.run()
    assert desk.applied("ann") == ["ann-0", "ann-1"]


def test_the_time_behind_a_closed_gate_is_not_part_of_the_age() -> None:
    desk = Desk({"m": answers(500, 500, 200)}, options={"gate": Closed(0)})
    desk.send(track(user_id="ann", message_id="m"))
    desk.once()
    desk.delivery.gate.left = 100  # type: ignore[attr-defined]  # 500 minutes
    desk.run(hours=24)
    assert desk.applied("ann") == ["m"]
    assert desk.parking.rows == {}


# ---------------------------------------------------------------- our own stores


def _suppressions_fail(desk: Desk) -> None:
    desk.suppressions.fail_next = True


def _secrets_fail(desk: Desk) -> None:
    desk.secrets.fails = True


def _connections_fail(desk: Desk) -> None:
    class Down:
        def all(self) -> list[Connection]:
            raise StoreUnavailable("CONFIG is down")

    desk.delivery = replace(desk.delivery, connections=Down())


@pytest.mark.parametrize("break_it", [_suppressions_fail, _secrets_fail, _connections_fail])
def test_a_store_that_is_down_hands_everything_back_in_order_with_a_delay(break_it: Callable[[Desk], None]) -> None:
    desk = Desk(options={"chance": lambda: 1.0})
    desk.send(*story("ann", 2), *story("bob", 2))
    break_it(desk)
    report = desk.once()
    assert {one.outcome for one in report.handled} == {Outcome.RETRIED, Outcome.NOT_TRIED}
    assert [one.back_in for one in report.handled] == [10, 0, 10, 0]
    assert desk.waiting == 4
    assert desk.vendor.sent == []


def test_an_attempt_row_that_cannot_be_read_or_written_stops_no_delivery_for_good() -> None:
    desk = Desk({"m": answers(500)})
    desk.attempts.fails = True
    desk.send(track(user_id="ann", message_id="m"))
    assert only(desk.once()).outcome is Outcome.RETRIED
    desk.clock.advance(10)
    assert only(desk.once()).code == "store_unavailable"
    assert len(desk.vendor.sent) == 1
    desk.attempts.fails = False
    desk.run()
    assert desk.applied("ann") == ["m"]


def test_a_success_whose_attempt_row_stays_is_a_success() -> None:
    desk = Desk({"m": answers(500)})
    desk.send(track(user_id="ann", message_id="m"))
    desk.once()
    desk.clock.advance(10)

    def stays(connection: str, message: str) -> None:
        raise StoreUnavailable("the attempts are down")

    desk.attempts.delete = stays  # type: ignore[method-assign]
    assert only(desk.once()).outcome is Outcome.DELIVERED
    assert desk.waiting == 0


@pytest.mark.parametrize("error", [RuntimeError("a fault"), Crash()])
def test_what_fails_outside_a_message_hands_the_whole_batch_back(error: BaseException) -> None:
    desk = Desk()
    failing = [True]

    def watch(_handled: Handled) -> None:
        if failing:
            failing.pop()
            raise error

    desk.delivery = replace(desk.delivery, watch=watch)
    desk.send(*story("ann", 3), *story("bob", 3))
    desk.mapping.run(1)
    assert desk.mapping.crashes == 1
    desk.run()
    assert desk.waiting == 0
    assert desk.applied("ann") == ["ann-0", "ann-1", "ann-2"]
    assert desk.applied("bob") == ["bob-0", "bob-1", "bob-2"]


def test_a_message_that_waits_in_a_crowded_queue_is_not_old() -> None:
    desk = Desk({"m": answers(500)})
    desk.send(track(user_id="ann", message_id="m"))
    desk.clock.advance(timedelta(days=3).total_seconds())
    assert only(desk.once()).outcome is Outcome.RETRIED
