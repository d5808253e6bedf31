"""The emulator's event-source mappings, on its own queues and streams in this process, with functions that are Python callables."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ministack.services.lambda_svc as lambdas
import pytest
from ministack.services import dynamodb, sqs

from local.event_sources import MOST_BATCHES, EventSources
from local.mappings import Outcome

PATIENCE_SECONDS = 10.0

Function = Callable[[list[Mapping[str, Any]]], Any]


class Emulator:
    """Mappings from queues and a table's stream to callables, which are called as the emulator would call a function."""

    def __init__(self, *, scale: float = 1.0) -> None:
        self.functions: dict[str, Function] = {}
        self.kept: list[tuple[str, dict[str, Any]]] = []
        self.sources = EventSources(scale=scale, keep=lambda bucket, key, document: self.kept.append((bucket, json.loads(document))))
        self.sources._invoke = self._invoke  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self.sources.run)
        self._thread.start()

    def _invoke(self, mapping: dict[str, Any], event: dict[str, Any]) -> Outcome:
        try:
            return Outcome(value=self.functions[mapping["FunctionName"]](event["Records"]))
        except RuntimeError as error:
            return Outcome(error=str(error))

    def map(self, source: str, function: Function, **settings: Any) -> None:
        name = uuid.uuid4().hex
        self.functions[name] = function
        mapping = {"UUID": name, "FunctionName": name, "FunctionArn": f"arn:{name}", "EventSourceArn": source, "Enabled": True, **settings}
        lambdas._init_stream_position(name, source, "TRIM_HORIZON")
        lambdas._esms[name] = mapping
        lambdas.esm_wake.set()

    def queue(self, *, fifo: bool = False, visibility: int = 30) -> str:
        name = f"{uuid.uuid4().hex}{'.fifo' if fifo else ''}"
        attributes = {"VisibilityTimeout": str(visibility), **({"FifoQueue": "true"} if fifo else {})}
        return str(sqs._HANDLERS["CreateQueue"]({"QueueName": name, "Attributes": attributes}, "")["QueueUrl"])

    def arn(self, url: str) -> str:
        return str(sqs._queues[url]["attributes"]["QueueArn"])

    def send(self, url: str, body: str, group: str | None = None) -> None:
        fifo = {"MessageGroupId": group, "MessageDeduplicationId": uuid.uuid4().hex} if group else {}
        sqs._HANDLERS["SendMessage"]({"QueueUrl": url, "MessageBody": body, **fifo}, url)

    def table(self) -> str:
        """A table's name; it has a stream."""
        name = uuid.uuid4().hex
        keys = [("pk", "HASH"), ("sk", "RANGE")]
        dynamodb._create_table(
            {
                "TableName": name,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
                "KeySchema": [{"AttributeName": key, "KeyType": kind} for key, kind in keys],
                "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
            }
        )
        return name

    def stream(self, table: str) -> str:
        return str(dynamodb._tables[table]["LatestStreamArn"])

    def put(self, table: str, pk: str, sk: str) -> None:
        dynamodb._put_item({"TableName": table, "Item": {"pk": {"S": pk}, "sk": {"S": sk}}})

    def stop(self) -> None:
        for name in self.functions:
            lambdas._esms.pop(name, None)
        self.sources.stop()
        self._thread.join()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator()
    yield emulator
    emulator.stop()


@pytest.fixture
def fast_emulator() -> Iterator[Emulator]:
    """A minute of AWS's waiting in a second."""
    emulator = Emulator(scale=60)
    yield emulator
    emulator.stop()


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def bodies(records: list[Mapping[str, Any]]) -> list[str]:
    return [record["body"] for record in records]


def items(records: list[Mapping[str, Any]]) -> list[str]:
    return [record["dynamodb"]["Keys"]["sk"]["S"] for record in records]


def into(seen: list[str]) -> Function:
    """A function of a stream that notes what it is brought."""
    return lambda records: seen.extend(items(records))


def test_what_a_function_gives_back_stays_and_the_rest_is_deleted(emulator: Emulator) -> None:
    url = emulator.queue()
    for body in ("good", "bad"):
        emulator.send(url, body)

    def function(records: list[Mapping[str, Any]]) -> Any:
        return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in records if record["body"] == "bad"]}

    emulator.map(emulator.arn(url), function, FunctionResponseTypes=["ReportBatchItemFailures"])
    until(lambda: [message["body"] for message in sqs._queues[url]["messages"]] == ["bad"])


