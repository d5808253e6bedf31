"""From the things of a report to `conversions`, which credits are worked out of: what they are told apart by, and which of them are asked for.

What has no such dimension (a page has no coupon) is empty of it when grouping, and is not filtered by it. People have what the order says that they bought
first: that is written here once for all reports that count people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from tributary.facts.tables import Kind, Months, Needs
from tributary.reports import dimensions, models
from tributary.reports.conversions import asks_contacts
from tributary.reports.credits import Conversions, Credits, asks_lead_date, asks_touches, credited
from tributary.reports.frame import Asking, Measure, months
from tributary.reports.periods import timestamp
from tributary.reports.query import Query
from tributary.reports.statement import Step


def conversions(
    asking: Asking,
    *,
    source: str,
    columns: Sequence[str],
    at: str,
    own: Mapping[str, str],
    lists: Mapping[str, str] | None = None,
    joins: Sequence[str] = (),
    lead_at: str = "",
    tagged_at: str = "",
) -> tuple[Step, ...]:
    """SQL: `conversions` of those lines of a step `source x` that pass the filters.

    `columns`: what is kept of a line, `key`, `person` and `happened_at` among it. `at`: the moment until when touches lead to it, and whose tags count. `own`:
    the dimensions that it has beside those of touches and contacts, as SQL; `lists`: those of which it has several, lists that are kept under the dimension's
    name; `joins`: what these read. `lead_at`: when its person became a lead, where the line says so. `tagged_at`:
    the moment whose tags count, where that is another."""
    query = asking.query
    steps: list[Step] = []
    several = dict(lists or {})
    joined = [*joins]
    if any(dimensions.is_of_contact(name) for name in dimensions.named_by(query)) or (asks_lead_date(query) and not lead_at):
        joined.append("LEFT JOIN contacts p ON p.person = x.person")
    if dimensions.TAG in dimensions.named_by(query) - own.keys():
        then = tagged_at or at
        tags = f"[one.tag FOR one IN g.tags IF one.applied_at <= {then} AND (one.removed_at IS NULL OR one.removed_at > {then})]"
        several[dimensions.TAG] = f"coalesce(list_sort(list_distinct({tags})), [])"
        steps.append(("tags_of", "SELECT person, flatten(list(tags)) AS tags FROM tags GROUP BY person"))
        joined.append("LEFT JOIN tags_of g ON g.person = x.person")
    chosen = []
    for one in query.filters:
        if one.dimension in several:
            chosen.append(dimensions.any_fits(several[one.dimension], one, asking.values))
        elif (told := _told(asking, own, one.dimension)) is not None:
            chosen.append(dimensions.fits(told, one, asking.values))
    apart = {*dimensions.TOUCH, dimensions.TAG, dimensions.PRODUCT} - own.keys()
    groups = [f"{_told(asking, own, name) or 'CAST(NULL AS VARCHAR)'} AS own_{index}" for index, name in enumerate(query.group_by) if name not in apart]
    groups += [f"{sql} AS {LISTED[name]}" for name, sql in several.items() if name in query.group_by]
    lead = [f"{lead_at or 'p.lead_at'} AS lead_at"] if asks_lead_date(query) else []
    select = ", ".join([*columns, f"{at} AS path_at", *lead, *groups])
    return *steps, ("conversions", f"SELECT {select} FROM {source} x {' '.join(joined)} WHERE {' AND '.join(chosen) or 'true'}")


LISTED: Final = {dimensions.TAG: "tags", dimensions.PRODUCT: "products"}
"""Dimensions of which one thing has several values → the column that lists them."""


def told_apart(source: str, lists: Sequence[str]) -> str:
    """SQL: a line for each value of a column of lists, in its place, with `<column>_once`: whether it is the first; one of none for an empty list."""
    for name in lists:
        several = f"CASE WHEN len({name}) = 0 THEN [NULL] ELSE {name} END"
        source = f"(SELECT * EXCLUDE ({name}), unnest({several}) AS {name}, generate_subscripts({several}, 1) = 1 AS {name}_once FROM {source})"
    return source


# What the order says that somebody bought first


OF_FIRST_ORDER: Final = frozenset({"konnektive_campaign", "order_type", "coupon", dimensions.PRODUCT})
"""Dimensions of the order; of a person they are those of the first one. Beside them `customer_type`, which is of the time before."""


@dataclass(frozen=True)
class FirstOrders:
    """What people are told apart by who have bought: a step, and what it says of the line `x` of a person, or of nobody's order."""

    steps: tuple[Step, ...]
    joins: tuple[str, ...]
    own: Mapping[str, str]
    lists: Mapping[str, str]


