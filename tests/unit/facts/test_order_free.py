"""Facts are told at least once, in any order: what readers see in the end is what CONTACTS says, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.changes import SETTINGS, StreamedWorld, contact_of, newest, standing
from tests.kit.contacts import DIGESTS, UNLIMITED
from tests.kit.histories import histories, shuffled_batches
from tributary.contacts.lifetime import lifetime_of
from tributary.contacts.reading import read_contact_by_id
from tributary.events import Event
from tributary.facts import of_events
from tributary.facts.of_contacts import facts_of
from tributary.facts.tables import Kind, OrderFact, OtherMoney
from tributary.identity.rules import IdentityRules

_RULES = st.sampled_from([UNLIMITED, IdentityRules()])


def _lived(said: Sequence[Event], seed: int, rules: IdentityRules = UNLIMITED) -> StreamedWorld:
    world = StreamedWorld(rules)
    for batch in shuffled_batches(said, seed):
        world.take(*batch)
    return world


@settings(max_examples=100, deadline=None)
@given(histories(max_size=20), st.integers(), st.randoms(use_true_random=False))
def test_any_order_and_repetition_of_changes_tells_what_contacts_says(said: list[Event], seed: int, chance: random.Random) -> None:
    world = _lived(said, seed)
    changes = world.streamed.changes
    again = [*changes, *chance.sample(changes, len(changes) // 2)]
    chance.shuffle(again)
    told = [facts_of(again[start : start + 7], SETTINGS, DIGESTS).rows for start in range(0, len(again), 7)]
    assert newest(told) == standing(world.contacts)


@settings(max_examples=100, deadline=None)
@given(histories(max_size=20), st.integers())
def test_who_reads_one_month_alone_sees_no_row_that_moved_to_another(said: list[Event], seed: int) -> None:
    world = _lived(said, seed)
    assert newest([facts_of(world.streamed.changes, SETTINGS, DIGESTS).rows], by_month=True) == standing(world.contacts)


@settings(max_examples=100, deadline=None)
@given(histories(max_size=20), st.integers(), _RULES)
def test_an_events_facts_are_of_the_contact_that_the_event_was_counted_for(said: list[Event], seed: int, rules: IdentityRules) -> None:
    world = _lived(said, seed, rules)
    facts = world.facts()
    for event in world.log.rows.values():
        (activity,) = of_events.facts_of([event], rules, DIGESTS).rows[Kind.ACTIVITIES]
        named = rules.link_of(event).identifiers
        if named:
            contact = world.contact(named[0].kind, named[0].value)
            assert activity.person == DIGESTS.of(named[0])  # type: ignore[attr-defined]
            assert contact is None or contact_of(facts, activity.person) == contact.id  # type: ignore[attr-defined]


@settings(max_examples=100, deadline=None)
@given(histories(max_size=20), st.integers())
def test_the_money_of_order_facts_is_the_money_of_their_contacts(said: list[Event], seed: int) -> None:
    world = _lived(said, seed)
    facts = world.facts()
    for person in facts.get(Kind.CONTACTS, []):
        contact = read_contact_by_id(world.contacts, person.key)
        assert contact is not None
        money: dict[tuple[str, str], int] = {}
        for fact in facts.get(Kind.ORDERS, []):
            assert isinstance(fact, OrderFact)
            if contact_of(facts, fact.person) == person.key:
                _add_up(fact, money)
                _check_movements(fact)
        names = ("gross", "discount", "tax", "shipping", "received", "voided", "refunded", "charged_back", "returned")
        expected = {(balance.currency, name): getattr(balance, name) for balance in lifetime_of(contact).balances for name in names}
        assert _without_zeros(money) == _without_zeros(expected)


def _parts(fact: OrderFact) -> tuple[OrderFact | OtherMoney, ...]:
    return (fact, *fact.others)


def _add_up(fact: OrderFact, money: dict[tuple[str, str], int]) -> None:
    for part in _parts(fact):
        for name in ("gross", "discount", "tax", "shipping", "received", "voided", "refunded", "charged_back", "returned"):
            money[part.currency, name] = money.get((part.currency, name), 0) + int(getattr(part, name, 0))


def _check_movements(fact: OrderFact) -> None:
    """What moved day by day is what the order says moved in all."""
    columns = {"payment": "received", "void": "voided", "refund": "refunded", "chargeback": "charged_back"}
    moved: dict[tuple[str, str], int] = {}
    for movement in fact.movements:
        if movement.kind in columns:
            place = (movement.currency, columns[movement.kind])
            moved[place] = moved.get(place, 0) + movement.amount
    said = {(part.currency, name): int(getattr(part, name)) for part in _parts(fact) for name in columns.values()}
    assert _without_zeros(moved) == _without_zeros(said)


def _without_zeros(money: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    return {place: amount for place, amount in money.items() if amount}
