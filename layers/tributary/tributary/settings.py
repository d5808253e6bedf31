"""What a shop configures: its account, sources, connections and keys, as CONFIG keeps them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from tributary.conditions import Condition

DestinationType = Literal["kissmetrics"]
ConnectionType = Literal["kissmetrics", "konnektive"]
"""Where events go, and accounts that are asked for them."""
Mode = Literal["live", "paused", "shadow"]


class _Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Stored rows ignore fields of a newer version, so that a roll-back reads them."""


class Account(_Row, frozen=True, kw_only=True):
    """One stack is one business."""

    name: str = ""
    time_zone: str = "UTC"
    reporting_currency: str = "USD"
    alert_email: str = ""
    """Kept for the alerts that are yet to come; the alarms of the stack go to its parameter `AlarmEmail`."""
    report_defaults: dict[str, Any] = {}
    """Parameters of reports, by their names, that count where a question leaves them out: `{"model": "linear"}`."""
    report_fields: list[str] = []
    """The custom fields of contacts that reports may group by: no others come into FACTS."""


class Source(_Row, frozen=True, kw_only=True):
    """Where events come from: one site, app or server. `id` is half of an event's identity."""

    id: str
    label: str
    enabled: bool = True
    linked_connection: str = ""
    """The Konnektive connection whose customers its pages' `seg_cid` names; empty: the only one there is."""
    created_at: datetime


class Connection(_Row, frozen=True, kw_only=True):
    """One account: a destination that events are forwarded to, or one that is asked for them."""

    id: str
    type: ConnectionType
    label: str
    settings: dict[str, Any] = {}
    """Without secrets: those are in the parameter store under `connections/<id>`, as a JSON object of the same keys."""
    secrets: list[str] = []
    """The names of the credentials that are set."""
    enabled: bool = True
    mode: Mode = "live"
    history: bool = False
    """Whether it receives events of a backfill."""
    sources: list[str] = []
    """The sources it takes events from; empty: all."""
    filter: Condition | None = None
    consent_categories: list[str] = []
    consent_default: Literal["send", "withhold"] = "send"
    """What to do with an event that states no preferences, where categories are listed."""
    created_at: datetime


class UnreadableConnection(msgspec.Struct, frozen=True):
    """A connection whose row this release cannot read: of a destination, or with a setting, that only a newer one has. It stands still until it is mended; it
    must not stop the others."""

    id: str


class Key(_Row, frozen=True, kw_only=True):
    """A write key (of a source) or an API key (with scopes). Only its SHA-256 is stored."""

    id: str
    kind: Literal["write", "api"]
    label: str = ""
    source: str | None = None
    source_enabled: bool = True
    """Of a write key: whether its source takes events. It is written with the source, so that intake needs one read."""
    scopes: list[str] = []
    """`<resource>:<verb>`, as `events:read`; `*` for all."""
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