def first_orders(asking: Asking, *, of: str, at: str, since: str = "", more: Set[str] = frozenset()) -> FirstOrders:
    """`of`: the step whose `person`s are asked about. `at`: the moment of a line of `x`: who had bought before it was a customer already. `since`: a column
    of `of`, which then has one line a person: the first order since then, not the first ever. `more`: further dimensions of the order that are its own."""
    query = asking.query
    named = sorted(dimensions.named_by(query) & (OF_FIRST_ORDER | more))
    asks_type = dimensions.CUSTOMER_TYPE in dimensions.named_by(query)
    if not named and not asks_type:
        return FirstOrders((), (), {}, {})
    products = f"list_distinct([coalesce({dimensions.PRODUCT_OF_ITEM}, '') FOR item IN o.items])"
    columns = ", ".join(f"{name} := {products if name == dimensions.PRODUCT else dimensions.ORDER[name]}" for name in named) or "is_one := true"
    whose = f"FROM orders o JOIN {of} a ON a.person = o.person" if since else f"FROM orders o WHERE o.person IN (SELECT person FROM {of})"
    later = f" FILTER (WHERE o.sold_at >= a.{since})" if since else ""
    step = f"""SELECT o.person, arg_min(struct_pack({columns}), row(o.sold_at, o.key)){later} AS bought, min(o.sold_at) AS sold_at
{whose} AND o.sold_at <= {timestamp(query.now)} GROUP BY o.person"""
    own = {name: f"f.bought.{name}" for name in named if name != dimensions.PRODUCT}
    if asks_type:
        own[dimensions.CUSTOMER_TYPE] = f"CASE WHEN f.sold_at < {at} THEN 'returning' ELSE 'new' END"
    lists = {dimensions.PRODUCT: "coalesce(f.bought.product, [])"} if dimensions.PRODUCT in named else {}
    return FirstOrders((("first_orders", step),), ("LEFT JOIN first_orders f ON f.person = x.person",), own, lists)


def credited_by_person(asking: Asking, conversions: Conversions) -> Credits:
    """Credits of people, who stand whole in the row of each product that they bought first (`products` in `conversions`): their money is not divided by it."""
    if dimensions.PRODUCT not in asking.query.group_by:
        return credited(asking, conversions)
    column = LISTED[dimensions.PRODUCT]
    credits = credited(asking, replace(conversions, others=(*conversions.others, column)))
    group = f"g{asking.query.group_by.index(dimensions.PRODUCT)}"
    flags = ("money_once", "count_once")
    columns = [f"* EXCLUDE ({', '.join([column, f'{column}_once', group, *(flags if credits.once else ())])})", f"nullif({column}, '') AS {group}"]
    columns += [f"{f'{flag} AND ' if credits.once else ''}{column}_once AS {flag}" for flag in flags]
    by_product: Step = ("by_product", f"SELECT {', '.join(columns)} FROM {told_apart(credits.steps[-1][0], [column])}")
    return Credits((*credits.steps, by_product), overlapping=True, once=True)


def needs_of_first_orders(query: Query, more: Set[str] = frozenset()) -> Needs:
    asked = dimensions.named_by(query) & {*OF_FIRST_ORDER, dimensions.CUSTOMER_TYPE, *more}
    return {Kind.ORDERS: months(None, query.now)} if asked else {}


# What came before


def touched_by(query: Query, names: Set[str]) -> Step:
    """SQL: `touched_by`: each touch with how long what its person does is due to it: until the next one, and no longer than the lookback. `names`:
    dimensions."""
    columns = "".join(f", {dimensions.TOUCH[name]} AS {name}" for name in sorted(names))
    until = "lead(t.happened_at, 1, TIMESTAMP 'infinity') OVER (PARTITION BY t.person ORDER BY t.happened_at, t.connection, t.key)"
    bounds = [models.NO_MACHINE, f"t.happened_at <= {timestamp(query.now)}"]
    if query.lookback_days is not None:
        until = f"least({until}, t.happened_at + to_hours({24 * query.lookback_days}) + INTERVAL 1 MICROSECOND)"
        bounds.append(f"t.happened_at >= {timestamp(query.range.start - timedelta(days=query.lookback_days))}")
    return "touched_by", f"SELECT t.person, t.happened_at AS since, {until} AS until{columns} FROM touches t WHERE {' AND '.join(bounds)}"


TOUCHED_BY: Final = "LEFT JOIN touched_by t ON t.person = x.person AND t.since <= x.happened_at AND x.happened_at < t.until"
"""Of a line `x` the touch before it, or at the same moment; one at most."""


def months_of_touches(query: Query, happened: Months) -> Months:
    """Those that can have led to what happened in these months; where they have a first one, since the range began."""
    any_time = happened.first is None or query.lookback_days is None
    since = None if any_time else query.range.start - timedelta(days=query.lookback_days or 0)
    return Months(months(since, None).first, happened.last)


def needs_of(query: Query, happened: Months) -> Needs:
    """What dimensions and credits need beside the things themselves, which happened in these months; those that have a first one, since the range began."""
    found: dict[Kind, Months] = {}
    if dimensions.TAG in dimensions.named_by(query):
        found[Kind.TAGS] = Months()
    if asks_contacts(query):
        found[Kind.CONTACTS] = Months()
    if asks_touches(query):
        found[Kind.TOUCHES] = months_of_touches(query, happened)
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
