"""The words and dates that a range is asked for in."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tributary.reports.ranges import RangeUnreadable, days, previous, read_range, start_of

NEW_YORK = "America/New_York"
NOW = datetime(2026, 3, 18, 12, tzinfo=UTC)
"""A Wednesday."""


@pytest.mark.parametrize(
    ("words", "first", "last"),
    [
        ("2026-03-01..2026-03-31", "2026-03-01", "2026-03-31"),
        ("2026-01..2026-02", "2026-01-01", "2026-02-28"),
        ("2026-03-01..today", "2026-03-01", "2026-03-18"),
        ("2026-03-05", "2026-03-05", "2026-03-05"),
        ("2026-02", "2026-02-01", "2026-02-28"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2026-Q1", "2026-01-01", "2026-03-31"),
        ("2025", "2025-01-01", "2025-12-31"),
        ("today", "2026-03-18", "2026-03-18"),
        ("yesterday", "2026-03-17", "2026-03-17"),
        ("last_7_days", "2026-03-11", "2026-03-17"),
        ("last 30d", "2026-02-16", "2026-03-17"),
        ("30d", "2026-02-16", "2026-03-17"),
        ("Last 90 Days", "2025-12-18", "2026-03-17"),
        ("last-30-days", "2026-02-16", "2026-03-17"),
        ("last_2_weeks", "2026-03-02", "2026-03-15"),
        ("12m", "2025-03-01", "2026-02-28"),
        ("last_2_quarters", "2025-07-01", "2025-12-31"),
        ("last_1_year", "2025-01-01", "2025-12-31"),
        ("this_week", "2026-03-16", "2026-03-22"),
        ("last_week", "2026-03-09", "2026-03-15"),
        ("this_month", "2026-03-01", "2026-03-31"),
        ("last_month", "2026-02-01", "2026-02-28"),
        ("this_quarter", "2026-01-01", "2026-03-31"),
        ("last_quarter", "2025-10-01", "2025-12-31"),
        ("this_year", "2026-01-01", "2026-12-31"),
        ("last_year", "2025-01-01", "2025-12-31"),
        ("week_to_date", "2026-03-16", "2026-03-18"),
        ("month_to_date", "2026-03-01", "2026-03-18"),
        ("quarter_to_date", "2026-01-01", "2026-03-18"),
        ("year_to_date", "2026-01-01", "2026-03-18"),
        ("all_time", "2000-01-01", "2026-03-18"),
    ],
)
def test_words_and_dates_name_their_days(words: str, first: str, last: str) -> None:
    found = read_range(words, zone=NEW_YORK, now=NOW)
    assert (found.first.isoformat(), found.last.isoformat()) == (first, last)


@pytest.mark.parametrize(
    ("words", "first", "last"),
    [
        ("2026-03-01..2026-03-31", "2026-01-29", "2026-02-28"),
        ("2026-03-05", "2026-03-04", "2026-03-04"),
        ("today", "2026-03-17", "2026-03-17"),
        ("last_7_days", "2026-03-04", "2026-03-10"),
        ("30d", "2026-01-17", "2026-02-15"),
        ("2026-03", "2026-02-01", "2026-02-28"),
        ("2026-Q1", "2025-10-01", "2025-12-31"),
        ("2025", "2024-01-01", "2024-12-31"),
        ("this_week", "2026-03-09", "2026-03-15"),
        ("this_month", "2026-02-01", "2026-02-28"),
        ("last_month", "2026-01-01", "2026-01-31"),
        ("last_3_months", "2025-09-01", "2025-11-30"),
        ("last_quarter", "2025-07-01", "2025-09-30"),
        ("this_year", "2025-01-01", "2025-12-31"),
        ("month_to_date", "2026-02-01", "2026-02-18"),
        ("week_to_date", "2026-03-09", "2026-03-11"),
    ],
)
def test_the_period_before_is_the_calendar_unit_before_or_as_many_days(words: str, first: str, last: str) -> None:
    before = previous(read_range(words, zone=NEW_YORK, now=NOW), zone=NEW_YORK)
    assert (before.first.isoformat(), before.last.isoformat()) == (first, last)


def test_month_to_date_at_the_end_of_march_is_compared_with_all_of_february() -> None:
    before = previous(read_range("month_to_date", zone=NEW_YORK, now=datetime(2026, 3, 31, 20, tzinfo=UTC)), zone=NEW_YORK)
    assert (before.first, before.last) == (date(2026, 2, 1), date(2026, 2, 28))


def test_the_period_before_ends_where_the_range_begins() -> None:
    for words in ("last_7_days", "this_month", "2026-02-10..2026-03-18", "last_quarter"):
        asked = read_range(words, zone=NEW_YORK, now=NOW)
        assert previous(asked, zone=NEW_YORK).end == asked.start


def test_today_is_the_zones_day() -> None:
    late = datetime(2026, 3, 18, 3, tzinfo=UTC)
    assert read_range("today", zone=NEW_YORK, now=late).first == date(2026, 3, 17)
    assert read_range("today", zone="Asia/Tokyo", now=late).first == date(2026, 3, 18)


def test_days_begin_and_end_at_local_midnight_also_where_the_clocks_change() -> None:
    spring = read_range("2026-03-08", zone=NEW_YORK, now=NOW)
    autumn = read_range("2026-11-01", zone=NEW_YORK, now=NOW)
    assert (spring.start, spring.end) == (datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 3, 9, 4, tzinfo=UTC))
    assert spring.end - spring.start == timedelta(hours=23)
    assert autumn.end - autumn.start == timedelta(hours=25)


def test_a_day_whose_midnight_is_left_out_begins_with_its_first_moment() -> None:
    cairo = start_of(date(2026, 4, 24), "Africa/Cairo")
    assert cairo.astimezone(ZoneInfo("Africa/Cairo")).isoformat() == "2026-04-24T01:00:00+03:00"
    assert (cairo - timedelta(seconds=1)).astimezone(ZoneInfo("Africa/Cairo")).date() == date(2026, 4, 23)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("2026-03-31..2026-03-01", "ends on 2026-03-01, before it begins on 2026-03-31"),
        ("2026-02-30", "the calendar has no 2026-02-30"),
        ("2026-13", "the calendar has no 2026-13"),
        ("2026-03-01..", "lacks the day it ends with"),
        ("..2026-03-01", "lacks the day it begins with"),
        ("2026-03-01..soon", "'soon' is not a date"),
        ("fortnight", "'fortnight' is not a range; one is"),
        ("", "'' is not a range"),
        ("last_0_days", "not between 1 and"),
        ("last_99999999_days", "not between 1 and"),
        ("last_9999_years", "begins before there is a calendar"),
        ("1999-12-31..2026-01-01", "1999-12-31 is not between"),
        ("0001", "0001-01-01 is not between"),
        ("9999", "the calendar has no 9999"),
    ],
)
def test_a_range_that_cannot_be_says_what_is_wrong_with_it(words: str, says: str) -> None:
    with pytest.raises(RangeUnreadable, match=says.replace("(", r"\(")):
        read_range(words, zone=NEW_YORK, now=NOW)


def test_nothing_is_before_all_time() -> None:
    with pytest.raises(RangeUnreadable, match="nothing is before all time"):
        previous(read_range("all_time", zone=NEW_YORK, now=NOW), zone=NEW_YORK)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "America", "a\0b"])
def test_a_zone_that_is_none_is_named(zone: str) -> None:
    with pytest.raises(RangeUnreadable, match="is not a time zone"):
        days(date(2026, 3, 1), date(2026, 3, 1), zone=zone)
