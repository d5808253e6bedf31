"""The published figures of monthly recurring revenue, by the oracle."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.oracle.subscriptions import Was
from tributary.facts.tables import RateMark


@pytest.mark.parametrize(
    ("interval_days", "by_30_days", "by_calendar"),
    [(1, 135_000, 136_875), (7, 19_285.71, 19_500), (30, 4500, 4500), (90, 1500, 1500), (365, 369.86, 375)],
    ids=["day", "week", "month", "three months", "year"],
)
def test_a_subscription_of_4500_comes_to_this_a_month(interval_days: int, by_30_days: float, by_calendar: float) -> None:
    rate = RateMark(happened_at=datetime(2026, 3, 1, tzinfo=UTC), price=4500, interval_days=interval_days)
    running = Was("active", rate)
    assert (round(float(running.mrr), 2), round(float(running.calendar_mrr), 2)) == (by_30_days, by_calendar)
    assert Was("paused", rate).mrr == 0
