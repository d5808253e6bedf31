"""Journeys: the ways that people took before they bought, and one person's way, from touch to touch and order to order.

Without a contact, a row is a path: what the touches before an order were told by (their channel, unless another is asked for), in their order, one that
repeats itself told once. With a contact, a row is one thing that they did, in the order of time, and what touches get of the credit for orders by the
model asked for.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from tributary.facts.tables import Kind, Months, Needs
from tributary.ports import Relations
from tributary.reports import conversions, dimensions, models
from tributary.reports.answer import Ledger, LedgerLine, Report, Row, Total, Value
from tributary.reports.attributed import Orders
from tributary.reports.conversions import OrdersAsked
from tributary.reports.credits import Conversions, credited
from tributary.reports.frame import Asking, Detail, Measure, RowUnknown, Table, adding_up, months, together
from tributary.reports.kpis import Kpi, named, signed
from tributary.reports.periods import timestamp
from tributary.reports.query import DateMode, Query, ReportType
from tributary.reports.ranges import zone_of
from tributary.reports.sales import NET, sales
from tributary.reports.statement import Step, Values, statement
from tributary.reports.subjects import once

PATH: Final = "path"
"""The dimension that tells the rows of paths apart."""
MAX_STEPS: Final = 10
"""Of a path: of a longer one the last, after an ellipsis."""
_BETWEEN: Final = " > "
_PLACE_BITS: Final = 32
_DAY_US: Final = 86_400_000_000.0

PATH_KPIS: Final[Mapping[str, Kpi]] = named(
    Kpi(
        key="orders",
        name="Orders",
        unit="count",
        over=("orders",),
        definition="Orders sold in the range that this path led to; later bills of subscriptions are none.",
    ),
    Kpi(key="customers", name="Customers", unit="count", over=("customers",), adds_up=False, definition="Distinct people with such an order."),
    Kpi(key="revenue", name="Revenue", unit="money", over=("revenue",), definition=f"Of these orders: {NET}."),
    Kpi(key="aov", name="Average order value", unit="money", over=("revenue",), under=("orders",), definition="Revenue / orders."),
    Kpi(
        key="touches",
        name="Touches",
        unit="number",
        over=("touches",),
        under=("orders",),
        definition="Mean of the touches before an order, inside the lookback.",
    ),
    Kpi(
        key="days",
        name="Days",
        unit="days",
        over=("days",),
        under=("touched_orders",),
        definition="Mean of the days from the first touch inside the lookback to the order, of orders with a touch.",
    ),
)
PERSON_KPIS: Final[Mapping[str, Kpi]] = named(
    Kpi(key="revenue", name="Revenue", unit="money", over=("revenue",), definition=f"Of an order that was sold: {NET}."),
    Kpi(
        key="credit",
        name="Credited orders",
        unit="number",
        over=("credit",),
        definition="Of the orders sold in the range, how much is credited to the touch by the model. An order without a touch is credited to none.",
    ),
    Kpi(
        key="credited_revenue",
        name="Credited revenue",
        unit="money",
        over=("credited_revenue",),
        definition="Of the revenue of the orders sold in the range, how much is credited to the touch by the model.",
    ),
)

_MEASURES: Final[Mapping[str, Measure]] = {
    "orders": Measure(value="weight"),
    "touched_orders": Measure(value="CASE WHEN touched THEN weight ELSE 0 END"),
    "customers": Measure(value="counted", how="people"),
    "revenue": Measure(value="net_revenue"),
    "touches": Measure(value="weight * touch_count"),
    "days": Measure(value="weight * days"),
}
_OF_MONEY: Final = {"revenue"}


@dataclass(frozen=True)
class PathLeg:
    """Orders that somebody placed, by the path that led to them."""

    told_by: tuple[str, ...] = ("channel",)
    """The dimensions of touches that a path is made of."""
    measures: Set[str] = frozenset(_MEASURES)
    coverage: tuple[str, str] | None = ("touched_orders", "orders")

    def needs(self, query: Query, measures: Set[str]) -> Needs:  # noqa: ARG002
        orders = conversions.needs_of_orders(_of_orders(query), first_sales=dimensions.CUSTOMER_TYPE in dimensions.named_by(query))
        touches = msgspec.structs.replace(query, group_by=self.told_by)
        return together([orders, conversions.needs_of_credits(touches, any_time=False)])

    def detail(self, asking: Asking, measures: Set[str]) -> Detail:
        plain = replace(asking, query=_of_orders(asking.query), attributed=False)
        sold = conversions.sales(plain, OrdersAsked(money=("net_revenue",)))
        # What no touch tells: which products and tags an order belongs to, and how much of it.
        parts = credited(plain, Conversions(kind="order", money=("net_revenue",), has_items=True, by_currency=sold.by_currency))
        steps: list[Step] = [("orders", "SELECT * FROM orders WHERE NOT rebill"), *sold.steps, *parts.steps]
        steps += [*_paths(asking, self.told_by, by_currency=sold.by_currency), ("path_lines", _path_lines(asking))]
        asked = {name: measure for name, measure in _MEASURES.items() if name in measures}
        money = once({name: measure for name, measure in asked.items() if name in _OF_MONEY}, overlapping=parts.once and not parts.divided, money=_OF_MONEY)
        return Detail(tuple(steps), once(asked, overlapping=parts.once) | money, parts.overlapping)


def _of_orders(query: Query) -> Query:
    """What decides which orders there are, and what tells their rows apart: all but the path."""
    filters = tuple(one for one in query.filters if one.dimension not in dimensions.TOUCH)
    return msgspec.structs.replace(query, group_by=query.group_by[1:], filters=filters)


def _paths(asking: Asking, path_by: Sequence[str], *, by_currency: bool) -> list[Step]:
    """SQL: `paths`, of each conversion with touches: its path, how many they are and the days since the first. Of filters on touches, one that fits makes the
    path fit. A million texts are slow to put in order: what touches are told by is numbered in the order of names, and a touch is one number, its moment before
    the number of its name."""
    query = asking.query
    names = ", ".join(f"coalesce({dimensions.TOUCH[name]}, '-')" for name in path_by)
    told = f"concat_ws(' / ', {names})" if len(path_by) > 1 else names
    on = ["t.person = c.person", "t.happened_at <= c.path_at"]
    came = [models.NO_MACHINE, f"t.happened_at < {timestamp(query.range.end)}"]
    if query.lookback_days is not None:
        on.append(f"t.happened_at >= c.path_at - to_hours({query.lookback_days * 24})")
        came.append(f"t.happened_at >= {timestamp(query.range.start - timedelta(days=query.lookback_days))}")
    filters = [dimensions.fits(dimensions.TOUCH[one.dimension], one, asking.values) for one in query.filters if one.dimension in dimensions.TOUCH]
    fits = "".join(f", {one} AS fits_{index}" for index, one in enumerate(filters))
    fitting = " AND ".join(f"bool_or(t.fits_{index})" for index in range(len(filters))) or "true"
    conversions = "(SELECT * FROM conversions WHERE counted)" if by_currency else "conversions"
    place = f"((epoch_us(t.happened_at)::HUGEINT << {_PLACE_BITS}) + l.place)"
    return [
        ("came", f"SELECT t.person, t.happened_at, {told} AS label{fits} FROM touches t WHERE {' AND '.join(came)}"),
        ("labels", "SELECT label, row_number() OVER (ORDER BY label) AS place FROM (SELECT DISTINCT label FROM came)"),
        ("names", "SELECT list(label ORDER BY place) AS names FROM labels"),
        (
            "ways",
            f"""SELECT c.key, max(c.path_at) AS path_at, list_sort(list({place})) AS way
