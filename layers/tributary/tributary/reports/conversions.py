"""What happened, as the step `conversions` that is credited: sales, refunds and leads, with their money in the query's currency.

One line each; of an order of which some moved in a currency without a rate one a currency.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from tributary.facts.tables import Kind, Months, Needs
from tributary.reports import dimensions
from tributary.reports.credits import asks_lead_date, asks_touches
from tributary.reports.frame import Asking, months
from tributary.reports.money import converted, exchange, rates_step
from tributary.reports.periods import local_date, offsets, timestamp
from tributary.reports.query import DateMode, Query
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
"""Measure → its formula of an order's columns, of which each is converted by itself."""
_KEPT_TAX: Final = " + {tax} - greatest({returned} - {shipping}, 0)"
_KEPT_SHIPPING: Final = " + {shipping} - least({returned}, {shipping})"
"""What is given back of tax and shipping is shipping first."""
_AGE: Final = "greatest(0, CAST(ceil((epoch_us(o.sold_at) - epoch_us(p.lead_at)) / 86400000000) AS BIGINT))"
_COLUMNS: Final = ("gross", "discount", "tax", "shipping", "received", "voided", "refunded", "charged_back", "returned")
_OF_OTHERS: Final = ("received", "voided", "refunded", "charged_back")
"""What may move in a currency that is not the order's."""


# Which facts are needed


def needs_of_orders(query: Query, *, first_sales: bool) -> Needs:
    """`first_sales`: whether it is asked whose first order ever one is."""
    inherits = _inherits(query)
    found: dict[Kind, Months] = {Kind.ORDERS: _months_of_orders(query), Kind.RATES: Months()}
    if inherits or first_sales:
        found[Kind.ORDERS] = Months(None, found[Kind.ORDERS].last)
    if inherits:
        found[Kind.SUBSCRIPTIONS] = Months()
    return {**found, **needs_of_credits(query, any_time=inherits)}


def needs_of_credits(query: Query, *, any_time: bool) -> Needs:
    """Touches, contacts and tags, as rows and choices ask for them. `any_time`: what is credited may have happened long before the range."""
    found: dict[Kind, Months] = {}
    if asks_touches(query):
        unbounded = any_time or query.lookback_days is None or query.date_mode is DateMode.LEAD_DATE
        first = None if unbounded else query.range.start - timedelta(days=query.lookback_days or 0)
        found[Kind.TOUCHES] = months(first, _latest_conversion(query))
    if asks_contacts(query):
        found[Kind.CONTACTS] = Months()
    if dimensions.TAG in dimensions.named_by(query):
        found[Kind.TAGS] = Months()
    return found


def _months_of_orders(query: Query) -> Months:
    """Of the orders that can be conversions of the query."""
    return months(None if query.date_mode is DateMode.LEAD_DATE else query.range.start, _latest_conversion(query))


def _latest_conversion(query: Query) -> datetime:
    """Until when conversions of the query may be. A touch after the range may take from those within it what is theirs by their date alone."""
    match query.date_mode:
        case DateMode.CONVERSION_DATE:
            return min(query.now, query.range.end)
        case DateMode.LEAD_DATE:
            return query.now
        case DateMode.TOUCH_DATE:
            return min(query.now, _latest_credited(query))


def _latest_credited(query: Query) -> datetime:
    """Until when what happens may be credited to a touch of the range."""
    if query.lookback_days is None or query.rebill_credit == "inherit":
        return query.now
    return query.range.end + timedelta(days=query.lookback_days)


def needs_of_refunds(query: Query) -> Needs:
    """Of an order of any time something may be given back in the range."""
    found = needs_of_orders(query, first_sales=True)
    return {**found, **needs_of_credits(query, any_time=True)}


# The steps


@dataclass(frozen=True, kw_only=True)
class OrdersAsked:
    money: tuple[str, ...]
    """Names of MONEY."""
    is_new: bool = False
    """Whether it is asked whose first order ever one is."""
    is_refunded: bool = False
    items_sold: bool = False
    age_days: bool = False
    """After how many days (begun ones count) of being a lead; only by the date of becoming one."""


@dataclass(frozen=True)
class Sales:
    steps: tuple[Step, ...]
    by_currency: bool
    any_time: bool
    """Whether what leads to one may be older than the lookback before the range."""


