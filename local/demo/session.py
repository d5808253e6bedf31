"""What happens in the demo: an afternoon in a tea shop, as calls of the Segment SDK. `expected.py` holds what must come of it.

Maya   sees an ad, looks around, signs in, buys
Tom    follows a newsletter, changes his email, buys, sends it back
Inès   buys for her café: a company, an experiment, an audience
a visitor, who never says who they are
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Call = Literal["identify", "track", "page", "screen", "group", "alias"]

MAYA: Final = "cust-1001"
MAYA_BEFORE: Final = "visitor-7f3a"
TOM: Final = "cust-1002"
TOM_BEFORE: Final = "tom.okafor@oldmail.example"
INES: Final = "cust-1003"
VISITOR: Final = "visitor-9c41"

NAMES: Final[Mapping[str, str]] = {
    MAYA: "Maya",
    MAYA_BEFORE: "Maya, before she signs in",
    TOM: "Tom",
    TOM_BEFORE: "Tom, under his old email",
    INES: "Inès",
    VISITOR: "a visitor",
}
"""What the screen calls them."""


@dataclass(frozen=True)
class Moment:
    """One call of the SDK, `at` seconds after the afternoon begins."""

    id: str
    """Its `messageId`."""
    at: int
    who: str
    """The identifier under which Tributary keeps the person's order: the user, else the visitor."""
    call: Call
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        name = self.arguments.get("event") or self.arguments.get("name") or self.arguments.get("category") or self.arguments.get("group_id")
        return f"{self.call}: {name}" if name else self.call


_PHONE: Final = {"ip": "203.0.113.24", "userAgent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)"}
_FACEBOOK: Final = {"campaign": {"source": "facebook", "medium": "paid", "name": "spring-harvest", "content": "video-2"}, **_PHONE}
_NEWSLETTER: Final = {"campaign": {"source": "newsletter", "medium": "email", "name": "april-letter"}}
_GOOGLE: Final = {"campaign": {"source": "google", "medium": "cpc", "name": "oolong", "term": "buy oolong"}}

_DARJEELING: Final = {"product_id": "tea-12", "sku": "DJ-FF-100", "name": "First Flush Darjeeling", "price": 18.5, "quantity": 2}
_POT: Final = {"product_id": "pot-3", "sku": "POT-GL", "name": "Glass pot", "price": 24, "quantity": 1}
_SENCHA: Final = {"product_id": "tea-31", "sku": "SE-50", "name": "Sencha", "price": 12, "quantity": 2}


