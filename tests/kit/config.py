"""Fakes of the settings' stores, and a clock that tests move."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tributary.access import hash_key
from tributary.settings import Connection, Key

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


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

    def __init__(self, *connections: Connection) -> None:
        self.connections = list(connections)

    def all(self) -> Sequence[Connection]:
        return tuple(self.connections)
