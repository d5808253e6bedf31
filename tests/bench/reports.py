"""Reports on a shop of a million contacts, against statements written by hand on the same files, which come to the same rows.

Times are medians of runs that take turns, so that whatever else the machine does falls on both sides. A report is warm: its files are fetched and opened; what
is measured is what every question costs, from asking the manifest to the rows and the totals.
"""

from __future__ import annotations

import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec

from tests.bench.figures import Figure
from tests.bench.report_cases import CASES, Case, rows_and_total
from tests.bench.report_data import Shop, shop
from tests.bench.report_store import ShopStore, an_hour
from tests.bench.startup import ROOT
from tributary.adapters.duck import Engine, allowance_of
from tributary.facts.message import pack
from tributary.facts.tables import Kind
from tributary.reports import engine as reports
from tributary.reports.answer import Report


def _parameter(name: str) -> int:
    """What the template gives to the function if nothing else is said."""
    found = re.search(rf"^  {name}:\n    Type: Number\n    Default: (\d+)$", (ROOT / "template.yaml").read_text(), re.MULTILINE)
    assert found is not None, name
    return int(found[1])


AREA: Final = "reports"
CONTACTS: Final = int(os.environ.get("BENCH_CONTACTS", "1000000"))
_DEMO: Final = 1000
"""Contacts of a shop as small as the demo's."""
_RUNS: Final = 5
_MEMORY_MB: Final = _parameter("ReportsMemory")
_STORAGE_MB: Final = _parameter("ReportsStorage")
_ALLOWANCE: Final = replace(allowance_of(memory_mb=_MEMORY_MB, storage_mb=_STORAGE_MB).engine, seconds=600)
_ALL_ROWS: Final = 1_000_000
_CACHE: Final = Path(tempfile.gettempdir()) / "tributary-bench"
_OVER_HAND_WRITTEN: Final = "<= 1.3"
_OVER_SCAN: Final = {"single": "<= 8", "many": "<= 20", "none": None}
_SCANNED: Final = {Kind.ORDERS: "gross", Kind.SUBSCRIPTIONS: "price", Kind.AD_SPEND: "spend", Kind.CONTACTS: "epoch_us(lead_at)", Kind.RATES: "rate"}
"""The amount of a kind; what has none is added up by its moments."""

Row = tuple[Any, ...]


