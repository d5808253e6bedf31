"""The age of a delivery: only failures that are the vendor's make it older."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.kit.deliveries import Desk, connection, story
from tests.kit.queue_model import ModelClock
from tests.kit.vendor import Step
from tributary.delivery import age
from tributary.delivery.batch import Outcome
from tributary.delivery.gate import Admission
from tributary.delivery.policy import Policy
from tributary.ports import Attempt, Parked
from tributary.settings import Connection

HOUR = 3600.0


class History:
    """A row as outcomes make it."""

    def __init__(self) -> None:
        self.clock = ModelClock()
        self.row: Attempt | None = None

    def failed(self, *, counts: bool = True, then: float) -> History:
        self.row = age.after_failure(self.row, at=self.clock.now(), counts=counts, code="vendor_unavailable", status=None, since=self.clock.seconds_since)
        self.clock.advance(then)
        return self

    def waited(self, then: float) -> History:
        assert self.row is not None
        self.row = age.while_waiting(self.row, at=self.clock.now(), code="connection_paused", since=self.clock.seconds_since)
        self.clock.advance(then)
        return self

    @property
    def age(self) -> float:
        assert self.row is not None
        return age.age(self.row, self.clock.seconds_since)


def test_age_counts_from_the_first_real_failure() -> None:
    assert History().failed(then=HOUR).failed(then=HOUR).age == 2 * HOUR


def test_an_event_that_was_only_throttled_has_no_age() -> None:
    history = History().failed(counts=False, then=6 * HOUR)
    assert history.age == 0
    assert history.row is not None
    assert history.row.count == 1


def test_the_time_after_an_uncounted_outcome_is_left_out_until_the_next_attempt() -> None:
    history = History().failed(then=HOUR).failed(counts=False, then=5 * HOUR)
    assert history.age == HOUR
    history.failed(then=HOUR)
    assert history.age == 2 * HOUR


def test_throttling_before_the_first_real_failure_leaves_nothing_out_after_it() -> None:
    assert History().failed(counts=False, then=5 * HOUR).failed(then=2 * HOUR).age == 2 * HOUR


def test_a_pause_is_left_out_but_not_the_wait_before_it_was_met() -> None:
    history = History().failed(then=600).waited(then=HOUR).waited(then=71 * HOUR).failed(then=0)
    assert history.age == 600
    assert history.row is not None
    assert history.row.count == 2  # a pause is no attempt


def test_several_interruptions_add_up() -> None:
    history = History().failed(then=60).failed(counts=False, then=HOUR).failed(then=60).waited(then=HOUR).failed(counts=False, then=HOUR).failed(then=60)
    assert history.age == 180


# -------------------------------------------------------------- the rule, with a queue, a forwarder and a vendor


class Phases:
    """The vendor and the connection change as time goes on."""

    def __init__(self, *phases: tuple[float, str]) -> None:
        self._phases = phases

    def at(self, seconds: float) -> str:
        for length, kind in self._phases:
            if seconds < length:
                return kind
            seconds -= length
        return "up"


CASES = {
    "429 for six hours": (Phases((6 * HOUR, "429")), None),
    "408 for six hours": (Phases((6 * HOUR, "408")), None),
    "500 for three hours": (Phases((3 * HOUR, "500")), None),
    "500 for five hours": (Phases((5 * HOUR, "500")), "too_old"),
    "no connection for five hours": (Phases((5 * HOUR, "dropped")), "too_old"),
    "paused for three days": (Phases((72 * HOUR, "paused")), None),
    "disabled for three days": (Phases((72 * HOUR, "disabled")), None),
    "halted for a week": (Phases((168 * HOUR, "401")), None),
    "500 for two hours, paused for three days, 500 for an hour": (Phases((2 * HOUR, "500"), (72 * HOUR, "paused"), (HOUR, "500")), None),
    "500 for an hour, 429 for six, 500 for an hour": (Phases((HOUR, "500"), (6 * HOUR, "429"), (HOUR, "500")), None),
    "500 for an hour, halted for a week, 500 for an hour": (Phases((HOUR, "500"), (168 * HOUR, "401"), (HOUR, "500")), None),
    "429 for six hours, 500 for five": (Phases((6 * HOUR, "429"), (5 * HOUR, "500")), "too_old"),
    "500 for two hours, paused for a day, 500 for three hours": (Phases((2 * HOUR, "500"), (24 * HOUR, "paused"), (3 * HOUR, "500")), "too_old"),
}


@pytest.mark.parametrize("name", CASES)
def test_only_a_vendor_that_fails_for_four_hours_parks(name: str) -> None:
    phases, parked_as = CASES[name]
    desk = Desk(seed=3)
    desk.send(*story("ann", 2))
    begun = desk.clock.now()

    def kind() -> str:
        return phases.at((desk.clock.now() - begun).total_seconds())

    class Changing:
        def all(self) -> list[Connection]:
            now = kind()
            return [connection(mode="paused" if now == "paused" else "live", enabled=now != "disabled")]

    def mood() -> Step:
        now = kind()
        return Step(dropped=True) if now == "dropped" else Step(status=int(now) if now.isdigit() else 200)

    desk.vendor.default = mood
    desk.delivery = replace(desk.delivery, connections=Changing())
    desk.run(hours=24 * 13)

    assert desk.waiting == 0
    assert len(desk.dead_letters) == 0
    parked = {row.message_id: row.code for row in desk.parking.rows.values()}
    if parked_as is None:
        assert parked == {}
        assert desk.applied("ann") == ["ann-0", "ann-1"]
    else:
        assert parked["ann-0"] == parked_as
        first_age = _age_of(desk.parking.rows["con_1", "src_shop", "ann-0"])
        assert Policy().window <= first_age <= Policy().window + Policy().longest_delay + 60


def _age_of(parked: Parked) -> float:
    """Hours stand in the reason."""
    return float(parked.reason.split(" for ")[1].split(" h ")[0]) * 3600


def test_an_event_that_waited_until_the_queue_would_drop_it_is_parked_before() -> None:
    desk = Desk()
    desk.connections.connections = [connection(mode="paused")]
    desk.send(*story("ann", 3))
    desk.run(hours=24 * 20)
    assert {row.message_id: row.code for row in desk.parking.rows.values()} == {f"ann-{number}": "queue_expiry_near" for number in range(3)}
    assert desk.queue.expired == []
    assert len(desk.dead_letters) == 0
    assert desk.vendor.sent == []
    assert max(row.parked_at for row in desk.parking.rows.values()) < story("ann", 1)[0].received_at + timedelta(days=14)


NEARLY_DROPPED = timedelta(days=13, hours=13).total_seconds()


def waited(*given: Step, count: int = 1, **options: Any) -> Desk:
    """A desk whose messages have been in the queue for nearly as long as it keeps them, none tried yet."""
    desk = Desk({f"ann-{number}": given for number in range(count)}, options=options)
    desk.send(*story("ann", count))
    desk.clock.advance(NEARLY_DROPPED)
    return desk


def test_what_waited_nearly_too_long_is_tried_before_it_is_parked() -> None:
    desk = waited(count=3)
    assert [one.outcome for one in desk.once().handled] == [Outcome.DELIVERED] * 3
    assert desk.applied("ann") == ["ann-0", "ann-1", "ann-2"]
    assert desk.parking.rows == {}


@pytest.mark.parametrize(
    ("answer", "code"), [(Step(status=503), "vendor_unavailable"), (Step(status=429), "vendor_throttled"), (Step(status=401), "credential_refused")]
)
def test_what_waited_nearly_too_long_and_then_fails_is_parked_with_what_was_answered(answer: Step, code: str) -> None:
    desk = waited(answer, answer, count=1)
    (handled,) = desk.once().handled
    assert (handled.outcome, handled.code, handled.back_in) == (Outcome.PARKED, "queue_expiry_near", None)
    (parked,) = desk.parking.rows.values()
    assert (parked.code, parked.attempts, parked.last_status) == ("queue_expiry_near", 1, answer.status)
    assert parked.reason.endswith(code)
    assert parked.request is not None
    assert desk.attempts.rows == {}


def test_a_closed_gate_cannot_hold_a_message_until_the_queue_drops_it() -> None:
    class Closed:
        def admit(self, connection: Connection) -> Admission:
            return Admission(ok=False, wait=60, code="breaker_open")

    desk = waited(gate=Closed())
    desk.once()
    assert [(row.code, row.attempts) for row in desk.parking.rows.values()] == [("queue_expiry_near", 0)]


def test_what_cannot_be_parked_before_the_queue_drops_it_is_tried_again() -> None:
    desk = waited(Step(status=503))
    desk.parking.fails = True
    (handled,) = desk.once().handled
    assert (handled.outcome, handled.code) == (Outcome.RETRIED, "vendor_unavailable")
    desk.run(hours=1)
    assert desk.applied("ann") == ["ann-0"]


def test_a_function_without_time_left_parks_nothing() -> None:
    desk = waited()
    (handled,) = desk.once(remaining=lambda: 1.0).handled
    assert (handled.outcome, handled.code) == (Outcome.NOT_TRIED, "deadline_near")
    assert desk.parking.rows == {}
