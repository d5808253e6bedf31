"""Order and isolation, with scripts for each (person, event): afterwards every person's events stand at the vendor in order, each once, and nobody's trouble
was anybody else's. With the protection switched off the same comparison fails, so it can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kit.builders import track
from tests.kit.deliveries import Desk, connection, story
from tests.kit.vendor import DROPPED, ENDLESS, LOST, SLOW, THROTTLED, Step, answers
from tributary.delivery.batch import Handled
from tributary.delivery.engine import Delivery

SCRIPT: Mapping[str, Sequence[Step]] = {
    "ann-0": answers(500, 500, 200),
    "bob-1": answers(400),
    "cy-0": [Step(status=429, headers={"retry-after": "600"}), *answers(429, 200)],
    "dan-2": [DROPPED, *answers(200)],
    "eve-0": [SLOW, *answers(200)],
    "eve-3": [SLOW, SLOW, SLOW],
    "fay-1": [ENDLESS],
    "gil-2": answers(500, 400),
    "hal-1": [LOST],
}
TROUBLED = ("ann", "bob", "cy", "dan", "eve", "fay", "gil", "hal")
HEALTHY = tuple(f"well-{number}" for number in range(12))
EVENTS = 5


class OrderBlind(Delivery):
    """Goes on with the next message of a person when one has to wait."""

    def _holds_back(self, handled: Handled) -> bool:
        return False


def send_stories(desk: Desk, people: Sequence[str]) -> None:
    """Everybody's first event, everybody's second, …"""
    stories = [story(person, EVENTS) for person in people]
    for turn in zip(*stories, strict=True):
        desk.send(*turn)


def disorder(desk: Desk, people: Sequence[str], script: Mapping[str, Sequence[Step]]) -> list[str]:
    """What is wrong at the vendor, person by person; empty for nothing."""
    wrong = []
    for person in people:
        got = desk.applied(person)
        parked = {row.message_id for row in desk.parking.rows.values()}
        wanted = [event.message_id for event in story(person, EVENTS)]
        if got != sorted(got):
            wrong.append(f"{person}: {got}")
        if set(got) | parked < set(wanted):
            wrong.append(f"{person}: lost {set(wanted) - set(got) - parked}")
        for event in got:
            requests = [one.request for one in desk.vendor.sent if one.id == event]
            if any(request != requests[0] for request in requests):
                wrong.append(f"{event}: two different requests")
            if sum(one.applied for one in desk.vendor.sent if one.id == event) > 1 + sum(step.is_lost for step in script.get(event, ())):
                wrong.append(f"{event}: applied again for no reason")
    return wrong


@pytest.mark.parametrize("seed", range(8))
def test_each_persons_events_arrive_in_order_once_or_are_parked(seed: int) -> None:
    desk = Desk(SCRIPT, seed=seed)
    send_stories(desk, TROUBLED + HEALTHY)
    desk.run()
    assert disorder(desk, TROUBLED + HEALTHY, SCRIPT) == []
    assert desk.waiting == 0
    assert {row.message_id for row in desk.parking.rows.values()} == {"bob-1", "fay-1", "gil-2"}
    assert desk.mapping.overruns == 0
    assert len(desk.dead_letters) == 0


def test_without_the_protection_the_same_comparison_finds_disorder() -> None:
    found = 0
    for seed in range(4):
        desk = Desk(SCRIPT, seed=seed, make=OrderBlind)
        send_stories(desk, TROUBLED + HEALTHY)
        desk.run()
        found += any(wrong.startswith(("ann", "cy", "dan", "eve")) for wrong in disorder(desk, TROUBLED + HEALTHY, SCRIPT))
    assert found == 4


def test_on_a_queue_that_does_not_lock_its_groups_the_same_comparison_finds_disorder() -> None:
    found = 0
    for seed in range(8):
        desk = Desk(SCRIPT, seed=seed)
        desk.queue.locks_groups = False
        send_stories(desk, TROUBLED + HEALTHY)
        desk.run()
        found += disorder(desk, TROUBLED + HEALTHY, SCRIPT) != []
    assert found > 0


def last_arrival(desk: Desk, people: Sequence[str]) -> float:
    """Seconds until the last event of these people was at the vendor."""
    begun: datetime = story("anybody", 1)[0].received_at
    return max((one.at - begun).total_seconds() for one in desk.vendor.sent if one.id.rsplit("-", 1)[0] in people)


@pytest.mark.parametrize("seed", range(4))
def test_nobodys_trouble_delays_anybody_else(seed: int) -> None:
    alone = Desk({}, seed=seed)
    send_stories(alone, HEALTHY)
    alone.run()
    among = Desk(SCRIPT, seed=seed)
    send_stories(among, TROUBLED + HEALTHY)
    among.run()
    # A batch ends when its slowest member does, and what was received with it is deleted then: an answer's ten seconds, however long the trouble lasts.
    assert last_arrival(alone, HEALTHY) < 5
    assert last_arrival(among, HEALTHY) < 5 + 4 * 10
    assert last_arrival(among, TROUBLED) > 300


def test_a_dead_destination_of_one_connection_does_not_delay_another_connection() -> None:
    desk = Desk({})
    desk.connections.connections.append(connection(id="con_2"))
    dead = [track(user_id=f"dead-{number}", message_id=f"dead-{number}") for number in range(60)]
    desk.vendor._script = {event.message_id: answers(*[500] * 500) for event in dead}
    desk.send(*dead)
    desk.send(*story("ann", EVENTS), connection_id="con_2")
    desk.run(hours=1)
    assert desk.applied("ann") == [f"ann-{number}" for number in range(EVENTS)]
    assert last_arrival(desk, ["ann"]) < 60
    assert desk.waiting == 60


def test_ten_thousand_events_of_a_guest_delay_nobody() -> None:
    desk = Desk({"guest-0": answers(*[500] * 500)})
    desk.send(*[track(user_id="guest", message_id=f"guest-{number}") for number in range(10_000)])
    desk.send(*story("ann", EVENTS))
    desk.mapping.concurrency = 20
    desk.run(hours=1)
    assert len({one.id for one in desk.vendor.sent}) == 10_000 + EVENTS
    assert desk.waiting == 1  # the one in trouble, which nobody waits for: 9,999 others of the same name went on
    assert desk.applied("ann") == [f"ann-{number}" for number in range(EVENTS)]
    # Each has a group of its own, so twenty batches of ten run side by side; one group would have taken 10,000 answers one after another.
    first_round = [one for one in desk.vendor.sent if one.id != "guest-0"]
    begun = story("anybody", 1)[0].received_at
    assert max((one.at - begun).total_seconds() for one in first_round) < 10_000 * 0.05 / 20


steps = st.sampled_from([*answers(200, 400, 500, 503, 429, 401), THROTTLED, DROPPED, LOST, SLOW, ENDLESS])
people = ("ann", "bob", "cy")
scripts = st.dictionaries(st.sampled_from([f"{person}-{number}" for person in people for number in range(EVENTS)]), st.lists(steps, max_size=4), max_size=8)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(script=scripts, seed=st.integers(0, 10_000), concurrency=st.integers(1, 6), lose_deletes=st.sampled_from([0.0, 0.2]))
def test_whatever_the_vendor_answers_order_holds_and_nothing_is_lost(script: dict[str, list[Step]], seed: int, concurrency: int, lose_deletes: float) -> None:
    desk = Desk(script, seed=seed)
    desk.mapping.concurrency = concurrency
    desk.mapping.lose_deletes = lose_deletes
    send_stories(desk, people)
    desk.run(hours=48)
    assert desk.waiting == 0
    for person in people:
        got = desk.applied(person)
        parked = {row.message_id for row in desk.parking.rows.values()}
        assert got == sorted(got)
        assert set(got) | parked >= {f"{person}-{number}" for number in range(EVENTS)}
    for event in {one.id for one in desk.vendor.sent}:
        assert len({str(one.request) for one in desk.vendor.sent if one.id == event}) == 1
    assert {row.code for row in desk.parking.rows.values()} <= {"vendor_refused", "answer_too_large"}
    assert desk.attempts.rows == {}
    assert len(desk.dead_letters) == 0
