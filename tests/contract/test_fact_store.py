"""FACTS: on memory and on DynamoDB and S3, what is written is what is read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.kit.fact_store import PlainFacts, Store, aws_store, contact, memory_store, node, read
from tributary.facts.tables import (
    AdSpendFact,
    Fact,
    IdentityFact,
    Kind,
    Months,
    Movement,
    OrderFact,
    OrderItem,
    RateFact,
    TouchFact,
    WeakLinkFact,
)

MARCH = datetime(2026, 3, 8, 6, 30, 0, 123456, tzinfo=UTC)
APRIL = datetime(2026, 4, 2, tzinfo=UTC)
EVER = Months()


@pytest.fixture(params=["memory", "aws"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield memory_store(tmp_path)
    else:
        with aws_store(tmp_path) as (made, _, _):
            yield made


def touch(number: int, person: int, at: datetime = MARCH, **values: Any) -> TouchFact:
    return TouchFact(key=node(number), person=node(person), happened_at=at, connection="shop", channel="direct", **values)


def order(number: int, person: int, at: datetime = MARCH, **values: Any) -> OrderFact:
    return OrderFact(key=node(number), person=node(person), connection="kon", order_id=str(number), happened_at=at, currency="USD", **values)


def pointer(node_: int, to: int, version: int = 1) -> IdentityFact:
    return IdentityFact(key=node(node_), contact=node(to), version=version)


def people(store: Store) -> list[str]:
    """Whose touches there are, in the order of their keys."""
    return [row["person"] for row in read(store.facts, Kind.TOUCHES, {Kind.TOUCHES: EVER})]


EVERY_KIND: dict[Kind, list[Fact]] = {
    Kind.TOUCHES: [touch(1, 101, source="news", sub_affiliate_5="x")],
    Kind.ORDERS: [
        order(
            2,
            101,
            sold_at=MARCH,
            gross=1999,
            items=(OrderItem(product_id="p", quantity=2, amount=1999),),
            movements=(Movement(kind="payment", happened_at=MARCH, currency="USD", amount=1999, billing_cycle=1),),
        )
    ],
    Kind.CONTACTS: [contact(101, version=3, lead_at=MARCH, country="US", fields={"plan": "gold"})],
    Kind.AD_SPEND: [AdSpendFact(key=node(5), version=1, batch="b", day=date(2026, 3, 8), platform="meta", currency="JPY", spend=1200)],
    Kind.RATES: [RateFact(key=node(6), batch="b", day=date(2026, 3, 8), from_currency="EUR", to_currency="USD", rate=Decimal("1.123456789012"))],
}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_row_is_read_as_it_was_written(store: Store, kind: Kind) -> None:
    plain = PlainFacts()
    for writer in (store.sink, plain):
        writer.append(EVERY_KIND)
    assert read(store.facts, kind, {kind: EVER}) == plain.seen(kind) != []


def test_what_nobody_wrote_is_an_empty_relation(store: Store) -> None:
    assert all(read(store.facts, kind, {kind: EVER}) == [] for kind in EVERY_KIND)


def test_the_same_rows_again_are_no_more_rows(store: Store) -> None:
    store.sink.append(EVERY_KIND)
    store.clock.move(7_200)
    store.sink.append(EVERY_KIND)
    assert len(read(store.facts, Kind.TOUCHES, {Kind.TOUCHES: EVER})) == 1


def test_a_retry_names_nothing_new(store: Store) -> None:
    store.sink.append(EVERY_KIND)
    before = store.manifests.read().id
    store.sink.append(EVERY_KIND)
    assert store.manifests.read().id == before


def test_the_newest_version_counts_whatever_came_first(store: Store) -> None:
    store.sink.append({Kind.ORDERS: [order(1, 101, version=2, gross=200)]})
    store.sink.append({Kind.ORDERS: [order(1, 101, version=1, gross=100)]})
    store.sink.append({Kind.ORDERS: [order(1, 101, version=3, gross=300)]})
    assert [row["gross"] for row in read(store.facts, Kind.ORDERS, {Kind.ORDERS: EVER})] == [300]


def test_a_row_that_moved_to_another_month_is_gone_from_its_old_one(store: Store) -> None:
    store.sink.append({Kind.ORDERS: [order(1, 101, version=1)]})
    store.sink.append({Kind.ORDERS: [order(1, 101, version=2, gone=True), order(1, 101, APRIL, version=2)]})
    assert [row["happened_at"] for row in read(store.facts, Kind.ORDERS, {Kind.ORDERS: EVER})] == [APRIL.replace(tzinfo=None)]


def test_a_visit_of_last_month_joins_its_buyer_in_the_very_next_question(store: Store) -> None:
    store.sink.append({Kind.TOUCHES: [touch(1, 11)]})
    assert people(store) == [node(11)]
    store.sink.append({Kind.IDENTITIES: [pointer(11, 101)]})
    assert people(store) == [node(101)]


def test_people_who_merged_are_one_whatever_their_pointers_say(store: Store) -> None:
    store.sink.append({Kind.TOUCHES: [touch(1, 11), touch(2, 12), touch(3, 101), touch(4, 102), touch(5, 103)]})
    store.sink.append({Kind.IDENTITIES: [pointer(11, 101), pointer(12, 102), pointer(101, 102), pointer(102, 103)]})
    assert people(store) == [node(103)] * 5


def test_who_opened_a_customers_link_is_the_first_of_those_that_are_known(store: Store) -> None:
    store.sink.append({Kind.TOUCHES: [touch(1, 11)], Kind.WEAK_LINKS: [WeakLinkFact(key=node(11), version=1, customers=(node(21), node(22), node(23)))]})
    assert people(store) == [node(11)]
    store.sink.append({Kind.IDENTITIES: [pointer(23, 103)]})
    assert people(store) == [node(103)]
    store.sink.append({Kind.IDENTITIES: [pointer(22, 102)]})
    assert people(store) == [node(102)]
    store.sink.append({Kind.IDENTITIES: [pointer(102, 105)]})
    assert people(store) == [node(105)]


def test_what_identifies_a_visitor_outweighs_the_links_that_they_opened(store: Store) -> None:
    store.sink.append({Kind.TOUCHES: [touch(1, 11)], Kind.WEAK_LINKS: [WeakLinkFact(key=node(11), version=1, customers=(node(21),))]})
    store.sink.append({Kind.IDENTITIES: [pointer(21, 101), pointer(11, 102)]})
    assert people(store) == [node(102)]


def test_contacts_have_one_row_a_person_from_when_they_were_first_known(store: Store) -> None:
    plain = PlainFacts()
    rows: dict[Kind, list[Fact]] = {
        Kind.CONTACTS: [
            contact(101, version=1, lead_at=MARCH, country="US", last_seen_at=APRIL),
            contact(102, version=1, lead_at=APRIL, fields={"plan": "gold"}),
            contact(103, version=1, lead_at=APRIL),
        ],
        Kind.IDENTITIES: [pointer(101, 102)],
    }
    for writer in (store.sink, plain):
        writer.append(rows)
    seen = read(store.facts, Kind.CONTACTS, {Kind.CONTACTS: EVER})
    assert seen == plain.seen(Kind.CONTACTS)
    assert [(row["key"], row["lead_at"], row["country"]) for row in seen] == [
        (node(102), MARCH.replace(tzinfo=None), "US"),
        (node(103), APRIL.replace(tzinfo=None), None),
    ]


def test_nothing_of_an_erased_person_is_read_or_written(store: Store) -> None:
    store.sink.append({Kind.TOUCHES: [touch(1, 11), touch(2, 101), touch(3, 12)], Kind.IDENTITIES: [pointer(11, 101)]})
    assert len(people(store)) == 3
    store.manifests.erase({node(11), node(101)})
    assert people(store) == [node(12)]
    store.clock.move(3_600)
    files = store.manifests.read().id
    store.sink.append({Kind.TOUCHES: [touch(4, 11)], Kind.IDENTITIES: [pointer(13, 101)]})
    assert store.manifests.read().id == files
    assert people(store) == [node(12)]


def test_another_kind_or_month_is_not_fetched(tmp_path: Path) -> None:
    store = memory_store(tmp_path)
    store.sink.append({Kind.TOUCHES: [touch(1, 11), touch(2, 11, APRIL)], **{kind: rows for kind, rows in EVERY_KIND.items() if kind is not Kind.TOUCHES}})
    read(store.facts, Kind.TOUCHES, {Kind.TOUCHES: Months("2026-04", "2026-04")})
    assert [place for place, _ in store.objects.fetched] == [(Kind.TOUCHES, "2026-04")]  # type: ignore[attr-defined]


def test_while_nothing_changes_a_question_costs_one_look_at_the_manifest(tmp_path: Path) -> None:
    store = memory_store(tmp_path)
    store.sink.append(EVERY_KIND)
    people(store)
    before = len(store.objects.fetched), store.manifests.reads  # type: ignore[attr-defined]
    people(store)
    assert (len(store.objects.fetched), store.manifests.reads) == (before[0], before[1] + 1)  # type: ignore[attr-defined]