def test_an_answer_about_messages_of_another_batch_brings_the_whole_batch_again(fast_emulator: Emulator) -> None:
    url = fast_emulator.queue(visibility=6)
    fast_emulator.send(url, "one")
    calls: list[list[str]] = []

    def function(records: list[Mapping[str, Any]]) -> Any:
        calls.append(bodies(records))
        return {"batchItemFailures": [{"itemIdentifier": "nobody"}]} if len(calls) == 1 else None

    fast_emulator.map(fast_emulator.arn(url), function, FunctionResponseTypes=["ReportBatchItemFailures"])
    until(lambda: calls == [["one"], ["one"]] and not sqs._queues[url]["messages"])


def test_a_failed_batch_comes_again_after_the_visibility_timeout_on_the_stacks_clock(fast_emulator: Emulator) -> None:
    url = fast_emulator.queue(visibility=30)
    fast_emulator.send(url, "one")
    times: list[float] = []

    def function(records: list[Mapping[str, Any]]) -> Any:
        times.append(time.monotonic())
        if len(times) == 1:
            raise RuntimeError("it fell over")

    fast_emulator.map(fast_emulator.arn(url), function)
    until(lambda: len(times) == 2)
    assert 0.4 < times[1] - times[0] < 3  # half a second is 30 at scale 60


def test_a_visibility_that_the_function_set_is_left_alone(fast_emulator: Emulator) -> None:
    url = fast_emulator.queue(visibility=30)
    fast_emulator.send(url, "one")
    calls: list[int] = []

    def function(records: list[Mapping[str, Any]]) -> Any:
        calls.append(1)
        sqs._HANDLERS["ChangeMessageVisibility"]({"QueueUrl": url, "ReceiptHandle": records[0]["receiptHandle"], "VisibilityTimeout": 3}, url)
        return {"batchItemFailures": [{"itemIdentifier": records[0]["messageId"]}]}

    fast_emulator.map(fast_emulator.arn(url), function, FunctionResponseTypes=["ReportBatchItemFailures"])
    until(lambda: len(calls) == 1)
    time.sleep(1.0)
    assert len(calls) == 1


def test_a_burst_reaches_a_function_on_several_processes_but_only_once_one_of_them_has_answered(emulator: Emulator) -> None:
    url = emulator.queue()
    for number in range(20 * MOST_BATCHES):
        emulator.send(url, str(number))
    go = threading.Event()
    under_way: list[int] = []
    most: list[int] = []
    before_the_first_answer: list[int] = []

    def function(records: list[Mapping[str, Any]]) -> None:
        under_way.append(1)
        most.append(len(under_way))
        if not before_the_first_answer:
            time.sleep(0.2)
            before_the_first_answer.append(len(under_way))
        else:
            go.wait(PATIENCE_SECONDS)
        under_way.pop()

    emulator.map(emulator.arn(url), function, ScalingConfig={"MaximumConcurrency": 50})
    until(lambda: max(most, default=0) == MOST_BATCHES)
    time.sleep(0.1)
    go.set()
    until(lambda: not sqs._queues[url]["messages"])
    assert before_the_first_answer == [1]
    assert max(most) == MOST_BATCHES


def test_the_templates_limit_holds_where_it_is_lower(emulator: Emulator) -> None:
    url = emulator.queue()
    most: list[int] = []
    under_way: list[int] = []

    def function(records: list[Mapping[str, Any]]) -> None:
        under_way.append(1)
        most.append(len(under_way))
        time.sleep(0.02)
        under_way.pop()

    for number in range(60):
        emulator.send(url, str(number))
    emulator.map(emulator.arn(url), function, ScalingConfig={"MaximumConcurrency": 2})
    until(lambda: not sqs._queues[url]["messages"])
    assert max(most) == 2


def test_a_slow_group_of_a_fifo_queue_holds_up_no_other_and_keeps_its_own_order(emulator: Emulator) -> None:
    url = emulator.queue(fifo=True)
    done: dict[str, list[str]] = {"warm": [], "slow": [], "swift": []}
    go = threading.Event()

    def function(records: list[Mapping[str, Any]]) -> None:
        for record in records:
            group = record["attributes"]["MessageGroupId"]
            if group == "slow":
                assert go.wait(PATIENCE_SECONDS)
            done[group].append(record["body"])

    emulator.map(emulator.arn(url), function, ScalingConfig={"MaximumConcurrency": 20})
    emulator.send(url, "0", "warm")
    until(lambda: done["warm"] == ["0"])
    for body in ("1", "2"):
        emulator.send(url, body, "slow")
    time.sleep(0.2)  # until the first is out
    emulator.send(url, "3", "slow")
    for body in ("1", "2", "3"):
        emulator.send(url, body, "swift")
    until(lambda: done["swift"] == ["1", "2", "3"])
    assert done["slow"] == []
    go.set()
    until(lambda: done["slow"] == ["1", "2", "3"])