def sales(asking: Asking, asked: OrdersAsked, *, own: Mapping[str, str] = dimensions.ORDER) -> Sales:
    """Orders that were sold. `own`: what their dimensions are, of `orders o`."""
    query, values = asking.query, asking.values
    abroad = _abroad(asking, "o.sold_at")
    formulas = {name: _formula(name, query) for name in asked.money}
    inherits = _inherits(query) and abroad.rebills
    subject = _Subject(asking, moment="o.sold_at", person="o.person", told=own)
    columns = ["o.key", "o.person", "o.sold_at AS happened_at", *subject.columns]
    columns += ["f.key IS NOT NULL AS is_new"] if asked.is_new else []
    columns += ["o.refunded > 0 AS is_refunded"] if asked.is_refunded else []
    columns += ["coalesce(list_sum([one.quantity FOR one IN o.items]), 0) AS items_sold"] if asked.items_sold else []
    columns += [f"{_AGE} AS age_days"] if asked.age_days else []
    columns += ["o.items"] if dimensions.PRODUCT in query.group_by else []
    columns += ["o.order_id AS id"] if asking.lines else []
    columns += ["o.connection"] if asking.lines or inherits else []
    columns += ["o.rebill", "o.subscription_id"] if inherits else ["o.sold_at AS path_at"]
    joins = [*subject.joins]
    steps: list[Step] = [*subject.steps]
    if asked.is_new or dimensions.CUSTOMER_TYPE in dimensions.named_by(query):
        steps.append(first_sales(query))
        joins.append("LEFT JOIN first_sales f ON f.key = o.key")
    where = ["o.sold_at IS NOT NULL", *subject.where]
    source = f"FROM orders o {' '.join(joins)} WHERE {' AND '.join(where)}"
    sold = "sales" if inherits else "conversions"
    if not abroad.currencies:
        columns += [f"{values.add(query.currency)} AS currency", *_worked_out(formulas, "o.{}")]
        steps.append((sold, f"SELECT {', '.join(columns)} {source}"))
    else:
        steps += _in_one_currency(asking, abroad, columns=columns, formulas=formulas, source=source, name=sold)
    if inherits:
        # A bill before the order that it names is due to what was before itself.
        steps += [*_BEGAN, ("conversions", f"SELECT s.*, least(b.path_at, s.happened_at) AS path_at FROM sales s {_WITH_BEGAN}")]
    any_time = inherits or query.date_mode is DateMode.LEAD_DATE
    return Sales(tuple(steps), by_currency=abroad.others, any_time=any_time)


def refunds(asking: Asking) -> tuple[Step, ...]:
    """Refunds by their own date, of orders sold or not, as `refunds_by_date`. Their path is the order's, and so is the day of their rate."""
    query, values = asking.query, asking.values
    subject = _Subject(asking, moment="o.moved.happened_at", person="o.person", told=dimensions.ORDER, path_at="coalesce(o.sold_at, o.happened_at)")
    inherits = _inherits(query)
    columns = ["CAST(o.key AS VARCHAR) || '/' || o.place AS key", "o.person", "o.moved.happened_at AS happened_at", *subject.columns]
    columns += ["coalesce(o.sold_at, o.happened_at) AS ordered_at", "o.moved.amount AS amount"]
    columns += ["o.moved.currency AS currency"]
    columns += ["o.items"] if dimensions.PRODUCT in query.group_by else []
    columns += ["o.order_id AS id"] if asking.lines else []
    columns += ["o.connection"] if asking.lines or inherits else []
    columns += ["o.rebill", "o.subscription_id"] if inherits else []
    joins = [*subject.joins]
    steps: list[Step] = [*subject.steps]
    if dimensions.CUSTOMER_TYPE in dimensions.named_by(query):
        steps.append(first_sales())
        joins.append("LEFT JOIN first_sales f ON f.key = o.key")
    moved = "(SELECT *, unnest(movements) AS moved, generate_subscripts(movements, 1) AS place FROM orders WHERE len(movements) > 0) o"
    where = ["o.moved.kind = 'refund'", *subject.where]
    steps.append(("sold", f"SELECT {', '.join(columns)} FROM {moved} {' '.join(joins)} WHERE {' AND '.join(where)}"))
    found = asking.relations.rows(
        "SELECT o.moved.currency, min(o.happened_at), max(o.happened_at) FROM (SELECT happened_at, unnest(movements) AS moved FROM orders) o "
        "WHERE o.moved.kind = 'refund' GROUP BY 1"
    )
    ours = values.add(query.currency)
    abroad = {currency: (first.replace(tzinfo=UTC), last.replace(tzinfo=UTC)) for currency, first, last in found if currency != query.currency}
    if abroad:
        first, last = min(first for first, _ in abroad.values()), max(last for _, last in abroad.values())
        steps.append(rates_step(query.currency, sorted(abroad), values))
        day = local_date("o.ordered_at", offsets(query.time_zone, first, last))
        currency = f"CASE WHEN o.currency = {ours} OR r.multiplier IS NOT NULL THEN {ours} ELSE o.currency END AS currency"
        steps.append(("sales", f"SELECT o.* EXCLUDE (currency, amount), {currency}, {converted('o.amount')} AS refunds_by_date {_with_rates(day)}"))
    else:
        steps.append(("sales", f"SELECT o.* EXCLUDE (currency, amount), {ours} AS currency, o.amount AS refunds_by_date FROM sold o"))
    path_at, join = "s.ordered_at", ""
    if inherits:
        steps += _BEGAN
        path_at, join = "least(b.path_at, s.ordered_at)", f" {_WITH_BEGAN}"
    return *steps, ("conversions", f"SELECT s.*, {path_at} AS path_at FROM sales s{join}")


