"""Subscriptions: what runs, what it comes to in a month, how that moved, and what became of trials and declined bills.

A subscription *runs* while its state is `active` or `recycling` (a bill was declined and is tried again); one on trial, paused, failed or ended does not.
What it is at a moment is told by its states and rates: the last of each by then; the first holds from the start. Each change in the range is a line, and
what was there when the range began is a line too, so that what is there at the end is what was there at the start and all that moved. With a scale, what
was there at the start is in the first period, and each later period begins with what the one before it ended with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Final

import msgspec

from tributary.facts.tables import Kind, Months, Needs
from tributary.ports import Relations
from tributary.reports import dimensions
from tributary.reports.answer import Ledger, Report, Value
from tributary.reports.attributed import Orders
from tributary.reports.conversions import MONEY, first_sales
from tributary.reports.credits import Conversions, Credits, asks_touches, credited
from tributary.reports.definitions import ORDER_KPIS
from tributary.reports.frame import Asking, Cells, Detail, Measure, RowId, Table, key_of, months
from tributary.reports.kpis import Kpi, Sums, added, named
from tributary.reports.money import rates_step
from tributary.reports.periods import Bucket, Periods, local_date, offsets, timestamp
from tributary.reports.query import DateMode, Query, Range, ReportType
from tributary.reports.ranges import ALL_TIME, EARLIEST
from tributary.reports.statement import Step
from tributary.reports.subjects import conversions, needs_of, once

MONTH_DAYS: Final = 30
"""What the rule of 30 days, and a monthly rate, call a month."""

DAYS: Final = "days"
"""How long a period is, among its sums."""

_BY_30_DAYS: Final = "price x quantity x 30 / the days of the interval, of what runs"
_BY_CALENDAR: Final = (
    "price x quantity of what runs, / 12 where it is billed by the year, x 1 by the month (30 days), x 52 / 12 by the week, x 365 / 12 by the day; "
    "the interval is the largest of these that its days are a multiple of"
)
_RUNNING: Final = "A subscription runs while it is active or a declined bill of it is tried again."


def _runs(told: str) -> str:
    return f"coalesce({told}.state IN ('active', 'recycling'), FALSE)"


_CHANGED: Final = "weight * (NOT stood AND {})::INT"
_OF_CHANGE: Final = "weight * CASE WHEN NOT stood AND {} THEN {} ELSE 0 END"

MEASURES: Final[Mapping[str, Measure]] = {
    # What was there when the range began, and how it moved
    "active_start": Measure(value="weight * (stood AND runs)::INT"),
    "active_moved": Measure(value="weight * (NOT stood)::INT * (runs::INT - ran::INT)"),
    "trials_start": Measure(value="weight * (stood AND is_trial)::INT"),
    "trials_moved": Measure(value="weight * (NOT stood)::INT * (is_trial::INT - was_trial::INT)"),
    "paused_start": Measure(value="weight * (stood AND is_paused)::INT"),
    "paused_moved": Measure(value="weight * (NOT stood)::INT * (is_paused::INT - was_paused::INT)"),
    "mrr_start": Measure(value="weight * CASE WHEN stood THEN mrr ELSE 0 END"),
    "mrr_moved": Measure(value="weight * CASE WHEN stood THEN 0 ELSE mrr - mrr_before END"),
    "calendar_mrr_start": Measure(value="weight * CASE WHEN stood THEN calendar_mrr ELSE 0 END"),
    "calendar_mrr_moved": Measure(value="weight * CASE WHEN stood THEN 0 ELSE calendar_mrr - calendar_mrr_before END"),
    "customers_start": Measure(value="CASE WHEN stood THEN crossed ELSE 0 END", of_total="CASE WHEN stood THEN crossed_of_all ELSE 0 END"),
    "customers_moved": Measure(value="CASE WHEN stood THEN 0 ELSE crossed END", of_total="CASE WHEN stood THEN 0 ELSE crossed_of_all END"),
    "customers_gained": Measure(value="(NOT stood AND crossed > 0)::INT", of_total="(NOT stood AND crossed_of_all > 0)::INT"),
    "customers_lost": Measure(value="(NOT stood AND crossed < 0)::INT", of_total="(NOT stood AND crossed_of_all < 0)::INT"),
    # Why the money moved
    "mrr_new": Measure(value=_OF_CHANGE.format("runs AND is_first_run", "mrr")),
    "mrr_reactivated": Measure(value=_OF_CHANGE.format("runs AND NOT ran AND NOT is_first_run", "mrr")),
    "mrr_expanded": Measure(value=_OF_CHANGE.format("runs AND ran", "greatest(mrr - mrr_before, 0)")),
    "mrr_contracted": Measure(value=_OF_CHANGE.format("runs AND ran", "greatest(mrr_before - mrr, 0)")),
    "mrr_churned": Measure(value=_OF_CHANGE.format("ran AND NOT runs", "mrr_before")),
    # What happened to subscriptions
    "started": Measure(value=_CHANGED.format("is_start")),
    "first_ran": Measure(value=_CHANGED.format("runs AND is_first_run")),
    "reactivated": Measure(value=_CHANGED.format("runs AND NOT ran AND NOT is_first_run")),
    "stopped": Measure(value=_CHANGED.format("ran AND NOT runs")),
    "cancelled": Measure(value=_CHANGED.format("state = 'cancelled' AND was IS DISTINCT FROM 'cancelled'")),
    "cancelled_running": Measure(value=_CHANGED.format("state = 'cancelled' AND ran")),
    "completed": Measure(value=_CHANGED.format("state = 'completed' AND was IS DISTINCT FROM 'completed'")),
    "failed": Measure(value=_CHANGED.format("state = 'recycle_failed' AND was IS DISTINCT FROM 'recycle_failed'")),
    "paused": Measure(value=_CHANGED.format("is_paused AND NOT was_paused")),
    # Trials, and bills that were declined
    "trials_started": Measure(value=_CHANGED.format("is_trial_start")),
    "trials_started_converted": Measure(value=_CHANGED.format("is_trial_start AND converts")),
    "trials_converted": Measure(value=_CHANGED.format("is_conversion")),
    "declined": Measure(value=_CHANGED.format("is_decline")),
    "recovered": Measure(value=_CHANGED.format("is_decline AND recovers")),
    "subscribers": Measure(value="true", how="people"),
    "mrr_at_end": Measure(value="mrr_at_end"),
    "attributed_mrr": Measure(value="CASE WHEN touched THEN mrr_at_end ELSE 0 END"),
    "mrr_recovered": Measure(value=_OF_CHANGE.format("is_decline AND recovers", "mrr")),
}
_ORDER_KPIS: Final = (
    "net_revenue",
    "gross_revenue",
    "sales_revenue",
    "collected_revenue",
    "discounts",
    "tax",
    "shipping",
    "refunds",
    "chargebacks",
    "voids",
)
"""Of the orders of subscriptions."""
STOCKS: Final[Mapping[str, str]] = {
    "active_start": "active_moved",
    "trials_start": "trials_moved",
    "paused_start": "paused_moved",
    "mrr_start": "mrr_moved",
    "calendar_mrr_start": "calendar_mrr_moved",
    "customers_start": "customers_moved",
}
"""What is there when a period begins → how it moved within."""
OF_ENDS: Final[Mapping[str, Measure]] = {
    "active_start": Measure(value="weight * ran::INT"),
    "active_moved": Measure(value="weight * (runs::INT - ran::INT)"),
    "trials_start": Measure(value="weight * (was IS NOT DISTINCT FROM 'trial')::INT"),
    "trials_moved": Measure(value="weight * ((state IS NOT DISTINCT FROM 'trial')::INT - (was IS NOT DISTINCT FROM 'trial')::INT)"),
    "paused_start": Measure(value="weight * (was IS NOT DISTINCT FROM 'paused')::INT"),
    "paused_moved": Measure(value="weight * ((state IS NOT DISTINCT FROM 'paused')::INT - (was IS NOT DISTINCT FROM 'paused')::INT)"),
    "mrr_start": Measure(value="weight * mrr_before"),
    "mrr_moved": Measure(value="weight * (mrr - mrr_before)"),
    "calendar_mrr_start": Measure(value="weight * calendar_mrr_before"),
    "calendar_mrr_moved": Measure(value="weight * (calendar_mrr - calendar_mrr_before)"),
    "started": Measure(value="weight * is_start::INT"),
    "cancelled": Measure(value="weight * cancelled"),
    "mrr_at_end": Measure(value="weight * mrr"),
    "attributed_mrr": Measure(value="CASE WHEN touched THEN weight * mrr ELSE 0 END"),
}
"""The measures that are told by what a subscription was at both ends of the range, and how often it was cancelled: a line each is then enough. They come to the
same as MEASURES."""
_OF_STOCKS: Final = STOCKS.keys() | set(STOCKS.values())
_OF_FIRST_RUNS: Final = {"mrr_new", "mrr_reactivated", "first_ran", "reactivated"}
_OF_RECOVERIES: Final = {"recovered", "mrr_recovered"}
_OF_PEOPLE: Final = {"customers_start", "customers_moved", "customers_gained", "customers_lost"}


@dataclass(frozen=True, kw_only=True)
class Lifetime(Kpi):
    """What a customer comes to while they stay: ARPU / the share of customers lost in 30 days."""

    days: float
    """Of the range; of a period within it, the sums say it (`DAYS`)."""

    def of(self, sums: Sums) -> Value:
        parts = self.parts(sums)
        if not parts["customers"] or not parts["customers_lost"] or not parts["customers_start"]:
            return None
        lost_a_month = parts["customers_lost"] / parts["customers_start"] * MONTH_DAYS / parts["days"]
        return round(parts["mrr"] / parts["customers"] / lost_a_month, 6)

    def parts(self, sums: Sums) -> dict[str, int | float]:
        return {
            "mrr": added(("mrr_start", "mrr_moved"), sums),
            "customers": added(("customers_start", "customers_moved"), sums),
            "customers_start": sums.get("customers_start", 0),
            "customers_lost": sums.get("customers_lost", 0),
            "days": sums.get(DAYS, self.days),
        }


def subscription_kpis(days: float) -> Mapping[str, Kpi]:
    """Of a range of so many days."""
    return named(
        _money("mrr", "MRR", ("mrr_start", "mrr_moved"), f"Monthly recurring revenue at the end: {_BY_30_DAYS}. {_RUNNING}"),
        _money("mrr_calendar", "MRR by the calendar", ("calendar_mrr_start", "calendar_mrr_moved"), f"Monthly recurring revenue at the end: {_BY_CALENDAR}."),
        Kpi(key="arr", name="ARR", unit="money", over=("mrr_start", "mrr_moved") * 12, definition="12 x MRR."),
        _money("mrr_start", "MRR at start", ("mrr_start",), "MRR when the range begins."),
        _money("new_mrr", "New MRR", ("mrr_new",), "MRR of subscriptions that ran for the first time, a converted trial among them."),
        _money("expansion_mrr", "Expansion MRR", ("mrr_expanded",), "By how much the MRR of running subscriptions rose: by price, quantity or interval."),
        _money("contraction_mrr", "Contraction MRR", ("mrr_contracted",), "By how much the MRR of running subscriptions fell while they ran on."),
        _money("churned_mrr", "Churned MRR", ("mrr_churned",), "MRR of subscriptions that stopped running: cancelled, paused, failed or completed."),
        _money("reactivation_mrr", "Reactivation MRR", ("mrr_reactivated",), "MRR of subscriptions that ran again after they had stopped."),
        _money(
            "net_new_mrr",
            "Net new MRR",
            ("mrr_moved",),
            "New + expansion + reactivation - contraction - churned MRR; MRR at the start and this are MRR at the end.",
        ),
        _count("active", "Active", ("active_start", "active_moved"), f"Subscriptions that run at the end. {_RUNNING}"),
        _count("active_start", "Active at start", ("active_start",), "Subscriptions that run when the range begins."),
        _count("on_trial", "On trial", ("trials_start", "trials_moved"), "Subscriptions on trial at the end."),
        _count("paused", "Paused", ("paused_start", "paused_moved"), "Subscriptions paused at the end."),
        _count("new_subscriptions", "New subscriptions", ("started",), "Subscriptions that began in the range, trials among them."),
        _count("activations", "Activations", ("first_ran",), "Subscriptions that ran for the first time, converted trials among them."),
        _count("reactivations", "Reactivations", ("reactivated",), "Times that a subscription ran again after it had stopped."),
        _count("cancellations", "Cancellations", ("cancelled",), "Times that a subscription was cancelled, on trial or paused ones too."),
        _count("completions", "Completions", ("completed",), "Subscriptions that ran out: their last bill was paid."),
        _count("failures", "Failures", ("failed",), "Subscriptions that ended since a declined bill was given up."),
        _count("pauses", "Pauses", ("paused",), "Times that a subscription was paused."),
        _count("churned", "Churned", ("stopped",), "Times that a running subscription stopped: cancelled, paused, failed or completed."),
        _rate("churn_rate", "Churn rate", ("stopped",), ("active_start",), "100 x churned / active at start."),
        _rate(
            "cancellation_rate",
            "Cancellation rate",
            ("cancelled_running",),
            ("active_start",),
            "100 x running subscriptions that were cancelled / active at start.",
        ),
        _rate("mrr_churn_rate", "MRR churn rate", ("mrr_churned",), ("mrr_start",), "100 x churned MRR / MRR at start."),
        _rate(
            "mrr_retention",
            "Net MRR retention",
            ("mrr_start", "mrr_expanded", "mrr_reactivated", "-mrr_contracted", "-mrr_churned"),
            ("mrr_start",),
            "100 x (MRR at start + expansion + reactivation - contraction - churned) / MRR at start.",
        ),
        _people("customers", "Customers", ("customers_start", "customers_moved"), "People of whom a subscription runs at the end."),
        _people("customers_start", "Customers at start", ("customers_start",), "People of whom a subscription runs when the range begins."),
        _people("new_customers", "Customers gained", ("customers_gained",), "Times that somebody of whom none ran came to a running subscription."),
        _people("churned_customers", "Churned customers", ("customers_lost",), "Times that the last running subscription of somebody stopped."),
        _rate("customer_churn_rate", "Customer churn rate", ("customers_lost",), ("customers_start",), "100 x churned customers / customers at start."),
        Kpi(
            key="arpu", name="ARPU", unit="money", over=("mrr_start", "mrr_moved"), under=("customers_start", "customers_moved"), definition="MRR / customers."
        ),
        Lifetime(
            key="ltv",
            name="LTV",
            unit="money",
            over=("mrr_start", "mrr_moved"),
            under=("customers_start", "customers_moved", "customers_lost"),
            days=days,
            definition=f"ARPU / monthly churn, which is churned customers / customers at start x {MONTH_DAYS} / the days of the range. No costs are taken off.",
        ),
        _count("trials_started", "Trials started", ("trials_started",), "Trials that began in the range."),
        _count("trials_converted", "Trials converted", ("trials_converted",), "Trials that became active in the range, whenever they began."),
        _rate(
            "trial_conversion",
            "Trial conversion",
            ("trials_started_converted",),
            ("trials_started",),
            "100 x those of the trials started that became active by now / trials started.",
        ),
        _count(
            "declined_rebills", "Declined rebills", ("declined",), "Times that a subscription came into recycling: its bill was declined and was tried again."
        ),
        _count("recovered_rebills", "Recovered rebills", ("recovered",), "Those of the declined rebills after which it became active again, by now."),
        _rate("recovery_rate", "Recovery rate", ("recovered",), ("declined",), "100 x recovered / declined rebills."),
        *(ORDER_KPIS[key] for key in _ORDER_KPIS),
        _count("bills", "Bills", ("orders",), "Orders sold in the range that a subscription began with or was billed by."),
        Kpi(
            key="realised_ltv",
            name="Realised LTV",
            unit="money",
            over=("revenue_to_date",),
            under=("subscribers",),
            definition="Revenue of subscriptions since ever, until the end of the range / distinct people who ever had a subscription by then.",
        ),
        _money("recovered_mrr", "Recovered MRR", ("mrr_recovered",), "MRR of the subscriptions that were recovered."),
    )


@dataclass(frozen=True)
class SubscriptionLeg:
    """Subscriptions and their changes. Each is credited as the order that it began with."""

    measures: Set[str] = frozenset(MEASURES)
    coverage: tuple[str, str] | None = ("attributed_mrr", "mrr_at_end")

    def needs(self, query: Query, measures: Set[str]) -> Needs:  # noqa: ARG002
        first_orders = {Kind.ORDERS: months(None, query.now)} if _asks_first_orders(query) else {}
        return {Kind.SUBSCRIPTIONS: Months(), Kind.RATES: Months(), **first_orders, **needs_of(query, months(None, min(query.range.end, query.now)))}

    def detail(self, asking: Asking, measures: Set[str]) -> Detail:
        query = asking.query
        start, end = timestamp(query.range.start), timestamp(min(query.range.end, query.now + timedelta(microseconds=1)))
        of_ends = measures <= OF_ENDS.keys() and query.scale is None and not asking.lines
        lives = _lives(asking)
        if of_ends:
            dated = lives[: next(index for index, (name, _) in enumerate(lives) if name == "dated") + 1]
            steps: list[Step] = [*dated, ("changes", _ends(start, end, measures))]
        else:
            steps = [*lives, ("changes", _changes(start, end, measures))]
        asked = {name: measure for name, measure in (OF_ENDS if of_ends else MEASURES).items() if name in measures}
        overlapping = False
        if dimensions.named_by(query) <= _TOLD_BY_ITSELF.keys():
            steps.append(("told", _told_by_itself(asking)))
        else:
            credits = self._credits(asking, steps)
            of_people = {name: measure for name, measure in asked.items() if name in _OF_PEOPLE}
            asked = once(asked, overlapping=credits.once) | of_people  # how many people there are is worked out for rows and totals apart
            overlapping = credits.overlapping
            steps.append(("told", _told(asking, once=credits.once)))
        steps.append(("subscription_lines", "SELECT * FROM told" if of_ends else _lines(asking, measures)))
        return Detail(tuple(steps), asked, overlapping)

    @staticmethod
    def _credits(asking: Asking, steps: list[Step]) -> Credits:
        """Adds the steps that work out which rows each subscription belongs to."""
        query = asking.query
        groups = tuple(_PRODUCT if name == dimensions.PRODUCT else name for name in query.group_by)
        plain = replace(asking, query=msgspec.structs.replace(query, group_by=groups, scale=None), lines=False)
        own = {dimensions.CONNECTION: "x.connection", dimensions.PRODUCT: "x.product", _PRODUCT: "x.product"}
        own |= {name: f"x.began_with.{name}" for name in _OF_FIRST_ORDER}
        steps += _begun(query)
        columns = ["x.key", "x.person", "x.started_at AS happened_at", "'' AS currency"]
        steps += conversions(plain, source="begun", columns=columns, at="x.begun_at", tagged_at="x.started_at", own=own)
        credits = credited(plain, Conversions(kind="subscription"))
        steps += credits.steps
        return credits


@dataclass(frozen=True)
class SubscriptionOrders:
    """The orders that subscriptions began with, and their later bills."""

    measures: Set[str] = frozenset({*MONEY, "orders"})
    coverage: tuple[str, str] | None = None

    def needs(self, query: Query, measures: Set[str]) -> Needs:
        first_orders = {Kind.ORDERS: months(None, query.now)} if _tells_first_orders(query) else {}
        return {**Orders().needs(query, measures), Kind.SUBSCRIPTIONS: Months(), **first_orders}

    def detail(self, asking: Asking, measures: Set[str]) -> Detail:
        if not _tells_first_orders(asking.query):
            found = Orders().detail(asking, measures)
            return found._replace(steps=(("orders", _OF_SUBSCRIPTIONS), *found.steps))
        found = Orders().detail(asking, measures, own={dimensions.CONNECTION: "o.connection", **{name: f"o.began_with.{name}" for name in _OF_FIRST_ORDER}})
        return found._replace(steps=(*_began_with(asking.query), *found.steps))


@dataclass(frozen=True)
class RevenueToDate:
    """The revenue of these orders until the end of the range, since ever."""

    measures: Set[str] = frozenset({"revenue_to_date"})
    coverage: tuple[str, str] | None = None

    def needs(self, query: Query, measures: Set[str]) -> Needs:  # noqa: ARG002
        return SubscriptionOrders().needs(_since_ever(query), frozenset({"net_revenue"}))

    def detail(self, asking: Asking, measures: Set[str]) -> Detail:  # noqa: ARG002
        found = SubscriptionOrders().detail(replace(asking, query=_since_ever(asking.query)), frozenset({"net_revenue"}))
        return found._replace(measures={"revenue_to_date": found.measures["net_revenue"]})


def _since_ever(query: Query) -> Query:
    ever = msgspec.structs.replace(query.range, start=datetime.combine(EARLIEST, time(), tzinfo=UTC))
    return msgspec.structs.replace(query, range=ever)


class SubscriptionTable(Table):
    """With what was there at the start of each period: what the one before it ended with. What happened is dated by its own day in any way of dating."""

    def needs(self, query: Query) -> Needs:
        return super().needs(_by_own_day(query))

    def answer(self, query: Query, relations: Relations) -> Report:
        return super().answer(_by_own_day(query), relations)

    def kpis(self, query: Query | None = None) -> Mapping[str, Kpi]:
        if query is None:
            return self.all_kpis
        kpis = subscription_kpis(_days_of(query.range))
        if query.scale is None:
            return kpis
        # What is there at the end of each period is not added up; what has been brought since ever is of no period.
        return {
            key: replace(kpi, adds_up=kpi.adds_up and not kpi.measures & STOCKS.keys()) for key, kpi in kpis.items() if "revenue_to_date" not in kpi.measures
        }

    def ledger(self, query: Query, relations: Relations, *, row_key: str | None, kpi: str, limit: int, offset: int) -> Ledger:
        query = _by_own_day(query)
        if row_key is not None and query.scale is not None:
            query, row_key = self._of_one_period(query, row_key)
        return super().ledger(query, relations, row_key=row_key, kpi=kpi, limit=limit, offset=offset)

    @staticmethod
    def _buckets(query: Query, periods: Periods, cells: Cells) -> Sequence[Bucket]:
        """The periods that have begun; of all time, from the first with anything on. Of a range that is all to come each, as what runs now still will."""
        begun = [bucket for bucket in periods.buckets if periods.range_of(bucket).start <= query.now] or periods.buckets
        if query.range.words != ALL_TIME:
            return begun
        met = {row_id.period for row_id in cells.rows}
        first = next((number for number, bucket in enumerate(begun) if bucket in met), len(begun))
        return begun[first:]

    def _of_one_period(self, query: Query, row_key: str) -> tuple[Query, str]:
        """The same row of a report of its period alone: what is there at its start is not all in its lines."""
        row = self._row_of(query, row_key)
        assert query.scale is not None
        assert row.period is not None
        period = Periods(query.scale, query.range, query.time_zone).range_of(row.period)
        return msgspec.structs.replace(query, range=period, scale=None), key_of(row._replace(period=None), None)

    def _cells(self, query: Query, relations: Relations, kpis: Sequence[Kpi]) -> Cells:
        cells = super()._cells(query, relations, kpis)
        if query.scale is None:
            return cells
        periods = Periods(query.scale, query.range, query.time_zone)
        buckets = self._buckets(query, periods, cells)
        if not buckets:
            return cells
        lengths = {bucket: _days_of(periods.range_of(bucket)) for bucket in buckets}
        rows: dict[RowId, dict[str, int | float]] = {}
        for first in dict.fromkeys(row_id._replace(period=buckets[0]) for row_id in cells.rows):
            there: dict[str, int | float] = {}
            for bucket in buckets:
                row_id = first._replace(period=bucket)
                sums = dict(cells.rows.get(row_id, {}))
                for stock in STOCKS:
                    sums[stock] = sums.get(stock, 0) + there.get(stock, 0)
                there = {stock: sums[stock] + sums.get(moved, 0) for stock, moved in STOCKS.items()}
                rows[row_id] = sums | {DAYS: lengths[bucket]}
        return replace(cells, rows=rows)


def _days_of(of: Range) -> float:
    """How long a range is, in days of 24 hours."""
    return (of.end - of.start) / timedelta(days=1)


def _by_own_day(query: Query) -> Query:
    return msgspec.structs.replace(query, date_mode=DateMode.CONVERSION_DATE)


_TOLD_BY_ITSELF: Final = {dimensions.CONNECTION: "c.connection", dimensions.PRODUCT: "c.product"}
_PRODUCT: Final = "subscribed_product"
"""What credits call the product of a subscription: they know products of orders only."""
_PRODUCT_NAME: Final = "coalesce(nullif(x.name, ''), nullif(x.sku, ''), x.product_id)"
_OF_FIRST_ORDER: Final = {name: told for name, told in dimensions.ORDER.items() if name != dimensions.CONNECTION}
"""Dimensions that a subscription and its bills have of the order that it began with."""
_OF_SUBSCRIPTIONS: Final = """SELECT o.* FROM orders o WHERE o.subscription_id IS NOT NULL
OR EXISTS (SELECT 1 FROM subscriptions s WHERE s.connection = o.connection AND s.order_id = o.order_id)"""


def _tells_first_orders(query: Query) -> bool:
    return bool(dimensions.named_by(query) & _OF_FIRST_ORDER.keys())


def _asks_first_orders(query: Query) -> bool:
    return asks_touches(query) or _tells_first_orders(query)


def _begun(query: Query) -> list[Step]:
    """SQL: `begun`, of each subscription what rows and choices are told by: the moment whose touches led to it, which is that of the order that it began with
    where that was sold, and what is asked of that order. The wide columns are left to `dated`."""
    now = timestamp(query.now)
    if not _asks_first_orders(query):
        own = f"x.key, x.person, x.started_at, x.connection, {_PRODUCT_NAME} AS product"
        return [("begun", f"SELECT {own}, x.started_at AS begun_at FROM subscriptions x WHERE x.started_at <= {now}")]
    own = ", ".join(f"any_value({sql}) AS {name}" for name, sql in {**{name: f"x.{name}" for name in _KEPT}, "product": _PRODUCT_NAME}.items())
    steps, join, struct = _of_first_order(query)
    began_with = f", {_FIRST.format(struct)} FILTER (WHERE o.key IS NOT NULL) AS began_with" if struct else ""
    return [
        *steps,
        (
            "begun",
            f"""SELECT x.key, {own}, coalesce(min(o.sold_at), any_value(x.started_at)) AS begun_at{began_with}