def test_a_batching_window_gathers_what_comes_within_it(fast_emulator: Emulator) -> None:
    url = fast_emulator.queue()
    calls: list[list[str]] = []
    fast_emulator.map(fast_emulator.arn(url), lambda records: calls.append(bodies(records)), BatchSize=100, MaximumBatchingWindowInSeconds=60)
    for number in range(15):
        fast_emulator.send(url, str(number))
        time.sleep(0.02)
    until(lambda: not sqs._queues[url]["messages"])
    assert calls == [[str(number) for number in range(15)]]


def test_no_message_is_lost_between_those_who_send_and_those_who_receive(emulator: Emulator) -> None:
    url = emulator.queue()
    seen: list[str] = []
    emulator.map(emulator.arn(url), lambda records: seen.extend(bodies(records)))
    for number in range(300):
        emulator.send(url, str(number))
    until(lambda: len(seen) == 300)
    assert len(set(seen)) == 300


INSERTED = {"Filters": [{"Pattern": json.dumps({"eventName": ["INSERT"], "dynamodb": {"Keys": {"sk": {"S": [{"prefix": "event#"}]}}}})}]}


def test_a_stream_brings_every_change_to_each_of_its_consumers_but_those_that_are_filtered_out(emulator: Emulator) -> None:
    table = emulator.table()
    consumers: list[list[str]] = [[], []]
    for seen in consumers:
        emulator.map(emulator.stream(table), into(seen), FilterCriteria=INSERTED, ParallelizationFactor=4)
    wanted = [f"event#{number}" for number in range(20)]
    for number, sk in enumerate(wanted):
        emulator.put(table, f"user#{number % 5}", sk)
        emulator.put(table, f"user#{number % 5}", f"shadow#{number}")
    until(lambda: [len(seen) for seen in consumers] == [len(wanted)] * 2)
    for seen in consumers:
        assert sorted(seen) == sorted(wanted)
        for person in range(5):
            own = wanted[person::5]
            assert [sk for sk in seen if sk in own] == own


def test_a_streams_batching_window_gathers_what_comes_within_it(fast_emulator: Emulator) -> None:
    table = fast_emulator.table()
    batches: list[int] = []
    fast_emulator.map(fast_emulator.stream(table), lambda records: batches.append(len(records)), MaximumBatchingWindowInSeconds=40, BatchSize=100)
    fast_emulator.put(table, "a", "1")
    time.sleep(0.1)
    fast_emulator.put(table, "a", "2")
    until(lambda: sum(batches) == 2)
    assert batches == [2]


def test_a_failing_stream_function_delays_neither_the_other_consumer_nor_a_queue_and_takes_all_in_the_end(fast_emulator: Emulator) -> None:
    table, url = fast_emulator.table(), fast_emulator.queue()
    broken = threading.Event()
    broken.set()
    late: list[str] = []
    prompt: list[str] = []
    queued: list[str] = []

    def failing(records: list[Mapping[str, Any]]) -> None:
        if broken.is_set():
            raise RuntimeError("it fell over")
        late.extend(items(records))

    fast_emulator.map(fast_emulator.stream(table), failing, MaximumRetryAttempts=-1, BisectBatchOnFunctionError=True)
    fast_emulator.map(fast_emulator.stream(table), into(prompt))
    fast_emulator.map(fast_emulator.arn(url), lambda records: queued.extend(bodies(records)))
    for number in range(3):
        fast_emulator.put(table, "user#1", f"event#{number}")
        fast_emulator.send(url, str(number))
    until(lambda: len(prompt) == 3 and len(queued) == 3)
    assert late == []
    broken.clear()
    until(lambda: late == ["event#0", "event#1", "event#2"])
    assert fast_emulator.kept == []


def test_a_record_past_its_age_is_kept_whole_in_the_failure_bucket_and_the_next_go_on(fast_emulator: Emulator) -> None:
    table = fast_emulator.table()
    seen: list[str] = []

    def function(records: list[Mapping[str, Any]]) -> None:
        if any(sk == "event#poison" for sk in items(records)):
            raise RuntimeError("it fell over")
        seen.extend(items(records))

    fast_emulator.map(
        fast_emulator.stream(table),
        function,
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=-1,
        MaximumRecordAgeInSeconds=120,  # two seconds, at this scale
        DestinationConfig={"OnFailure": {"Destination": "arn:aws:s3:::failures"}},
    )
    for sk in ("event#before", "event#poison", "event#after"):
        fast_emulator.put(table, "user#1", sk)
    until(lambda: seen == ["event#before", "event#after"])
    [(bucket, document)] = fast_emulator.kept
    assert bucket == "failures"
    assert document["requestContext"]["condition"] == "RecordAgeExceeded"
    assert items(json.loads(document["payload"])["Records"]) == ["event#poison"]
