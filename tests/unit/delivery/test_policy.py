"""How long to wait, and when to give up."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary.delivery.policy import LONGEST_VISIBILITY, Policy, Verdict

POLICY = Policy()
QUEUE_ALLOWS = 1000
"""`maxReceiveCount` in the template."""


def wait(count: int, *, chance: float = 1.0, counts: bool = True, asked: float | None = None, receives: int = 1) -> float:
    return POLICY.after_failure(count, receives, counts=counts, asked=asked, chance=chance)


@pytest.mark.parametrize(("count", "ceiling"), [(1, 10), (2, 20), (3, 40), (4, 80), (7, 640), (8, 1200), (9, 1200), (10_000, 1200)])
def test_the_ceiling_doubles_from_ten_seconds_to_twenty_minutes(count: int, ceiling: float) -> None:
    assert wait(count) == ceiling


@given(st.integers(1, 100), st.floats(0, 1))
def test_the_jitter_is_full_anything_from_nothing_to_the_ceiling(count: int, chance: float) -> None:
    assert wait(count, chance=0) == 0
    assert wait(count, chance=chance) == pytest.approx(wait(count) * chance)


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        (None, 0, 10),
        (0, 0, 10),  # now, for everyone at once: our own back-off is kinder
        (1, 1, 10),
        (30, 30, 60),
        (3600, 3600, 3660),
        (86_400, 3600, 3660),
    ],
)
def test_what_the_vendor_asks_for_is_waited_at_least_spread_and_at_most_an_hour(asked: float | None, least: float, most: float) -> None:
    waits = [wait(1, asked=asked, chance=chance / 100) for chance in range(101)]
    assert min(waits) == least
    assert max(waits) == most
    assert len(set(waits)) > 50


@pytest.mark.parametrize(("receives", "seconds"), [(1, 60), (2, 120), (29, 1740), (30, 1800), (500, 1800)])
def test_what_may_not_be_sent_now_is_looked_at_again_less_and_less_often(receives: int, seconds: float) -> None:
    assert POLICY.while_waiting(receives) == seconds


def test_a_connection_paused_for_two_weeks_does_not_use_up_the_queues_receives() -> None:
    receives, seconds = 0, 0.0
    while seconds < timedelta(days=14).total_seconds():
        receives += 1
        seconds += POLICY.while_waiting(receives)
    assert receives < QUEUE_ALLOWS * 0.75


def test_a_vendor_that_throttles_for_two_weeks_does_not_use_up_the_queues_receives() -> None:
    random = Random(1)
    receives, seconds = 0, 0.0
    while seconds < timedelta(days=14).total_seconds():
        receives += 1
        seconds += wait(receives, counts=False, asked=1, receives=receives, chance=random.random())
    assert receives < QUEUE_ALLOWS * 0.85


def test_four_hours_of_failures_take_about_twenty_to_fifty_attempts() -> None:
    for seed in range(20):
        random = Random(seed)
        attempts, seconds = 0, 0.0
        while seconds < POLICY.window:
            attempts += 1
            seconds += wait(attempts, chance=random.random())
        assert 15 <= attempts <= 60


def test_four_hours_park() -> None:
    assert POLICY.verdict(4 * 3600 - 1) is Verdict.RETRY
    assert POLICY.verdict(4 * 3600) is Verdict.PARK


def test_no_wait_is_longer_than_the_queue_hides_a_message() -> None:
    longest = max(wait(100, asked=10**9, counts=False, receives=999), POLICY.while_waiting(10**6))
    assert longest <= LONGEST_VISIBILITY
    assert LONGEST_VISIBILITY + 900 <= 43_200


def test_parking_before_the_queue_drops_leaves_room_for_the_longest_wait() -> None:
    assert POLICY.kept_in_queue + timedelta(seconds=2 * wait(100, asked=10**9)) < timedelta(days=14)
