"""Subscriptions: in what state, on what terms, since when. One is one of its source, as an order is."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tributary.contacts import properties as read
from tributary.contacts.joining import MAX_HISTORY, Mark, Said, earliest, fields_joined, newest, value_of
from tributary.contacts.properties import Money
from tributary.contacts.versions import Version, version_of
from tributary.events import Event, Json, Track

TRIAL: Final = "trial"
ACTIVE: Final = "active"
CANCELLED: Final = "cancelled"
RUNNING: Final = frozenset({TRIAL, ACTIVE, "recycling"})
"""States in which a next bill is to come."""

_STATES: Final = {
    "Trial Started": TRIAL,
    "Subscription Started": ACTIVE,
    "Trial Converted": ACTIVE,
    "Subscription Renewed": ACTIVE,
    "Subscription Paused": "paused",
    "Subscription Reactivated": ACTIVE,
    "Subscription Recycled": "recycling",
    "Subscription Recycle Failed": "recycle_failed",
    "Subscription Cancelled": CANCELLED,
    "Subscription Completed": "completed",
    "Subscription Updated": None,
}
"""Event → the state it leads to, where its own `status` does not say. None: the state stays."""
_TEXTS: Final = ("status", "order_id", "product_id", "sku", "name", "next_bill_date")


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


class Cancellation(_Part, frozen=True, kw_only=True):
    at: int
    reason: str | None = None


class Terms(_Part, frozen=True, kw_only=True):
    """What events last said of the subscription, field by field."""

    status: Said[str] | None = None
    """The source's own word."""
    order_id: Said[str] | None = None
    """The order that it began with."""
    product_id: Said[str] | None = None
    sku: Said[str] | None = None
    name: Said[str] | None = None
    price: Said[Money] | None = None
    shipping: Said[Money] | None = None
    quantity: Said[int] | None = None
    interval_days: Said[int] | None = None
    cycle: Said[int] | None = None
    final_cycle: Said[int] | None = None
    next_bill_date: Said[str] | None = None
    trial_end: Said[str] | None = None
    """The next bill's date, as last said while it was a trial."""
    cancellation: Said[Cancellation] | None = None
    """The last one; it stays when the subscription runs again."""
    pause_scheduled: Said[bool] | None = None
    cancellation_scheduled: Said[bool] | None = None
    total_billed: Said[Money] | None = None
    total_refunded: Said[Money] | None = None


class Rate(_Part, frozen=True, kw_only=True):
    """What one event says that the subscription comes to from then on; it may say a part of it."""

    version: Version
    price: Money | None = None
    """Of one."""
    quantity: int | None = None
    interval_days: int | None = None


class Subscription(_Part, frozen=True, kw_only=True):
    source: str
    subscription_id: str
    started: int | None = None
    trial_started: int | None = None
    trial_converted: int | None = None
    terms: Terms = Terms()
    history: tuple[Mark, ...] = ()
    """States, the oldest first."""
    rates: tuple[Rate, ...] = ()
    """The oldest first. Rows that were written before rates were kept have none."""

    @property
    def state(self) -> str | None:
        return self.history[-1][1] if self.history else None

    @property
    def since(self) -> int | None:
        """The earliest that is known of it."""
        return earliest(self.started, self.trial_converted, *(version[0] for version, _ in self.history))

    @property
    def next_bill_date(self) -> str | None:
        """None unless one is to come: who cancels is not told again that there is none."""
        return self.terms.next_bill_date.value if self.terms.next_bill_date is not None and self.state in RUNNING else None


def subscription_of(event: Event) -> Subscription | None:
    """What one event says of a subscription; None if it names none."""
    if not isinstance(event, Track) or event.event not in _STATES:
        return None
    said = event.properties
    subscription_id = read.identifier(said, "subscription_id")
    if subscription_id is None:
        return None
    version, name = version_of(event), event.event
    status = read.text(said, "status")
    state = _STATES[name] if status is None else status.lower()
    terms = _terms(said, version, state, is_cancelled=name == "Subscription Cancelled")
    return Subscription(
        source=event.source,
        subscription_id=subscription_id,
        started=version[0] if name in ("Trial Started", "Subscription Started") else None,
        trial_started=version[0] if name == "Trial Started" else None,
        trial_converted=version[0] if name == "Trial Converted" else None,
        terms=terms,
        history=() if state is None else ((version, state),),
        rates=_rates(terms, version),
    )


def joined(one: Subscription, other: Subscription) -> Subscription:
    """Both together; of one subscription. Commutative, associative, and the same again for what is already in."""
    return Subscription(
        source=one.source,
        subscription_id=one.subscription_id,
        started=earliest(one.started, other.started),
        trial_started=earliest(one.trial_started, other.trial_started),
        trial_converted=earliest(one.trial_converted, other.trial_converted),
        terms=fields_joined(one.terms, other.terms),
        history=newest(one.history, other.history, MAX_HISTORY),
        rates=_newest_rates(one.rates, other.rates),
    )


def _rates(terms: Terms, version: Version) -> tuple[Rate, ...]:
    price, quantity, interval_days = value_of(terms.price), value_of(terms.quantity), value_of(terms.interval_days)
    if price is None and quantity is None and interval_days is None:
        return ()
    return (Rate(version=version, price=price, quantity=quantity, interval_days=interval_days),)


def _newest_rates(one: tuple[Rate, ...], other: tuple[Rate, ...]) -> tuple[Rate, ...]:
    """As of a history: of more than the bound the newest. A rate that is said again is kept again, for what lies between two may come later."""
    rates = sorted({*one, *other}, key=lambda rate: (rate.version, msgspec.json.encode(rate)))
    return tuple(rates[-MAX_HISTORY:])


def _terms(said: Json, version: Version, state: str | None, *, is_cancelled: bool) -> Terms:
    found: dict[str, Any] = {
        **{name: read.text(said, name) for name in _TEXTS},
        **{name: read.money(said, name) for name in ("price", "shipping", "total_billed", "total_refunded")},
        **{name: read.whole(said, name) for name in ("quantity", "interval_days", "cycle", "final_cycle")},
        **{name: read.flag(said, name) for name in ("pause_scheduled", "cancellation_scheduled")},
        "trial_end": read.text(said, "next_bill_date") if state == TRIAL else None,
    }
    if is_cancelled:
        at = read.moment(said, "cancelled_at")
        found["cancellation"] = Cancellation(at=version[0] if at is None else at, reason=read.text(said, "cancel_reason"))
    return Terms(**{name: Said(version, value) for name, value in found.items() if value is not None})
