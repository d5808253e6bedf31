"""`tributary.cli sync`: the syncs of accounts, shown and steered."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tributary.cli.show import plain
from tributary.sync.syncs import State, Sync, Syncs

if TYPE_CHECKING:
    from rich.console import Console

    from tributary.cli.target import Target

LOOK_SECONDS: Final = 1.0
_BAR: Final = 30
_GOING: Final = frozenset({State.STARTING, State.INITIAL})


def syncs_of(target: Target) -> Syncs:
    from tributary.adapters.config_store import DynamoConnections  # noqa: PLC0415
    from tributary.adapters.queues import SqsQueue  # noqa: PLC0415
    from tributary.adapters.sync_store import DynamoSyncStore  # noqa: PLC0415
    from tributary.clock import SystemClock  # noqa: PLC0415

    return Syncs(
        connections=DynamoConnections(lambda: target.dynamodb, target.config_table, seconds=0),
        store=DynamoSyncStore(lambda: target.dynamodb, target.config_table),
        tasks=SqsQueue(lambda: target.sqs, target.sync_queue_url),
        clock=SystemClock(),
    )


def shown(syncs: Sequence[Sync]) -> Group:
    """Each account: its state, a bar, its streams, and whatever a person should see to."""
    return Group(*[part for sync in syncs for part in _parts(sync)])


def watch(look: Callable[[], Sequence[Sync]], screen: Console, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Show the syncs until each has read its history, or cannot go on."""
    from rich.live import Live  # noqa: PLC0415

    with Live(console=screen, auto_refresh=False, transient=False) as live:
        while True:
            found = look()
            live.update(shown(found), refresh=True)
            if not any(sync.state in _GOING for sync in found):
                paused = ", ".join(sync.label for sync in found if sync.state is State.PAUSED)
                if paused:
                    screen.print(plain(f"paused: {paused}; `sync resume` goes on", "yellow"))
                return
            sleep(LOOK_SECONDS)


def _parts(sync: Sync) -> list[RenderableType]:
    head = Text.assemble(plain(sync.label, "bold"), "  ", (sync.state.value, _style(sync)), "  ", plain(sync.connection, "dim"))
    parts: list[RenderableType] = [head, _bar(sync)]
    if sync.streams:
        parts.append(_streams(sync))
    if sync.catalogue:
        parts.append(plain(", ".join(f"{count:,} {what}" for what, count in sync.catalogue.items()), "dim"))
    if sync.refused is not None:
        parts.append(plain(sync.refused, "red"))
    if sync.last_error is not None:
        parts.append(plain(f"last error, {_time(sync.last_error_at)}: {sync.last_error}", "yellow"))
    if sync.failed_windows:
        parts.append(plain(f"not read: {', '.join(sync.failed_windows)}", "yellow"))
    if sync.reconciled_at is not None:
        verdict = "equal to the account's own sums" if not sync.differences else f"{len(sync.differences)} differences from the account's own sums"
        parts.append(plain(f"compared {_time(sync.reconciled_at)}: {sync.reconciled_days} days, {verdict}", "green" if not sync.differences else "yellow"))
        parts += [plain(f"  {one.day} {one.what}: theirs {one.theirs}, ours {one.ours}", "yellow") for one in sync.differences[:10]]
    return [*parts, Text("")]


def _bar(sync: Sync) -> RenderableType:
    line = Table.grid(padding=(0, 1))
    if sync.all_records is None:
        line.add_row(plain("asking how much there is" if sync.state in _GOING else "its history has not been read"))
        return line
    # Rows may have come that the plan did not know of; more than everything is everything.
    done = min(sync.records, sync.all_records) if sync.all_records else 1
    left = "" if sync.seconds_left is None else f", {_duration(sync.seconds_left)} left"
    rate = "" if sync.records_per_second is None else f", {sync.records_per_second:,.0f} a second"
    bar = ProgressBar(total=max(sync.all_records, 1), completed=done, width=_BAR)
    line.add_row(bar, plain(f"{sync.records:,} of {sync.all_records:,} records{rate}{left}"))
    return line


def _streams(sync: Sync) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for heading in ("stream", "days", "records", "events", "unreadable", "updates read to"):
        table.add_column(heading, justify="left" if heading in ("stream", "updates read to") else "right")
    for one in sync.streams:
        days, records = f"{one.days} of {one.all_days}", f"{one.records:,} of {one.all_records:,}"
        table.add_row(one.stream, days, records, f"{one.events:,}", str(one.unreadable or ""), _day(one.cursor))
    return table


def _style(sync: Sync) -> str:
    return {State.LIVE: "green", State.REFUSED: "red", State.OFF: "dim", State.PAUSED: "yellow"}.get(sync.state, "cyan")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"


def _time(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def _day(day: date | None) -> str:
    return "" if day is None else day.isoformat()
