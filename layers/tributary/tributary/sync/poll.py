"""Running one task of the sync queue.

A task is done when all that it asked for is in the ingest queue and the cursor has moved; until then it comes again, and what it sends again changes nothing.
The queue gives out one task of an account at a time; a lease makes sure of it where a queue's time-out does not.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from tributary.clock import Clock
from tributary.errors import CredentialMissing, HaltError, RetryError, SettingsInvalid, StoreUnavailable, VendorThrottled, WriteConflict, place_of
from tributary.events import Event, Track
from tributary.lease import Lease
from tributary.messages import IngestMessage, to_text
from tributary.ports import Connections, MessageQueue, OutMessage, Secrets, Vendor
from tributary.settings import Connection
from tributary.sources.konnektive.catalogue import entries_of
from tributary.sources.konnektive.records import Kind, Reading
from tributary.sources.konnektive.settings import KonnektiveSettings, settings_of
from tributary.sync import days, history, reconcile
from tributary.sync.api import Konnektive
from tributary.sync.state import Catalogue, Counted, History, Live, Notices, RecordStates, SyncStore
from tributary.sync.streams import ENDPOINTS, KINDS, SUMMARY, Stream
from tributary.sync.tasks import DayTask, HintTask, HistoryTask, ReconcileTask, ReferenceTask, SyncTask, message_of
from tributary.sync.walk import Walked, Walker, Window

PAGES_SECONDS: Final = 300.0
"""A day that takes longer goes on in a task of its own, behind whatever waits."""
HISTORY_SECONDS: Final = 20.0
"""The past gives way to the live poll after so long, or after the window at hand."""
LEASE_SECONDS: Final = 1_200.0
"""Longer than the function's time: a lease outlives no holder by much."""
CLOSING_SECONDS: Final = 30.0
"""Kept of the function's time for the last page's writes."""
TRIES_A_WRITE: Final = 5
TRIES: Final = 8
"""Receives of one task that ends in an error before it is given up for now: a day is walked again by the next poll, a window of the past at the walk's end."""
TRIES_A_HINT: Final = 2
"""What it points to comes with the next poll, which waits behind it."""
TRIES_THAT_DIE: Final = 3
"""And of one that takes its sandbox with it: each costs its account the queue's own time-out."""
BELIEVED_DAYS: Final = 7
"""A day that every poll found short for so long is what the account cannot count, and holds the cursor no longer."""
_THE_PLAN: Final = "the plan"
HISTORY: Final = "history"
FIRST_DELAY: Final = 15.0
LONGEST_DELAY: Final = 900.0
CLOCKS_APART: Final = timedelta(minutes=5)
"""By how much the account's clock may be behind ours."""

Remaining = Callable[[], float]


