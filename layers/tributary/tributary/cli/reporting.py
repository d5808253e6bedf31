"""`tributary.cli report`: reports worked out on this machine, out of the stack's facts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tributary.contacts.naming import Person, people_of
from tributary.control.report_answers import ReportDescriptions, descriptions
from tributary.ports import ContactStore
from tributary.reports.asking import Parameters, QueryWrong
from tributary.reports.engine import REPORTS
from tributary.reports.frame import RowUnknown
from tributary.reports.query import ReportType
from tributary.reports.reporting import Answered, Opened, Reports, reports_of

if TYPE_CHECKING:
    from tributary.cli.target import Target

TOTAL: Final = "total"
LEDGER_LINES: Final = 100
_DIGITS: Final = 6
"""Of a row's number; what is longer is a key."""
_MEMORY_MB: Final = 2_048
_ROOM: Final = 20 << 30
_SECONDS: Final = 600.0
"""Nobody's gateway gives up here."""

TYPES: Final = tuple(type.value for type in REPORTS)
OPTIONS: Final = {
    "range": "--range or --last",
    "from": "--from",
    "to": "--to",
    "group_by": "--by",
    "filter": "--where",
    "steps": "--step",
}
"""Parameters whose options are called otherwise."""


class EngineMissing(Exception):
    """DuckDB is not installed here."""


class NoSuchFigure(Exception):
    """There is no such row or KPI; the text says which there are."""


@dataclass(frozen=True)
class Desk:
    """Reports of a stack, and its people."""

    reports: Reports
    contacts: ContactStore

    def kinds(self) -> ReportDescriptions:
        return descriptions(self.reports)

    def report(self, type: ReportType, asked: Parameters) -> Answered:
        """Raises `QueryWrong`, `ReportTooLarge`, `StoreUnavailable`."""
        return self.reports.answer(type, asked)

    def ledger(self, type: ReportType, asked: Parameters, *, row: str, kpi: str | None, limit: int) -> tuple[Opened, Mapping[str, Person]]:
        """`row`: its number in the report, its key, or `total`. Raises `NoSuchFigure`, `QueryWrong`, `ReportTooLarge`, `StoreUnavailable`."""
        key = self._key(type, asked, row)
        query = self.reports.query(type, asked)
        known = self.reports.kinds[type].kpis(query)
        if kpi is not None and kpi not in known:
            raise NoSuchFigure(f"A KPI of this report is one of {', '.join(known)}.")
        try:
            opened = self.reports.ledger(query, row_key=key, kpi=kpi or query.kpis[0], limit=limit, offset=0)
        except RowUnknown as error:
            raise NoSuchFigure("This is not the key of a row of this report, asked so; --ledger takes a row's number too, or total.") from error
        return opened, people_of(self.contacts, {line.person for line in opened.ledger.lines})

    def _key(self, type: ReportType, asked: Parameters, row: str) -> str | None:
        if row == TOTAL:
            return None
        if not row.isascii() or not row.isdigit() or len(row) > _DIGITS:
            return row
        rows = self.report(type, asked).report.rows
        if not 1 <= int(row) <= len(rows):
            raise NoSuchFigure(f"This report has {len(rows)} rows; --ledger takes the number of one, its key, or total.")
        return rows[int(row) - 1].key


@contextmanager
def desk_of(target: Target) -> Iterator[Desk]:
    """Copies of facts are gone with the block. Raises `EngineMissing`."""
    try:
        from tributary.adapters.duck import Allowance  # noqa: PLC0415  (with DuckDB, which only reports need)
        from tributary.adapters.fact_reader import DuckFacts  # noqa: PLC0415
    except ImportError as error:
        raise EngineMissing("Reports are worked out with DuckDB, which is not installed here: run `make install`, or `pip install duckdb`.") from error
    from tributary.adapters.fact_files import S3FactObjects  # noqa: PLC0415
    from tributary.adapters.fact_manifest import DynamoManifests  # noqa: PLC0415
    from tributary.adapters.generations import DynamoGenerations  # noqa: PLC0415
    from tributary.adapters.settings_store import DynamoRows  # noqa: PLC0415
    from tributary.cli.people import contacts_of  # noqa: PLC0415

    generation = DynamoGenerations(lambda: target.dynamodb, target.config_table).now().serving
    with tempfile.TemporaryDirectory(prefix="tributary-facts-") as folder:
        facts = DuckFacts(
            S3FactObjects(lambda: target.s3, target.facts_bucket, generation=generation),
            DynamoManifests(lambda: target.dynamodb, target.config_table, generation=generation),
            Path(folder),
            allowance=Allowance(memory_mb=_MEMORY_MB, seconds=_SECONDS),
            room=_ROOM,
            now=_now,
        )
        reports = reports_of(facts=facts, kinds=REPORTS, rows=DynamoRows(lambda: target.dynamodb, target.config_table), now=_now)
        yield Desk(reports, contacts_of(target))


def parameters(given: dict[str, Any]) -> Parameters:
    """Of options by the names of the parameters' fields; None and empty ones were not given."""
    said: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items() if value not in (None, [], "")}
    return Parameters(**said)


def wrong(error: QueryWrong) -> list[str]:
    """All that is wrong with a question, by the options' names, a line each."""
    return [f"{OPTIONS.get(one.field) or '--' + one.field.replace('_', '-')}: {one.message}" for one in error.wrong]


def as_data(answer: msgspec.Struct) -> dict[str, Any]:
    """As the API's JSON would be read."""
    data: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(answer))
    return data


def type_of(name: str) -> ReportType | None:
    """The type of a report by its name, if there is one."""
    return next((type for type in REPORTS if type.value == name), None)


def _now() -> datetime:
    return datetime.now(UTC)
