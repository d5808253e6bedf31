"""From the things of a report to `conversions`, which credits are worked out of: what they are told apart by, and which of them are asked for.

What has no such dimension (a page has no coupon) is empty of it when grouping, and is not filtered by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import timedelta

from tributary.facts.tables import Kind, Months, Needs
from tributary.reports import dimensions
from tributary.reports.conversions import asks_contacts
from tributary.reports.credits import asks_lead_date, asks_touches
from tributary.reports.frame import Asking, Measure, months
from tributary.reports.periods import timestamp
from tributary.reports.query import Query
from tributary.reports.statement import Step


def conversions(
    asking: Asking, *, source: str, columns: Sequence[str], at: str, own: Mapping[str, str], lead_at: str = "", tagged_at: str = ""
) -> tuple[Step, ...]:
    """SQL: `conversions` of those lines of a step `source x` that pass the filters.

    `columns`: what is kept of a line, `key`, `person` and `happened_at` among it. `at`: the moment until when touches lead to it, and whose tags count. `own`:
    the dimensions that it has beside those of touches and contacts, as SQL. `lead_at`: when its person became a lead, where the line says so. `tagged_at`: the
    moment whose tags count, where that is another."""
    query = asking.query
    steps: list[Step] = []
    asks_contacts = any(dimensions.is_of_contact(name) for name in dimensions.named_by(query))
    joins = ["LEFT JOIN contacts p ON p.person = x.person"] if asks_contacts or (asks_lead_date(query) and not lead_at) else []
    then = tagged_at or at
    tags = f"[one.tag FOR one IN g.tags IF one.applied_at <= {then} AND (one.removed_at IS NULL OR one.removed_at > {then})]"
    tags = f"coalesce(list_sort(list_distinct({tags})), [])"
    if dimensions.TAG in dimensions.named_by(query) - own.keys():
        steps.append(("tags_of", "SELECT person, flatten(list(tags)) AS tags FROM tags GROUP BY person"))
        joins.append("LEFT JOIN tags_of g ON g.person = x.person")
    chosen = []
    for one in query.filters:
        if (told := _told(asking, own, one.dimension)) is not None:
            chosen.append(dimensions.fits(told, one, asking.values))
        elif one.dimension == dimensions.TAG:
            chosen.append(dimensions.any_fits(tags, one, asking.values))
    apart = {*dimensions.TOUCH, dimensions.TAG, dimensions.PRODUCT} - own.keys()
    groups = [f"{_told(asking, own, name) or 'CAST(NULL AS VARCHAR)'} AS own_{index}" for index, name in enumerate(query.group_by) if name not in apart]
    groups += [f"{tags} AS tags"] if dimensions.TAG in query.group_by and dimensions.TAG not in own else []
    lead = [f"{lead_at or 'p.lead_at'} AS lead_at"] if asks_lead_date(query) else []
    select = ", ".join([*columns, f"{at} AS path_at", *lead, *groups])
    return *steps, ("conversions", f"SELECT {select} FROM {source} x {' '.join(joins)} WHERE {' AND '.join(chosen) or 'true'}")


def needs_of(query: Query, happened: Months) -> Needs:
    """What dimensions and credits need beside the things themselves, which happened in these months; those that have a first one, since the range began."""
    found: dict[Kind, Months] = {}
    if dimensions.TAG in dimensions.named_by(query):
        found[Kind.TAGS] = Months()
    if asks_contacts(query):
        found[Kind.CONTACTS] = Months()
    if asks_touches(query):
        any_time = happened.first is None or query.lookback_days is None
        since = None if any_time else query.range.start - timedelta(days=query.lookback_days or 0)
        found[Kind.TOUCHES] = Months(months(since, None).first, happened.last)
    return found


def within(query: Query, moment: str) -> str:
    """SQL: whether the moment is in the range, and not to come."""
    return f"{moment} >= {timestamp(query.range.start)} AND {moment} < {timestamp(query.range.end)} AND {moment} <= {timestamp(query.now)}"


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


def _told(asking: Asking, own: Mapping[str, str], name: str) -> str | None:
    return own[name] if name in own else dimensions.of_contact(name, asking.values) if dimensions.is_of_contact(name) else None