@dataclass(frozen=True)
class Done:
    """What became of a task. `delay`: seconds after which it is to come again; None: it is finished. `code`: `ok`, or the error's."""

    delay: float | None = None
    code: str = "ok"
    text: str = ""
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class Poll:
    """`owner`: this sandbox's name in a lease. `chance`: from 0 to 1. `sleep`: seconds of the machine's."""

    vendor: Vendor
    connections: Connections
    secrets: Secrets
    store: SyncStore
    states: RecordStates
    catalogue: Catalogue
    key: Callable[[], bytes]
    ingest: MessageQueue
    tasks: MessageQueue
    notices: Notices
    clock: Clock
    owner: str
    chance: Callable[[], float]
    sleep: Callable[[float], None]
    called: dict[str, datetime] = field(default_factory=dict)
    """When this sandbox last called each account: a task's first call keeps its distance from the one before it."""

    def run(self, task: SyncTask, *, receives: int, remaining: Remaining) -> Done:
        """`receives`: how often the queue has handed the task out. Raises nothing."""
        try:
            connection = self._connection(task.connection)
            if connection is None or not connection.enabled or connection.mode != "live":
                self._close(task)
                return Done(code="off")
            status = self.store.status(task.connection)
            if status.refused is not None:
                return Done(code="refused")
            lease = self.store.lease(task.connection, self.owner, self.clock.now(), LEASE_SECONDS)
            if lease is Lease.HELD:
                return Done(delay=FIRST_DELAY, code="leased")
        except RetryError as error:
            return Done(delay=FIRST_DELAY, code=error.code, text=str(error))
        account: _Account | None = None
        began = self.clock.now()
        try:
            if lease is Lease.LEFT and receives > TRIES_THAT_DIE:
                self._tell(task, "a task broke off again and again: out of memory or of time")
                self._give_up(task)
                return Done(code="died_given_up")
            account = _Account(self, connection, remaining)
            done = self._run(task, account, receives)
            if status.last_error_of == _what(task):
                self._overcome(task, began)
            return done
        except HaltError as error:
            return self._halt(task, error, account)
        except Exception as error:
            return self._again(task, error, receives)
        finally:
            if account is not None and account.api.called_at is not None:
                self.called[task.connection] = account.api.called_at
            self._release(task.connection)

    # ---------------------------------------------------------------- what a task does

    def _run(self, task: SyncTask, account: _Account, receives: int) -> Done:
        match task:
            case DayTask():
                account.told_since = task.scheduled_at - CLOCKS_APART if receives > 1 else None
                return self._day(task, account)
            case ReferenceTask():
                return self._reference(task, account)
            case HistoryTask():
                return self._history(task, account, receives)
            case HintTask():
                account.told_since = task.minute - CLOCKS_APART if receives > 1 else None
                return self._hint(task, account)
            case ReconcileTask():
                return self._reconcile(task, account)

    def _day(self, task: DayTask, account: _Account) -> Done:
        today = days.today(self.clock.now(), account.settings.time_zone)
        over = task.day < today
        window = Window(task.stream, task.day, task.day, "dateUpdated")
        walked = account.walker(PAGES_SECONDS).walk(window, page=task.page, finished=over and not task.again)
        walked.total = max(walked.total or 0, task.most)
        if walked.next_page is not None:
            following = msgspec.structs.replace(task, page=walked.next_page, met=task.met + walked.rows, most=walked.total)
            self.tasks.send([message_of(following)])
        elif task.page > 1 and over and not task.again and walked.is_short_of(task.met):
            self.tasks.send([message_of(msgspec.structs.replace(task, page=1, met=0, most=0, again=True))])
        elif over and walked.is_short_of(task.met):
            text = _short(window, task.met + walked.rows, walked.total)
            self._tell(task, text)
            if (today - task.day).days > BELIEVED_DAYS:
                self._move(task)
            else:
                self._close(task)
            return Done(code="short", text=text, counts=_counts(walked, account))
        else:
            self._move(task)
        return Done(counts=_counts(walked, account))

    def _move(self, task: DayTask) -> None:
        """The day is in the queue: move the cursor, never back, and never over a day that was not read."""

        def moved(live: Live) -> Live:
            before = live.cursors.get(task.stream)
            follows = before is None or before < task.day <= before + timedelta(days=1)
            cursors = {**live.cursors, task.stream: task.day} if follows else live.cursors
            return msgspec.structs.replace(live, cursors=cursors, finished_at=_finished_at(live, task))

        self._change_live(task.connection, moved)

    def _tell(self, task: SyncTask, error: str) -> None:
        """Keep what went wrong where a person sees it, until what failed succeeds."""
        self._tell_of(task.connection, error, _what(task))

    def _tell_of(self, connection: str, error: str, what: str) -> None:
        status = self.store.status(connection)
        self.store.put_status(connection, msgspec.structs.replace(status, last_error=error, last_error_at=self.clock.now(), last_error_of=what))

    def _overcome(self, task: SyncTask, since: datetime) -> None:
        """What failed before this run has succeeded in it."""
        status = self.store.status(task.connection)
        if status.last_error_of == _what(task) and status.last_error_at is not None and status.last_error_at < since:
            self.store.put_status(task.connection, msgspec.structs.replace(status, last_error=None, last_error_at=None, last_error_of=None))

    def _close(self, task: SyncTask) -> None:
        """A poll whose last task comes to nothing is over all the same: the next one begins where it did."""
        if isinstance(task, DayTask) and task.closes:
            self._change_live(task.connection, lambda live: msgspec.structs.replace(live, finished_at=_finished_at(live, task)))

    def _change_live(self, connection: str, change: Callable[[Live], Live]) -> None:
        """The schedule writes the row too, so a conflict is no reason to walk the day again."""
        for attempt in range(1, TRIES_A_WRITE + 1):
            live, revision = self.store.live(connection)
            try:
                self.store.put_live(connection, change(live), revision)
            except WriteConflict:
                if attempt == TRIES_A_WRITE:
                    raise
            else:
                return

    def _reference(self, task: ReferenceTask, account: _Account) -> Done:
        """Campaigns or products, all of them."""
        page, rows = 1, 0
        while True:
            answer = account.api.page(ENDPOINTS[task.stream], {}, number=page)
            currency = account.settings.currency
            self.catalogue.put(task.connection, [entry for row in answer.rows for entry in entries_of(task.stream, row, currency)])
            rows += len(answer.rows)
            if not answer.rows or answer.total is None or page * answer.per_page >= answer.total:
                break
            page += 1
        status = self.store.status(task.connection)
        self.store.put_status(task.connection, msgspec.structs.replace(status, catalogue={**status.catalogue, task.stream: rows}))
        return Done(counts=Counter(rows=rows, calls=account.api.calls))

    def _hint(self, task: HintTask, account: _Account) -> Done:
        live, _ = self.store.live(task.connection)
        if live.scheduled_at is not None and live.scheduled_at >= task.minute + timedelta(minutes=1):
            # A poll that was planned after it has read what it points to, or is about to: hints must not keep it waiting.
            return Done(code="left_to_the_poll")
        walker = account.walker(PAGES_SECONDS)
        total = Walked()
        for stream, parameters in _asked_of(task):
            if stream in account.streams:
                walked = walker.take(KINDS[stream], account.api.page(ENDPOINTS[stream], {**parameters, "includeCustomFields": "1"}, by_id=True).rows)
                total.rows += walked.rows
                total.events += walked.events
        return Done(counts=_counts(total, account))

    def _reconcile(self, task: ReconcileTask, account: _Account) -> Done:
        last = days.today(self.clock.now(), account.settings.time_zone)
        first = last - timedelta(days=reconcile.DAYS)
        parameters = {"startDate": days.as_parameter(first), "endDate": days.as_parameter(last), "dateRangeType": "txnDate", "reportType": "date"}
        theirs = account.api.page(SUMMARY, parameters).rows
        newest_first = reversed(list(days.between(first, last)))
        known = ((day.isoformat(), self.states.of_day(task.connection, Kind.TRANSACTION, day.isoformat())) for day in newest_first)
        differences = reconcile.differences(theirs, known, last_whole_day=days.before(last))
        status = self.store.status(task.connection)
        compared = (last - first).days
        self.store.put_status(
            task.connection, msgspec.structs.replace(status, reconciled_at=self.clock.now(), reconciled_days=compared, differences=differences[:100])
        )
        return Done(counts=Counter(compared_days=compared, differences=len(differences), calls=account.api.calls))

    # ---------------------------------------------------------------- the past

    def _history(self, task: HistoryTask, account: _Account, receives: int) -> Done:
        kept, revision = self.store.history(task.connection)
        if kept is None or kept.generation != task.generation or kept.paused or kept.finished_at is not None:
            return Done(code="superseded")
        if task.step != kept.step:
            if task.step == kept.step - 1 and receives > 1:
                # It was broken off between keeping its work and sending its successor.
                self.tasks.send([message_of(HistoryTask(connection=task.connection, generation=kept.generation, step=kept.step))])
            return Done(code="superseded")
        # A step may be sent anew by the schedule, so that it does not show how often it was tried.
        account.told_since = kept.started_at - CLOCKS_APART
        progress = _Progress(self, account, kept, revision)
        progress.get_on()
        return Done(counts=progress.counts)

    def _give_up_window(self, task: HistoryTask) -> None:
        """Set the window aside that fails again and again, so that the walk gets on; it comes once more at its end."""
        kept, revision = self.store.history(task.connection)
        if kept is None or kept.generation != task.generation or kept.step != task.step:
            return
        window = _nth(history.windows(kept), kept.position) if history.is_planned(kept) else None
        later = msgspec.structs.replace(
            kept,
            failed=list(dict.fromkeys([*kept.failed, str(window) if window is not None else _THE_PLAN])),
            position=kept.position + (window is not None),
            page=1,
            met=0,
            most=0,
            step=kept.step + 1,
            touched_at=self.clock.now(),
        )
        self.store.put_history(task.connection, later, revision)
        self.tasks.send([message_of(HistoryTask(connection=task.connection, generation=later.generation, step=later.step))])

    # ---------------------------------------------------------------- what happens next

    def _halt(self, task: SyncTask, error: HaltError, account: _Account | None) -> Done:
        """Nobody asks again until a person has done something: an account may lock a user who keeps knocking.
        What was refused with credentials that were replaced meanwhile is tried with the new ones."""
        try:
            if account is not None and not self._are_current(account):
                return Done(delay=FIRST_DELAY, code="replaced", text=str(error))
            status = self.store.status(task.connection)
            self.store.put_status(task.connection, msgspec.structs.replace(status, refused=str(error), refused_at=self.clock.now()))
        except RetryError as second:
            return Done(delay=LONGEST_DELAY, code=second.code, text=str(second))
        return Done(code=error.code, text=str(error))

    def _are_current(self, account: _Account) -> bool:
        """Whether the settings that a task began with are those of the connection still."""
        connection = self._connection(account.connection.id)
        try:
            return connection is None or account_settings(connection, self.secrets, fresh=True) == account.settings
        except HaltError:
            return True

    def _again(self, task: SyncTask, error: Exception, receives: int) -> Done:
        code = error.code if isinstance(error, RetryError) else "unexpected"
        text = str(error) if isinstance(error, RetryError) else place_of(error)
        asked = error.retry_after if isinstance(error, RetryError) else None
        try:
            if not isinstance(error, WriteConflict):  # a person steers it, or the schedule plans: no trouble
                self._tell(task, text)
            if receives >= (TRIES_A_HINT if isinstance(task, HintTask) else TRIES) and not isinstance(
                error, VendorThrottled | StoreUnavailable | WriteConflict
            ):
                self._give_up(task)
                return Done(code=f"{code}_given_up", text=text)
        except RetryError as second:
            return Done(delay=FIRST_DELAY, code=second.code, text=str(second))
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(receives - 1, 10)) * (0.5 + self.chance() / 2)
        return Done(delay=min(max(asked or 0.0, delay), 3_600.0), code=code, text=text)

    def _give_up(self, task: SyncTask) -> None:
        """Let the account's other tasks go on. Nothing is lost: the cursor has not moved, so the next poll begins there."""
        if isinstance(task, HistoryTask):
            self._give_up_window(task)
        else:
            self._close(task)

    def _release(self, connection: str) -> None:
        try:
            self.store.release(connection, self.owner)
        except RetryError:
            return  # it ends by itself

    def _connection(self, connection: str) -> Connection | None:
        found = next((one for one in self.connections.all() if one.id == connection), None)
        return found if isinstance(found, Connection) else None


