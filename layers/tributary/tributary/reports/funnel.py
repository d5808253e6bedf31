"""Funnels: who took steps in order, how many went on from each, how long it took, and what they brought.

A person enters by the first time in the range that they take the first step, and goes on by the first time that they take the next one, at the same moment
or later, until now. No step is skipped. The same step again is another time that it is taken. All steps are read at once (`hits`), and each is then looked
for after the one before; so a funnel is one statement, and reads activities once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from tributary.facts.tables import Kind, Months, Needs
from tributary.page_address import host_of, split
from tributary.ports import Relations
from tributary.reports import dimensions
from tributary.reports.answer import Ledger, Report, Value
from tributary.reports.credits import Conversions
from tributary.reports.frame import Asking, Detail, Measure, RowId, Table, together
from tributary.reports.kpis import Kpi, Sums, named
from tributary.reports.periods import timestamp
from tributary.reports.query import DateMode, Query, ReportType
from tributary.reports.query import Step as FunnelStep
from tributary.reports.sales import NET, sales
from tributary.reports.statement import Step, Values
from tributary.reports.subjects import conversions, credited_by_person, first_orders, needs_of, needs_of_first_orders, once, until_now

STEP: Final = "step"
"""The dimension that tells the rows of a funnel apart, before those asked for."""
CHECKOUT_STARTED: Final = "Checkout Started"
_ORDER_EVENTS: Final[Mapping[str, tuple[str, ...]]] = {"started": (CHECKOUT_STARTED,), "declined": ("Order Declined",), "cancelled": ("Order Cancelled",)}
"""What of orders is told by events: they say when."""
_INVOICES: Final[Mapping[str, str]] = {"paid": "payment", "declined": "decline", "voided": "void", "refunded": "refund", "charged_back": "chargeback"}
"""Movements of an order's money, each on its own day."""

MEASURES: Final[Mapping[str, Measure]] = {
    "reached": Measure(value="weight * (reached)::INT", of_total="weight * (reached AND step_number = 1)::INT"),
    "came": Measure(value="weight * (came)::INT", of_total="weight * (step_number = 1)::INT"),
    "went_on": Measure(value="weight * (reached)::INT", of_total="weight * (reached AND is_last)::INT"),
    "attributed_people": Measure(value="weight * touched::INT", of_total="weight * (touched AND step_number = 1)::INT"),
    "entered": Measure(value="weight", of_total="weight * (step_number = 1)::INT"),
    "seconds": Measure(
        value="CASE WHEN counted AND reached THEN seconds END",
        of_total="CASE WHEN counted AND reached AND is_last THEN seconds_in_all END",
        how="aggregate",
        aggregate="median({})",
    ),
    "revenue": Measure(value="CASE WHEN reached THEN revenue ELSE 0 END", of_total="CASE WHEN step_number = 1 THEN revenue ELSE 0 END"),
    "orders": Measure(value="share * CASE WHEN reached THEN orders ELSE 0 END", of_total="share * CASE WHEN step_number = 1 THEN orders ELSE 0 END"),
}


@dataclass(frozen=True, kw_only=True)
class MedianTime(Kpi):
    """None where nobody got there: that takes no time, and not the least."""

    @property
    def measures(self) -> Set[str]:
        return {*self.over, "went_on"}

    def of(self, sums: Sums) -> Value:
        return super().of(sums) if sums.get("went_on") else None


KPIS: Final[Mapping[str, Kpi]] = named(
    Kpi(
        key="entrants",
        name="People",
        unit="count",
        over=("reached",),
        adds_up=False,
        definition="People who reached the step, by all those before it in order, each at the first time after the one before. Of the total: who entered.",
    ),
    Kpi(
        key="step_rate", name="Step rate", unit="percent", over=("went_on",), under=("came",), times=100, definition="100 x people / people of the step before."
    ),
    Kpi(
        key="total_rate",
        name="Total rate",
        unit="percent",
        over=("went_on",),
        under=("entered",),
        times=100,
        definition="100 x people / people who entered. Of the total: who completed the last step.",
    ),
    Kpi(
        key="dropped",
        name="Dropped",
        unit="count",
        over=("came", "-went_on"),
        adds_up=False,
        definition="People of the step before who did not reach this one by now.",
    ),
    MedianTime(
        key="median_time",
        name="Median time",
        unit="seconds",
        over=("seconds",),
        adds_up=False,
        definition="Median of the time between the step before and this one, of who reached it. Of the total: from the first to the last step.",
    ),
    Kpi(key="revenue", name="Revenue", unit="money", over=("revenue",), adds_up=False, definition=f"Of who reached the step, since they entered: {NET}."),
    Kpi(key="orders", name="Orders", unit="count", over=("orders",), adds_up=False, definition="Orders sold to who reached the step, since they entered."),
    Kpi(key="lead_value", name="Value of a person", unit="money", over=("revenue",), under=("reached",), definition="Revenue / people."),
    Kpi(key="aov", name="Average order value", unit="money", over=("revenue",), under=("orders",), definition="Revenue / orders."),
)
_MONEY: Final = {"revenue", "orders"}


