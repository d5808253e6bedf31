"""`python -m tests.bench.konnektive_poll URL DAY`: a day of orders through the code of the poll function, in a process of its own; says what it took, as JSON.

The vendor is asked over HTTP. What stands in for storage counts and keeps nothing, and knows no record, so that every row makes its events.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from functions.konnektive_poll import handler  # all that the function loads counts
from tests.kit.sync import MemoryCatalogue
from tributary.adapters.http import HttpVendor
from tributary.clock import SystemClock
from tributary.lease import Lease
from tributary.ports import Connections, OutMessage, Secrets
from tributary.settings import Connection
from tributary.sources.konnektive.records import Kind, Place, RecordState
from tributary.sync.api import LARGEST_ANSWER
from tributary.sync.poll import Poll
from tributary.sync.state import History, Live, Status
from tributary.sync.streams import Stream
from tributary.sync.tasks import DayTask, SyncTask, decoder

CONNECTION = "con_bench"


class Account(Connections, Secrets):
    def __init__(self, url: str) -> None:
        self._url = url

    def all(self) -> Sequence[Connection]:
        settings = {"loginId": "local", "baseUrl": self._url}
        return [Connection(id=CONNECTION, type="konnektive", label="Bench", settings=settings, created_at=datetime.now(UTC))]

    def get(self, name: str, *, fresh: bool = False) -> str:
        return json.dumps({"password": "local-konnektive-password"})


class Forgetful:
    """`SyncStore`, `RecordStates`, `Notices`."""

    def __init__(self) -> None:
        self.states = 0

    def live(self, connection: str) -> tuple[Live, int]:
        return Live(), 0

    def put_live(self, connection: str, live: Live, expected: int) -> None: ...

    def history(self, connection: str) -> tuple[History | None, int]:
        return None, 0

    def put_history(self, connection: str, history: History, expected: int) -> None: ...

    def status(self, connection: str) -> Status:
        return Status()

    def put_status(self, connection: str, status: Status) -> None: ...

    def lease(self, connection: str, owner: str, now: datetime, seconds: float) -> Lease:
        return Lease.TAKEN

    def release(self, connection: str, owner: str) -> None: ...

    def get(self, connection: str, places: Set[Place]) -> Mapping[Place, RecordState]:
        return {}

    def put(self, connection: str, states: Mapping[Place, RecordState]) -> None:
        self.states += len(states)

    def of_day(self, connection: str, kind: Kind, day: str) -> Iterator[tuple[str, RecordState]]:
        return iter(())

    def tell(self, subject: str, text: str) -> None: ...


class Counting:
    """`MessageQueue`."""

    def __init__(self) -> None:
        self.bytes = 0

    def send(self, messages: Sequence[OutMessage]) -> None:
        self.bytes += sum(len(message.body) for message in messages)


class Successor:
    """`MessageQueue` of tasks, which holds one."""

    def __init__(self, first: SyncTask) -> None:
        self.next: SyncTask | None = first

    def send(self, messages: Sequence[OutMessage]) -> None:
        (message,) = messages
        self.next = decoder.decode(message.body)


def main(url: str, day: str) -> dict[str, Any]:
    account, store, ingest = Account(url), Forgetful(), Counting()
    tasks = Successor(DayTask(connection=CONNECTION, stream=Stream.ORDERS, day=date.fromisoformat(day), scheduled_at=datetime.now(UTC)))
    poll = Poll(
        vendor=HttpVendor(largest_answer=LARGEST_ANSWER),
        connections=account,
        secrets=account,
        store=store,
        states=store,
        catalogue=MemoryCatalogue(),
        key=lambda: b"digest key",
        ingest=ingest,
        tasks=tasks,
        notices=store,
        clock=SystemClock(),
        owner="bench",
        chance=lambda: 0.5,
        sleep=lambda _: None,
    )
    assert handler.lambda_handler is not None
    rows = calls = 0
    while (task := tasks.next) is not None:
        tasks.next = None
        done = poll.run(task, receives=1, remaining=lambda: 450.0)
        assert done.code == "ok", done
        rows, calls = rows + done.counts["rows"], calls + done.counts["calls"]
    return {"rows": rows, "calls": calls, "states": store.states, "bytes": ingest.bytes, "peak_bytes": peak_bytes()}


def peak_bytes() -> int:
    """Of this program. The kernel's `ru_maxrss` begins with the peak of the process that started it; the memory's own high-water mark does not."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], sys.argv[2])))