class _Account:
    """One account for the time of a task."""

    def __init__(self, poll: Poll, connection: Connection, remaining: Remaining) -> None:
        self._poll = poll
        self._remaining = remaining
        self.connection = connection
        self.told_since: datetime | None = None
        # A password that was replaced a moment ago must not be the wrong one that is tried again, and stops the sync once more.
        self.settings = account_settings(connection, poll.secrets, fresh=True)
        self.streams = tuple(stream for stream in KINDS if stream in self.settings.streams)
        self.api = Konnektive(
            vendor=poll.vendor,
            settings=self.settings,
            wait=lambda seconds: poll.sleep(poll.clock.to_wait(seconds)),
            now=poll.clock.now,
            called_at=poll.called.get(connection.id),
        )

    def walker(self, seconds: float) -> Walker:
        began = self._poll.clock.now()
        return Walker(
            api=self.api,
            states=self._poll.states,
            queue=self._poll.ingest,
            reading=self._reading,
            enough=lambda: self.enough(began, seconds),
            chance=self._poll.chance,
        )

    def enough(self, began: datetime, seconds: float) -> bool:
        """Whether so many seconds are over, or the function's time is nearly."""
        return (self._poll.clock.now() - began).total_seconds() >= seconds or self._remaining() < CLOSING_SECONDS

    def _reading(self) -> Reading:
        return Reading(self.connection.id, self.settings, self._poll.clock.now(), self.connection.created_at, self.told_since, self._poll.key())