def leads(asking: Asking) -> tuple[Step, ...]:
    """Contacts, by when they became known."""
    subject = _Subject(asking, moment="p.lead_at", person="p.person", told=dimensions.LEAD, has_items=False)
    columns = ["p.person AS key", "p.person", "p.lead_at AS happened_at", "p.lead_at AS path_at", f"{asking.values.add(asking.query.currency)} AS currency"]
    columns += [*subject.columns, *(["NULL AS id", "p.connection"] if asking.lines else [])]
    joins = [join for join in subject.joins if " contacts p " not in join]
    return *subject.steps, ("conversions", f"SELECT {', '.join(columns)} FROM contacts p {' '.join(joins)} WHERE {' AND '.join(subject.where)}")


class _Subject:
    """What all conversions have in common: the date that decides, the dimensions that they are told by, the filters on these."""

    def __init__(self, asking: Asking, *, moment: str, person: str, told: Mapping[str, str], path_at: str | None = None, has_items: bool = True) -> None:
        """`told`: dimension → SQL; what is of contacts and tags is told by the person. `path_at`: where touches lead to, if not to the moment itself."""
        query, values = asking.query, asking.values
        self.steps: list[Step] = []
        self.joins: list[str] = []
        if asks_contacts(query):
            self.joins.append(f"LEFT JOIN contacts p ON p.person = {person}")
        tags = f"[one.tag FOR one IN g.tags IF one.applied_at <= {moment} AND (one.removed_at IS NULL OR one.removed_at > {moment})]"
        tags = f"coalesce(list_sort(list_distinct({tags})), [])"
        if dimensions.TAG in dimensions.named_by(query):
            self.steps.append(("tags_of", "SELECT person, flatten(list(tags)) AS tags FROM tags GROUP BY person"))
            self.joins.append(f"LEFT JOIN tags_of g ON g.person = {person}")

        def expression(name: str) -> str | None:
            return dimensions.of_contact(name, values) if dimensions.is_of_contact(name) else told.get(name)

        apart = (*dimensions.TOUCH, dimensions.PRODUCT, dimensions.TAG)
        self.columns = [f"{expression(name) or 'CAST(NULL AS VARCHAR)'} AS own_{index}" for index, name in enumerate(query.group_by) if name not in apart]
        self.columns += [f"{tags} AS tags"] if dimensions.TAG in query.group_by else []
        self.columns += ["p.lead_at"] if asks_lead_date(query) else []
        self.where = _dated(query, moment, "p.lead_at", path_at or moment)
        for one in query.filters:
            if one.dimension == dimensions.TAG:
                self.where.append(dimensions.any_fits(tags, one, values))
            elif one.dimension == dimensions.PRODUCT and has_items:
                names = f"[coalesce({dimensions.PRODUCT_OF_ITEM}, '') FOR item IN o.items]"
                self.where.append(dimensions.any_fits(names, one, values))
            elif one.dimension not in apart and (found := expression(one.dimension)) is not None:
                self.where.append(dimensions.fits(found, one, values))


