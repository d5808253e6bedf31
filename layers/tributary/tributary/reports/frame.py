"""The frame of reports: what is done once for all of them.

A report is made of *legs*. A leg is one kind of thing that is counted (orders, leads, advertising spend); it says which facts it needs and makes its *detail*:
a relation of one line a credit, which says whose it is, which row it belongs to and what of it counts. Rows, totals and the ledger are all read from that
relation, so that they cannot disagree. The frame adds lines up, puts the legs together, works out the KPIs, compares, chooses, sorts and names rows.

Columns of a detail:

| column | |
|---|---|
| `person` | UUID; NULL where nobody is meant (spend) |
| `currency` | what the line's money is in; for what has none, the query's |
| `period` | `Asking.periods.bucket(…)`; only if the query has a scale |
| `touched` | whether a touch is known; only if `Asking.attributed`: rows are grouped by a dimension of touches |
| `g0`, `g1`, … | VARCHAR: one a dimension of `query.group_by`, in its order |
| `kind`, `id`, `connection`, `happened_at` | what a ledger says of it; only if `Asking.lines` |
| others | what the measures read |
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple, Protocol, TypedDict
from uuid import UUID

import msgspec

from tributary.facts.tables import Kind, Months, Needs
from tributary.ports import Relations
from tributary.reports.answer import Column, Ledger, LedgerLine, Report, Row, Total, Value
from tributary.reports.kpis import Kpi, Sums, signed
from tributary.reports.periods import Bucket, Periods
from tributary.reports.query import DateMode, Having, Model, Query, Range, ReportType
from tributary.reports.ranges import ALL_TIME
from tributary.reports.statement import Step, Values, statement

MAX_PERIODS_FILLED: Final = 1_000
"""Empty periods are rows of zeros up to here: more is no table that anybody reads."""
RATES_STEP: Final = "rates_on"
"""The step that says rates of exchange (`money.rates_step`)."""
FIELD: Final = "field:"
"""Begins the dimensions that are custom fields, as `field:plan`."""


class RowUnknown(ValueError):
    """The key is not one that a report gave to a row."""


_FIRST_OF_LINES: Final = (
    "arg_min(kind, happened_at) AS kind, arg_min(id, happened_at) AS id, arg_min(connection, happened_at) AS connection, "
    "min(happened_at) AS happened_at, any_value(currency) AS currency"
)
"""Of several lines that make one of a ledger: what the first one says."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What is added up over the lines of a detail. SQL over their columns."""

    value: str
    """Of one line: a number; of `people`, a condition on which its person counts."""
    of_total: str | None = None
    """The same in a total, where lines of several rows tell of one thing; None: it is no other."""
    how: Literal["sum", "people", "distinct", "aggregate"] = "sum"
    """`people`: how many distinct persons; `distinct`: how many distinct values, of a value that is of one person."""
    aggregate: str = ""
    """Of `aggregate`: an aggregate with `{}` for the value, as `median({})`."""

    def sql(self, *, total: bool) -> str:
        value = self.of_total if total and self.of_total is not None else self.value
        match self.how:
            case "sum":
                return f"sum({value})"
            case "people":
                return f"count(DISTINCT CASE WHEN {value} THEN person END)"  # with FILTER, who does not count is told apart as well
            case "distinct":
                return f"count(DISTINCT {value})"
            case "aggregate":
                return self.aggregate.format(value)


class Detail(NamedTuple):
    steps: tuple[Step, ...]
    """The last one is the detail."""
    measures: Mapping[str, Measure]
    """Those that were asked for."""
    overlapping: bool = False
    """Whether one thing may stand in several rows with all that it counts."""
    notes: tuple[str, ...] = ()


class Leg(Protocol):
    @property
    def measures(self) -> Set[str]:
        """What it can count."""

    @property
    def coverage(self) -> tuple[str, str] | None:
        """Two measures: what has a touch, of what. None: it has no touches."""

    def needs(self, query: Query, measures: Set[str]) -> Needs:
        """Which facts the measures can need."""

    def detail(self, asking: Asking, measures: Set[str]) -> Detail:
        """Its lines, for some of its measures."""


