"""What an account is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from tributary.sources.konnektive import records
from tributary.sources.konnektive.records import Kind


class Stream(StrEnum):
    CUSTOMERS = "customers"
    ORDERS = "orders"
    TRANSACTIONS = "transactions"
    PURCHASES = "purchases"
    CAMPAIGNS = "campaigns"
    PRODUCTS = "products"


ENDPOINTS: Final[Mapping[Stream, str]] = {
    Stream.CUSTOMERS: "customer/query",
    Stream.ORDERS: "order/query",
    Stream.TRANSACTIONS: "transactions/query",
    Stream.PURCHASES: "purchase/query",
    Stream.CAMPAIGNS: "campaign/query",
    Stream.PRODUCTS: "product/query",
}
SUMMARY: Final = "transactions/summary"
KINDS: Final[Mapping[Stream, Kind]] = {Stream(name): kind for name, kind in records.KINDS.items()}
"""The streams that are walked by day, in the order in which they are: who, what they ordered, what they paid, what goes on."""
