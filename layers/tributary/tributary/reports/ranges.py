"""The range of a report, in words or dates → days of a time zone, and the UTC moments they begin and end at.

`last_30_days` and all its kin are *whole* units before the one that today is in: today is not among them, as it is not over. `this_month` is the whole month,
its days to come included; `month_to_date` ends with today.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tributary.reports.query import Range

Unit = Literal["day", "week", "month", "quarter", "year"]

EARLIEST: Final = date(2000, 1, 1)
"""Where `all_time` begins: no shop that these systems serve is older, and a month of each year since is a table that can still be read."""
LATEST: Final = date(2100, 1, 1)
MAX_UNITS: Final = 10_000
"""Of `last_<n>_days`: more than there can be, so that the days before EARLIEST are what is said to be wrong."""
ALL_TIME: Final = "all_time"
WORDS: Final = (
    "2026-03-01..2026-03-31, 2026-03-01, 2026-03, 2026-Q1, 2026, today, yesterday, last_30_days (or 30d; weeks, months, quarters, years alike), "
    "this_week, last_week, week_to_date (or month, quarter, year), all_time"
)
"""What a range may be, for whoever asks."""

_UNITS: Final[Mapping[str, Unit]] = {"d": "day", "w": "week", "m": "month", "q": "quarter", "y": "year"}
_LAST_N: Final = re.compile(r"(?:last_)?(\d{1,9})_?(days?|weeks?|months?|quarters?|years?|[dwmqy])")
_THIS: Final = re.compile(r"this_(week|month|quarter|year)")
_LAST: Final = re.compile(r"last_(week|month|quarter|year)")
_TO_DATE: Final = re.compile(r"(week|month|quarter|year)_to_date")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_MONTH: Final = re.compile(r"(\d{4})-(\d{2})")
_QUARTER: Final = re.compile(r"(\d{4})[-_]?q([1-4])")
_YEAR: Final = re.compile(r"\d{4}")


class RangeUnreadable(ValueError):
    """The text says what is wrong with the range that was asked for."""


def read_range(words: str, *, zone: str, now: datetime) -> Range:
    """What `WORDS` names, in days of `zone`; capitals, and spaces or hyphens between words, do not matter. Raises `RangeUnreadable`."""
    said = re.sub(r"(?<=[a-z])-|-(?=[a-z])|\s+", "_", words.strip().lower())
    today = now.astimezone(zone_of(zone)).date()
    first, last = _days_of(said, today, words)
    return days(first, last, zone=zone, words=said)


def days(first: date, last: date, *, zone: str, words: str | None = None) -> Range:
    """From the first to the last day, both included. Raises `RangeUnreadable`: the last is before the first, or one is of no year that reports know."""
    if last < first:
        raise RangeUnreadable(f"the range ends on {last}, before it begins on {first}")
    for day in (first, last):
        if not EARLIEST <= day < LATEST:
            raise RangeUnreadable(f"{day} is not between {EARLIEST} and {LATEST}")
    return Range(first=first, last=last, start=start_of(first, zone), end=start_of(last + timedelta(days=1), zone), words=words)


def previous(of: Range, *, zone: str) -> Range:
    """The period just before: of calendar words the calendar unit before (`this_month` → the whole last one, `month_to_date` → as many days of it), of all
    others as many days. Raises `RangeUnreadable`: nothing is before all time."""
    first, last = _days_before(of)
    return days(first, last, zone=zone)


def zone_of(name: str) -> ZoneInfo:
    """A zone by its IANA name. Raises `RangeUnreadable`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # a folder of the database, or a name that no file can have
        raise RangeUnreadable(f"{name!r} is not a time zone, such as America/New_York") from error


def start_of(day: date, zone: str) -> datetime:
    """UTC: where a local day begins; its midnight's first, where a clock that is put back shows it twice; where it is left out, the first moment after."""
    return datetime.combine(day, time(), tzinfo=zone_of(zone)).astimezone(UTC)


def unit_start(unit: Unit, day: date) -> date:
    """The first day of the week (Monday), month, quarter or year that a day is in."""
    match unit:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "year":
            return day.replace(month=1, day=1)


