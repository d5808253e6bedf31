"""Subscriptions: what runs, what it comes to in a month, how that moved, and what became of trials and declined bills.

A subscription *runs* while its state is `active` or `recycling` (a bill was declined and is tried again); one on trial, paused, failed or ended does not.
What it is at a moment is told by its states and rates: the last of each by then; the first holds from the start. Each change in the range is a line, and
what was there when the range began is a line too, so that what is there at the end is what was there at the start and all that moved. With a scale, what
was there at the start is in the first period, and each later period begins with what the one before it ended with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import msgspec

from tributary.facts.tables import Kind, Months, Needs
from tributary.ports import Relations
from tributary.reports.answer import Ledger, Value
from tributary.reports.frame import Asking, Cells, Detail, Measure, RowId, Table, _key
from tributary.reports.kpis import Kpi, Sums, named
from tributary.reports.periods import Periods, timestamp
from tributary.reports.query import Query, Range, ReportType
from tributary.reports.statement import Step

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
    "mrr_recovered": Measure(value=_OF_CHANGE.format("is_decline AND recovers", "mrr")),
}
STOCKS: Final[Mapping[str, str]] = {
    "active_start": "active_moved",
    "trials_start": "trials_moved",
    "paused_start": "paused_moved",
    "mrr_start": "mrr_moved",
    "calendar_mrr_start": "calendar_mrr_moved",
    "customers_start": "customers_moved",
}
"""What is there when a period begins → how it moved within."""
_OF_STOCKS: Final = STOCKS.keys() | set(STOCKS.values())
_OF_PEOPLE: Final = {"customers_start", "customers_moved", "customers_gained", "customers_lost"}


@dataclass(frozen=True, kw_only=True)
class Lifetime(Kpi):
    """What a customer comes to while they stay: ARPU / the share of customers lost in 30 days."""

    days: float
    """Of the range; of a period within it, the sums say it (`DAYS`)."""

    def of(self, sums: Sums) -> Value:
        customers, lost = sums.get("customers_start", 0) + sums.get("customers_moved", 0), sums.get("customers_lost", 0)
        at_start, mrr = sums.get("customers_start", 0), sums.get("mrr_start", 0) + sums.get("mrr_moved", 0)
        if not customers or not lost or not at_start:
            return None
        return round(mrr / customers / (lost / at_start * MONTH_DAYS / sums.get(DAYS, self.days)), 2)


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
        _money("recovered_mrr", "Recovered MRR", ("mrr_recovered",), "MRR of the subscriptions that were recovered."),
    )


@dataclass(frozen=True)
class SubscriptionLeg:
    """Subscriptions and their changes."""

    measures: Set[str] = frozenset(MEASURES)
    coverage: tuple[str, str] | None = None

    def needs(self, query: Query, measures: Set[str]) -> Needs:  # noqa: ARG002
        return {Kind.SUBSCRIPTIONS: Months()}

    def detail(self, asking: Asking, measures: Set[str]) -> Detail:
        query = asking.query
        start, end = timestamp(query.range.start), timestamp(min(query.range.end, query.now))
        steps = (*_lives(timestamp(query.now)), ("changes", _changes(start, end)), ("subscription_lines", _lines(asking, measures)))
        return Detail(steps, {name: measure for name, measure in MEASURES.items() if name in measures})


class SubscriptionTable(Table):
    """With what was there at the start of each period: what the one before it ended with."""

    def kpis(self, query: Query | None = None) -> Mapping[str, Kpi]:
        if query is None:
            return self.all_kpis
        kpis = subscription_kpis(_days_of(query.range))
        if query.scale is None:
            return kpis
        # What is there at the end of each period is not added up.
        return {key: replace(kpi, adds_up=kpi.adds_up and not kpi.measures & STOCKS.keys()) for key, kpi in kpis.items()}

    def ledger(self, query: Query, relations: Relations, *, row_key: str | None, kpi: str, limit: int, offset: int) -> Ledger:
        if row_key is not None and query.scale is not None:
            query, row_key = self._of_one_period(query, row_key)
        return super().ledger(query, relations, row_key=row_key, kpi=kpi, limit=limit, offset=offset)

    def _of_one_period(self, query: Query, row_key: str) -> tuple[Query, str]:
        """The same row of a report of its period alone: what is there at its start is not all in its lines."""
        row = self._row_of(query, row_key)
        assert query.scale is not None
        assert row.period is not None
        period = Periods(query.scale, query.range, query.time_zone).range_of(row.period)
        return msgspec.structs.replace(query, range=period, scale=None), _key(row._replace(period=None), None)

    def _cells(self, query: Query, relations: Relations, kpis: Sequence[Kpi]) -> Cells:
        cells = super()._cells(query, relations, kpis)
        if query.scale is None:
            return cells
        periods = Periods(query.scale, query.range, query.time_zone)
        buckets = periods.buckets
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
        return Cells(rows, cells.totals, cells.overlapping, cells.notes)


def _days_of(of: Range) -> float:
    """How long a range is, by the clock of its zone: a day of 23 hours is one."""
    whole = (of.last - of.first).days + 1
    return min(whole, round((of.end - of.start) / timedelta(days=1), 6)) if whole == 1 else whole


def _lives(now: str) -> tuple[Step, ...]:
    """SQL: each subscription, with `points`, the moments at which it may have changed, and `told`, what it was from each on."""
    return (
        (
            "dated",
            f"""SELECT * REPLACE (CASE WHEN converted_at <= {now} THEN converted_at END AS converted_at) FROM (
    SELECT *, coalesce(
        trial_converted_at, list_filter(states, lambda s: s.state = 'active' AND s.happened_at > trial_started_at)[1].happened_at
    ) AS converted_at FROM subscriptions WHERE started_at <= {now}
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
    'rate': coalesce(list_filter(rates, lambda r: r.happened_at <= p)[-1], rates[1],
        {'happened_at': p, 'price': price, 'quantity': quantity, 'interval_days': interval_days})
}) AS told FROM pointed""",
        ),
    )


def _changes(start: str, end: str) -> str:
    """SQL: one line for what stood when the range began, and one for each change in it."""
    return f"""SELECT key, person, connection, subscription_id, product, currency, started_at, points[i] AS moved_at, NOT is_change AS stood,
    told[i].state AS state, told[i - 1].state AS was, {_runs("told[i]")} AS runs, {_runs("told[i - 1]")} AS ran,
    {_monthly("told[i]")} AS mrr, {_monthly("told[i - 1]")} AS mrr_before,
    {_calendar("told[i]")} AS calendar_mrr, {_calendar("told[i - 1]")} AS calendar_mrr_before,
    i = list_position(list_transform(told, lambda t: t.state IN ('active', 'recycling')), TRUE) AS is_first_run,
    i = 1 AS is_start, coalesce(points[i] = trial_started_at, FALSE) AS is_trial_start, converted_at IS NOT NULL AS converts,
    coalesce(points[i] = converted_at, FALSE) AS is_conversion,
    told[i].state = 'recycling' AND (i = 1 OR told[i - 1].state <> 'recycling') AS is_decline,
    coalesce(list_filter(told[i + 1:], lambda t: t.state <> 'recycling')[1].state = 'active', FALSE) AS recovers