FROM {conversions} c JOIN came t ON {" AND ".join(on)} JOIN labels l ON l.label = t.label GROUP BY c.key HAVING {fitting}""",
        ),
        (
            "steps",
            f"""SELECT key, len(way) AS touch_count, (epoch_us(path_at) - (way[1] >> {_PLACE_BITS})::BIGINT) / {_DAY_US} AS days,
    list_transform(way, lambda one: (one & {2**_PLACE_BITS - 1})::BIGINT) AS places FROM ways""",
        ),
        (
            "paths",
            f"""SELECT key, touch_count, days, CASE WHEN len(steps) > {MAX_STEPS} THEN '… > ' ELSE '' END
    || array_to_string(list_transform(steps[-{MAX_STEPS}:], lambda place: names[place]), '{_BETWEEN}') AS path
FROM (SELECT key, touch_count, days, list_filter(places, lambda one, i: i = 1 OR one <> places[i - 1]) AS steps FROM steps), names""",
        ),
    ]


def _path_lines(asking: Asking) -> str:
    query = asking.query
    groups = [f"d.g{index}" for index in range(len(query.group_by) - 1)]
    told = ["s.path AS g0", *(f"{group} AS g{index}" for index, group in enumerate(groups, start=1))]
    excluded = f" EXCLUDE ({', '.join(group.removeprefix('d.') for group in groups)})" if groups else ""
    of_path = ["coalesce(s.touch_count, 0) AS touch_count", "coalesce(s.days, 0) AS days", "s.key IS NOT NULL AS touched"]
    join = "JOIN" if any(one.dimension in dimensions.TOUCH for one in query.filters) else "LEFT JOIN"
    return f"SELECT d.*{excluded}, {', '.join([*told, *of_path])} FROM detail d {join} paths s ON s.key = d.key"


@dataclass(frozen=True, kw_only=True)
class JourneyTable(Table):
    """Paths, or one person's way."""

    first_only: bool = False
    """Whether rows that are not shown may be left out: nearly every order of a large shop has a path of its own."""

    def kpis(self, query: Query | None = None) -> Mapping[str, Kpi]:
        return PATH_KPIS if query is None or query.person is None else PERSON_KPIS

    def needs(self, query: Query) -> Needs:
        return Table.needs(self._of(query), _by_path(query)) if query.person is None else _needs_of_way(query)

    def answer(self, query: Query, relations: Relations) -> Report:
        if query.person is None:
            return Table.answer(self._of(query), _by_path(query), relations)
        items = _way(query, relations)
        kpis = [PERSON_KPIS[key] for key in query.kpis]
        shown = items[: query.limit]
        currencies = sorted({item.currency for item in items} | {query.currency}, key=lambda code: (code != query.currency, code))
        return Report(
            columns=tuple(kpi.column for kpi in kpis),
            rows=tuple(
                Row(dimensions=item.told, values={kpi.key: item.values.get(kpi.key) for kpi in kpis}, currency=item.currency, key=item.key) for item in shown
            ),
            rows_found=len(items),
            totals=tuple(Total(values={kpi.key: _sum(items, kpi.key, code) for kpi in kpis}, currency=code) for code in currencies),
            overlapping=query.model in models.OVERLAPPING,
        )

    def ledger(self, query: Query, relations: Relations, *, row_key: str | None, kpi: str, limit: int, offset: int) -> Ledger:
        if query.person is None:
            return Table.ledger(self._of(query), _by_path(query), relations, row_key=row_key, kpi=kpi, limit=limit, offset=offset)
        items = [item for item in _way(query, relations) if row_key is None or item.key == row_key]
        if row_key is not None and not items:
            raise RowUnknown("the key is not one of a thing that this person did")
        currency = query.currency if row_key is None else items[0].currency
        lines = [item.line(query.person, kpi) for item in items if item.currency == currency and item.values.get(kpi)]
        total = _sum(items, kpi, currency)
        return Ledger(kpi=PERSON_KPIS[kpi].column, total=total, adds_up_to=total, lines=tuple(lines[offset : offset + limit]), lines_found=len(lines))

    def _of(self, query: Query) -> JourneyTable:
        told_by = tuple(name for name in query.group_by if name in dimensions.TOUCH)
        first_only = query.compare is None and query.scale is None and not query.having
        return replace(self, legs=(PathLeg(told_by=told_by),) if told_by else self.legs, first_only=first_only)

    def _added_up(self, asking: Asking, detail: Detail, by: Sequence[str]) -> tuple[list[tuple[Any, ...]], int]:
        if not self.first_only:
            return super()._added_up(asking, detail, by)
        found = asking.rows(_foremost(asking, detail, by))
        return [tuple(added) for _, *added in found], (found[0][0] - len(found) if found else 0)

    def _is_attributed(self, query: Query) -> bool:
        return PATH in query.group_by


