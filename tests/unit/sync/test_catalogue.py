"""Campaigns and products of the account: reference that orders name by id."""

from __future__ import annotations

from tests.kit.syncing import ACCOUNT, SyncBench
from tributary.sources.konnektive.catalogue import CatalogueEntry, entries_of


def test_a_campaign_names_its_offers_and_the_product_that_each_is_of() -> None:
    row = {
        "campaignId": 12,
        "campaignName": "Sample Funnel",
        "campaignType": "LANDER",
        "products": [{"campaignProductId": 88, "productId": "14", "productName": "(14) Sample Kit", "price": "1,039.00"}, {"productName": "no id"}, None],
    }
    assert list(entries_of("campaigns", row, "USD")) == [
        CatalogueEntry(kind="campaign", id="12", name="Sample Funnel", type="LANDER"),
        CatalogueEntry(kind="offer", id="88", name="(14) Sample Kit", price=103_900, campaign="12", product="14"),
    ]
    assert list(entries_of("campaigns", {"campaignName": "no id", "products": {}}, "USD")) == []


def test_a_product_is_kept_in_minor_units_of_the_accounts_currency() -> None:
    row = {"productId": 14, "productName": "Kit", "productSku": "KIT-1", "price": 1200, "productType": "OFFER"}
    assert list(entries_of("products", row, "JPY")) == [CatalogueEntry(kind="product", id="14", name="Kit", type="OFFER", sku="KIT-1", price=1200)]


def test_a_first_poll_brings_every_campaign_and_product_and_says_how_many() -> None:
    bench = SyncBench()
    bench.backfill()
    kept = list(bench.catalogue.of(ACCOUNT))
    campaigns = [entry for entry in kept if entry.kind == "campaign"]
    assert len(campaigns) == bench.status().catalogue["campaigns"] > 0
    assert {entry.campaign for entry in kept if entry.kind == "offer"} == {entry.id for entry in campaigns}
    assert bench.status().catalogue["products"] > 0
