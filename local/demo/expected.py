"""What must have come of the afternoon of `session.py`, written down by hand from what Kissmetrics and Segment document.

`_k` (the shop's key), `_d` (1) and `_t` (the event's own second) stand on every event and set; of them only `_t` is written here, as seconds into the
afternoon. An alias carries no time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from local.demo.session import INES, MAYA, MAYA_BEFORE, TOM, TOM_BEFORE, VISITOR


@dataclass(frozen=True)
class Sent:
    """One request to Kissmetrics."""

    event: str
    """The `messageId` it comes from: the requests of one event share one clock."""
    path: str
    at: int | None
    params: Mapping[str, str]


_PHONE: Final = {"_ip": "203.0.113.24", "_ua": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)"}

KISSMETRICS: Final[Mapping[str, Sequence[Sent]]] = {
    MAYA_BEFORE: [
        Sent(
            "afternoon-01", "/e", 0,
            {
                "_p": "visitor-7f3a", "_n": "Viewed Home Page", "Page - name": "Home", "Page - referrer": "https://www.facebook.com/",
                "Page - url": "https://tea.example/?utm_source=facebook&utm_campaign=spring-harvest", **_PHONE,
            },
        ),
        Sent("afternoon-07", "/e", 40, {"_p": "visitor-7f3a", "_n": "Viewed Teas Page", "Page - category": "Teas", "Page - path": "/teas", **_PHONE}),
        Sent(
            "afternoon-12", "/e", 75,
            {
                "_p": "visitor-7f3a", "_n": "Product Viewed", "Product Viewed - product_id": "tea-12", "Product Viewed - price": "18.5",
                "Product Viewed - tags": "black,spring", "Product Viewed - origin.country": "India",
                "Product Viewed - origin.estate.name": "Margaret's Hope", **_PHONE,
            },
        ),
        Sent(
            "afternoon-16", "/e", 110,
            {
                "_p": "visitor-7f3a", "_n": "Product Added", "Product Added - cart_id": "c-78", "Product Added - product_id": "tea-12",
                "Product Added - quantity": "2", **_PHONE,
            },
        ),
    ],
    MAYA: [
        Sent(
            "afternoon-19", "/s", 180,
            {
                "_p": "cust-1001", "id": "cust-1001", "email": "maya@lindqvist.example", "firstName": "Maya", "lastName": "Lindqvist",
                "createdAt": "1764540900", "address.city": "Uppsala", "address.country": "SE", "newsletter": "true", **_PHONE,
            },
        ),
        Sent("afternoon-19", "/a", None, {"_p": "cust-1001", "_n": "visitor-7f3a", **_PHONE}),
        Sent(
            "afternoon-20", "/e", 240,
            {
                "_p": "cust-1001", "_n": "Order Completed", "Billing amount": "61", "Order Completed - revenue": "61",
                "Order Completed - order_id": "J-5001", "Order Completed - shipping": "4.9", "Order Completed - tax": "6.1",
                "Order Completed - total": "72", "Order Completed - currency": "EUR", "Order Completed - coupon": "SPRING", **_PHONE,
            },
        ),
        Sent(
            "afternoon-20", "/s", 240,
            {
                "_p": "cust-1001", "Order Completed - product_id": "tea-12", "Order Completed - sku": "DJ-FF-100",
                "Order Completed - name": "First Flush Darjeeling", "Order Completed - price": "18.5", "Order Completed - quantity": "2", **_PHONE,
            },
        ),
        Sent(
            "afternoon-20", "/s", 241,
            {
                "_p": "cust-1001", "Order Completed - product_id": "pot-3", "Order Completed - sku": "POT-GL",
                "Order Completed - name": "Glass pot", "Order Completed - price": "24", "Order Completed - quantity": "1", **_PHONE,
            },
        ),
        Sent(
            "afternoon-21", "/e", 250,
            {
                "_p": "cust-1001", "_n": "Viewed Thank you Page", "Page - name": "Thank you", "Page - category": "Checkout", "Page - path": "/thanks",
                **_PHONE,
            },
        ),
        Sent("afternoon-28", "/e", 1200, {"_p": "cust-1001", "_n": "Newsletter Opened", "Newsletter Opened - letter": "thank-you", **_PHONE}),
    ],
    TOM_BEFORE: [
        Sent(
            "afternoon-05", "/s", 30,
            {
                "_p": "tom.okafor@oldmail.example", "id": "tom.okafor@oldmail.example", "email": "tom.okafor@oldmail.example",
                "firstName": "Tom", "lastName": "Okafor",
            },
        ),
        Sent(
            "afternoon-10", "/e", 60,
            {
                "_p": "tom.okafor@oldmail.example", "_n": "Viewed Spring teas Page", "Page - name": "Spring teas",
                "Page - url": "https://tea.example/spring?utm_source=newsletter",
            },
        ),
        Sent("afternoon-14", "/e", 95, {"_p": "tom.okafor@oldmail.example", "_n": "Cart Viewed", "Cart Viewed - cart_id": "c-77"}),
    ],
    TOM: [
        Sent("afternoon-22", "/a", None, {"_p": "tom.okafor@oldmail.example", "_n": "cust-1002"}),
        Sent("afternoon-23", "/s", 405, {"_p": "cust-1002", "id": "cust-1002", "email": "tom@okafor.example", "plan": "Tea club"}),
        Sent(
            "afternoon-24", "/e", 460,
            {
                "_p": "cust-1002", "_n": "Order Completed", "Billing amount": "24", "Order Completed - revenue": "24", "Order Completed - total": "24",
                "Order Completed - order_id": "J-5002", "Order Completed - currency": "EUR",
            },
        ),
        Sent(
            "afternoon-24", "/s", 460,
            {
                "_p": "cust-1002", "Order Completed - product_id": "tea-31", "Order Completed - sku": "SE-50", "Order Completed - name": "Sencha",
                "Order Completed - price": "12", "Order Completed - quantity": "2",
            },
        ),
        Sent(
            "afternoon-25", "/e", 900,
            {
                "_p": "cust-1002", "_n": "Order Refunded", "Billing amount": "-24", "Order Refunded - revenue": "-24",
                "Order Refunded - order_id": "J-5002",
            },
        ),
    ],
    INES: [
        Sent("afternoon-03", "/s", 20, {"_p": "cust-1003", "id": "cust-1003", "email": "ines@cafe-lumiere.example", "name": "Inès Moreau"}),
        Sent(
            "afternoon-04", "/s", 25,
            {
                "_p": "cust-1003", "Group - id": "cafe-lumiere", "Group - Name": "Café Lumière", "Group - Employees": "12",
                "Group - Address.city": "Lyon",
            },
        ),
        Sent("afternoon-08", "/s", 50, {"_p": "cust-1003", "id": "cust-1003", "Experiment: Order pad": "Big pictures"}),
        Sent(
            "afternoon-09", "/e", 52,
            {
                "_p": "cust-1003", "_n": "Experiment Viewed", "Experiment Viewed - experiment_id": "x-8",
                "Experiment Viewed - experiment_name": "Order pad", "Experiment Viewed - variation_id": "v-2",
                "Experiment Viewed - variation_name": "Big pictures",
            },
        ),
        Sent("afternoon-13", "/s", 90, {"_p": "cust-1003", "id": "cust-1003", "order_completed_last_30days": "true"}),
        Sent("afternoon-17", "/e", 130, {"_p": "cust-1003", "_n": "Sample Requested", "Sample Requested - sku": "MATCHA-5"}),
        Sent("afternoon-18", "/e", 140, {"_p": "cust-1003", "_n": "Viewed Order pad Screen", "Screen - name": "Order pad", "Screen - items": "3"}),
        Sent("afternoon-27", "/e", 960, {"_p": "cust-1003", "_n": "Delivery Rated", "Delivery Rated - stars": "5"}),
    ],
    VISITOR: [
        Sent("afternoon-02", "/e", 10, {"_p": "visitor-9c41", "_n": "Viewed Oolong Page", "Page - name": "Oolong", "Page - path": "/oolong"}),
        Sent("afternoon-11", "/e", 70, {"_p": "visitor-9c41", "_n": "Products Searched", "Products Searched - query": "tung ting"}),
    ],
}  # fmt: skip
"""By the identifier under which the person's order is kept: in this order, and nothing else.

