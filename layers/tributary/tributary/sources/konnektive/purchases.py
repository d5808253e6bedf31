"""Purchases, which is what Konnektive calls subscriptions: their states, cycles and terms.

What was billed and refunded in total is told but does not count: each payment and refund is a transaction's own event.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from tributary.events import Json
from tributary.sources.konnektive import reading as read
from tributary.sources.konnektive.building import Happened, Meaning, Record, tag

STATUSES: Final = {
    "TRIAL": "trial",
    "ACTIVE": "active",
    "PAUSED": "paused",
    "RECYCLE_BILLING": "recycling",
    "RECYCLE_FAILED": "recycle_failed",
    "CANCELLED": "cancelled",
    "CANCELED": "cancelled",
    "COMPLETE": "completed",
    "COMPLETED": "completed",
}
"""Konnektive's status → ours. One that is not here (INACTIVE, PENDING, what may come) is `other`: never taken for active."""

_ENTERED: Final = {
    "paused": "Subscription Paused",
    "recycling": "Subscription Recycled",
    "recycle_failed": "Subscription Recycle Failed",
    "cancelled": "Subscription Cancelled",
    "completed": "Subscription Completed",
}
_SUBSCRIBED: Final = frozenset({"trial", "active", "recycling"})
_NOT_RECURRING: Final = frozenset({"ONE_TIME", "ONETIME", "NONE", "NOT_RECURRING", "NON_RECURRING"})
_LATER: Final = ("next_bill_date", "cancel_reason", "cancelled_at", "pause_scheduled", "cancellation_scheduled", "total_billed", "total_refunded")
"""Properties that an event about the start leaves out where the subscription is in another state by now."""


def meaning(record: Record) -> Meaning:
    row, currency = record.row, record.currency
    status = _status(record)
    terms = [
        currency,
        read.required_minor(row, "price", currency),
        read.minor(row, "shippingPrice", currency),
        read.whole(row, "productQty"),
        read.id_of(row, "productId"),
        read.whole(row, "billingIntervalDays"),
        read.whole(row, "finalBillingCycle"),
        read.day_of(row, "nextBillDate"),
        bool(read.flag(row, "pauseScheduled")),
        bool(read.flag(row, "cancellationScheduled")),
        read.text(row, "cancelReason"),
    ]
    cycle = read.whole(row, "billingCycleNumber")
    # The raw word counts besides ours, so that one unknown state after another is a change.
    says = [status, read.enum(row, "status") if status == "other" else None, cycle, terms, _is_recurring(record)]
    facts = {"status": status, "cycle": cycle, "price": terms[1], "currency": currency, "recurring": _is_recurring(record)}
    return Meaning(says=says, facts={name: value for name, value in facts.items() if value})


def happened(record: Record, said: Meaning) -> list[Happened]:
    if not said.facts.get("recurring"):
        return []
    status = said.facts["status"]
    if record.before is None or not record.known.get("recurring"):
        return _at_first_sight(record, status, said)
    name = _change(record.known.get("status"), status, record.known.get("cycle") or 0, said.facts.get("cycle") or 0)
    return [_event(record, name, _since(record, name), said)]


def _at_first_sight(record: Record, status: str, said: Meaning) -> list[Happened]:
    if status == "trial":
        return [_event(record, "Trial Started", record.created, said)]
    if status == "active":
        return [_event(record, "Subscription Started", record.created, said)]
    if status == "other":
        return [_event(record, "Subscription Updated", record.since, said)]
    name = _ENTERED[status]
    return [_event(record, "Subscription Started", record.created, said, as_it_began=True), _event(record, name, _since(record, name), said)]


def _change(was: str | None, status: str, old_cycle: int, cycle: int) -> str:
    """What a subscription's step from one state to the next is called."""
    if status == was:
        return "Subscription Renewed" if status == "active" and cycle > old_cycle else "Subscription Updated"
    if status in _ENTERED:
        return _ENTERED[status]
    if status == "active":
        if was == "trial":
            return "Trial Converted"
        return "Subscription Renewed" if was == "recycling" and cycle > old_cycle else "Subscription Reactivated"
    if status == "trial":
        return "Trial Started" if was == "other" else "Subscription Reactivated"
    return "Subscription Updated"


def _since(record: Record, name: str) -> datetime:
    """When a change happened. A cancellation has a time of its own, which counts if it has a clock and lies behind the state before."""
    if name == "Subscription Cancelled":
        local = read.optional_local_text(record.row, "lastCancellationDate")
        known, updated = record.known.get("updated", ""), record.updated_text
        if local is not None and (record.before is None or (not local.endswith("00:00:00") and local > known)) and (updated is None or local <= updated):
            return max(read.utc_of(local, record.zone), record.created)
    return record.since


def _event(record: Record, name: str, at: datetime, said: Meaning, *, as_it_began: bool = False) -> Happened:
    properties = _properties(record)
    if as_it_began:
        properties = {field: value for field, value in properties.items() if field not in _LATER} | {"status": "active", "cycle": 1}
    says = said.says[3][:7] if name in ("Trial Started", "Subscription Started") else said.says
    return Happened(event=name, slug=_slug(name), at=at, says=says, properties=properties, tags={} if as_it_began else _tags(record, name))


def _slug(name: str) -> str:
    return name.lower().replace("subscription", "sub").replace(" ", "-")


def _status(record: Record) -> str:
    return STATUSES.get(read.enum(record.row, "status") or "", "other")


def _is_recurring(record: Record) -> bool:
    return read.enum(record.row, "billingCycleType") not in _NOT_RECURRING and read.enum(record.row, "billingCycleNumber") not in _NOT_RECURRING


def _properties(record: Record) -> Json:
    row = record.row
    cancelled_at = record.local_moment(row, "lastCancellationDate")
    return {
        "subscription_id": record.place.id,
        "status": _status(record),
        "order_id": read.id_of(row, "orderId"),
        "product_id": read.id_of(row, "productId"),
        "sku": read.text(row, "productSku"),
        "name": read.text(row, "productName") or read.text(row, "displayName"),
        "price": record.money("price"),
        "shipping": record.money("shippingPrice"),
        "quantity": read.whole(row, "productQty"),
        "currency": record.currency,
        "interval_days": read.whole(row, "billingIntervalDays"),
        "cycle": read.whole(row, "billingCycleNumber"),
        "next_bill_date": read.day_of(row, "nextBillDate"),
        "final_cycle": read.whole(row, "finalBillingCycle"),
        "cancel_reason": read.text(row, "cancelReason"),
        "cancelled_at": None if cancelled_at is None else cancelled_at.isoformat().replace("+00:00", "Z"),
        "pause_scheduled": read.flag(row, "pauseScheduled"),
        "cancellation_scheduled": read.flag(row, "cancellationScheduled"),
        "total_billed": record.money("totalBilled"),
        "total_refunded": record.money("totalRefunded"),
    }


def _tags(record: Record, name: str) -> dict[str, bool]:
    """Whether the person subscribes to the product, and whether a subscription to it was cancelled; only where that may have changed."""
    product = read.text(record.row, "productSku") or read.text(record.row, "productName") or read.id_of(record.row, "productId")
    if product is None or name in ("Subscription Updated", "Subscription Renewed"):
        return {}
    status = _status(record)
    tags: dict[str, Any] = {tag("subscriber", product): status in _SUBSCRIBED}
    if status == "cancelled" or name == "Subscription Reactivated":
        tags[tag("cancelled", product)] = status == "cancelled"
    return tags