def units_after(unit: Unit, start: date, count: int) -> date:
    """The first day of the unit `count` units after the one that begins at `start`; `count` may be negative. Raises `RangeUnreadable`: no year has it."""
    try:
        match unit:
            case "day":
                return start + timedelta(days=count)
            case "week":
                return start + timedelta(weeks=count)
            case "month" | "quarter" | "year":
                months = start.year * 12 + start.month - 1 + count * {"month": 1, "quarter": 3, "year": 12}[unit]
                return date(months // 12, months % 12 + 1, 1)
    except (OverflowError, ValueError) as error:
        raise RangeUnreadable(f"a range of {abs(count)} {unit}s begins before there is a calendar") from error


def _days_of(said: str, today: date, words: str) -> tuple[date, date]:
    if said == "today":
        return today, today
    if said == "yesterday":
        return _whole_units("day", 1, today)
    if said == ALL_TIME:
        return EARLIEST, today
    if found := _THIS.fullmatch(said):
        unit = _UNITS[found[1][0]]
        return _unit(unit, unit_start(unit, today))
    if found := _LAST.fullmatch(said):
        return _whole_units(_UNITS[found[1][0]], 1, today)
    if found := _TO_DATE.fullmatch(said):
        return unit_start(_UNITS[found[1][0]], today), today
    if found := _LAST_N.fullmatch(said):
        return _whole_units(_UNITS[found[2][0]], _count(found[1]), today)
    if ".." in said:
        return _between(said, today)
    if (named := _named(said, today)) is not None:
        return named
    raise RangeUnreadable(f"{words!r} is not a range; one is {WORDS}")


def _between(said: str, today: date) -> tuple[date, date]:
    first, _, last = said.partition("..")
    for part in (first, last):
        if not part:
            raise RangeUnreadable(f"the range {said!r} lacks the day it {'begins' if part is first else 'ends'} with")
    begins, ends = _named(first, today), _named(last, today)
    for part, found in ((first, begins), (last, ends)):
        if found is None:
            raise RangeUnreadable(f"{part!r} is not a date, such as 2026-03-01")
    assert begins is not None
    assert ends is not None
    return begins[0], ends[1]


def _named(said: str, today: date) -> tuple[date, date] | None:
    """A day, month, quarter or year by its date; None: it is none."""
    try:
        if said == "today":
            return today, today
        if said == "yesterday":
            return _whole_units("day", 1, today)
        if _DAY.fullmatch(said):
            day = date.fromisoformat(said)
            return day, day
        if found := _MONTH.fullmatch(said):
            return _unit("month", date(int(found[1]), int(found[2]), 1))
        if found := _QUARTER.fullmatch(said):
            return _unit("quarter", date(int(found[1]), int(found[2]) * 3 - 2, 1))
        if _YEAR.fullmatch(said):
            return _unit("year", date(int(said), 1, 1))
    except ValueError as error:
        raise RangeUnreadable(f"the calendar has no {said}") from error
    return None


def _count(digits: str) -> int:
    count = int(digits)
    if not 1 <= count <= MAX_UNITS:
        raise RangeUnreadable(f"a range of {count} units is not between 1 and {MAX_UNITS}")
    return count


def _unit(unit: Unit, start: date) -> tuple[date, date]:
    return start, units_after(unit, start, 1) - timedelta(days=1)


def _whole_units(unit: Unit, count: int, today: date) -> tuple[date, date]:
    current = unit_start(unit, today)
    return units_after(unit, current, -count), current - timedelta(days=1)


def _days_before(of: Range) -> tuple[date, date]:
    said = of.words or ""
    if said == ALL_TIME:
        raise RangeUnreadable("nothing is before all time, to compare it with")
    if found := _TO_DATE.fullmatch(said):
        unit = _UNITS[found[1][0]]
        first, whole_last = _whole_units(unit, 1, of.first)
        return first, min(first + (of.last - of.first), whole_last)
    if (counted := _calendar_units(said)) is not None:
        unit, count = counted
        return units_after(unit, of.first, -count), of.first - timedelta(days=1)
    return of.first - (of.last - of.first) - timedelta(days=1), of.first - timedelta(days=1)


def _calendar_units(said: str) -> tuple[Unit, int] | None:
    """How many of which unit the words name; None: they are days, or two dates."""
    for pattern in (_THIS, _LAST):
        if found := pattern.fullmatch(said):
            return _UNITS[found[1][0]], 1
    if found := _LAST_N.fullmatch(said):
        return _UNITS[found[2][0]], int(found[1])
    named: tuple[tuple[re.Pattern[str], Unit], ...] = ((_MONTH, "month"), (_QUARTER, "quarter"), (_YEAR, "year"))
    return next(((unit, 1) for pattern, unit in named if pattern.fullmatch(said)), None)
