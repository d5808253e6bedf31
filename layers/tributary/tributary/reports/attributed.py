"""The reports of what was brought by what: acquisition, advertisement, orders, attribution, lead source."""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import UTC, datetime, timedelta
from typing import Final

from tributary.facts.tables import Kind, Months, Needs
from tributary.reports import dimensions
from tributary.reports.credits import Conversions, asks_lead_date, asks_touches, credited, own_filters
from tributary.reports.definitions import LEAD_KPIS, ORDER_KPIS
from tributary.reports.frame import Asking, Detail, Measure, Table, months
from tributary.reports.money import converted, rates_step
from tributary.reports.periods import local_date, offsets, timestamp
from tributary.reports.query import DateMode, Query, ReportType
from tributary.reports.statement import Step

MONEY: Final[Mapping[str, str]] = {
    "gross_revenue": "{gross}",
    "discounts": "{discount}",
    "tax": "{tax}",
    "shipping": "{shipping}",
    "refunds": "{refunded}",
    "chargebacks": "{charged_back}",
    "voids": "{voided}",
    "net_revenue": "{gross} - {discount} - {tax} - {shipping} - {refunded} - {charged_back} - {voided} + {returned}",
    "sales_revenue": "{gross} - {discount}",
    "collected_revenue": "{received} - {voided} - {refunded} - {charged_back}",
}
"""Measure → its formula of an order's columns, each converted by itself."""
KEPT_TAX: Final = "{tax} - greatest({returned} - {shipping}, 0)"
KEPT_SHIPPING: Final = "{shipping} - least({returned}, {shipping})"
"""What is given back of tax and shipping is shipping first."""
_COLUMNS: Final = ("gross", "discount", "tax", "shipping", "received", "voided", "refunded", "charged_back", "returned")


def net_formula(query: Query) -> str:
    """`net_revenue`, with the tax and the shipping that were kept where the query includes them."""
    tax = f" + {KEPT_TAX}" if query.include_tax else ""
    shipping = f" + {KEPT_SHIPPING}" if query.include_shipping else ""
    return MONEY["net_revenue"] + tax + shipping


class Orders:
    """Orders that were sold, by the moment they were."""

    measures: Set[str] = frozenset(
        {*MONEY, "orders", "items_sold", "refunded_orders", "customers", "new_customers", "repeat_customers", "attributed_value", "value"}
    )
    coverage = ("attributed_value", "value")

    def needs(self, query: Query, measures: Set[str]) -> Needs:
        reads_first = self._reads_first_sales(query, measures)
        inherits = asks_touches(query) and query.rebill_credit == "inherit"
        found: dict[Kind, Months] = {Kind.ORDERS: _months_of_orders(query), Kind.RATES: Months()}
        if reads_first or inherits:
            found[Kind.ORDERS] = Months(None, found[Kind.ORDERS].last)
        if inherits:
            found[Kind.SUBSCRIPTIONS] = Months()
        return {**found, **_needs_of_credits(query, everything=inherits)}

    def detail(self, asking: Asking, measures: Set[str]) -> Detail:
        money = [name for name in MONEY if name in measures]
        if measures & {"attributed_value", "value"} and "net_revenue" not in money:
            money.append("net_revenue")
        counts = [name for name in ("items_sold", "refunded") if name in measures or (name == "refunded" and "refunded_orders" in measures)]
        conversions = Conversions(
            kind="order",
            money=money,
            counts=["is_refunded" if name == "refunded" else name for name in counts],
            has_items=True,
            people_columns=["is_new"] if "new_customers" in measures else [],
        )
        steps = [*_conversions_of_orders(asking, conversions)]
        credits = credited(asking, conversions)
        steps += credits.steps
        if "repeat_customers" in measures:
            steps.append(_repeated(asking, steps[-1][0]))
        return Detail(tuple(steps), self._measures(measures, once=credits.once, touched=asking.attributed), credits.overlapping)

    @staticmethod
    def _reads_first_sales(query: Query, measures: Set[str]) -> bool:
        return "new_customers" in measures or dimensions.CUSTOMER_TYPE in (*query.group_by, *(one.dimension for one in query.filters))

    @staticmethod
    def _measures(wanted: Set[str], *, once: bool, touched: bool) -> dict[str, Measure]:
        def money(value: str) -> Measure:
            return Measure(value=value, of_total=f"CASE WHEN money_once THEN {value} END" if once else None)

        def count(value: str) -> Measure:
            return Measure(value=value, of_total=f"CASE WHEN count_once THEN {value} END" if once else None)

        all_of_them = {
            **{name: money(name) for name in MONEY},
            "orders": count("weight"),
            "items_sold": money("weight * items_sold"),
            "refunded_orders": count("CASE WHEN is_refunded THEN weight ELSE 0 END"),
            "customers": Measure(value="true", how="people"),
            "new_customers": Measure(value="is_new", how="people"),
            "repeat_customers": Measure(value="repeats", of_total="repeats_in_total", how="people"),
            "value": money("net_revenue"),
            "attributed_value": money("CASE WHEN touched THEN net_revenue ELSE 0 END" if touched else "net_revenue"),
        }
        return {name: measure for name, measure in all_of_them.items() if name in wanted}


