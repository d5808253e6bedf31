"""The reports of what was brought by what: acquisition, advertisement, orders, attribution, lead source."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

from tributary.facts.tables import Kind, Months, Needs
from tributary.reports import conversions, dimensions
from tributary.reports.conversions import MONEY, OrdersAsked
from tributary.reports.credits import Conversions, Credits, asks_touches, credited
from tributary.reports.definitions import ADVERTISING_KPIS, LEAD_KPIS, ORDER_KPIS
from tributary.reports.frame import Asking, Detail, Measure
from tributary.reports.payback import PAYBACK, PaybackTable
from tributary.reports.query import DateMode, Model, Query, ReportType
from tributary.reports.spend import Spend
from tributary.reports.statement import Step


class Orders:
    """Orders that were sold, by the moment they were."""

    measures: Set[str] = frozenset(
        {*MONEY, "orders", "items_sold", "refunded_orders", "customers", "new_customers", "repeat_customers", "value", "attributed_value"}
    )
    coverage = ("attributed_value", "value")

    def needs(self, query: Query, measures: Set[str]) -> Needs:
        first_sales = "new_customers" in measures or dimensions.CUSTOMER_TYPE in dimensions.named_by(query)
        return conversions.needs_of_orders(query, first_sales=first_sales)

    def detail(self, asking: Asking, measures: Set[str], *, own: Mapping[str, str] = dimensions.ORDER) -> Detail:
        wanted = measures | ({"net_revenue"} if measures & {"value", "attributed_value"} else set())
        money = tuple(name for name in MONEY if name in wanted)
        asked = OrdersAsked(
            money=money,
            is_new="new_customers" in measures,
            is_refunded="refunded_orders" in measures,
            items_sold="items_sold" in measures,
        )
        others = [name for name in ("is_new", "is_refunded", "items_sold") if getattr(asked, name)]
        sales = conversions.sales(asking, asked, own=own)
        credits = credited(
            asking, Conversions(kind="order", money=money, others=others, has_items=True, any_time=sales.any_time, by_currency=sales.by_currency)
        )
        steps = [*sales.steps, *credits.steps]
        if "repeat_customers" in measures:
            steps.append(_repeated(asking))
        return Detail(tuple(steps), self._measures(measures, credits, touched=asks_touches(asking.query)), credits.overlapping)

    @staticmethod
    def _measures(wanted: Set[str], credits: Credits, *, touched: bool) -> dict[str, Measure]:
        money_once, count_once = _once(credits)
        all_of_them = {
            **{name: _adding(name, money_once) for name in MONEY},
            "orders": _adding("weight", count_once),
            "items_sold": _adding("CASE WHEN counted THEN items_sold * share ELSE 0 END", money_once),
            "refunded_orders": _adding("CASE WHEN is_refunded THEN weight ELSE 0 END", count_once),
            "customers": Measure(value="counted", how="people"),
            "new_customers": Measure(value="counted AND is_new", how="people"),
            "repeat_customers": Measure(value="counted AND repeats", of_total="counted AND repeats_in_total", how="people"),
            "value": _adding("net_revenue", money_once),
            "attributed_value": _adding("CASE WHEN touched THEN net_revenue ELSE 0 END" if touched else "net_revenue", money_once),
        }
        return {name: measure for name, measure in all_of_them.items() if name in wanted}


class Refunds:
    """What was given back, by the day it was."""

    measures: Set[str] = frozenset({"refunds_by_date"})
    coverage = None

    def needs(self, query: Query, measures: Set[str]) -> Needs:  # noqa: ARG002
        return conversions.needs_of_refunds(query)

    def detail(self, asking: Asking, measures: Set[str]) -> Detail:  # noqa: ARG002
        credits = credited(asking, Conversions(kind="refund", money=["refunds_by_date"], has_items=True))
        measure = _adding("refunds_by_date", _once(credits)[0])
        return Detail((*conversions.refunds(asking), *credits.steps), {"refunds_by_date": measure}, credits.overlapping)


class Leads:
    """People, by the moment they became known."""

    measures: Set[str] = frozenset({"leads", "attributed_leads"})
    coverage = ("attributed_leads", "leads")

    def needs(self, query: Query, measures: Set[str]) -> Needs:  # noqa: ARG002
        return {Kind.CONTACTS: Months(), **conversions.needs_of_credits(query, any_time=False)}

    def detail(self, asking: Asking, measures: Set[str]) -> Detail:
        credits = credited(asking, Conversions(kind="lead", any_time=False))
        _, once = _once(credits)
        of_touched = "CASE WHEN touched THEN weight ELSE 0 END" if asks_touches(asking.query) else "weight"
        counted = {"leads": _adding("weight", once), "attributed_leads": _adding(of_touched, once)}
        return Detail(
            (*conversions.leads(asking), *credits.steps),
            {name: measure for name, measure in counted.items() if name in measures},
            credits.overlapping,
            notes=_notes_of_leads(asking.query),
        )


def _notes_of_leads(query: Query) -> tuple[str, ...]:
    known = (*dimensions.TOUCH, *dimensions.LEAD, dimensions.TAG)
    unknown = sorted(name for name in dimensions.named_by(query) if name not in known and not dimensions.is_of_contact(name))
    return (f"Leads are not told by {', '.join(unknown)}: they are neither divided nor filtered by it.",) if unknown else ()


def _once(credits: Credits) -> tuple[str | None, str | None]:
    """The columns that tell which lines a total of money, and one of counts, has; None: all."""
    return "money_once" if credits.once and not credits.divided else None, "count_once" if credits.once else None


def _adding(value: str, once: str | None) -> Measure:
    """`once`: the column that tells which lines a total counts."""
    return Measure(value=value, of_total=None if once is None else f"CASE WHEN {once} THEN {value} END")


def _repeated(asking: Asking) -> Step:
    """The detail, with whether the person has another order in the row, and in the total."""
    period = ["period"] if asking.periods is not None else []
    touched = ["touched"] if asking.attributed else []
    row = ["currency", "person", "counted", *period, *touched, *(f"g{index}" for index in range(len(asking.query.group_by)))]
    ways = {"repeats": ", ".join(row), "repeats_in_total": "currency, person, counted"}
    columns = ", ".join(f"min(key) OVER (PARTITION BY {by}) <> max(key) OVER (PARTITION BY {by}) AS {name}" for name, by in ways.items())
    return "repeated", f"SELECT *, {columns} FROM detail"


_LEGS: Final = (Orders(), Leads(), Refunds(), Spend())
_ADVERTISING: Final = {**ADVERTISING_KPIS, PAYBACK.key: PAYBACK}
_BY_ORDERS: Final = {**ORDER_KPIS, **LEAD_KPIS, **_ADVERTISING}
_BY_LEADS: Final = {**LEAD_KPIS, **ORDER_KPIS, **_ADVERTISING}
_BY_SPEND: Final = {**_ADVERTISING, **LEAD_KPIS, **ORDER_KPIS}

ORDERS: Final = PaybackTable(
    type=ReportType.ORDERS,
    legs=_LEGS,
    dimensions=dimensions.ALL_NAMES,
    touch_dimensions=dimensions.TOUCH_NAMES,
    all_kpis=_BY_ORDERS,
    default_kpis=("net_revenue", "orders", "customers", "aov", "customer_value", "refunds"),
)
ACQUISITION: Final = PaybackTable(
    type=ReportType.ACQUISITION,
    legs=_LEGS,
    dimensions=dimensions.ALL_NAMES,
    touch_dimensions=dimensions.TOUCH_NAMES,
    all_kpis=_BY_LEADS,
    default_kpis=("leads", "customers", "conversion_rate", "net_revenue", "lead_value"),
    default_group_by=("channel",),
    default_date_mode=DateMode.LEAD_DATE,
)
ADVERTISEMENT: Final = PaybackTable(
    type=ReportType.ADVERTISEMENT,
    legs=_LEGS,
    dimensions=dimensions.ALL_NAMES,
    touch_dimensions=dimensions.TOUCH_NAMES,
    all_kpis=_BY_SPEND,
    default_kpis=("ad_spend", "leads", "customers", "net_revenue", "cac", "roas", "profit"),
    default_group_by=("campaign",),
)
ATTRIBUTION: Final = PaybackTable(
    type=ReportType.ATTRIBUTION,
    legs=_LEGS,
    dimensions=dimensions.ALL_NAMES,
    touch_dimensions=dimensions.TOUCH_NAMES,
    all_kpis=_BY_ORDERS,
    default_kpis=("net_revenue", "orders", "customers", "new_customers"),
    default_group_by=("channel",),
)
LEAD_SOURCE: Final = PaybackTable(
    type=ReportType.LEAD_SOURCE,
    legs=_LEGS,
    dimensions=dimensions.ALL_NAMES,
    touch_dimensions=dimensions.TOUCH_NAMES,
    all_kpis=_BY_LEADS,
    default_kpis=("leads", "customers", "conversion_rate", "net_revenue", "lead_value"),
    default_group_by=("source",),
    default_model=Model.LEAD_SOURCE,
)
