"""SQS and Lambda's event-source mapping in one process, on a clock that is moved: what redelivers, hides, locks and repeats, without a second of waiting.

What it models: visibility timeouts and their change, receive counts, redrive to a dead-letter queue, retention, FIFO groups (locked while any message is in
flight; a batch holds several groups, in order within each), deduplication for five minutes; for a standard queue any order and duplicates; batches side by side
up to a concurrency, partial batch failures, a handler that raises, answers that are lost after the work was done.

`tests/contract/test_queue_model.py` holds the queue to moto and to the emulator.

Time within an invocation is its own: a handler that waits (`ModelClock.spend`) delays itself alone, and people who are served side by side do not add up. So
invocations may be run one after another and yet overlap on the clock.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from random import Random
from typing import Any

from tests.kit.builders import NOON
from tributary.errors import StoreUnavailable
from tributary.ports import OutMessage

Record = dict[str, Any]
Handler = Callable[[dict[str, Any], Callable[[], float]], Any]
"""A Lambda handler: the event, and the seconds that are left."""

_DEDUPLICATION = timedelta(minutes=5)


class Crash(BaseException):
    """The sandbox dies: no `except Exception` sees it."""


class ModelClock:
    """A `Clock` that stands until it is moved, or until somebody spends time on it."""

    def __init__(self, now: datetime = NOON) -> None:
        self._base = now
        self._invocation = 0
        self._own: ContextVar[tuple[int, float]] = ContextVar("spent", default=(-1, 0.0))
        """Invocation, and seconds spent in it: of one context, so that a thread which serves two people after one another counts for each anew."""
        self._longest = 0.0

    def now(self) -> datetime:
        return self._base + timedelta(seconds=self.spent())

    def seconds_since(self, moment: datetime) -> float:
        return (self.now() - moment).total_seconds()

    def to_wait(self, seconds: float) -> float:
        return seconds

    def spent(self) -> float:
        """By this context in this invocation."""
        invocation, seconds = self._own.get()
        return seconds if invocation == self._invocation else 0.0

    def spend(self, seconds: float) -> None:
        """Let time pass for this context."""
        total = self.spent() + seconds
        self._own.set((self._invocation, total))
        self._longest = max(self._longest, total)

    def move_to(self, moment: datetime) -> None:
        assert moment >= self._base, "time does not go back"
        self._base = moment
        self._invocation += 1

    def advance(self, seconds: float) -> None:
        self.move_to(self._base + timedelta(seconds=seconds))

    @contextmanager
    def invocation(self) -> Iterator[Callable[[], float]]:
        """What is spent inside is spent beside the clock; the callable says how long the slowest took."""
        self._invocation += 1
        self._longest = 0.0
        try:
            yield lambda: self._longest
        finally:
            self._invocation += 1


@dataclass
class Message:
    number: int
    body: str
    group: str | None
    deduplication: str | None
    sent_at: datetime
    visible_at: datetime
    receive_count: int = 0

    @property
    def id(self) -> str:
        return f"message-{self.number}"

    @property
    def receipt(self) -> str:
        return f"{self.id}/{self.receive_count}"

    def is_in_flight(self, now: datetime) -> bool:
        return self.receive_count > 0 and self.visible_at > now


@dataclass
class ModelQueue:
    """A queue; also `ports.MessageQueue` and `ports.Visibility`. `refuse_change`: says which changes of visibility fail."""

    clock: ModelClock
    fifo: bool = True
    visibility_timeout: float = 720
    max_receive_count: int = 1000
    dead_letters: ModelQueue | None = None
    retention: timedelta = timedelta(days=14)
    duplicates: float = 0.0
    """Standard queues: how probably a message that was just received is there to be received again."""
    chance: Random = field(default_factory=lambda: Random(0))
    locks_groups: bool = True
    """False is no queue that exists: it shows that a test of order can fail."""
    refuse_change: Callable[[str, int], bool] = lambda _receipt, _seconds: False
    expired: list[Message] = field(default_factory=list)
    _groups: dict[str, dict[str, Message]] = field(default_factory=dict)
    """Messages by group, then id, each group in the order sent. In a standard queue every message is its own group."""
    _group_of: dict[str, str] = field(default_factory=dict)
    _changes: list[datetime] = field(default_factory=list)
    _sent: int = 0
    _seen: dict[tuple[str, str], datetime] = field(default_factory=dict)

    @property
    def messages(self) -> list[Message]:
        """All that are not deleted, in flight or not, in the order sent."""
        return sorted((message for group in self._groups.values() for message in group.values()), key=lambda message: message.number)

    def __len__(self) -> int:
        return len(self._group_of)

    def send(self, messages: Sequence[OutMessage]) -> None:
        now = self.clock.now()
        for message in messages:
            if self.fifo and self._is_repeat(message, now):
                continue
            self._sent += 1
            kept = Message(self._sent, message.body, message.group, message.deduplication, sent_at=now, visible_at=now)
            group = message.group if self.fifo and message.group is not None else kept.id
            self._groups.setdefault(group, {})[kept.id] = kept
            self._group_of[kept.id] = group

    def receive(self, limit: int = 10, *, greedy: bool = True) -> list[Record]:
        """Up to `limit` messages, as Lambda's records. Not `greedy`: as SQS does, it may give fewer than there are."""
        wanted = limit if greedy else self.chance.randint(1, limit)
        received: list[Record] = []
        for message in self._candidates(limit):
            if len(received) == wanted:
                break
            if message.receive_count >= self.max_receive_count and self.dead_letters is not None:
                self._remove(message)
                self.dead_letters.send([OutMessage(message.body, message.group, message.deduplication)])
                continue
            received.append(self._take(message))
        return received

    def delete(self, receipt: str) -> None:
        message = self._held(receipt)
        if message is not None:
            self._remove(message)

    def change(self, receipts: Sequence[str], seconds: int) -> None:
        assert 0 <= seconds <= 43_200
        assert 1 <= len(receipts) <= 10
        refused = 0
        for receipt in receipts:
            message = self._held(receipt)
            if message is None or not message.is_in_flight(self.clock.now()) or self.refuse_change(receipt, seconds):
                refused += 1
            else:
                self._show_at(message, self.clock.now() + timedelta(seconds=seconds))
        if refused:
            raise StoreUnavailable(f"refused {refused} changes")

    def next_change(self) -> datetime | None:
        """When the next hidden message is seen again; perhaps earlier, where it was deleted or hidden anew."""
        now = self.clock.now()
        while self._changes and self._changes[0] <= now:
            heapq.heappop(self._changes)
        return self._changes[0] if self._changes else None

    def _is_repeat(self, message: OutMessage, now: datetime) -> bool:
        assert message.group is not None
        assert message.deduplication is not None
        key = (message.group, message.deduplication)
        if key in self._seen and now - self._seen[key] < _DEDUPLICATION:
            return True
        self._seen[key] = now
        return False

    def _candidates(self, limit: int) -> list[Message]:
        """What may be received, from groups in any order, within each in its own order. Each group's messages come in two parts, so that batches mix."""
        now = self.clock.now()
        self._drop_expired(now)
        groups = list(self._groups.values())
        start = self.chance.randrange(len(groups)) if groups else 0
        open_groups: list[list[Message]] = []
        for group in chain(groups[start:], groups[:start]):
            if len(open_groups) == limit:
                break
            visible = [message for message in group.values() if message.visible_at <= now]
            if visible and not (self.locks_groups and any(message.is_in_flight(now) for message in group.values())):
                open_groups.append(visible)
        self.chance.shuffle(open_groups)
        first = [group[: self.chance.randint(1, len(group))] for group in open_groups]
        rest = [group[len(begun) :] for group, begun in zip(open_groups, first, strict=True)]
        return [message for part in (*first, *rest) for message in part]

    def _take(self, message: Message) -> Record:
        now = self.clock.now()
        message.receive_count += 1
        twice = not self.fifo and self.chance.random() < self.duplicates
        self._show_at(message, now if twice else now + timedelta(seconds=self.visibility_timeout))
        attributes = {"ApproximateReceiveCount": str(message.receive_count), "SentTimestamp": str(int(message.sent_at.timestamp() * 1000))}
        if message.group is not None:
            attributes |= {"MessageGroupId": message.group, "MessageDeduplicationId": message.deduplication or ""}
        return {"messageId": message.id, "receiptHandle": message.receipt, "body": message.body, "attributes": attributes, "eventSource": "aws:sqs"}

    def _show_at(self, message: Message, moment: datetime) -> None:
        message.visible_at = moment
        heapq.heappush(self._changes, moment)

    def _held(self, receipt: str) -> Message | None:
        """The message, if this is its latest receipt."""
        message_id = receipt.split("/", 1)[0]
        group = self._group_of.get(message_id)
        message = self._groups[group][message_id] if group is not None else None
        return message if message is not None and message.receipt == receipt else None

    def _remove(self, message: Message) -> None:
        group = self._group_of.pop(message.id)
        del self._groups[group][message.id]
        if not self._groups[group]:
            del self._groups[group]

    def _drop_expired(self, now: datetime) -> None:
        while self._group_of:
            oldest = next(iter(self._group_of))
            message = self._groups[self._group_of[oldest]][oldest]
            if now - message.sent_at < self.retention:
                return
            self._remove(message)
            self.expired.append(message)


