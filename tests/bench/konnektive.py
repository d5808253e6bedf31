"""A Konnektive account read whole: how fast, in how much memory, with how many calls, and whether what came of it is what the account holds."""

from __future__ import annotations

import cProfile
import io
import json
import os
import pstats
import subprocess
import sys
import time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from local.fakes import server
from local.fakes.konnektive.shop import Shop
from local.fakes.konnektive.vendor import Konnektive
from tests.bench.figures import Figure
from tests.kit.konnektive_account import BEGUN, CONNECTION, Account, Faults
from tributary.ports import Vendor, VendorAnswer, VendorRequest
from tributary.sync.api import ROWS_A_PAGE
from tributary.sync.streams import KINDS

ROOT: Final = Path(__file__).parents[2]
MONTHS: Final = 18
CUSTOMERS: Final = 2_000
"""Enough for the months to be walked day by day."""
FEW_ORDERS: Final = 1_000
MANY_ORDERS: Final = 100_000
FULL_DAY: Final = date(2026, 11, 19)
FAULTY_CUSTOMERS: Final = 150
FAULT_SHARE: Final = 0.05
SEEDS: Final = range(1, 5)
_PROFILE_LINES: Final = 14


def figures() -> list[Figure]:
    return [*_backfill(), *_memory(), *_truth()]


# ---------------------------------------------------------------- a whole account


class _Timed:
    """`Vendor` whose own time is known."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self.seconds = 0.0

    def send(self, request: VendorRequest, *, timeout: float) -> VendorAnswer:
        started = time.process_time()
        answer = self._vendor.send(request, timeout=timeout)
        self.seconds += time.process_time() - started
        return answer


def _backfill() -> list[Figure]:
    account, vendor = _grown()
    started = time.process_time()
    _read(account)
    seconds = time.process_time() - started - vendor.seconds
    history, _ = account.store.history(CONNECTION)
    assert history is not None
    assert history.finished_at is not None
    records = sum(counted.rows for counted in history.counted.values())
    days = sum(counted.all_days for counted in history.counted.values())
    events = len(account.log.inserted)
    idle, rule = _idle_poll_calls(account)
    _profiled()
    return [
        _figure(
            "records_per_second",
            records / seconds,
            "records/s",
            None,
            f"{records:,} records, {events:,} events; one core, storage in memory, the fake's own {vendor.seconds / (seconds + vendor.seconds):.0%} left out",
        ),
        _figure(
            "backfill_calls_ratio",
            history.calls / (records / ROWS_A_PAGE + days),
            "ratio",
            "<= 1.1",
            f"{history.calls:,} calls for {records:,} records of {days:,} days and streams",
        ),
        _figure("idle_poll_calls", float(idle), "calls", None, rule),
    ]


def _grown() -> tuple[Account, _Timed]:
    shop = Shop(seed=1)
    shop.grow(customers=CUSTOMERS, months=MONTHS, now=BEGUN)
    account = Account(shop, resolves=False)
    vendor = _Timed(account.vendor)
    account.ask(vendor)
    return account, vendor


def _read(account: Account) -> None:
    account.tick()
    account.run()


def _idle_poll_calls(account: Account) -> tuple[int, str]:
    _poll_later(account)  # brings what is due once a day
    before = len(account.vendor.calls)
    _poll_later(account)
    lookback = 1
    return len(
        account.vendor.calls
    ) - before, f"{len(KINDS)} streams x (today and {lookback} day of look-back); a call more for each further {ROWS_A_PAGE} rows"


def _poll_later(account: Account) -> None:
    account.time += timedelta(minutes=15)
    account.tick()
    account.run()


def _profiled() -> None:
    account, _ = _grown()
    profile = cProfile.Profile()
    profile.runcall(_read, account)
    output = io.StringIO()
    stats = pstats.Stats(profile, stream=output).strip_dirs().sort_stats("tottime")
    stats.print_stats(r"^(?!.*(?:shop|rows|vendor|catalogue|model)\.py)", _PROFILE_LINES)
    lines = output.getvalue().splitlines()
    begin = next(number for number, line in enumerate(lines) if "ncalls" in line)
    text = "\n".join(["Profile of a backfill, by own time, the fake left out:", *lines[begin : begin + _PROFILE_LINES + 1]])
    sys.stdout.write(f"{text}\n")


# ---------------------------------------------------------------- memory


def _memory() -> list[Figure]:
    few, many = (_day_of(orders) for orders in (FEW_ORDERS, MANY_ORDERS))
    assert (few["rows"], many["rows"]) == (FEW_ORDERS, MANY_ORDERS)
    return [
        _figure(
            "poll_memory_ratio",
            many["peak_bytes"] / few["peak_bytes"],
            "ratio",
            "<= 1.2",
            f"peak of {many['peak_bytes'] / 2**20:.1f} MiB for {MANY_ORDERS:,} orders in a day, {few['peak_bytes'] / 2**20:.1f} MiB for {FEW_ORDERS:,}",
        ),
        _figure("poll_memory_mib", many["peak_bytes"] / 2**20, "MiB", None, f"{many['calls']} calls over HTTP, every record new; a process of its own"),
    ]


def _day_of(orders: int) -> dict[str, Any]:
    shop = Shop(seed=1)
    shop.crowd(orders=orders, day=FULL_DAY)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'tributary'}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "POWERTOOLS_METRICS_NAMESPACE": "Tributary",
        "POWERTOOLS_SERVICE_NAME": "bench",
    }
    with server.serve({"konnektive": Konnektive(shop)}) as running:
        command = [sys.executable, "-m", "tests.bench.konnektive_poll", running.urls["konnektive"], FULL_DAY.isoformat()]
        answer = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, cwd=ROOT)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


# ---------------------------------------------------------------- truth


def _truth() -> list[Figure]:
    """Whatever fails, wherever: what is in the log and in CONTACTS at the end is what the account holds."""
    accounts = [_through_faults(seed) for seed in SEEDS]
    struck = sum((account.faults.struck for account in accounts), start=Counter[str]())
    note = f"{len(accounts)} accounts of {FAULTY_CUSTOMERS} customers, {struck.total()} faults of {len(struck)} kinds"
    found = [account.differences() for account in accounts]
    return [
        _figure(f"truth_{what}_differences", float(sum(one[what] for one in found)), "minor units" if what in {"revenue", "lifetime"} else what, "== 0", note)
        for what in found[0]
    ]


def _through_faults(seed: int) -> Account:
    """The first sync, two days of live polls, and the weekly walk, all under faults."""
    shop = Shop(seed=seed)
    shop.grow(customers=FAULTY_CUSTOMERS, months=MONTHS, now=BEGUN)
    account = Account(shop, Faults(FAULT_SHARE, seed))
    _read(account)
    for days in (1, 1, 7):
        account.play(days)
        _read(account)
    return account


def _figure(name: str, value: float, unit: str, bar: str | None, note: str) -> Figure:
    return Figure("konnektive", f"konnektive_{name}", value, unit, bar, note)