MOMENTS: Final[Sequence[Moment]] = [
    Moment(
        "afternoon-01", 0, MAYA_BEFORE, "page",
        {
            "anonymous_id": MAYA_BEFORE, "name": "Home", "context": _FACEBOOK,
            "properties": {"url": "https://tea.example/?utm_source=facebook&utm_campaign=spring-harvest", "referrer": "https://www.facebook.com/"},
        },
    ),
    Moment("afternoon-02", 10, VISITOR, "page", {"anonymous_id": VISITOR, "name": "Oolong", "context": _GOOGLE, "properties": {"path": "/oolong"}}),
    Moment("afternoon-03", 20, INES, "identify", {"user_id": INES, "traits": {"email": "ines@cafe-lumiere.example", "name": "Inès Moreau"}}),
    Moment(
        "afternoon-04", 25, INES, "group",
        {"user_id": INES, "group_id": "cafe-lumiere", "traits": {"name": "Café Lumière", "employees": 12, "address": {"city": "Lyon"}}},
    ),
    Moment("afternoon-05", 30, TOM_BEFORE, "identify", {"user_id": TOM_BEFORE, "traits": {"email": TOM_BEFORE, "firstName": "Tom", "lastName": "Okafor"}}),
    Moment("afternoon-06", 33, VISITOR, "page", {"anonymous_id": VISITOR, "properties": {"path": "/oolong/tung-ting"}}),
    Moment("afternoon-07", 40, MAYA_BEFORE, "page", {"anonymous_id": MAYA_BEFORE, "category": "Teas", "properties": {"path": "/teas"}, "context": _PHONE}),
    Moment("afternoon-08", 50, INES, "identify", {"user_id": INES, "traits": {"Experiment: Order pad": "Big pictures"}}),
    Moment(
        "afternoon-09", 52, INES, "track",
        {
            "user_id": INES, "event": "Experiment Viewed",
            "properties": {"experiment_id": "x-8", "experiment_name": "Order pad", "variation_id": "v-2", "variation_name": "Big pictures"},
        },
    ),
    Moment(
        "afternoon-10", 60, TOM_BEFORE, "page",
        {"user_id": TOM_BEFORE, "name": "Spring teas", "context": _NEWSLETTER, "properties": {"url": "https://tea.example/spring?utm_source=newsletter"}},
    ),
    Moment("afternoon-11", 70, VISITOR, "track", {"anonymous_id": VISITOR, "event": "Products Searched", "properties": {"query": "tung ting"}}),
    Moment(
        "afternoon-12", 75, MAYA_BEFORE, "track",
        {
            "anonymous_id": MAYA_BEFORE, "event": "Product Viewed", "context": _PHONE,
            "properties": {
                "product_id": "tea-12", "price": 18.5, "tags": ["black", "spring"], "origin": {"country": "India", "estate": {"name": "Margaret's Hope"}},
            },
        },
    ),
    Moment(
        "afternoon-13", 90, INES, "identify",
        {
            "user_id": INES, "traits": {"order_completed_last_30days": True},
            "context": {"personas": {"computation_class": "audience", "computation_key": "order_completed_last_30days"}},
        },
    ),
    Moment("afternoon-14", 95, TOM_BEFORE, "track", {"user_id": TOM_BEFORE, "event": "Cart Viewed", "properties": {"cart_id": "c-77", "products": [_SENCHA]}}),
    Moment(
        "afternoon-15", 100, INES, "track",
        {"user_id": INES, "event": "Support Chat Opened", "properties": {"topic": "invoice"}, "integrations": {"Kissmetrics": False}},
    ),
    Moment(
        "afternoon-16", 110, MAYA_BEFORE, "track",
        {"anonymous_id": MAYA_BEFORE, "event": "Product Added", "properties": {"cart_id": "c-78", "product_id": "tea-12", "quantity": 2}, "context": _PHONE},
    ),
    Moment(
        "afternoon-17", 130, INES, "track",
        {"user_id": INES, "event": "Sample Requested", "properties": {"sku": "MATCHA-5"}, "integrations": {"All": False, "Kissmetrics": True}},
    ),
    Moment("afternoon-18", 140, INES, "screen", {"user_id": INES, "name": "Order pad", "properties": {"items": 3}}),
    Moment(
        "afternoon-19", 180, MAYA, "identify",
        {
            "user_id": MAYA, "anonymous_id": MAYA_BEFORE, "context": _PHONE,
            "traits": {
                "email": "maya@lindqvist.example", "firstName": "Maya", "lastName": "Lindqvist", "createdAt": "2025-11-30T22:15:00Z",
                "address": {"city": "Uppsala", "country": "SE"}, "newsletter": True, "phone": None,
            },
        },
    ),
    Moment(
        "afternoon-20", 240, MAYA, "track",
        {
            "user_id": MAYA, "anonymous_id": MAYA_BEFORE, "event": "Order Completed", "context": _PHONE,
            "properties": {
                "order_id": "J-5001", "revenue": 61, "shipping": 4.9, "tax": 6.1, "total": 72, "currency": "EUR", "coupon": "SPRING",
                "products": [_DARJEELING, _POT],
            },
        },
    ),
    Moment(
        "afternoon-21", 250, MAYA, "page",
        {"user_id": MAYA, "anonymous_id": MAYA_BEFORE, "category": "Checkout", "name": "Thank you", "properties": {"path": "/thanks"}, "context": _PHONE},
    ),
    Moment("afternoon-22", 400, TOM, "alias", {"previous_id": TOM_BEFORE, "user_id": TOM}),
    Moment("afternoon-23", 405, TOM, "identify", {"user_id": TOM, "traits": {"email": "tom@okafor.example", "plan": "Tea club"}}),
    Moment(
        "afternoon-24", 460, TOM, "track",
        {"user_id": TOM, "event": "Order Completed", "properties": {"order_id": "J-5002", "total": 24, "currency": "EUR", "products": [_SENCHA]}},
    ),
    Moment("afternoon-25", 900, TOM, "track", {"user_id": TOM, "event": "Order Refunded", "properties": {"order_id": "J-5002", "revenue": -24}}),
]  # fmt: skip

BAD_BATCH: Final[Sequence[tuple[Moment, Mapping[str, Any]]]] = [
    (Moment("afternoon-26", 950, INES, "track"), {"type": "track", "userId": INES, "properties": {"stars": 1}}),
    (
        Moment("afternoon-27", 960, INES, "track", {"event": "Delivery Rated"}),
        {"type": "track", "userId": INES, "event": "Delivery Rated", "properties": {"stars": 5}},
    ),
]
"""A batch made by hand, which the SDK would refuse to send: the first event has no name, the second is good."""

SENT_AGAIN: Final[Sequence[Moment]] = [moment for moment in MOMENTS if moment.who in (MAYA, MAYA_BEFORE)]
"""A client that got no answer sends its batch again, with the same ids …"""
AFTER_SENDING_AGAIN: Final = Moment(
    "afternoon-28", 1200, MAYA, "track", {"user_id": MAYA, "event": "Newsletter Opened", "properties": {"letter": "thank-you"}, "context": _PHONE}
)
"""… and what has happened since."""