@dataclass(frozen=True)
class FunnelLeg:
    measures: Set[str] = frozenset(MEASURES)
    coverage: tuple[str, str] | None = ("attributed_people", "entered")

    def needs(self, query: Query, measures: Set[str]) -> Needs:
        later = until_now(query)
        found: Needs = together((needs_of(query, later), needs_of_first_orders(query)))
        for step in query.steps:
            found = together((found, _needs_of_step(step, later)))
        if measures & _MONEY:
            found = together((found, {Kind.ORDERS: later, Kind.RATES: Months()}))
        return found

    def detail(self, asking: Asking, measures: Set[str]) -> Detail:
        query, values = asking.query, asking.values
        count = len(query.steps)
        steps: list[Step] = [("hits", _hits(query, values)), *_walked(query, values)]
        has_money = bool(measures & _MONEY)
        if has_money:
            steps += [sales(asking, of="s1", since=query.range.start), ("spent", _SPENT)]
        steps.append(("entrants", _entrants(values.add(query.currency), count, has_money=has_money)))
        times = [f"t{number}" for number in range(1, count + 1)]
        others = ("orders", *times)
        columns = ["x.key", "x.person", "x.t1 AS happened_at", "x.currency", "x.revenue", "x.counted", *(f"x.{name}" for name in others)]
        columns += ["x.connection", "CAST(NULL AS VARCHAR) AS id"] if asking.lines else []
        plain = replace(asking, query=msgspec.structs.replace(query, group_by=query.group_by[1:]))
        firsts = first_orders(plain, of="s1", at="x.t1", since="t1")
        own = {dimensions.CONNECTION: "x.connection", **firsts.own}
        steps += firsts.steps
        steps += conversions(plain, source="entrants", columns=columns, at="x.t1", own=own, lists=firsts.lists, joins=firsts.joins)
        credits = credited_by_person(plain, Conversions(kind="person", money=("revenue",), others=others, any_time=False, by_currency=True))
        steps += [*credits.steps, ("funnel", _by_step(plain, credits.steps[-1][0], once=credits.once))]
        asked = {name: MEASURES[name] for name in MEASURES if name in measures}
        return Detail(tuple(steps), once(asked, overlapping=credits.once, money={"revenue"}), credits.overlapping)


class FunnelTable(Table):
    """A row for each step, in their order."""

    def answer(self, query: Query, relations: Relations) -> Report:
        query = _by_steps(query)
        if query.sort is None:
            query = msgspec.structs.replace(query, sort=STEP if query.scale is None else "period", descending=False)
        return super().answer(query, relations)

    def ledger(self, query: Query, relations: Relations, *, row_key: str | None, kpi: str, limit: int, offset: int) -> Ledger:
        return super().ledger(_by_steps(query), relations, row_key=row_key, kpi=kpi, limit=limit, offset=offset)

    def needs(self, query: Query) -> Needs:
        return super().needs(_by_steps(query))

    def _filled(self, query: Query, rows: dict[RowId, dict[str, int | float]]) -> dict[RowId, dict[str, int | float]]:
        """With a row for each step, also where nobody came so far, or at all."""
        if query.scale is not None or query.group_by != (STEP,):
            return rows
        return {RowId(query.currency, None, True, (_named(query, number),)): {} for number in range(1, len(query.steps) + 1)} | rows


def _named(query: Query, number: int) -> str:
    """A step's row: by its number first, so that names sort as the steps do."""
    return f"{number:0{len(str(len(query.steps)))}}. {query.steps[number - 1].label}"


def _by_steps(query: Query) -> Query:
    return msgspec.structs.replace(query, group_by=(STEP, *query.group_by), date_mode=DateMode.CONVERSION_DATE)


def _needs_of_step(step: FunnelStep, later: Months) -> Needs:
    match step.kind:
        case "event" | "page":
            return {Kind.ACTIVITIES: later}
        case "tag":
            return {Kind.TAGS: Months()}
        case "subscription":
            return {Kind.SUBSCRIPTIONS: Months()}
        case "invoice":
            return {Kind.ORDERS: Months()}  # its money may move long after an order
        case "order":
            found = {} if step.value in ("declined", "cancelled") else {Kind.ORDERS: Months() if step.value == "refunded" else later}
            return found | ({Kind.ACTIVITIES: later} if step.value in _ORDER_EVENTS else {})


