"""DuckDB as we run it: in memory, one folder to read and write, nothing loaded from elsewhere, and what it has no room or time for becomes an error of ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from tributary.errors import ReportTooLarge

_THREAD_MB: Final = 500
"""Memory that a thread is worth: each works on row groups of its own."""
_SPILL: Final = 4
"""How many times its memory a statement may put aside on disk."""
_ENGINE_PERCENT: Final = 70
_SPARE_MB: Final = 64
"""Of a temporary folder, for what is neither a copy nor put aside."""
_SECONDS_OF_A_CALLER: Final = 22.0
"""Somebody waits, and the gateway gives up after 30 s: this, and a look at a few stores that are slow, is less."""
_MOST_THREADS: Final = 6
"""A function has no more processors."""


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What an engine may use."""

    memory_mb: int
    seconds: float = 25.0
    """For one statement, or for all since `Engine.begin`."""
    spill_mb: int | None = None
    """On disk, for what a statement has no memory for; None: four times the memory."""

    @property
    def threads(self) -> int:
        return max(1, min(_MOST_THREADS, self.memory_mb // _THREAD_MB))


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How a function that answers questions shares out what it has."""

    engine: Allowance
    room: int
    """Bytes, for copies of files."""


def allowance_of(*, memory_mb: int, storage_mb: int) -> Sizes:
    """Of a function's memory and temporary folder: Python and the answer take some of the first, and what a statement puts aside half of the second."""
    spill = storage_mb // 2
    engine = Allowance(memory_mb=memory_mb * _ENGINE_PERCENT // 100, seconds=_SECONDS_OF_A_CALLER, spill_mb=spill)
    return Sizes(engine=engine, room=(storage_mb - spill - _SPARE_MB) << 20)


class Engine:
    """One database in memory. Not for several threads at once."""

    def __init__(self, folder: Path, allowance: Allowance) -> None:
        spill = folder / "spill"
        spill.mkdir(parents=True, exist_ok=True)
        self._allowance = allowance
        self._ends: float | None = None
        self._connection = duckdb.connect(
            config={
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "memory_limit": f"{allowance.memory_mb}MB",
                "threads": allowance.threads,
                "temp_directory": str(spill),
                "max_temp_directory_size": f"{allowance.memory_mb * _SPILL if allowance.spill_mb is None else allowance.spill_mb}MB",
                "preserve_insertion_order": False,
            }
        )
        # What remains of the file system is the folder; and no statement can change that.
        for setting in (
            "TimeZone = 'UTC'",
            "parquet_metadata_cache = true",
            f"allowed_directories = ['{folder}']",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            self._connection.execute(f"SET {setting}")

    def begin(self) -> None:
        """The time allowed begins, for all statements from now on together: somebody waits for the last of them."""
        self._ends = time.monotonic() + self._allowance.seconds

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The answer of one statement. Raises `ReportTooLarge` where the memory or the time does not suffice."""
        with self._limits():
            return self._connection.execute(sql, list(parameters)).fetchall()

    def drop(self, schema: str) -> None:
        """Give its memory back, also when the time is up."""
        self._connection.execute("USE main")
        self._connection.execute(f"DROP SCHEMA {schema} CASCADE")

    def number(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """The one value of the one row."""
        return int(self.run(sql, parameters)[0][0])

    def some(self, table: str) -> bool:
        """Whether it has rows."""
        return bool(self.run(f"SELECT 1 FROM {table} LIMIT 1"))  # noqa: S608  # a name of ours

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _limits(self) -> Iterator[None]:
        left = self._allowance.seconds if self._ends is None else self._ends - time.monotonic()
        if left <= 0:
            raise self._too_slow()
        timer = threading.Timer(left, self._connection.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield
        except duckdb.InterruptException as error:
            raise self._too_slow() from error
        except duckdb.OutOfMemoryException as error:
            raise ReportTooLarge(f"it needs more than {self._allowance.memory_mb} MB: ask for a narrower range, or give the function more memory") from error
        finally:
            timer.cancel()

    def _too_slow(self) -> ReportTooLarge:
        return ReportTooLarge(f"it takes more than {self._allowance.seconds:g} s: ask for a narrower range, or give the function more memory")
