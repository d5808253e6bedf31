"""The Kissmetrics transform, JSON in to request out, against reading and writing the same JSON with orjson: both in one run, alternating."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
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


def product_viewed() -> bytes:
    """A `Product Viewed` from a browser."""
    view = browser_page_view()
    properties = {"product_id": "p-1", "sku": "ROPE-12", "name": "Dock line", "price": 18.5, "currency": "USD", "category": "Rigging"}
    return events.encode(track("Product Viewed", anonymous_id=view.anonymous_id, properties=properties, context=view.context))


def figures() -> list[Figure]:
    """A shop's traffic, sixteen page views and three products looked at to an order; and each end of it alone."""
    page, product = events.encode(browser_page_view()), product_viewed()
    traffic = [page] * 16 + [product] * 3 + [order()]
    return [
        _ratio("kissmetrics_transform_ratio", traffic, ">= 0.1667", "16 page views, 3 products viewed, 1 order of four products"),
        _ratio("kissmetrics_transform_ratio_page", [page], None, f"a page view of {len(page)} B, one request"),
        _ratio("kissmetrics_transform_ratio_order", [order()], None, f"an order of {len(order())} B, five requests"),
    ]


def _ratio(name: str, raw: Sequence[bytes], bar: str | None, what: str) -> Figure:
    def transform() -> None:
        for one in raw:
            for request in DESTINATION.build(events.decode(one), _SETTINGS):
                if request.encoded is None:
                    encode_pairs(request.query or request.form or ())

    def copy() -> None:
        for one in raw:
            orjson.dumps(orjson.loads(one))

    repeats = _EVENTS // len(raw)
    ours, theirs = _alternating(transform, copy, repeats)
    rate = len(raw) * repeats / ours
    return Figure("pipeline", name, theirs / ours, "of orjson.loads + dumps", bar, f"{rate:,.0f} events/s/core; {what}")


def _alternating(one: Callable[[], None], other: Callable[[], None], repeats: int) -> tuple[float, float]:
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS):
        for action, kept in zip((one, other), times, strict=True):
            started = time.process_time()
            for _ in range(repeats):
                action()
            kept.append(time.process_time() - started)
    return statistics.median(times[0]), statistics.median(times[1])
