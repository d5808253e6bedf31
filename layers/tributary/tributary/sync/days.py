"""Calendar days of an account: its filter knows whole days in its own time zone, and nothing finer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

FIRST_DAY: Final = date(2010, 1, 1)
"""No account of the vendor's is older."""
_DAY: Final = timedelta(days=1)


def today(now: datetime, zone: str) -> date:
    """The day it is in the account, whatever it is in UTC."""
    return now.astimezone(ZoneInfo(zone)).date()


def between(first: date, last: date) -> Iterator[date]:
    """Both included, oldest first; none if `first` is the later."""
    day = first
    while day <= last:
        yield day
        day += _DAY


def month_of(day: date, *, first: date) -> date:
    """The first day of the day's month, or `first` where the month began before it."""
    return max(day.replace(day=1), first)


def year_of(day: date, *, first: date) -> date:
    """The first day of the day's year, or `first` where the year began before it."""
    return max(day.replace(month=1, day=1), first)


def before(day: date) -> date:
    return day - _DAY


def as_parameter(day: date) -> str:
    """As the API's documentation writes it: `MM/DD/YYYY`."""
    return f"{day:%m/%d/%Y}"
