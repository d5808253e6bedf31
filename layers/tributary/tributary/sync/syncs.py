"""The syncs of all accounts, as a person sees and steers them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

import msgspec

from tributary.clock import Clock
from tributary.errors import RetryError
from tributary.ports import Connections, MessageQueue
from tributary.settings import Connection
from tributary.sync.days import today
from tributary.sync.schedule import Schedule, reason_of_next, zone_of
from tributary.sync.state import Counted, Difference, History, Live, Status, SyncStore
from tributary.sync.tasks import HistoryTask, message_of


class State(StrEnum):
    """Where a sync is."""

    STARTING = "starting"
    INITIAL = "initial"
    """Its history is being read, and what is new beside it."""
    LIVE = "live"
    """Its history is read: what is new comes with each poll."""
    PAUSED = "paused"
    """A person paused its history; what is new still comes."""
    OFF = "off"
    """The connection is disabled or paused: nothing is asked."""
    REFUSED = "refused"
    """The account does not let us in."""


class StreamProgress(msgspec.Struct, frozen=True, kw_only=True):
    stream: str
    days: int
    all_days: int
    records: int
    all_records: int
    events: int
    unreadable: int
    cursor: date | None
    """The last day whose updates were read to the end."""


class Sync(msgspec.Struct, frozen=True, kw_only=True):
    connection: str
    label: str
    state: State
    reason: str | None
    """Why the history is, or was last, read: `initial`, `restart`, `recheck`."""
    started_at: datetime | None
    finished_at: datetime | None
    streams: list[StreamProgress]
    records: int
    all_records: int | None
    """None while it is being asked for."""
    records_per_second: float | None
    seconds_left: float | None
    calls: int
    failed_windows: list[str]
    polled_at: datetime | None
    """The newest poll that was read to its end, by when it was planned."""
    poll_under_way: bool
    refused: str | None
    last_error: str | None
    last_error_at: datetime | None
    reconciled_at: datetime | None
    reconciled_days: int
    differences: list[Difference]
    catalogue: dict[str, int]
    """How many campaigns and products the account has."""


class NotYet(Exception):
    """A day that has yet to come in the account's time zone."""


class NoSuchSync(Exception):
    """No connection of that id is synced."""