Not among them: Support Chat Opened (its sender said not to Kissmetrics), the visitor's page without a name or category, the event without a name."""

REASON: Final = {"code": "event_not_defined", "field": "event", "message_id": "afternoon-26"}
"""Why the bad event is refused; the code is Segment's."""


@dataclass(frozen=True)
class Person:
    identifiers: frozenset[tuple[str, str]]
    profile: Mapping[str, object]
    """The traits that are looked at."""
    at_kissmetrics: frozenset[str]
    """The identities that Kissmetrics was told are one; an email that is only a trait is none."""


PEOPLE: Final[Mapping[str, Person]] = {
    MAYA: Person(
        frozenset({("user", "cust-1001"), ("anonymous", "visitor-7f3a"), ("email", "maya@lindqvist.example")}),
        {"firstName": "Maya", "lastName": "Lindqvist", "newsletter": True},
        frozenset({"cust-1001", "visitor-7f3a"}),
    ),
    TOM: Person(
        frozenset({("user", "cust-1002"), ("email", "tom.okafor@oldmail.example"), ("email", "tom@okafor.example")}),
        {"firstName": "Tom", "email": "tom@okafor.example", "plan": "Tea club"},
        frozenset({"cust-1002", "tom.okafor@oldmail.example"}),
    ),
    INES: Person(
        frozenset({("user", "cust-1003"), ("email", "ines@cafe-lumiere.example")}),
        {"name": "Inès Moreau", "order_completed_last_30days": True, "Experiment: Order pad": "Big pictures"},
        frozenset({"cust-1003"}),
    ),
}
"""Who is known at the end, by user id. The visitor is not among them."""