def account_settings(connection: Connection, secrets: Secrets, *, fresh: bool = False) -> KonnektiveSettings:
    """The settings with their credentials; `fresh`: as they are at this moment. Raises `CredentialMissing`, `SettingsInvalid`, `StoreUnavailable`."""
    try:
        secret: Any = json.loads(secrets.get(f"connections/{connection.id}", fresh=fresh))
    except ValueError:
        secret = None
    if not isinstance(secret, dict):
        raise SettingsInvalid(f"the secret of {connection.id} is not a JSON object", field="secret")
    if "password" not in secret:
        raise CredentialMissing(f"no password is stored for {connection.id}")
    return settings_of({**connection.settings, **secret})


class _Progress:
    """The walk through the past, a task's worth of it; kept after every window."""

    def __init__(self, poll: Poll, account: _Account, kept: History, revision: int) -> None:
        self._poll = poll
        self._account = account
        self._history = kept
        self._revision = revision
        self._began = poll.clock.now()
        self._kept_at = self._began
        self._calls = 0
        self.counts: Counter[str] = Counter()

    def get_on(self) -> None:
        walker = self._account.walker(PAGES_SECONDS)
        while not (self._walk(walker) if history.is_planned(self._history) else self._plan()):
            if self._enough():
                self._keep(step=self._history.step + 1)
                self._send_successor()
                return
        self._finish()

    def _plan(self) -> bool:
        """Ask for one stream's totals."""
        kept = self._history
        stream = next(Stream(stream) for stream in kept.streams if stream not in kept.months)
        first = kept.first_day or days.FIRST_DAY
        by = history.RECHECK_BY if kept.reason == "recheck" else history.BY
        asked = history.ask_on(self._account.api, stream, kept.asked, first=first, last=kept.last_day, by=by, enough=self._enough)
        if history.is_asked(asked, first=first):
            planned = {**kept.months, stream: asked.months}
            lost = [f"{asked.missing} {stream} that are in no month"] if asked.missing > 0 else []
            failed = [text for text in kept.failed if text != _THE_PLAN]
            self._keep(months=planned, asked=None, counted=history.counted_of(planned), failed=[*failed, *lost])
        else:
            self._keep(asked=asked)
        return False

    def _enough(self) -> bool:
        return self._account.enough(self._began, HISTORY_SECONDS)

    def _walk(self, walker: Walker) -> bool:
        """Walk one window; True: there is none left."""
        window = _nth(history.windows(self._history), self._history.position)
        if window is None and self._history.again is None:
            # What failed in the middle may not fail at the end.
            again = [text for text in self._history.failed if Window.of(text, history.BY) is not None]
            self._keep(again=again, failed=[text for text in self._history.failed if text not in again])
            return False
        if window is None:
            return True
        if window.stream not in self._account.streams:
            # Left out of the connection since the walk began.
            self._keep(position=self._history.position + 1, page=1, met=0, most=0)
            return False
        today = days.today(self._poll.clock.now(), self._account.settings.time_zone)
        walked = walker.walk(window, page=self._history.page, finished=window.last < today)
        walked.total = max(walked.total or 0, self._history.most)
        is_whole = walked.next_page is None
        met = self._history.met + walked.rows
        failed = self._history.failed
        short = window.last < today and walked.is_short_of(self._history.met)
        if short:
            self._poll._tell_of(self._account.connection.id, _short(window, met, walked.total), HISTORY)
            failed = list(dict.fromkeys([*failed, str(window)]))
        before = self._history.counted.get(window.stream, Counted())
        after = msgspec.structs.replace(
            before,
            days=before.days + (window.days if is_whole and not short else 0),
            # What is short comes again, and is counted then.
            rows=before.rows - self._history.met if short else before.rows + walked.rows,
            events=before.events + walked.events,
            unreadable=before.unreadable + walked.unreadable,
        )
        self._keep(
            position=self._history.position + is_whole,
            page=walked.next_page or 1,
            met=0 if is_whole else met,
            most=0 if is_whole else walked.total,
            counted={**self._history.counted, window.stream: after},
            failed=failed,
        )
        self.counts.update(rows=walked.rows, events=walked.events, unreadable=walked.unreadable, windows=1)
        return False

    def _finish(self) -> None:
        """All is walked: say so, then keep that it is said; a crash between the two says it again, under the same id."""
        kept = self._history
        if kept.reason != "recheck":
            counts = {stream: counted.rows for stream, counted in kept.counted.items()}
            self._poll.ingest.send([OutMessage(body=self._completed(counts))])
            lines = [f"{stream}: {rows} records" for stream, rows in counts.items()] + [
                f"not read: {window}" for window in dict.fromkeys([*kept.failed, *kept.unread])
            ]
            label = self._account.connection.label
            self._poll.notices.tell(
                f"The first sync of {label} is complete" if kept.reason == "initial" else f"The sync of {label} is complete", "\n".join(lines)
            )
        self._keep(finished_at=self._poll.clock.now())
        self.counts["completed"] += 1

    def _completed(self, counts: dict[str, int]) -> str:
        connection, now = self._account.connection.id, self._poll.clock.now()
        event: Event = Track(
            source=connection,
            message_id=f"konnektive:{connection}:sync:{self._history.generation}:completed:1",
            timestamp=self._history.started_at,
            received_at=now,
            event="Initial Sync Completed" if self._history.reason == "initial" else "Sync Completed",
            properties=dict(counts),
            integrations={"All": False},
        )
        return to_text(IngestMessage(source=connection, received_at=now, events=[event]))

    def _keep(self, **changes: Any) -> None:
        now = self._poll.clock.now()
        kept = self._history
        self._history = msgspec.structs.replace(
            kept,
            touched_at=now,
            busy_seconds=kept.busy_seconds + (now - self._kept_at).total_seconds(),
            calls=kept.calls + self._account.api.calls - self._calls,
            **changes,
        )
        self._poll.store.put_history(self._account.connection.id, self._history, self._revision)
        self._revision += 1
        self._kept_at, self._calls = now, self._account.api.calls

    def _send_successor(self) -> None:
        kept = self._history
        self._poll.tasks.send([message_of(HistoryTask(connection=self._account.connection.id, generation=kept.generation, step=kept.step))])


