"""Dimensions: what rows are grouped by and things are filtered by. Each name → the column or expression that it is; no other ever reaches a statement.

A dimension of touches is told by the touch that gets a credit; one of orders by the order; one of contacts by its person. What a thing cannot be told by (a lead
has no coupon) is empty of it when grouping, and is not filtered by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tributary.reports.query import Filter
from tributary.reports.statement import Values

TOUCH: Final[Mapping[str, str]] = {
    "channel": "t.channel",
    "source": "t.source",
    "medium": "t.medium",
    "campaign": "t.campaign",
    "content": "t.content",
    "term": "t.term",
    "campaign_id": "t.campaign_id",
    "adset": "t.adset_id",
    "ad": "t.ad_id",
    "landing_page": "t.landing_page",
    "referrer": "t.referrer",
    "email_campaign": "t.email_campaign",
    "email_flow": "t.email_flow",
    "message": "t.email_message",
    "link": "t.email_link",
    "list": "t.email_list",
    "affiliate": "t.affiliate_id",
    "sub_affiliate": "t.sub_affiliate",
}
"""Of `touches t`."""
CONNECTION: Final = "connection"
PRODUCT: Final = "product"
CUSTOMER_TYPE: Final = "customer_type"
ORDER: Final[Mapping[str, str]] = {
    CONNECTION: "o.connection",
    "konnektive_campaign": "coalesce(o.campaign_name, o.campaign_id)",
    "order_type": "o.order_type",
    "coupon": "o.coupon",
    CUSTOMER_TYPE: "CASE WHEN f.key IS NULL THEN 'returning' ELSE 'new' END",
}
"""Of `orders o` and `first_sales f`."""
PRODUCT_OF_ITEM: Final = "coalesce(item.name, item.sku, item.product_id)"
TAG: Final = "tag"
COUNTRY: Final = "country"
FIELD: Final = "field:"
"""Begins the dimensions that are custom fields, as `field:plan`."""

ORDER_NAMES: Final = frozenset({*ORDER, PRODUCT})
CONTACT_NAMES: Final = frozenset({TAG, COUNTRY, FIELD})
TOUCH_NAMES: Final = frozenset(TOUCH)
ALL_NAMES: Final = TOUCH_NAMES | ORDER_NAMES | CONTACT_NAMES


def is_of_contact(name: str) -> bool:
    return name in (TAG, COUNTRY) or name.startswith(FIELD)


def of_contact(name: str, values: Values) -> str:
    """SQL on `contacts p`: a country, or a custom field, whose name is a value like any other."""
    return "p.country" if name == COUNTRY else f"p.fields[{values.add(name.removeprefix(FIELD))}]"


def fits(expression: str, wanted: Filter, values: Values) -> str:
    """SQL: whether something passes a filter. An empty value stands for nothing at all."""
    said = [value for value in wanted.values if value]
    match wanted.op:
        case "is" | "is_not":
            ways = [f"{expression} IN ({', '.join(values.add(value) for value in said)})"] if said else []
            ways += [f"coalesce({expression}, '') = ''"] if len(said) < len(wanted.values) else []
        case "contains" | "not_contains":
            ways = [f"contains({expression}, {values.add(value)})" for value in wanted.values]
        case "starts_with":
            ways = [f"starts_with({expression}, {values.add(value)})" for value in wanted.values]
    found = f"coalesce({' OR '.join(ways) or 'false'}, false)"
    return f"NOT {found}" if wanted.op in ("is_not", "not_contains") else found