def _by_path(query: Query) -> Query:
    """Rows by the path, which dimensions of touches are parts of, and all others."""
    rest = (name for name in query.group_by if name not in dimensions.TOUCH)
    sort = PATH if query.sort in dimensions.TOUCH else query.sort
    return msgspec.structs.replace(query, group_by=(PATH, *rest), sort=sort, date_mode=DateMode.CONVERSION_DATE)


_SPARE: Final = 1_000
"""Rows that are read beside those that are shown: the totals, one a currency, and what stands at the limit."""


def _foremost(asking: Asking, detail: Detail, by: Sequence[str]) -> str:
    """A statement of how many lines `adding_up` has, and of them the totals and the rows that come first as `frame` sorts them."""
    query = asking.query
    measures = {name: f"m{index}" for index, name in enumerate(detail.measures)}
    columns = ["is_total", "currency", *by, *measures.values(), *(f"{name}_of_total" for name in measures.values())]
    order: list[str] = []
    key = query.kpis[0] if query.sort is None and query.kpis else query.sort
    way = "DESC" if query.descending or query.sort is None else "ASC"
    if key is not None and key in PATH_KPIS:
        order.append(f"{_worth(PATH_KPIS[key], measures)} {way} NULLS LAST")
    elif key is not None and key in query.group_by:
        order.append(f"g{query.group_by.index(key)} {way} NULLS LAST")
    order += [f"{name} NULLS LAST" for name in by if name != "touched"]  # untouched is what has no path
    ours = f"currency <> {asking.values.add(query.currency)}"
    return (
        f"SELECT count(*) OVER (), * FROM (\n{adding_up(detail, by)}\n) AS added({', '.join(columns)}) "
        f"ORDER BY is_total DESC, {ours}, currency, {', '.join(order)} LIMIT {query.limit + _SPARE}"
    )


