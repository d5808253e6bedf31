"""Each function's environment, one frozen dataclass a function. The template's variables are exactly these fields in upper case; a test compares them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Self


class EnvironmentIncomplete(Exception):
    """A variable that the function needs is not set."""


class _Environment:
    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Raises `EnvironmentIncomplete` naming the variable that is missing."""
        values: dict[str, str] = {}
        for field in fields(cls):  # type: ignore[arg-type]  # every subclass is a dataclass
            name = field.name.upper()
            if name in environment:
                values[field.name] = environment[name]
            elif field.default is MISSING:
                raise EnvironmentIncomplete(f"environment variable {name} is not set")
        return cls(**values)


@dataclass(frozen=True)
class IntakeEnv(_Environment):
    config_table: str
    ingest_queue_url: str
    unknown_key: str
    """`refuse` (401) or `accept` (Segment's silent 200)."""
    events_per_second: str
    """Of one write key, in one sandbox."""


@dataclass(frozen=True)
class RecordEnv(_Environment):
    events_table: str
    config_table: str
    secrets_prefix: str
    retention_days: str
    """0: the log is kept for ever."""


@dataclass(frozen=True)
class FanOutEnv(_Environment):
    events_table: str
    config_table: str
    kissmetrics_queue_url: str


@dataclass(frozen=True)
class ResolveEnv(_Environment):
    events_table: str
    contacts_table: str
    config_table: str
    secrets_prefix: str
    facts_queue_url: str


@dataclass(frozen=True)
class ContactFactsEnv(_Environment):
    events_table: str
    config_table: str
    secrets_prefix: str
    facts_queue_url: str


@dataclass(frozen=True)
class WriteFactsEnv(_Environment):
    events_table: str
    config_table: str
    facts_bucket: str


@dataclass(frozen=True)
class CompactFactsEnv(_Environment):
    config_table: str
    facts_bucket: str
    memory_mb: str
    """The function's memory."""
    storage_mb: str
    """The size of its temporary folder."""


@dataclass(frozen=True)
class ForwarderEnv(_Environment):
    events_table: str
    config_table: str
    secrets_prefix: str
    queue_url: str


@dataclass(frozen=True)
class ControlEnv(_Environment):
    events_table: str
    config_table: str
    secrets_prefix: str
    sync_queue_url: str
    facts_queue_url: str
    facts_bucket: str


@dataclass(frozen=True)
class ReportsEnv(_Environment):
    config_table: str
    contacts_table: str
    facts_bucket: str
    memory_mb: str
    """The function's memory."""
    storage_mb: str
    """The size of its temporary folder."""


@dataclass(frozen=True)
class KonnektiveScheduleEnv(_Environment):
    config_table: str
    sync_queue_url: str


@dataclass(frozen=True)
class KonnektivePollEnv(_Environment):
    events_table: str
    config_table: str
    secrets_prefix: str
    ingest_queue_url: str
    sync_queue_url: str
    notice_topic: str


@dataclass(frozen=True)
class WebhooksEnv(_Environment):
    config_table: str
    secrets_prefix: str
    sync_queue_url: str
