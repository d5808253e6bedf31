"""Sales as they count in what somebody brought: the revenue of orders, whoever asks for it and whatever the report is otherwise about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from tributary.reports import conversions
from tributary.reports.conversions import OrdersAsked
from tributary.reports.frame import Asking
from tributary.reports.query import DateMode
from tributary.reports.ranges import EARLIEST
from tributary.reports.statement import Step, statement

NET: Final = "net revenue: gross less discounts, tax, shipping, refunds, chargebacks and voids of orders, with all that was given back of them until now"


def sales(asking: Asking, *, of: str, since: datetime | None = None) -> Step:
    """SQL: `bought`: `key`, `person`, `sold_at`, `currency`, `revenue` and `counted` of each order that was sold by now, and not before `since`; for a ledger
    `id` and `connection`. One line an order and currency that money of it is left in, of which one is `counted`. The query's filters do not matter. `of`: the
    step whose `person`s are the only ones: amounts of others are not worked out."""
    query = asking.query
    start = datetime.combine(EARLIEST, datetime.min.time(), tzinfo=UTC) if since is None else since
    everything = msgspec.structs.replace(query.range, start=start, end=query.now + timedelta(microseconds=1))
    plain = msgspec.structs.replace(query, range=everything, group_by=(), filters=(), scale=None, date_mode=DateMode.CONVERSION_DATE)
    found = conversions.sales(replace(asking, query=plain, attributed=False), OrdersAsked(money=("net_revenue",)))
    columns = ["key", "person", "happened_at AS sold_at", "currency", "net_revenue AS revenue", "counted" if found.by_currency else "true AS counted"]
    columns += ["id", "connection"] if asking.lines else []
    theirs: Step = ("orders", f"SELECT o.* FROM orders o WHERE o.person IN (SELECT person FROM {of})")
    return "bought", statement((theirs, *found.steps), f"SELECT {', '.join(columns)} FROM conversions")
