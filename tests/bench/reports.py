"""Reports on a shop of a million contacts, against statements written by hand on the same files, which come to the same rows.

Times are medians of runs that take turns, so that whatever else the machine does falls on both sides. A report is warm: its files are fetched and opened; what
is measured is what every question costs, from asking the manifest to the rows and the totals.
"""

from __future__ import annotations

import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from tests.bench.figures import Figure
from tests.bench.report_cases import CASES, Case, rows_and_total
from tests.bench.report_data import Shop, shop
from tests.bench.report_store import ShopStore
from tributary.adapters.duck import Allowance, Engine
from tributary.facts.tables import Kind
from tributary.reports import engine as reports
from tributary.reports.answer import Report

AREA: Final = "reports"
CONTACTS: Final = int(os.environ.get("BENCH_CONTACTS", "1000000"))
_SMALLER: Final = 10
"""How many times as large the shop is as the one that growth is measured from."""
_RUNS: Final = 5
_ALLOWANCE: Final = Allowance(memory_mb=2000, seconds=600)
_CACHE: Final = Path(tempfile.gettempdir()) / "tributary-bench"
_OVER_HAND_WRITTEN: Final = "<= 1.3"
_OVER_SCAN: Final = {"single": "<= 8", "many": "<= 20", "none": None}
_SCANNED: Final = {Kind.ORDERS: "gross", Kind.SUBSCRIPTIONS: "price", Kind.AD_SPEND: "spend", Kind.CONTACTS: "epoch_us(lead_at)", Kind.RATES: "rate"}
"""The amount of a kind; what has none is added up by its moments."""

Row = tuple[Any, ...]


def figures() -> list[Figure]:
    _CACHE.mkdir(exist_ok=True)
    large = shop(CONTACTS, _CACHE)
    with tempfile.TemporaryDirectory(dir=_CACHE) as folder:
        asked = Asked(large, Path(folder) / "large")
        found = [_made(large)]
        for case in CASES:
            found += asked.figures(case)
    return found


def _made(made: Shop) -> Figure:
    touches = sum(path.stat().st_size for path in made.files(Kind.TOUCHES).values()) / (made.contacts * 5)
    how = "made before" if made.seconds is None else f"made in {made.seconds:.0f} s"
    return Figure(AREA, "bytes_per_touch", touches, "bytes", None, f"{made.contacts:,} contacts, {how}")


class Times(NamedTuple):
    """Medians, in seconds, of ways that took turns."""

    clock: tuple[float, ...]
    processor: tuple[float, ...]
    """Of all threads."""

    def __str__(self) -> str:
        clock, processor = (" / ".join(f"{median * 1000:.0f}" for median in medians) for medians in self)
        return f"{clock} ms; processor {processor} ms"


def in_turns(*ways: Callable[[], object], runs: int = _RUNS) -> Times:
    taken: list[list[tuple[float, float]]] = [[] for _ in ways]
    for _ in range(runs):
        for way, times in zip(ways, taken, strict=True):
            clock, processor = time.perf_counter(), time.process_time()
            way()
            times.append((time.perf_counter() - clock, time.process_time() - processor))
    clocks, processors = zip(*([statistics.median(one) for one in zip(*times, strict=True)] for times in taken), strict=True)
    return Times(clocks, processors)


class Asked:
    """A shop, and three ways to ask it: the report, the statement written by hand, and a mere scan."""

    def __init__(self, of: Shop, folder: Path) -> None:
        self.shop = of
        self.store = ShopStore(of, folder, _ALLOWANCE)
        self._by_hand = Engine(of.root, _ALLOWANCE)

    def figures(self, case: Case) -> list[Figure]:
        self.assert_equal(case)
        times = in_turns(lambda: self.report(case), lambda: self.by_hand(case), lambda: self.scan(case))
        report, by_hand, scan = times.clock
        note = f"report / by hand / scan: {times}"
        return [
            Figure(AREA, f"{case.name}_p50", report * 1000, "ms"),
            Figure(AREA, f"{case.name}_over_hand_written", report / by_hand, "ratio", _OVER_HAND_WRITTEN, note),
            Figure(AREA, f"{case.name}_over_scan", report / scan, "ratio", _OVER_SCAN[case.touches]),
        ]

    def report(self, case: Case) -> Report:
        with self.store.facts.open(reports.needs(case.query)) as relations:
            return reports.answer(case.query, relations)

    def by_hand(self, case: Case, before: Literal["", "DESCRIBE "] = "") -> list[Row]:
        for name, (kind, months) in case.reads.items():
            paths = [str(path) for month, path in self.shop.files(kind).items() if months.holds(month)]
            self._by_hand.run(f"SET VARIABLE {name} = {paths}")
        return self._by_hand.run(before + case.statement)

    def scan(self, case: Case) -> None:
        for kind in {kind for kind, _ in case.reads.values()}:
            months = [months for of, months in case.reads.values() if of is kind]
            paths = [str(path) for month, path in self.shop.files(kind).items() if any(one.holds(month) for one in months)]
            self._by_hand.run(f"SELECT count(*), sum({_SCANNED.get(kind, 'epoch_us(happened_at)')}) FROM read_parquet({paths})")

    def assert_equal(self, case: Case) -> None:
        columns = tuple(name for name, *_ in self.by_hand(case, "DESCRIBE "))
        sides = {"report": rows_and_total(self.report(case), columns), "by hand": self.by_hand(case)}
        report, by_hand = (sorted(rows, key=lambda row: _inexact(row, 0)) for rows in sides.values())
        if len(report) != len(by_hand) or not all(map(_equal, report, by_hand)):
            raise AssertionError(f"{case.name}: the report and the statement written by hand differ\n{_differing(columns, report, by_hand)}")


def _equal(one: Row, other: Row) -> bool:
    """But for what fractions lose when they are added up in another order."""
    return all(
        math.isclose(value, same, rel_tol=1e-6, abs_tol=1e-4) if isinstance(value, float) or isinstance(same, float) else value == same
        for value, same in zip(one, other, strict=True)
    )


def _inexact(row: Row, digits: int) -> str:
    return repr([round(value, digits) if isinstance(value, float | int) else value for value in row])


def _differing(columns: tuple[str, ...], report: list[Row], by_hand: list[Row]) -> str:
    sides = {"report": report, "by hand": by_hand}
    told = {side: {_inexact(row, 3): row for row in rows} for side, rows in sides.items()}
    only = {side: [row for text, row in told[side].items() if text not in told[other]] for side, other in zip(sides, reversed(sides), strict=True)}
    return "\n".join(f"{side}: {len(rows)} rows, {dict(zip(columns, row, strict=True))}" for side, rows in only.items() for row in rows[:5])
