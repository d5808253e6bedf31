"""The rules of event-source mappings, as AWS documents them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from local.mappings import (
    FIRST_RETRY_SECONDS,
    LONGEST_RETRY_SECONDS,
    Failure,
    Outcome,
    Record,
    StreamRules,
    Unprocessable,
    deliver,
    failed_items,
    failure_object,
    lane_of,
)


def record(number: int, *, person: str = "ann") -> dict[str, Any]:
    keys = {"pk": {"S": f"user#{person}"}, "sk": {"S": f"event#src#{number}"}}
    return {"eventName": "INSERT", "dynamodb": {"Keys": keys, "SequenceNumber": f"{number:030d}", "ApproximateCreationDateTime": 1_795_500_000 + number}}


def numbers(records: Sequence[Record]) -> list[int]:
    return [int(each["dynamodb"]["SequenceNumber"]) for each in records]


class Shard:
    """A function, and what a mapping makes of it, on a clock that waiting moves."""

    def __init__(self, *, poison: Sequence[int] = (), failures: int = 10**9, answers: Sequence[Any] = (), **rules: Any) -> None:
        settings = {"batch_size": 100, "lanes": 1, "bisect": False, "max_retries": -1, "max_age_seconds": -1.0, "reports_items": bool(answers)}
        self.rules = StreamRules(failure_destination=None, **{**settings, **rules})
        self.poison = set(poison)
        self.failures_left = failures
        self.answers = list(answers)
        self.calls: list[list[int]] = []
        self.taken: list[int] = []
        self.given_up: list[tuple[list[int], str, int]] = []
        self.waits: list[float] = []
        self.patience = 1_000_000.0

    def invoke(self, records: Sequence[Record]) -> Outcome:
        batch = numbers(records)
        self.calls.append(batch)
        if self.answers:
            return Outcome(value=self.answers.pop(0))
        if self.poison & set(batch) and self.failures_left > 0:
            self.failures_left -= 1
            return Outcome(error="it fell over")
        self.taken += batch
        return Outcome()

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return sum(self.waits) < self.patience

    def give_up(self, failure: Failure) -> None:
        self.given_up.append((numbers(failure.records), failure.condition, failure.invocations))

    def bring(self, *batch: int) -> bool:
        return deliver(
            [record(number) for number in batch],
            rules=self.rules,
            invoke=self.invoke,
            give_up=self.give_up,
            seconds_old=lambda _: sum(self.waits),
            wait=self.wait,
        )


def test_a_batch_that_is_taken_is_brought_once_and_whole() -> None:
    shard = Shard()
    assert shard.bring(1, 2, 3)
    assert shard.calls == [[1, 2, 3]]


def test_a_failed_batch_comes_again_from_its_start_with_growing_waits_and_without_limit() -> None:
    shard = Shard(poison=[2], failures=12)
    assert shard.bring(1, 2, 3)
    assert shard.calls == [[1, 2, 3]] * 13
    assert shard.waits[:4] == [FIRST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2, FIRST_RETRY_SECONDS * 4, FIRST_RETRY_SECONDS * 8]
    assert max(shard.waits) == LONGEST_RETRY_SECONDS
    assert shard.given_up == []


def test_bisecting_brings_every_other_record_in_order_before_it_waits_for_the_one_at_fault() -> None:
    shard = Shard(poison=[3], bisect=True, failures=6)
    assert shard.bring(1, 2, 3, 4)
    assert shard.calls[:4] == [[1, 2, 3, 4], [1, 2], [3, 4], [3]]
    assert shard.taken == [1, 2, 3, 4]
    assert len(shard.waits) == 4  # two of the six failures were answered by splitting, which costs no wait and no retry


def test_a_record_past_its_age_is_given_up_and_those_after_it_are_brought() -> None:
    shard = Shard(poison=[2], bisect=True, max_age_seconds=60)
    assert shard.bring(1, 2, 3)
    assert [(records, condition) for records, condition, _ in shard.given_up] == [([2], "RecordAgeExceeded")]
    assert shard.taken == [1, 3]
    assert sum(shard.waits) > 60


def test_a_limited_mapping_gives_up_after_its_retries() -> None:
    shard = Shard(poison=[1], max_retries=2)
    assert shard.bring(1, 2)
    assert shard.given_up == [([1, 2], "RetryAttemptsExhausted", 3)]


def test_a_function_that_reports_items_is_brought_the_rest_from_the_first_it_gave_back() -> None:
    second = {"batchItemFailures": [{"itemIdentifier": f"{3:030d}"}, {"itemIdentifier": f"{2:030d}"}]}
    shard = Shard(answers=[second, None])
    assert shard.bring(1, 2, 3)
    assert shard.calls == [[1, 2, 3], [2, 3]]


def test_progress_starts_the_count_of_retries_anew() -> None:
    def from_record(number: int) -> dict[str, Any]:
        return {"batchItemFailures": [{"itemIdentifier": f"{number:030d}"}]}

    shard = Shard(answers=[from_record(1), from_record(2), None], max_retries=1)
    assert shard.bring(1, 2)
    assert shard.calls == [[1, 2], [1, 2], [2]]
    assert shard.given_up == []


def test_a_mapping_that_is_stopped_while_it_waits_counts_the_batch_as_not_taken() -> None:
    shard = Shard(poison=[1])
    shard.patience = 3.0
    assert not shard.bring(1)
    assert shard.taken == []
    assert shard.given_up == []


@pytest.mark.parametrize("value", [None, "", {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_an_empty_answer_means_that_all_is_done(value: Any) -> None:
    assert failed_items(value, ["a", "b"]) == set()


def test_an_answer_names_what_comes_again() -> None:
    assert failed_items({"batchItemFailures": [{"itemIdentifier": "b"}]}, ["a", "b"]) == {"b"}


@pytest.mark.parametrize(
    "value",
    [
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"identifier": "a"}]},
        {"batchItemFailures": [{"itemIdentifier": "c"}]},
        {"batchItemFailures": ["a"]},
        {"batchItemFailures": "a"},
        ["a"],
        "done",
    ],
)
def test_an_answer_that_cannot_be_read_fails_the_whole_batch(value: Any) -> None:
    with pytest.raises(Unprocessable):
        failed_items(value, ["a", "b"])


def test_a_mapping_of_the_template_is_read_as_cloudformation_passes_it() -> None:
    mapping = {
        "BatchSize": 100,
        "ParallelizationFactor": 4,
        "BisectBatchOnFunctionError": "true",
        "MaximumRetryAttempts": "-1",
        "MaximumRecordAgeInSeconds": 72_000,
        "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::failures"}},
    }
    assert StreamRules.of(mapping) == StreamRules(
        batch_size=100, lanes=4, bisect=True, max_retries=-1, max_age_seconds=72_000, reports_items=False, failure_destination="arn:aws:s3:::failures"
    )


def test_one_persons_changes_stay_in_one_lane_and_people_spread_over_the_lanes() -> None:
    assert {lane_of(record(number), 4) for number in range(50)} == {lane_of(record(0), 4)}
    assert {lane_of(record(0, person=f"p{number}"), 4) for number in range(50)} == {0, 1, 2, 3}


def test_what_is_given_up_is_kept_whole_under_a_key_that_names_its_mapping_and_day() -> None:
    failure = Failure(records=[record(1), record(2)], condition="RecordAgeExceeded", invocations=7)
    key, document = failure_object(
        failure, mapping="m-1", function_arn="arn:f", stream_arn="arn:s", request_id="r-1", now=datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    )
    assert key == "aws/lambda/m-1/shardId-00000000000000000000-00000000/2026/03/04/2026-03-04T05.06.07-r-1"
    assert json.loads(document["payload"]) == {"Records": [record(1), record(2)]}
    assert document["requestContext"] == {"requestId": "r-1", "functionArn": "arn:f", "condition": "RecordAgeExceeded", "approximateInvokeCount": 7}
    assert document["DDBStreamBatchInfo"]["batchSize"] == 2
    assert document["DDBStreamBatchInfo"]["startSequenceNumber"] == f"{1:030d}"
    assert json.loads(json.dumps(document)) == document
