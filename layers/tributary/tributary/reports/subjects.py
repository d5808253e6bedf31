"""From the things of a report to `conversions`, which credits are worked out of: what they are told apart by, and which of them are asked for.

What has no such dimension (a page has no coupon) is empty of it when grouping, and is not filtered by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from tributary.facts.tables import Kind, Months, Needs
from tributary.reports import dimensions
from tributary.reports.credits import asks_lead_date, asks_touches, own_filters
from tributary.reports.frame import Asking, Measure, months
from tributary.reports.query import Query
from tributary.reports.statement import Step


def conversions(asking: Asking, *, source: str, columns: Sequence[str], at: str, own: Mapping[str, str]) -> Step:
    """SQL: `conversions` of those lines of a step `source x` that pass the filters.

    `columns`: what is kept of a line, `key`, `person` and `happened_at` among it. `at`: the moment until when touches lead to it. `own`: the dimensions that it
    has beside those of touches and contacts, as SQL."""
    query = asking.query
    chosen = [dimensions.fits(expression, one, asking.values) for one in own_filters(query) if (expression := _told(asking, own, one.dimension)) is not None]
    apart = {*dimensions.TOUCH, dimensions.TAG} | ({dimensions.PRODUCT} - own.keys())
    groups = [f"{_told(asking, own, name) or 'CAST(NULL AS VARCHAR)'} AS own_{index}" for index, name in enumerate(query.group_by) if name not in apart]
    lead = ["p.lead_at"] if asks_lead_date(query) else []
    join = " LEFT JOIN contacts p ON p.person = x.person" if _asks_contacts(query) else ""
    select = ", ".join([*columns, f"{at} AS path_at", "x.person AS path_person", *lead, *groups])
    return "conversions", f"SELECT {select} FROM {source} x{join} WHERE {' AND '.join(chosen) or 'true'}"


def needs_of(query: Query, happened: Months) -> Needs:
    """What dimensions and credits need beside the things themselves, which happened in these months."""
    found: dict[Kind, Months] = {}
    if any(name == dimensions.TAG for name in _names(query)):
        found[Kind.TAGS] = Months()
    if _asks_contacts(query):
        found[Kind.CONTACTS] = Months()
    if asks_touches(query):
        known_since = happened.first is not None and query.lookback_days is not None
        first = months_before(happened.first or "", (query.lookback_days or 0) // 28 + 1) if known_since else None
        found[Kind.TOUCHES] = Months(first, happened.last)
    return found


def months_before(month: str, count: int) -> str:
    """The month so many before one, as `2026-03`."""
    year, number = divmod(int(month[:4]) * 12 + int(month[5:7]) - 1 - count, 12)
    return f"{year:04}-{number + 1:02}"


def until_now(query: Query) -> Months:
    """The months from the beginning of the range until now."""
    return months(query.range.start, query.now)


def once(measures: Mapping[str, Measure], *, overlapping: bool, money: Set[str] = frozenset()) -> dict[str, Measure]:
    """Measures whose totals count each thing once, where lines of several rows tell of it (`credits.Credits.once`). `money`: those that are amounts."""
    if not overlapping:
        return dict(measures)
    return {
        name: measure
        if measure.how != "sum"
        else replace(
            measure,
            of_total=f"CASE WHEN {'money' if name in money else 'count'}_once THEN {measure.value if measure.of_total is None else measure.of_total} END",
        )
        for name, measure in measures.items()
    }


def _names(query: Query) -> tuple[str, ...]:
    return (*query.group_by, *(one.dimension for one in query.filters))


def _asks_contacts(query: Query) -> bool:
    return asks_lead_date(query) or any(dimensions.is_of_contact(name) and name != dimensions.TAG for name in _names(query))


def _told(asking: Asking, own: Mapping[str, str], name: str) -> str | None:
    return own[name] if name in own else dimensions.of_contact(name, asking.values) if dimensions.is_of_contact(name) else None