def _asked_of(task: HintTask) -> Sequence[tuple[Stream, dict[str, str]]]:
    """What to read for a hint: who first, then what they ordered, paid and keep."""
    asked: list[tuple[Stream, dict[str, str]]] = []
    if task.customer_id is not None:
        asked.append((Stream.CUSTOMERS, {"customerId": task.customer_id}))
    if task.order_id is not None:
        asked += [(stream, {"orderId": task.order_id}) for stream in (Stream.ORDERS, Stream.TRANSACTIONS, Stream.PURCHASES)]
    if task.purchase_id is not None:
        asked += [(stream, {"purchaseId": task.purchase_id}) for stream in (Stream.TRANSACTIONS, Stream.PURCHASES)]
    if not asked or (task.order_id is None and task.customer_id is not None):
        asked += [(stream, {"customerId": task.customer_id or ""}) for stream in (Stream.ORDERS, Stream.TRANSACTIONS, Stream.PURCHASES)]
    return asked


def _short(window: Window, met: int, total: int | None) -> str:
    return f"{window} gave {met} of its {total} records, twice"


def _finished_at(live: Live, task: DayTask) -> datetime | None:
    """The newest poll that is over: an older one may end after it."""
    return max(live.finished_at or task.scheduled_at, task.scheduled_at) if task.closes else live.finished_at


def _what(task: SyncTask) -> str:
    """What a task is about, for telling whether it has got over an error."""
    match task:
        case DayTask() | ReferenceTask():
            return str(task.stream)
        case HistoryTask():
            return HISTORY
        case HintTask():
            return "hint"
        case ReconcileTask():
            return "reconcile"


def _nth(found: Any, number: int) -> Window | None:
    return next((window for index, window in enumerate(found) if index == number), None)


def _counts(walked: Walked, account: _Account) -> Counter[str]:
    return Counter(rows=walked.rows, events=walked.events, unreadable=walked.unreadable, calls=account.api.calls)
