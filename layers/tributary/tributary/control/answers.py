"""What the control API answers with. No credential has a place in these types, but for the two that give a new key once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tributary.conditions import Condition
from tributary.operator import Versioned
from tributary.ports import FeedEntry, FeedStatus, Parked
from tributary.settings import Account, Connection, ConnectionType, Key, Mode, Source

Version = Annotated[int, Meta(description='How often it was written; send it back as `If-Match: "<version>"` to change only what you have seen.')]
NextCursor = Annotated[str | None, Meta(description="Give it as `cursor` for the next page; null on the last.")]


Moment = Annotated[datetime, Meta(extra_json_schema={"format": "date-time"})]
"""Aware, UTC: written as `2026-03-04T12:00:00Z`."""
LoggedEvent = Annotated[
    msgspec.Raw, Meta(description="The event as the log keeps it; with `bodies=true`, of accepted ones.", extra_json_schema={"type": "object"})
]
SentItem = Annotated[str, Meta(description="The item as it was sent, cut at 2,048 characters; with `bodies=true`, of rejected ones.")]


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Health(_Answer, frozen=True, kw_only=True):
    """The API is alive."""

    status: Literal["ok"] = "ok"
    version: str


class AccountAnswer(_Answer, frozen=True, kw_only=True):
    """The account's settings."""

    name: str
    time_zone: str
    reporting_currency: str
    alert_email: str
    report_defaults: dict[str, Any]
    report_fields: list[str]
    version: Version
    notes: Annotated[list[str], Meta(description="Of a change: what does not reach the past by itself.")] = []


class SourceAnswer(_Answer, frozen=True, kw_only=True):
    """A source."""

    id: str
    label: str
    enabled: bool
    linked_connection: str
    created_at: Moment
    version: Version


class SourcePage(_Answer, frozen=True, kw_only=True):
    """Sources, by id."""

    data: list[SourceAnswer]
    next_cursor: NextCursor


class NewSourceAnswer(_Answer, frozen=True, kw_only=True):
    """A source that was made, and its write key: this once."""

    source: SourceAnswer
    write_key: Annotated[str, Meta(description="Shown this once.")]
    key_id: str


class ConnectionAnswer(_Answer, frozen=True, kw_only=True):
    """A connection, without its credentials."""

    id: str
    type: ConnectionType
    label: str
    settings: Annotated[dict[str, Any], Meta(description="Without the credentials.")]
    secrets: Annotated[list[str], Meta(description="Which credentials are set.")]
    enabled: bool
    mode: Mode
    history: bool
    sources: list[str]
    filter: Condition | None
    consent_categories: list[str]
    consent_default: Literal["send", "withhold"]
    created_at: Moment
    version: Version


class ConnectionPage(_Answer, frozen=True, kw_only=True):
    """Connections, by id."""

    data: list[ConnectionAnswer]
    unreadable: Annotated[list[str], Meta(description="Ids of those that this release cannot read, on every page: a newer one wrote them. They stand still.")]
    next_cursor: NextCursor


class KeyAnswer(_Answer, frozen=True, kw_only=True):
    """A key, without the key itself."""

    id: str
    kind: Literal["write", "api"]
    label: str
    source: Annotated[str | None, Meta(description="Of a write key.")]
    scopes: list[str]
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None


class KeyPage(_Answer, frozen=True, kw_only=True):
    """Keys, by id."""

    data: list[KeyAnswer]
    next_cursor: NextCursor


class NewKeyAnswer(_Answer, frozen=True, kw_only=True):
    """A key that was made: this once."""

    key: KeyAnswer
    secret: Annotated[str, Meta(description="The key itself, shown this once.")]


class EventLine(_Answer, frozen=True, kw_only=True):
    """A line of the list of recent events."""

    source: str
    received_at: Moment
    index: Annotated[int, Meta(description="Its place in the request.")]
    status: FeedStatus
    type: str | None
    name: Annotated[str | None, Meta(description="The track's event, the page's or screen's name, the group's id.")]
    message_id: str | None
    code: Annotated[str | None, Meta(description="Why it was rejected: Segment's discard code, or ours.")]
    field: Annotated[str | None, Meta(description="The field at fault.")]
    message: str | None
    event: LoggedEvent | UnsetType = UNSET
    sent: SentItem | UnsetType = UNSET