# Who did what when

_TAGS: Final = "(SELECT person, NULL AS connection, unnest(tags, max_depth := 2) FROM tags)"
_STATES: Final = """(SELECT person, connection,
    unnest(list_transform(states, lambda s: {'entered_at': s.happened_at, 'entered': s.state}), max_depth := 2) FROM subscriptions)"""
_MOVEMENTS: Final = """(SELECT person, connection,
    unnest(list_transform(movements, lambda m: {'moved_at': m.happened_at, 'moved': m.kind}), max_depth := 2) FROM orders)"""


def _hits(query: Query, values: Values) -> str:
    """SQL: `person`, `hit_at`, `connection`, and `steps`: which of the steps it is, a bit each."""
    start, now = timestamp(query.range.start), timestamp(query.now)
    within = f">= {start} AND {{0}} <= {now}"
    parts = []
    on_activities = [(number, _on_activity(step, values)) for number, step in enumerate(query.steps)]
    fitting = [(number, condition) for number, condition in on_activities if condition is not None]
    if fitting:
        parts.append(_hit("activities", "happened_at", fitting, within, more="NOT bot AND "))
    on_orders: dict[str, list[tuple[int, str]]] = {}
    for number, step in enumerate(query.steps):
        if step.kind == "order":
            for moment, condition in _on_order(step.value):
                on_orders.setdefault(moment, []).append((number, condition))
        elif step.kind == "invoice":
            on_orders.setdefault("moved_at", []).append((number, f"moved = '{_INVOICES[step.value]}'"))
        elif step.kind == "tag":
            parts.append(_hit(_TAGS, "applied_at", [(number, f"tag = {values.add(step.value)}")], within))
        elif step.kind == "subscription":
            parts.append(_hit(_STATES, "entered_at", [(number, f"entered = {values.add(step.value)}")], within))
    for moment, found in on_orders.items():
        parts.append(_hit(_MOVEMENTS if moment == "moved_at" else "orders", moment, found, within))
    return "\nUNION ALL ".join(parts)


def _hit(source: str, moment: str, steps: Sequence[tuple[int, str]], within: str, *, more: str = "") -> str:
    bits = " + ".join(f"CASE WHEN {condition} THEN {1 << number} ELSE 0 END" for number, condition in steps)
    any_of_them = " OR ".join(f"({condition})" for _, condition in steps)
    return f"SELECT person, {moment} AS hit_at, connection, {bits} AS steps FROM {source} WHERE {more}{moment} {within.format(moment)} AND ({any_of_them})"


def _on_activity(step: FunnelStep, values: Values) -> str | None:
    match step.kind:
        case "event":
            return f"(type = 'track' AND name = {values.add(step.value)})"
        case "page":
            address = page_address(step.value)
            page = "substr(page, greatest(instr(page, '/'), 1))" if address.startswith("/") else "page"
            found = values.add(address.removesuffix("*"))
            return f"(type IN ('page', 'screen') AND {f'starts_with({page}, {found})' if address.endswith('*') else f'{page} = {found}'})"
        case "order" if step.value in _ORDER_EVENTS:
            names = ", ".join(f"'{name}'" for name in _ORDER_EVENTS[step.value])
            return f"(type = 'track' AND name IN ({names}))"
        case _:
            return None


def _on_order(state: str) -> Sequence[tuple[str, str]]:
    """Of `orders`: the moment, and which of them. Steps are those of orders that somebody placed; a later bill of a subscription is `rebilled`."""
    match state:
        case "started":
            return [("happened_at", "NOT rebill")]
        case "sold":
            return [("sold_at", "NOT rebill")]
        case "rebilled":
            return [("sold_at", "rebill")]
        case "refunded":
            return [("moved_at", "moved = 'refund'")]
        case _:
            return []


def page_address(said: str) -> str:
    """Host and path, as activities have them, of an address with or without its scheme and query; a path alone stays one."""
    if said.startswith("/"):
        return said.partition("?")[0].partition("#")[0]
    url = said if "://" in said else f"https://{said}"
    parts = split(url)
    return host_of(url) + (parts.path if parts is not None else "")


# Who came how far


