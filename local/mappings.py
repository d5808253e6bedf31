"""What Lambda's event-source mappings do with a batch, as AWS documents it: the rules alone, no threads and no emulator.

The emulator's own poller retries a stream batch for ever from the top and serves FIFO queues one batch at a time; `local.emulator` drives these rules instead.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

FIRST_RETRY_SECONDS: Final = 0.5
LONGEST_RETRY_SECONDS: Final = 30.0
"""AWS backs off exponentially and names no figures; these keep a broken function from eating the machine."""

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What came of an invocation: the value that the function returned, or the error it raised."""

    value: Any = None
    error: str | None = None


class Unprocessable(Exception):
    """The function's answer names no message of the batch, or cannot be read: AWS takes the whole batch as failed."""


def failed_items(value: Any, items: Sequence[str]) -> set[str]:
    """Which of `items` a function that reports item failures gave back; none for an empty answer.
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html. Raises `Unprocessable`."""
    if value in (None, "", {}):
        return set()
    if not isinstance(value, dict):
        raise Unprocessable("the answer is not an object")
    failures = value.get("batchItemFailures") or []
    if not isinstance(failures, list) or not all(isinstance(failure, dict) for failure in failures):
        raise Unprocessable("batchItemFailures is not a list of objects")
    failed = {str(failure.get("itemIdentifier") or "") for failure in failures}
    if not failed <= set(items):
        raise Unprocessable("an itemIdentifier is not of this batch")
    return failed


@dataclass(frozen=True, kw_only=True)
class StreamRules:
    """A stream mapping's settings."""

    batch_size: int
    lanes: int
    """ParallelizationFactor: how many batches of a shard are under way at once; one item's changes stay in one lane."""
    bisect: bool
    max_retries: int
    """-1: without limit."""
    max_age_seconds: float
    """-1: until the stream forgets the record."""
    reports_items: bool
    failure_destination: str | None

    @classmethod
    def of(cls, mapping: Mapping[str, Any]) -> StreamRules:
        """From a mapping as the Lambda API describes it."""
        destination = (mapping.get("DestinationConfig") or {}).get("OnFailure") or {}
        return cls(
            batch_size=int(mapping.get("BatchSize", 100)),
            lanes=int(mapping.get("ParallelizationFactor", 1)),
            bisect=_true(mapping.get("BisectBatchOnFunctionError", False)),
            max_retries=int(mapping.get("MaximumRetryAttempts", -1)),
            max_age_seconds=float(mapping.get("MaximumRecordAgeInSeconds", -1)),
            reports_items="ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", []),
            failure_destination=destination.get("Destination"),
        )


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Records that a mapping gave up, and why: `RetryAttemptsExhausted` or `RecordAgeExceeded`."""

    records: Sequence[Record]
    condition: str
    invocations: int


def lane_of(record: Record, lanes: int) -> int:
    """Which lane takes a change: the partition key's, so that one item's changes keep their order."""
    keys = json.dumps(record["dynamodb"]["Keys"].get("pk") or record["dynamodb"]["Keys"], sort_keys=True)
    return int.from_bytes(blake2b(keys.encode(), digest_size=4).digest(), "big") % lanes


def deliver(
    records: Sequence[Record],
    *,
    rules: StreamRules,
    invoke: Callable[[Sequence[Record]], Outcome],
    give_up: Callable[[Failure], None],
    seconds_old: Callable[[Record], float],
    wait: Callable[[float], bool],
) -> bool:
    """Bring the records to the function, in order, until each is taken or given up. `wait` sleeps, and answers False when the mapping is being stopped: then
    `deliver` does too, and the records count as not taken."""
    todo: list[tuple[Sequence[Record], int, int]] = [(records, 0, 0)]  # records, retries of this piece, invocations so far
    while todo:
        piece, retries, invocations = todo.pop()
        if retries and rules.max_age_seconds >= 0:
            expired = [record for record in piece if seconds_old(record) > rules.max_age_seconds]
            if expired:
                give_up(Failure(records=expired, condition="RecordAgeExceeded", invocations=invocations))
                piece = [record for record in piece if record not in expired]
        if not piece:
            continue
        taken = _taken(invoke(piece), piece, rules)
        invocations += 1
        if taken == len(piece):
            continue
        if taken:
            retries = 0
        rest = piece[taken:]
        if rules.bisect and len(rest) > 1:  # does not count against the retries
            half = len(rest) // 2
            todo += [(rest[half:], retries, invocations), (rest[:half], retries, invocations)]
            continue
        if 0 <= rules.max_retries <= retries:
            give_up(Failure(records=rest, condition="RetryAttemptsExhausted", invocations=invocations))
            continue
        todo.append((rest, retries + 1, invocations))
        if not wait(min(FIRST_RETRY_SECONDS * 2**retries, LONGEST_RETRY_SECONDS)):
            return False
    return True


def _taken(outcome: Outcome, records: Sequence[Record], rules: StreamRules) -> int:
    """How many records, from the first, the function is done with: a stream goes on from the first that failed."""
    if outcome.error is not None:
        return 0
    if not rules.reports_items:
        return len(records)
    sequence = [str(record["dynamodb"]["SequenceNumber"]) for record in records]
    try:
        failed = failed_items(outcome.value, sequence)
    except Unprocessable:
        return 0
    return min((sequence.index(item) for item in failed), default=len(records))


def failure_object(failure: Failure, *, mapping: str, function_arn: str, stream_arn: str, request_id: str, now: datetime) -> tuple[str, dict[str, Any]]:
    """Key and document of what a mapping leaves in its failure bucket: the batch's coordinates and, unlike in a queue, the batch itself.
    https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html"""
    shard = "shardId-00000000000000000000-00000000"
    first, last = failure.records[0]["dynamodb"], failure.records[-1]["dynamodb"]
    document = {
        "requestContext": {
            "requestId": request_id,
            "functionArn": function_arn,
            "condition": failure.condition,
            "approximateInvokeCount": failure.invocations,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "DDBStreamBatchInfo": {
            "shardId": shard,
            "startSequenceNumber": str(first["SequenceNumber"]),
            "endSequenceNumber": str(last["SequenceNumber"]),
            "approximateArrivalOfFirstRecord": _stamp(first),
            "approximateArrivalOfLastRecord": _stamp(last),
            "batchSize": len(failure.records),
            "streamArn": stream_arn,
        },
        "payload": json.dumps({"Records": list(failure.records)}),
    }
    return f"aws/lambda/{mapping}/{shard}/{now:%Y/%m/%d/%Y-%m-%dT%H.%M.%S}-{request_id}", document


def _stamp(change: Mapping[str, Any]) -> str:
    return f"{datetime.fromtimestamp(float(change['ApproximateCreationDateTime']), UTC):%Y-%m-%dT%H:%M:%SZ}"


def _true(value: Any) -> bool:
    return str(value).lower() == "true"