FROM subscriptions x LEFT JOIN orders o ON o.connection = x.connection AND o.order_id = x.order_id AND o.sold_at <= {now}{join}
WHERE x.started_at <= {now} GROUP BY x.key""",
        ),
    ]


_KEPT: Final = ("person", "started_at", "connection")
_FIRST: Final = "arg_min({}, row(o.sold_at, o.key))"


def _of_first_order(query: Query) -> tuple[list[Step], str, str]:
    """SQL: steps, a join to `orders o`, and what is asked of one as a struct; nothing, where nothing is."""
    asked = [name for name in _OF_FIRST_ORDER if name in dimensions.named_by(query)]
    struct = f"struct_pack({', '.join(f'{name} := {_OF_FIRST_ORDER[name]}' for name in asked)})" if asked else ""
    if dimensions.CUSTOMER_TYPE not in asked:
        return [], "", struct
    name, sql = first_sales()
    return [(f"{name}_ever", sql)], f" LEFT JOIN {name}_ever f ON f.key = o.key", struct


def _began_with(query: Query) -> list[Step]:
    """SQL: `orders`, those of subscriptions, each with what is asked of the order that its subscription began with; of one that names none, its own where it is
    such an order itself."""
    steps, join, struct = _of_first_order(query)
    of_first = f"""SELECT s.connection, s.subscription_id, {_FIRST.format(struct)} AS began_with
