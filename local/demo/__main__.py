"""`python -m local.demo`: start a stack, send the afternoon, show what arrived where, compare it, stop everything. Exit 1 if a step differs."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from rich.console import Console

from local import sam
from local.demo import crm, report, reports
from local.demo.checks import GOOD, REQUESTS, Arrived, Step, check
from local.demo.looking import Looking, NotInTime, until
from local.demo.session import AFTER_SENDING_AGAIN, BAD_BATCH, MOMENTS, SENT_AGAIN
from local.demo.shop import Shop
from local.processes import interruptible
from local.stack import CONNECTIONS, Stack, StartFailed, running

PATIENCE_SECONDS: Final = 90.0
"""For all that the afternoon leads to; a machine with two cores takes ten."""
SETTLING_SECONDS: Final = 2.0
"""How long to look on after the last thing came, so that one too many is seen too."""
BEGAN_AGO: Final = timedelta(minutes=30)
SCALE: Final = 10.0
"""Waits are shortened: between two calls of an account a quarter of a second passes, and of those there are some hundred."""
WIDTH_WITHOUT_TERMINAL: Final = 160


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m local.demo", description="An afternoon in a tea shop, through a local stack.")
    parser.add_argument("--state", type=Path, default=sam.ROOT / ".local", help="folder for demo.json and, while it runs, everything else (default: .local)")
    state: Path = parser.parse_args(arguments).state.resolve()
    console = Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL)
    file = state / "demo.json"
    file.unlink(missing_ok=True)
    began = time.monotonic()
    try:
        with interruptible(), running(state, scale=SCALE, say=lambda line: console.print(line, markup=False, highlight=False)) as stack:
            started = time.monotonic()
            steps = _afternoon(console, stack)
            crm_began = time.monotonic()
            account, crm_steps = crm.chapter(console, stack)
            steps += crm_steps
            reports_began = time.monotonic()
            steps += reports.chapter(console, stack, account)
            ok = _judged(console, stack, steps, file)
            ended = time.monotonic()
    except StartFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        console.print("stopped")
        return 130
    spent = {
        "stack": started - began,
        "afternoon": crm_began - started,
        "CRM": reports_began - crm_began,
        "reports": ended - reports_began,
        "stopping": time.monotonic() - ended,
    }
    console.print(f"{', '.join(f'{what} {seconds:.0f} s' for what, seconds in spent.items())}; all steps are in {file}")
    return 0 if ok else 1


def _afternoon(console: Console, stack: Stack) -> list[Step]:
    start = datetime.now(UTC).replace(microsecond=0) - BEGAN_AGO
    # A quarter of a second in, so that a transit of less than that is not seen in the whole seconds of Kissmetrics.
    shop = Shop(api_url=stack.api_url, write_key=stack.write_key, start=start + timedelta(milliseconds=250))
    console.print("\nAn afternoon in a tea shop. Its software knows nothing of Tributary: it uses the Segment SDK, with another host.\n", highlight=False)
    report.show_afternoon(console, start)
    with _telling(console, "The Segment SDK sends the afternoon"):
        shop.send(MOMENTS)
    with _telling(console, "A batch made by hand, with an event that has no name"):
        status = shop.send_by_hand(BAD_BATCH)
        if status != 200:
            shop.refused.append(f"the batch made by hand: {status}")
    with _telling(console, f"{len(SENT_AGAIN)} of the events are sent again, and one that is new"):
        shop.send([*SENT_AGAIN, AFTER_SENDING_AGAIN])
    arrived = _arrived(console, stack, shop, start)
    report.show_recorded(console, arrived)
    report.show_people(console, arrived.contacts)
    report.show_kissmetrics(console, arrived, start)
    return check(arrived)


def _judged(console: Console, stack: Stack, steps: Sequence[Step], file: Path) -> bool:
    report.show_steps(console, steps)
    report.write(file, steps)
    different = sum(not step.ok for step in steps)
    if different:
        report.show_errors(console, stack.folder / "functions")
        console.print(f"[bold red]{different} of {len(steps)} steps differ.[/]")
    else:
        console.print(f"[bold green]All {len(steps)} steps are as they must be.[/]")
    return different == 0


def _arrived(console: Console, stack: Stack, shop: Shop, start: datetime) -> Arrived:
    looking = Looking(stack)
    patience_ends = time.monotonic() + PATIENCE_SECONDS
    try:
        with _telling(console, f"Tributary records {len(GOOD)} events, Kissmetrics receives {REQUESTS} requests"):
            until(looking.requests, lambda requests: len(requests) >= REQUESTS, patience=patience_ends - time.monotonic())
            until(lambda: looking.events("accepted"), lambda lines: len(lines) >= len(GOOD), patience=patience_ends - time.monotonic())
            until(lambda: looking.events("rejected"), bool, patience=patience_ends - time.monotonic())
            time.sleep(SETTLING_SECONDS)
    except NotInTime:
        console.print(f"[red]Not everything has come within {PATIENCE_SECONDS:.0f} s.[/]")
    return Arrived(
        start=int(start.timestamp()),
        kissmetrics_key=str(CONNECTIONS["kissmetrics"]("http://127.0.0.1").settings["apiKey"]),
        refused=shop.refused,
        accepted=looking.events("accepted"),
        rejected=looking.events("rejected"),
        contacts=looking.contacts(),
        requests=looking.requests(),
        kissmetrics=looking.kissmetrics(),
    )


@contextmanager
def _telling(console: Console, what: str) -> Iterator[None]:
    began = time.monotonic()
    with console.status(f"{what} …"):
        yield
    console.print(f"{what}  [dim]{time.monotonic() - began:.1f} s[/]", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
