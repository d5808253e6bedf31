"""The tracking API as a table, for `docs/openapi.yaml` alone: what answers it is `intake`, and `docs/tracking-api.md` tells it to people."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tributary.events import EVENT_TYPES

_Id = Annotated[str, Meta(description="Needed: this, `anonymousId`, or both.")]
_Object = dict[str, Any]


class TrackingCall(msgspec.Struct, kw_only=True, rename="camel"):
    """One call of the Segment spec; fields beyond these are ignored."""

    type: Annotated[str, Meta(description=f"One of {', '.join(EVENT_TYPES)}; needed in a batch.")] | UnsetType = UNSET
    message_id: Annotated[str, Meta(max_length=100, description="Half of the event's identity; derived from the content if left out.")] | UnsetType = UNSET
    user_id: _Id | UnsetType = UNSET
    anonymous_id: str | UnsetType = UNSET
    event: Annotated[str, Meta(description="Of a track call.")] | UnsetType = UNSET
    name: Annotated[str, Meta(description="Of a page or screen call.")] | UnsetType = UNSET
    category: str | UnsetType = UNSET
    group_id: Annotated[str, Meta(description="Of a group call.")] | UnsetType = UNSET
    previous_id: Annotated[str, Meta(description="Of an alias call.")] | UnsetType = UNSET
    traits: _Object | UnsetType = UNSET
    properties: _Object | UnsetType = UNSET
    context: _Object | UnsetType = UNSET
    integrations: _Object | UnsetType = UNSET
    timestamp: Annotated[str, Meta(description="When it happened, ISO 8601.")] | UnsetType = UNSET
    sent_at: Annotated[str, Meta(description="The sender's clock when it sent: `timestamp` is corrected by it.")] | UnsetType = UNSET
    write_key: Annotated[str, Meta(description="Instead of the header.")] | UnsetType = UNSET


class TrackingBatch(msgspec.Struct, kw_only=True, rename="camel"):
    """Up to 2,500 calls, 500 KB in all, 32 KB each. Fields beside `batch` are the default of each call."""

    batch: list[TrackingCall]
    context: _Object | UnsetType = UNSET
    integrations: _Object | UnsetType = UNSET
    sent_at: str | UnsetType = UNSET
    write_key: str | UnsetType = UNSET


class TrackingRejected(msgspec.Struct, kw_only=True):
    """An item that was refused while the rest was taken."""

    index: int
    code: str
    field: str
    message: str


class TrackingAnswer(msgspec.Struct, kw_only=True):
    """The queue has the events."""

    success: bool
    code: str
    message: str
    accepted: int | UnsetType = UNSET
    rejected: list[TrackingRejected] | UnsetType = UNSET
    ignored: list[Any] | UnsetType = UNSET


class TrackingRefusal(msgspec.Struct, kw_only=True):
    """Why a request was refused, with the keys that Segment's SDKs read."""

    success: bool
    code: str
    message: str
    error: str
    field: str | UnsetType = UNSET


SINGLE: Final[dict[str, str]] = {"identify": "i", "track": "t", "page": "p", "screen": "s", "group": "g", "alias": "a"}
"""A call and the browser's letter for it."""
BATCHES: Final = ("batch", "b", "import")
STATUSES: Final[dict[str, str]] = {
    "200": "The queue has the events; of a batch, each refused item is named.",
    "400": "Not JSON, too large, no write key, or the one event of the request cannot be taken.",
    "401": "The write key is unknown, revoked or expired, its source is disabled, or header and body name different keys.",
    "429": "More events than this key may send; `Retry-After` says when to go on.",
    "503": "The events could not be stored: send them again after `Retry-After`.",
}
