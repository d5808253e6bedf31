"""What travels through our own queues. Strict on purpose: a message of an unknown version or with an extra field is a fault of ours, and is parked.

Size: an SQS message holds 1,048,576 bytes and is billed per 64 KiB.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from tributary.events import Event

MAX_MESSAGE_BYTES: Final = 1_048_576 - 48_576
"""SQS's limit (since 2025), less room for attributes."""


class Rejected(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """An item that a source sent and intake refused, kept so that a person sees it with its reason."""

    code: str
    """Segment's discard code, or ours."""
    field: str
    """The field at fault, as a path: `properties`, `batch[3]`, `body`."""
    message: str
    index: int = 0
    type: str | None = None
    message_id: str | None = None
    body: str | None = None
    """The item as sent, as JSON text, at most 2,048 characters of it."""


class IngestMessage(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Ingest queue: what one request or page of a poll brought."""

    schema_version: Literal[1] = 1
    source: str
    received_at: datetime
    events: list[Event] = []
    rejected: list[Rejected] = []


class DeliveryMessage(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Destination queue: one event for one connection."""

    schema_version: Literal[1] = 1
    connection: str
    event: Event


_encoder: Final = msgspec.json.Encoder()
ingest_decoder: Final = msgspec.json.Decoder(IngestMessage)
delivery_decoder: Final = msgspec.json.Decoder(DeliveryMessage)


def to_text(message: IngestMessage | DeliveryMessage | dict[str, Any]) -> str:
    """The message as an SQS body."""
    return sqs_text(_encoder.encode(message)).decode()


def sqs_text(json: bytes) -> bytes:
    """JSON that SQS takes: it refuses U+FFFE and U+FFFF, which JSON text may hold as they are, so these are escaped."""
    if b"\xef\xbf" not in json:
        return json
    return json.replace(b"\xef\xbf\xbe", b"\\ufffe").replace(b"\xef\xbf\xbf", b"\\uffff")
