"""The routes of `/api/reports`: which reports there are, a report, and the people and orders behind one of its figures."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tributary.access import require
from tributary.contacts.naming import people_of
from tributary.control.http import Answer, Call, Route
from tributary.control.problems import Problem, WrongParameter
from tributary.control.report_answers import (
    LedgerAnswer,
    ReportAnswer,
    ReportDescriptions,
    descriptions,
    ledger_answer,
    ledger_text,
    report_answer,
    report_text,
)
from tributary.errors import ReportTooLarge
from tributary.ports import ContactStore
from tributary.reports import asking
from tributary.reports.asking import Parameters, QueryWrong, Wrong, parameters_of
from tributary.reports.frame import RowUnknown
from tributary.reports.query import Query, ReportType
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
        return Answer(body=descriptions(self.reports))

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
        headers = {"x-tributary-cached": "true" if answered.cached else "false"}
        if as_csv:
            return _csv(report_text(answered), f"{type}.csv", headers)
        return Answer(body=report_answer(answered), headers=headers)

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
            return _csv(ledger_text(opened, people), f"{type}-ledger.csv", {} if following is None else {"x-next-cursor": following})
        return Answer(body=ledger_answer(opened, people, next_cursor=following))

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


def _csv(text: str, name: str, headers: Mapping[str, str]) -> Answer:
    return Answer(text=text, headers={"content-type": f"{_CSV}; charset=utf-8", "content-disposition": f'attachment; filename="{name}"', **headers})