def asks_contacts(query: Query) -> bool:
    return asks_lead_date(query) or any(dimensions.is_of_contact(name) for name in dimensions.named_by(query))


def _inherits(query: Query) -> bool:
    return asks_touches(query) and query.rebill_credit == "inherit"


def _dated(query: Query, moment: str, lead_at: str, path_at: str) -> list[str]:
    """SQL: whether something is among what the range can hold. What is given back of an order is credited as the order, however much later it is."""
    start, end, now = timestamp(query.range.start), timestamp(query.range.end), timestamp(query.now)
    match query.date_mode:
        case DateMode.CONVERSION_DATE:
            return [f"{moment} >= {start}", f"{moment} < {end}", f"{moment} <= {now}"]
        case DateMode.LEAD_DATE:
            return [f"{lead_at} >= {start}", f"{lead_at} < {end}", f"{moment} <= {now}"]
        case DateMode.TOUCH_DATE:
            return [f"{moment} >= {start}", f"{moment} <= {now}", f"{path_at} <= {timestamp(_latest_credited(query))}"]


def _formula(name: str, query: Query) -> str:
    if name != "net_revenue":
        return MONEY[name]
    return MONEY[name] + (_KEPT_TAX if query.include_tax else "") + (_KEPT_SHIPPING if query.include_shipping else "")


@dataclass(frozen=True)
class _Abroad:
    currencies: Set[str]
    """Those that are not the query's."""
    first: datetime
    last: datetime
    others: bool
    """Whether anything moved in a currency that is not its order's."""
    rebills: bool


def _abroad(asking: Asking, moment: str) -> _Abroad:
    """Asked beforehand: most shops have one currency, and their amounts then need no rates; many have no rebills."""
    query = asking.query
    dated = _dated(query, moment, moment, moment) if query.date_mode is not DateMode.LEAD_DATE else [f"{moment} <= {timestamp(query.now)}"]
    found = asking.relations.rows(
        f"SELECT o.currency, min({moment}), max({moment}), bool_or(len(o.others) > 0), bool_or(o.rebill) FROM orders o WHERE {' AND '.join(dated)} GROUP BY 1"
    )
    currencies = {currency for currency, *_ in found if currency != query.currency}
    others = any(has_others for _, _, _, has_others, _ in found)
    if others:
        currencies |= {
            currency for (currency,) in asking.relations.rows(f"SELECT DISTINCT unnest(o.others).currency FROM orders o WHERE {' AND '.join(dated)}")
        }
    first = min((first.replace(tzinfo=UTC) for _, first, *_ in found), default=query.range.start)
    last = max((last.replace(tzinfo=UTC) for _, _, last, *_ in found), default=query.range.end)
    return _Abroad(currencies, first, last, others, any(rebills for *_, rebills in found))