FROM (
    SELECT *, unnest(range(greatest(opening, 1), ending + 1)) AS i, i > opening AS is_change
    FROM (
        SELECT *, coalesce(name, sku, product_id) AS product,
            len(list_filter(points, lambda p: p < {start})) AS opening, len(list_filter(points, lambda p: p < {end})) AS ending FROM lives
    )
)"""


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
    return f"""SELECT *, 1 AS weight, 'subscription' AS kind, subscription_id AS id, {at} AS happened_at,
    coalesce(state = 'trial', FALSE) AS is_trial, coalesce(was = 'trial', FALSE) AS was_trial,
    coalesce(state = 'paused', FALSE) AS is_paused, coalesce(was = 'paused', FALSE) AS was_paused{period}{crossed}
FROM changes"""


def _crossed(by: Sequence[str]) -> str:
    """SQL: 1 where a line makes a person's running subscriptions more than none, -1 where it leaves none. At one moment those that begin come first."""
    delta = "CASE WHEN stood THEN runs::INT ELSE runs::INT - ran::INT END"
    window = f"OVER (PARTITION BY {', '.join(['person', *by])} ORDER BY NOT stood, moved_at, {delta} DESC, key ROWS UNBOUNDED PRECEDING)"
    total = f"sum({delta}) {window}"
    return f"(({total} > 0)::INT - ({total} - {delta} > 0)::INT)"


def _monthly(told: str) -> str:
    rate = f"{told}.rate"
    return f"CASE WHEN {_runs(told)} THEN {rate}.price * {rate}.quantity * {MONTH_DAYS}.0::DOUBLE / greatest({rate}.interval_days, 1) ELSE 0 END"


def _calendar(told: str) -> str:
    rate, days = f"{told}.rate", f"greatest({told}.rate.interval_days, 1)"
    months = (
        f"CASE WHEN {days} % 365 = 0 THEN 1.0::DOUBLE / 12 / ({days} // 365) WHEN {days} % 30 = 0 THEN 1.0::DOUBLE / ({days} // 30) "
        f"WHEN {days} % 7 = 0 THEN 52.0::DOUBLE / 12 / ({days} // 7) ELSE 365.0::DOUBLE / 12 / {days} END"
    )
    return f"CASE WHEN {_runs(told)} THEN {rate}.price * {rate}.quantity * {months} ELSE 0 END"


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
    legs=(SubscriptionLeg(),),
    dimensions=frozenset({"product", "connection"}),
    touch_dimensions=frozenset(),
    all_kpis=subscription_kpis(MONTH_DAYS),
    default_kpis=("mrr", "net_new_mrr", "active", "new_subscriptions", "cancellations", "churn_rate", "trial_conversion", "recovery_rate", "arpu"),
)
