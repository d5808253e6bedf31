"""Ingest queue → the log: each event once, first wins; the stream of the log's inserts drives all that follows.

A message is done when every event of it is in the log, or refused with its reason in the list of recent events. Whatever fails, the message comes again and
changes nothing twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import msgspec

from tributary.errors import DeadlineNear, RetryError
from tributary.events import Event, Group, Page, Screen, Track, encode
from tributary.identity.digests import Digests
from tributary.identity.identifiers import identifiers_of, link_of
from tributary.log_codec import key_of
from tributary.messages import IngestMessage, Rejected, ingest_decoder
from tributary.ports import EventLog, Feed, FeedEntry, FeedStatus, PoisonRecords, Put, Suppressions

LONGEST_RE_WALK: Final = timedelta(days=35)
"""The deepest that a poller reads again; a retention must exceed it, or an expired event would come back as a new one."""


_LONGEST_BODY: Final = 2_048
"""Characters kept of what was refused, as of what intake refuses."""
PUTS_AT_ONCE: Final = 100
"""Events put between two looks at the time that is left."""
CLOSING_SECONDS: Final = 12.0
"""What a hundred puts of one identifier and the list may take on a slow day. With less than this left, nothing is begun."""

Remaining = Callable[[], float]
"""Seconds until the function is stopped."""


@dataclass(frozen=True)
class Retention:
    """How long page, screen and anonymous events are kept, from receipt. None: for ever."""

    period: timedelta | None = None

    def __post_init__(self) -> None:
        if self.period is not None and self.period <= LONGEST_RE_WALK:
            raise ValueError(f"RETENTION_DAYS: a retention must be 0 or more than {LONGEST_RE_WALK.days} days")

    def expiry_of(self, event: Event) -> datetime | None:
        """When the event may go; None for never."""
        if self.period is None or not _may_expire(event):
            return None
        return event.received_at + self.period

    def refuses(self, event: Event) -> bool:
        """Whether a live event is so old that the log may have forgotten an earlier copy of it."""
        return self.period is not None and event.origin == "live" and _may_expire(event) and event.received_at - _said_to_be_at(event) > self.period


def _said_to_be_at(event: Event) -> datetime:
    """The earlier of the sender's own time and the corrected one: a resend with a new `sentAt` corrects an old event to now."""
    return min(event.timestamp, event.original_timestamp or event.timestamp)


def _may_expire(event: Event) -> bool:
    return isinstance(event, Page | Screen) or link_of(event).is_anonymous


@dataclass
class Outcome:
    """What became of a batch."""

    failed: list[str] = field(default_factory=list)
    """Ids of the queue messages to hand back."""
    counts: Counter[str] = field(default_factory=Counter)
    """Events by what became of them: recorded, repeated, changed, rejected, suppressed, too_old; messages: set_aside, retried."""


