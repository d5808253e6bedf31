"""The routes of `/api/reports`: which reports there are, a report, and the people and orders behind one of its figures."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from tributary.access import require
from tributary.contacts.naming import Person, people_of
from tributary.control.answers import Moment, NextCursor
from tributary.control.http import Answer, Call, Route
from tributary.control.problems import Problem, WrongParameter
from tributary.errors import ReportTooLarge
from tributary.ports import ContactStore
from tributary.reports import asking
from tributary.reports.answer import Column, LedgerLine, Report, Row, Total, Value
from tributary.reports.as_csv import ledger_csv, report_csv
from tributary.reports.asking import Parameters, QueryWrong, Wrong, parameters_of
from tributary.reports.catalogue import DESCRIPTIONS, Dimension, described
from tributary.reports.frame import RowUnknown
from tributary.reports.query import Filter, Having, Query, Range, ReportType, Step
from tributary.reports.reporting import Reports

READ: Final = "reports:read"
READ_PEOPLE: Final = "reports:read_people"

DEFAULT_LINES: Final = 100
MAX_LINES: Final = 500
"""Of one page of a ledger: each person is read from CONTACTS."""
_MOST_LINES: Final = 1_000_000_000
"""Of a list; a cursor beyond is none of ours."""
_CURSOR_LIVES: Final = timedelta(days=1)
"""A list is as of its first page; the next day it is another."""
_CSV: Final = "text/csv"
_FORMATS: Final = ("json", "csv")
_FORMAT: Final = f"`json` or `csv`; or the header `Accept: {_CSV}`. Default: json."


class ReportQuery(Parameters, frozen=True, kw_only=True):
    format: Annotated[str | None, Meta(description=_FORMAT)] = None


class LedgerQuery(Parameters, frozen=True, kw_only=True):
    kpi: Annotated[str | None, Meta(description="Whose figure to open. Default: the first of the report.")] = None
    row: Annotated[str | None, Meta(description="The `key` of a row of the same report; the total's without it.")] = None
    limit: Annotated[str | None, Meta(description=f"How many lines at most, 1 to {MAX_LINES}. Default: {DEFAULT_LINES}.")] = None
    cursor: Annotated[str | None, Meta(description="`next_cursor` of the page before, with all else the same.")] = None
    format: Annotated[str | None, Meta(description=_FORMAT)] = None


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
    model: str
    lookback_days: Annotated[int | None, Meta(description="Null: a lifetime.")]
    half_life_days: float
    date_mode: str
    rebill_credit: str
    currency: str
    include_tax: bool
    include_shipping: bool
    compare: Range | None
    sort: str | None
    descending: bool
    limit: int
    steps: list[Step]
    intervals: list[int]
    contact: str | None


class ReportAnswer(_Answer, frozen=True, kw_only=True):
    """A report."""

    type: ReportType
    as_of: Annotated[Moment, Meta(description="When it was last looked which facts there are: what came later is not in it.")]
    cached: Annotated[bool, Meta(description="Whether the same question was answered from the same facts before, and this is that answer.")]
    settings: SettingsInForce
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
    lines_found: Annotated[int, Meta(description="On all pages.")]
    data: list[PersonLine]
    next_cursor: NextCursor


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """A cursor: where to go on, in answering what, asked when."""

    offset: int
    asked_at: datetime
    question: str


@dataclass(frozen=True)
class ReportRoutes:
    reports: Reports
    contacts: ContactStore

    def routes(self) -> list[Route]:
        one = "/api/reports/{type}"
        also = [_CSV]
        return [
            Route(
                method="GET",
                path="/api/reports",
                scope=READ,
                summary="Reports, their KPIs and dimensions, and what these mean",
                handle=self._all,
                answer=ReportDescriptions,
            ),
            Route(
                method="GET",
                path=one,
                scope=READ,
                summary="A report",
                description="Everything that is wrong with a question is told at once, in `parameters`.",
                handle=self._report,
                query=ReportQuery,
                checks_query=True,
                answer=ReportAnswer,
                also=also,
                problems=[404, 422],
            ),
            Route(
                method="GET",
                path=f"{one}/ledger",
                scope=READ_PEOPLE,
                summary="The people and orders behind a figure",
                description="With the same parameters as the report, and the key of a row. Personal data.",
                handle=self._ledger,
                query=LedgerQuery,
                checks_query=True,
                answer=LedgerAnswer,
                also=also,
                problems=[404, 422],
            ),
        ]

    def _all(self, _: Call) -> Answer:
        kinds, fields = self.reports.kinds, self.reports.settings().fields
        return Answer(
            body=ReportDescriptions(
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
                    if (kind := kinds.get(type)) is not None
                ]
            )
        )

    def _report(self, call: Call) -> Answer:
        type = self._type(call)
        parameters, others, wrong = parameters_of(call.pairs, beside=["format"])
        as_csv = _wants_csv(others, call.headers, wrong)
        if parameters.contact is not None:
            assert call.key is not None
            require(call.key, READ_PEOPLE)
        try:
            answered = self.reports.answer(type, parameters, wrong=wrong)
        except QueryWrong as error:
            raise _problem(error) from error
        except ReportTooLarge as error:
            raise _too_large(error) from error
        query, report = answered.query, answered.report
        if as_csv:
            about = _about(query, report, answered.as_of)
            return _csv(report_csv(report, _told_by(query), about), f"{type}.csv", cached=answered.cached)
        return Answer(body=_report_answer(query, report, answered.as_of, cached=answered.cached), headers={"x-tributary-cached": _said(answered.cached)})

    def _ledger(self, call: Call) -> Answer:
        type = self._type(call)
        parameters, others, wrong = parameters_of(call.pairs, beside=["format", "kpi", "row", "cursor"])
        as_csv = _wants_csv(others, call.headers, wrong)
        limit = _page_size(parameters.limit, wrong)
        parameters = msgspec.structs.replace(parameters, limit=None)
        row, place = others.get("row") or None, self._read_place(others.get("cursor"), wrong)
        try:
            query = self.reports.query(type, parameters, now=None if place is None else place.asked_at, wrong=wrong)
        except QueryWrong as error:
            raise _problem(error) from error
        kpi = self._kpi(query, others.get("kpi"))
        question = _question(query, row, kpi)
        if place is not None and place.question != question:
            raise _not_of_this_list()
        offset = 0 if place is None else place.offset
        try:
            opened = self.reports.ledger(query, row_key=row, kpi=kpi, limit=limit, offset=offset)
        except RowUnknown as error:
            raise Problem(
                status=400, code="invalid_parameter", field="row", detail="Not the key of a row of this report, asked with these parameters."
            ) from error
        except ReportTooLarge as error:
            raise _too_large(error) from error
        ledger = opened.ledger
        reached = offset + len(ledger.lines)
        following = _write_place(_Place(reached, query.now, question)) if ledger.lines and reached < ledger.lines_found else None
        people = people_of(self.contacts, {line.person for line in ledger.lines})
        if as_csv:
            named = {id: (person.email, person.name) for id, person in people.items()}
            answer = _csv(ledger_csv(ledger, _told_by(query), named), f"{type}-ledger.csv")
            return answer if following is None else replace(answer, headers={**answer.headers, "x-next-cursor": following})
        return Answer(
            body=LedgerAnswer(
                type=type,
                as_of=opened.as_of,
                settings=settings_in_force(query),
                kpi=ledger.kpi,
                row=row,
                total=ledger.total,
                adds_up_to=ledger.adds_up_to,
                parts=ledger.parts,
                lines_found=ledger.lines_found,
                data=[_person_line(line, people.get(line.person)) for line in ledger.lines],
                next_cursor=following,
            )
        )

    def _type(self, call: Call) -> ReportType:
        known = {type.value: type for type in self.reports.kinds}
        if call.path["type"] not in known:
            raise Problem(status=404, code="not_found", detail=f"There is no such report; there is {', '.join(known)}.")
        return known[call.path["type"]]

    def _kpi(self, query: Query, given: str | None) -> str:
        known = self.reports.kinds[query.type].kpis(query)
        if given is None or not given:
            return query.kpis[0]
        if given not in known:
            raise Problem(status=400, code="invalid_parameter", field="kpi", detail=f"A KPI of this report is one of {', '.join(known)}.")
        return given

    def _read_place(self, cursor: str | None, wrong: list[Wrong]) -> _Place | None:
        if not cursor:
            return None
        place: _Place | None
        try:
            place = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=_Place)
            if not (0 <= place.offset < _MOST_LINES and timedelta() <= self.reports.now() - place.asked_at < _CURSOR_LIVES):
                place = None
        except (binascii.Error, ValueError, TypeError):  # msgspec's errors are ValueErrors; a time without a zone cannot be compared
            place = None
        if place is None:
            wrong.append(Wrong(field="cursor", code="invalid_parameter", message=_NOT_OF_THIS_LIST))
        return place


def settings_in_force(query: Query) -> SettingsInForce:
    return SettingsInForce(
        range=query.range,
        time_zone=query.time_zone,
        scale=query.scale,
        group_by=list(query.group_by),
        filter=list(query.filters),
        having=list(query.having),
        kpis=list(query.kpis),
        model=query.model,
        lookback_days=query.lookback_days,
        half_life_days=query.half_life_days,
        date_mode=query.date_mode,
        rebill_credit=query.rebill_credit,
        currency=query.currency,
        include_tax=query.include_tax,
        include_shipping=query.include_shipping,
        compare=query.compare,
        sort=query.sort,
        descending=query.descending,
        limit=query.limit,
        steps=list(query.steps),
        intervals=list(query.intervals),
        contact=query.person,
    )


def _report_answer(query: Query, report: Report, as_of: datetime, *, cached: bool) -> ReportAnswer:
    return ReportAnswer(
        type=query.type,
        as_of=as_of,
        cached=cached,
        settings=settings_in_force(query),
        columns=list(report.columns),
        rows=list(report.rows),
        rows_found=report.rows_found,
        totals=list(report.totals),
        overlapping=report.overlapping,
        coverage_pct=report.coverage_pct,
        notes=list(report.notes),
        rates_source=report.rates_source,
    )


def _person_line(line: LedgerLine, person: Person | None) -> PersonLine:
    said = {name: getattr(line, name) for name in LedgerLine.__struct_fields__}
    return PersonLine(
        **said,
        contact=None if person is None else person.contact,
        email=None if person is None else person.email,
        name=None if person is None else person.name,
    )


def _told_by(query: Query) -> list[str]:
    """The names of the rows' dimensions, in order."""
    return [*(["period"] if query.scale is not None else []), *query.group_by]


