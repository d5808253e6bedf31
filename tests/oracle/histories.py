"""Small random shops: a few people with their visits, orders, subscriptions and tags, as facts are written, and questions to ask about them.

Values are few, so that they meet: touches of one moment, orders on a day of 23 hours, two orders of one subscription, a merge of people who both bought.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from tests.oracle import calendar
from tests.oracle.credits import World
from tributary.facts.tables import (
    ActivityFact,
    AdSpendFact,
    ContactFact,
    Fact,
    IdentityFact,
    Kind,
    Movement,
    OrderFact,
    OrderItem,
    OtherMoney,
    RateFact,
    RateMark,
    StateMark,
    SubscriptionFact,
    TagInterval,
    TagsFact,
    TouchFact,
    WeakLinkFact,
)
from tributary.reports.query import DateMode, Filter, FilterOp, Model, Query, ReportType, Scale

CONTACTS = [f"c{number:031x}" for number in range(3)]
VISITORS = [f"a{number:031x}" for number in range(3)]
NODES = [*CONTACTS, *VISITORS]
SUBSCRIBERS = {"S-0": CONTACTS[0], "S-1": CONTACTS[1]}
CONNECTIONS = ["con_1", "con_2"]
CURRENCIES = ["USD", "USD", "EUR", "JPY", "KWD"]
ZONES = ["UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"]
TAGS = ["vip", "trial"]
NOW = datetime(2026, 4, 20, 12, tzinfo=UTC)

_DAYS = [date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 7), date(2026, 3, 8), date(2026, 3, 9), date(2026, 3, 29), date(2026, 4, 5)]
"""Ends of months; days on which New York, Berlin and Lord Howe change their clocks, and those beside them."""
_MINUTES = [0, 30, 270, 300, 330, 360, 390, 420, 840, 930, 990, 1410]
"""Of the day in UTC: near the local midnights and the hours that are left out or come twice."""

moments = st.builds(
    lambda day, minute: datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minute), st.sampled_from(_DAYS), st.sampled_from(_MINUTES)
)
amounts = st.sampled_from([0, 1, 99, 100, 999, 1000, 3333, 10_000])
small = st.sampled_from([0, 0, 0, 1, 100, 250])


def maybe(values: list[str]) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(values)


@st.composite
def touches(draw: st.DrawFn, number: int) -> TouchFact:
    channel = draw(st.sampled_from(["direct", "direct", "email", "paid_search", "paid_social", "display", "organic_search", "bot"]))
    named = channel not in ("direct", "bot")
    return TouchFact(
        key=f"d{number:031x}",
        person=draw(st.sampled_from(NODES)),
        happened_at=draw(moments),
        connection=draw(st.sampled_from(["src_1", "con_1"])),
        channel=channel,
        source=draw(maybe(["google", "mail"])) if named else None,
        medium=draw(maybe(["cpc", "email"])) if named else None,
        campaign=draw(maybe(["spring", "sale"])) if named else None,
        campaign_id=draw(maybe(["501", "502"])) if named else None,
        adset_id=draw(maybe(["601"])) if named else None,
        ad_id=draw(maybe(["701", "702"])) if named else None,
        landing_page=draw(maybe(["shop.example/", "shop.example/offer"])),
        email_campaign=draw(maybe(["welcome"])) if channel == "email" else None,
        email_message=draw(maybe(["m-1", "m-2"])) if channel == "email" else None,
        affiliate_id=draw(maybe(["9"])) if named else None,
    )


@st.composite
def orders(draw: st.DrawFn, number: int) -> OrderFact:
    """Money as an order's balance has it: of one that was not sold only what was given back."""
    moment, sold = draw(moments), draw(st.integers(0, 4)) > 0
    rebill = draw(st.integers(0, 3)) == 0
    subscription_id = draw(st.sampled_from(["S-0", "S-1"]) if rebill else maybe(["S-0", "S-1"]))
    currency = draw(st.sampled_from(CURRENCIES))
    total, discount = (draw(amounts), draw(small)) if sold else (0, 0)
    tax, shipping = (min(draw(small), total // 2), min(draw(small), total // 2)) if sold else (0, 0)
    received = draw(st.sampled_from([total, total, total // 2, 0])) if sold else 0
    voided = received if sold and draw(st.integers(0, 6)) == 0 else 0
    given_back = draw(st.sampled_from([0, 0, 0, total // 3, total])) if sold else draw(small)
    refunded, charged_back = (0, given_back) if draw(st.integers(0, 3)) == 0 else (given_back, 0)
    items = draw(st.lists(st.builds(OrderItem, product_id=st.sampled_from(["p1", "p2"]), amount=amounts, quantity=st.integers(1, 2)), max_size=3))
    moves = [("payment", received), ("void", voided), ("refund", refunded), ("chargeback", charged_back)]
    return OrderFact(
        key=f"b{number:031x}",
        version=number,
        person=SUBSCRIBERS[subscription_id] if subscription_id is not None else draw(st.sampled_from(CONTACTS)),
        connection=draw(st.sampled_from(CONNECTIONS)),
        order_id=f"O-{number}",
        happened_at=moment,
        sold_at=moment if sold else None,
        state="sold" if sold else "declined",
        order_type=draw(maybe(["new_sale", "recurring"])),
        billing_cycle=draw(st.integers(2, 3)) if rebill else 1,
        rebill=rebill,
        subscription_id=subscription_id,
        campaign_id=draw(maybe(["11", "12"])),
        coupon=draw(maybe(["TEN"])),
        currency=currency,
        currency_assumed=draw(st.integers(0, 5)) == 0,
        gross=total + discount,
        discount=discount,
        tax=tax,
        shipping=shipping,
        received=received,
        voided=voided,
        refunded=refunded,
        charged_back=charged_back,
        returned=max(tax + shipping - max(total - refunded - charged_back - voided, 0), 0),
        items=tuple(items),
        movements=tuple(Movement(kind=kind, happened_at=max(moment, draw(moments)), currency=currency, amount=amount) for kind, amount in moves if amount),
        others=(OtherMoney(currency="EUR", refunded=draw(st.sampled_from([1, 250]))),) if currency != "EUR" and draw(st.integers(0, 9)) == 0 else (),
    )


@st.composite
def subscriptions(draw: st.DrawFn, number: int, told: Sequence[OrderFact]) -> SubscriptionFact:
    person, connection = CONTACTS[number], draw(st.sampled_from(CONNECTIONS))
    theirs = [order.order_id for order in told if (order.person, order.connection) == (person, connection)]
    marks = sorted(draw(st.lists(moments, min_size=1, max_size=3, unique=True)))
    states = [draw(st.sampled_from(["trial", "active"]))] + [draw(st.sampled_from(["active", "paused", "recycling", "cancelled"])) for _ in marks[1:]]
    prices = [draw(st.sampled_from([4500, 3000])) for _ in marks]
    return SubscriptionFact(
        key=f"e{number:031x}",
        person=person,
        connection=connection,
        subscription_id=f"S-{number}",
        order_id=draw(maybe([*theirs, "O-9"])),
        product_id=draw(maybe(["p1"])),
        started_at=marks[0],
        trial_started_at=marks[0] if states[0] == "trial" else None,
        state=states[-1],
        cancelled_at=max((moment for moment, state in zip(marks, states, strict=True) if state == "cancelled"), default=None),
        currency=draw(st.sampled_from(CURRENCIES)),
        price=prices[-1],
        interval_days=30,
        states=tuple(StateMark(happened_at=moment, state=state) for moment, state in zip(marks, states, strict=True)),
        rates=tuple(RateMark(happened_at=moment, price=price) for moment, price in zip(marks, prices, strict=True)),
    )


@st.composite
def contacts(draw: st.DrawFn, contact: str) -> ContactFact:
    return ContactFact(
        key=contact,
        person=contact,
        lead_at=draw(moments),
        country=draw(maybe(["US", "DE"])),
        fields={"plan": draw(st.sampled_from(["crew", "captain"]))} if draw(st.booleans()) else {},
    )


@st.composite
def tags(draw: st.DrawFn, contact: str) -> TagsFact:
    found = []
    for tag in draw(st.lists(st.sampled_from(TAGS), max_size=2, unique=True)):
        applied = draw(moments)
        removed = draw(st.none() | moments)
        found.append(TagInterval(tag=tag, applied_at=applied, removed_at=removed if removed is None or removed > applied else None))
    return TagsFact(key=contact, person=contact, tags=tuple(found))


@st.composite
def activities(draw: st.DrawFn, number: int) -> ActivityFact:
    kind = draw(st.sampled_from(["page", "page", "track", "identify"]))
    return ActivityFact(
        key=f"f{number:031x}",
        person=draw(st.sampled_from(NODES)),
        happened_at=draw(moments),
        connection="src_1",
        type=kind,
        name=draw(st.sampled_from(["Offer Seen", "Email Opened", "Email Clicked"])) if kind == "track" else None,
        page=draw(st.sampled_from(["shop.example/", "shop.example/offer"])) if kind == "page" else None,
        bot=draw(st.integers(0, 5)) == 0,
    )


@st.composite
def advertising(draw: st.DrawFn, number: int) -> AdSpendFact:
    return AdSpendFact(
        key=f"9{number:031x}",
        batch="one",
        day=draw(st.sampled_from(_DAYS)),
        platform=draw(st.sampled_from(["google", "facebook"])),
        campaign_id=draw(maybe(["501", "509"])),
        adset_id=draw(maybe(["601", "609"])),
        ad_id=draw(maybe(["701", "709"])),
        source=draw(maybe(["Google", "mail"])),
        campaign=draw(maybe(["Spring", "sale", "winter"])),
        currency=draw(st.sampled_from(CURRENCIES)),
        spend=draw(amounts),
        impressions=draw(st.none() | st.integers(0, 1000)),
        clicks=draw(st.none() | st.integers(0, 50)),
    )


@st.composite
def rates(draw: st.DrawFn) -> list[RateFact]:
    """Of some currencies on some days, to any other that is reported in."""
    found = []
    for number, (source, target) in enumerate((("EUR", "USD"), ("JPY", "USD"), ("KWD", "USD"), ("USD", "EUR"), ("USD", "JPY"))):
        for day in draw(st.sets(st.sampled_from([*_DAYS, date(2026, 2, 25), date(2026, 2, 20)]), max_size=3)):
            rate = draw(st.sampled_from(["1.1", "0.0066", "3.25", "1.005", "0.5"]))
            key = f"8{number:03x}{day.toordinal():028x}"
            found.append(RateFact(key=key, batch="one", day=day, from_currency=source, to_currency=target, rate=Decimal(rate), source="a bank"))
    return found


@st.composite
def worlds(draw: st.DrawFn, *, most: int = 4) -> World:
    """Three contacts, two of whom may be one; visitors who are known, linked or nobody."""
    identities = []
    if draw(st.integers(0, 3)) == 0:
        identities.append(IdentityFact(key=CONTACTS[1], contact=CONTACTS[0]))
    identities += [IdentityFact(key=visitor, contact=draw(st.sampled_from(CONTACTS))) for visitor in draw(st.sets(st.sampled_from(VISITORS)))]
    links = [WeakLinkFact(key=VISITORS[0], customers=(VISITORS[2], VISITORS[1]))] if draw(st.booleans()) else []

    sold = [draw(orders(number)) for number in range(draw(st.integers(0, most)))]
    rows: dict[Kind, list[Fact]] = {
        Kind.IDENTITIES: [*identities],
        Kind.WEAK_LINKS: [*links],
        Kind.CONTACTS: [draw(contacts(contact)) for contact in CONTACTS],
        Kind.TAGS: [draw(tags(contact)) for contact in CONTACTS],
        Kind.TOUCHES: [draw(touches(number)) for number in range(draw(st.integers(0, 2 * most)))],
        Kind.ORDERS: [*sold],
        Kind.SUBSCRIPTIONS: [draw(subscriptions(number, sold)) for number in range(draw(st.integers(0, 2)))],
        Kind.ACTIVITIES: [draw(activities(number)) for number in range(draw(st.integers(0, most)))],
        Kind.AD_SPEND: [draw(advertising(number)) for number in range(draw(st.integers(0, most)))],
        Kind.RATES: [*draw(rates())],
    }
    return World(rows)


ORDER_DIMENSIONS = ["product", "konnektive_campaign", "order_type", "coupon", "customer_type", "connection"]
CONTACT_DIMENSIONS = ["tag", "country", "field:plan"]
DIMENSIONS = [
    "channel",
    "channel",
    "source",
    "campaign",
    "campaign_id",
    "ad",
    "landing_page",
    "email_campaign",
    "message",
    "affiliate",
    *ORDER_DIMENSIONS,
    *CONTACT_DIMENSIONS,
]
_VALUES = {
    "channel": ["email", "direct", "paid_search"],
    "source": ["google", "mail", ""],
    "campaign": ["spring", ""],
    "connection": CONNECTIONS,
    "product": ["p1"],
    "customer_type": ["new"],
    "tag": [*TAGS, ""],
    "country": ["US", ""],
    "coupon": ["TEN", ""],
}


@st.composite
def queries(draw: st.DrawFn, report: ReportType, *, dimensions: list[str] | None = None) -> Query:
    zone = draw(st.sampled_from(ZONES))
    first, last = sorted([draw(st.sampled_from(_DAYS)), draw(st.sampled_from(_DAYS))])
    scale = draw(st.none() | st.sampled_from(Scale))
    if scale is Scale.HOUR:
        last = min(last, first + timedelta(days=2))
    known = DIMENSIONS if dimensions is None else dimensions
    filters = []
    for dimension in draw(st.lists(st.sampled_from([name for name in known if name in _VALUES]), max_size=1)):
        op: FilterOp = draw(st.sampled_from(["is", "is_not", "contains", "not_contains", "starts_with"]))
        values = _VALUES[dimension] if op in ("is", "is_not") else [value for value in _VALUES[dimension] if value]
        filters.append(Filter(dimension=dimension, op=op, values=tuple(draw(st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)))))
    return Query(
        type=report,
        range=calendar.range_of(first, last, zone),
        time_zone=zone,
        scale=scale,
        group_by=tuple(draw(st.lists(st.sampled_from(known), max_size=2, unique=True))),
        filters=tuple(filters),
        model=draw(st.sampled_from(Model)),
        lookback_days=draw(st.sampled_from([30, 30, 1, 7, None])),
        half_life_days=draw(st.sampled_from([7.0, 7.0, 3.5])),
        date_mode=draw(st.sampled_from(DateMode)),
        rebill_credit=draw(st.sampled_from(["inherit", "own"])),
        currency=draw(st.sampled_from(["USD", "USD", "EUR", "JPY"])),
        include_tax=draw(st.booleans()),
        include_shipping=draw(st.booleans()),
        limit=10_000,
        now=draw(st.sampled_from([NOW, NOW, datetime(2026, 3, 8, 12, tzinfo=UTC)])),
    )
