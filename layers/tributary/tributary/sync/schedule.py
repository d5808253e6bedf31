"""What is due: a poll of each account by its interval, the account's own sums once a day, the lists once a day, a walk over the last five weeks once a week.

Run every few minutes. What it plans is named by when it was planned, and the rows that say so are written under their revision, so that two at once plan once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import msgspec

from tributary.clock import Clock
from tributary.errors import WriteConflict
from tributary.ports import Connections, MessageQueue, OutMessage
from tributary.settings import Connection
from tributary.sync import days
from tributary.sync.history import left_unread
from tributary.sync.state import History, Live, SyncStore
from tributary.sync.streams import KINDS, Stream
from tributary.sync.tasks import DayTask, HistoryTask, ReconcileTask, ReferenceTask, message_of

RECHECK_DAYS: Final = 35
RECHECK_SECONDS: Final = 7 * 86_400.0
DAILY_SECONDS: Final = 86_400.0
STUCK_SECONDS: Final = 6 * 3_600.0
"""A poll whose end was never heard of is taken for lost after so long, and the next one planned."""
SILENT_SECONDS: Final = 1_800.0
"""A walk through the past that has not moved for so long has lost its task: it is sent again."""
EARLY: Final = 0.9
"""A schedule does not tick to the second: a poll that is all but due is due."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    connections: Connections
    store: SyncStore
    tasks: MessageQueue
    clock: Clock

    def tick(self, counts: Counter[str]) -> None:
        """Plan what is due of every account, counting by what was planned. One that cannot be planned does not keep the others from it; its error is raised
        once they are, and the next tick plans the same."""
        failure: Exception | None = None
        for connection in self.connections.all():
            if isinstance(connection, Connection) and connection.type == "konnektive" and connection.enabled and connection.mode == "live":
                try:
                    counts.update(self.plan(connection))
                except WriteConflict:
                    counts["conflicts"] += 1
                except Exception as error:
                    failure = error
        if failure is not None:
            raise failure

    def plan(self, connection: Connection, *, at_once: bool = False) -> Counter[str]:
        """Plan what is due of one account. `at_once`: a poll, due or not. Raises `WriteConflict` where somebody else planned at the same moment."""
        now = self.clock.now()
        if self.store.status(connection.id).refused is not None:
            return Counter(refused=1)
        live, revision = self.store.live(connection.id)
        planned: list[OutMessage] = []
        changes: dict[str, datetime] = {}
        if at_once or self._poll_is_due(live, connection):
            planned += [message_of(task) for task in self._poll(connection, live, now)]
            changes["scheduled_at"] = now
        if self._is_past(live.referenced_at, DAILY_SECONDS):
            wanted = [stream for stream in (Stream.CAMPAIGNS, Stream.PRODUCTS) if stream in connection.settings.get("streams", list(Stream))]
            planned += [message_of(ReferenceTask(connection=connection.id, stream=stream, scheduled_at=now)) for stream in wanted]
            changes["referenced_at"] = now
        history, history_revision = self.store.history(connection.id)
        current = history is not None and not _added(connection, history) and not _is_of_another(connection, history)
        if history is not None and history.finished_at is not None and current:
            if self._is_past(live.reconciled_at, DAILY_SECONDS):
                planned.append(message_of(ReconcileTask(connection=connection.id, scheduled_at=now)))
                changes["reconciled_at"] = now
            if self._is_past(live.rechecked_at or history.finished_at, RECHECK_SECONDS):
                planned.append(message_of(self.begin(connection, history, history_revision, reason="recheck", first_day=None)))
                changes["rechecked_at"] = now
        # Sent before it is kept: a crash between the two plans the same poll again under another time, which is a poll too many and no loss.
        self.tasks.send(planned)
        if changes:
            self.store.put_live(connection.id, msgspec.structs.replace(live, **changes), revision)
        return Counter(polls=int("scheduled_at" in changes), tasks=len(planned)) + self._history(connection, history, history_revision)

    def begin(self, connection: Connection, history: History | None, revision: int, *, reason: str, first_day: str | None) -> HistoryTask:
        """Begin a walk through the past; the one before it is over. The task is the caller's to send."""
        now = self.clock.now()
        today = days.today(now, zone_of(connection))
        generation = history.generation + 1 if history is not None else 1
        first = today - timedelta(days=RECHECK_DAYS) if reason == "recheck" else _day(first_day or connection.settings.get("historyStart"))
        begun = History(
            generation=generation,
            reason=reason,
            first_day=first,
            last_day=today,
            started_at=now,
            touched_at=now,
            connected_at=connection.created_at,
            streams=list(_walked(connection)),
            unread=left_unread(history, reason=reason, first=first),
        )
        self.store.put_history(connection.id, begun, revision)
        return HistoryTask(connection=connection.id, generation=generation, step=0)

    def _history(self, connection: Connection, history: History | None, revision: int) -> Counter[str]:
        if history is None or _added(connection, history) or _is_of_another(connection, history):
            # What is walked a second time for the sake of another stream makes no events.
            self.tasks.send([message_of(self.begin(connection, history, revision, reason=reason_of_next(connection, history), first_day=None))])
            return Counter(histories=1)
        if history.finished_at is None and not history.paused and self._is_past(history.touched_at, SILENT_SECONDS):
            self.store.put_history(connection.id, msgspec.structs.replace(history, touched_at=self.clock.now()), revision)
            self.tasks.send([message_of(HistoryTask(connection=connection.id, generation=history.generation, step=history.step))])
            return Counter(woken=1)
        return Counter()

    def _poll_is_due(self, live: Live, connection: Connection) -> bool:
        if live.scheduled_at is None:
            return True
        under_way = live.finished_at is None or live.finished_at < live.scheduled_at
        waited = self.clock.seconds_since(live.scheduled_at)
        if under_way:
            return waited >= STUCK_SECONDS
        return waited >= float(connection.settings.get("pollMinutes", 15)) * 60 * EARLY

    def _poll(self, connection: Connection, live: Live, now: datetime) -> Sequence[DayTask]:
        """Each stream's days from its cursor, less the look-back, to today in the account's zone."""
        today = days.today(now, zone_of(connection))
        lookback = timedelta(days=int(connection.settings.get("lookbackDays", 1)))
        tasks = [
            DayTask(connection=connection.id, stream=stream, day=day, scheduled_at=now)
            for stream in _walked(connection)
            for day in days.between(min(live.cursors.get(stream, today), today) - lookback, today)
        ]
        return [*tasks[:-1], msgspec.structs.replace(tasks[-1], closes=True)] if tasks else []

    def _is_past(self, moment: datetime | None, seconds: float) -> bool:
        return moment is None or self.clock.seconds_since(moment) >= seconds


def reason_of_next(connection: Connection, history: History | None) -> str:
    """Of a walk through the whole past: the first one that ends is the first sync, however often it was begun."""
    first = history is None or _is_of_another(connection, history) or (history.reason == "initial" and history.finished_at is None)
    return "initial" if first else "restart"


def _is_of_another(connection: Connection, history: History) -> bool:
    """Whether it is that of a connection that had the id before this one."""
    return history.connected_at is not None and history.connected_at != connection.created_at


def _walked(connection: Connection) -> Sequence[Stream]:
    """The streams that are walked by day."""
    return [stream for stream in KINDS if stream in connection.settings.get("streams", list(Stream))]


def _added(connection: Connection, history: History) -> bool:
    """Whether the connection has a stream by now whose past was not asked for."""
    return not set(_walked(connection)) <= set(history.streams)


def zone_of(connection: Connection) -> str:
    return str(connection.settings.get("timeZone", "America/New_York"))


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
