"""What a change of CONTACTS tells: each kind of fact from records of Konnektive, and rows that go."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.kit.builders import NOON, identify, later, page, track
from tests.kit.changes import SETTINGS, StreamedWorld, contact_of
from tests.kit.contacts import DIGESTS
from tests.kit.golden import CONNECTION, golden
from tributary.contacts.rows import root_key
from tributary.errors import UnreadableMessage
from tributary.events import Event
from tributary.facts.of_contacts import Change, Image, Settings, facts_of
from tributary.facts.tables import (
    ContactFact,
    Fact,
    IdentityFact,
    Kind,
    Movement,
    OrderFact,
    OrderItem,
    OtherMoney,
    RateMark,
    StateMark,
    SubscriptionFact,
    TagInterval,
    TagsFact,
    WeakLinkFact,
)
from tributary.identity.identifiers import Identifier

OWNER = DIGESTS.of(Identifier(f"konnektive:{CONNECTION}", "884"))
SOLD_AT = datetime(2026, 2, 11, 1, 15, 30, tzinfo=UTC)


def told(*events: Event, settings: Settings = SETTINGS) -> dict[Kind, list[Fact]]:
    world = StreamedWorld()
    world.take(*events)
    return world.facts(settings)


def order_told(*events: Event) -> OrderFact:
    (fact,) = told(*events)[Kind.ORDERS]
    assert isinstance(fact, OrderFact)
    return fact


def subscription_told(*events: Event) -> SubscriptionFact:
    (fact,) = told(*events)[Kind.SUBSCRIPTIONS]
    assert isinstance(fact, SubscriptionFact)
    return fact


def about(name: str, seconds: float = 0, **properties: Any) -> Event:
    said = {"order_id": "o-1", "currency": "USD", **properties}
    return track(name, user_id="1", properties=said, timestamp=later(seconds), received_at=later(3_600))


# ---------------------------------------------------------------- orders


def test_a_sale_and_its_payment_are_an_order_with_its_money_items_and_what_moved() -> None:
    fact = order_told(*golden("orders", "All that an order row may say"), *golden("transactions", "A sale that the gateway took"))
    assert fact == OrderFact(
        key=fact.key,
        version=2,
        person=contact_of(told(*golden("orders", "All that an order row may say")), OWNER),
        connection=CONNECTION,
        order_id="3C0FFEE12A",
        happened_at=SOLD_AT,
        sold_at=SOLD_AT,
        state="completed",
        order_type="NEW_SALE",
        billing_cycle=1,
        campaign_id="12",
        campaign_name="Spring Funnel",
        affiliate_id="AF00007",
        coupon="HILLS10",
        payment_method=fact.payment_method,
        currency="USD",
        gross=fact.gross,
        discount=fact.discount,
        tax=500,
        shipping=490,
        received=6490,
        items=(OrderItem(product_id="31", sku="BELL-1", name="Bell", quantity=2, amount=5500),),
        movements=(Movement(kind="payment", happened_at=fact.movements[0].happened_at, currency="USD", amount=6490, billing_cycle=1),),
    )
    assert fact.gross - fact.discount == 6490


def test_an_order_that_was_not_paid_is_no_sale_and_stands_at_its_own_date() -> None:
    fact = order_told(*golden("orders", "A declined order is an Order Declined"))
    assert (fact.sold_at, fact.happened_at, fact.state, fact.gross) == (None, SOLD_AT, "declined", 0)


def test_a_rebill_says_so_and_whose() -> None:
    fact = order_told(*golden("orders", "A rebill is an order of its subscription"))
    assert (fact.rebill, fact.billing_cycle, fact.subscription_id) == (True, 3, "5F6E7D8C9B")


def test_what_was_given_back_moved_on_its_own_days() -> None:
    fact = order_told(
        about("Order Completed", total=50, tax=5, shipping=5),
        about("Payment Received", 1, transaction_id="7", amount=50),
        about("Payment Declined", 0, transaction_id="6", amount=50),
        about("Order Refunded", 60, refund_id="8", total=20),
        about("Chargeback Received", 90, transaction_id="7", amount=10),
    )
    assert [(one.kind, one.happened_at, one.amount) for one in fact.movements] == [
        ("decline", later(0), 5000),
        ("payment", later(1), 5000),
        ("refund", later(60), 2000),
        ("chargeback", later(90), 1000),
    ]
    assert (fact.gross, fact.tax, fact.shipping, fact.refunded, fact.charged_back, fact.returned) == (5000, 500, 500, 2000, 1000, 0)


def test_a_refund_of_the_whole_moves_what_earlier_ones_left() -> None:
    fact = order_told(about("Order Completed", total=50), about("Order Refunded", 60, refund_id="8", total=20), about("Order Refunded", 90))
    assert [(one.kind, one.amount) for one in fact.movements] == [("refund", 2000), ("refund", 3000)]
    assert fact.refunded == 5000


def test_money_of_another_currency_is_kept_apart() -> None:
    fact = order_told(
        about("Order Completed", total=5000, currency="JPY"),
        about("Payment Received", 1, transaction_id="7", amount="12.345", currency="KWD"),
    )
    assert (fact.currency, fact.gross, fact.received) == ("JPY", 5000, 0)
    assert fact.others == (OtherMoney(currency="KWD", received=12_345),)


def test_money_without_a_currency_is_of_the_accounts_and_says_so() -> None:
    event = track("Order Completed", user_id="1", properties={"order_id": "o-1", "total": 5})
    (fact,) = told(event, settings=Settings(currency="KWD"))[Kind.ORDERS]
    assert isinstance(fact, OrderFact)
    assert (fact.currency, fact.currency_assumed, fact.gross) == ("KWD", True, 5000)


def test_an_order_that_moves_to_another_month_is_gone_from_the_first() -> None:
    world = StreamedWorld()
    world.take(about("Order Completed", total=5))
    before = len(world.streamed.changes)
    world.take(about("Order Completed", -86_400 * 40, total=5))
    rows = facts_of(world.streamed.changes[before:], SETTINGS, DIGESTS).rows[Kind.ORDERS]
    assert [(row.gone, row.version, row.happened_at) for row in rows if isinstance(row, OrderFact)] == [
        (True, 3, NOON),
        (False, 4, later(-86_400 * 40)),
    ]
    assert rows[0].key == rows[1].key


# ---------------------------------------------------------------- people


def test_a_contact_says_since_when_it_is_known_and_from_where() -> None:
    facts = told(*golden("customers", "All that a customer may be"))
    (fact,) = facts[Kind.CONTACTS]
    person = contact_of(facts, OWNER)
    assert fact == ContactFact(
        key=person,
        person=person,
        version=2,
        lead_at=datetime(2026, 2, 11, 1, 15, tzinfo=UTC),
        connection=CONNECTION,
        last_seen_at=datetime(2026, 2, 11, 1, 15, 31, tzinfo=UTC),
        country="US",
    )


@pytest.mark.parametrize(
    ("said", "connection"),
    [
        ([], "src_page"),
        ([identify(user_id="1", source="con_crm", traits={"createdAt": "2026-03-04T11:00:00Z"}, timestamp=later(9))], "con_crm"),
        ([identify(user_id="1", source="con_crm", traits={"createdAt": "2026-03-04T13:00:00Z"}, timestamp=later(9))], "src_page"),
        ([identify(user_id="1", source="con_crm", traits={"createdAt": "soon", "created_at": None}, timestamp=later(9))], "src_page"),
        ([track("Berth Booked", user_id="1", source="src_early", timestamp=later(-9), received_at=later(99))], "src_early"),
        ([identify(user_id="1", anonymous_id="b-1", source="src_other", timestamp=later(5))], "src_visit"),
    ],
    ids=["by one", "the CRM's own date is earlier", "it is later", "it is none", "what came late was first", "of people who merged the earliest"],
)
def test_a_contact_is_told_with_the_connection_whose_event_made_the_person_known(said: list[Event], connection: str) -> None:
    visit = identify(anonymous_id="b-1", source="src_visit", traits={"plan": "crew"}, timestamp=later(-5))
    facts = told(identify(user_id="1", source="src_page"), visit, *said)
    (fact,) = [fact for fact in facts[Kind.CONTACTS] if fact.key == contact_of(facts, DIGESTS.of(Identifier("user", "1")))]
    assert isinstance(fact, ContactFact)
    assert fact.connection == connection


def test_a_contact_has_the_fields_that_the_account_names_and_no_others() -> None:
    traits = {"plan": "crew", "deck": 2, "is_member": True, "boat": "Iris", "email": "ana@quay.example"}
    (fact,) = told(identify(user_id="1", traits=traits), settings=Settings(report_fields=frozenset({"plan", "deck", "is_member"})))[Kind.CONTACTS]
    assert isinstance(fact, ContactFact)
    assert fact.fields == {"plan": "crew", "deck": "2", "is_member": "true"}


def test_a_field_that_looks_personal_or_is_prose_is_left_out_and_counted() -> None:
    world = StreamedWorld()
    world.take(identify(user_id="1", traits={"plan": "ask ana@quay.example", "deck": "+1 (202) 555-0143", "note": "w" * 65, "size": "w" * 64}))
    found = facts_of(world.streamed.changes, Settings(report_fields=frozenset({"plan", "deck", "note", "size"})), DIGESTS)
    (fact,) = [fact for fact in found.rows[Kind.CONTACTS] if fact.version == 2]
    assert isinstance(fact, ContactFact)
    assert fact.fields == {"size": "w" * 64}
    assert found.left_out == {"personal": 2, "too_long": 1}


def test_each_identifier_is_a_node_of_its_contact() -> None:
    facts = told(identify(user_id="1", anonymous_id="b-1", traits={"email": "ana@quay.example"}))
    nodes = {fact.key for fact in facts[Kind.IDENTITIES]}
    assert nodes == {DIGESTS.of(Identifier(kind, value)) for kind, value in (("user", "1"), ("anonymous", "b-1"), ("email", "ana@quay.example"))}
    assert len({contact_of(facts, node) for node in nodes}) == 1


def test_a_contact_that_is_merged_is_a_node_of_the_other_and_its_rows_are_told_of_that_one() -> None:
    world = StreamedWorld()
    world.take(track("Order Completed", context={"traits": {"email": "ana@quay.example"}}, properties={"order_id": "o-2", "total": 7}))
    world.take(about("Order Completed", total=5), identify(user_id="1", traits={"plan": "crew"}))
    assert len(world.facts()[Kind.CONTACTS]) == 2
    world.take(identify(user_id="1", traits={"email": "ana@quay.example"}))
    facts = world.facts()
    (contact,) = facts[Kind.CONTACTS]
    assert sorted(fact.order_id for fact in facts[Kind.ORDERS] if isinstance(fact, OrderFact) and fact.person == contact.key) == ["o-1", "o-2"]
    merged = [fact for fact in facts[Kind.IDENTITIES] if isinstance(fact, IdentityFact) and fact.key != contact.key and fact.contact == contact.key]
    assert merged
    assert {contact_of(facts, fact.key) for fact in facts[Kind.IDENTITIES]} == {contact.key}


def test_a_visitor_by_the_link_of_a_customer_is_weakly_linked_and_the_customer_is_not_linked_back() -> None:
    visit = page(anonymous_id="b-1", properties={"url": "https://quay.example/?seg_cid=901"})
    (fact,) = told(visit)[Kind.WEAK_LINKS]
    visitor, customer = DIGESTS.of(Identifier("anonymous", "b-1")), DIGESTS.of(Identifier("konnektive:con_1", "901"))
    assert fact == WeakLinkFact(key=visitor, version=2, customers=(customer,))


def test_that_a_contact_was_merged_stands_above_the_row_of_the_identifier_that_created_it() -> None:
    """Both are rows of one node, each with versions of its own."""
    world = StreamedWorld()
    world.take(track("Booked", user_id="1"))
    world.take(track("Booked", context={"traits": {"email": "ana@quay.example"}}))
    world.take(identify(user_id="1", traits={"email": "ana@quay.example"}))
    rows = facts_of(world.streamed.changes, SETTINGS, DIGESTS).rows
    (contact,) = world.facts()[Kind.CONTACTS]
    (merged,) = {row.key for row in rows[Kind.CONTACTS]} - {contact.key}
    said = [row for row in rows[Kind.IDENTITIES] if isinstance(row, IdentityFact) and row.key == merged]
    newest = max(said, key=lambda row: row.version)
    assert newest.contact == contact.key
    assert newest.version > 1_000_000 > max(row.version for row in said if row is not newest)


# ---------------------------------------------------------------- subscriptions and tags


def test_a_trial_that_converts_and_renews_is_a_subscription_with_its_states() -> None:
    facts = told(*golden("purchases", "A trial is started, converted"))
    (fact,) = facts[Kind.SUBSCRIPTIONS]
    started, converted, renewed = datetime(2026, 2, 11, 1, 15, 32, tzinfo=UTC), datetime(2026, 2, 24, 11, tzinfo=UTC), datetime(2026, 3, 26, 10, tzinfo=UTC)
    assert fact == SubscriptionFact(
        key=fact.key,
        version=2,
        person=contact_of(facts, OWNER),
        connection=CONNECTION,
        subscription_id="5F6E7D8C9B",
        order_id="3C0FFEE12A",
        product_id="31",
        sku="BOX",
        name="Oil Box",
        started_at=started,
        trial_started_at=started,
        trial_converted_at=converted,
        trial_ends_at=datetime(2026, 2, 24, tzinfo=UTC),
        state="active",
        currency="USD",
        price=1950,
        cycle=3,
        states=(
            StateMark(happened_at=started, state="trial"),
            StateMark(happened_at=converted, state="active"),
            StateMark(happened_at=renewed, state="active"),
        ),
        rates=(RateMark(happened_at=started, price=1950),),
    )


def test_a_subscription_says_when_it_was_cancelled_and_why() -> None:
    fact = subscription_told(*golden("purchases", "A trial that is cancelled is an end with its reason"))
    assert fact.state == "cancelled"
    assert fact.cancelled_at is not None
    assert fact.cancel_reason


def subscribed(name: str, seconds: float, **properties: Any) -> Event:
    said = {"subscription_id": "s-1", "currency": "USD", **properties}
    return track(name, user_id="1", properties=said, timestamp=later(seconds), received_at=later(3_600))


@pytest.mark.parametrize("turned", [False, True])
def test_a_subscription_comes_to_what_was_last_said_from_then_on_whatever_came_first(turned: bool) -> None:
    events = [
        subscribed("Subscription Started", 0, price=30, quantity=1, interval_days=30),
        subscribed("Subscription Updated", 50, price=45),
        subscribed("Subscription Renewed", 60, price=45),
        subscribed("Subscription Updated", 90, quantity=2, interval_days=365),
    ]
    assert subscription_told(*(reversed(events) if turned else events)).rates == (
        RateMark(happened_at=later(0), price=3000),
        RateMark(happened_at=later(50), price=4500),
        RateMark(happened_at=later(90), price=4500, quantity=2, interval_days=365),
    )


def test_a_subscription_whose_first_price_is_told_late_had_it_from_the_start() -> None:
    assert subscription_told(subscribed("Subscription Started", 0), subscribed("Subscription Updated", 50, price=45)).rates == (
        RateMark(happened_at=later(0), price=4500),
    )


def test_an_interval_that_is_none_is_a_month() -> None:
    assert subscription_told(subscribed("Subscription Started", 0, price=1, interval_days=0)).interval_days == 30


def test_a_tag_stands_from_when_it_was_applied_to_when_it_was_removed() -> None:
    def tagged(seconds: float, applied: bool) -> Event:
        return identify(user_id="1", context={"tags": {"vip": applied}}, timestamp=later(seconds), received_at=later(3_600))

    facts = told(tagged(0, True), tagged(50, False), tagged(90, True))
    (fact,) = facts[Kind.TAGS]
    assert isinstance(fact, TagsFact)
    assert fact.tags == (TagInterval(tag="vip", applied_at=later(0), removed_at=later(50)), TagInterval(tag="vip", applied_at=later(90)))
    assert fact.key == fact.person == facts[Kind.CONTACTS][0].key


# ---------------------------------------------------------------- what cannot be told


def test_a_row_that_cannot_be_read_is_refused_without_a_word_of_it() -> None:
    change = Change(key=root_key("c" * 32), old=None, new=Image(1, b"{ana@quay.example"))
    with pytest.raises(UnreadableMessage) as raised:
        facts_of([change], SETTINGS, DIGESTS)
    assert "ana" not in str(raised.value)


def test_rows_that_no_fact_comes_of_tell_nothing() -> None:
    world = StreamedWorld()
    world.take(identify(user_id="1", traits={"email": "ana@quay.example"}), track("Booked", user_id="1"))
    kinds = set(facts_of(world.streamed.changes, SETTINGS, DIGESTS).rows)
    assert kinds == {Kind.CONTACTS, Kind.IDENTITIES}
