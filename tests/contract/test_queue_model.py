"""The model of a queue does what moto does; `tests/e2e/test_queue_model.py` runs the same on the emulator. And what a mapping does with an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.kit.queue_model import Crash, EventSourceMapping, ModelClock, ModelQueue
from tests.kit.queue_scenarios import (
    SCENARIOS,
    Fifo,
    ModelFifo,
    SqsFifo,
    a_tail_that_is_not_let_go_locks_its_head_in,
    what_is_not_deleted_comes_again_after_the_timeout_in_order_and_counted,
    what_was_sent_twice_within_minutes_is_there_once,
)
from tributary.ports import OutMessage

scenarios = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)

MOTO_DIFFERS = {
    what_is_not_deleted_comes_again_after_the_timeout_in_order_and_counted: "moto skips a group's first message when the timeout of all is over",
    a_tail_that_is_not_let_go_locks_its_head_in: "the same",
    what_was_sent_twice_within_minutes_is_there_once: "moto knows one scope of deduplication, the queue",
}


@scenarios
def test_the_model(scenario: Callable[[Fifo], None]) -> None:
    scenario(ModelFifo())


@scenarios
def test_moto(scenario: Callable[[Fifo], None], request: pytest.FixtureRequest) -> None:
    if scenario in MOTO_DIFFERS:
        request.applymarker(pytest.mark.xfail(raises=AssertionError, reason=MOTO_DIFFERS[scenario]))
    with mock_aws():
        scenario(SqsFifo(boto3.client("sqs", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"), "queue"))


# ---------------------------------------------------------------- the mapping


def standard(*, duplicates: float = 0.0) -> ModelQueue:
    queue = ModelQueue(ModelClock(), fifo=False, visibility_timeout=60, duplicates=duplicates)
    queue.send([OutMessage(str(number)) for number in range(30)])
    return queue


def test_a_standard_queue_gives_everything_in_no_order() -> None:
    seen: list[str] = []
    queue = standard()
    EventSourceMapping(queue, lambda event, _: seen.extend(record["body"] for record in event["Records"])).run(10)
    assert sorted(seen, key=int) == [str(number) for number in range(30)]
    assert seen != sorted(seen, key=int)
    assert len(queue) == 0


def test_a_standard_queue_may_give_a_message_twice() -> None:
    seen: list[str] = []
    queue = standard(duplicates=0.3)
    EventSourceMapping(queue, lambda event, _: seen.extend(record["body"] for record in event["Records"])).run(1000)
    assert len(seen) > 30
    assert set(seen) == {str(number) for number in range(30)}


def test_what_is_reported_failed_comes_again_and_the_rest_does_not() -> None:
    seen: list[str] = []
    queue = standard()

    def handler(event: dict[str, Any], _remaining: object) -> dict[str, Any]:
        seen.extend(record["body"] for record in event["Records"])
        return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in event["Records"] if record["body"] == "7" and seen.count("7") == 1]}

    EventSourceMapping(queue, handler).run(100)
    assert seen.count("7") == 2
    assert len(seen) == 31


def test_a_handler_that_raises_or_dies_gets_its_whole_batch_again() -> None:
    errors: list[BaseException] = [RuntimeError(), Crash()]
    for error in errors:
        seen: list[str] = []
        queue = standard()
        failing = [error]

        def handler(event: dict[str, Any], _remaining: object, failing: list[BaseException] = failing, seen: list[str] = seen) -> None:
            if failing:
                raise failing.pop()
            seen.extend(record["body"] for record in event["Records"])

        mapping = EventSourceMapping(queue, handler)
        mapping.run(100)
        assert mapping.crashes == 1
        assert sorted(seen, key=int) == [str(number) for number in range(30)]


def test_an_answer_that_names_an_unknown_message_fails_the_whole_batch() -> None:
    queue = standard()
    EventSourceMapping(queue, lambda *_: {"batchItemFailures": [{"itemIdentifier": "unknown"}]}).run(30)
    assert len(queue) == 30


def test_a_function_that_runs_over_its_time_gets_its_batch_again() -> None:
    queue = standard()
    mapping = EventSourceMapping(queue, lambda *_: queue.clock.spend(121))
    mapping.run(30)
    assert mapping.overruns > 0
    mapping.run(300)
    assert len(queue) == 30


def test_batches_run_side_by_side_up_to_the_concurrency() -> None:
    for concurrency, seconds in ((1, 30 * 10), (5, 60)):
        queue = ModelQueue(ModelClock(), visibility_timeout=600)
        queue.send([OutMessage(str(number), f"group-{number}", str(number)) for number in range(30)])
        begun = queue.clock.now()
        mapping = EventSourceMapping(queue, lambda *_, queue=queue: queue.clock.spend(10), batch_size=1, concurrency=concurrency)
        mapping.run(10_000)
        assert (queue.clock.now() - begun).total_seconds() == seconds


def test_a_delete_that_is_lost_brings_a_delivered_message_again() -> None:
    seen: list[str] = []
    queue = standard()
    EventSourceMapping(queue, lambda event, _: seen.extend(record["body"] for record in event["Records"]), lose_deletes=0.3).run(10_000)
    assert len(seen) > 30
    assert len(queue) == 0


def test_a_message_that_is_too_old_is_dropped_without_a_word() -> None:
    queue = standard()
    queue.clock.advance(14 * 86_400)
    assert queue.receive() == []
    assert len(queue.expired) == 30
