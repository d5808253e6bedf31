"""Facts in memory: rows of any kind as the relations that a report asks, without files, manifest or merges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import duckdb
import msgspec

from tributary.facts.tables import TABLES, Fact, Kind, Needs

READ_BY_REPORTS = tuple(kind for kind in Kind if kind not in (Kind.IDENTITIES, Kind.WEAK_LINKS))
_HIDDEN = ("version", "gone")


class MemoryFacts:
    """`Facts` of rows that are what readers see: one a key, people already one. It keeps what was asked for, as `needs`."""

    def __init__(self, rows: Mapping[Kind, Sequence[Fact]], *, as_of: datetime = datetime(2026, 6, 1, tzinfo=UTC)) -> None:
        self._connection = duckdb.connect(config={"threads": 1})
        self.as_of = as_of
        self.snapshot = "memory"
        self.needs: Needs = {}
        for kind in READ_BY_REPORTS:
            fill(self._connection, kind, rows.get(kind, ()))

    def add(self, kind: Kind, rows: Sequence[Fact]) -> None:
        """Facts that came meanwhile."""
        insert(self._connection, kind, rows)
        self.snapshot += "'"

    @contextmanager
    def open(self, needs: Needs) -> Iterator[MemoryFacts]:
        self.needs = needs
        yield self

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, list(parameters)).fetchall()


def fill(connection: duckdb.DuckDBPyConnection, kind: Kind, rows: Sequence[Fact]) -> None:
    """A table of a kind, without the columns that readers do not see."""
    table = TABLES[kind]
    columns = {name: sql_type for name, sql_type in table.columns.items() if name not in _HIDDEN}
    connection.execute(f"CREATE TABLE {kind} ({', '.join(f'{name} {sql_type}' for name, sql_type in columns.items())})")
    insert(connection, kind, rows)


def insert(connection: duckdb.DuckDBPyConnection, kind: Kind, rows: Sequence[Fact]) -> None:
    columns = {name: sql_type for name, sql_type in TABLES[kind].columns.items() if name not in _HIDDEN}
    if not rows:
        return
    line = f"({', '.join(f'?::{sql_type}' for sql_type in columns.values())})"
    said = (msgspec.to_builtins(row, builtin_types=(datetime,)) for row in rows)
    # In one statement: preparing it costs more than a row does.
    connection.execute(f"INSERT INTO {kind} VALUES {', '.join([line] * len(rows))}", [_sql(values[name]) for values in said for name in columns])


def _sql(value: Any) -> Any:
    """Times without their zone: all are UTC, and a column holds none."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, dict):
        return {name: _sql(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_sql(inner) for inner in value]
    return value