FROM subscriptions s JOIN orders o ON o.connection = s.connection AND o.order_id = s.order_id{join}
WHERE s.started_at <= {timestamp(query.now)} AND o.sold_at <= {timestamp(query.now)} GROUP BY s.connection, s.subscription_id"""
    is_first = "EXISTS (SELECT 1 FROM subscriptions s WHERE s.connection = o.connection AND s.order_id = o.order_id)"
    told = f"""SELECT o.*, coalesce(b.began_with, CASE WHEN {is_first} THEN {struct} END) AS began_with
FROM orders o{join} LEFT JOIN began_by b ON b.connection = o.connection AND b.subscription_id = o.subscription_id
WHERE o.subscription_id IS NOT NULL OR {is_first}"""
    return [*steps, ("began_by", of_first), ("orders", told)]


def _in_one_currency(asking: Asking) -> tuple[tuple[Step, ...], str, str, str]:
    """SQL, of `subscriptions u`: the steps of rates, the join to them, the currency that amounts are in, and what they are multiplied with. A subscription is
    converted at the rate of the day that it began, all its life, so that no rate moves MRR."""
    query, values = asking.query, asking.values
    ours = values.add(query.currency)
    found = asking.relations.rows("SELECT currency, min(started_at), max(started_at) FROM subscriptions WHERE NOT currency_assumed GROUP BY currency")
    abroad = {currency: (first, last) for currency, first, last in found if currency != query.currency}
    if not abroad:
        return (), "", ours, "1"
    first, last = min(first for first, _ in abroad.values()), max(last for _, last in abroad.values())
    day = local_date("u.started_at", offsets(query.time_zone, first.replace(tzinfo=UTC), last.replace(tzinfo=UTC)))
    join = f" LEFT JOIN rates_on r ON NOT u.currency_assumed AND r.currency = u.currency AND r.day = {day}"
    currency = f"CASE WHEN u.currency_assumed OR r.multiplier IS NOT NULL THEN {ours} ELSE u.currency END"
    return (rates_step(query.currency, sorted(abroad), values),), join, currency, "coalesce(r.multiplier::DOUBLE / r.divisor::DOUBLE, 1)"


def _lives(asking: Asking) -> tuple[Step, ...]:
    """SQL: each subscription, with `points`, the moments at which it may have changed, and `told`, what it was from each on."""
    now = timestamp(asking.query.now)
    rates, join, currency, factor = _in_one_currency(asking)
    return (
        *rates,
        (
            "dated",
            f"""SELECT * REPLACE (CASE WHEN converted_at <= {now} THEN converted_at END AS converted_at) FROM (
    SELECT u.* REPLACE ({currency} AS currency), {factor} AS factor, {_PRODUCT_NAME.replace("x.", "u.")} AS product, coalesce(
        u.trial_converted_at, list_filter(u.states, lambda s: s.state = 'active' AND s.happened_at > u.trial_started_at)[1].happened_at
    ) AS converted_at FROM subscriptions u{join} WHERE u.started_at <= {now}
)""",
        ),
        (
            "pointed",
            f"""SELECT *, list_sort(list_distinct(list_filter(
    list_concat([started_at, trial_started_at, converted_at],
        list_transform(states[2:], lambda s: s.happened_at), list_transform(rates[2:], lambda r: r.happened_at)),
    lambda p: p >= started_at AND p <= {now}
))) AS points FROM dated""",
        ),
        (
            "lives",
            """SELECT *, list_transform(points, lambda p: {
    'state': coalesce(list_filter(states, lambda s: s.happened_at <= p)[-1].state, states[1].state, state, 'active'),
    'rate': CASE WHEN len(rates) = 0 THEN {'happened_at': p, 'price': price, 'quantity': quantity, 'interval_days': interval_days}
        WHEN len(rates) = 1 THEN rates[1] ELSE coalesce(list_filter(rates, lambda r: r.happened_at <= p)[-1], rates[1]) END
}) AS told FROM pointed""",
        ),
    )


def _changes(start: str, end: str, measures: Set[str]) -> str:
    """SQL: one line for what stood when the range began, and one for each change in it. Lists are left behind as early as can be: they cost most."""
    first_run = "list_position(list_transform(told, lambda t: t.state IN ('active', 'recycling')), TRUE)" if measures & _OF_FIRST_RUNS else "0"
    later = """list_transform(told, lambda t, i: CASE WHEN t.state = 'recycling'
        THEN list_filter(told[i + 1:], lambda later: later.state <> 'recycling')[1].state END)"""
    next_state = f"unnest(({later})[opening:ending])" if measures & _OF_RECOVERIES else "NULL"
    return f"""SELECT key, person, connection, subscription_id, product, currency, started_at, moved_at, NOT is_change AS stood,
    told.state AS state, before.state AS was, {_runs("told")} AS runs, {_runs("before")} AS ran,
    {_monthly("told")} AS mrr, {_monthly("before")} AS mrr_before, {_calendar("told")} AS calendar_mrr, {_calendar("before")} AS calendar_mrr_before,
    i = first_run AS is_first_run, i = 1 AS is_start, coalesce(moved_at = trial_started_at, FALSE) AS is_trial_start,
    converted_at IS NOT NULL AS converts, coalesce(moved_at = converted_at, FALSE) AS is_conversion,
    told.state = 'recycling' AND before.state IS DISTINCT FROM 'recycling' AS is_decline, coalesce(next_state = 'active', FALSE) AS recovers
