"""Sales as they count in what somebody brought: one line an order that was sold, its revenue in the query's currency where a rate is known."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from tributary.reports.attributed import net_formula
from tributary.reports.frame import Asking
from tributary.reports.money import converted, rates_step
from tributary.reports.periods import local_date, offsets, timestamp
from tributary.reports.statement import Step

NET: Final = "net revenue: gross - discount - refunds - chargebacks - tax - shipping of orders, each with all that was given back of it until now"
_COLUMNS: Final = ("gross", "discount", "tax", "shipping", "voided", "refunded", "charged_back", "returned")


def sales(asking: Asking, *, where: str = "true", more: str = "") -> tuple[Step, ...]:
    """SQL: `sales`: `key`, `person`, `connection`, `order_id`, `sold_at`, `currency` and `revenue` of each order that was sold by now and fits. `more`: further
    columns of `orders o`."""
    query, values = asking.query, asking.values
    abroad = _foreign(asking)
    ours = values.add(query.currency)
    steps: list[Step] = []
    rates, currency, amounts = "", ours, [f"o.{name}" for name in _COLUMNS]
    if abroad:
        first, last = min(since for since, _ in abroad.values()), max(until for _, until in abroad.values())
        day = local_date("o.sold_at", offsets(query.time_zone, first.replace(tzinfo=UTC), last.replace(tzinfo=UTC)))
        steps.append(rates_step(query.currency, sorted(abroad), values))
        rates = f" LEFT JOIN rates_on r ON NOT o.currency_assumed AND r.currency = o.currency AND r.day = {day}"
        currency = f"CASE WHEN o.currency_assumed OR o.currency = {ours} OR r.multiplier IS NOT NULL THEN {ours} ELSE o.currency END"
        amounts = [converted(amount) for amount in amounts]
    told = ", ".join(f"{sql} AS {name}" for name, sql in zip(_COLUMNS, amounts, strict=True))
    sold = f"""SELECT o.key, o.person, o.connection, o.order_id, o.sold_at{more}, {currency} AS counted_in, {told}
FROM orders o{rates} WHERE o.sold_at <= {timestamp(query.now)} AND ({where})"""
    revenue = net_formula(query).format(**{name: name for name in _COLUMNS})
    return (*steps, ("sold", sold), ("sales", f"SELECT * EXCLUDE ({', '.join(_COLUMNS)}, counted_in), counted_in AS currency, {revenue} AS revenue FROM sold"))


def _foreign(asking: Asking) -> dict[str, tuple[datetime, datetime]]:
    """The currencies that are not the query's, with their first and last sale, naive UTC: most shops have none, and their amounts then need no rates."""
    found = asking.relations.rows(
        "SELECT currency, min(sold_at), max(sold_at) FROM orders WHERE NOT currency_assumed AND sold_at IS NOT NULL GROUP BY currency"
    )
    return {currency: (first, last) for currency, first, last in found if currency != asking.query.currency}
