"""Local time in SQL: the hour, day, week or month of a zone that a UTC moment is in, and all of a range, in order.

A zone is a few offsets, each from a moment on; they are read from Python's zone database and stand in the statement as numbers, so that a report knows no other
rules than its range was made by, and costs a comparison per row and change of the clocks. A day of 23 or 25 hours needs nothing of its own.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cached_property
from typing import Final, NamedTuple

from tributary.reports.query import Range, Scale
from tributary.reports.ranges import Unit, start_of, unit_start, units_after, zone_of

Bucket = date | datetime
"""What rows are grouped by: of an hour the UTC moment that it begins at, or, of one that the clocks were changed in, at which the rest of it begins; of all
others their first local day."""

_DAY: Final = timedelta(days=1)
_UNITS: Final[dict[Scale, Unit]] = {Scale.DAY: "day", Scale.WEEK: "week", Scale.MONTH: "month"}


class Offset(NamedTuple):
    """What is added to UTC from a moment on. `since` is naive UTC, as moments in FACTS are."""

    since: datetime
    offset: timedelta


def offsets(zone: str, start: datetime, end: datetime) -> tuple[Offset, ...]:
    """The zone's offsets between two moments, in order; the first holds before the start as well. No zone changes its clocks twice within a day."""
    zone_info = zone_of(zone)
    found = [Offset(_naive(start), _offset_at(start, zone_info))]
    before = start
    while before < end:
        after = min(before + _DAY, end)
        if _offset_at(after, zone_info) != found[-1].offset:
            changed = _change(before, after, zone_info)
            found.append(Offset(_naive(changed), _offset_at(changed, zone_info)))
        before = after
    return tuple(found)


def local_time(column: str, since: tuple[Offset, ...]) -> str:
    """SQL: the local TIMESTAMP of a column that holds UTC."""
    shift = str(_microseconds(since[0].offset))
    if len(since) > 1:
        cases = " ".join(f"WHEN {column} >= {timestamp(change.since)} THEN {_microseconds(change.offset)}" for change in reversed(since[1:]))
        shift = f"CASE {cases} ELSE {shift} END"
    return f"make_timestamp(epoch_us({column}) + {shift})"


def local_date(column: str, since: tuple[Offset, ...]) -> str:
    """SQL: the local DATE of a column that holds UTC."""
    return f"CAST({local_time(column, since)} AS DATE)"


def timestamp(moment: datetime) -> str:
    """SQL: a moment, aware or naive UTC, as a TIMESTAMP."""
    return f"TIMESTAMP '{_naive(moment).isoformat(sep=' ')}'"


@dataclass(frozen=True)
class Periods:
    """The periods of a range in a zone. Moments outside of the range are put into periods of their own, by the offset at its nearer end."""

    scale: Scale
    range: Range
    zone: str

    @cached_property
    def offsets(self) -> tuple[Offset, ...]:
        return offsets(self.zone, self.range.start, self.range.end)

    def bucket(self, column: str) -> str:
        """SQL: the period of a column that holds UTC, as a small value to group and sort by. `label` names it."""
        local = local_time(column, self.offsets)
        if self.scale is Scale.DAY:
            return f"CAST({local} AS DATE)"
        if self.scale is not Scale.HOUR:
            return f"CAST(date_trunc('{self.scale.value}', {local}) AS DATE)"
        first, *later = self.offsets
        cases = " ".join(
            f"WHEN {column} >= {timestamp(change.since)} THEN greatest({timestamp(change.since)}, {_hour_sql(column, change.offset)})"
            for change in reversed(later)
        )
        return f"CASE {cases} ELSE {_hour_sql(column, first.offset)} END" if later else _hour_sql(column, first.offset)

    def bucket_of_day(self, column: str) -> str:
        """SQL: the period of a column that holds a local DATE; of scale hour the day's first."""
        if self.scale is Scale.DAY:
            return column
        if self.scale is not Scale.HOUR:
            return f"CAST(date_trunc('{self.scale.value}', {column}) AS DATE)"
        raise ValueError("a day is in no hour")

    def label(self, bucket: Bucket) -> str:
        """The local start in ISO form: `2026-03-08`, or of an hour `2026-03-08T01:00-05:00`, so that the hour that comes twice has two."""
        if not isinstance(bucket, datetime):
            return bucket.isoformat()
        offset = self._offset_of_hour(bucket)
        return _hour(bucket + offset).strftime("%Y-%m-%dT%H:%M") + _offset_text(offset)

    @cached_property
    def buckets(self) -> tuple[Bucket, ...]:
        """All of the range, in order; the first week and month may begin before it."""
        if self.scale is Scale.HOUR:
            return self._hours
        unit = _UNITS[self.scale]
        found = []
        day = unit_start(unit, self.range.first)
        while day <= self.range.last:
            found.append(day)
            day = units_after(unit, day, 1)
        return tuple(found)

    def range_of(self, bucket: Bucket) -> Range:
        """One period alone, as far as it is in the range."""
        starts = self.buckets
        index = starts.index(bucket)
        start = max(self._moment(bucket), self.range.start)
        end = self._moment(starts[index + 1]) if index + 1 < len(starts) else self.range.end
        zone = zone_of(self.zone)
        last = (end - timedelta(microseconds=1)).astimezone(zone).date()
        return Range(first=start.astimezone(zone).date(), last=last, start=start, end=end)

    def _moment(self, bucket: Bucket) -> datetime:
        """UTC, aware: where a period begins."""
        return bucket.replace(tzinfo=UTC) if isinstance(bucket, datetime) else start_of(bucket, self.zone)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.label(bucket) for bucket in self.buckets)

    @cached_property
    def _hours(self) -> tuple[datetime, ...]:
        ends = [change.since for change in self.offsets[1:]] + [_naive(self.range.end)]
        found = []
        for (since, offset), end in zip(self.offsets, ends, strict=True):
            hour = _hour(since + offset) - offset
            while hour < end:
                found.append(max(hour, since))
                hour += timedelta(hours=1)
        return tuple(found)

    def _offset_of_hour(self, bucket: datetime) -> timedelta:
        return next((offset for since, offset in reversed(self.offsets) if bucket >= since), self.offsets[0].offset)


def _change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The first second of the new offset, where it changes between two moments."""
    old = _offset_at(before, zone)
    seconds = int((after - before).total_seconds())
    found = bisect_left(range(1, seconds), True, key=lambda passed: _offset_at(before + timedelta(seconds=passed), zone) != old)
    return before + timedelta(seconds=found + 1)


def _offset_at(moment: datetime, zone: tzinfo) -> timedelta:
    found = moment.astimezone(zone).utcoffset()
    assert found is not None  # of any zone
    return found


def _naive(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _hour_sql(column: str, offset: timedelta) -> str:
    """SQL: the UTC moment that a column's local hour begins at under an offset."""
    shift = _microseconds(offset)
    return f"make_timestamp(epoch_us(date_trunc('hour', make_timestamp(epoch_us({column}) + {shift}))) - {shift})"


def _microseconds(offset: timedelta) -> int:
    return offset // timedelta(microseconds=1)


def _offset_text(offset: timedelta) -> str:
    minutes = offset // timedelta(minutes=1)
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"