def _wants_csv(others: Mapping[str, str], headers: Mapping[str, str], wrong: list[Wrong]) -> bool:
    given = others.get("format") or None
    if given is not None:
        if given not in _FORMATS:
            wrong.append(Wrong(field="format", code="invalid_parameter", message=f"One of {', '.join(_FORMATS)}."))
        return given == "csv"
    accepted = [one.partition(";")[0].strip().lower() for one in headers.get("accept", "").split(",")]
    return _CSV in accepted and "application/json" not in accepted


def _page_size(text: str | None, wrong: list[Wrong]) -> int:
    if text is None:
        return DEFAULT_LINES
    try:
        return asking.whole(1, MAX_LINES)(text)
    except ValueError as error:
        wrong.append(Wrong(field="limit", code="invalid_parameter", message=str(error)))
        return DEFAULT_LINES


def _question(query: Query, row: str | None, kpi: str) -> str:
    """The same for each page of one ledger."""
    return hashlib.sha256(msgspec.json.encode((query, row, kpi))).hexdigest()[:16]


def _write_place(place: _Place) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


_NOT_OF_THIS_LIST: Final = "Not a cursor of this list: give it within a day, with the same parameters that the page before was asked with."


def _not_of_this_list() -> Problem:
    return Problem(status=400, code="invalid_parameter", field="cursor", detail=_NOT_OF_THIS_LIST)


