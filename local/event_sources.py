"""Event-source mappings of the emulator, each on threads of its own: a slow or failing consumer delays nobody else.

Takes the place of MiniStack's one poll thread. Knows MiniStack's queues, streams and functions; what a mapping does with a batch is in `local.mappings`.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from uuid import uuid4

import ministack.services.lambda_svc as lambdas
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import dynamodb, sqs

from local.mappings import Failure, Outcome, Record, StreamRules, Unprocessable, deliver, failed_items, failure_object, lane_of

logger = logging.getLogger("local.event_sources")

MOST_BATCHES: Final = 5
"""Batches of one queue under way at once, where the template allows more: each needs a Python process of 60 MB that takes most of a CPU second to start."""
MOST_LANES: Final = 2
"""As above, of one stream."""
RECEIVED_AT_ONCE: Final = 10
"""SQS's limit of a receive call."""
IDLE_SECONDS: Final = 1.0
"""Longest sleep of a mapping; new work wakes it at once."""

Mapping = dict[str, Any]
Message = dict[str, Any]


class EventSources:
    """Runs every enabled mapping until `stop`. `scale` shortens what AWS waits as the functions' own clock shortens what they wait: the back-off and record age
    of a stream, a queue's visibility timeout after a failure, batching windows."""

    def __init__(self, *, scale: float, keep: Callable[[str, str, bytes], None]) -> None:
        """`keep` writes an object, given its bucket and key: what a stream mapping gave up."""
        self._scale = scale
        self._keep = keep
        self._stopping = threading.Event()
        self._work = threading.Condition()
        self._generation = 0
        self._threads: dict[tuple[str, int], threading.Thread] = {}
        self._under_way: dict[str, int] = {}
        self._positions: dict[tuple[str, int], int] = {}
        self._proven: set[str] = set()
        """Mappings whose function has answered once: a second process is started only then, so that a burst does not start five cold ones at a time."""

    def run(self) -> None:
        """Stands in for MiniStack's poll loop: starts what is new, and passes wake-ups on."""
        while not self._stopping.is_set():
            lambdas.esm_wake.wait(IDLE_SECONDS)
            lambdas.esm_wake.clear()
            for account, region, mapping in list(lambdas._iter_all_esms()):
                self._start(account, region, mapping)
            self._wake()

    def stop(self) -> None:
        self._stopping.set()
        lambdas.esm_wake.set()
        self._wake()

    def _wake(self) -> None:
        with self._work:
            self._generation += 1
            self._work.notify_all()

    def _wait(self, seen: int, seconds: float) -> None:
        """Until there is news since generation `seen`, or `seconds` have passed."""
        with self._work:
            self._work.wait_for(lambda: self._generation != seen, timeout=max(0.0, seconds))

    def _start(self, account: str, region: str, mapping: Mapping) -> None:
        source = str(mapping["EventSourceArn"]).split(":")[2]
        lanes = min(StreamRules.of(mapping).lanes, MOST_LANES) if source == "dynamodb" else 1
        for lane in range(lanes):
            key = (mapping["UUID"], lane)
            if key not in self._threads:
                serve = partial(self._serve_stream, lane=lane, lanes=lanes) if source == "dynamodb" else self._serve_queue
                thread = threading.Thread(target=self._scoped, args=(account, region, serve, mapping["UUID"]), daemon=True)
                self._threads[key] = thread
                thread.start()

    def _scoped(self, account: str, region: str, serve: Callable[[str], None], mapping: str) -> None:
        with request_scope(account, region):
            while not self._stopping.is_set() and mapping in lambdas._esms:
                try:
                    serve(mapping)
                except Exception:  # the mapping goes on, as AWS's would
                    logger.exception("event-source mapping %s", mapping)
                    self._stopping.wait(IDLE_SECONDS)

    def _invoke(self, mapping: Mapping, event: dict[str, Any]) -> Outcome:
        function, _ = lambdas._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
        if function is None:
            return Outcome(error="the function is gone")
        result = lambdas._execute_function(function, event)
        if result.get("error"):
            body = result.get("body")
            error = str(body.get("errorMessage") or body.get("message")) if isinstance(body, dict) else "failed"
            mapping["LastProcessingResult"] = "FAILED"
            logger.warning("%s failed: %s", mapping["FunctionName"], error)
            return Outcome(error=error)
        mapping["LastProcessingResult"] = "OK"
        return Outcome(value=result.get("body"))

    # ------------------------------------------------------------------ queues

    def _serve_queue(self, mapping_id: str) -> None:
        """Receive when the function has room, and hand each batch to a thread."""
        seen = self._generation
        mapping = lambdas._esms[mapping_id]
        queue = sqs._queue_by_arn(mapping["EventSourceArn"])
        if queue is None or not mapping.get("Enabled", True) or self._under_way.get(mapping_id, 0) >= self._room(mapping):
            self._wait(seen, IDLE_SECONDS)
            return
        batch = self._gather(mapping, queue)
        if not batch:
            soonest = min((message["visible_at"] for message in list(queue["messages"])), default=0.0) - time.time()
            self._wait(seen, min(IDLE_SECONDS, soonest) if soonest > 0 else IDLE_SECONDS)
            return
        with self._work:
            self._under_way[mapping_id] = self._under_way.get(mapping_id, 0) + 1
        account, region = get_account_id(), get_region()
        threading.Thread(target=self._bring, args=(account, region, mapping, queue, batch), daemon=True).start()

    def _room(self, mapping: Mapping) -> int:
        if mapping["UUID"] not in self._proven:
            return 1
        return min(int((mapping.get("ScalingConfig") or {}).get("MaximumConcurrency", MOST_BATCHES)), MOST_BATCHES)

    def _gather(self, mapping: Mapping, queue: dict[str, Any]) -> list[Message]:
        """A batch: what is visible now, or over the mapping's batching window. A FIFO receive skips every group of which a message is out, so that batches of
        different groups may run side by side."""
        size = int(mapping.get("BatchSize", RECEIVED_AT_ONCE))
        until = time.monotonic() + float(mapping.get("MaximumBatchingWindowInSeconds") or 0) / self._scale
        batch: list[Message] = []
        while not self._stopping.is_set():
            seen = self._generation
            received = sqs._receive_messages_for_esm(queue["url"], min(RECEIVED_AT_ONCE, size - len(batch)))
            batch += received
            left = until - time.monotonic()
            if not batch or len(batch) >= size or (left <= 0 and len(received) < RECEIVED_AT_ONCE):
                break
            if not received:
                self._wait(seen, min(left, IDLE_SECONDS))
        return batch

    def _bring(self, account: str, region: str, mapping: Mapping, queue: dict[str, Any], batch: list[Message]) -> None:
        with request_scope(account, region):
            try:
                self._bring_batch(mapping, queue, batch)
            except Exception:  # the messages come again after their visibility timeout
                logger.exception("batch of %s", mapping["FunctionName"])
            finally:
                with self._work:
                    self._under_way[mapping["UUID"]] -= 1
                self._wake()

    def _bring_batch(self, mapping: Mapping, queue: dict[str, Any], batch: list[Message]) -> None:
        handed_out = {message["id"]: (message["receipt_handle"], message["visible_at"]) for message in batch}
        records = lambdas._apply_filter_criteria([_sqs_record(message, mapping["EventSourceArn"]) for message in batch], mapping)
        failed: set[str] = set()
        if records:
            outcome = self._invoke(mapping, {"Records": records})
            ids = [record["messageId"] for record in records]
            try:
                failed = set(ids) if outcome.error is not None else self._failed(mapping, outcome, ids)
            except Unprocessable as problem:
                logger.warning("%s: %s; the batch comes again", mapping["FunctionName"], problem)
                failed = set(ids)
            if outcome.error is None:
                self._proven.add(mapping["UUID"])
        sqs._delete_messages_for_esm(queue["url"], {handle for message, (handle, _) in handed_out.items() if message not in failed})
        if self._scale == 1.0:
            return
        shortened = time.time() + float(queue["attributes"].get("VisibilityTimeout", 30)) / self._scale
        for message in batch:  # unless the function set a time of its own
            if message["id"] in failed and (message["receipt_handle"], message["visible_at"]) == handed_out[message["id"]]:
                message["visible_at"] = min(message["visible_at"], shortened)

    def _failed(self, mapping: Mapping, outcome: Outcome, ids: Sequence[str]) -> set[str]:
        return failed_items(outcome.value, ids) if "ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", []) else set()

    # ------------------------------------------------------------------ streams

    def _serve_stream(self, mapping_id: str, *, lane: int, lanes: int) -> None:
        """Read one lane's changes from where the mapping starts, for as long as the mapping stands."""
        mapping = lambdas._esms[mapping_id]
        stream = mapping["EventSourceArn"]
        table = stream.split("/")[1]
        position = self._positions.get((mapping_id, lane), lambdas._dynamodb_stream_positions[mapping_id])
        while not self._stopping.is_set() and mapping_id in lambdas._esms:
            seen = self._generation
            if not mapping.get("Enabled", True) or (dynamodb._tables.get(table) or {}).get("LatestStreamArn") != stream:
                self._wait(seen, IDLE_SECONDS)
                continue
            rules = StreamRules.of(mapping)
            position = max(position, dynamodb.stream_start_position(table))
            window = dynamodb.stream_records_since(table, position, rules.batch_size * lanes)
            if not window:
                self._wait(seen, IDLE_SECONDS)
                continue
            batching = float(mapping.get("MaximumBatchingWindowInSeconds") or 0) / self._scale
            if batching and len(window) < rules.batch_size * lanes:
                self._stopping.wait(batching)
                window = dynamodb.stream_records_since(table, position, rules.batch_size * lanes)
            mine = [record for record in window if lane_of(record, lanes) == lane]
            records = lambdas._apply_filter_criteria(mine, mapping)
            for start in range(0, len(records), rules.batch_size):
                if not self._deliver(mapping, records[start : start + rules.batch_size], rules):
                    return
            position += len(window)
            self._positions[mapping_id, lane] = position

    def _deliver(self, mapping: Mapping, records: Sequence[Record], rules: StreamRules) -> bool:
        return deliver(
            records,
            rules=rules,
            invoke=lambda piece: self._invoke(mapping, {"Records": list(piece)}),
            give_up=partial(self._give_up, mapping, rules),
            seconds_old=lambda record: (time.time() - float(record["dynamodb"]["ApproximateCreationDateTime"])) * self._scale,
            wait=lambda seconds: not self._stopping.wait(seconds / self._scale) and mapping["UUID"] in lambdas._esms,
        )

    def _give_up(self, mapping: Mapping, rules: StreamRules, failure: Failure) -> None:
        destination = rules.failure_destination or ""
        logger.error("%s gave up %d records: %s", mapping["FunctionName"], len(failure.records), failure.condition)
        if ":s3:" not in destination:
            logger.error("no bucket is named for what %s gives up", mapping["FunctionName"])
            return
        key, document = failure_object(
            failure,
            mapping=mapping["UUID"],
            function_arn=mapping["FunctionArn"],
            stream_arn=mapping["EventSourceArn"],
            request_id=str(uuid4()),
            now=datetime.now(UTC),
        )
        self._keep(destination.split(":")[-1], key, json.dumps(document).encode())


def _sqs_record(message: Message, source: str) -> dict[str, Any]:
    """As https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html shows it."""
    attributes = {
        "ApproximateReceiveCount": str(message["receive_count"]),
        "SentTimestamp": str(int(message["sent_at"] * 1000)),
        "SenderId": get_account_id(),
        "ApproximateFirstReceiveTimestamp": str(int(message["first_receive_at"] * 1000)),
    }
    if message.get("group_id"):
        attributes |= {"MessageGroupId": message["group_id"], "MessageDeduplicationId": message["dedup_id"], "SequenceNumber": message["seq"]}
    return {
        "messageId": message["id"],
        "receiptHandle": message["receipt_handle"],
        "body": message["body"],
        "attributes": attributes,
        "messageAttributes": lambdas._sqs_message_attributes_to_camel_case(message["message_attributes"]),
        "md5OfBody": message["md5_body"],
        "eventSource": "aws:sqs",
        "eventSourceARN": source,
        "awsRegion": get_region(),
    }
