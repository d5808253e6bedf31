"""The event model: Segment's six calls, as the log keeps them.

An `Event` is what intake, pollers and webhooks produce, what the log stores and what a destination is given. Field names on the wire are Segment's own
(camelCase), followed by the few of ours: `source`, `receivedAt`, `index`, `origin`, `owner`, `sequence`. Times are aware UTC. An event's identity is
(`source`, `message_id`).

https://segment.com/docs/connections/spec/common/
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec

Origin = Literal["live", "history"]
EventType = Literal["identify", "track", "page", "screen", "group", "alias"]
EVENT_TYPES: Final[tuple[EventType, ...]] = ("identify", "track", "page", "screen", "group", "alias")

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""How far past its receipt an event's own time is believed: a clock in 2035 must not freeze a profile."""

Json = dict[str, Any]


class _Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="type", omit_defaults=True, forbid_unknown_fields=True):
    source: str
    message_id: str
    timestamp: datetime
    """When it happened: the sender's clock, corrected."""
    received_at: datetime
    index: int = 0
    """Place within the request it came in: with `received_at` the stamp that orders one identifier's events."""
    origin: Origin = "live"
    user_id: str | None = None
    anonymous_id: str | None = None
    owner: str | None = None
    """The stable identifier that a poller or webhook gives its records (`konnektive#<connection>#<customerId>`); it wins over the ids."""
    sequence: int = 0
    """What the source observed as the order of two states within one second."""
    context: Json = msgspec.field(default_factory=dict)
    integrations: Json = msgspec.field(default_factory=dict)
    original_timestamp: datetime | None = None
    sent_at: datetime | None = None

    @property
    def type(self) -> EventType:
        tag = self.__struct_config__.tag
        assert isinstance(tag, str)
        return tag  # type: ignore[return-value]  # each subclass below declares one of EVENT_TYPES

    @property
    def stamp(self) -> tuple[datetime, int]:
        """What one identifier's events are ordered by: receipt, then place in the request."""
        return (self.received_at, self.index)

    @property
    def version(self) -> tuple[datetime, int, str]:
        """What decides between two writes of the same thing; the later wins."""
        return (min(self.timestamp, self.received_at + CLOCK_TOLERANCE), self.sequence, self.message_id)


class Identify(_Event, frozen=True, kw_only=True, tag="identify"):
    traits: Json = msgspec.field(default_factory=dict)


class Track(_Event, frozen=True, kw_only=True, tag="track"):
    event: str
    properties: Json = msgspec.field(default_factory=dict)


class Page(_Event, frozen=True, kw_only=True, tag="page"):
    name: str | None = None
    category: str | None = None
    properties: Json = msgspec.field(default_factory=dict)


class Screen(_Event, frozen=True, kw_only=True, tag="screen"):
    name: str | None = None
    category: str | None = None
    properties: Json = msgspec.field(default_factory=dict)


class Group(_Event, frozen=True, kw_only=True, tag="group"):
    group_id: str
    traits: Json = msgspec.field(default_factory=dict)


class Alias(_Event, frozen=True, kw_only=True, tag="alias"):
    previous_id: str | None = None


Event = Identify | Track | Page | Screen | Group | Alias

_decoder: Final[msgspec.json.Decoder[Event]] = msgspec.json.Decoder(Event)
_encoder: Final = msgspec.json.Encoder()


def decode(raw: bytes) -> Event:
    """Read one event from its JSON; raises `msgspec.ValidationError` naming the field that does not fit."""
    return _decoder.decode(raw)


def encode(event: Event) -> bytes:
    """The event's JSON, the same bytes for the same event."""
    return _encoder.encode(event)