def _problem(error: QueryWrong) -> Problem:
    """The first of what is wrong in the usual places, and everything in `parameters`."""
    first = error.wrong[0]
    parameters = [WrongParameter(field=one.field, code=one.code, detail=one.message) for one in error.wrong]
    return Problem(status=400, code=first.code, field=first.field, detail=first.message, parameters=parameters)


def _too_large(error: ReportTooLarge) -> Problem:
    text = str(error).rstrip(".")
    return Problem(status=422, code=error.code, detail=f"{text[:1].upper()}{text[1:]}.")


def _csv(text: str, name: str, *, cached: bool | None = None) -> Answer:
    headers = {"content-type": f"{_CSV}; charset=utf-8", "content-disposition": f'attachment; filename="{name}"'}
    if cached is not None:
        headers["x-tributary-cached"] = _said(cached)
    return Answer(text=text, headers=headers)


def _said(truth: bool) -> str:
    return "true" if truth else "false"


def _about(query: Query, report: Report, as_of: datetime) -> list[tuple[str, str]]:
    """The settings in force and what is said of the whole answer, as names and texts."""
    said = msgspec.to_builtins(settings_in_force(query))
    about = [("as_of", as_of.isoformat().replace("+00:00", "Z")), ("type", query.type.value)]
    about += [(name, _as_text(value)) for name, value in said.items()]
    about += [("rows_found", str(report.rows_found)), ("overlapping", _said(report.overlapping))]
    about += [("coverage_pct", _as_text(report.coverage_pct)), ("rates_source", report.rates_source or "")]
    return about


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