class Record:
    """The record service."""

    def __init__(self, *, log: EventLog, feed: Feed, suppressions: Suppressions, digests: Digests, poison: PoisonRecords, retention: Retention) -> None:
        self._log = log
        self._feed = feed
        self._suppressions = suppressions
        self._digests = digests
        self._poison = poison
        self._retention = retention

    def handle(self, messages: Sequence[tuple[str, str]], *, remaining: Remaining) -> Outcome:
        """`messages`: (queue message id, body). What the time does not suffice for is handed back; raises nothing for a single message's sake."""
        outcome = Outcome()
        readable: list[tuple[str, IngestMessage]] = []
        for message_id, body in messages:
            try:
                readable.append((message_id, ingest_decoder.decode(body)))
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                self._set_aside(message_id, body, outcome)
        try:
            erased = self._erased([event for _, message in readable for event in message.events])
        except RetryError:
            for message_id, _ in readable:
                _hand_back(message_id, outcome)
            return outcome
        # The earlier request first: a queue brings them in any order.
        for message_id, message in sorted(readable, key=lambda one: one[1].received_at):
            try:
                self._record(message_id, message, erased, outcome, remaining)
            except RetryError:
                _hand_back(message_id, outcome)
        return outcome

    def _set_aside(self, message_id: str, body: str, outcome: Outcome) -> None:
        try:
            self._poison.park("record", message_id, "unreadable_message", body.encode(errors="surrogatepass"))
            outcome.counts["set_aside"] += 1
        except RetryError:
            _hand_back(message_id, outcome)

    def _erased(self, events: Sequence[Event]) -> set[tuple[str, str]]:
        """Keys of the events that name an erased person: one batched look-up for all."""
        digests = {key_of(event): {self._digests.of(identifier) for identifier in identifiers_of(event)} for event in events}
        named = set().union(*digests.values()) if digests else set()
        suppressed = self._suppressions.among(named) if named else set()
        return {key for key, mine in digests.items() if mine & suppressed} if suppressed else set()

    def _record(self, message_id: str, message: IngestMessage, erased: set[tuple[str, str]], outcome: Outcome, remaining: Remaining) -> None:
        kept: list[Event] = []
        lines = [_rejected_line(message, rejected) for rejected in message.rejected]
        counts: Counter[str] = Counter(rejected=len(message.rejected))
        for event in message.events:
            if key_of(event) in erased:
                counts["suppressed"] += 1
            elif self._retention.refuses(event):
                counts["too_old"] += 1
                reason = "the log's retention has passed since it happened, so an earlier copy may have been forgotten"
                lines.append(_line(event, FeedStatus.REJECTED, "older_than_retention", "timestamp", reason))
            else:
                kept.append(event)
        for event, put in zip(kept, self._put(kept, message_id, remaining), strict=True):
            match put:
                case Put.NEW:
                    counts["recorded"] += 1
                    lines.append(_line(event, FeedStatus.ACCEPTED))
                case Put.REPEATED:
                    counts["repeated"] += 1
                case Put.CHANGED:
                    counts["changed"] += 1
                    reason = "this messageId was recorded before with other content; the first stays"
                    refused = _line(event, FeedStatus.REJECTED, "message_id_reused", "messageId", reason)
                    # Under its key stands the first; what was refused is kept here alone.
                    lines.append(replace(refused, event_key=None, body=encode(event).decode()[:_LONGEST_BODY]))
        if lines:
            self._feed.append(message_id, sorted(lines, key=lambda line: line.index))
        outcome.counts.update(counts)

    def _put(self, events: Sequence[Event], message_id: str, remaining: Remaining) -> list[Put]:
        results: list[Put] = []
        for start in range(0, len(events), PUTS_AT_ONCE):
            if remaining() < CLOSING_SECONDS:
                raise DeadlineNear("the rest of the message is for the next invocation")
            results += self._log.put(events[start : start + PUTS_AT_ONCE], batch=message_id)
        return results


def _hand_back(message_id: str, outcome: Outcome) -> None:
    outcome.failed.append(message_id)
    outcome.counts["retried"] += 1


def _line(event: Event, status: FeedStatus, code: str | None = None, at_fault: str | None = None, reason: str | None = None) -> FeedEntry:
    match event:
        case Track():
            name: str | None = event.event
        case Page() | Screen():
            name = event.name or event.category
        case Group():
            name = event.group_id
        case _:
            name = None
    return FeedEntry(
        source=event.source,
        received_at=event.received_at,
        index=event.index,
        status=status,
        type=event.type,
        name=name,
        message_id=event.message_id,
        code=code,
        field=at_fault,
        message=reason,
        event_key=key_of(event),
    )


def _rejected_line(message: IngestMessage, rejected: Rejected) -> FeedEntry:
    return FeedEntry(
        source=message.source,
        received_at=message.received_at,
        index=rejected.index,
        status=FeedStatus.REJECTED,
        type=rejected.type,
        name=None,
        message_id=rejected.message_id,
        code=rejected.code,
        field=rejected.field,
        message=rejected.message,
        body=rejected.body,
    )