class Leads:
    """People by the moment they became known."""

    measures: Set[str] = frozenset({"leads", "attributed_leads"})
    coverage = ("attributed_leads", "leads")

    def needs(self, query: Query, measures: Set[str]) -> Needs:
        return {Kind.CONTACTS: Months(), **_needs_of_credits(query, everything=False)}

    def detail(self, asking: Asking, measures: Set[str]) -> Detail:
        conversions = Conversions(kind="lead", money=(), counts=(), has_items=False)
        steps = [_conversions_of_leads(asking)]
        credits = credited(asking, conversions)
        touched = "touched" if asking.attributed else "true"
        found = {"leads": "weight", "attributed_leads": f"CASE WHEN {touched} THEN weight ELSE 0 END"}
        counted = {
            name: Measure(value=value, of_total=f"CASE WHEN count_once THEN {value} END" if credits.once else None)
            for name, value in found.items()
            if name in measures
        }
        return Detail((*steps, *credits.steps), counted, credits.overlapping)


def _months_of_orders(query: Query) -> Months:
    """Of the orders that can be conversions of the query."""
    match query.date_mode:
        case DateMode.CONVERSION_DATE:
            return months(query.range.start, _before(min(query.range.end, query.now + timedelta(microseconds=1))))
        case DateMode.LEAD_DATE:
            return months(None, query.now)
        case DateMode.TOUCH_DATE:
            return months(query.range.start, query.now if query.rebill_credit == "inherit" else min(query.now, _latest_conversion(query)))


def _latest_conversion(query: Query) -> datetime:
    """Until when what happens may be credited to a touch of the range."""
    return query.now if query.lookback_days is None else query.range.end + timedelta(days=query.lookback_days)


def _needs_of_credits(query: Query, *, everything: bool) -> Needs:
    """Touches, contacts and tags, as the rows and choices ask for them. `everything`: conversions may be credited by touches of any time."""
    found: dict[Kind, Months] = {}
    named_by = (*query.group_by, *(one.dimension for one in query.filters))
    if asks_touches(query):
        first = (
            None
            if everything or query.lookback_days is None or query.date_mode is DateMode.LEAD_DATE
            else query.range.start - timedelta(days=query.lookback_days)
        )
        last = query.now if query.date_mode is not DateMode.CONVERSION_DATE else min(query.now, query.range.end)
        found[Kind.TOUCHES] = months(first, last)
    if asks_lead_date(query) or any(dimensions.is_of_contact(name) and name != dimensions.TAG for name in named_by):
        found[Kind.CONTACTS] = Months()
    if dimensions.TAG in named_by:
        found[Kind.TAGS] = Months()
    return found


def _before(moment: datetime) -> datetime:
    return moment - timedelta(microseconds=1)


def _own(asking: Asking, told: Mapping[str, str]) -> list[str]:
    """Columns `own_0`…: the dimensions of `query.group_by` that are not of touches, products or tags; NULL where the thing cannot be told by one."""
    found = []
    for index, name in enumerate(asking.query.group_by):
        if name in (*dimensions.TOUCH, dimensions.PRODUCT, dimensions.TAG):
            continue
        found.append(f"{_expression(asking, told, name) or 'CAST(NULL AS VARCHAR)'} AS own_{index}")
    return found


def _expression(asking: Asking, told: Mapping[str, str], name: str) -> str | None:
    return dimensions.of_contact(name, asking.values) if dimensions.is_of_contact(name) else told.get(name)


def _own_filters(asking: Asking, told: Mapping[str, str]) -> list[str]:
    """SQL: those filters that the thing can be told by."""
    return [
        dimensions.fits(expression, one, asking.values)
        for one in own_filters(asking.query)
        if (expression := _expression(asking, told, one.dimension)) is not None
    ]