FROM (
    SELECT key, person, connection, subscription_id, product, currency, started_at, trial_started_at, converted_at, factor, first_run,
        unnest(range(opening, ending + 1)) AS i, unnest(points[opening:ending]) AS moved_at, unnest(points[opening:ending]) >= {start} AS is_change,
        unnest(told[opening:ending]) AS told, unnest(list_prepend(NULL, told)[opening:ending]) AS before, {next_state} AS next_state
    FROM (
        SELECT *, greatest(len(list_filter(points, lambda p: p < {start})), 1) AS opening, len(list_filter(points, lambda p: p < {end})) AS ending,
            {first_run} AS first_run FROM lives
    )
)"""


def _ends(start: str, end: str, measures: Set[str]) -> str:
    """SQL: one line for each subscription: what it was just before the range and at its end."""
    # Of marks of one moment the last counts; the first holds from the start.
    marks = "list_filter(states, lambda s, i: i = len(states) OR states[i + 1].happened_at > s.happened_at)"
    any_at_all = "list_contains(list_transform(states, lambda s: s.state), 'cancelled')"
    cancelled = f"""CASE WHEN NOT {any_at_all} THEN 0 ELSE len(list_filter({marks}, lambda s, i:
        s.state = 'cancelled' AND (i = 1 OR ({marks})[i - 1].state <> 'cancelled')
        AND CASE WHEN i = 1 THEN started_at ELSE s.happened_at END >= {start} AND CASE WHEN i = 1 THEN started_at ELSE s.happened_at END < {end})) END"""
    return f"""SELECT key, person, connection, subscription_id, product, currency, started_at, told.state AS state, before.state AS was,
    {_runs("told")} AS runs, {_runs("before")} AS ran, {_monthly("told")} AS mrr, {_monthly("before")} AS mrr_before,
    {_calendar("told")} AS calendar_mrr, {_calendar("before")} AS calendar_mrr_before,
    started_at >= {start} AS is_start, cancelled
