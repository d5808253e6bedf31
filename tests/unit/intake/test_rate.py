"""How many events a second one write key may bring."""

from __future__ import annotations

import pytest

from tests.kit.config import MovingClock
from tributary.intake import rate
from tributary.intake.rate import EventRate


def test_a_second_s_worth_passes_and_then_one_waits() -> None:
    clock = MovingClock()
    bucket = EventRate(10, clock.monotonic)
    assert [bucket.wait("key_1", 1) for _ in range(10)] == [0.0] * 10
    assert bucket.wait("key_1", 1) == pytest.approx(0.1)
    clock.move(0.1)
    assert bucket.wait("key_1", 1) == 0.0


def test_it_counts_events_and_not_requests() -> None:
    bucket = EventRate(10, MovingClock().monotonic)
    assert bucket.wait("key_1", 10) == 0.0
    assert bucket.wait("key_1", 1) > 0


def test_a_batch_larger_than_a_second_s_worth_passes_and_is_owed() -> None:
    clock = MovingClock()
    bucket = EventRate(10, clock.monotonic)
    assert bucket.wait("key_1", 60) == 0.0
    assert bucket.wait("key_1", 1) == pytest.approx(5.0)
    clock.move(5.1)
    assert bucket.wait("key_1", 1) == 0.0


def test_waiting_costs_nothing_and_a_pause_saves_up_no_more_than_a_second_s_worth() -> None:
    clock = MovingClock()
    bucket = EventRate(10, clock.monotonic)
    bucket.wait("key_1", 15)
    assert {bucket.wait("key_1", 100) for _ in range(5)} == {bucket.wait("key_1", 1)}
    clock.move(3_600)
    assert bucket.wait("key_1", 10) == 0.0
    assert bucket.wait("key_1", 1) > 0


def test_one_key_does_not_delay_another() -> None:
    bucket = EventRate(10, MovingClock().monotonic)
    bucket.wait("key_1", 1_000)
    assert bucket.wait("key_2", 1) == 0.0


def test_in_the_long_run_the_rate_is_kept() -> None:
    clock = MovingClock()
    bucket = EventRate(100, clock.monotonic)
    admitted = 0
    for _ in range(2_000):
        admitted += 7 if bucket.wait("key_1", 7) == 0.0 else 0
        clock.move(0.01)
    assert 100 * 20 <= admitted <= 100 * 20 + 100 + 7


def test_zero_is_no_limit() -> None:
    bucket = EventRate(0, MovingClock().monotonic)
    assert {bucket.wait("key_1", 10_000) for _ in range(5)} == {0.0}


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "_MAX_KEYS", 3)
    bucket = EventRate(10, MovingClock().monotonic)
    for key in range(100):
        bucket.wait(f"key_{key}", 20)
    assert bucket.wait("key_99", 1) > 0
    assert bucket.wait("key_0", 1) == 0.0