@dataclass(frozen=True)
class Asking:
    """One statement about to be made: the query (its `range` is the one to read, also of the period compared with), its values, and whom to ask beforehand."""

    query: Query
    relations: Relations
    values: Values
    attributed: bool
    """Whether `query.group_by` has a dimension of touches."""
    lines: bool = False
    """Whether single lines are wanted, for a ledger."""

    @cached_property
    def periods(self) -> Periods | None:
        query = self.query
        return None if query.scale is None else Periods(query.scale, query.range, query.time_zone)

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        """What a statement with these values answers."""
        return self.relations.rows(*self.values.ready(text))


class ReportKind(Protocol):
    """A type of report: what may be asked, and how it is answered."""

    @property
    def type(self) -> ReportType: ...

    @property
    def dimensions(self) -> Set[str]:
        """What it may be grouped and filtered by; `field:` stands for every custom field. `period` is told by `scale` and is none of them."""

    @property
    def default_group_by(self) -> tuple[str, ...]: ...

    def kpis(self, query: Query | None = None) -> Mapping[str, Kpi]:
        """All of them by their key, in the order to list them in. With a query: as it is asked, where their number or meaning follows from it."""

    @property
    def default_kpis(self) -> tuple[str, ...]: ...

    @property
    def default_date_mode(self) -> DateMode: ...

    @property
    def default_model(self) -> Model | None:
        """None: the account's."""

    def needs(self, query: Query) -> Needs:
        """Which facts an answer or a ledger can need."""

    def answer(self, query: Query, relations: Relations) -> Report: ...

    def ledger(self, query: Query, relations: Relations, *, row_key: str | None, kpi: str, limit: int, offset: int) -> Ledger:
        """What a figure is made of: of the row with this key, or of the total (None) in the query's currency. Raises `RowUnknown`."""


class _Key(NamedTuple):
    """What a row's key says."""

    currency: str
    label: str | None
    touched: bool
    dimensions: tuple[str | None, ...]


class RowId(NamedTuple):
    """Which row: what lines are added up by."""

    currency: str
    period: Bucket | None
    touched: bool
    dimensions: tuple[str | None, ...]