@dataclass(frozen=True, kw_only=True)
class Syncs:
    connections: Connections
    store: SyncStore
    tasks: MessageQueue
    clock: Clock

    def all(self) -> list[Sync]:
        return [self._sync(connection) for connection in self._connections()]

    def one(self, connection: str) -> Sync:
        """Raises `NoSuchSync`."""
        return self._sync(self._find(connection))

    def begin(self, connection: Connection) -> None:
        """Ask an account that was just made, or given other settings, at once, whatever it refused before. What fails here, the next tick does."""
        if connection.type != "konnektive":
            return
        try:
            if self._let_in(connection.id):
                self._wake(connection.id)
            if connection.enabled and connection.mode == "live":
                self._schedule().plan(connection, at_once=True)
        except RetryError:
            return

    def poll(self, connection: str) -> Sync:
        """Ask the account for what is new, now; the first time also for its history."""
        found = self._find(connection)
        self._schedule().plan(found, at_once=True)
        return self._sync(found)

    def pause(self, connection: str) -> Sync:
        """Stop reading the history after the window at hand; what is new still comes. The weekly walk is no history to be read, and goes on."""
        found = self._find(connection)
        history, revision = self.store.history(connection)
        if history is not None and history.finished_at is None and not history.paused and history.reason != "recheck":
            self.store.put_history(connection, msgspec.structs.replace(history, paused=True), revision)
        return self._sync(found)

    def resume(self, connection: str) -> Sync:
        """Go on: after a pause, and after a refusal that a person has seen to."""
        found = self._find(connection)
        self._let_in(connection)
        self._wake(connection, unpause=True)
        self._schedule().plan(found, at_once=True)
        return self._sync(found)

    def restart(self, connection: str, first_day: date | None) -> Sync:
        """Read the history again, from a day or from the first. What has not changed makes no event. Raises `NotYet` for a day in the future."""
        found = self._find(connection)
        if first_day is not None and first_day > today(self.clock.now(), zone_of(found)):
            raise NotYet
        history, revision = self.store.history(connection)
        first = first_day.isoformat() if first_day is not None else None
        task = self._schedule().begin(found, history, revision, reason=reason_of_next(found, history), first_day=first)
        self.tasks.send([message_of(task)])
        return self._sync(found)

    def _let_in(self, connection: str) -> bool:
        """Whether it had been refused."""
        status = self.store.status(connection)
        if status.refused is None:
            return False
        self.store.put_status(connection, msgspec.structs.replace(status, refused=None, refused_at=None))
        return True

    def _wake(self, connection: str, *, unpause: bool = False) -> None:
        """Send the history's task again: the one that was under way ended with the refusal or the pause."""
        history, revision = self.store.history(connection)
        if history is None or history.finished_at is not None or (history.paused and not unpause):
            return
        # Under a step of its own, so that the queue takes the task for a new one.
        on = msgspec.structs.replace(history, paused=False, step=history.step + 1, touched_at=self.clock.now())
        self.store.put_history(connection, on, revision)
        self.tasks.send([message_of(HistoryTask(connection=connection, generation=on.generation, step=on.step))])

    def _schedule(self) -> Schedule:
        return Schedule(connections=self.connections, store=self.store, tasks=self.tasks, clock=self.clock)

    def _connections(self) -> Sequence[Connection]:
        return [one for one in self.connections.all() if isinstance(one, Connection) and one.type == "konnektive"]

    def _find(self, connection: str) -> Connection:
        found = next((one for one in self._connections() if one.id == connection), None)
        if found is None:
            raise NoSuchSync(connection)
        return found

    def _sync(self, connection: Connection) -> Sync:
        live, _ = self.store.live(connection.id)
        history, _ = self.store.history(connection.id)
        status = self.store.status(connection.id)
        counted = history.counted if history is not None else {}
        records = sum(one.rows for one in counted.values())
        planned = history is not None and bool(counted)
        all_records = sum(one.all_rows for one in counted.values()) if planned else None
        rate = records / history.busy_seconds if history is not None and history.busy_seconds > 0 and records else None
        going = history is not None and history.finished_at is None
        return Sync(
            connection=connection.id,
            label=connection.label,
            state=_state(connection, history, status),
            reason=history.reason if history is not None else None,
            started_at=history.started_at if history is not None else None,
            finished_at=history.finished_at if history is not None else None,
            streams=[_progress(stream, one, live) for stream, one in counted.items()],
            records=records,
            all_records=all_records,
            records_per_second=rate,
            seconds_left=max(0, all_records - records) / rate if going and rate and all_records is not None else None,
            calls=history.calls if history is not None else 0,
            failed_windows=list(dict.fromkeys([*history.failed, *history.unread])) if history is not None else [],
            polled_at=live.finished_at,
            poll_under_way=live.scheduled_at is not None and (live.finished_at is None or live.finished_at < live.scheduled_at),
            refused=status.refused,
            last_error=status.last_error,
            last_error_at=status.last_error_at,
            reconciled_at=status.reconciled_at,
            reconciled_days=status.reconciled_days,
            differences=list(status.differences),
            catalogue=dict(status.catalogue),
        )


def _state(connection: Connection, history: History | None, status: Status) -> State:
    if status.refused is not None:
        return State.REFUSED
    if not connection.enabled or connection.mode != "live":
        return State.OFF
    if history is None:
        return State.STARTING
    if history.finished_at is not None or history.reason == "recheck":
        return State.LIVE
    return State.PAUSED if history.paused else State.INITIAL


def _progress(stream: str, counted: Counted, live: Live) -> StreamProgress:
    return StreamProgress(
        stream=stream,
        days=counted.days,
        all_days=counted.all_days,
        records=counted.rows,
        all_records=counted.all_rows,
        events=counted.events,
        unreadable=counted.unreadable,
        cursor=live.cursors.get(stream),
    )
