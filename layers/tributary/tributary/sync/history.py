"""The walk through the past: planned by asking how much there is, walked newest first, resumable after every window.

The plan is the number of rows of each stream by month, by what was created in it: a record is created once, so it does not move while the walk is under way.
What is updated meanwhile, the live poll brings. A month of no more rows than a page is one window; a fuller one is a window a day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final

from tributary.sync import days
from tributary.sync.api import ROWS_A_PAGE, Konnektive
from tributary.sync.state import Asked, Counted, History, Month
from tributary.sync.streams import ENDPOINTS, Stream
from tributary.sync.walk import Window

BY: Final = "dateCreated"
RECHECK_BY: Final = "dateUpdated"


def ask_on(api: Konnektive, stream: Stream, asked: Asked | None, *, first: date, last: date, by: str, enough: Callable[[], bool]) -> Asked:
    """How many rows each month has, newest first, back to where the account's rows are all accounted for, or to where the time for a task was up."""
    left, until = (asked.left, asked.until) if asked is not None else (_total(api, stream, first, last, by), last)
    months = list(asked.months) if asked is not None else []
    while left > 0 and until >= first and not enough():
        since = days.month_of(until, first=first)
        rows = _total(api, stream, since, until, by)
        if rows:
            months.append(Month(first=since, last=until, rows=rows))
        left -= rows
        until = days.before(since)
    return Asked(left=left, until=until, months=months)


def is_asked(asked: Asked, *, first: date) -> bool:
    """Whether the stream's plan is whole."""
    return asked.left <= 0 or asked.until < first


def is_planned(history: History) -> bool:
    """Whether every stream was asked; before that, no window is walked."""
    return all(stream in history.months for stream in history.streams)


def windows(history: History) -> Iterator[Window]:
    """What there is to walk, always in the same order: month by month, newest first, and in each month the streams in theirs."""
    by = RECHECK_BY if history.reason == "recheck" else BY
    plan = {Stream(stream): history.months.get(stream, []) for stream in history.streams}
    lasts = sorted({month.last for months in plan.values() for month in months}, reverse=True)
    for last in lasts:
        for stream, months in plan.items():
            for month in months:
                if month.last == last:
                    yield from _of_month(stream, month, by)


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


def _total(api: Konnektive, stream: Stream, first: date, last: date, by: str) -> int:
    """How many rows a search has; one of them comes along."""
    parameters = {"startDate": days.as_parameter(first), "endDate": days.as_parameter(last), "dateRangeType": by}
    answer = api.page(ENDPOINTS[stream], parameters, per_page=1)
    return answer.total if answer.total is not None else len(answer.rows)
