"""Asking the engine, and holding its answer against the oracle's."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import msgspec

from tests.kit.facts import MemoryFacts
from tests.oracle import calendar
from tests.oracle.credits import World
from tests.oracle.reports import Answer, Figure, Figures, RowName
from tributary.facts.tables import TABLES, Kind, Needs
from tributary.reports import engine
from tributary.reports.answer import Ledger, Report, Value
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


def differences(query: Query, expected: Answer, got: Report) -> list[str]:
    """Where an answer differs, one line a figure; nothing where all is as it should be."""
    rows = {RowName(dimensions=tuple(sorted(row.dimensions.items())), touched=not row.unattributed, currency=row.currency): row.values for row in got.rows}
    found = [f"{len(got.rows) - len(rows)} rows stand twice"] if len(rows) < len(got.rows) else []
    for name in sorted({*rows, *expected.rows, *_empty_periods(query)}, key=repr):
        if name in rows:
            found += _differing(str(name), expected.rows.get(name), rows[name], query)
        elif name in _empty_periods(query) or (_tells(expected.rows[name], query) and not _is_to_come(name, query)):
            found.append(f"{name}: no such row")
    if (got.coverage_pct is not None or expected.coverage is not None) and _differs(expected.coverage, got.coverage_pct):
        found.append(f"coverage: coverage is {got.coverage_pct}, expected {expected.coverage}")
    totals = {total.currency: total.values for total in got.totals}
    for currency in sorted({*totals, *expected.totals}):
        if currency in totals:
            found += _differing(f"total in {currency}", expected.totals.get(currency), totals[currency], query)
        elif currency == query.currency or _tells(expected.totals[currency], query):
            found.append(f"total in {currency}: none")
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