FROM (
    SELECT *, {_at(end)} AS told, CASE WHEN started_at < {start} THEN {_at(start)} END AS before,
        {cancelled if "cancelled" in measures else "0"} AS cancelled
    FROM dated WHERE started_at < {end}
)"""


def _at(moment: str) -> str:
    """SQL: what a subscription of `dated` was just before a moment."""
    return f"""{{
        'state': coalesce(list_filter(states, lambda s: s.happened_at < {moment})[-1].state, states[1].state, state, 'active'),
        'rate': CASE WHEN len(rates) = 0 THEN {{'happened_at': started_at, 'price': price, 'quantity': quantity, 'interval_days': interval_days}}
            ELSE coalesce(list_filter(rates, lambda r: r.happened_at < {moment})[-1], rates[1]) END
    }}"""


def _told_by_itself(asking: Asking) -> str:
    """SQL: each change, in rows that a subscription says itself that it belongs to."""
    query = asking.query
    groups = "".join(f", {_TOLD_BY_ITSELF[name]} AS g{index}" for index, name in enumerate(query.group_by))
    chosen = [dimensions.fits(_TOLD_BY_ITSELF[one.dimension], one, asking.values) for one in query.filters]
    return f"SELECT c.*, 1 AS weight{groups} FROM changes c WHERE {' AND '.join(chosen) or 'true'}"


def _told(asking: Asking, *, once: bool) -> str:
    """SQL: each change once for each row that its subscription belongs to."""
    columns = ["d.weight", *(f"d.g{index}" for index in range(len(asking.query.group_by))), *(["d.touched"] if asking.attributed else [])]
    columns += ["d.count_once", "d.money_once"] if once else []
    return f"SELECT c.*, {', '.join(columns)} FROM changes c JOIN detail d ON d.key = c.key"


def _lines(asking: Asking, measures: Set[str]) -> str:
    """SQL: the changes with what the frame reads."""
    period = ""
    if asking.periods is not None:
        first = asking.values.add(asking.periods.buckets[0])
        period = f", CASE WHEN stood THEN {first} ELSE {asking.periods.bucket('moved_at')} END AS period"
    # A figure of what is there lists each subscription once, by the day it began; one of changes lists the changes.
    at = "started_at" if measures <= _OF_STOCKS else "moved_at"
    groups = [f"g{index}" for index in range(len(asking.query.group_by))]
    crossed = f", {_crossed(['currency', *groups])} AS crossed, {_crossed(['currency'])} AS crossed_of_all" if measures & _OF_PEOPLE else ""
    return f"""SELECT *, 'subscription' AS kind, subscription_id AS id, {at} AS happened_at,
    weight * CASE WHEN stood THEN mrr ELSE mrr - mrr_before END AS mrr_at_end,
    coalesce(state = 'trial', FALSE) AS is_trial, coalesce(was = 'trial', FALSE) AS was_trial,
    coalesce(state = 'paused', FALSE) AS is_paused, coalesce(was = 'paused', FALSE) AS was_paused{period}{crossed}
