"""Asking the engine, and holding its answer against the oracle's."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import msgspec

from tests.kit.facts import MemoryFacts
from tests.oracle import calendar
from tests.oracle.credits import World
from tests.oracle.reports import Answer, Figure, Figures, RowName
from tributary.facts.tables import TABLES, Kind, Needs
from tributary.reports import engine
from tributary.reports.answer import Ledger, Report, Row, Total, Value
from tributary.reports.query import Query, ReportType

PERIODS_FILLED = 1_000
PEOPLE = (Kind.IDENTITIES, Kind.WEAK_LINKS)
"""What tells who is who is read by whoever reads facts of people."""


class Shop:
    """A world's facts, as readers see them, loaded once for many questions."""

    def __init__(self, world: World) -> None:
        self.facts = MemoryFacts(world.seen)

    def report(self, query: Query) -> Report:
        with self.facts.open(self.needs(query)) as relations:
            return engine.answer(query, relations)

    def ledger(self, query: Query, kpi: str, row_key: str | None = None) -> Ledger:
        with self.facts.open(self.needs(query)) as relations:
            return engine.ledger(query, relations, row_key=row_key, kpi=kpi, limit=10_000)

    @staticmethod
    def needs(query: Query) -> Needs:
        return engine.needs(query)


def asked(query: Query) -> Query:
    """With all KPIs that its type has."""
    return msgspec.structs.replace(query, kpis=tuple(engine.REPORTS[query.type].kpis(query)))


def read_only(world: World, needs: Needs) -> World:
    """The world without all that a question says it does not need."""
    return World(
        {
            kind: [row for row in rows if kind in PEOPLE or (kind in needs and needs[kind].holds(TABLES[kind].month_of(row)))]
            for kind, rows in world.rows.items()
        }
    )


def differences(query: Query, expected: Answer, got: Report, before: Answer | None = None) -> list[str]:
    """Where an answer differs, one line a figure; nothing where all is as it should be. `before`: the oracle's of what the query compares with."""
    rows = {_name(row): row for row in got.rows}
    found = [f"{len(got.rows) - len(rows)} rows stand twice"] if len(rows) < len(got.rows) else []
    earlier = _in_periods_of_now(query, before) if before is not None else {}
    for name in sorted({*rows, *expected.rows, *earlier, *_empty_periods(query)}, key=repr):
        if name in rows:
            found += _differing(str(name), expected.rows.get(name), rows[name].values, query)
            found += _compared(str(name), rows[name], earlier.get(name), query)
        elif name in _empty_periods(query) or (_tells({**earlier.get(name, {}), **expected.rows.get(name, {})}, query) and not _is_to_come(name, query)):
            found.append(f"{name}: no such row")
    if (got.coverage_pct is not None or expected.coverage is not None) and _differs(expected.coverage, got.coverage_pct):
        found.append(f"coverage: coverage is {got.coverage_pct}, expected {expected.coverage}")
    totals = {total.currency: total for total in got.totals}
    totals_before = before.totals if before is not None else {}
    for currency in sorted({*totals, *expected.totals, *totals_before}):
        if currency in totals:
            found += _differing(f"total in {currency}", expected.totals.get(currency), totals[currency].values, query)
            found += _compared(f"total in {currency}", totals[currency], totals_before.get(currency), query)
        elif currency == query.currency or any(_tells(told[currency], query) for told in (expected.totals, totals_before) if currency in told):
            found.append(f"total in {currency}: none")
    return found


def _name(row: Row) -> RowName:
    return RowName(dimensions=tuple(sorted(row.dimensions.items())), touched=not row.unattributed, currency=row.currency)


def _in_periods_of_now(query: Query, before: Answer) -> dict[RowName, Figures]:
    """The rows of what is compared with: the first period's stand with the first, and so on; what there is no period for is left out."""
    if query.scale is None or query.compare is None:
        return before.rows
    now, then = (calendar.periods(span, query.scale, query.time_zone) for span in (query.range, query.compare))
    later = dict(zip(then, now, strict=False))
    found = {}
    for name, told in before.rows.items():
        dimensions = dict(name.dimensions)
        if (period := later.get(dimensions["period"] or "")) is not None:
            found[replace(name, dimensions=tuple(sorted({**dimensions, "period": period}.items())))] = told
    return found


def _compared(where: str, got: Row | Total, before: Figures | None, query: Query) -> list[str]:
    if query.compare is None:
        return [] if got.before is None and got.change is None else [f"{where}: is compared with nothing that was asked"]
    assert got.before is not None
    assert got.change is not None
    found = _differing(f"{where}, before", before, got.before, query)
    for kpi in query.kpis:
        now, then = got.values[kpi], got.before[kpi]
        change = None if now is None or not then else Fraction(100) * (Fraction(now) - Fraction(then)) / abs(Fraction(then))
        if _differs(change, got.change[kpi]):
            found.append(f"{where}: change of {kpi} is {got.change[kpi]}, from {then} to {now}")
    return found


def _empty_periods(query: Query) -> list[RowName]:
    if query.scale is None or query.group_by or query.type is ReportType.FUNNEL:
        return []
    span = query.range
    if query.type is ReportType.SUBSCRIPTIONS:  # of what is to come nothing is told, not even what is there today
        span = msgspec.structs.replace(span, end=min(span.end, query.now + timedelta(microseconds=1)))
    names = calendar.periods(span, query.scale, query.time_zone)
    return [RowName(dimensions=(("period", name),), touched=True, currency=query.currency) for name in names] if len(names) <= PERIODS_FILLED else []


def _is_to_come(name: RowName, query: Query) -> bool:
    """Whether it is a period that has not begun."""
    if query.type is not ReportType.SUBSCRIPTIONS or query.scale is None:
        return False
    begun = msgspec.structs.replace(query.range, end=min(query.range.end, query.now + timedelta(microseconds=1)))
    return dict(name.dimensions)["period"] not in calendar.periods(begun, query.scale, query.time_zone)


def _differing(where: str, expected: Figures | None, got: dict[str, Value], query: Query) -> list[str]:
    """Of a row that nothing is expected in, everything is nothing."""
    found = []
    for kpi in query.kpis:
        figure = expected[kpi] if expected is not None else (Fraction() if got[kpi] is not None else None)
        if _differs(figure, got[kpi]):
            found.append(f"{where}: {kpi} is {got[kpi]}, expected {None if figure is None else float(figure)}")
    return found


def _differs(expected: Figure, got: Value) -> bool:
    """Whole numbers are exact; others are shown with six digits, percentages with four."""
    if expected is None or got is None:
        return (expected is None) != (got is None)
    if isinstance(got, int):
        return expected != got
    return abs(float(expected) - got) > max(1e-4, 1e-9 * abs(got))


def _tells(figures: Figures, query: Query) -> bool:
    """Whether anything that is asked for is there: a row of leads is none of a report that asks for orders alone."""
    return any(figures[kpi] for kpi in query.kpis)
