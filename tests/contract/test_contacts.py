"""CONTACTS: the fake and DynamoDB keep the same promises."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.kit.contacts import MemoryContacts
from tests.kit.moto import Faults, dynamodb_table
from tributary.adapters.contacts import DynamoContacts
from tributary.errors import StoreUnavailable, WriteConflict
from tributary.ports import ContactRow, ContactStore, RemoveRow, RowKey, WriteRow


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest) -> Iterator[ContactStore]:
    if request.param == "memory":
        yield MemoryContacts()
    else:
        with dynamodb_table() as client:
            yield DynamoContacts(lambda: client, "table")


def _key(number: int, partition: str = "contact#a") -> RowKey:
    return RowKey(partition, f"row#{number:03}")


def _put(store: ContactStore, number: int, data: bytes = b"one", expected: int | None = None) -> None:
    store.commit([WriteRow(_key(number), data, expected)])


def test_a_row_is_read_back_with_revision_one(store: ContactStore) -> None:
    _put(store, 1, b"\x00\xffanything")
    assert store.get({_key(1), _key(2)}) == {_key(1): ContactRow(_key(1), 1, b"\x00\xffanything")}


def test_every_write_raises_the_revision_by_one(store: ContactStore) -> None:
    _put(store, 1)
    _put(store, 1, b"two", 1)
    _put(store, 1, b"three", 2)
    assert store.get({_key(1)}) == {_key(1): ContactRow(_key(1), 3, b"three")}


@pytest.mark.parametrize("expected", [None, 2])
def test_a_write_under_another_revision_changes_nothing(store: ContactStore, expected: int | None) -> None:
    _put(store, 1)
    with pytest.raises(WriteConflict):
        _put(store, 1, b"two", expected)
    assert store.get({_key(1)})[_key(1)].data == b"one"


def test_a_row_that_is_not_there_has_no_revision(store: ContactStore) -> None:
    with pytest.raises(WriteConflict):
        _put(store, 1, expected=1)
    with pytest.raises(WriteConflict):
        store.commit([RemoveRow(_key(1), 1)])
    assert store.get({_key(1)}) == {}


def test_changes_are_made_together(store: ContactStore) -> None:
    _put(store, 1)
    store.commit([WriteRow(_key(1), b"two", 1), WriteRow(_key(2), b"new", None)])
    store.commit([RemoveRow(_key(1), 2), WriteRow(_key(2), b"newer", 1)])
    assert store.get({_key(1), _key(2)}) == {_key(2): ContactRow(_key(2), 2, b"newer")}


def test_one_change_that_cannot_be_made_stops_them_all(store: ContactStore) -> None:
    _put(store, 1)
    with pytest.raises(WriteConflict):
        store.commit([WriteRow(_key(2), b"new", None), WriteRow(_key(1), b"two", 9), RemoveRow(_key(3), 1)])
    assert store.get({_key(1), _key(2), _key(3)}) == {_key(1): ContactRow(_key(1), 1, b"one")}


def test_a_removed_row_may_be_written_anew(store: ContactStore) -> None:
    _put(store, 1)
    store.commit([RemoveRow(_key(1), 1)])
    _put(store, 1, b"again")
    assert store.get({_key(1)}) == {_key(1): ContactRow(_key(1), 1, b"again")}


def test_a_hundred_changes_are_one_commit_and_two_hundred_and_fifty_rows_one_get(store: ContactStore) -> None:
    for start in (0, 100, 200):
        store.commit([WriteRow(_key(number), b"x", None) for number in range(start, start + 100)])
    assert store.get({_key(number) for number in range(250)}).keys() == {_key(number) for number in range(250)}


def test_the_rows_of_a_partition_come_by_sort_key_and_alone(store: ContactStore) -> None:
    store.commit([WriteRow(_key(number), str(number).encode(), None) for number in (3, 1, 2)])
    store.commit([WriteRow(_key(1, "contact#b"), b"other", None)])
    assert [(row.key.sort, row.data) for row in store.rows("contact#a")] == [("row#001", b"1"), ("row#002", b"2"), ("row#003", b"3")]
    assert list(store.rows("contact#c")) == []


def test_a_partition_larger_than_a_page_is_read_whole(store: ContactStore) -> None:
    for number in range(8):
        _put(store, number, bytes(300_000))
    assert [row.key for row in store.rows("contact#a")] == [_key(number) for number in range(8)]


def test_one_change_is_a_plain_conditional_write_and_more_are_a_transaction() -> None:
    with dynamodb_table() as client:
        faults = Faults(client)
        store = DynamoContacts(lambda: client, "table")
        _put(store, 1)
        store.commit([RemoveRow(_key(1), 1)])
        store.commit([WriteRow(_key(1), b"a", None), WriteRow(_key(2), b"b", None)])
        store.get({_key(number) for number in range(250)})
        assert faults.calls == ["PutItem", "DeleteItem", "TransactWriteItems", "BatchGetItem", "BatchGetItem", "BatchGetItem"]


def test_every_read_is_strongly_consistent() -> None:
    with dynamodb_table() as client:
        asked: list[Any] = []
        client.meta.events.register("provide-client-params.dynamodb.*", lambda params, **_: asked.append(params))
        store = DynamoContacts(lambda: client, "table")
        store.get({_key(1)})
        list(store.rows("contact#a"))
        assert asked[0]["RequestItems"]["table"]["ConsistentRead"] is True
        assert asked[1]["ConsistentRead"] is True


@pytest.mark.parametrize("operation", ["PutItem", "DeleteItem", "TransactWriteItems", "BatchGetItem", "Query"])
def test_what_aws_refuses_is_one_of_our_errors(operation: str) -> None:
    with dynamodb_table() as client:
        store = DynamoContacts(lambda: client, "table")
        calls: dict[str, Callable[[], object]] = {
            "PutItem": lambda: _put(store, 1),
            "DeleteItem": lambda: store.commit([RemoveRow(_key(1), 1)]),
            "TransactWriteItems": lambda: store.commit([WriteRow(_key(1), b"a", None), WriteRow(_key(2), b"b", None)]),
            "BatchGetItem": lambda: store.get({_key(1)}),
            "Query": lambda: list(store.rows("contact#a")),
        }
        Faults(client).refuse(operation, times=20)
        with pytest.raises(StoreUnavailable):
            calls[operation]()


@pytest.mark.parametrize(
    ("reasons", "error"),
    [
        (["ConditionalCheckFailed", "None"], WriteConflict),
        (["TransactionConflict", "None"], WriteConflict),
        (["TransactionConflict", "ConditionalCheckFailed"], WriteConflict),
        (["ConditionalCheckFailed", "ThrottlingError"], StoreUnavailable),
        (["ItemCollectionSizeLimitExceeded", "None"], StoreUnavailable),
        (["ValidationError", "None"], StoreUnavailable),
    ],
)
def test_a_cancelled_transaction_is_a_conflict_only_if_nothing_else_was_wrong(reasons: list[str], error: type[Exception]) -> None:
    with dynamodb_table() as client:
        body = {
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": f"Transaction cancelled, please refer cancellation reasons for specific reasons [{', '.join(reasons)}]",
            "CancellationReasons": [{"Code": reason} for reason in reasons],
        }
        Faults(client).refuse("TransactWriteItems", times=1, status=400, body=json.dumps(body).encode())
        with pytest.raises(error):
            DynamoContacts(lambda: client, "table").commit([WriteRow(_key(1), b"a", None), WriteRow(_key(2), b"b", None)])


def test_what_a_batch_get_leaves_over_is_asked_for_again_and_not_for_ever() -> None:
    class Busy:
        def __init__(self, rounds: int) -> None:
            self.left = rounds
            self.asked: list[int] = []

        def batch_get_item(self, RequestItems: Any) -> Any:  # noqa: N803  # the API's own name
            keys = RequestItems["table"]["Keys"]
            self.asked.append(len(keys))
            self.left -= 1
            served = keys[:1] if self.left > 0 else keys
            items = [{**key, "v": {"N": "1"}, "d": {"B": b"x"}} for key in served]
            left = {"table": {"Keys": keys[len(served) :]}} if len(served) < len(keys) else {}
            return {"Responses": {"table": items}, "UnprocessedKeys": left}

    waits: list[float] = []
    busy: Any = Busy(3)
    assert len(DynamoContacts(lambda: busy, "table", waits.append).get({_key(number) for number in range(5)})) == 5
    assert busy.asked == [5, 4, 3]
    assert waits == sorted(waits)
    assert len(waits) == 2
    for_ever: Any = Busy(99)
    with pytest.raises(StoreUnavailable):
        DynamoContacts(lambda: for_ever, "table", waits.append).get({_key(number) for number in range(50)})