def _worth(kpi: Kpi, measures: Mapping[str, str]) -> str:
    """SQL: what a KPI comes to, of its measures' columns."""

    def added(terms: tuple[str, ...]) -> str:
        return " + ".join(f"{sign} * coalesce({measures[name]}, 0)" for name, sign in signed(terms))

    return f"round({kpi.times}.0 * ({added(kpi.over)}) / nullif({added(kpi.under)}, 0), 6)" if kpi.under else added(kpi.over)


# One person's way


@dataclass(frozen=True)
class Item:
    """One thing that a person did, or that became of it."""

    key: str
    happened_at: datetime
    kind: str
    id: str | None
    connection: str | None
    told: dict[str, str | None]
    currency: str
    values: dict[str, Value]

    def line(self, person: str, kpi: str) -> LedgerLine:
        return LedgerLine(
            person=person,
            kind=self.kind,
            id=self.id,
            connection=self.connection,
            happened_at=self.happened_at,
            currency=self.currency,
            value=self.values.get(kpi),
            dimensions=self.told,
        )


_TOLD: Final = ("happened_at", "kind", "what", "connection", "channel", "source", "medium", "campaign", "email_campaign", "email_flow")
"""The dimensions of a row. `what`: the page that a touch came to, an event's name or page, an order's number and state, a subscription's, a tag's name."""


def _needs_of_way(query: Query) -> Needs:
    within = months(query.range.start, min(query.range.end, query.now))
    shown = {Kind.TOUCHES: within, Kind.ACTIVITIES: within, Kind.ORDERS: within}
    whole = dict.fromkeys((Kind.SUBSCRIPTIONS, Kind.CONTACTS, Kind.TAGS, Kind.RATES), Months())
    return together([shown, whole, Orders().needs(_credited(query), frozenset({"orders", "net_revenue"}))])


def _credited(query: Query) -> Query:
    """The orders of the range, told apart by the single touch."""
    return msgspec.structs.replace(
        query, type=ReportType.ORDERS, group_by=(_TOUCH_KEY,), filters=(), scale=None, date_mode=DateMode.CONVERSION_DATE, person=None
    )


_TOUCH_KEY: Final = "ad"
"""Which dimension of touches is made to stand for the single touch, where one person's are the only ones read."""


def _of_person(person: str, values: Values) -> list[Step]:
    """SQL: the facts of one person, in place of all."""
    is_theirs = f"person = CAST({values.add(person)} AS UUID)"
    return [
        ("touches", f"SELECT * REPLACE (CAST(key AS VARCHAR) AS ad_id) FROM touches WHERE {is_theirs}"),
        *((str(kind), f"SELECT * FROM {kind} WHERE {is_theirs}") for kind in (Kind.ORDERS, Kind.ACTIVITIES, Kind.CONTACTS, Kind.TAGS, Kind.SUBSCRIPTIONS)),
    ]


def _way(query: Query, relations: Relations) -> list[Item]:
    """All that the person did in the range, the oldest first; at one moment, what came by a touch before what it led to."""
    assert query.person is not None
    credits = _credits(query, relations)
    asking = Asking(_whole(query), relations, Values(), attributed=False)
    steps = [*_of_person(query.person, asking.values), sales(asking, of="orders"), ("way", _WAY)]
    start, end = timestamp(query.range.start), timestamp(min(query.range.end, query.now + timedelta(microseconds=1)))
    select = f"SELECT * FROM way WHERE happened_at >= {start} AND happened_at < {end} ORDER BY happened_at, place, key, what"
    zone = zone_of(query.time_zone)
    items = []
    for key, kind, _, at, id_, connection, currency, revenue, *told in asking.rows(statement(steps, select)):
        moment = at.replace(tzinfo=UTC)
        local = moment.astimezone(zone).isoformat(timespec="seconds")
        names: dict[str, str | None] = dict(zip(_TOLD, (local, kind, told[0], connection, *told[1:]), strict=True))
        mine = credits.get(UUID(str(key)).hex, {}) if kind == "touch" else {}
        ours: dict[str, Value] = {"revenue": revenue, **mine.pop(query.currency, {})}
        for code, values in [(currency or query.currency, ours), *mine.items()]:
            place = json.dumps([kind, str(key), at.isoformat(), told[0], code], ensure_ascii=False)
            items.append(Item(base64.urlsafe_b64encode(place.encode()).decode().rstrip("="), moment, kind, id_, connection, names, code, values))
    return items


