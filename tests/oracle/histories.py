"""Small random shops: a few people with their visits, orders, subscriptions and tags, as facts are written, and questions to ask about them.

Values are few, so that they meet: touches of one moment, orders on a day of 23 hours, two orders of one subscription, a merge of people who both bought.
What a thing is follows from the shop's seed and its own number; which of them there are is drawn. So a shop is made fast, and one that shows an error is made
smaller by leaving things out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeVar

import msgspec
from hypothesis import strategies as st

from tests.oracle import calendar
from tests.oracle.credits import TOUCH_COLUMNS, World
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
from tributary.reports.query import Cohort, DateMode, Filter, FilterOp, FixedCost, Model, Query, ReportType, Scale, Step, StepKind

T = TypeVar("T")

CONTACTS: Final = [f"c{number:031x}" for number in range(5)]
VISITORS: Final = [f"a{number:031x}" for number in range(5)]
CONNECTIONS: Final = ["con_1", "con_2"]
CURRENCIES: Final = ["USD", "USD", "USD", "EUR", "JPY", "KWD"]
ZONES: Final = ["UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"]
TAGS: Final = ["vip", "trial"]
NOW: Final = datetime(2026, 4, 20, 12, tzinfo=UTC)
DAYS: Final = [
    date(2026, 1, 31),
    date(2026, 2, 28),
    date(2026, 3, 1),
    date(2026, 3, 7),
    date(2026, 3, 8),
    date(2026, 3, 9),
    date(2026, 3, 29),
    date(2026, 4, 5),
]
"""Ends of months; days on which New York, Berlin and Lord Howe change their clocks, and those beside them."""
MINUTES: Final = [0, 270, 330, 390, 420, 930, 1410]
"""Of the day in UTC: near the local midnights and the hours that are left out or come twice."""
RATE_DAYS: Final = [date(2026, 1, 28), date(2026, 2, 22), date(2026, 3, 2), date(2026, 3, 8), date(2026, 3, 22), date(2026, 4, 1)]
PAIRS: Final = [("EUR", "USD"), ("JPY", "USD"), ("KWD", "USD"), ("USD", "EUR"), ("USD", "JPY")]
RATES: Final = len(RATE_DAYS) * len(PAIRS)
AMOUNTS: Final = [0, 1, 99, 100, 999, 1000, 3333, 10_000]


class Chance(random.Random):
    """The same for the same shop and thing."""

    def one(self, *values: T) -> T:
        return self.choice(values)

    def maybe(self, *values: T) -> T | None:
        return None if self.random() < 0.3 else self.choice(values)

    def once_in(self, times: int) -> bool:
        return self.randrange(times) == 0

    def moment(self) -> datetime:
        day = self.choice(DAYS)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=self.choice(MINUTES))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Five people, some of whom are one; their visitors, who are known, linked or nobody; up to 40 touches, 24 orders."""
    seed = draw(st.integers(0, 2**32))

    def some(kind: str, most: int) -> list[tuple[int, Chance]]:
        """Numbers of the things that there are, each with what decides the rest of it."""
        there = int.from_bytes(draw(st.binary(min_size=most // 8, max_size=most // 8)))
        return [(number, Chance(f"{seed} {kind} {number}")) for number in range(most) if there >> number & 1]

    sold = [an_order(number, chance) for number, chance in some("order", 24)]
    rows: dict[Kind, list[Fact]] = {
        Kind.IDENTITIES: [found for number, chance in some("identity", 8) if (found := an_identity(number, chance)) is not None],
        Kind.WEAK_LINKS: [WeakLinkFact(key=VISITORS[0], customers=(VISITORS[2], VISITORS[1]))],
        Kind.CONTACTS: [a_contact(contact, Chance(f"{seed} {contact}")) for contact in CONTACTS],
        Kind.TAGS: [tags_of(CONTACTS[number], chance) for number, chance in some("tags", 8) if number < len(CONTACTS)],
        Kind.TOUCHES: [a_touch(number, chance) for number, chance in some("touch", 40)],
        Kind.ORDERS: [*sold],
        Kind.SUBSCRIPTIONS: [a_subscription(number, chance, sold) for number, chance in some("subscription", 8) if number < 2 * len(CONTACTS)],
        Kind.ACTIVITIES: [an_activity(number, chance) for number, chance in some("activity", 24)],
        Kind.AD_SPEND: [advertising(number, chance) for number, chance in some("spend", 16)],
        Kind.RATES: [a_rate(number, chance) for number, chance in some("rate", 32) if number < RATES],
    }
    return World(rows)


def an_identity(number: int, chance: Chance) -> IdentityFact | None:
    """Who a visitor is; or of the last number now and then that a contact was merged into another."""
    if number < len(VISITORS):
        return IdentityFact(key=VISITORS[number], contact=chance.choice(CONTACTS))
    return IdentityFact(key=CONTACTS[1], contact=CONTACTS[0]) if number == len(VISITORS) else None


def a_contact(contact: str, chance: Chance) -> ContactFact:
    fields = {"plan": chance.one("crew", "captain")} if chance.once_in(2) else {}
    return ContactFact(
        key=contact, person=contact, lead_at=chance.moment(), connection=chance.maybe(*CONNECTIONS, "src_1"), country=chance.maybe("US", "DE"), fields=fields
    )


def tags_of(contact: str, chance: Chance) -> TagsFact:
    found = []
    for tag in chance.sample(TAGS, chance.randint(0, 2)):
        applied, removed = sorted([chance.moment(), chance.moment()])
        found.append(TagInterval(tag=tag, applied_at=applied, removed_at=removed if removed > applied and chance.once_in(2) else None))
    return TagsFact(key=contact, person=contact, tags=tuple(found))


def a_touch(number: int, chance: Chance) -> TouchFact:
    channel = chance.one("direct", "direct", "email", "email", "paid_search", "paid_social", "display", "organic_search", "bot")
    named = channel not in ("direct", "bot")
    return TouchFact(
        key=f"d{number:031x}",
        person=chance.one(*CONTACTS, *VISITORS),
        happened_at=chance.moment(),
        connection=chance.one("src_1", "con_1"),
        channel=channel,
        source=chance.maybe("google", "mail") if named else None,
        medium=chance.maybe("cpc", "email") if named else None,
        campaign=chance.maybe("spring", "sale") if named else None,
        content=chance.maybe("red", "blue") if named else None,
        term=chance.maybe("boats") if named else None,
        campaign_id=chance.maybe("501", "502") if named else None,
        adset_id=chance.maybe("601", "602") if named else None,
        ad_id=chance.maybe("701", "702") if named else None,
        landing_page=chance.maybe("shop.example/", "shop.example/offer"),
        referrer=chance.maybe("news.example") if named else None,
        email_campaign=chance.maybe("welcome") if channel == "email" else None,
        email_flow=chance.maybe("f-1") if channel == "email" else None,
        email_message=chance.maybe("m-1", "m-2") if channel == "email" else None,
        email_link=chance.maybe("shop.example/offer") if channel == "email" else None,
        email_list=chance.maybe("l-1", "l-2") if channel == "email" else None,
        affiliate_id=chance.maybe("9") if named else None,
        sub_affiliate=chance.maybe("left", "right") if named else None,
    )


def an_order(number: int, chance: Chance) -> OrderFact:
    """Money as an order's balance has it: of one that was not sold only what was given back. A subscription's orders are its subscriber's."""
    moment, sold, rebill = chance.moment(), not chance.once_in(6), chance.once_in(3)
    subscription = chance.randrange(len(CONTACTS)) if rebill or chance.once_in(3) else None
    total, discount = (chance.choice(AMOUNTS), chance.one(0, 0, 1, 250)) if sold else (0, 0)
    tax, shipping = (min(chance.one(0, 1, 100, 250), total // 2), min(chance.one(0, 1, 100, 250), total // 2)) if sold else (0, 0)
    received = chance.one(total, total, total // 2, 0)
    voided = received if chance.once_in(8) else 0
    given_back = chance.one(0, 0, 0, total // 3, total) if sold else chance.one(0, 1, 250)
    refunded, charged_back = (0, given_back) if chance.once_in(4) else (given_back, 0)
    items = [
        OrderItem(product_id=chance.one("p1", "p2", "p3"), quantity=chance.one(1, 1, 2), amount=chance.choice(AMOUNTS)) for _ in range(chance.randint(0, 3))
    ]
    currency = chance.choice(CURRENCIES)
    moves = [("payment", received), ("void", voided), ("refund", refunded), ("chargeback", charged_back)]
    return OrderFact(
        key=f"b{number:031x}",
        person=CONTACTS[subscription] if subscription is not None else chance.choice(CONTACTS),
        connection=chance.choice(CONNECTIONS),
        order_id=f"O-{number}",
        happened_at=moment,
        sold_at=moment if sold else None,
        state="sold" if sold else "declined",
        order_type=chance.maybe("new_sale", "recurring"),
        billing_cycle=chance.one(2, 3) if rebill else 1,
        rebill=rebill,
        subscription_id=f"S-{subscription}" if subscription is not None else None,
        campaign_id=chance.maybe("11", "12"),
        coupon=chance.maybe("TEN"),
        currency=currency,
        currency_assumed=chance.once_in(8),
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
        movements=tuple(Movement(kind=kind, happened_at=max(moment, chance.moment()), currency=currency, amount=amount) for kind, amount in moves if amount),
        others=(OtherMoney(currency="EUR", refunded=chance.one(1, 250)),) if currency != "EUR" and chance.once_in(10) else (),
    )


def a_subscription(number: int, chance: Chance, sold: Sequence[OrderFact]) -> SubscriptionFact:
    """The first five are those that orders name; the others have a name of their own, and the same people."""
    subscriber = CONTACTS[number % len(CONTACTS)]
    connection = chance.choice(CONNECTIONS)
    theirs = [order.order_id for order in sold if (order.person, order.connection) == (subscriber, connection)]
    marks = sorted({chance.moment() for _ in range(chance.randint(1, 5))})
    states = [chance.one("trial", "active", "active")] + [
        chance.one("active", "active", "paused", "recycling", "recycle_failed", "cancelled", "completed") for _ in marks[1:]
    ]
    billed = [(chance.one(4500, 3000), chance.one(1, 1, 2), chance.one(30, 7, 365, 90, 10)) for _ in marks]
    return SubscriptionFact(
        key=f"e{number:031x}",
        person=subscriber,
        connection=connection,
        subscription_id=f"S-{number}",
        order_id=chance.maybe(*theirs, "O-99"),
        product_id=chance.maybe("p1", "p2"),
        started_at=marks[0],
        trial_started_at=marks[0] if states[0] == "trial" else None,
        state=states[-1],
        cancelled_at=max((moment for moment, state in zip(marks, states, strict=True) if state == "cancelled"), default=None),
        currency=chance.choice(CURRENCIES),
        currency_assumed=chance.once_in(8),
        price=billed[-1][0],
        quantity=billed[-1][1],
        interval_days=billed[-1][2],
        states=tuple(StateMark(happened_at=moment, state=state) for moment, state in zip(marks, states, strict=True)),
        rates=tuple(
            RateMark(happened_at=moment, price=price, quantity=quantity, interval_days=days)
            for moment, (price, quantity, days) in zip(marks, billed, strict=True)
        ),
    )


def an_activity(number: int, chance: Chance) -> ActivityFact:
    kind = chance.one("page", "page", "track", "track", "identify")
    return ActivityFact(
        key=f"f{number:031x}",
        person=chance.one(*CONTACTS, *VISITORS),
        happened_at=chance.moment(),
        connection="src_1",
        type=kind,
        name=chance.one("Offer Seen", "Checkout Started", "Email Opened", "Email Clicked") if kind == "track" else None,
        page=chance.one("shop.example/", "shop.example/offer") if kind == "page" else None,
        bot=chance.once_in(6),
    )


def advertising(number: int, chance: Chance) -> AdSpendFact:
    return AdSpendFact(
        key=f"9{number:031x}",
        batch="one",
        day=chance.choice(DAYS),
        platform=chance.one("google", "facebook"),
        campaign_id=chance.maybe("501", "509"),
        campaign_name=chance.maybe("Spring sale"),
        adset_id=chance.maybe("601", "609"),
        ad_id=chance.maybe("701", "709"),
        source=chance.maybe("Google", "mail"),
        medium=chance.maybe("cpc"),
        campaign=chance.maybe("Spring", "sale", "winter"),
        content=chance.maybe("red"),
        term=chance.maybe("boats"),
        currency=chance.choice(CURRENCIES),
        spend=chance.choice(AMOUNTS),
        impressions=chance.maybe(0, 1000, 777),
        clicks=chance.maybe(0, 7, 50),
        platform_conversions=chance.maybe(0, 3),
        platform_conversion_value=chance.maybe(*AMOUNTS),
    )


def a_cost(number: int, chance: Chance) -> FixedCost:
    """Of a day, of the days between two, or from a day on."""
    first, later = sorted([chance.choice(DAYS), chance.choice(DAYS)])
    return FixedCost(
        id=f"cost_{number}",
        name="Studio",
        amount=chance.choice(AMOUNTS),
        currency=chance.choice(CURRENCIES),
        first=first,
        last=chance.one(first, later, None),
        source=chance.maybe("Google", "mail"),
        medium=chance.maybe("cpc"),
        campaign=chance.maybe("Spring", "winter"),
        platform=chance.maybe("google"),
    )


def a_rate(number: int, chance: Chance) -> RateFact:
    """Of some currencies on some days, each at most once."""
    (source, target), day = PAIRS[number % len(PAIRS)], RATE_DAYS[number // len(PAIRS)]
    rate = chance.one("1.1", "0.0066", "3.25", "1.005", "0.5")
    return RateFact(key=f"8{number:031x}", batch="one", day=day, from_currency=source, to_currency=target, rate=Decimal(rate), source="a bank")


OF_ORDERS: Final = ["product", "konnektive_campaign", "order_type", "coupon", "customer_type", "connection"]
OF_CONTACTS: Final = ["tag", "country", "field:plan"]
OF_TOUCHES: Final = [*TOUCH_COLUMNS]
DIMENSIONS: Final = [*OF_TOUCHES, *OF_ORDERS, *OF_CONTACTS]
STEPS: Final[list[tuple[StepKind, str]]] = [
    ("event", "Offer Seen"),
    ("page", "shop.example/offer"),
    ("page", "shop.example/*"),
    ("tag", "vip"),
    ("order", "started"),
    ("order", "sold"),
    ("order", "refunded"),
    ("invoice", "paid"),
    ("invoice", "refunded"),
    ("order", "rebilled"),
    ("subscription", "active"),
]
MODELS: Final = [*Model, Model.POSITION, Model.W_SHAPED, Model.TIME_DECAY, Model.LINEAR]
"""Those that divide more often: they have most to get wrong."""
_VALUES: Final = {
    "channel": ["email", "direct", "paid_search"],
    "source": ["google", "mail", ""],
    "medium": ["cpc", ""],
    "campaign": ["spring", ""],
    "content": ["red", ""],
    "adset": ["601", ""],
    "referrer": ["news.example", ""],
    "list": ["l-1", ""],
    "sub_affiliate": ["left"],
    "connection": CONNECTIONS,
    "product": ["p1"],
    "customer_type": ["new"],
    "tag": [*TAGS, ""],
    "country": ["US", ""],
    "coupon": ["TEN", ""],
}


@st.composite
def queries(draw: st.DrawFn, report: ReportType, *, dimensions: Sequence[str] = DIMENSIONS) -> Query:
    """A question without KPIs; all that it leaves open is as long as the shop's history, and as wide."""
    zone = draw(st.sampled_from(ZONES))
    first, last = DAYS[0], DAYS[-1]
    if draw(st.booleans()):
        first, last = sorted([draw(st.sampled_from(DAYS)), draw(st.sampled_from(DAYS))])
    scale = draw(st.none() | st.sampled_from(Scale))
    if scale is Scale.HOUR:
        first, last = date(2026, 3, 7), date(2026, 3, 9)
    return Query(
        type=report,
        range=calendar.range_of(first, last, zone),
        time_zone=zone,
        scale=scale,
        group_by=draw(_grouped(dimensions)),
        filters=draw(_filters(dimensions)),
        model=draw(st.sampled_from(MODELS)),
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


@st.composite
def attributions(draw: st.DrawFn, report: ReportType) -> Query:
    """With costs that the account adds, and now and then another range to compare with."""
    query = draw(queries(report))
    seed = draw(st.integers(0, 2**32))
    costs = tuple(a_cost(number, Chance(f"{seed} {number}")) for number in range(draw(st.sampled_from([0, 0, 1, 2]))))
    compare = None
    if draw(st.integers(0, 4)) == 0:
        first, last = (date(2026, 3, 1), date(2026, 3, 2)) if query.scale is Scale.HOUR else sorted([draw(st.sampled_from(DAYS)), draw(st.sampled_from(DAYS))])
        compare = calendar.range_of(first, last, query.time_zone)
    return msgspec.structs.replace(query, fixed_costs=costs, compare=compare)


@st.composite
def funnels(draw: st.DrawFn) -> Query:
    """Up to three steps, the same one twice among them."""
    query = draw(queries(ReportType.FUNNEL))
    steps = draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=3))
    return msgspec.structs.replace(query, steps=tuple(Step(kind=kind, value=value, label=value) for kind, value in steps))


@st.composite
def cohorts(draw: st.DrawFn, intervals: tuple[int, ...]) -> Query:
    cohort: Cohort = draw(st.sampled_from(["lead", "first_order"]))
    return msgspec.structs.replace(draw(queries(ReportType.VALUE_OVER_TIME)), intervals=intervals, cohort=cohort)


def _grouped(dimensions: Sequence[str]) -> st.SearchStrategy[tuple[str, ...]]:
    """Mostly by touches, if it can be."""
    of_touches = [name for name in dimensions if name in OF_TOUCHES]
    any_of_them = st.lists(st.sampled_from(dimensions), max_size=2, unique=True).map(tuple)
    if not of_touches:
        return any_of_them
    by_touch = st.tuples(st.sampled_from(of_touches))
    return by_touch | by_touch | any_of_them


@st.composite
def _filters(draw: st.DrawFn, dimensions: Sequence[str]) -> tuple[Filter, ...]:
    if draw(st.integers(0, 2)) > 0:
        return ()
    dimension = draw(st.sampled_from([name for name in dimensions if name in _VALUES]))
    op: FilterOp = draw(st.sampled_from(["is", "is_not", "contains", "not_contains", "starts_with"]))
    values = [value for value in _VALUES[dimension] if value or op in ("is", "is_not")]
    return (Filter(dimension=dimension, op=op, values=tuple(draw(st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)))),)
