"""What travels through the sync queue: one thing to ask an account for. The group is the connection, so that an account is asked one thing at a time.

Deduplication ids say what the task is and when it was planned: the same planned twice is one, the next poll's is another.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Final, Literal

import msgspec

from tributary.identity.digests import public_digest
from tributary.ports import OutMessage
from tributary.sync.streams import Stream


class _Task(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="task", omit_defaults=True, forbid_unknown_fields=True):
    schema_version: Literal[1] = 1
    connection: str


class DayTask(_Task, frozen=True, kw_only=True, tag="day"):
    """A day of a stream, by what was updated in it."""

    stream: Stream
    day: date
    scheduled_at: datetime
    page: int = 1
    """Where a task before it stopped, as its time was up;"""
    met: int = 0
    """how many rows those before it met,"""
    most: int = 0
    """and how many the account said there were."""
    again: bool = False
    """Walked once more, as rows were missed."""
    closes: bool = False
    """The last one of its poll."""


class ReferenceTask(_Task, frozen=True, kw_only=True, tag="reference"):
    """The list of campaigns or products."""

    stream: Stream
    scheduled_at: datetime


class HistoryTask(_Task, frozen=True, kw_only=True, tag="history"):
    """The next piece of the walk through the past; at most one of a connection is under way, and enqueues its successor."""

    generation: int
    """Which walk: a restart begins another."""
    step: int


class HintTask(_Task, frozen=True, kw_only=True, tag="hint"):
    """Read what a postback points to."""

    order_id: str | None = None
    customer_id: str | None = None
    purchase_id: str | None = None
    minute: datetime
    """In which the hint came: a burst of hints for one order is one read."""


class ReconcileTask(_Task, frozen=True, kw_only=True, tag="reconcile"):
    """Compare what is known with the account's own sums."""

    scheduled_at: datetime


SyncTask = DayTask | ReferenceTask | HistoryTask | HintTask | ReconcileTask

_encoder: Final = msgspec.json.Encoder()
decoder: Final[msgspec.json.Decoder[SyncTask]] = msgspec.json.Decoder(SyncTask)


def message_of(task: SyncTask) -> OutMessage:
    """As the queue takes it."""
    return OutMessage(body=_encoder.encode(task).decode(), group=public_digest(task.connection), deduplication=public_digest(task.connection, *_identity(task)))


def _identity(task: SyncTask) -> tuple[str, ...]:
    match task:
        case DayTask():
            return ("day", task.stream, task.day.isoformat(), task.scheduled_at.isoformat(), str(task.page), "again" if task.again else "")
        case ReferenceTask():
            return ("reference", task.stream, task.scheduled_at.isoformat())
        case HistoryTask():
            return ("history", str(task.generation), str(task.step))
        case HintTask():
            return ("hint", task.order_id or "", task.customer_id or "", task.purchase_id or "", task.minute.isoformat())
        case ReconcileTask():
            return ("reconcile", task.scheduled_at.isoformat())
