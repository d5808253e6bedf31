"""Answering reports: a checked question, the facts it needs, the answer of its type of report, and what was answered lately.

An answer is as of the moment its facts were looked for. While the facts are the same it is given again to an identical question, for at most a minute, as of
that first moment: what was to come has come by then. It is kept in the memory of this sandbox alone: others work it out again, which costs a second and keeps
no second copy of anything.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from tributary.entered.fixed_costs import fixed_costs
from tributary.operator import Rows
from tributary.ports import Facts
from tributary.reports.answer import Ledger, Report, Unit
from tributary.reports.asking import Parameters, Settings, Wrong, query_of
from tributary.reports.frame import ReportKind
from tributary.reports.kpis import Kpi, signed
from tributary.reports.query import FixedCost, Query, ReportType
from tributary.settings import Account

FIXED_COSTS: Final = "fixed_costs"
"""The KPI of the account's own costs, which all reports with spend take in."""
KEPT_ANSWERS: Final = 100
KEPT_FOR: Final = timedelta(minutes=1)
"""As far as answers may be behind."""
KEPT_ROWS: Final = 50_000
"""Of all kept answers together: some 50 MB beside what the engine has."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    query: Query
    """With every setting in force."""
    report: Report
    as_of: datetime
    cached: bool


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A figure, and what is behind it."""

    query: Query
    row: str | None
    """Its key; None: the total."""
    kpi: str
    ledger: Ledger
    unit: Unit
    """Of the lines' values: of a rate, what is divided."""
    as_of: datetime


class _Kept:
    """The latest answers, bounded by number and by rows."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[str, Query], Answered] = OrderedDict()
        self._rows = 0

    def get(self, snapshot: str, query: Query, *, at: datetime) -> Answered | None:
        """The answer to the same question about the same facts, if it is not too old at a time."""
        key = (snapshot, _timeless(query))
        found = self._answers.get(key)
        if found is None or at - found.as_of >= KEPT_FOR:
            return None
        self._answers.move_to_end(key)
        return found

    def put(self, snapshot: str, answered: Answered) -> None:
        key = (snapshot, _timeless(answered.query))
        self._rows += len(answered.report.rows) - (len(self._answers[key].report.rows) if key in self._answers else 0)
        self._answers[key] = answered
        self._answers.move_to_end(key)
        while self._answers and (len(self._answers) > KEPT_ANSWERS or self._rows > KEPT_ROWS):
            _, oldest = self._answers.popitem(last=False)
            self._rows -= len(oldest.report.rows)


@dataclass(frozen=True)
class Reports:
    """The use cases of reports."""

    facts: Facts
    kinds: Mapping[ReportType, ReportKind]
    settings: Callable[[], Settings]
    """The account's, as they are now."""
    fixed_costs: Callable[[], Sequence[FixedCost]]
    now: Callable[[], datetime]
    _kept: _Kept = field(default_factory=_Kept)

    def answer(self, type: ReportType, parameters: Parameters, *, wrong: Sequence[Wrong] = ()) -> Answered:
        """Raises `QueryWrong`, `ReportTooLarge`, `StoreUnavailable`."""
        query = self.query(type, parameters, wrong=wrong)
        kind = self.kinds[type]
        with self.facts.open(kind.needs(query)) as relations:
            kept = self._kept.get(relations.snapshot, query, at=relations.as_of)
            if kept is not None:
                return replace(kept, cached=True)
            answered = Answered(query=query, report=kind.answer(query, relations), as_of=relations.as_of, cached=False)
            self._kept.put(relations.snapshot, answered)
            return answered

    def ledger(self, query: Query, *, row_key: str | None, kpi: str, limit: int, offset: int) -> Opened:
        """`query`: of `query`. Raises `RowUnknown`, `ReportTooLarge`, `StoreUnavailable`."""
        kind = self.kinds[query.type]
        # The figure that is opened may be none of those that the report shows.
        needs = kind.needs(msgspec.structs.replace(query, kpis=tuple(dict.fromkeys((*query.kpis, kpi)))))
        with self.facts.open(needs) as relations:
            found = kind.ledger(query, relations, row_key=row_key, kpi=kpi, limit=limit, offset=offset)
            return Opened(query=query, row=row_key, kpi=kpi, ledger=found, unit=_unit_of_lines(kind.kpis(query), kpi), as_of=relations.as_of)

    def query(self, type: ReportType, parameters: Parameters, *, now: datetime | None = None, wrong: Sequence[Wrong] = ()) -> Query:
        """The question that these parameters are, asked `now`. Raises `QueryWrong`."""
        asked_at = self.now() if now is None else now
        kind = self.kinds[type]
        costs = tuple(self.fixed_costs()) if FIXED_COSTS in kind.kpis() else ()
        return query_of(type, parameters, kind=kind, settings=self.settings(), now=asked_at, fixed_costs=costs, wrong=wrong)


def _unit_of_lines(kpis: Mapping[str, Kpi], key: str) -> Unit:
    """That of the sum which the lines come to: a KPI of its own, or its parts are some."""
    asked = kpis[key]
    if not asked.under:
        return asked.column.unit
    sums: dict[str, Unit] = {kpi.over[0]: kpi.column.unit for kpi in kpis.values() if not kpi.under and len(kpi.over) == 1}
    return next((sums[name] for name, _ in signed(asked.over) if name in sums), "money" if asked.column.unit == "money" else "number")


def _timeless(query: Query) -> Query:
    """The question as it is known again: whenever it was asked."""
    return msgspec.structs.replace(query, now=_ANY_TIME)


_ANY_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)


def reports_of(*, facts: Facts, kinds: Mapping[ReportType, ReportKind], rows: Rows, now: Callable[[], datetime]) -> Reports:
    """On the account's own settings and costs, as they are at each question."""
    return Reports(
        facts=facts,
        kinds=kinds,
        settings=lambda: settings_of(_account(rows)),
        fixed_costs=lambda: fixed_costs(rows),
        now=now,
    )


def _account(rows: Rows) -> Account:
    row = rows.get("account", "settings")
    return Account() if row is None else msgspec.json.decode(row.data, type=Account)


def settings_of(account: Account) -> Settings:
    """What an account's row says of its reports."""
    return Settings(time_zone=account.time_zone, currency=account.reporting_currency, defaults=account.report_defaults, fields=tuple(account.report_fields))
