"""What reports are tested with: facts in a few words, and questions with every setting filled in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from tests.kit.facts import MemoryFacts
from tributary.facts.tables import (
    AdSpendFact,
    ContactFact,
    Fact,
    Kind,
    OrderFact,
    OrderItem,
    RateFact,
    SubscriptionFact,
    TagInterval,
    TagsFact,
    TouchFact,
)
from tributary.reports import ranges
from tributary.reports.answer import Ledger, Report, Row
from tributary.reports.engine import answer, ledger
from tributary.reports.query import Query, ReportType

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MARCH = ranges.days(date(2026, 3, 1), date(2026, 3, 31), zone="UTC")
_KINDS: Mapping[type[Fact], Kind] = {
    TouchFact: Kind.TOUCHES,
    OrderFact: Kind.ORDERS,
    ContactFact: Kind.CONTACTS,
    SubscriptionFact: Kind.SUBSCRIPTIONS,
    TagsFact: Kind.TAGS,
    AdSpendFact: Kind.AD_SPEND,
    RateFact: Kind.RATES,
}


def node(name: str) -> str:
    return hashlib.md5(name.encode()).hexdigest()


def moment(text: str) -> datetime:
    """`03-05` or `03-05 14:30`, of 2026 in UTC."""
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


def touch(person: str, at: str, channel: str = "direct", *, key: str = "", connection: str = "shop", **said: Any) -> TouchFact:
    name = f"{person} {at} {channel} {said} {key}"
    return TouchFact(key=node(name), person=node(person), happened_at=moment(at), connection=connection, channel=channel, **said)


def order(person: str, at: str, gross: int, *, id: str = "", currency: str = "USD", sold: bool = True, **said: Any) -> OrderFact:
    id = id or f"{person}-{at}"
    return OrderFact(
        key=node(f"order {id}"),
        person=node(person),
        connection=said.pop("connection", "crm"),
        order_id=id,
        happened_at=moment(at),
        sold_at=moment(at) if sold else None,
        currency=currency,
        gross=gross,
        received=said.pop("received", gross),
        **said,
    )


def item(name: str, amount: int, quantity: int = 1) -> OrderItem:
    return OrderItem(product_id=f"id of {name}", name=name, amount=amount, quantity=quantity)


def lead(person: str, at: str, **said: Any) -> ContactFact:
    return ContactFact(key=node(person), person=node(person), lead_at=moment(at), **said)


def tagged(person: str, **tags: tuple[str, str | None]) -> TagsFact:
    intervals = [TagInterval(tag=tag, applied_at=moment(since), removed_at=moment(until) if until else None) for tag, (since, until) in tags.items()]
    return TagsFact(key=node(person), person=node(person), tags=tuple(intervals))


def subscription(person: str, id: str, *, began_with: str | None, at: str = "01-01") -> SubscriptionFact:
    return SubscriptionFact(
        key=node(f"subscription {id}"), person=node(person), connection="crm", subscription_id=id, order_id=began_with, started_at=moment(at), currency="USD"
    )


def rate(day: str, currency: str, worth: str, to: str = "USD", source: str = "") -> RateFact:
    return RateFact(
        key=node(f"rate {day} {currency} {to}"), batch="b", day=moment(day).date(), from_currency=currency, to_currency=to, rate=Decimal(worth), source=source
    )


def spent(day: str, platform: str, spend: int, *, currency: str = "USD", **said: Any) -> AdSpendFact:
    name = f"spend {day} {platform} {said}"
    return AdSpendFact(key=node(name), batch="b", day=moment(day).date(), platform=platform, currency=currency, spend=spend, **said)


def facts(*rows: Fact) -> MemoryFacts:
    kept: dict[Kind, list[Fact]] = {}
    for row in rows:
        kept.setdefault(_KINDS[type(row)], []).append(row)
    return MemoryFacts(kept)


def query(type: ReportType = ReportType.ORDERS, **said: Any) -> Query:
    """Of March, in UTC and dollars, of what is named alone."""
    settings: dict[str, Any] = {"range": MARCH, "time_zone": "UTC", "kpis": ("net_revenue", "orders"), "now": NOW} | said
    return Query(type=type, **settings)


def asked(rows: MemoryFacts, **said: Any) -> Report:
    return answer(query(**said), rows)


def values(report: Report, kpi: str) -> dict[Any, Any]:
    """A report's column: what tells its rows apart → the value. One dimension stands by itself; `UNATTRIBUTED` for what has no touch."""
    return {_told(row): row.values[kpi] for row in report.rows}


UNATTRIBUTED = "(unattributed)"


def _told(row: Row) -> Any:
    if row.unattributed:
        return (*(value for key, value in row.dimensions.items() if key == "period"), UNATTRIBUTED) if "period" in row.dimensions else UNATTRIBUTED
    told = tuple(row.dimensions.values())
    return told[0] if len(told) == 1 else told


def total(report: Report, kpi: str, currency: str = "USD") -> Any:
    (found,) = [one.values[kpi] for one in report.totals if one.currency == currency]
    return found


def behind(rows: MemoryFacts, kpi: str, row_key: str | None = None, *, limit: int = 100, offset: int = 0, **said: Any) -> Ledger:
    return ledger(query(**said), rows, row_key=row_key, kpi=kpi, limit=limit, offset=offset)
