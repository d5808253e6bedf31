"""Fakes of the settings' stores, and a clock that tests move."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tests.kit.builders import NOON
from tributary.access import hash_key
from tributary.errors import CredentialMissing, SettingsInvalid
from tributary.operator import Change, ConnectionKind, DeleteRow, Operator, PutRow, Row, Rows, VersionConflict, known_kinds
from tributary.settings import Connection, Key, UnreadableConnection


class MovingClock:
    """A wall clock and a monotonic one that move together, and only when told."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now
        self._started = now

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._started).total_seconds()

    def move(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class MemoryKeys:
    """`access.KeyStore` in memory; it counts what it is asked."""

    def __init__(self) -> None:
        self.rows: dict[str, Key] = {}
        self.asked = 0

    def add(self, key: str, row: Key) -> None:
        self.rows[hash_key(key)] = row

    def find(self, key_hash: str) -> Key | None:
        self.asked += 1
        return self.rows.get(key_hash)


class MemoryConnections:
    """`ports.Connections` in memory."""

    def __init__(self, *connections: Connection | UnreadableConnection) -> None:
        self.connections = list(connections)

    def all(self) -> Sequence[Connection | UnreadableConnection]:
        return tuple(self.connections)


class MemoryRows:
    """`operator.Rows` in memory. `before_commit` runs once before the next commit: the moment in which somebody else writes."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = {}
        self.before_commit: Callable[[], object] | None = None

    def get(self, pk: str, sk: str) -> Row | None:
        return self.rows.get((pk, sk))

    def under(self, pk: str) -> Sequence[tuple[str, Row]]:
        return sorted(((key[1], row) for key, row in self.rows.items() if key[0] == pk), key=lambda found: found[0])

    def commit(self, changes: Sequence[Change]) -> None:
        if self.before_commit is not None:
            disturb, self.before_commit = self.before_commit, None
            disturb()
        if any(self._version(change) != change.expected for change in changes):
            raise VersionConflict("it was changed by somebody else at the same time; read it again")
        for change in changes:
            match change:
                case PutRow():
                    self.rows[change.pk, change.sk] = Row(change.data, change.expected + 1)
                case DeleteRow():
                    del self.rows[change.pk, change.sk]

    def _version(self, change: Change) -> int:
        row = self.rows.get((change.pk, change.sk))
        return 0 if row is None else row.version


class MemorySecrets:
    """`operator.SecretStore` in memory."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}

    def get(self, name: str) -> str:
        if name not in self.secrets:
            raise CredentialMissing(f"no secret is stored as {name}")
        return self.secrets[name]

    def put(self, name: str, value: str) -> None:
        self.secrets[name] = value

    def put_once(self, name: str, value: str) -> bool:
        if name in self.secrets:
            return False
        self.secrets[name] = value
        return True

    def delete(self, name: str) -> None:
        self.secrets.pop(name, None)


def _parse(settings: Mapping[str, Any]) -> object:
    if not settings.get("apiKey"):
        raise SettingsInvalid("the API key is missing", field="apiKey")
    unknown = sorted(settings.keys() - {"apiKey", "host", "endpoint"})
    if unknown:
        raise SettingsInvalid("not a setting of this destination", field=unknown[0])
    return settings


KINDS = {"kissmetrics": ConnectionKind(secret_settings=frozenset({"apiKey"}), parse_settings=_parse), "konnektive": known_kinds()["konnektive"]}
"""A destination with one credential, so that these tests do not hang on a real one's settings; and the source as it is."""


class Bench:
    """An operator over fakes, with a clock to move."""

    def __init__(self, clock: MovingClock | None = None, kinds: Mapping[str, ConnectionKind] = KINDS) -> None:
        self.clock = clock or MovingClock()
        self.rows = MemoryRows()
        self.secrets = MemorySecrets()
        self.operator = Operator(rows=self.rows, secrets=self.secrets, kinds=kinds, now=self.clock.now)

    def stored_text(self) -> str:
        """Everything that CONFIG holds."""
        return "\n".join(f"{pk} {sk} {row.data}" for (pk, sk), row in self.rows.rows.items())


class RowKeys:
    """`access.KeyStore` over the same rows that the operator writes."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def find(self, key_hash: str) -> Key | None:
        row = self._rows.get(f"key#{key_hash}", "key")
        return None if row is None else msgspec.json.decode(row.data, type=Key)
