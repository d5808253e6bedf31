"""Facts and questions for tests of reports: short to write, one person a number."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from tributary.facts.tables import ActivityFact, ContactFact, OrderFact, TagInterval, TagsFact, TouchFact
from tributary.reports.answer import Report
from tributary.reports.query import Query
from tributary.reports.ranges import days

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MARCH = days(date(2026, 3, 1), date(2026, 3, 31), zone="UTC")
_KEYS = iter(range(1_000_000, 2_000_000))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def node(number: int) -> str:
    return UUID(int=number).hex


def key() -> str:
    return node(next(_KEYS))


def event(person: int, when: str, name: str, **said: Any) -> ActivityFact:
    told: dict[str, Any] = {"key": key(), "person": node(person), "happened_at": at(when), "connection": "web", "type": "track", "name": name} | said
    return ActivityFact(**told)


def page(person: int, when: str, address: str, **said: Any) -> ActivityFact:
    told: dict[str, Any] = {"key": key(), "person": node(person), "happened_at": at(when), "connection": "web", "type": "page", "page": address} | said
    return ActivityFact(**told)


def touch(person: int, when: str, channel: str = "paid_social", **said: Any) -> TouchFact:
    told: dict[str, Any] = {"key": key(), "person": node(person), "happened_at": at(when), "connection": "web", "channel": channel} | said
    return TouchFact(**told)


def order(person: int, when: str, gross: int, **said: Any) -> OrderFact:
    """Sold at its moment."""
    sold: dict[str, Any] = {
        "happened_at": at(when),
        "sold_at": at(when),
        "order_id": f"O{when}",
        "connection": "crm",
        "currency": "USD",
        "gross": gross,
        "received": gross,
    }
    told: dict[str, Any] = {"key": key(), "person": node(person)} | sold | said
    return OrderFact(**told)


def contact(person: int, when: str, **said: Any) -> ContactFact:
    told: dict[str, Any] = {"key": node(person), "person": node(person), "lead_at": at(when)} | said
    return ContactFact(**told)


def tagged(person: int, *tags: tuple[str, str] | tuple[str, str, str]) -> TagsFact:
    """By name, the day it was applied, and that on which it was removed."""
    intervals = tuple(TagInterval(tag=tag, applied_at=at(applied), removed_at=at(removed[0]) if removed else None) for tag, applied, *removed in tags)
    return TagsFact(key=node(person), person=node(person), tags=intervals)


def question(**said: Any) -> Query:
    defaults: dict[str, Any] = {"range": MARCH, "time_zone": "UTC", "now": NOW}
    return Query(**defaults | said)


def total(report: Report) -> dict[str, Any]:
    """Of the query's currency."""
    return dict(report.totals[0].values)


def by(report: Report, *dimensions: str) -> dict[Any, dict[str, Any]]:
    """Each row's values by what it is told apart by; by one dimension alone, by its value."""
    found = {tuple(row.dimensions[name] for name in dimensions): dict(row.values) for row in report.rows}
    assert len(found) == len(report.rows)
    return {names[0] if len(names) == 1 else names: values for names, values in found.items()}
