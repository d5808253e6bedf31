"""DuckDB as we run it: in memory, one folder to read and write, nothing loaded from elsewhere, and what it has no room or time for becomes an error of ours."""

from __future__ import annotations

import threading
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
_MOST_THREADS: Final = 6
"""A function has no more processors."""


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What an engine may use."""

    memory_mb: int
    seconds: float = 25.0
    """For one statement."""

    @property
    def threads(self) -> int:
        return max(1, min(_MOST_THREADS, self.memory_mb // _THREAD_MB))


class Engine:
    """One database in memory. Not for several threads at once."""

    def __init__(self, folder: Path, allowance: Allowance) -> None:
        spill = folder / "spill"
        spill.mkdir(parents=True, exist_ok=True)
        self._allowance = allowance
        self._connection = duckdb.connect(
            config={
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "memory_limit": f"{allowance.memory_mb}MB",
                "threads": allowance.threads,
                "temp_directory": str(spill),
                "max_temp_directory_size": f"{allowance.memory_mb * _SPILL}MB",
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

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The answer of one statement. Raises `ReportTooLarge` where the memory or the time does not suffice."""
        with self._limits():
            return self._connection.execute(sql, list(parameters)).fetchall()

    def number(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """The one value of the one row."""
        return int(self.run(sql, parameters)[0][0])

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _limits(self) -> Iterator[None]:
        timer = threading.Timer(self._allowance.seconds, self._connection.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield
        except duckdb.InterruptException as error:
            raise ReportTooLarge(f"it takes more than {self._allowance.seconds:g} s: ask for a narrower range, or give the function more memory") from error
        except duckdb.OutOfMemoryException as error:
            raise ReportTooLarge(f"it needs more than {self._allowance.memory_mb} MB: ask for a narrower range, or give the function more memory") from error
        finally:
            timer.cancel()
