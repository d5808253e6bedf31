"""Times as senders write them → aware UTC.

ISO 8601 in all its forms, and those that libraries really send: a space for the `T`, one-digit months, `UTC` for the zone, any number of fraction digits, a
leap second, epoch seconds and milliseconds as a number or as its digits. A time without a zone is UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""Outside of these a time is a fault of the sender (Go's zero time is year 1), and arithmetic in a time zone may overflow later on."""

_MILLISECONDS_FROM: Final = 1e11
"""A number below is seconds (to the year 5138), from here on milliseconds (from 1973)."""
_MAX_LENGTH: Final = 64
_ODD: Final = re.compile(
    r"\s*(\d{4})-(\d{1,2})-(\d{1,2})(?:[Tt\s]\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d*))?)?\s*(?:Z|z|UTC|GMT|([+-])(\d{2}):?(\d{2})?)?)?\s*", re.ASCII
)
_OFFSET_OF_TOO_MANY_MINUTES: Final = re.compile(r"[+-]\d{2}:?[6-9]\d(?::?\d{2}(?:[.,]\d+)?)?", re.ASCII)
"""Python reads it over."""
_DIGITS: Final = re.compile(r"\d{10}|\d{13}", re.ASCII)


def parse(value: object) -> datetime | None:
    """The time, or None for what cannot be read as one between 1900 and 2200."""
    try:
        if type(value) is str:
            time = _from_text(value)
        elif type(value) is int or type(value) is float:
            time = _from_epoch(value)
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return time if EARLIEST <= time < LATEST else None


def _from_text(text: str) -> datetime:
    if len(text) > _MAX_LENGTH:
        raise ValueError
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        if _DIGITS.fullmatch(text) is not None:
            return _from_epoch(int(text))
        return _from_odd(text)
    if time.tzinfo is UTC:
        return time
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC)
    if _OFFSET_OF_TOO_MANY_MINUTES.fullmatch(text, max(text.rfind("+"), text.rfind("-"))) is not None:
        raise ValueError
    return time.astimezone(UTC)


def _from_epoch(number: float) -> datetime:
    return _EPOCH + (timedelta(milliseconds=number) if abs(number) >= _MILLISECONDS_FROM else timedelta(seconds=number))


def _from_odd(text: str) -> datetime:
    found = _ODD.fullmatch(text)
    if found is None:
        raise ValueError
    year, month, day, hour, minute, second, fraction, sign, zone_hours, zone_minutes = found.groups(default="0")
    if int(hour) > 24 or int(minute) > 59 or int(second) > 60 or int(zone_hours) > 23 or int(zone_minutes) > 59:
        raise ValueError
    zone = timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
    of_day = timedelta(hours=int(hour), minutes=int(minute), seconds=int(second), microseconds=int(f"{fraction:0<6}"[:6]))
    return datetime(int(year), int(month), int(day), tzinfo=UTC) + of_day - (-zone if sign == "-" else zone)