def _credits(query: Query, relations: Relations) -> dict[str, dict[str, dict[str, Value]]]:
    """Touch → currency → how many orders and how much revenue of the range it is credited with."""
    asked = _credited(query)
    asking = Asking(asked, relations, Values(), attributed=True)
    detail = Orders().detail(asking, frozenset({"orders", "net_revenue"}))
    assert query.person is not None
    steps = [*_of_person(query.person, asking.values), *detail.steps]
    select = f"SELECT g0, currency, sum(weight), sum(net_revenue) FROM {detail.steps[-1][0]} WHERE touched GROUP BY g0, currency"
    found: dict[str, dict[str, dict[str, Value]]] = {}
    for touch, currency, orders, revenue in asking.rows(statement(steps, select)):
        found.setdefault(UUID(touch).hex, {})[currency] = {"credit": round(orders, 6), "credited_revenue": int(revenue)}
    return found


def _whole(query: Query) -> Query:
    return msgspec.structs.replace(query, group_by=(), filters=(), scale=None)


def _sum(items: Sequence[Item], kpi: str, currency: str) -> Value:
    found = sum(value for item in items if item.currency == currency and (value := item.values.get(kpi)) is not None)
    return round(found, 6) if isinstance(found, float) else found


_WAY: Final = """SELECT key, 'touch' AS kind, 1 AS place, happened_at, CAST(NULL AS VARCHAR) AS id, connection, CAST(NULL AS VARCHAR) AS currency,
    CAST(NULL AS BIGINT) AS revenue, landing_page AS what, channel, source, medium, campaign, email_campaign, email_flow FROM touches
UNION ALL BY NAME SELECT person AS key, 'lead' AS kind, 2 AS place, lead_at AS happened_at, 'became a lead' AS what FROM contacts
UNION ALL BY NAME SELECT key, 'activity' AS kind, 3 AS place, happened_at, connection, coalesce(name, page, type) AS what, campaign, email_campaign, email_flow
FROM activities WHERE NOT bot
UNION ALL BY NAME SELECT o.key, 'order' AS kind, 4 AS place, o.happened_at, o.order_id AS id, o.connection, s.currency, s.revenue, o.campaign_name AS campaign,
    concat(CASE WHEN o.rebill THEN 'rebill ' ELSE 'order ' END, o.order_id, ': ',
        coalesce(o.state, CASE WHEN s.key IS NULL THEN 'not sold' ELSE 'sold' END)) AS what
FROM orders o LEFT JOIN bought s ON s.key = o.key
UNION ALL BY NAME SELECT key, 'subscription' AS kind, 5 AS place, entered_at AS happened_at, subscription_id AS id, connection,
    concat(product, ': ', entered) AS what
FROM (SELECT key, subscription_id, connection, coalesce(name, sku, product_id, 'subscription') AS product,
    unnest(list_transform(states, lambda s: {'entered_at': s.happened_at, 'entered': s.state}), max_depth := 2) FROM subscriptions)
UNION ALL BY NAME SELECT key, 'tag' AS kind, 6 AS place, applied_at AS happened_at, concat('+ ', tag) AS what
FROM (SELECT key, unnest(tags, max_depth := 2) FROM tags)
UNION ALL BY NAME SELECT key, 'tag' AS kind, 6 AS place, removed_at AS happened_at, concat('- ', tag) AS what
FROM (SELECT key, unnest(tags, max_depth := 2) FROM tags) WHERE removed_at IS NOT NULL"""
"""All that is known of a person. At one moment the touch is first, what it led to later."""

JOURNEYS: Final = JourneyTable(
    type=ReportType.JOURNEYS,
    legs=(PathLeg(),),
    dimensions=dimensions.ALL_NAMES,
    touch_dimensions=frozenset({PATH}),
    all_kpis=PATH_KPIS,
    default_kpis=("orders", "customers", "revenue", "aov", "touches", "days"),
)