def _asks_contacts(query: Query) -> bool:
    named_by = (*query.group_by, *(one.dimension for one in query.filters))
    return asks_lead_date(query) or any(dimensions.is_of_contact(name) and name != dimensions.TAG for name in named_by)


def _dated(query: Query, moment: str, lead_at: str) -> list[str]:
    """SQL: whether something that happened is among what the range can hold."""
    start, end, now = timestamp(query.range.start), timestamp(query.range.end), timestamp(query.now)
    match query.date_mode:
        case DateMode.CONVERSION_DATE:
            return [f"{moment} >= {start}", f"{moment} < {end}", f"{moment} <= {now}"]
        case DateMode.LEAD_DATE:
            return [f"{lead_at} >= {start}", f"{lead_at} < {end}", f"{moment} <= {now}"]
        case DateMode.TOUCH_DATE:
            return [f"{moment} >= {start}", f"{moment} <= {now}"]


def _conversions_of_leads(asking: Asking) -> Step:
    query = asking.query
    columns = ["p.person AS key", "p.person", "p.lead_at AS happened_at", "p.lead_at AS path_at", "p.person AS path_person", "p.lead_at"]
    columns += [f"{asking.values.add(query.currency)} AS currency", *_own(asking, {})]
    columns += ["CAST(NULL AS VARCHAR) AS id", "CAST(NULL AS VARCHAR) AS connection"] if asking.lines else []
    where = [*_dated(query, "p.lead_at", "p.lead_at"), *_own_filters(asking, {})]
    return "conversions", f"SELECT {', '.join(columns)} FROM contacts p WHERE {' AND '.join(where)}"


def _conversions_of_orders(asking: Asking, conversions: Conversions) -> list[Step]:
    query, values = asking.query, asking.values
    steps: list[Step] = []
    formulas = {name: net_formula(query) if name == "net_revenue" else MONEY[name] for name in conversions.money}
    read = [column for column in _COLUMNS if any(f"{{{column}}}" in formula for formula in formulas.values())]
    abroad = _foreign(asking)
    joins = []
    if abroad:
        steps.append(rates_step(query.currency, sorted(abroad), values))
        first, last = min(since for since, _ in abroad.values()), max(until for _, until in abroad.values())
        day = local_date("o.sold_at", offsets(query.time_zone, first, last))
        joins.append(f"LEFT JOIN rates_on r ON NOT o.currency_assumed AND r.currency = o.currency AND r.day = {day}")
        currency = f"CASE WHEN o.currency_assumed OR r.multiplier IS NOT NULL THEN {values.add(query.currency)} ELSE o.currency END"
    else:
        currency = values.add(query.currency)
    if _asks_contacts(query):
        joins.append("LEFT JOIN contacts p ON p.person = o.person")
    named_by = (*query.group_by, *(one.dimension for one in query.filters))
    if "is_new" in conversions.people_columns or dimensions.CUSTOMER_TYPE in named_by:
        steps.append(_FIRST_SALES)
        joins.append("LEFT JOIN first_sales f ON f.key = o.key")
    inherits = asks_touches(query) and query.rebill_credit == "inherit"
    columns = ["o.key", "o.person", "o.sold_at AS happened_at", f"{currency} AS currency", *_own(asking, dimensions.ORDER)]
    columns += [f"{converted('o.' + name) if abroad else 'o.' + name} AS {name}" for name in read]
    columns += ["p.lead_at"] if asks_lead_date(query) else []
    columns += ["f.key IS NOT NULL AS is_new"] if "is_new" in conversions.people_columns else []
    columns += ["o.refunded > 0 AS is_refunded"] if "is_refunded" in conversions.counts else []
    columns += ["list_sum([one.quantity for one in o.items]) AS items_sold"] if "items_sold" in conversions.counts else []
    columns += ["o.items"] if dimensions.PRODUCT in named_by else []
    columns += ["o.order_id AS id"] if asking.lines else []
    columns += ["o.connection"] if asking.lines or inherits else []
    columns += ["o.rebill AND o.subscription_id IS NOT NULL AS inherits", "o.subscription_id"] if inherits else []
    where = ["o.sold_at IS NOT NULL", *_dated(query, "o.sold_at", "p.lead_at"), *_own_filters(asking, dimensions.ORDER)]
    steps.append(("sales", f"SELECT {', '.join(columns)} FROM orders o {' '.join(joins)} WHERE {' AND '.join(where)}"))
    worked_out = [f"{formula.format(**{name: 's.' + name for name in read})} AS {name}" for name, formula in formulas.items()]
    chosen = f"s.* EXCLUDE ({', '.join(read)})" if read else "s.*"
    if inherits:
        steps += _BEGAN
        path = ["coalesce(b.path_at, s.happened_at) AS path_at", "coalesce(b.path_person, s.person) AS path_person"]
        join = " LEFT JOIN began b ON s.inherits AND b.connection = s.connection AND b.subscription_id = s.subscription_id"
    else:
        path, join = ["s.happened_at AS path_at", "s.person AS path_person"], ""
    steps.append(("conversions", f"SELECT {', '.join([chosen, *path, *worked_out])} FROM sales s{join}"))
    return steps


