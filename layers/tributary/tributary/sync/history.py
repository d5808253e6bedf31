"""The walk through the past: planned by asking how much there is, walked newest first, resumable after every window.

The plan is the number of rows of each stream by month, by what was created in it: a record is created once, so it does not move while the walk is under way.
What is updated meanwhile, the live poll brings. A month of no more rows than a page is one window; a fuller one is a window a day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final

import msgspec

from tributary.errors import VendorUnavailable
from tributary.sync import days
from tributary.sync.api import LONGEST_COUNT_SECONDS, ROWS_A_PAGE, Konnektive
from tributary.sync.state import Asked, Counted, History, Month
from tributary.sync.streams import ENDPOINTS, Stream
from tributary.sync.walk import Window

BY: Final = "dateCreated"
RECHECK_BY: Final = "dateUpdated"


def ask_on(api: Konnektive, stream: Stream, asked: Asked | None, *, first: date, last: date, by: str, enough: Callable[[], bool]) -> Asked:
    """How many rows each month has, newest first, back to where no row is left, or to where the time for a task was up.

    What is left is asked for as a whole, again whenever the months have accounted for it: what was created meanwhile must not hide what is old. An account
    that is too slow to count everything is asked by years. A plan that ends with rows in no month is made once more."""
    asked = asked or Asked(left=0, until=last)
    left, until, missing = asked.left, asked.until, asked.missing
    months = list(asked.months)
    while until >= first and not enough():
        if left > 0:
            since = days.month_of(until, first=first)
            rows = _total(api, stream, since, until, by)
            if rows:
                months.append(Month(first=since, last=until, rows=rows))
            left -= rows
            until = days.before(since)
            if left > 0 and (until < first or (asked.by_years and until.year < since.year)):
                left, missing = 0, missing + left
            continue
        since = days.year_of(until, first=first) if asked.by_years else first
        rest = _rest(api, stream, since, until, by, insist=asked.by_years)
        if rest is None:
            return msgspec.structs.replace(asked, by_years=True, left=0, until=until, missing=missing, months=months)
        # Where no months vouch for it, nothing at all is believed when it is said twice: it would be a history that is complete and empty.
        left = rest if rest or (until < last and not asked.by_years) else _total(api, stream, since, until, by)
        if left == 0:
            until = days.before(since)
    if until < first and missing > 0 and not asked.again:
        return Asked(left=0, until=last, by_years=asked.by_years, again=True)
    return msgspec.structs.replace(asked, left=left, until=until, missing=missing, months=months)


def is_asked(asked: Asked, *, first: date) -> bool:
    """Whether the stream's plan is whole, or as whole as it gets: `missing` says."""
    return asked.until < first


def is_planned(history: History) -> bool:
    """Whether every stream was asked; before that, no window is walked."""
    return all(stream in history.months for stream in history.streams)


def windows(history: History) -> Iterator[Window]:
    """What there is to walk, always in the same order: month by month, newest first, and in each month the streams in theirs; then what failed, once more."""
    by = RECHECK_BY if history.reason == "recheck" else BY
    plan = {Stream(stream): history.months.get(stream, []) for stream in history.streams}
    lasts = sorted({month.last for months in plan.values() for month in months}, reverse=True)
    for last in lasts:
        for stream, months in plan.items():
            for month in months:
                if month.last == last:
                    yield from _of_month(stream, month, by)
    for text in history.again or ():
        window = Window.of(text, by)
        if window is not None:
            yield window


def left_unread(before: History | None, *, reason: str, first: date | None) -> list[str]:
    """What the walks up to now could not read, and one that begins on `first` does not read either: it is named until one does."""
    if before is None:
        return []
    same = before.reason == reason or reason != "recheck"
    kept = [text for text in before.failed if not (same and _reaches(text, first))]
    kept += [text for text in before.unread if reason == "recheck" or not _reaches(text, first)]
    return list(dict.fromkeys(kept))


def _reaches(text: str, first: date | None) -> bool:
    """Whether a walk from that day on reads the window anew."""
    window = Window.of(text, BY)
    return first is None or (window is not None and window.first >= first)


def counted_of(months: Mapping[str, Sequence[Month]]) -> dict[str, Counted]:
    """What there is to do, by stream."""
    return {
        stream: Counted(all_days=sum((month.last - month.first).days + 1 for month in of_stream), all_rows=sum(month.rows for month in of_stream))
        for stream, of_stream in months.items()
    }


def _of_month(stream: Stream, month: Month, by: str) -> Iterator[Window]:
    if month.rows <= ROWS_A_PAGE:
        yield Window(stream, month.first, month.last, by)
        return
    for day in reversed(list(days.between(month.first, month.last))):
        yield Window(stream, day, day, by)


def _rest(api: Konnektive, stream: Stream, first: date, last: date, by: str, *, insist: bool) -> int | None:
    """A count over years. None: it failed twice, and fewer years may be counted in time."""
    for _ in range(2):
        try:
            return _total(api, stream, first, last, by)
        except VendorUnavailable as error:
            if insist or error.retry_after is not None:
                raise
    return None


def _total(api: Konnektive, stream: Stream, first: date, last: date, by: str) -> int:
    """How many rows a search has; one of them comes along."""
    parameters = {"startDate": days.as_parameter(first), "endDate": days.as_parameter(last), "dateRangeType": by}
    answer = api.page(ENDPOINTS[stream], parameters, per_page=1, timeout=LONGEST_COUNT_SECONDS)
    if answer.total is None and answer.rows:
        raise VendorUnavailable(f"Konnektive answered {ENDPOINTS[stream]} without a count")
    return answer.total or 0