class EventPage(_Answer, frozen=True, kw_only=True):
    """Recent events, the newest first."""

    data: list[EventLine]
    next_cursor: NextCursor


class RequestShape(_Answer, frozen=True, kw_only=True):
    """What a request looked like, without what it carried."""

    method: str
    host: str
    path: str
    parameters: list[str]
    bytes: int


class ParkedDelivery(_Answer, frozen=True, kw_only=True):
    """A delivery that waits for a person."""

    source: str
    message_id: str
    received_at: Moment
    parked_at: Moment
    code: str
    reason: str
    attempts: int
    last_status: int | None
    request: RequestShape | None


class ParkedPage(_Answer, frozen=True, kw_only=True):
    """Parked deliveries, by the events' receipt, the oldest first."""

    data: list[ParkedDelivery]
    next_cursor: NextCursor


class ShadowRequest(_Answer, frozen=True, kw_only=True):
    """A request as it would have been sent; a credential is its name in angle brackets."""

    method: str
    url: str
    query: list[tuple[str, str]]
    form: list[tuple[str, str]] | None
    json: Any
    headers: dict[str, str]
    notes: Annotated[list[str], Meta(description="What a person should know of it although it would be sent.")] = []


class ShadowEntry(_Answer, frozen=True, kw_only=True):
    """An event, and what would have been sent for it."""

    source: str
    message_id: str
    type: str
    received_at: Moment
    requests: list[ShadowRequest]


class ShadowPage(_Answer, frozen=True, kw_only=True):
    """What a shadow connection would have sent, by the events' receipt, the oldest first."""

    data: list[ShadowEntry]
    next_cursor: NextCursor


_IN_FACTS: Final = ("report_fields", "reporting_currency")
"""Settings that facts of contacts are told with."""


def account_answer(account: Versioned[Account], before: Account | None = None) -> AccountAnswer:
    """`before`: what was changed."""
    changed = [] if before is None else [name for name in _IN_FACTS if getattr(before, name) != getattr(account.value, name)]
    notes = [f"{name} reaches what contacts hold already with their next change; to have it everywhere: tributary.cli rebuild run" for name in changed]
    return AccountAnswer(**msgspec.structs.asdict(account.value), version=account.version, notes=notes)


def source_answer(source: Versioned[Source]) -> SourceAnswer:
    return SourceAnswer(**msgspec.structs.asdict(source.value), version=source.version)


def connection_answer(connection: Versioned[Connection]) -> ConnectionAnswer:
    return ConnectionAnswer(**msgspec.structs.asdict(connection.value), version=connection.version)


def key_answer(key: Key) -> KeyAnswer:
    return KeyAnswer(
        id=key.id,
        kind=key.kind,
        label=key.label,
        source=key.source,
        scopes=key.scopes,
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
    )


def event_line(entry: FeedEntry, *, bodies: bool) -> EventLine:
    """`bodies`: whether the caller may see what was sent."""
    accepted = entry.status is FeedStatus.ACCEPTED
    return EventLine(
        source=entry.source,
        received_at=entry.received_at,
        index=entry.index,
        status=entry.status,
        type=entry.type,
        name=entry.name,
        message_id=entry.message_id,
        code=entry.code,
        field=entry.field,
        message=entry.message,
        event=msgspec.Raw(entry.body.encode()) if bodies and accepted and entry.body is not None else UNSET,
        sent=entry.body if bodies and not accepted and entry.body is not None else UNSET,
    )


def parked_delivery(parked: Parked) -> ParkedDelivery:
    """Without the place in the log: it names a person."""
    return ParkedDelivery(
        source=parked.source,
        message_id=parked.message_id,
        received_at=parked.received_at,
        parked_at=parked.parked_at,
        code=parked.code,
        reason=parked.reason,
        attempts=parked.attempts,
        last_status=parked.last_status,
        request=None if parked.request is None else msgspec.convert(dict(parked.request), RequestShape),
    )


def shadow_entry(kept: Mapping[str, Any]) -> ShadowEntry:
    return msgspec.convert({**kept, "message_id": kept["messageId"], "received_at": kept["receivedAt"]}, ShadowEntry)