@dataclass(frozen=True)
class Cells:
    """What the legs of a report came to in one range."""

    rows: dict[RowId, dict[str, int | float]]
    totals: dict[str, dict[str, int | float]]
    overlapping: bool
    notes: tuple[str, ...]
    rates_source: str | None = None
    """Who says what amounts were converted by; of all rates that there are, where any currency in the facts that were read is another."""
    told_twice: Set[str] = frozenset()
    """Measures of which several rows may tell one thing, so that they come to more than the total."""
    beyond: int = 0
    """How many rows more there are, of which none is shown."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A report of rows by period and dimensions: KPIs of the measures of some legs."""

    type: ReportType
    legs: tuple[Leg, ...]
    """The first that is asked and has a coverage says the report's."""
    dimensions: Set[str]
    touch_dimensions: Set[str]
    """Those of them that are told by touches: where one is grouped by, what has no touch is a row of its own."""
    all_kpis: Mapping[str, Kpi]
    default_kpis: tuple[str, ...]
    default_group_by: tuple[str, ...] = ()
    default_date_mode: DateMode = DateMode.CONVERSION_DATE
    default_model: Model | None = None

    def kpis(self, query: Query | None = None) -> Mapping[str, Kpi]:  # noqa: ARG002
        return self.all_kpis

    def needs(self, query: Query) -> Needs:
        ranges = [query.range] if query.compare is None else [query.range, query.compare]
        return together(leg.needs(replace_range(query, one), measures) for one in ranges for leg, measures in self._asked(query, [*self._kpis_read(query)]))

    def answer(self, query: Query, relations: Relations) -> Report:
        kpis = self._kpis_read(query)
        now = self._cells(query, relations, kpis)
        before = None if query.compare is None else self._cells(replace_range(query, query.compare), relations, kpis)
        known = {kpi.key: kpi for kpi in kpis}
        ordered = _sorted(_chosen(self._rows(query, now, before), query.having, known), query, known)
        shown = tuple(known[key] for key in query.kpis)
        totals_before = {} if before is None else before.totals
        return Report(
            columns=tuple(_column(kpi, now.told_twice) for kpi in shown),
            rows=tuple(_row(one, query, shown) for one in ordered[: query.limit]),
            rows_found=len(ordered) + now.beyond,
            totals=tuple(
                Total(currency=currency, **_compared(now.totals.get(currency, {}), None if before is None else totals_before.get(currency, {}), shown))
                for currency in sorted({*now.totals, *totals_before}, key=lambda currency: (currency != query.currency, currency))
            ),
            overlapping=now.overlapping,
            coverage_pct=self._coverage(query, kpis, now),
            notes=now.notes if before is None else tuple(dict.fromkeys((*now.notes, *before.notes))),
            rates_source=now.rates_source,
        )

    def ledger(self, query: Query, relations: Relations, *, row_key: str | None, kpi: str, limit: int, offset: int) -> Ledger:
        row = None if row_key is None else self._row_of(query, row_key)
        asked = self.kpis(query)[kpi]
        sums: dict[str, int | float] = {}
        lines: list[LedgerLine] = []
        found = 0
        added: int | float = 0
        for leg, measures in self._asked(query, [asked]):
            asking = self._asking(query, relations, lines=True)
            detail = leg.detail(asking, measures)
            sums |= self._sums_of(asking, detail, row)
            terms = [(detail.measures[name], sign) for name, sign in signed(asked.over) if name in detail.measures]
            for each in ("people", "distinct", "sum", "aggregate"):
                if of_each := [(measure, sign) for measure, sign in terms if measure.how == each]:
                    count, value, page = self._lines(asking, detail, of_each, row=row, limit=limit - len(lines), offset=max(offset - found, 0))
                    found, added = found + count, asked.of(sums) or 0 if each == "aggregate" else added + value
                    lines += page
        return Ledger(
            kpi=asked.column,
            total=asked.of(sums),
            adds_up_to=round(added, 6) if isinstance(added, float) else added,
            lines=tuple(lines),
            lines_found=found,
            parts=asked.parts(sums),
        )

    # What is asked

    def _kpis_read(self, query: Query) -> list[Kpi]:
        """Those that are shown, chosen by or sorted by."""
        known = self.kpis(query)
        wanted = [*query.kpis, *(one.kpi for one in query.having), *([query.sort] if query.sort is not None and query.sort in known else [])]
        return [known[key] for key in dict.fromkeys(wanted)]

    def _asked(self, query: Query, kpis: Sequence[Kpi]) -> list[tuple[Leg, Set[str]]]:
        """The legs that the KPIs are made of, each with what is asked of it, its coverage included."""
        wanted = self._asked_measures(kpis)
        more = self._reads_touches(query)
        return [(leg, measures | set(leg.coverage or ()) if more else measures) for leg in self.legs if (measures := leg.measures & wanted)]

    def _asked_measures(self, kpis: Sequence[Kpi]) -> set[str]:
        """What legs have to count for the KPIs."""
        return {name for kpi in kpis for name in kpi.measures}

    def _reads_touches(self, query: Query) -> bool:
        """Whether it is known of what is counted if a touch led there."""
        return self._is_attributed(query)

    def _is_attributed(self, query: Query) -> bool:
        return any(name in self.touch_dimensions for name in query.group_by)

    def _asking(self, query: Query, relations: Relations, *, lines: bool = False) -> Asking:
        return Asking(query, relations, Values(), self._is_attributed(query), lines)

    def _by(self, query: Query) -> list[str]:
        """The columns that rows are told apart by, but for the currency."""
        period = ["period"] if query.scale is not None else []
        touched = ["touched"] if self._is_attributed(query) else []
        return [*period, *touched, *(f"g{index}" for index in range(len(query.group_by)))]

    # What it comes to

    def _cells(self, query: Query, relations: Relations, kpis: Sequence[Kpi]) -> Cells:
        rows: dict[RowId, dict[str, int | float]] = {}
        totals: dict[str, dict[str, int | float]] = {query.currency: {}}
        overlapping = converts = False
        notes: list[str] = []
        told_twice: set[str] = set()
        beyond = 0
        by = self._by(query)
        for leg, measures in self._asked(query, kpis):
            asking = self._asking(query, relations)
            detail = leg.detail(asking, measures)
            overlapping |= detail.overlapping
            told_twice |= {name for name, measure in detail.measures.items() if measure.of_total is not None}
            converts |= any(RATES_STEP in (name, *sql.split()) for name, sql in detail.steps)
            notes += detail.notes
            summed, left_out = self._added_up(asking, detail, by)
            beyond += left_out
            for is_total, currency, *found in summed:
                told, of_row, of_total = found[: len(by)], found[len(by) : len(by) + len(detail.measures)], found[len(by) + len(detail.measures) :]
                if is_total:
                    _add(totals.setdefault(currency, {}), detail.measures, of_total)
                if not (is_total and by):
                    _add(rows.setdefault(self._row_id(query, currency, told), {}), detail.measures, of_row)
        if not by:
            rows = {RowId(currency, None, True, ()): sums for currency, sums in totals.items()}
        for currency in totals.keys() - {query.currency}:
            notes.append(f"No rate is known for amounts in {currency}, at least not for all days: these stand apart, in no other total.")
        source = _rates_source(query, relations) if converts else None
        cells = Cells(self._filled(query, rows), totals, overlapping, tuple(dict.fromkeys(notes)), source, told_twice, beyond)
        self._worked_out(query, relations, kpis, cells)
        return cells

    def _added_up(self, asking: Asking, detail: Detail, by: Sequence[str]) -> tuple[list[tuple[Any, ...]], int]:
        """The rows of `adding_up`, and how many more there are: a report that knows which are shown may leave the others out."""
        return asking.rows(adding_up(detail, by)), 0

    def _worked_out(self, query: Query, relations: Relations, kpis: Sequence[Kpi], cells: Cells) -> None:
        """For reports with measures that follow from others, and not from lines: they are put into the cells here."""

    def _row_id(self, query: Query, currency: str, told: Sequence[Any]) -> RowId:
        rest = list(told)
        period = rest.pop(0) if query.scale is not None else None
        touched = bool(rest.pop(0)) if self._is_attributed(query) else True
        return RowId(currency, period, touched, tuple(rest))

    def _filled(self, query: Query, rows: dict[RowId, dict[str, int | float]]) -> dict[RowId, dict[str, int | float]]:
        """With a row for each empty period, where nothing else tells rows apart."""
        periods = self._asking_periods(query)
        if periods is None or query.group_by:
            return rows
        buckets: Sequence[Bucket] = periods.buckets
        if query.range.words == ALL_TIME:  # which begins long before the shop does
            met = [bucket for bucket in buckets if any(row_id.period == bucket for row_id in rows)]
            buckets = buckets[buckets.index(met[0]) : buckets.index(met[-1]) + 1] if met else ()
        if len(buckets) > MAX_PERIODS_FILLED:
            return rows
        return {RowId(query.currency, bucket, True, ()): {} for bucket in buckets} | rows

    @staticmethod
    def _asking_periods(query: Query) -> Periods | None:
        return None if query.scale is None else Periods(query.scale, query.range, query.time_zone)

    def _rows(self, query: Query, now: Cells, before: Cells | None) -> list[_Told]:
        periods = self._asking_periods(query)
        earlier = self._matching_periods(query)
        found = []
        for row_id, sums in now.rows.items():
            label = None if periods is None or row_id.period is None else periods.label(row_id.period)
            matched = row_id if row_id.period is None else row_id._replace(period=earlier.get(row_id.period))
            sums_before = None if before is None else before.rows.get(matched, {})
            found.append(_Told(row_id, label, sums, sums_before))
        if before is not None:
            found += self._gone(now, before, periods, earlier)
        return found

    @staticmethod
    def _gone(now: Cells, before: Cells, periods: Periods | None, earlier: Mapping[Bucket, Bucket]) -> list[_Told]:
        """What was there in the period compared with, and is not any more."""
        later = {of_before: of_now for of_now, of_before in earlier.items()}
        found = []
        for row_id, sums in before.rows.items():
            place = row_id if row_id.period is None else row_id._replace(period=later.get(row_id.period))
            if place not in now.rows and (row_id.period is None) == (place.period is None):
                found.append(_Told(place, None if periods is None or place.period is None else periods.label(place.period), {}, sums))
        return found

    def _matching_periods(self, query: Query) -> dict[Bucket, Bucket]:
        """Of a comparison: the first period goes with the first, and so on."""
        now = self._asking_periods(query)
        if now is None or query.compare is None:
            return {}
        before = self._asking_periods(replace_range(query, query.compare))
        assert before is not None
        return dict(zip(now.buckets, before.buckets, strict=False))

    def _coverage(self, query: Query, kpis: Sequence[Kpi], cells: Cells) -> float | None:
        if not self._reads_touches(query):
            return None
        found = next((leg.coverage for leg, _ in self._asked(query, kpis) if leg.coverage is not None), None)
        if found is None:
            return None
        covered, all_of_it = (cells.totals[query.currency].get(name, 0) for name in found)
        return round(100 * covered / all_of_it, 4) if all_of_it else None

    # What is behind it

    def _row_of(self, query: Query, key: str) -> RowId:
        currency, label, touched, dimensions = _read_key(key)
        if len(dimensions) != len(query.group_by) or (label is None) != (query.scale is None):
            raise RowUnknown("the key is of a report that is grouped otherwise")
        period = None
        if (periods := self._asking_periods(query)) is not None:
            period = dict(zip(periods.labels, periods.buckets, strict=True)).get(label or "")
            if period is None:
                raise RowUnknown("the key is of a period that is not in the range")
        return RowId(currency, period, touched, tuple(dimensions))

    def _of_row(self, asking: Asking, row: RowId | None) -> str:
        """SQL: which lines are the row's."""
        query, values = asking.query, asking.values
        if row is None:
            return f"currency = {values.add(query.currency)}"
        fits = [f"currency = {values.add(row.currency)}"]
        if query.scale is not None:
            fits.append(f"period = {values.add(row.period)}")
        if self._is_attributed(query):
            fits.append("touched" if row.touched else "NOT touched")
        fits += [f"g{index} IS NOT DISTINCT FROM {values.add(value)}" for index, value in enumerate(row.dimensions)]
        return " AND ".join(fits)

    def _sums_of(self, asking: Asking, detail: Detail, row: RowId | None) -> dict[str, int | float]:
        if not detail.measures:
            return {}
        sums = ", ".join(measure.sql(total=row is None) for measure in detail.measures.values())
        (found,) = asking.rows(statement(detail.steps, f"SELECT {sums} FROM {detail.steps[-1][0]} WHERE {self._of_row(asking, row)}"))
        return {name: 0 if value is None else value for name, value in zip(detail.measures, found, strict=True)}

    def _lines(
        self, asking: Asking, detail: Detail, terms: Sequence[tuple[Measure, int]], *, row: RowId | None, limit: int, offset: int
    ) -> tuple[int, int | float, list[LedgerLine]]:
        """How many lines there are, what they come to, and a page of them: one an order, lead or person."""
        groups = "".join(f", any_value(g{index}) AS g{index}" for index in range(len(asking.query.group_by)))
        source = f"FROM {detail.steps[-1][0]} WHERE {self._of_row(asking, row)}"
        values = [(measure.of_total if row is None and measure.of_total is not None else measure.value, sign) for measure, sign in terms]
        if terms[0][0].how == "people":
            counts = " OR ".join(f"({value})" for value, _ in values)
            # Who is taken off again, as a new customer of the returning ones, is no line.
            value = " + ".join(f"{sign} * coalesce(bool_or({value}), false)::INT" for value, sign in values)
            behind = f"SELECT person, {_FIRST_OF_LINES}, {value} AS value{groups} {source} AND ({counts}) GROUP BY person HAVING value <> 0"
        elif terms[0][0].how == "distinct":
            ((of_line, sign),) = values
            behind = (
                f"SELECT arg_min(person, happened_at) AS person, {_FIRST_OF_LINES}, {sign} AS value{groups} {source} AND ({of_line}) IS NOT NULL "
                f"GROUP BY {of_line}"
            )
        else:
            value = " + ".join(f"{sign} * coalesce({value}, 0)" for value, sign in values)
            behind = (
                f"SELECT person, kind, id, connection, happened_at, any_value(currency) AS currency, sum({value}) AS value{groups} {source} "
                "GROUP BY person, kind, id, connection, happened_at HAVING value <> 0"
            )
        steps = (*detail.steps, ("behind", behind))
        ((count, total),) = asking.rows(statement(steps, "SELECT count(*), coalesce(sum(value), 0) FROM behind"))
        page: list[LedgerLine] = []
        if limit > 0 and offset < count:
            paged = f"SELECT * FROM behind ORDER BY happened_at, kind, connection, id, person LIMIT {int(limit)} OFFSET {int(offset)}"
            page = [_ledger_line(found, asking.query) for found in asking.rows(statement(steps, paged))]
        return count, total, page


