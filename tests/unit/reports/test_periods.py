"""Local hours, days, weeks and months in SQL, against the zone database of Python."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import duckdb
import pytest

from tributary.reports.periods import Bucket, Periods, local_date, local_time, offsets
from tributary.reports.query import Range, Scale
from tributary.reports.ranges import days

ZONES = (
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Havana",
    "America/Sao_Paulo",
    "Asia/Beirut",
    "America/Nuuk",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
)


@pytest.fixture(scope="module")
def duck() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def label_of(moment: datetime, scale: Scale, zone: str) -> str:
    local = moment.astimezone(ZoneInfo(zone))
    match scale:
        case Scale.HOUR:
            return local.replace(minute=0, second=0, microsecond=0, tzinfo=None).isoformat(timespec="minutes") + local.isoformat()[-6:]
        case Scale.DAY:
            return local.date().isoformat()
        case Scale.WEEK:
            return (local.date() - timedelta(days=local.weekday())).isoformat()
        case Scale.MONTH:
            return local.date().replace(day=1).isoformat()


def buckets_of(duck: duckdb.DuckDBPyConnection, periods: Periods, moments: list[datetime]) -> list[Bucket]:
    naive = [moment.replace(tzinfo=None) for moment in moments]
    return [found for (found,) in duck.execute(f"SELECT {periods.bucket('t')} FROM (SELECT unnest(?::TIMESTAMP[]) AS t)", [naive]).fetchall()]


def moments_of(asked: Range, seed: int) -> list[datetime]:
    """At random, and each side of every change of the clocks."""
    rng = random.Random(seed)
    length = int((asked.end - asked.start).total_seconds())
    found = [asked.start + timedelta(seconds=rng.randrange(length), microseconds=rng.randrange(1_000_000)) for _ in range(200)]
    for month in range(3, 12):
        around = datetime(asked.first.year, month, 1, tzinfo=UTC)
        found += [around + timedelta(minutes=30 * step) for step in range(0, 31 * 48, 7)]
    found += [asked.start, asked.end - timedelta(microseconds=1)]
    return [moment for moment in found if asked.start <= moment < asked.end]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("scale", list(Scale))
def test_each_moment_is_in_the_period_that_its_local_time_is_in(duck: duckdb.DuckDBPyConnection, zone: str, scale: Scale) -> None:
    for year in (2018, 2026):
        periods = Periods(scale, days(date(year, 1, 1), date(year, 12, 31), zone=zone), zone)
        moments = moments_of(periods.range, year)
        found = [periods.label(bucket) for bucket in buckets_of(duck, periods, moments)]
        assert found == [label_of(moment, scale, zone) for moment in moments]
        assert set(found) <= set(periods.labels)


@pytest.mark.parametrize("zone", ZONES)
def test_the_hours_of_a_year_are_all_there_once_and_in_order(zone: str) -> None:
    periods = Periods(Scale.HOUR, days(date(2026, 1, 1), date(2026, 12, 31), zone=zone), zone)
    walked: dict[str, None] = {}
    moment = periods.range.start
    while moment < periods.range.end:
        walked.setdefault(label_of(moment, Scale.HOUR, zone))
        moment += timedelta(minutes=15)
    assert list(periods.labels) == list(walked)
    assert all(one < other for one, other in pairwise(periods.buckets))


def test_days_of_23_and_25_hours_have_as_many_rows_and_the_hour_that_comes_twice_has_two() -> None:
    spring = Periods(Scale.HOUR, days(date(2026, 3, 8), date(2026, 3, 8), zone="America/New_York"), "America/New_York")
    autumn = Periods(Scale.HOUR, days(date(2026, 11, 1), date(2026, 11, 1), zone="America/New_York"), "America/New_York")
    assert len(spring.labels) == 23
    assert spring.labels[1:3] == ("2026-03-08T01:00-05:00", "2026-03-08T03:00-04:00")
    assert len(autumn.labels) == 25
    assert autumn.labels[1:3] == ("2026-11-01T01:00-04:00", "2026-11-01T01:00-05:00")


def test_hours_of_a_half_hour_zone_begin_at_its_own_full_hours() -> None:
    periods = Periods(Scale.HOUR, days(date(2026, 3, 8), date(2026, 3, 8), zone="Asia/Kolkata"), "Asia/Kolkata")
    assert periods.labels[0] == "2026-03-08T00:00+05:30"
    assert periods.buckets[0] == datetime(2026, 3, 7, 18, 30, tzinfo=UTC).replace(tzinfo=None)
    assert len(periods.labels) == 24


def test_weeks_begin_on_monday_and_the_first_may_begin_before_the_range() -> None:
    periods = Periods(Scale.WEEK, days(date(2026, 3, 4), date(2026, 3, 17), zone="UTC"), "UTC")
    assert periods.labels == ("2026-03-02", "2026-03-09", "2026-03-16")


def test_months_of_a_year_are_twelve() -> None:
    periods = Periods(Scale.MONTH, days(date(2025, 1, 15), date(2025, 12, 31), zone="UTC"), "UTC")
    assert len(periods.labels) == 12
    assert (periods.labels[0], periods.labels[-1]) == ("2025-01-01", "2025-12-01")


def test_a_column_of_local_days_falls_into_the_same_periods(duck: duckdb.DuckDBPyConnection) -> None:
    asked = days(date(2026, 3, 1), date(2026, 3, 31), zone="America/New_York")
    for scale, expected in ((Scale.DAY, "2026-03-12"), (Scale.WEEK, "2026-03-09"), (Scale.MONTH, "2026-03-01")):
        periods = Periods(scale, asked, "America/New_York")
        (found,) = duck.execute(f"SELECT {periods.bucket_of_day('d')} FROM (SELECT DATE '2026-03-12' AS d)").fetchall()[0]
        assert periods.label(found) == expected


def test_a_moment_outside_the_range_keeps_the_offset_of_the_nearer_end(duck: duckdb.DuckDBPyConnection) -> None:
    periods = Periods(Scale.DAY, days(date(2026, 3, 1), date(2026, 3, 31), zone="America/New_York"), "America/New_York")
    before, after = buckets_of(duck, periods, [datetime(2025, 7, 1, 4, 30, tzinfo=UTC), datetime(2026, 12, 1, 4, 30, tzinfo=UTC)])
    assert (before, after) == (date(2025, 6, 30), date(2026, 12, 1))


@pytest.mark.parametrize("zone", ZONES)
def test_local_dates_of_many_years_are_those_of_the_zone(duck: duckdb.DuckDBPyConnection, zone: str) -> None:
    start, end = datetime(2012, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    since = offsets(zone, start, end)
    rng = random.Random(7)
    moments = [start + timedelta(seconds=rng.randrange(int((end - start).total_seconds()))) for _ in range(2_000)]
    sql = f"SELECT {local_date('t', since)}, {local_time('t', since)} FROM (SELECT unnest(?::TIMESTAMP[]) AS t)"
    found = duck.execute(sql, [[moment.replace(tzinfo=None) for moment in moments]]).fetchall()
    local = [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for moment in moments]
    assert found == [(moment.date(), moment) for moment in local]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Chatham", "Africa/Cairo"])
@pytest.mark.parametrize("scale", list(Scale))
def test_the_ranges_of_all_periods_are_the_range(zone: str, scale: Scale) -> None:
    periods = Periods(scale, days(date(2026, 3, 4), date(2026, 5, 17), zone=zone), zone)
    ranges = [periods.range_of(bucket) for bucket in periods.buckets]
    assert (ranges[0].start, ranges[-1].end) == (periods.range.start, periods.range.end)
    assert (ranges[0].first, ranges[-1].last) == (periods.range.first, periods.range.last)
    assert all(one.end == other.start for one, other in pairwise(ranges))
