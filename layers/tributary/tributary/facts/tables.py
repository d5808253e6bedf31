"""The tables of FACTS: one struct a row, from which the Parquet columns follow.

Nothing personal stands in them. A person is a *node*: the keyed digest of an identifier, or the id of a contact. Rows are written under the node that is known
at the time; which nodes are one person is told by `identities` and `weak_links`, and worked out when facts are read (`person` of a view). So an anonymous visit
of last month joins its buyer without being written again.

Every row has a `key` and a `version`; of rows with one key the newest counts, and none if that one is `gone`. So a row may stand in several files.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

ALL_MONTHS: Final = "all"
"""The month of a kind that is not partitioned."""


class Kind(StrEnum):
    TOUCHES = "touches"
    ACTIVITIES = "activities"
    ORDERS = "orders"
    SUBSCRIPTIONS = "subscriptions"
    CONTACTS = "contacts"
    TAGS = "tags"
    IDENTITIES = "identities"
    WEAK_LINKS = "weak_links"
    AD_SPEND = "ad_spend"
    RATES = "rates"


Node = Annotated[str, "UUID"]
"""32 hex digits: a keyed digest of an identifier, or the id of a contact."""
Key = Annotated[str, "UUID"]
"""32 hex digits."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A struct within a row, or a row. A field too many is refused: a message of a newer release would lose it."""


class Fact(_Part, frozen=True, kw_only=True):
    key: Key
    version: int = 0
    """Of what never changes, 0."""
    gone: bool = False


class TouchFact(Fact, frozen=True, kw_only=True):
    """One time somebody came (`touches.touch`). Values are as they were sent, but for what looks like an email or a phone."""

    person: Node
    happened_at: datetime
    connection: str
    """The source or connection that told it."""
    channel: str
    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    content: str | None = None
    term: str | None = None
    campaign_id: str | None = None
    adset_id: str | None = None
    ad_id: str | None = None
    click_id_kind: str | None = None
    landing_page: str | None = None
    """Host and path."""
    referrer: str | None = None
    """The host alone."""
    affiliate_id: str | None = None
    sub_affiliate: str | None = None
    """The first of the affiliate's five values; the others follow."""
    sub_affiliate_2: str | None = None
    sub_affiliate_3: str | None = None
    sub_affiliate_4: str | None = None
    sub_affiliate_5: str | None = None
    email_campaign: str | None = None
    email_flow: str | None = None
    email_message: str | None = None
    email_link: str | None = None
    email_list: str | None = None


class ActivityFact(Fact, frozen=True, kw_only=True):
    """One event: what somebody did."""

    person: Node
    happened_at: datetime
    connection: str
    type: str
    """The call: `page`, `screen`, `track`, `identify`, `group`, `alias`."""
    name: str | None = None
    """Track event, page or screen name."""
    page: str | None = None
    """Host and path."""
    bot: bool = False
    campaign: str | None = None
    email_campaign: str | None = None
    email_flow: str | None = None
    email_message: str | None = None
    email_link: str | None = None
    email_list: str | None = None


class OrderItem(_Part, frozen=True, kw_only=True):
    product_id: str | None = None
    sku: str | None = None
    name: str | None = None
    quantity: int = 1
    amount: int = 0
    """Price x quantity, in minor units of the order's currency."""


class Movement(_Part, frozen=True, kw_only=True):
    """Money that moved, on its own day."""

    kind: str
    """`payment`, `decline`, `void`, `refund`, `chargeback` (one that stands)."""
    happened_at: datetime
    currency: str
    amount: int
    billing_cycle: int | None = None


class OtherMoney(_Part, frozen=True, kw_only=True):
    """What moved in a currency that is not the order's own."""

    currency: str
    received: int = 0
    voided: int = 0
    refunded: int = 0
    charged_back: int = 0