def together(needs: Iterable[Needs]) -> Needs:
    """All that any of them needs."""
    found: dict[Kind, Months] = {}
    for one in needs:
        for kind, months in one.items():
            other = found.get(kind, months)
            first = None if months.first is None or other.first is None else min(months.first, other.first)
            last = None if months.last is None or other.last is None else max(months.last, other.last)
            found[kind] = Months(first, last)
    return found


def months(start: datetime | None, end: datetime | None) -> Months:
    """The months that moments from `start` until before `end` are in."""
    return Months(None if start is None else f"{start.astimezone(UTC):%Y-%m}", None if end is None else f"{end.astimezone(UTC):%Y-%m}")


def replace_range(query: Query, of: Range) -> Query:
    """The same question about another range."""
    return msgspec.structs.replace(query, range=of, compare=None)


class _Told(NamedTuple):
    """A row before it is known whether it is shown."""

    id: RowId
    label: str | None
    """Of its period."""
    sums: Sums
    before: Sums | None


def _column(kpi: Kpi, told_twice: Set[str]) -> Column:
    column = kpi.column
    return msgspec.structs.replace(column, adds_up=False) if kpi.measures & told_twice else column


def _rates_source(query: Query, relations: Relations) -> str | None:
    found = relations.rows("SELECT DISTINCT source FROM rates WHERE to_currency = ? AND source <> '' ORDER BY source", [query.currency])
    return ", ".join(source for (source,) in found) or None


