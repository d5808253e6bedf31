"""Sales as they count in what somebody brought: the revenue of orders, whoever asks for it and whatever the report is otherwise about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from tributary.reports import conversions
from tributary.reports.conversions import OrdersAsked
from tributary.reports.credits import Conversions, credited
from tributary.reports.frame import Asking
from tributary.reports.query import DateMode, Filter
from tributary.reports.ranges import EARLIEST
from tributary.reports.statement import Step, statement

NET: Final = "net revenue: gross less discounts, tax, shipping, refunds, chargebacks and voids of orders, with all that was given back of them until now"


def sales(asking: Asking, *, of: str, since: datetime | None = None, told: Sequence[str] = (), filters: Sequence[Filter] = ()) -> Step:
    """SQL: `bought`: `key`, `person`, `sold_at`, `currency`, `revenue` and `counted` of each order that was sold by now, and not before `since`; for a ledger
    `id` and `connection`. One line an order and currency that money of it is left in, of which one is `counted`. `of`: the step whose `person`s are the only
    ones: amounts of others are not worked out. `told`: dimensions of orders that lines are told apart by, as `by_0`, …; of several products each has its part
    of the revenue, and one is `is_one`. Of filters only these matter."""
    query = asking.query
    start = datetime.combine(EARLIEST, datetime.min.time(), tzinfo=UTC) if since is None else since
    everything = msgspec.structs.replace(query.range, start=start, end=query.now + timedelta(microseconds=1))
    plain = msgspec.structs.replace(query, range=everything, group_by=tuple(told), filters=tuple(filters), scale=None, date_mode=DateMode.CONVERSION_DATE)
    of_orders = replace(asking, query=plain, attributed=False)
    found = conversions.sales(of_orders, OrdersAsked(money=("net_revenue",)))
    theirs: Step = ("orders", f"SELECT o.* FROM orders o WHERE o.person IN (SELECT person FROM {of})")
    for_ledger = ["id", "connection"] if asking.lines else []
    if told:
        return "bought", _told_apart(of_orders, (theirs, *found.steps), for_ledger, by_currency=found.by_currency)
    columns = ["key", "person", "happened_at AS sold_at", "currency", "net_revenue AS revenue", "counted" if found.by_currency else "true AS counted"]
    return "bought", statement((theirs, *found.steps), f"SELECT {', '.join([*columns, *for_ledger])} FROM conversions")


def _told_apart(asking: Asking, steps: Sequence[Step], for_ledger: Sequence[str], *, by_currency: bool) -> str:
    name, sql = steps[-1]
    dated: Step = (name, f"SELECT *, happened_at AS sold_at FROM ({sql})")
    credits = credited(asking, Conversions(kind="order", money=("net_revenue",), others=("sold_at",), has_items=True, by_currency=by_currency))
    groups = [f"g{index} AS by_{index}" for index in range(len(asking.query.group_by))]
    by = ["key", "person", "sold_at", "currency", *groups, *for_ledger]
    is_one = "bool_or(count_once)" if credits.once else "true"
    columns = [*by, "CAST(sum(net_revenue) AS BIGINT) AS revenue", "bool_or(counted) AS counted", f"{is_one} AS is_one"]
    select = f"SELECT {', '.join(columns)} FROM {credits.steps[-1][0]} GROUP BY {', '.join(column.partition(' AS ')[0] for column in by)}"
    return statement((*steps[:-1], dated, *credits.steps), select)