FROM told"""


def _crossed(by: Sequence[str]) -> str:
    """SQL: 1 where a line makes a person's running subscriptions more than none, -1 where it leaves none. At one moment those that begin come first."""
    delta = "CASE WHEN stood THEN runs::INT ELSE runs::INT - ran::INT END"
    window = f"OVER (PARTITION BY {', '.join(['person', *by])} ORDER BY NOT stood, moved_at, {delta} DESC, key ROWS UNBOUNDED PRECEDING)"
    total = f"sum({delta}) {window}"
    return f"(({total} > 0)::INT - ({total} - {delta} > 0)::INT)"


def _monthly(told: str) -> str:
    rate = f"{told}.rate"
    return f"CASE WHEN {_runs(told)} THEN {rate}.price * {rate}.quantity * {MONTH_DAYS}.0::DOUBLE / greatest({rate}.interval_days, 1) * factor ELSE 0 END"


def _calendar(told: str) -> str:
    rate, days = f"{told}.rate", f"greatest({told}.rate.interval_days, 1)"
    months = (
        f"CASE WHEN {days} % 365 = 0 THEN 1.0::DOUBLE / 12 / ({days} // 365) WHEN {days} % 30 = 0 THEN 1.0::DOUBLE / ({days} // 30) "
        f"WHEN {days} % 7 = 0 THEN 52.0::DOUBLE / 12 / ({days} // 7) ELSE 365.0::DOUBLE / 12 / {days} END"
    )
    return f"CASE WHEN {_runs(told)} THEN {rate}.price * {rate}.quantity * {months} * factor ELSE 0 END"