class OrderFact(Fact, frozen=True, kw_only=True):
    """An order as it stands. The money is `contacts.lifetime.Balance`, in minor units of `currency`:
    net = gross - discount - tax - shipping - refunded - charged_back - voided + returned."""

    person: Node
    connection: str
    order_id: str
    happened_at: datetime
    """The order's own date, which its month comes from: when it became a sale, else the earliest that is known of it."""
    sold_at: datetime | None = None
    """None: no sale. What was given back counts all the same."""
    state: str | None = None
    order_type: str | None = None
    billing_cycle: int | None = None
    rebill: bool = False
    """A later bill of a subscription."""
    subscription_id: str | None = None
    campaign_id: str | None = None
    """Konnektive's campaign: the offer, not the advertisement."""
    campaign_name: str | None = None
    affiliate_id: str | None = None
    coupon: str | None = None
    payment_method: str | None = None
    currency: str
    currency_assumed: bool = False
    """Nobody named one: it is the account's."""
    gross: int = 0
    discount: int = 0
    tax: int = 0
    shipping: int = 0
    received: int = 0
    voided: int = 0
    refunded: int = 0
    charged_back: int = 0
    returned: int = 0
    items: tuple[OrderItem, ...] = ()
    movements: tuple[Movement, ...] = ()
    others: tuple[OtherMoney, ...] = ()


class StateMark(_Part, frozen=True, kw_only=True):
    happened_at: datetime
    state: str


class RateMark(_Part, frozen=True, kw_only=True):
    """What a subscription comes to from then on."""

    happened_at: datetime
    price: int
    quantity: int = 1
    interval_days: int = 30


class SubscriptionFact(Fact, frozen=True, kw_only=True):
    person: Node
    connection: str
    subscription_id: str
    order_id: str | None = None
    """The order that it began with."""
    product_id: str | None = None
    sku: str | None = None
    name: str | None = None
    started_at: datetime
    """The earliest that is known of it."""
    trial_started_at: datetime | None = None
    trial_converted_at: datetime | None = None
    trial_ends_at: datetime | None = None
    state: str | None = None
    """`trial`, `active`, `paused`, `recycling`, `recycle_failed`, `cancelled`, `completed`, or the source's own word."""
    cancelled_at: datetime | None = None
    """Of the last cancellation, also where it runs again."""
    cancel_reason: str | None = None
    currency: str
    currency_assumed: bool = False
    price: int = 0
    """Of one, in minor units."""
    quantity: int = 1
    interval_days: int = 30
    cycle: int | None = None
    states: tuple[StateMark, ...] = ()
    """The oldest first."""
    rates: tuple[RateMark, ...] = ()
    """The oldest first; the first holds from the start."""


class ContactFact(Fact, frozen=True, kw_only=True):
    """A contact: somebody who is known. `key` and `person` are its id. Of people who merged, readers take the earliest `lead_at`,
    and its `connection`."""

    person: Node
    lead_at: datetime
    """When the person became known (`contacts.lifetime.lead_of`)."""
    connection: str | None = None
    """The source or connection whose event made the person known. None: the row of CONTACTS was written before that was kept; a rebuild tells it."""
    last_seen_at: datetime | None = None
    country: str | None = None
    """Two letters where they can be told, else as sent."""
    fields: dict[str, str] = {}
    """The custom fields that the account's `report_fields` name."""


class TagInterval(_Part, frozen=True, kw_only=True):
    tag: str
    applied_at: datetime
    removed_at: datetime | None = None
    """None: it stands."""


class TagsFact(Fact, frozen=True, kw_only=True):
    """All tags of a contact. `key` and `person` are its id."""

    person: Node
    tags: tuple[TagInterval, ...] = ()


class IdentityFact(Fact, frozen=True, kw_only=True):
    """A node and the contact that it belongs to: an identifier's pointer, or a contact that was merged into another. `key` is the node."""

    contact: Node


class WeakLinkFact(Fact, frozen=True, kw_only=True):
    """A visitor who opened links that name customers, the earliest first. It counts while nothing identifies the visitor. `key` is the visitor's node."""

    customers: Annotated[tuple[str, ...], "UUID[]"] = ()


