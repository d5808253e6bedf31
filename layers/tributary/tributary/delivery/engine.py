"""Delivering, written once for all destinations.

A batch holds messages of several people. Each person's (each FIFO group's) are sent one after another, the groups side by side; the first message that has to
wait takes every later one of its group back to the queue with it, so that order holds and nobody waits for somebody else.

What happens next to a message is what its error says (`errors.py`): retried with growing delays, parked with its reason, or halted with its connection.
Whatever is not acknowledged comes again, and is sent again to the byte: at least once, in order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec

from tributary.clock import Clock
from tributary.delivery import age
from tributary.delivery.batch import Handled, Outcome, Received, Report, by_group
from tributary.delivery.credentials import Credentials, placeholders
from tributary.delivery.gate import Admission, Gate, OpenGate
from tributary.delivery.policy import LONGEST_VISIBILITY, Policy, Verdict
from tributary.delivery.request_shape import shape
from tributary.errors import (
    ConnectionDeleted,
    ConnectionUnreadable,
    CredentialRefused,
    DeadlineNear,
    HaltError,
    ParkError,
    QueueExpiryNear,
    RetryError,
    StoreUnavailable,
    TooOld,
    Unexpected,
    UnreadableMessage,
    VendorUnavailable,
    place_of,
)
from tributary.identity.digests import Digests
from tributary.identity.identifiers import identifiers_of
from tributary.log_codec import key_of
from tributary.messages import DeliveryMessage, delivery_decoder
from tributary.ports import (
    Attempt,
    Attempts,
    Connections,
    Destination,
    Parked,
    Parking,
    PoisonRecords,
    Secrets,
    ShadowStore,
    Suppressions,
    Vendor,
    VendorRequest,
    Visibility,
)
from tributary.settings import Connection, UnreadableConnection

Remaining = Callable[[], float]
"""Seconds, by the machine's clock, until the function is stopped."""


