"""FACTS: on memory and on DynamoDB and S3, what is written is what is read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.kit.fact_store import ALLOWANCE, ROOM, MemoryManifests, PlainFacts, Store, aws_store, contact, memory_store, mentions, node, read
from tests.kit.moto import dynamodb_table
from tributary.adapters.duck import Allowance
from tributary.adapters.fact_manifest import DynamoManifests
from tributary.adapters.fact_proof import rows_left
from tributary.adapters.fact_reader import DuckFacts
from tributary.errors import ReportTooLarge
from tributary.facts.manifest import IDENTITIES, FactFile, Manifest, Place
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


def test_a_contact_that_is_its_own_first_identifier_is_itself_until_it_is_merged(store: Store) -> None:
    store.sink.append({Kind.TOUCHES: [touch(1, 101)], Kind.IDENTITIES: [pointer(101, 101, 2)]})
    assert people(store) == [node(101)]
    store.sink.append({Kind.IDENTITIES: [pointer(101, 102, 5), pointer(101, 101, 4)]})
    assert people(store) == [node(102)]


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
            contact(101, version=1, lead_at=MARCH, connection="src_shop", country="US", last_seen_at=APRIL),
            contact(102, version=1, lead_at=APRIL, connection="con_1", fields={"plan": "gold"}),
            contact(103, version=1, lead_at=APRIL),
            contact(104, version=1, lead_at=APRIL, connection="con_1"),
        ],
        Kind.IDENTITIES: [pointer(101, 102), pointer(104, 103)],
    }
    for writer in (store.sink, plain):
        writer.append(rows)
    seen = read(store.facts, Kind.CONTACTS, {Kind.CONTACTS: EVER})
    assert seen == plain.seen(Kind.CONTACTS)
    assert [(row["key"], row["lead_at"], row["connection"], row["country"]) for row in seen] == [
        (node(102), MARCH.replace(tzinfo=None), "src_shop", "US"),
        (node(103), APRIL.replace(tzinfo=None), "con_1", None),
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


LONG = lambda: 900.0  # noqa: E731  # seconds


def everything(store: Store) -> dict[Kind, list[dict[str, Any]]]:
    return {kind: read(store.facts, kind, {kind: EVER}) for kind in EVERY_KIND}


def test_compacted_facts_say_what_they_said_in_one_file_a_month(store: Store) -> None:
    store.sink.append(EVERY_KIND)
    store.sink.append({Kind.TOUCHES: [touch(7, 11), touch(8, 12)], Kind.ORDERS: [order(2, 101, version=2, gross=5)], Kind.IDENTITIES: [pointer(11, 101)]})
    before = everything(store)
    store.compaction().run(LONG)
    assert everything(store) == before
    manifest = store.manifests.read()
    assert [len(one.base.files) for one in manifest.partitions.values() if one.place.kind is not Kind.IDENTITIES] == [1] * len(EVERY_KIND)
    assert not any(one.fresh for one in manifest.partitions.values())


def test_a_base_names_people_as_they_are_known_and_visitors_by_their_links_as_themselves(store: Store) -> None:
    store.sink.append({Kind.TOUCHES: [touch(1, 11), touch(2, 12)]})
    store.sink.append({Kind.IDENTITIES: [pointer(11, 101)], Kind.WEAK_LINKS: [WeakLinkFact(key=node(12), version=1, customers=(node(11),))]})
    store.compaction().run(LONG)
    assert people(store) == [node(101), node(101)]
    store.sink.append({Kind.IDENTITIES: [pointer(12, 103), pointer(101, 102)]})
    assert people(store) == [node(102), node(103)]
    for _ in range(2):
        store.sink.append({Kind.IDENTITIES: [pointer(14, 104)]})
        store.clock.move(600)
        store.compaction("folding", fold_every=1, recent_kept=0).run(LONG)
        assert people(store) == [node(102), node(103)]
    assert store.manifests.read().of(IDENTITIES).base.recent == ()


@pytest.mark.parametrize("column", ["* EXCLUDE (term)", "* EXCLUDE (term), 7 AS of_a_newer_release", "* REPLACE (CAST(happened_at AS DATE) AS happened_at)"])
@pytest.mark.parametrize("months", [(MARCH,), (MARCH, APRIL)], ids=["alone", "beside another"])
def test_a_base_of_another_release_is_read_as_the_table_is(tmp_path: Path, column: str, months: tuple[datetime, ...]) -> None:
    store = memory_store(tmp_path)
    store.sink.append({Kind.TOUCHES: [touch(number, 11, at, campaign="spring", term="shoes") for number, at in enumerate(months)]})
    store.compaction().run(LONG)
    place = Place(Kind.TOUCHES, "2026-03")
    (base,) = store.manifests.read().of(place).base.files
    here = store.folder / "write"
    assert store.objects.fetch(place, base.name, here / "new.parquet")
    store.engine.run(f"COPY (SELECT {column} FROM read_parquet('{here / 'new.parquet'}')) TO '{here / 'old.parquet'}' (FORMAT parquet)")
    store.objects.put(place, base.name, here / "old.parquet")
    found = read(store.reader("later"), Kind.TOUCHES, {Kind.TOUCHES: EVER})
    assert [row["campaign"] for row in found] == ["spring"] * len(months)
    assert [row["term"] for row in found] == ["shoes" if "REPLACE" in column else None, *(["shoes"] * (len(months) - 1))]
    assert all(isinstance(row["happened_at"], datetime) for row in found)


def test_old_files_are_there_for_an_hour_and_then_gone(store: Store) -> None:
    store.sink.append(EVERY_KIND)
    old = {one.name for one in store.objects.all()}
    store.compaction().run(LONG)
    store.clock.move(3_590)
    store.compaction().run(LONG)
    assert old < {one.name for one in store.objects.all()}
    store.clock.move(20)
    store.compaction().run(LONG)
    assert not old & {one.name for one in store.objects.all()}
    assert store.manifests.replaced() == []
    assert len(people(store)) == 1


def test_a_name_that_is_tried_again_while_its_file_waits_to_be_deleted_keeps_it(store: Store) -> None:
    store.sink.append({Kind.TOUCHES: [touch(1, 11)]})
    store.compaction().run(LONG)
    store.sink.append({Kind.TOUCHES: [touch(1, 11)]})
    store.clock.move(3_700)
    reading = store.reader("late")
    store.compaction().run(LONG)
    assert len(read(reading, Kind.TOUCHES, {Kind.TOUCHES: EVER})) == 1


def test_a_reader_whose_files_were_deleted_meanwhile_looks_again(tmp_path: Path) -> None:
    store = memory_store(tmp_path)
    store.sink.append({Kind.TOUCHES: [touch(1, 11)]})
    stale = store.manifests.read()
    store.compaction().run(LONG)
    store.clock.move(3_700)
    store.compaction().run(LONG)
    looks = [stale]

    class Behind(MemoryManifests):
        def read(self) -> Manifest:
            return looks.pop() if looks else store.manifests.read()

    facts = DuckFacts(store.objects, Behind(), tmp_path / "behind", allowance=ALLOWANCE, room=ROOM, now=store.clock.now)
    assert len(read(facts, Kind.TOUCHES, {Kind.TOUCHES: EVER})) == 1


def test_erasure_leaves_no_row_in_any_file(store: Store) -> None:
    gone = {node(11), node(101)}
    store.sink.append({Kind.TOUCHES: [touch(1, 11), touch(2, 12)], Kind.CONTACTS: [contact(101, lead_at=MARCH), contact(102, lead_at=MARCH)]})
    store.sink.append({Kind.IDENTITIES: [pointer(11, 101), pointer(12, 102)], Kind.WEAK_LINKS: [WeakLinkFact(key=node(13), customers=(node(11), node(12)))]})
    store.compaction().run(LONG)
    store.sink.append({Kind.ORDERS: [order(3, 101)]})
    store.manifests.erase(gone)
    left = {
        Kind.ORDERS: 1,
        **dict.fromkeys((Kind.TOUCHES, Kind.CONTACTS, Kind.IDENTITIES, Kind.WEAK_LINKS), 2),
    }  # in the base, and in the file that it replaced
    assert rows_left(store.objects, gone, store.engine, store.folder / "write") == left
    for _ in range(3):
        store.compaction().run(LONG)
        store.clock.move(3_700)
    assert rows_left(store.objects, gone, store.engine, store.folder / "write") == {}
    assert mentions(store, gone) == {}
    assert sum(mentions(store, {node(12), node(102)}).values()) == 6


def test_nobody_else_compacts_meanwhile_and_what_a_dead_one_left_is_taken_up(store: Store) -> None:
    store.sink.append(EVERY_KIND)
    store.lease.take("dead", store.clock.now(), 1_200)
    assert store.compaction().run(LONG) == {"held": 1}
    store.clock.move(1_201)
    assert store.compaction().run(LONG)["merged"] == len(EVERY_KIND)


def test_what_the_time_does_not_suffice_for_is_left_for_the_next(store: Store) -> None:
    store.sink.append(EVERY_KIND)
    left = iter([900.0, 900.0, 100.0])
    counts = store.compaction().run(lambda: next(left))
    assert (counts["merged"], counts["left"]) == (2, len(EVERY_KIND) - 2)
    assert store.compaction().run(LONG)["merged"] == len(EVERY_KIND) - 2


def test_what_a_dead_writer_put_and_never_named_is_swept_away_after_a_day(tmp_path: Path) -> None:
    store = memory_store(tmp_path)
    store.sink.append(EVERY_KIND)
    lost = tmp_path / "lost"
    lost.write_bytes(b"PAR1")
    store.objects.put(Place(Kind.TOUCHES, "2026-03"), "lost", lost)
    store.clock.move(86_300)
    assert store.compaction().sweep() == {"orphans": 0}
    store.clock.move(200)
    assert store.compaction().sweep() == {"orphans": 1}
    assert len(list(store.objects.all())) == len(EVERY_KIND)


def test_a_question_that_needs_more_room_or_time_than_there_is_says_so(tmp_path: Path) -> None:
    store = memory_store(tmp_path)
    store.sink.append(EVERY_KIND)
    with pytest.raises(ReportTooLarge, match="narrower range"):
        read(store.reader("small", room=100), Kind.TOUCHES, {Kind.TOUCHES: EVER})
    hurried = store.reader("hurried", allowance=Allowance(memory_mb=500, seconds=0.5))
    with hurried.open({Kind.TOUCHES: EVER}) as relations, pytest.raises(ReportTooLarge, match="takes more than"):
        relations.rows("SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b")
    tight = store.reader("tight", allowance=Allowance(memory_mb=20, seconds=20, spill_mb=1))
    with tight.open({Kind.TOUCHES: EVER}) as relations, pytest.raises(ReportTooLarge, match="20 MB"):
        relations.rows("SELECT count(*) FROM (SELECT range, hash(range) h, repeat('x', 100) FROM range(10000000) ORDER BY h)")


def test_copies_that_were_not_asked_for_longest_make_room(tmp_path: Path) -> None:
    store = memory_store(tmp_path)
    months = [datetime(2026, month, 3, tzinfo=UTC) for month in (1, 2, 3)]
    for number, month in enumerate(months):
        store.sink.append({Kind.TOUCHES: [touch(number, 11, month)]})
    size = max(file.bytes for one in store.manifests.read().partitions.values() for file in one.fresh)
    facts = store.reader("room", room=2 * size + 10)
    for name in ("2026-01", "2026-02", "2026-03", "2026-02", "2026-01"):
        assert len(read(facts, Kind.TOUCHES, {Kind.TOUCHES: Months(name, name)})) == 1
    assert [place.month for place, _ in store.objects.fetched] == ["2026-01", "2026-02", "2026-03", "2026-01"]  # type: ignore[attr-defined]


def test_who_was_erased_stays_erased_in_a_later_generation_and_when_the_first_is_dropped() -> None:
    with dynamodb_table() as client:
        first, second = (DynamoManifests(lambda: client, "table", generation=number) for number in (1, 2))
        second.add(IDENTITIES, FactFile("a", 1, 1))
        first.erase({node(11)})
        assert (second.read().erased, second.erased_revision(), second.erased()) == (1, 1, {node(11)})
        first.drop()
        second.erase({node(12)})
        assert (second.read().erased, second.erased()) == (2, {node(11), node(12)})
        second.drop()
        assert second.read().partitions == {}


def test_what_comes_late_after_a_compaction_says_nothing_new(store: Store) -> None:
    store.sink.append({Kind.TOUCHES: [touch(1, 11)], Kind.ORDERS: [order(2, 101, version=4, gross=400), order(3, 101, version=4, gone=True)]})
    store.compaction().run(LONG)
    store.clock.move(1_200)
    store.sink.append({Kind.TOUCHES: [touch(1, 11)], Kind.ORDERS: [order(2, 101, version=3, gross=300), order(3, 101, version=3, gross=1)]})
    for _ in range(2):
        assert people(store) == [node(11)]
        assert [row["gross"] for row in read(store.facts, Kind.ORDERS, {Kind.ORDERS: EVER})] == [400]
        store.compaction().run(LONG)


def test_no_fact_is_seen_whose_identities_are_not(tmp_path: Path) -> None:
    store = memory_store(tmp_path)
    look = store.manifests.read

    def between() -> Manifest:
        """An append comes while the manifest is read: what is read first has it not, what is read last has."""
        before = look()
        store.manifests.read = look  # type: ignore[method-assign]
        store.sink.append({Kind.IDENTITIES: [pointer(11, 101)], Kind.TOUCHES: [touch(1, 11)]})
        return look().with_([before.of(IDENTITIES)])

    store.sink.append({Kind.IDENTITIES: [pointer(12, 102)]})
    store.manifests.read = between  # type: ignore[method-assign]
    assert people(store) == [node(101)]