def _money(key: str, name: str, over: tuple[str, ...], definition: str) -> Kpi:
    return Kpi(key=key, name=name, unit="money", over=over, definition=definition)


def _count(key: str, name: str, over: tuple[str, ...], definition: str) -> Kpi:
    return Kpi(key=key, name=name, unit="count", over=over, definition=definition)


def _people(key: str, name: str, over: tuple[str, ...], definition: str) -> Kpi:
    return Kpi(key=key, name=name, unit="count", over=over, definition=definition, adds_up=False)


def _rate(key: str, name: str, over: tuple[str, ...], under: tuple[str, ...], definition: str) -> Kpi:
    return Kpi(key=key, name=name, unit="percent", over=over, under=under, times=100, definition=definition)


SUBSCRIPTIONS: Final = SubscriptionTable(
    type=ReportType.SUBSCRIPTIONS,
    legs=(SubscriptionLeg(), SubscriptionOrders(), RevenueToDate()),
    dimensions=dimensions.ALL_NAMES,
    touch_dimensions=dimensions.TOUCH_NAMES,
    all_kpis=subscription_kpis(MONTH_DAYS),
    default_kpis=("mrr", "net_new_mrr", "active", "new_subscriptions", "cancellations", "churn_rate", "trial_conversion", "recovery_rate", "arpu"),
)