def _unwatched(_handled: Handled) -> None:
    """Nobody is told."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The deliveries of one destination type. `chance`: random numbers from 0 to 1. `watch`: told what became of each message, in the thread of its group; of
    those that go back behind another, it hears through that one alone."""

    destination: Destination
    vendor: Vendor
    connections: Connections
    secrets: Secrets
    suppressions: Suppressions
    digests: Digests
    attempts: Attempts
    parking: Parking
    poison: PoisonRecords
    shadow: ShadowStore
    visibility: Visibility
    clock: Clock
    chance: Callable[[], float]
    policy: Policy = field(default_factory=Policy)
    gate: Gate = field(default_factory=OpenGate)
    watch: Callable[[Handled], None] = _unwatched
    _halts: dict[str, tuple[datetime, str]] = field(default_factory=dict, init=False)
    """Connections that this sandbox saw halted: when last, and why."""

    def handle(self, received: Sequence[Received], *, remaining: Remaining) -> Report:
        """Deliver a batch. An exception from here hands the whole batch back: nothing is lost, and what was sent is sent again."""
        groups = by_group(received)
        try:
            batch = self._look_up(received, remaining)
        except StoreUnavailable as error:
            return Report([one for group in groups for one in self._hand_back(group, self._after_store_failed(_Progress(group[0], None), error))])
        if len(groups) < 2:
            return Report([one for group in groups for one in self._deliver_group(group, batch)])
        with ThreadPoolExecutor(max_workers=len(groups)) as threads:
            # Each in a copy of the caller's context, so that what is kept there (a logger's keys) is known in the threads too.
            running = [threads.submit(copy_context().run, self._deliver_group, group, batch) for group in groups]
        return Report([one for group in running for one in group.result()])

    def _look_up(self, received: Sequence[Received], remaining: Remaining) -> _Batch:
        """What the whole batch needs: one read of the connections, one of the erased people."""
        readable: dict[str, DeliveryMessage] = {}
        for message in received:
            with suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
                readable[message.message_id] = delivery_decoder.decode(message.body)
        named = {message_id: {self.digests.of(one) for one in identifiers_of(message.event)} for message_id, message in readable.items()}
        everyone: set[str] = set().union(*named.values())
        erased = self.suppressions.among(everyone) if everyone else set()
        return _Batch(
            readable=readable,
            suppressed={message_id for message_id, digests in named.items() if digests & erased},
            connections={connection.id: connection for connection in self.connections.all()},
            credentials=Credentials(self.secrets, self.destination),
            remaining=remaining,
        )

    # ---------------------------------------------------------------- a group

    def _deliver_group(self, group: Sequence[Received], batch: _Batch) -> list[Handled]:
        """One person's messages in order, up to the first that has to wait."""
        done: list[Handled] = []
        for place, message in enumerate(group):
            handled = self._deliver(message, batch)
            if self._holds_back(handled):
                return [*done, *self._hand_back(group[place:], handled)]
            self.watch(handled)
            done.append(handled)
        return done

    def _holds_back(self, handled: Handled) -> bool:
        """Whether the rest of the group has to wait for this one."""
        return handled.back_in is not None

    def _hand_back(self, group: Sequence[Received], head: Handled) -> list[Handled]:
        """Give a group back to the queue from its head on: first the rest, to be seen at once, then the head, after its delay.

        A group stays locked while any message of it is in flight. So the rest cannot be received before the head is, and would keep the head locked in for the
        queue's whole visibility timeout if it were still in flight when the head's delay is over.
        """
        rest = group[1:]
        rest_set = self._show_in(0, rest)
        head_set = self._show_in(head.back_in or 0, group[:1])
        head = replace(head, behind=len(rest), delay_set=rest_set and head_set)
        self.watch(head)
        return [head, *(Handled(message=message, outcome=Outcome.NOT_TRIED, code="behind_earlier", back_in=0, connection=head.connection) for message in rest)]

    def _show_in(self, seconds: float, messages: Sequence[Received]) -> bool:
        """Whether the queue took the delay. If not, they stay hidden until its own visibility timeout, and lock their group for as long: late, but in order."""
        if not messages:
            return True
        try:
            self.visibility.change([message.receipt for message in messages], min(math.ceil(self.clock.to_wait(seconds)), LONGEST_VISIBILITY))
        except StoreUnavailable:
            return False
        return True

    # ---------------------------------------------------------------- a message

    def _deliver(self, message: Received, batch: _Batch) -> Handled:
        """Everything for one message, and the decision about it. Raises nothing that is this message's fault."""
        progress = _Progress(message, batch.readable.get(message.message_id))
        try:
            handled = self._try(progress, batch)
        except StoreUnavailable as error:
            handled = self._after_store_failed(progress, error)
        return self._park_before_the_queue_drops_it(progress, handled)

    def _park_before_the_queue_drops_it(self, progress: _Progress, handled: Handled) -> Handled:
        """What was tried in vain, or could not be, and would wait on while its time in the queue runs out; not what only lacked this function's time."""
        soon = self.clock.now() - progress.message.sent_at >= self.policy.kept_in_queue
        if not soon or handled.back_in is None or handled.code == DeadlineNear.code or progress.delivery is None:
            return handled
        tried_in_vain = progress.tried and handled.outcome is not Outcome.RETRIED
        error = QueueExpiryNear(f"waited for nearly as long as the queue keeps a message; the last: {handled.code}")
        try:
            return self._park(progress, error, attempts=progress.failures + tried_in_vain)
        except StoreUnavailable:
            return handled

    def _try(self, progress: _Progress, batch: _Batch) -> Handled:
        try:
            return self._decide(progress, batch)
        except DeadlineNear as error:
            return progress.back(Outcome.NOT_TRIED, error.code, 0)
        except _NotAdmitted as refusal:
            return self._wait(progress, Outcome.NOT_TRIED, refusal.admission.code, refusal.admission.wait)
        except HaltError as error:
            return self._halt(progress, error)
        except ParkError as error:
            return self._park(progress, error, attempts=progress.failures + progress.tried)
        except StoreUnavailable:
            raise
        except RetryError as error:
            return self._retry(progress, error)
        except Exception as error:  # ours, and of this message alone: the others of the batch must not suffer for it
            return self._retry(progress, Unexpected(place_of(error)), where=place_of(error))

    def _decide(self, progress: _Progress, batch: _Batch) -> Handled:
        message = progress.message
        if progress.delivery is None:
            return self._set_aside(progress)
        if message.message_id in batch.suppressed:
            return progress.done(Outcome.SUPPRESSED)
        connection = batch.connections.get(progress.delivery.connection)
        if connection is None:
            return self._without_connection(progress)
        progress.attempt = self._earlier_attempt(progress)
        if isinstance(connection, UnreadableConnection):
            raise ConnectionUnreadable("this release cannot read the connection's row")
        if not connection.enabled:
            return self._wait(progress, Outcome.NOT_TRIED, "connection_disabled", self.policy.while_waiting(message.receive_count))
        if connection.mode == "paused":
            return self._wait(progress, Outcome.NOT_TRIED, "connection_paused", self.policy.while_waiting(message.receive_count))
        if connection.mode == "shadow":
            return self._keep_shadow(progress, connection)
        code = self._halted_lately(connection)
        if code is not None:
            return self._wait(progress, Outcome.HALTED, code, self.policy.while_waiting(message.receive_count))
        self._send_event(progress, connection, batch)
        self._forget(progress)
        return progress.done(Outcome.DELIVERED if progress.tried else Outcome.NOTHING_TO_SEND)

    def _send_event(self, progress: _Progress, connection: Connection, batch: _Batch) -> None:
        """All requests of the event; once more from the first with a renewed credential, if the store has another than the one that was refused."""
        settings = batch.credentials.settings(connection)
        try:
            self._send_requests(progress, connection, settings, batch.remaining)
        except CredentialRefused:
            renewed = batch.credentials.after_refusal(connection, settings)
            if renewed is None:
                raise
            self._send_requests(progress, connection, renewed, batch.remaining)

    def _send_requests(self, progress: _Progress, connection: Connection, settings: Mapping[str, Any], remaining: Remaining) -> None:
        assert progress.delivery is not None
        for request in self.destination.build(progress.delivery.event, settings):
            if remaining() < self.policy.answer + self.policy.closing:
                if progress.tried:
                    # An event of so many or so slow requests that a whole invocation is too short would come back for ever: this counts as a failure.
                    raise VendorUnavailable("the function's time ended between two requests of the event")
                raise DeadlineNear("no time left to wait for an answer")
            admission = self.gate.admit(connection)
            if not admission.ok:
                raise _NotAdmitted(admission)
            progress.request, progress.status, progress.tried = request, None, True
            progress.notes.update(dict.fromkeys(request.notes))
            answer = self.vendor.send(request, timeout=self.policy.answer)
            progress.status = answer.status
            self.destination.check(answer)
            progress.accepted += 1

    # ---------------------------------------------------------------- what follows

    def _set_aside(self, progress: _Progress) -> Handled:
        """A message of ours that does not parse. Its body may hold anything, so it is kept beside the log."""
        message = progress.message
        self.poison.park(f"forward_{self.destination.type}", message.message_id, UnreadableMessage.code, message.body.encode(errors="surrogatepass"))
        return progress.done(Outcome.PARKED, UnreadableMessage.code)

    def _without_connection(self, progress: _Progress) -> Handled:
        """The settings in hand may be older than the connection; a message that is not so young has lost its connection for good."""
        if (self.clock.now() - progress.message.sent_at).total_seconds() < self.policy.settling:
            return progress.back(Outcome.NOT_TRIED, "connection_unknown", self.policy.settling)
        raise ConnectionDeleted("the connection does not exist any more")

    def _keep_shadow(self, progress: _Progress, connection: Connection) -> Handled:
        assert progress.delivery is not None
        event = progress.delivery.event
        requests = self.destination.build(event, placeholders(connection, self.destination))
        if not requests:
            return progress.done(Outcome.NOTHING_TO_SEND)
        self.shadow.keep(connection.id, event, requests)
        self._forget(progress)
        return progress.done(Outcome.SHADOWED)

    def _halt(self, progress: _Progress, error: HaltError) -> Handled:
        assert progress.delivery is not None
        self._halts[progress.delivery.connection] = (self.clock.now(), error.code)
        return self._wait(progress, Outcome.HALTED, error.code, self.policy.while_waiting(progress.message.receive_count))

    def _halted_lately(self, connection: Connection) -> str | None:
        at, code = self._halts.get(connection.id, (None, None))
        return code if at is not None and self.clock.seconds_since(at) < self.policy.halt_memory else None

    def _wait(self, progress: _Progress, outcome: Outcome, code: str, seconds: float) -> Handled:
        """Not to be sent now, through no fault of the vendor or the event: the time until the next look is not part of its age."""
        before = progress.attempt
        if before is not None and before.last_counted:
            after = age.while_waiting(before, at=self.clock.now(), code=code, since=self.clock.seconds_since)
            self._remember(progress, after)
        return progress.back(outcome, code, seconds)

    def _retry(self, progress: _Progress, error: RetryError, *, where: str | None = None) -> Handled:
        now, since = self.clock.now(), self.clock.seconds_since
        attempt = age.after_failure(progress.attempt, at=now, counts=error.counts, code=error.code, status=progress.status, since=since)
        old = age.age(attempt, since)
        if error.counts and self.policy.verdict(old) is Verdict.PARK:
            reason = f"failed {attempt.count} times, for {old / 3600:.1f} h without the time that does not count; the last: {error.code}, {error}"
            return self._park(progress, TooOld(reason), attempts=attempt.count)
        self._remember(progress, attempt)
        seconds = self.policy.after_failure(attempt.count, progress.message.receive_count, counts=error.counts, asked=error.retry_after, chance=self.chance())
        return replace(progress.back(Outcome.RETRIED, error.code, seconds), where=where)

    def _after_store_failed(self, progress: _Progress, error: StoreUnavailable) -> Handled:
        """One of our own stores failed: the message comes again, and its vendor is not to blame."""
        receives = progress.message.receive_count
        seconds = self.policy.after_failure(receives, receives, counts=error.counts, asked=None, chance=self.chance())
        return self._wait(progress, Outcome.RETRIED, error.code, seconds)

    def _park(self, progress: _Progress, error: ParkError, *, attempts: int) -> Handled:
        """Keep it for a person; its group goes on without it."""
        assert progress.delivery is not None
        event = progress.delivery.event
        self.parking.park(
            Parked(
                connection=progress.delivery.connection,
                source=event.source,
                message_id=event.message_id,
                event_key=key_of(event),
                received_at=event.received_at,
                index=event.index,
                parked_at=self.clock.now(),
                code=error.code,
                reason=str(error),
                request=shape(progress.request) if progress.request is not None else None,
                attempts=attempts,
                last_status=progress.status,
            )
        )
        self._forget(progress)
        return replace(progress.done(Outcome.PARKED, error.code), attempts=attempts)

    # ---------------------------------------------------------------- the attempt row

    def _earlier_attempt(self, progress: _Progress) -> Attempt | None:
        """The failures so far; not asked for at the first receive. A row from before the message was sent is that of an earlier delivery of the same event."""
        if progress.message.receive_count <= 1 or progress.identity is None:
            return None
        attempt = self.attempts.get(*progress.identity)
        return attempt if attempt is not None and attempt.last_at >= progress.message.sent_at else None

    def _remember(self, progress: _Progress, attempt: Attempt) -> None:
        """Best effort: without the row the age starts later, and nothing is lost."""
        progress.attempt = attempt
        if progress.identity is not None:
            with suppress(StoreUnavailable):
                self.attempts.put(*progress.identity, attempt)

    def _forget(self, progress: _Progress) -> None:
        """Best effort: the row has a time to live."""
        if progress.attempt is not None and progress.identity is not None:
            with suppress(StoreUnavailable):
                self.attempts.delete(*progress.identity)


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """What was looked up for a batch. Messages by the queue's ids."""

    readable: Mapping[str, DeliveryMessage]
    suppressed: Set[str]
    connections: Mapping[str, Connection | UnreadableConnection]
    credentials: Credentials
    remaining: Remaining


