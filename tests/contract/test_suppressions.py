"""The suppression list: the fake and DynamoDB keep the same promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.kit.moto import Faults, dynamodb_table
from tests.kit.stores import MemorySuppressions
from tributary.adapters.suppressions import PREFIX, SORT_KEY, DynamoSuppressions
from tributary.errors import StoreUnavailable
from tributary.ports import Suppressions

Make = Callable[[set[str]], Suppressions]


@pytest.fixture(params=["memory", "dynamodb"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    if request.param == "memory":
        yield MemorySuppressions
    else:
        with dynamodb_table() as client:

            def with_rows(digests: set[str]) -> Suppressions:
                for digest in digests:
                    client.put_item(TableName="table", Item={"pk": {"S": PREFIX + digest}, "sk": {"S": SORT_KEY}})
                return DynamoSuppressions(lambda: client, "table")

            yield with_rows


def test_only_the_suppressed_of_many_are_answered(make: Make) -> None:
    asked = {f"{number:032x}" for number in range(250)}
    suppressed = {f"{number:032x}" for number in (0, 99, 100, 249, 999)}
    assert make(suppressed).among(asked) == suppressed - {f"{999:032x}"}


def test_nothing_asked_is_nothing_found(make: Make) -> None:
    assert make({"a"}).among(set()) == set()


def test_two_hundred_and_fifty_digests_are_three_calls_and_none_is_kept() -> None:
    with dynamodb_table() as client:
        faults = Faults(client)
        suppressions = DynamoSuppressions(lambda: client, "table")
        asked = {f"{number:032x}" for number in range(250)}
        assert suppressions.among(asked) == set()
        assert faults.calls == ["BatchGetItem"] * 3
        client.put_item(TableName="table", Item={"pk": {"S": PREFIX + f"{7:032x}"}, "sk": {"S": SORT_KEY}})
        assert suppressions.among(asked) == {f"{7:032x}"}


def test_who_was_erased_a_moment_ago_is_found_although_a_replica_has_not_heard_of_it() -> None:
    asked = {f"{number:032x}" for number in range(101)}
    with dynamodb_table() as client:
        for digest in asked:
            client.put_item(TableName="table", Item={"pk": {"S": PREFIX + digest}, "sk": {"S": SORT_KEY}})
        Faults(client).lag("BatchGetItem")
        assert DynamoSuppressions(lambda: client, "table").among(asked) == asked


def test_a_list_that_does_not_answer_lets_nobody_through() -> None:
    with dynamodb_table() as client:
        Faults(client).refuse("BatchGetItem", times=9)
        with pytest.raises(StoreUnavailable):
            DynamoSuppressions(lambda: client, "table").among({"a"})
