"""The stores of a sync: the fake and DynamoDB keep the same promises."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.kit.builders import NOON
from tests.kit.moto import Faults, dynamodb_table
from tests.kit.sync import MemoryCatalogue, MemoryRecordStates, MemorySyncStore
from tributary.adapters.sync_store import DynamoCatalogue, DynamoRecordStates, DynamoSyncStore
from tributary.errors import StoreUnavailable, WriteConflict
from tributary.lease import Lease
from tributary.sources.konnektive.catalogue import CatalogueEntry
from tributary.sources.konnektive.records import Kind, Place, RecordState
from tributary.sync.state import Counted, Difference, History, Live, Month, RecordStates, Status, SyncStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

HISTORY = History(
    generation=1,
    reason="initial",
    last_day=date(2026, 3, 4),
    started_at=NOON,
    touched_at=NOON,
    months={"orders": [Month(first=date(2026, 3, 1), last=date(2026, 3, 4), rows=17)]},
    counted={"orders": Counted(rows=3, all_rows=17)},
)


@pytest.fixture
def dynamodb() -> Iterator[DynamoDBClient]:
    with dynamodb_table() as client:
        yield client


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest) -> SyncStore:
    if request.param == "memory":
        return MemorySyncStore()
    client = request.getfixturevalue("dynamodb")
    return DynamoSyncStore(lambda: client, "table")


@pytest.fixture(params=["memory", "dynamodb"])
def states(request: pytest.FixtureRequest) -> RecordStates:
    if request.param == "memory":
        return MemoryRecordStates()
    client = request.getfixturevalue("dynamodb")
    return DynamoRecordStates(lambda: client, "table")


def test_what_is_kept_comes_back_and_is_of_its_connection(store: SyncStore) -> None:
    live = Live(cursors={"orders": date(2026, 3, 3)}, scheduled_at=NOON)
    status = Status(refused="no", differences=[Difference(day=date(2026, 3, 1), what="refundCnt", theirs="1", ours="0")])
    store.put_live("con_a", live, 0)
    store.put_history("con_a", HISTORY, 0)
    store.put_status("con_a", status)
    assert store.live("con_a") == (live, 1)
    assert store.history("con_a") == (HISTORY, 1)
    assert store.status("con_a") == status
    assert (store.live("con_b"), store.history("con_b"), store.status("con_b")) == ((Live(), 0), (None, 0), Status())


def test_of_two_who_write_what_both_read_the_second_is_told(store: SyncStore) -> None:
    store.put_live("con_a", Live(), 0)
    store.put_live("con_a", Live(scheduled_at=NOON), 1)
    for expected in (0, 1, 3):
        with pytest.raises(WriteConflict):
            store.put_live("con_a", Live(finished_at=NOON), expected)
    assert store.live("con_a") == (Live(scheduled_at=NOON), 2)
    with pytest.raises(WriteConflict):
        store.put_history("con_a", HISTORY, 1)


def test_a_lease_has_one_holder_until_it_ends_or_is_released(store: SyncStore) -> None:
    assert store.lease("con_a", "one", NOON, 60) is Lease.TAKEN
    assert store.lease("con_a", "two", NOON + timedelta(seconds=59), 60) is Lease.HELD
    assert store.lease("con_b", "two", NOON, 60) is Lease.TAKEN, "another account's is another's"
    assert store.lease("con_a", "one", NOON + timedelta(seconds=59), 60) is Lease.TAKEN, "its holder renews it"
    assert store.lease("con_a", "two", NOON + timedelta(seconds=100), 60) is Lease.HELD
    store.release("con_a", "two")
    assert store.lease("con_a", "two", NOON + timedelta(seconds=100), 60) is Lease.HELD, "who does not hold it cannot release it"
    store.release("con_a", "one")
    assert store.lease("con_a", "two", NOON + timedelta(seconds=100), 60) is Lease.TAKEN
    assert store.lease("con_a", "one", NOON + timedelta(seconds=200), 60) is Lease.LEFT, "one that has ended is anybody's"


def test_the_states_of_records_come_back_by_place_and_by_day(states: RecordStates) -> None:
    day, other = "2026-03-04", "2026-03-05"
    kept = {Place(Kind.ORDER, day, f"{number:010X}"): RecordState(digest=str(number), counter=number, facts={"amount": 4495}) for number in range(1, 131)}
    kept[Place(Kind.ORDER, other, "F")] = RecordState(digest="f")
    kept[Place(Kind.TRANSACTION, day, "1")] = RecordState(digest="t")
    states.put("con_a", kept)
    assert states.get("con_a", {*kept, Place(Kind.ORDER, day, "missing")}) == kept
    assert states.get("con_b", set(kept)) == {}
    assert dict(states.of_day("con_a", Kind.TRANSACTION, day)) == {"1": RecordState(digest="t")}
    assert len(dict(states.of_day("con_a", Kind.ORDER, day))) == 130
    states.put("con_a", {Place(Kind.ORDER, other, "F"): RecordState(digest="g", counter=2)})
    assert states.get("con_a", {Place(Kind.ORDER, other, "F")})[Place(Kind.ORDER, other, "F")].counter == 2
    states.put("con_a", {})


def test_a_catalogue_keeps_what_was_last_said_of_each_entry(dynamodb: DynamoDBClient) -> None:
    for catalogue in (MemoryCatalogue(), DynamoCatalogue(lambda: dynamodb, "table")):
        offers = [CatalogueEntry(kind="offer", id=str(number), price=number, campaign="12") for number in range(10, 70)]
        catalogue.put("con_a", [CatalogueEntry(kind="campaign", id="12", name="Spring"), *offers, offers[0]])
        catalogue.put("con_a", [CatalogueEntry(kind="campaign", id="12", name="Summer")])
        catalogue.put("con_a", [])
        found = {(entry.kind, entry.id): entry for entry in catalogue.of("con_a")}
        assert len(found) == 61
        assert found["campaign", "12"].name == "Summer"
        assert list(catalogue.of("con_b")) == []


def test_what_dynamodb_refuses_is_an_error_of_ours(dynamodb: DynamoDBClient) -> None:
    faults = Faults(dynamodb)
    store, states = DynamoSyncStore(lambda: dynamodb, "table"), DynamoRecordStates(lambda: dynamodb, "table", sleep=lambda _: None)
    for operation in ("GetItem", "PutItem", "DeleteItem", "BatchGetItem", "BatchWriteItem", "Query"):
        faults.refuse(operation, times=1_000)
    place = Place(Kind.ORDER, "2026-03-04", "A")
    for call in (
        lambda: store.live("con_a"),
        lambda: store.put_live("con_a", Live(), 0),
        lambda: store.put_status("con_a", Status()),
        lambda: store.lease("con_a", "one", NOON, 60),
        lambda: store.release("con_a", "one"),
        lambda: states.get("con_a", {place}),
        lambda: states.put("con_a", {place: RecordState(digest="a")}),
        lambda: list(states.of_day("con_a", Kind.ORDER, "2026-03-04")),
    ):
        with pytest.raises(StoreUnavailable):
            call()
