"""What reports and their people are answered as: every figure with all that it follows from, as JSON or CSV. The API sends it, the command line shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tributary.contacts.naming import Person
from tributary.control.answers import Moment, NextCursor
from tributary.reports.answer import Column, LedgerLine, Row, Total, Unit, Value
from tributary.reports.as_csv import ledger_csv, report_csv
from tributary.reports.asking import has
from tributary.reports.catalogue import DESCRIPTIONS, Dimension, described
from tributary.reports.query import Filter, Having, Query, Range, ReportType, Step
from tributary.reports.reporting import Answered, Opened, Reports


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    pass


class ReportDescription(_Answer, frozen=True, kw_only=True):
    """A type of report, and what it may be asked."""

    type: ReportType
    name: str
    description: str
    kpis: Annotated[list[Column], Meta(description="All it has, each with its definition.")]
    default_kpis: list[str]
    dimensions: Annotated[list[Dimension], Meta(description="What it may be grouped and filtered by.")]
    default_group_by: list[str]
    default_model: Annotated[str | None, Meta(description="Null: the account's.")]
    default_date_mode: str


class ReportDescriptions(_Answer, frozen=True, kw_only=True):
    """Every type of report."""

    data: list[ReportDescription]


class SettingsInForce(_Answer, frozen=True, kw_only=True):
    """Every setting that the answer follows, given or not."""

    range: Range
    time_zone: str
    scale: str | None
    group_by: list[str]
    filter: list[Filter]
    having: list[Having]
    kpis: list[str]
    model: Annotated[str | None, Meta(description="Null: the report has none. So of the next three.")]
    lookback_days: Annotated[int | None, Meta(description="Null: a lifetime.")]
    half_life_days: float | None
    rebill_credit: str | None
    date_mode: str
    currency: str
    include_tax: bool
    include_shipping: bool
    compare: Range | None
    sort: str | None
    descending: bool
    limit: int
    steps: list[Step]
    intervals: list[int]
    cohort: Annotated[str | None, Meta(description="Null: the report has none.")]
    contact: str | None


class ReportAnswer(_Answer, frozen=True, kw_only=True):
    """A report."""

    type: ReportType
    as_of: Annotated[
        Moment,
        Meta(description="When it was last looked which facts there are. What was accepted becomes one within a minute, unless the queue of facts is behind."),
    ]
    cached: Annotated[bool, Meta(description="Whether the same question was answered from the same facts before, and this is that answer.")]
    settings: SettingsInForce
    dimensions: Annotated[
        list[str], Meta(description="What rows are told apart by, in order: `period`, what was grouped by, and what the report itself tells.")
    ]
    columns: Annotated[list[Column], Meta(description="The KPIs, in order, each with its definition.")]
    rows: list[Row]
    rows_found: Annotated[int, Meta(description="Before `limit`.")]
    totals: Annotated[list[Total], Meta(description="Computed, not added up from rows: the reporting currency's, then of each currency that has no rate.")]
    overlapping: Annotated[bool, Meta(description="Whether rows may tell of the same thing twice, so that they come to more than the total.")]
    coverage_pct: Annotated[float | None, Meta(description="Of the value of conversions, how much has a touch.")]
    notes: list[str]
    rates_source: Annotated[str | None, Meta(description="Who says what currencies were worth, where amounts were converted.")]


class PersonLine(LedgerLine, frozen=True, kw_only=True):
    """A line of a ledger. Personal data."""

    contact: Annotated[str | None, Meta(description="The contact's id; null: somebody who is not known, or no longer.")]
    email: str | None
    name: str | None


class LedgerAnswer(_Answer, frozen=True, kw_only=True):
    """What a figure is made of."""

    type: ReportType
    as_of: Moment
    settings: SettingsInForce
    kpi: Column
    row: Annotated[str | None, Meta(description="The row's key; null: the total.")]
    total: Annotated[Value, Meta(description="The figure.")]
    adds_up_to: Annotated[Value, Meta(description="The sum of all lines' values, of every page.")]
    parts: Annotated[dict[str, Any], Meta(description="Of a rate: what is divided by what.")]
    unit: Annotated[Unit, Meta(description="Of the lines' values: of a rate, what is divided.")]
    lines_found: Annotated[int, Meta(description="On all pages.")]
    data: list[PersonLine]
    next_cursor: NextCursor


def descriptions(reports: Reports) -> ReportDescriptions:
    """Every type of report, and what it may be asked."""
    fields = reports.settings().fields
    return ReportDescriptions(
        data=[
            ReportDescription(
                type=type,
                name=DESCRIPTIONS[type].name,
                description=DESCRIPTIONS[type].text,
                kpis=[kpi.column for kpi in kind.kpis().values()],
                default_kpis=list(kind.default_kpis),
                dimensions=described(kind.dimensions, fields),
                default_group_by=list(kind.default_group_by),
                default_model=kind.default_model,
                default_date_mode=kind.default_date_mode,
            )
            for type in ReportType
            if (kind := reports.kinds.get(type)) is not None
        ]
    )


def settings_in_force(query: Query) -> SettingsInForce:
    return SettingsInForce(
        range=query.range,
        time_zone=query.time_zone,
        scale=query.scale,
        group_by=list(query.group_by),
        filter=list(query.filters),
        having=list(query.having),
        kpis=list(query.kpis),
        model=query.model if has(query.type, "model") else None,
        lookback_days=query.lookback_days if has(query.type, "lookback") else None,
        half_life_days=query.half_life_days if has(query.type, "half_life") else None,
        rebill_credit=query.rebill_credit if has(query.type, "rebill_credit") else None,
        date_mode=query.date_mode,
        currency=query.currency,
        include_tax=query.include_tax,
        include_shipping=query.include_shipping,
        compare=query.compare,
        sort=query.sort,
        descending=query.descending,
        limit=query.limit,
        steps=list(query.steps),
        intervals=list(query.intervals),
        cohort=query.cohort if query.type is ReportType.VALUE_OVER_TIME else None,
        contact=query.person,
    )


def report_answer(answered: Answered) -> ReportAnswer:
    query, report = answered.query, answered.report
    return ReportAnswer(
        type=query.type,
        as_of=answered.as_of,
        cached=answered.cached,
        settings=settings_in_force(query),
        dimensions=_dimensions(query, report.rows),
        columns=list(report.columns),
        rows=list(report.rows),
        rows_found=report.rows_found,
        totals=list(report.totals),
        overlapping=report.overlapping,
        coverage_pct=report.coverage_pct,
        notes=list(report.notes),
        rates_source=report.rates_source,
    )


def report_text(answered: Answered) -> str:
    """As CSV."""
    return report_csv(answered.report, _dimensions(answered.query, answered.report.rows), _about(answered))


def ledger_answer(opened: Opened, people: Mapping[str, Person], *, next_cursor: str | None) -> LedgerAnswer:
    """`people`: by the lines' persons."""
    ledger = opened.ledger
    return LedgerAnswer(
        type=opened.query.type,
        as_of=opened.as_of,
        settings=settings_in_force(opened.query),
        kpi=ledger.kpi,
        row=opened.row,
        total=ledger.total,
        adds_up_to=ledger.adds_up_to,
        parts=ledger.parts,
        unit=opened.unit,
        lines_found=ledger.lines_found,
        data=[_person_line(line, people.get(line.person)) for line in ledger.lines],
        next_cursor=next_cursor,
    )


