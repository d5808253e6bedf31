"""A batch of a destination queue as Lambda hands it over, what became of each message, and the answer that Lambda expects.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypedDict


@dataclass(frozen=True, kw_only=True)
class Received:
    """A message of a destination queue, held by this invocation until the queue's visibility timeout ends."""

    message_id: str
    """The queue's own id, not the event's."""
    receipt: str
    body: str
    group: str
    receive_count: int
    """How often it was received, this time included. Waiting behind an earlier message of its group counts too, so this is no count of attempts."""
    sent_at: datetime


def messages(event: Mapping[str, Any]) -> list[Received]:
    """The messages of a Lambda event, in its order, which within a group is the order they were sent in."""
    return [_received(record) for record in event["Records"]]


def by_group(received: Iterable[Received]) -> list[list[Received]]:
    """The messages of each group, in order."""
    groups: dict[str, list[Received]] = {}
    for message in received:
        groups.setdefault(message.group, []).append(message)
    return list(groups.values())


class Outcome(StrEnum):
    """What became of a message; also the name of the metric that counts it."""

    DELIVERED = "Delivered"
    SHADOWED = "Shadowed"
    NOTHING_TO_SEND = "NothingToSend"
    """The destination does not take such an event."""
    SUPPRESSED = "Suppressed"
    """It names an erased person, and is dropped."""
    PARKED = "Parked"
    RETRIED = "Retried"
    HALTED = "Halted"
    """The connection's configuration or credential is wrong; nothing is lost, and nothing moves until it is mended."""
    NOT_TRIED = "NotTried"
    """Handed back without a call: paused, behind an earlier message, or no time left."""


@dataclass(frozen=True, kw_only=True)
class Handled:
    """What became of one message: ids and codes, nothing personal."""

    message: Received
    outcome: Outcome
    code: str | None = None
    """Why, where there is a why."""
    back_in: float | None = None
    """Seconds of the rules until it may be received again; None: acknowledged, the queue forgets it."""
    connection: str | None = None
    source: str | None = None
    event_id: str | None = None
    event_type: str | None = None
    requests: int = 0
    """Answered requests of this attempt."""
    attempts: int = 0
    """Attempts that failed, this one included."""
    status: int | None = None
    """The vendor's last."""
    notes: Sequence[str] = ()
    """What the destination notes of its requests: limits that the vendor may apply."""
    where: str | None = None
    """Of a fault of ours: the exception's class and line."""
    behind: int = 0
    """Later messages of its group that were handed back with it."""
    delay_set: bool = True
    """False where the queue refused a delay: what it was for comes back after the queue's own visibility timeout."""


class BatchItemFailure(TypedDict):
    itemIdentifier: str


class SqsResponse(TypedDict):
    batchItemFailures: list[BatchItemFailure]


@dataclass(frozen=True)
class Report:
    """What became of a batch."""

    handled: Sequence[Handled]

    def counts(self) -> Counter[Outcome]:
        return Counter(one.outcome for one in self.handled)

    def as_sqs_response(self) -> SqsResponse:
        """Every message that was not acknowledged, by the queue's id; Lambda deletes the others."""
        return {"batchItemFailures": [{"itemIdentifier": one.message.message_id} for one in self.handled if one.back_in is not None]}


def _received(record: Mapping[str, Any]) -> Received:
    attributes = record["attributes"]
    return Received(
        message_id=record["messageId"],
        receipt=record["receiptHandle"],
        body=record["body"],
        group=attributes.get("MessageGroupId", record["messageId"]),
        receive_count=int(attributes["ApproximateReceiveCount"]),
        sent_at=datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC),
    )