_FIRST_SALES: Final[Step] = ("first_sales", "SELECT arg_min(key, row(sold_at, key)) AS key FROM orders WHERE sold_at IS NOT NULL GROUP BY person")
"""Of each person, over all months that there are."""

_BEGAN: Final[tuple[Step, ...]] = (
    ("rebilled", "SELECT DISTINCT connection, subscription_id FROM sales WHERE inherits"),
    (
        "begun_by_order",
        """SELECT w.connection, w.subscription_id, arg_min(o.person, row(o.happened_at, o.key)) AS path_person,
    arg_min(coalesce(o.sold_at, o.happened_at), row(o.happened_at, o.key)) AS path_at
FROM rebilled w JOIN subscriptions u ON u.connection = w.connection AND u.subscription_id = w.subscription_id
JOIN orders o ON o.connection = u.connection AND o.order_id = u.order_id
GROUP BY w.connection, w.subscription_id""",
    ),
    ("begun_unknown", "SELECT w.* FROM rebilled w ANTI JOIN begun_by_order b ON b.connection = w.connection AND b.subscription_id = w.subscription_id"),
    (
        "begun_by_first",
        """SELECT w.connection, w.subscription_id, arg_min(o.person, row(o.sold_at, o.key)) AS path_person, min(o.sold_at) AS path_at
FROM begun_unknown w JOIN orders o ON o.connection = w.connection AND o.subscription_id = w.subscription_id
WHERE o.sold_at IS NOT NULL GROUP BY w.connection, w.subscription_id""",
    ),
    ("began", "SELECT * FROM begun_by_order UNION ALL SELECT * FROM begun_by_first"),
)
"""Of each subscription that was billed again: whose touches until when led to it."""


def _repeated(asking: Asking, detail: str) -> Step:
    """The detail, with whether the person has another order in the row, and in the total."""
    period = ["period"] if asking.periods is not None else []
    touched = ["touched"] if asking.attributed else []
    row = ", ".join(["currency", "person", *period, *touched, *(f"g{index}" for index in range(len(asking.query.group_by)))])
    ways = {"repeats": row, "repeats_in_total": "currency, person"}
    columns = ", ".join(f"min(key) OVER (PARTITION BY {by}) <> max(key) OVER (PARTITION BY {by}) AS {name}" for name, by in ways.items())
    return "repeated", f"SELECT *, {columns} FROM {detail}"


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _foreign(asking: Asking) -> dict[str, tuple[datetime, datetime]]:
    """The currencies that are not the query's, with their first and last order: most shops have none, and their amounts then need no rates."""
    query = asking.query
    dated = _dated(query, "o.sold_at", "o.sold_at") if query.date_mode is not DateMode.LEAD_DATE else []
    found = asking.relations.rows(
        "SELECT o.currency, min(o.sold_at), max(o.sold_at) FROM orders o WHERE NOT o.currency_assumed AND o.sold_at IS NOT NULL"
        f"{''.join(' AND ' + one for one in dated)} GROUP BY o.currency"
    )
    return {currency: (_aware(first), _aware(last)) for currency, first, last in found if currency != query.currency}


_LEGS: Final = (Orders(), Leads())

ORDERS: Final = Table(
    type=ReportType.ORDERS,
    legs=_LEGS,
    dimensions=dimensions.ALL_NAMES,
    touch_dimensions=dimensions.TOUCH_NAMES,
    all_kpis={**ORDER_KPIS, **LEAD_KPIS},
    default_kpis=("net_revenue", "orders", "customers", "aov", "customer_value", "refunds"),
)
ACQUISITION: Final = Table(
    type=ReportType.ACQUISITION,
    legs=_LEGS,
    dimensions=dimensions.ALL_NAMES,
    touch_dimensions=dimensions.TOUCH_NAMES,
    all_kpis={**LEAD_KPIS, **ORDER_KPIS},
    default_kpis=("leads", "customers", "conversion_rate", "net_revenue", "lead_value"),
    default_date_mode=DateMode.LEAD_DATE,
)