class AdSpendFact(Fact, frozen=True, kw_only=True):
    """What one advertisement cost on one day. `key`: of platform, account, ad | ad set | campaign | utm values, and day; `version`: when its batch came."""

    batch: str
    type: str = "spend"
    """`spend`, or `adjustment`: one that may be negative."""
    day: date
    time_zone: str | None = None
    platform: str
    account_id: str | None = None
    campaign_id: str | None = None
    campaign_name: str | None = None
    adset_id: str | None = None
    adset_name: str | None = None
    ad_id: str | None = None
    ad_name: str | None = None
    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    content: str | None = None
    term: str | None = None
    currency: str
    spend: int
    impressions: int | None = None
    clicks: int | None = None
    platform_conversions: int | None = None
    platform_conversion_value: int | None = None


class RateFact(Fact, frozen=True, kw_only=True):
    """What one unit of a currency was worth in another on a day. `key`: of day and both currencies."""

    batch: str
    day: date
    from_currency: str
    to_currency: str
    rate: Decimal
    source: str = ""
    """Who says so."""


class Months(NamedTuple):
    """Months of a kind, as `2026-03`, both included; None: without an end on that side."""

    first: str | None = None
    last: str | None = None

    def holds(self, month: str) -> bool:
        return month == ALL_MONTHS or ((self.first is None or self.first <= month) and (self.last is None or month <= self.last))


Needs = Mapping[Kind, Months]
"""Which facts a question can need; no others are read."""


@dataclass(frozen=True, kw_only=True)
class Table:
    row: type[Fact]
    month: str | None
    """The column that a row's month comes from; None: the kind is not partitioned."""
    sort: tuple[str, ...]
    """The order of rows within a file."""

    @property
    def columns(self) -> dict[str, str]:
        """Column → type of DuckDB, in the order of the struct."""
        return {name: _sql_type(hint) for name, hint in get_type_hints(self.row, include_extras=True).items()}

    @property
    def has_person(self) -> bool:
        return "person" in self.row.__struct_fields__

    def month_of(self, row: Fact) -> str:
        if self.month is None:
            return ALL_MONTHS
        moment: date = getattr(row, self.month)
        return f"{moment:%Y-%m}"


TABLES: Final[Mapping[Kind, Table]] = {
    Kind.TOUCHES: Table(row=TouchFact, month="happened_at", sort=("person", "happened_at")),
    Kind.ACTIVITIES: Table(row=ActivityFact, month="happened_at", sort=("person", "happened_at")),
    Kind.ORDERS: Table(row=OrderFact, month="happened_at", sort=("person", "happened_at")),
    Kind.SUBSCRIPTIONS: Table(row=SubscriptionFact, month=None, sort=("person", "started_at")),
    Kind.CONTACTS: Table(row=ContactFact, month=None, sort=("person",)),
    Kind.TAGS: Table(row=TagsFact, month=None, sort=("person",)),
    Kind.IDENTITIES: Table(row=IdentityFact, month=None, sort=("key",)),
    Kind.WEAK_LINKS: Table(row=WeakLinkFact, month=None, sort=("key",)),
    Kind.AD_SPEND: Table(row=AdSpendFact, month="day", sort=("day", "platform")),
    Kind.RATES: Table(row=RateFact, month=None, sort=("day",)),
}

_SCALARS: Final[Mapping[Any, str]] = {
    str: "VARCHAR",
    int: "BIGINT",
    bool: "BOOLEAN",
    datetime: "TIMESTAMP",  # UTC
    date: "DATE",
    Decimal: "DECIMAL(28, 12)",
}


def _sql_type(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return str(arguments[1])
    if origin in (Union, types.UnionType):
        (only,) = [argument for argument in arguments if argument is not type(None)]
        return _sql_type(only)
    if origin is tuple:
        return f"{_sql_type(arguments[0])}[]"
    if origin is dict:
        return f"MAP({_sql_type(arguments[0])}, {_sql_type(arguments[1])})"
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        fields = ", ".join(f"{name} {_sql_type(inner)}" for name, inner in get_type_hints(hint, include_extras=True).items())
        return f"STRUCT({fields})"
    return _SCALARS[hint]