def figures() -> list[Figure]:
    _CACHE.mkdir(exist_ok=True)
    large, small = shop(CONTACTS, _CACHE), shop(CONTACTS // 10, _CACHE)
    with tempfile.TemporaryDirectory(dir=_CACHE) as name:
        folder = Path(name)
        asked, smaller = Asked(large, folder / "large"), Asked(small, folder / "small")
        found = [_made(large)]
        for case in CASES:
            found += [*asked.figures(case), _growth(case, smaller, asked)]
        fresh = Asked(large, folder / "fresh")
        found += [_written(fresh.store), *_uncompacted(asked, fresh), _memory(large, folder / "memory"), *_cold(folder / "cold")]
    return found


def _growth(case: Case, smaller: Asked, larger: Asked) -> Figure:
    times = in_turns(lambda: smaller.report(case), lambda: larger.report(case), runs=3)
    small, large = times.clock
    return Figure(AREA, f"{case.name}_growth", large / small, "ratio", "<= 10", f"{smaller.shop.contacts:,} / {larger.shop.contacts:,} contacts: {times}")


def _written(store: ShopStore) -> Figure:
    """As the queue brings an hour: a batch a minute, through the service that write_facts is made of."""
    batches = [[(str(number), body) for number, body in enumerate(pack(rows))] for rows in an_hour(store.shop)]
    started = time.perf_counter()
    rows = sum(store.writer.handle(batch).counts["rows"] for batch in batches)
    rate = rows / (time.perf_counter() - started)
    return Figure(
        AREA, "write_facts_rows_per_second", rate, "rows/s", None, f"{len(batches)} batches of {rows // len(batches)} rows of four kinds, local files"
    )


def _uncompacted(asked: Asked, fresh: Asked) -> list[Figure]:
    """The hour's rows are in sixty files of each kind; they name people who move, and take the place of rows that stand."""
    found = []
    opening = 0.0
    for case in CASES:
        started = time.perf_counter()
        fresh.report(case)
        opening = max(opening, time.perf_counter() - started)
        times = in_turns(lambda case=case: asked.report(case), lambda case=case: fresh.report(case), runs=3)  # type: ignore[misc]
        compacted, uncompacted = times.clock
        found.append((uncompacted / compacted, case.name, times))
    worst, name, times = max(found)
    return [
        Figure(AREA, "uncompacted_hour_over_compacted", worst, "ratio", "<= 1.3", f"the worst, {name}: {times}"),
        Figure(AREA, "uncompacted_hour_first_answer", opening * 1000, "ms", None, "the slowest; files linked, not fetched"),
    ]


_PEAK: Final = """
import resource, sys
from pathlib import Path
from tests.bench.report_cases import CASES
from tests.bench.reports import Asked, _CACHE
from tests.bench.report_data import shop
asked = Asked(shop(int(sys.argv[1]), _CACHE), Path(sys.argv[2]))
for case in CASES:
    asked.report(case)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def _memory(large: Shop, folder: Path) -> Figure:
    """Of a process that answers every report once, with all that the function imports."""
    peak = float(_python(f"import functions.reports_api.handler\n{_PEAK}", str(large.contacts), str(folder)))
    return Figure(AREA, "reports_api_peak_memory", peak, "MB", f"<= {_MEMORY_MB}", f"all {len(CASES)} reports one after another, {large.contacts:,} contacts")


_FIRST: Final = """
import time
began = time.perf_counter()
import functions.reports_api.handler
imported = time.perf_counter()
import sys
from pathlib import Path
from tests.bench.report_cases import CASES
from tests.bench.report_data import shop
from tests.bench.report_store import ShopStore
from tests.bench.reports import _ALLOWANCE, _CACHE
from tributary.reports import engine
query = next(case.query for case in CASES if case.name == 'orders')
of = shop(int(sys.argv[1]), _CACHE)
asked = time.perf_counter()
store = ShopStore(of, Path(sys.argv[2]), _ALLOWANCE)
with store.facts.open(engine.needs(query)) as relations:
    opened = time.perf_counter()
    engine.answer(query, relations)
print(imported - began, opened - asked, time.perf_counter() - opened)
"""


def _cold(folder: Path) -> list[Figure]:
    """A new process: what the function imports, then the first question on a shop like the demo's. Files are linked, so that no network is in it."""
    shop(_DEMO, _CACHE)
    runs = [[float(part) for part in _python(_FIRST, str(_DEMO), str(folder / str(number))).split()] for number in range(3)]
    parts = [statistics.median(times) * 1000 for times in zip(*runs, strict=True)]
    names = ("import", "open", "first_answer")
    return [
        Figure(AREA, "cold", sum(parts), "ms", None, " + ".join(f"{name} {part:.0f}" for name, part in zip(names, parts, strict=True))),
        *(Figure(AREA, f"cold_{name}", part, "ms") for name, part in zip(names, parts, strict=True)),
    ]


def _python(code: str, *arguments: str) -> str:
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'tributary'}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "POWERTOOLS_METRICS_NAMESPACE": "Tributary",
        "POWERTOOLS_SERVICE_NAME": "bench",
        "TMPDIR": tempfile.gettempdir(),
    }
    return subprocess.run([sys.executable, "-c", code, *arguments], env=environment, check=True, capture_output=True, text=True, cwd=ROOT).stdout


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
        for kind, months in case.months_read.items():
            paths = [str(path) for month, path in self.shop.files(kind).items() if any(one.holds(month) for one in months)]
            self._by_hand.run(f"SELECT count(*), sum({_SCANNED.get(kind, 'epoch_us(happened_at)')}) FROM read_parquet({paths})")

    def assert_equal(self, case: Case) -> None:
        columns = tuple(name for name, *_ in self.by_hand(case, "DESCRIBE "))
        whole = replace(case, query=msgspec.structs.replace(case.query, limit=_ALL_ROWS))
        sides = {"report": rows_and_total(self.report(whole), columns), "by hand": self.by_hand(case)}
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
