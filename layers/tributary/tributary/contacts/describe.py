"""A contact as plain data, for a person to read and for JSON."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from tributary.contacts.explain import explain
from tributary.contacts.joining import Keyed, Mark, V, value_of
from tributary.contacts.lifetime import Balance, balances_of, bill_of, currency_of, lifetime_of, unit_price
from tributary.contacts.orders import Items, Order
from tributary.contacts.properties import DEFAULT_CURRENCY, Money, units_of
from tributary.contacts.reading import Contact
from tributary.contacts.subscriptions import Subscription, Terms
from tributary.contacts.tags import Tag
from tributary.contacts.versions import as_time
from tributary.events import Event
from tributary.touches.journey import journey_of


def describe(contact: Contact, events: Iterable[Event], default_currency: str = DEFAULT_CURRENCY) -> dict[str, Any]:
    """Identifiers, profile, groups, orders, subscriptions, tags, touches, and why they are one. Times are ISO 8601, UTC; money is whole minor units with its
    currency, and text. `events`: of the contact's partitions of the log, in any order. `default_currency`: of amounts whose events and orders name none. Holds
    personal data."""
    profile = contact.profile
    lifetime = lifetime_of(contact, default_currency)
    journey = journey_of(events, None if lifetime.lead_at is None else as_time(lifetime.lead_at))
    return {
        "id": contact.id,
        "first_seen": _time(profile.first_seen),
        "last_seen": _time(profile.last_seen),
        "lead_at": _time(lifetime.lead_at),
        "customer_at": _time(lifetime.customer_at),
        "identifiers": [{"kind": member.kind, "value": member.value, "since": _time(member.by.at)} for member in contact.members],
        "visitors": [{"kind": visitor.kind, "value": visitor.value, "since": _time(visitor.by.at)} for visitor in contact.visitors],
        "traits": profile.known(),
        "custom_fields": profile.custom_fields(),
        "traits_too_long": profile.traits.too_long(),
        "traits_beyond_the_bound": list(profile.traits.beyond),
        "groups": [
            {"id": group.group, "first_seen": _time(group.first_seen), "last_seen": _time(group.last_seen), "traits": group.traits.values()}
            for group in contact.memberships
        ],
        "sales": lifetime.sales,
        "lifetime": [_balance(balance) for balance in lifetime.balances],
        "orders": [_order(order, default_currency) for order in contact.orders],
        "subscriptions": [_subscription(subscription, default_currency) for subscription in contact.subscriptions],
        "tags": [_tag(name, tag) for name, tag in contact.tags.items()],
        "tags_beyond_the_bound": list(contact.tags_beyond),
        "products": [{"product_id": one.product_id, "sku": one.sku, "name": one.name} for one in lifetime.products],
        "campaigns": [{"id": one.id, "name": one.name} for one in lifetime.campaigns],
        "journey": msgspec.json.decode(msgspec.json.encode(journey)),
        "merges": contact.merge_count,
        "settled": contact.is_settled,
        "why": [{"reason": step.reason, "at": _written(step.at), "event": step.event.message_id, "sentence": step.sentence} for step in explain(contact)],
    }


_TERMS = ("status", "order_id", "product_id", "sku", "name", "quantity", "cycle", "final_cycle", "interval_days")
_PRICES = ("price", "shipping", "total_billed", "total_refunded")


def _order(order: Order, default_currency: str) -> dict[str, Any]:
    header = order.header
    currency = currency_of(order, default_currency)
    bill = bill_of(order, default_currency)
    items = value_of(header.items) or Items()
    return {
        "source": order.source,
        "order_id": order.order_id,
        "number": value_of(header.number),
        "state": order.state,
        "fulfilment": order.fulfilment,
        "status": value_of(header.status),
        "reason": value_of(header.reason),
        "type": value_of(header.order_type),
        "billing_cycle": value_of(header.billing_cycle),
        "subscription_id": value_of(header.subscription_id),
        "campaign_id": value_of(header.campaign_id),
        "campaign": value_of(header.campaign_name),
        "affiliate_id": value_of(header.affiliate_id),
        "affiliation": value_of(header.affiliation),
        "coupon": value_of(header.coupon),
        "payment_method": value_of(header.payment_method),
        "started_at": _time(order.started),
        "sold_at": _time(order.sold_at),
        "comes_to": None if bill is None else {name: _amount(getattr(bill, name), bill.currency) for name in _BILL},
        "money": [_balance(balance) for balance in balances_of(order, default_currency)],
        "items": [
            {
                "product_id": item.product_id,
                "sku": item.sku,
                "name": item.name,
                "quantity": item.quantity,
                "unit_price": None if item.price is None else _amount(unit_price(items, item.price, currency), items.currency or currency),
            }
            for item in items.items
        ],
        "items_beyond_the_bound": items.more,
        "payments": [
            {
                "id": key,
                "at": _time(one.version[0]),
                "received": one.received,
                "amount": _money(one.amount, currency),
                "method": one.method,
                "reason": one.reason,
            }
            for key, one in _by_time(order.payments)
        ],
        "refunds": [
            {"id": key, "at": _time(one.version[0]), "amount": _money(one.amount, currency), "payment": one.payment, "reason": one.reason}
            for key, one in _by_time(order.refunds)
        ],
        "voids": [
            {"id": key, "at": _time(one.version[0]), "amount": _money(one.amount, currency), "payment": one.payment} for key, one in _by_time(order.voids)
        ],
        "chargebacks": [
            {"payment": key, "at": _time(one.version[0]), "reversed": one.reversed, "amount": _money(one.amount, currency), "reason": one.reason}
            for key, one in _by_time(order.chargebacks)
        ],
        "money_beyond_the_bound": order.beyond,
        "history": _history(order.history),
    }


def _subscription(subscription: Subscription, default_currency: str) -> dict[str, Any]:
    terms: Terms = subscription.terms
    cancellation = value_of(terms.cancellation)
    return {
        "source": subscription.source,
        "subscription_id": subscription.subscription_id,
        "state": subscription.state,
        **{name: value_of(getattr(terms, name)) for name in _TERMS},
        **{name: _money(value_of(getattr(terms, name)), default_currency) for name in _PRICES},
        "started_at": _time(subscription.started),
        "trial": {"started_at": _time(subscription.trial_started), "ends": value_of(terms.trial_end), "converted_at": _time(subscription.trial_converted)},
        "next_bill_date": subscription.next_bill_date,
        "cancellation": None if cancellation is None else {"at": _time(cancellation.at), "reason": cancellation.reason},
        "pause_scheduled": value_of(terms.pause_scheduled),
        "cancellation_scheduled": value_of(terms.cancellation_scheduled),
        "history": _history(subscription.history),
    }


def _tag(name: str, tag: Tag) -> dict[str, Any]:
    return {
        "name": name,
        "applied": tag.is_applied,
        "since": _time(tag.since),
        "first_applied": _time(tag.first_applied),
        "last_removed": _time(tag.last_removed),
    }


_BILL = ("gross", "discount", "tax", "shipping", "total")
_BALANCE = (*_BILL, "received", "voided", "refunded", "charged_back", "returned", "net")


def _balance(balance: Balance) -> dict[str, Any]:
    return {"currency": balance.currency, **{name: _amount(getattr(balance, name), balance.currency) for name in _BALANCE}}


def _money(money: Money | None, currency: str) -> dict[str, Any] | None:
    if money is None:
        return None
    known = money.within(currency)
    return _amount(known.amount, known.currency or currency)


def _amount(amount: int, currency: str) -> dict[str, Any]:
    return {"amount": amount, "currency": currency, "text": money_text(amount, currency)}


def money_text(amount: int, currency: str) -> str:
    """`1234567`, `USD` → `12,345.67 USD`."""
    units = units_of(currency)
    whole, part = divmod(abs(amount), 10**units)
    return f"{'-' if amount < 0 else ''}{whole:,}{f'.{part:0{units}}' if units else ''} {currency}"


def _by_time(things: Keyed[V]) -> list[tuple[str, V]]:
    return sorted(things.kept.items(), key=lambda entry: (entry[1].version, entry[0]))


def _history(marks: tuple[Mark, ...]) -> list[dict[str, Any]]:
    return [{"state": state, "at": _time(version[0])} for version, state in marks]


def _time(moment: int | None) -> str | None:
    return None if moment is None else _written(as_time(moment))


def _written(moment: datetime) -> str:
    """As the API writes it."""
    return f"{moment.isoformat().removesuffix('+00:00')}Z"