def ledger_text(opened: Opened, people: Mapping[str, Person]) -> str:
    """As CSV."""
    return ledger_csv(
        opened.ledger, opened.unit, _dimensions(opened.query, opened.ledger.lines), {id: (person.email, person.name) for id, person in people.items()}
    )


def _person_line(line: LedgerLine, person: Person | None) -> PersonLine:
    said = {name: getattr(line, name) for name in LedgerLine.__struct_fields__}
    return PersonLine(
        **said,
        contact=None if person is None else person.contact,
        email=None if person is None else person.email,
        name=None if person is None else person.name,
    )


def _dimensions(query: Query, lines: Iterable[Row | LedgerLine]) -> list[str]:
    """As the rows have them; where there is none, as they were asked for."""
    found = dict.fromkeys(name for line in lines for name in line.dimensions)
    return [*found] or [*(["period"] if query.scale is not None else []), *query.group_by]


def _about(answered: Answered) -> list[tuple[str, str]]:
    """The settings in force and what is said of the whole answer, as names and texts."""
    report = answered.report
    about = [("type", answered.query.type.value), ("as_of", _as_text(msgspec.to_builtins(answered.as_of)))]
    about += [(name, _as_text(value)) for name, value in msgspec.to_builtins(settings_in_force(answered.query)).items()]
    about += [("rows_found", _as_text(report.rows_found)), ("overlapping", _as_text(report.overlapping))]
    about += [("coverage_pct", _as_text(report.coverage_pct)), ("rates_source", _as_text(report.rates_source))]
    return about


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