def adding_up(detail: Detail, by: Sequence[str]) -> str:
    """A statement of: whether the line is a total, its currency, what tells rows apart, each measure of a row, each measure of a total."""
    columns = "".join(f", {column}" for column in by)
    of_rows = "".join(f", {measure.sql(total=False)}" for measure in detail.measures.values())
    of_totals = "".join(f", {measure.sql(total=True)}" for measure in detail.measures.values())
    if not by:
        return statement(detail.steps, f"SELECT 1, currency{of_rows}{of_totals} FROM {detail.steps[-1][0]} GROUP BY currency")
    return statement(
        detail.steps,
        f"SELECT grouping({by[0]}), currency{columns}{of_rows}{of_totals} FROM {detail.steps[-1][0]} GROUP BY GROUPING SETS ((currency{columns}), (currency))",
    )


def _add(sums: dict[str, int | float], measures: Iterable[str], values: Sequence[Any]) -> None:
    for name, value in zip(measures, values, strict=True):
        sums[name] = sums.get(name, 0) + (0 if value is None else value)


def _chosen(rows: list[_Told], having: Sequence[Having], kpis: Mapping[str, Kpi]) -> list[_Told]:
    return [row for row in rows if all(_holds(kpis[one.kpi].of(row.sums), one) for one in having)]