def _walked(query: Query, values: Values) -> list[Step]:
    """SQL: `s1`, …: who reached the step, and when each step until it."""
    end = timestamp(min(query.range.end, query.now))
    chosen = [dimensions.fits("connection", one, values) for one in query.filters if one.dimension == dimensions.CONNECTION]
    entered = " AND ".join([f"steps & 1 <> 0 AND hit_at < {end}", *chosen])
    found: list[Step] = [
        ("s1", f"SELECT person, min(hit_at) AS t1, arg_min(connection, row(hit_at, connection)) AS connection FROM hits WHERE {entered} GROUP BY person")
    ]
    for number in range(2, len(query.steps) + 1):
        step = query.steps[number - 1]
        repeated = any((step.kind, step.value) == (other.kind, other.value) for other in query.steps[: number - 1])
        reached = f"h.hit_at {'>' if repeated else '>='} s.t{number - 1} AND h.steps & {1 << (number - 1)} <> 0"
        times = f"min(h.hit_at) AS t{number}"
        found.append((f"s{number}", f"SELECT s.person, {times} FROM s{number - 1} s JOIN hits h ON h.person = s.person AND {reached} GROUP BY s.person"))
    return found


_SPENT: Final = """SELECT s.person, any_value(s.t1) AS t1, any_value(s.connection) AS connection, o.currency,
    CAST(sum(o.revenue) AS BIGINT) AS revenue, count(*) FILTER (WHERE o.counted) AS orders
FROM s1 s JOIN bought o ON o.person = s.person AND o.sold_at >= s.t1 GROUP BY s.person, o.currency"""


def _entrants(currency: str, count: int, *, has_money: bool) -> str:
    """SQL: one line a person who entered, with what they brought in the query's currency, and one for each other currency, which counts no person."""
    times = "".join(f", s{number}.t{number}" for number in range(2, count + 1))
    joins = "".join(f" LEFT JOIN s{number} ON s{number}.person = s1.person" for number in range(2, count + 1))
    if not has_money:
        nothing = f"true AS counted, {currency} AS currency, 0::BIGINT AS revenue, 0 AS orders"
        return f"SELECT s1.person AS key, s1.person, s1.connection, s1.t1{times}, {nothing} FROM s1{joins}"
    ours = f"""SELECT s1.person AS key, s1.person, s1.connection, s1.t1{times}, true AS counted, {currency} AS currency,
    coalesce(m.revenue, 0) AS revenue, coalesce(m.orders, 0) AS orders
FROM s1{joins} LEFT JOIN spent m ON m.person = s1.person AND m.currency = {currency}"""
    others = f"""SELECT m.person, m.person, m.connection, m.t1{times}, false, m.currency, m.revenue, m.orders
FROM spent m{joins.replace("s1.person", "m.person")} WHERE m.currency <> {currency}"""
    return f"{ours}\nUNION ALL {others}"


def _by_step(asking: Asking, detail: str, *, once: bool) -> str:
    """SQL: each line of credit once for each step, with whether the person came to the one before and reached it."""
    groups = [f"g{index} AS g{index + 1}" for index in range(len(asking.query.group_by))]
    kept = ["currency", "person", "weight", "share", "counted", "revenue", "orders", *groups]
    kept += ["period"] if asking.periods is not None else []
    kept += ["touched"] if asking.attributed else []
    kept += ["kind", "id", "connection"] if asking.lines else []
    kept += ["count_once", "money_once"] if once else []
    last = len(asking.query.steps)
    parts = []
    for number in range(1, last + 1):
        came = "TRUE" if number == 1 else f"t{number - 1} IS NOT NULL"
        before = "t1" if number == 1 else f"t{number - 1}"
        moment = [f"coalesce(t{number}, {before}) AS happened_at"] if asking.lines else []
        told = [
            f"{asking.values.add(_named(asking.query, number))} AS g0",
            f"{number} AS step_number",
            f"{'TRUE' if number == last else 'FALSE'} AS is_last",
            f"{came} AS came",
            f"t{number} IS NOT NULL AS reached",
            f"date_diff('second', {before}, t{number}) AS seconds",
            f"date_diff('second', t1, t{number}) AS seconds_in_all",
        ]
        parts.append(f"SELECT {', '.join([*kept, *moment, *told])} FROM {detail}")
    return "\nUNION ALL ".join(parts)


FUNNEL: Final = FunnelTable(
    type=ReportType.FUNNEL,
    legs=(FunnelLeg(),),
    dimensions=dimensions.ALL_NAMES,
    touch_dimensions=dimensions.TOUCH_NAMES,
    all_kpis=KPIS,
    default_kpis=("entrants", "step_rate", "total_rate", "dropped", "median_time", "revenue", "lead_value"),
)
