"""The Kissmetrics transform, JSON in to request out, against reading and writing the same JSON with orjson: both in one run, alternating."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Final

import orjson

from tests.bench.figures import Figure
from tests.kit.builders import track
from tests.unit.core.test_log_codec import browser_page_view
from tributary import events
from tributary.destinations.encoding import encode_pairs
from tributary.destinations.kissmetrics import DESTINATION

_ROUNDS: Final = 31
_EVENTS: Final = 400
_SETTINGS: Final = {"apiKey": "km_key_001"}


def order() -> bytes:
    """An `Order Completed` of about 1.3 KB."""
    products = [
        {"product_id": f"p-{n}", "sku": f"SKU-{n}", "name": f"Dock line {n} m", "price": 18.5 + n, "quantity": n, "category": "Rigging", "brand": "Harbour"}
        for n in range(1, 5)
    ]
    properties = {"order_id": "H-550", "revenue": 176.5, "shipping": 6, "tax": 4, "currency": "USD", "coupon": "SPRING", "products": products}
    context = {"ip": "203.0.113.7", "userAgent": "Mozilla/5.0 (X11; Linux x86_64)", "library": {"name": "analytics-python", "version": "2.3.4"}}
    return events.encode(track("Order Completed", user_id="orla-12", properties=properties, context=context))


def figures() -> list[Figure]:
    raw = [order(), events.encode(browser_page_view())]

    def transform() -> None:
        for one in raw:
            for request in DESTINATION.build(events.decode(one), _SETTINGS):
                encode_pairs(request.query or request.form or ())

    def copy() -> None:
        for one in raw:
            orjson.dumps(orjson.loads(one))

    ours, theirs = _alternating(transform, copy)
    rate = len(raw) * _EVENTS / ours
    note = f"{rate:,.0f} events/s/core; an order with four products ({len(raw[0])} B, five requests) and a page view ({len(raw[1])} B)"
    return [Figure("pipeline", "kissmetrics_transform_ratio", theirs / ours, "of orjson.loads + dumps", ">= 0.1667", note)]


def _alternating(one: Callable[[], None], other: Callable[[], None]) -> tuple[float, float]:
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS):
        for action, kept in zip((one, other), times, strict=True):
            started = time.process_time()
            for _ in range(_EVENTS):
                action()
            kept.append(time.process_time() - started)
    return statistics.median(times[0]), statistics.median(times[1])