def _holds(value: Value, having: Having) -> bool:
    """Of what is not there, nothing holds."""
    if value is None:
        return False
    match having.op:
        case "gt":
            return value > having.value
        case "ge":
            return value >= having.value
        case "lt":
            return value < having.value
        case "le":
            return value <= having.value
        case "eq":
            return value == having.value


def _sorted(rows: list[_Told], query: Query, kpis: Mapping[str, Kpi]) -> list[_Told]:
    """As asked; what has no value last. Rows of other currencies come after those of the query's: their amounts cannot be compared. Equal ones by name."""
    ordered = sorted(rows, key=lambda row: (row.id.period is not None, row.label or "", _names(row.id)))
    match query.sort:
        case None:
            first = kpis[query.kpis[0]] if query.kpis else None
            if first is not None:
                ordered = _by_value(ordered, first, descending=True)
            if query.scale is not None:
                ordered.sort(key=lambda row: _moment(row.id))
        case "period":
            ordered.sort(key=lambda row: _moment(row.id), reverse=query.descending)
        case key if key in kpis:
            ordered = _by_value(ordered, kpis[key], descending=query.descending)
        case dimension if dimension in query.group_by:
            index = query.group_by.index(dimension)
            ordered.sort(key=lambda row: row.id.dimensions[index] or "", reverse=query.descending)
            ordered.sort(key=lambda row: row.id.dimensions[index] is None)
    return sorted(ordered, key=lambda row: (row.id.currency != query.currency, row.id.currency))


