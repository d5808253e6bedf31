"""What a person says when settings are made or changed: the bodies of the control API and the tables of `config.toml`, one type for both.

Unknown fields are refused. In a change, a field that is left out stays as it is. Shapes and lengths are checked here, what needs other rows in `operator.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tributary.conditions import Condition
from tributary.settings import ConnectionType, Mode

MAX_LABEL: Final = 100
"""Labels stand in tables and lists."""
MAX_LIST: Final = 100
MAX_REPORT_FIELDS: Final = 20
"""Sources or consent categories of one connection."""

Label = Annotated[str, Meta(min_length=1, max_length=MAX_LABEL, description="How people call it.")]
SourceIds = Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=MAX_LIST, description="The sources it takes events from; empty for all.")]
ConsentCategories = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=MAX_LABEL)]],
    Meta(max_length=MAX_LIST, description="Categories of `context.consent.categoryPreferences` that must each be true for an event to go."),
]
ConsentDefault = Annotated[Literal["send", "withhold"], Meta(description="What to do with an event that states no preferences, where categories are listed.")]
Settings = Annotated[
    dict[str, Any],
    Meta(description="The destination's settings, credentials included; credentials go to the parameter store and are never shown again."),
]
Enabled = Annotated[bool, Meta(description="Whether it takes events.")]
History = Annotated[bool, Meta(description="Whether it receives the events of a backfill.")]
ModeText = Annotated[Mode, Meta(description="`live`; `paused`: events wait; `shadow`: requests are built and kept, none is sent.")]
Filter = Annotated[Condition | None, Meta(description="Which events it takes; null for all.")]
LinkedConnection = Annotated[
    str,
    Meta(max_length=64, description="The Konnektive connection whose customers `seg_cid` in its pages' addresses names; empty for the only one there is."),
]
Aware = Annotated[datetime, Meta(tz=True)]


class _Draft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class AccountChange(_Draft, frozen=True, kw_only=True):
    """A change of the account's settings."""

    name: Annotated[str, Meta(max_length=MAX_LABEL, description="The business.")] | UnsetType = UNSET
    time_zone: Annotated[str, Meta(max_length=64, description="An IANA time zone, as `America/New_York`: where a report's day begins.")] | UnsetType = UNSET
    reporting_currency: Annotated[str, Meta(max_length=3, description="An ISO 4217 code, as `USD`.")] | UnsetType = UNSET
    alert_email: Annotated[str, Meta(max_length=254, description="Who is told of trouble; empty for nobody.")] | UnsetType = UNSET
    report_defaults: (
        Annotated[dict[str, Any], Meta(description="Parameters of reports that count where a question leaves them out, as `model` or `lookback`.")] | UnsetType
    ) = UNSET
    report_fields: (
        Annotated[
            list[Annotated[str, Meta(min_length=1, max_length=MAX_LABEL)]],
            Meta(max_length=MAX_REPORT_FIELDS, description="The custom fields of contacts that reports may group by, as `plan`; no others leave the contacts."),
        ]
        | UnsetType
    ) = UNSET


class NewSource(_Draft, frozen=True, kw_only=True):
    """A source to make."""

    label: Label
    enabled: Enabled = True
    linked_connection: LinkedConnection = ""


class SourceChange(_Draft, frozen=True, kw_only=True):
    """A change of a source."""

    label: Label | UnsetType = UNSET
    enabled: Enabled | UnsetType = UNSET
    linked_connection: LinkedConnection | UnsetType = UNSET


class KeyRotation(_Draft, frozen=True, kw_only=True):
    """How to replace a source's write key."""

    keep_old_for_s: Annotated[
        int, Meta(ge=0, le=30 * 86_400, description="Seconds for which the keys until now still work, so that senders can be moved; 0 to refuse them at once.")
    ] = 86_400


class NewConnection(_Draft, frozen=True, kw_only=True):
    """A connection to make."""

    type: Annotated[ConnectionType, Meta(description="A destination, or the source `konnektive`.")]
    label: Label
    settings: Settings = {}
    enabled: Enabled = True
    mode: ModeText = "live"
    history: History = False
    sources: SourceIds = []
    filter: Filter = None
    consent_categories: ConsentCategories = []
    consent_default: ConsentDefault = "send"


class ConnectionChange(_Draft, frozen=True, kw_only=True):
    """A change of a connection. Its `settings` are merged: a key with null is removed, a key left out stays. Everything else is replaced."""

    label: Label | UnsetType = UNSET
    settings: Settings | UnsetType = UNSET
    enabled: Enabled | UnsetType = UNSET
    mode: ModeText | UnsetType = UNSET
    history: History | UnsetType = UNSET
    sources: SourceIds | UnsetType = UNSET
    filter: Filter | UnsetType = UNSET
    consent_categories: ConsentCategories | UnsetType = UNSET
    consent_default: ConsentDefault | UnsetType = UNSET


class NewKey(_Draft, frozen=True, kw_only=True):
    """An API key to make."""

    label: Label
    scopes: Annotated[
        list[Annotated[str, Meta(max_length=64)]],
        Meta(min_length=1, max_length=MAX_LIST, description="What it may do, each `<resource>:<verb>`; `*` for everything."),
    ]
    expires_at: Annotated[Aware | None, Meta(description="When it stops working; null for never.")] = None