@dataclass
class EventSourceMapping:
    """Lambda's poller of a queue. `lose_deletes`: how probably a message stays in the queue though its batch went well."""

    queue: ModelQueue
    handler: Handler
    batch_size: int = 10
    concurrency: int = 5
    function_timeout: float = 120
    lose_deletes: float = 0.0
    chance: Random = field(default_factory=lambda: Random(0))
    invocations: int = 0
    crashes: int = 0
    overruns: int = 0
    """Invocations that took longer than the function may."""
    batches: list[int] = field(default_factory=list)
    _running: list[tuple[datetime, int, list[str]]] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        """Let the rules' time pass; ends early once the queue is empty and nothing runs."""
        clock = self.queue.clock
        end = clock.now() + timedelta(seconds=seconds)
        while True:
            self._finish()
            self._start()
            if not self._running and not len(self.queue):
                return
            moments = [self._running[0][0]] if self._running else []
            change = self.queue.next_change()
            if change is not None:
                moments.append(change)
            following = min(moments, default=end)
            if following >= end:
                clock.move_to(end)
                self._finish()
                return
            clock.move_to(following)

    def _start(self) -> None:
        while len(self._running) < self.concurrency:
            records = self.queue.receive(self.batch_size, greedy=self.chance.random() < 0.5)
            if not records:
                return
            self._invoke(records)

    def _invoke(self, records: list[Record]) -> None:
        clock = self.queue.clock
        started = clock.now()
        self.invocations += 1
        self.batches.append(len(records))
        with clock.invocation() as took:
            try:
                answer = self.handler({"Records": records}, lambda: self.function_timeout - clock.spent())
                done = _done(records, answer)
            except (Crash, Exception):
                self.crashes += 1
                done = []
            seconds = took()
        if seconds > self.function_timeout:
            self.overruns += 1
            done = []
        done = [receipt for receipt in done if self.chance.random() >= self.lose_deletes]
        heapq.heappush(self._running, (started + timedelta(seconds=seconds), self.invocations, done))

    def _finish(self) -> None:
        while self._running and self._running[0][0] <= self.queue.clock.now():
            _, _, done = heapq.heappop(self._running)
            for receipt in done:
                self.queue.delete(receipt)


def _done(records: list[Record], answer: Any) -> list[str]:
    """Receipts of what Lambda deletes. It takes an answer that names a message it does not know for a failure of the whole batch."""
    failed = {failure["itemIdentifier"] for failure in (answer or {}).get("batchItemFailures", [])}
    if not failed <= {record["messageId"] for record in records}:
        return []
    return [record["receiptHandle"] for record in records if record["messageId"] not in failed]