def _by_value(rows: list[_Told], kpi: Kpi, *, descending: bool) -> list[_Told]:
    valued = [(kpi.of(row.sums), row) for row in rows]
    known = [(value, row) for value, row in valued if value is not None]
    known.sort(key=lambda pair: pair[0], reverse=descending)
    return [*(row for _, row in known), *(row for value, row in valued if value is None)]


def _names(row: RowId) -> tuple[tuple[bool, str], ...]:
    return (not row.touched, ""), *((name is None, name or "") for name in row.dimensions)


def _moment(row: RowId) -> datetime | date:
    assert row.period is not None
    return row.period


def _row(told: _Told, query: Query, kpis: Sequence[Kpi]) -> Row:
    dimensions: dict[str, str | None] = {} if told.label is None else {"period": told.label}
    return Row(
        dimensions=dimensions | dict(zip(query.group_by, told.id.dimensions, strict=True)),
        currency=told.id.currency,
        key=key_of(told.id, told.label),
        unattributed=not told.id.touched,
        **_compared(told.sums, told.before, kpis),
    )


class _Compared(TypedDict):
    values: dict[str, Value]
    before: dict[str, Value] | None
    change: dict[str, float | None] | None


def _compared(sums: Sums, before: Sums | None, kpis: Sequence[Kpi]) -> _Compared:
    values = {kpi.key: kpi.of(sums) for kpi in kpis}
    if before is None:
        return {"values": values, "before": None, "change": None}
    values_before = {kpi.key: kpi.of(before) for kpi in kpis}
    return {"values": values, "before": values_before, "change": {key: change(value, values_before[key]) for key, value in values.items()}}


def change(now: Value, before: Value) -> float | None:
    """Percent; None where there was nothing before."""
    return None if now is None or not before else round(100 * (now - before) / abs(before), 4)


def key_of(row: RowId, label: str | None) -> str:
    said = json.dumps([row.currency, label, row.touched, row.dimensions], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(said.encode()).decode().rstrip("=")


def _read_key(key: str) -> _Key:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(key + "=" * (-len(key) % 4)), type=_Key)
    except (ValueError, binascii.Error) as error:  # msgspec's errors are ValueErrors too
        raise RowUnknown("the key is not one of a report's row") from error


def _ledger_line(found: Sequence[Any], query: Query) -> LedgerLine:
    person, kind, id_, connection, happened_at, currency, value, *dimensions = found
    return LedgerLine(
        person="" if person is None else UUID(str(person)).hex,
        kind=kind,
        id=id_,
        connection=connection,
        happened_at=happened_at.replace(tzinfo=UTC),
        currency=currency,
        value=value,
        dimensions=dict(zip(query.group_by, dimensions, strict=True)),
    )