@dataclass
class _Progress:
    """How far one message has come in this invocation."""

    message: Received
    delivery: DeliveryMessage | None
    """None: unreadable."""
    attempt: Attempt | None = None
    request: VendorRequest | None = None
    """The last that was sent."""
    status: int | None = None
    """The answer to it."""
    tried: bool = False
    accepted: int = 0
    notes: dict[str, None] = field(default_factory=dict)
    """Each once, in order."""

    @property
    def identity(self) -> tuple[str, str] | None:
        """The attempt row's."""
        if self.delivery is None:
            return None
        return self.delivery.connection, f"{self.delivery.event.source}#{self.delivery.event.message_id}"

    @property
    def failures(self) -> int:
        return self.attempt.count if self.attempt is not None else 0

    def done(self, outcome: Outcome, code: str | None = None) -> Handled:
        """Acknowledged."""
        return self._handled(outcome, code, None)

    def back(self, outcome: Outcome, code: str, seconds: float) -> Handled:
        """Handed back."""
        return self._handled(outcome, code, seconds)

    def _handled(self, outcome: Outcome, code: str | None, back_in: float | None) -> Handled:
        event = self.delivery.event if self.delivery is not None else None
        return Handled(
            message=self.message,
            outcome=outcome,
            code=code,
            back_in=back_in,
            connection=self.delivery.connection if self.delivery is not None else None,
            source=event.source if event is not None else None,
            event_id=event.message_id if event is not None else None,
            event_type=event.type if event is not None else None,
            requests=self.accepted,
            attempts=self.failures,
            status=self.status,
            notes=tuple(self.notes),
        )


class _NotAdmitted(Exception):
    """The gate is closed."""

    def __init__(self, admission: Admission) -> None:
        super().__init__(admission.code)
        self.admission = admission
