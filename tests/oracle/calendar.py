"""Local periods, by the zone database alone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tributary.reports.query import Range, Scale


def local(moment: datetime, zone: str) -> datetime:
    """A moment on the zone's wall clock."""
    return moment.astimezone(ZoneInfo(zone))


def range_of(first: date, last: date, zone: str) -> Range:
    """Whole local days, both included."""
    return Range(first=first, last=last, start=_midnight(first, zone), end=_midnight(last + timedelta(days=1), zone))


def period(moment: datetime, scale: Scale, zone: str) -> str:
    """The local start of the period that a moment is in."""
    wall = local(moment, zone)
    if scale is Scale.HOUR:
        return wall.replace(minute=0, second=0, microsecond=0).isoformat(timespec="minutes")
    return period_of_day(wall.date(), scale)


def period_of_day(day: date, scale: Scale) -> str:
    match scale:
        case Scale.WEEK:
            return (day - timedelta(days=day.weekday())).isoformat()
        case Scale.MONTH:
            return day.replace(day=1).isoformat()
        case _:
            return day.isoformat()


def periods(span: Range, scale: Scale, zone: str) -> list[str]:
    """Every period that the range touches: each of its half hours is asked, for no zone changes its clocks by less."""
    found: list[str] = []
    moment = span.start
    while moment < span.end:
        if (name := period(moment, scale, zone)) not in found[-1:]:
            found.append(name)
        moment += timedelta(minutes=30)
    return found


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), tzinfo=ZoneInfo(zone)).astimezone(UTC)
