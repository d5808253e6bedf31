"""Orders: a lead, a sale or a rebill, and what becomes of it.

Money that comes back is not told here: a refund is a transaction, and the order's `REFUNDED` is a status. Address and email of the customer do not count.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from tributary.events import Json
from tributary.sources.konnektive import reading as read
from tributary.sources.konnektive.building import (
    Happened,
    Meaning,
    Record,
    attribution_properties,
    campaign_tags,
    custom_properties,
    digest_of,
    present,
    tag,
)

LEAD: Final = "PARTIAL"
PAID: Final = frozenset({"COMPLETE", "PENDING", "REFUNDED", "COD_PENDING"})
DECLINED: Final = "DECLINED"
CANCELLED: Final = "CANCELLED"

_SPELLINGS: Final = {"CANCELED": CANCELLED, "COMPLETED": "COMPLETE", "DECLINE": DECLINED}
_REBILL: Final = {"REBILL": "RECURRING"}
_SHIPPED: Final = "SHIPPED"
_DELIVERED: Final = "DELIVERED"
_WORTH: Final = {"Order Completed": "revenue", "Checkout Started": "value"}
"""Who books money by events adds up `revenue`, whatever the event is called: an order says it once, when it is sold, and its refunds take it back."""
_REASONS: Final = {"Order Declined": ("declineReason", "responseText"), "Order Cancelled": ("cancelReason",)}


def meaning(record: Record) -> Meaning:
    content = digest_of(_content(record))[:16]
    shipping = {f: states for f, states in _shipping(record).items() if states}
    status = _status(record)
    facts: dict[str, Any] = {
        "status": status,
        "completed": record.known.get("completed", False) or status in PAID or status == CANCELLED,
        "content": content,
        "total": read.required_minor(record.row, "totalAmount", record.currency),
        "currency": record.currency,
        "cycle": read.whole(record.row, "billingCycleNumber"),
        "shipping": shipping,
    }
    return Meaning(says=[status, content, sorted(shipping.items())], facts={name: value for name, value in facts.items() if value})


def happened(record: Record, said: Meaning) -> list[Happened]:
    return _of_status(record, said) + _of_shipping(record, said)


def _of_status(record: Record, said: Meaning) -> list[Happened]:
    status, known = said.facts.get("status"), record.known
    was, is_first = known.get("status"), record.before is None
    at = record.created if is_first else record.since
    completed = bool(known.get("completed"))
    found = []
    if not completed and said.facts.get("completed"):
        found.append(_event(record, "Order Completed", at, "COMPLETE" if status == CANCELLED else None, said))
        if status != CANCELLED and record.may_have_been_told:
            # The log keeps the sale as it was told first; this says what it has become. A cancellation says it itself.
            found.append(_event(record, "Order Updated", record.since, None, said))
    if status == LEAD:
        if not completed and was != LEAD:
            found.append(_event(record, "Checkout Started", at, None, said))
    elif status == DECLINED:
        if was != DECLINED:
            found.append(_event(record, "Order Declined", at, None, said))
    elif status == CANCELLED and was != CANCELLED:
        found.append(_event(record, "Order Cancelled", record.since, None, said))
    if found:
        return found
    is_order = completed or status not in (LEAD, DECLINED)
    if is_order and (status != was or said.facts.get("content") != known.get("content")):
        return [_event(record, "Order Updated", record.since, None, said)]
    return []


def _of_shipping(record: Record, said: Meaning) -> list[Happened]:
    before = record.known.get("shipping", {})
    found = []
    for fulfillment in read.objects(record.row, "fulfillments"):
        number = read.id_of(fulfillment, "fulfillmentId")
        states = said.facts.get("shipping", {}).get(number or "", "")
        for state, name, date in (("s", "Order Shipped", "dateShipped"), ("d", "Order Delivered", "dateDelivered")):
            if state in states and state not in before.get(number, ""):
                moment = record.local_moment(fulfillment, date) or record.local_moment(fulfillment, "dateUpdated") or record.since
                properties = {
                    "order_id": record.place.id,
                    "fulfillment_id": number,
                    "carrier": read.text(fulfillment, "shipCarrier"),
                    "tracking_number": read.text(fulfillment, "trackingNumber"),
                }
                slug = name.lower().replace(" ", "-")
                found.append(Happened(event=name, slug=slug, at=max(moment, record.created), says=number, properties=properties))
    return found


def _event(record: Record, name: str, at: datetime, status: str | None, said: Meaning) -> Happened:
    """`status`: what the order was then, where it is something else by now."""
    properties = _properties(record)
    if name in _WORTH:
        properties[_WORTH[name]] = read.number_of(_earned(record), record.currency)
    if status is not None:
        properties["status"] = status
    reason = next((text for field in _REASONS.get(name, ()) if (text := read.text(record.row, field)) is not None), None)
    # An order is sold once, so that a crash before the state is written never makes a second sale of it, whatever becomes of the order meanwhile.
    says = None if name == "Order Completed" else [said.facts.get("content"), *([said.facts.get("status")] if name == "Order Updated" else [])]
    return Happened(event=name, slug=name.lower().replace(" ", "-"), at=at, says=says, properties={**properties, "reason": reason}, tags=_tags(record, name))


def _status(record: Record) -> str | None:
    status = read.enum(record.row, "orderStatus")
    return None if status is None else _SPELLINGS.get(status, status)


def _content(record: Record) -> list[Any]:
    """Money and items: what makes an order another order."""
    row, currency = record.row, record.currency
    amounts = [read.minor(row, name, currency) for name in ("totalAmount", "price", "salesTax", "totalDiscount")]
    return [currency, amounts, _shipping_cost(record), read.text(row, "couponCode"), [list(product.values()) for product in _products(record)]]


def _shipping_cost(record: Record) -> int | None:
    cost = read.minor(record.row, "shippingCost", record.currency)
    return read.minor(record.row, "baseShipping", record.currency) if cost is None else cost


def _earned(record: Record) -> int | None:
    """The total without shipping and tax, never below zero."""
    total, tax = read.minor(record.row, "totalAmount", record.currency), read.minor(record.row, "salesTax", record.currency)
    return None if total is None else max(total - (_shipping_cost(record) or 0) - (tax or 0), 0)


def _discount(record: Record) -> int | None:
    total = read.minor(record.row, "totalDiscount", record.currency)
    return read.minor(record.row, "discountPrice", record.currency) if total is None else total


def _products(record: Record) -> list[Json]:
    return [
        present(
            {
                "product_id": read.id_of(item, "productId"),
                "sku": read.text(item, "productSku", read.MAX_SHORT_TEXT),
                "name": read.text(item, "name", read.MAX_SHORT_TEXT),
                "price": record.money("price", item),
                "quantity": read.whole(item, "qty"),
                "position": position,
                "subscription_id": _subscription(item),
            }
        )
        for position, item in enumerate(read.items(record.row), 1)
    ]


def _subscription(item: read.Row) -> str | None:
    return read.id_of(item, "clientPurchaseId") or read.id_of(item, "purchaseId")


def _properties(record: Record) -> Json:
    row, currency = record.row, record.currency
    order_type = read.enum(row, "orderType")
    products = _products(record)
    return {
        "order_id": record.place.id,
        "order_number": read.id_of(row, "actualOrderId"),
        "order_type": None if order_type is None else _REBILL.get(order_type, order_type),
        "billing_cycle": read.whole(row, "billingCycleNumber"),
        "subscription_id": next((product["subscription_id"] for product in products if "subscription_id" in product), None),
        "total": record.money("totalAmount"),
        "subtotal": record.money("price"),
        "shipping": read.number_of(_shipping_cost(record), currency),
        "tax": record.money("salesTax"),
        "discount": read.number_of(_discount(record), currency),
        "currency": currency,
        "coupon": read.text(row, "couponCode"),
        **attribution_properties(row),
        **custom_properties(row),
        "custom_fields": read.custom_fields(row) or None,
        "payment_method": read.enum(row, "paySource"),
        "products": products,
        "status": _status(record),
    }


def _shipping(record: Record) -> dict[str, str]:
    """Fulfilment → `s` shipped, `d` delivered, whichever it has been: a parcel that comes back has been shipped all the same."""
    before = record.known.get("shipping", {})
    found: dict[str, str] = dict(before)
    for fulfillment in read.objects(record.row, "fulfillments"):
        number = read.id_of(fulfillment, "fulfillmentId")
        if number is None:
            continue
        status = read.enum(fulfillment, "status")
        is_state = {
            "s": status == _SHIPPED or read.optional_local_text(fulfillment, "dateShipped") is not None,
            "d": status == _DELIVERED or read.optional_local_text(fulfillment, "dateDelivered") is not None,
        }
        found[number] = "".join(state for state in "sd" if is_state[state] or state in before.get(number, ""))
    return found


def _tags(record: Record, name: str) -> dict[str, bool]:
    match name:
        case "Checkout Started":
            return {tag("lead"): True} | campaign_tags(record)
        case "Order Completed":
            bought = {tag("bought", what): True for product in _products(record) if (what := product.get("sku") or product.get("name")) is not None}
            return {tag("customer"): True} | campaign_tags(record) | bought | dict.fromkeys(read.tags(record.row), True)
        case "Order Cancelled":
            return {tag("order cancelled"): True}
        case _:
            return {}
