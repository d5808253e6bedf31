"""The oracle's local time, by days that everybody can look up."""

from __future__ import annotations

from datetime import UTC, date, datetime

from tests.oracle.calendar import period, periods, range_of
from tributary.reports.query import Scale

NEW_YORK = "America/New_York"


def test_a_day_in_spring_has_no_hour_of_two() -> None:
    day = date(2026, 3, 8)
    hours = periods(range_of(day, day, NEW_YORK), Scale.HOUR, NEW_YORK)
    assert len(hours) == 23
    assert hours[1:3] == ["2026-03-08T01:00-05:00", "2026-03-08T03:00-04:00"]


def test_a_day_in_autumn_has_two_hours_of_one() -> None:
    day = date(2026, 11, 1)
    hours = periods(range_of(day, day, NEW_YORK), Scale.HOUR, NEW_YORK)
    assert len(hours) == 25
    assert hours[1:3] == ["2026-11-01T01:00-04:00", "2026-11-01T01:00-05:00"]


def test_a_week_begins_on_monday_and_a_moment_belongs_to_the_local_one() -> None:
    sunday_night = datetime(2026, 3, 9, 3, 30, tzinfo=UTC)
    assert period(sunday_night, Scale.WEEK, NEW_YORK) == "2026-03-02"
    assert period(sunday_night, Scale.WEEK, "UTC") == "2026-03-09"
    assert period(sunday_night, Scale.MONTH, NEW_YORK) == "2026-03-01"