def _in_one_currency(asking: Asking, abroad: _Abroad, *, columns: list[str], formulas: Mapping[str, str], source: str, name: str) -> list[Step]:
    """The step `name`: `columns` and money, which is in the query's currency where there is a rate."""
    query, values = asking.query, asking.values
    day = local_date("o.happened_at", offsets(query.time_zone, abroad.first, abroad.last))
    read = [column for column in _COLUMNS if any(f"{{{column}}}" in formula for formula in formulas.values())]
    raw = ["true AS counted", "o.currency", *(f"o.{column}" for column in read)]
    told = [column.rpartition(" AS ")[2].rpartition(".")[2] for column in columns]
    currency = f"CASE WHEN r.multiplier IS NOT NULL THEN {values.add(query.currency)} ELSE o.currency END AS currency"
    steps = [rates_step(query.currency, sorted(abroad.currencies), values)]
    if not abroad.others:
        whole, exchanged = _worked_out(formulas, "o.{}", named=False), _worked_out(formulas, exchange("o.{}"), named=False)
        money = [f"CASE WHEN r.multiplier IS NULL THEN {ours} ELSE {theirs} END AS {key}" for key, ours, theirs in zip(formulas, whole, exchanged, strict=True)]
        steps.append(("sold", f"SELECT {', '.join([*columns, *raw])} {source}"))
        steps.append((name, f"SELECT {', '.join([*(f'o.{column}' for column in told), currency, *money])} {_with_rates(day)}"))
        return steps
    steps.append(("sold_in_own", f"SELECT {', '.join([*columns, *raw, 'o.others'])} {source}"))
    moved = [f"o.moved.{column}" if column in _OF_OTHERS else f"0 AS {column}" for column in read]
    steps.append(
        (
            "sold",
            f"""SELECT * EXCLUDE (others) FROM sold_in_own
UNION ALL SELECT {", ".join([*(f"o.{column}" for column in told), "false AS counted", "o.moved.currency AS currency", *moved])}
FROM (SELECT *, unnest(others) AS moved FROM sold_in_own WHERE len(others) > 0) o""",
        )
    )
    once = [*(f"any_value(o.{column}) AS {column}" for column in told if column != "key"), "bool_or(o.counted) AS counted"]
    summed = [f"CAST(sum({converted('o.' + column)}) AS BIGINT) AS {column}" for column in read]
    steps.append(("moved_in", f"SELECT o.key, {', '.join([currency, *once, *summed])} {_with_rates(day)} GROUP BY 1, 2"))
    steps.append((name, f"SELECT s.* EXCLUDE ({', '.join(read)}), {', '.join(_worked_out(formulas, 's.{}'))} FROM moved_in s"))
    return steps


def _worked_out(formulas: Mapping[str, str], column: str, *, named: bool = True) -> list[str]:
    """SQL of formulas: `column` says what of a column stands in them, with `{}` for its name."""
    of_columns = {name: column.replace("{}", name) for name in _COLUMNS}
    return [formula.format(**of_columns) + (f" AS {name}" if named else "") for name, formula in formulas.items()]


def _with_rates(day: str) -> str:
    return f"FROM sold o LEFT JOIN rates_on r ON r.currency = o.currency AND r.day = {day}"


def first_sales(query: Query | None = None) -> Step:
    """`first_sales`: of each person the first order ever, over all months that there are; where the query asks for none before its range, of those who had none
    before it."""
    begins = None if query is None or query.date_mode is DateMode.LEAD_DATE else timestamp(query.range.start)
    since = "" if begins is None else f" AND o.sold_at >= {begins}"
    newcomers = "" if begins is None else f" ANTI JOIN orders e ON e.person = o.person AND e.sold_at < {begins}"
    return "first_sales", f"SELECT arg_min(o.key, row(o.sold_at, o.key)) AS key FROM orders o{newcomers} WHERE o.sold_at IS NOT NULL{since} GROUP BY o.person"


_BEGAN: Final[tuple[Step, ...]] = (
    ("rebilled", "SELECT DISTINCT connection, subscription_id FROM sales WHERE rebill AND subscription_id IS NOT NULL"),
    (
        "named_orders",
        """SELECT w.connection, w.subscription_id, u.order_id
FROM rebilled w JOIN subscriptions u ON u.connection = w.connection AND u.subscription_id = w.subscription_id WHERE u.order_id IS NOT NULL""",
    ),
    (
        "began_named",
        """SELECT w.connection, w.subscription_id, min(o.sold_at) AS path_at
FROM named_orders w JOIN orders o ON o.connection = w.connection AND o.order_id = w.order_id
WHERE o.sold_at IS NOT NULL GROUP BY w.connection, w.subscription_id""",
    ),
    ("unnamed", "SELECT w.* FROM rebilled w ANTI JOIN began_named b ON b.connection = w.connection AND b.subscription_id = w.subscription_id"),
    (
        "began_first",
        """SELECT w.connection, w.subscription_id, min(o.sold_at) AS path_at
FROM unnamed w JOIN orders o ON o.connection = w.connection AND o.subscription_id = w.subscription_id
WHERE o.sold_at IS NOT NULL GROUP BY w.connection, w.subscription_id""",
    ),
    ("began", "SELECT * FROM began_named UNION ALL SELECT * FROM began_first"),
)
"""When each subscription that was billed again began: by the order that it names, else the first that names it."""
_WITH_BEGAN: Final = "LEFT JOIN began b ON s.rebill AND b.connection = s.connection AND b.subscription_id = s.subscription_id"
