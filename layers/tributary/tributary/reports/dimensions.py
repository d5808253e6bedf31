"""Dimensions: what rows are grouped by and things are filtered by. Each name → the column or expression that it is; no other ever reaches a statement.

A dimension of touches is told by the touch that gets a credit; one of orders by the order; one of contacts by its person. What a thing cannot be told by (a
lead has no coupon) is empty of it when grouping, and is not filtered by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import Final

from tributary.reports.frame import FIELD
from tributary.reports.query import Filter, Query
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
LEAD: Final[Mapping[str, str]] = {CONNECTION: "p.connection"}
"""Of `contacts p`, of those who became leads: by whose event they did."""
PRODUCT_OF_ITEM: Final = "coalesce(nullif(item.name, ''), nullif(item.sku, ''), item.product_id)"
"""Of one of the order's items."""
TAG: Final = "tag"
COUNTRY: Final = "country"

ORDER_NAMES: Final = frozenset({*ORDER, PRODUCT})
CONTACT_NAMES: Final = frozenset({TAG, COUNTRY, FIELD})
TOUCH_NAMES: Final = frozenset(TOUCH)
ALL_NAMES: Final = TOUCH_NAMES | ORDER_NAMES | CONTACT_NAMES


def named_by(query: Query) -> Set[str]:
    """What rows are grouped by or things are filtered by."""
    return {*query.group_by, *(one.dimension for one in query.filters)}


def is_of_contact(name: str) -> bool:
    """Whether it is a column of contacts."""
    return name == COUNTRY or name.startswith(FIELD)


def of_contact(name: str, values: Values) -> str:
    """SQL on `contacts p`: a country, or a custom field, whose name is a value like any other."""
    return "p.country" if name == COUNTRY else f"p.fields[{values.add(name.removeprefix(FIELD))}]"


def fits(expression: str, wanted: Filter, values: Values) -> str:
    """SQL: whether a value passes a filter. One that is not there is the empty one."""
    return _fits(wanted, values, lambda said: f"coalesce({expression}, '') IN ({said})", lambda test, said: f"{test}(coalesce({expression}, ''), {said})")


def any_fits(names: str, wanted: Filter, values: Values) -> str:
    """SQL: the same of something that has several values, a list that is never NULL: any passes, or, of a negative filter, all do."""
    kept = f"(CASE WHEN len({names}) = 0 THEN [''] ELSE {names} END)"
    return _fits(wanted, values, lambda said: f"list_has_any({kept}, [{said}])", lambda test, said: f"len([one FOR one IN {kept} IF {test}(one, {said})]) > 0")


def _fits(wanted: Filter, values: Values, is_in: Callable[[str], str], passes: Callable[[str, str], str]) -> str:
    match wanted.op:
        case "is" | "is_not":
            found = is_in(", ".join(values.add(value) for value in wanted.values)) if wanted.values else "false"
        case "contains" | "not_contains":
            found = " OR ".join(passes("contains", values.add(value)) for value in wanted.values) or "false"
        case "starts_with":
            found = " OR ".join(passes("starts_with", values.add(value)) for value in wanted.values) or "false"
    return f"NOT ({found})" if wanted.op in ("is_not", "not_contains") else f"({found})"
