"""Campaigns and products: reference, not events. A product stands in a campaign under an id and a price of its own; orders name it by that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from tributary.sources.konnektive import reading as read


class CatalogueEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A campaign, a product, or a product as a campaign offers it."""

    kind: Literal["campaign", "product", "offer"]
    id: str
    """`campaignId`; `productId`; of an offer the campaign's `campaignProductId`, which orders and subscriptions call `productId`."""
    name: str | None = None
    type: str | None = None
    sku: str | None = None
    price: int | None = None
    """In minor units of the account's currency."""
    campaign: str | None = None
    product: str | None = None
    """What an offer is of."""


def entries_of(stream: str, row: read.Row, currency: str) -> Iterator[CatalogueEntry]:
    """What a row of the streams `campaigns` and `products` says; nothing for a row without an id, as nothing depends on it."""
    if stream == "products":
        product = read.id_of(row, "productId")
        if product is not None:
            yield CatalogueEntry(
                kind="product",
                id=product,
                name=read.text(row, "productName"),
                type=read.enum(row, "productType"),
                sku=read.text(row, "productSku"),
                price=read.minor(row, "price", currency),
            )
        return
    campaign = read.id_of(row, "campaignId")
    if campaign is None:
        return
    yield CatalogueEntry(kind="campaign", id=campaign, name=read.text(row, "campaignName"), type=read.enum(row, "campaignType"))
    offers = row.get("products")
    for offer in offers if isinstance(offers, list) else []:
        if isinstance(offer, dict) and (number := read.id_of(offer, "campaignProductId")) is not None:
            yield CatalogueEntry(
                kind="offer",
                id=number,
                name=read.text(offer, "productName"),
                price=read.minor(offer, "price", currency),
                campaign=campaign,
                product=read.id_of(offer, "productId"),
            )
