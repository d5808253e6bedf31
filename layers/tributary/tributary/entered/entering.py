"""What people enter for reports. A request's rows of ad spend or rates, JSON or CSV, become a batch. The control API and the command line do it through
`Entering`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from tributary.entered import ad_spend, csv_files, rates
from tributary.entered.ad_spend import AdSpendRow, Defaults
from tributary.entered.batches import AD_SPEND, RATES, Batch, Batches, BatchFiles
from tributary.entered.csv_files import FileUnreadable
from tributary.entered.fixed_costs import FixedCosts
from tributary.entered.rates import RateRow
from tributary.entered.reading import Form, Row, RowError
from tributary.facts.tables import AdSpendFact, RateFact
from tributary.operator import Invalid, Operator, Rows
from tributary.ports import FactSink

MAX_ROWS: Final = 20_000
"""Of a request: what a function reads, keeps and tells well within its time. A year of 50 advertisements."""
MAX_BODY_BYTES: Final = 4_000_000
"""Lambda takes 6 MB a call, in which the gateway has escaped every quote and line end."""
_AHEAD: Final = timedelta(days=1)
"""Somewhere it is tomorrow already."""

_json: Final = msgspec.json.Decoder(float_hook=Decimal)


class NoUsableRows(Exception):
    """Not one row can be taken; `errors` say why."""

    def __init__(self, errors: Sequence[RowError]) -> None:
        super().__init__("no usable row")
        self.errors = errors


class TooManyRows(Exception):
    """More than `MAX_ROWS`."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the caller says of the rows as a whole."""

    label: str = ""
    platform: str | None = None
    account_id: str | None = None
    currency: str | None = None
    time_zone: str | None = None
    source: str | None = None
    """Of rates."""
    whole: bool = False
    """Whether one bad row refuses all."""
    key: str | None = None
    """The Idempotency-Key."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    batch: Batch
    repeated: bool
    errors: Sequence[RowError]
    ignored: Sequence[str] = ()
    """Columns of a CSV that were left out."""


@dataclass(frozen=True)
class Entering:
    spend: Batches[AdSpendFact]
    rates: Batches[RateFact]
    fixed_costs: FixedCosts
    reporting_currency: Callable[[], str]
    now: Callable[[], datetime]

    def ad_spend(self, given: Sequence[Any] | bytes, said: Said) -> Outcome:
        """Rows of JSON as they were sent (`Raw`), or a CSV file. Raises `FileUnreadable`, `TooManyRows`, `NoUsableRows`, `Refused`, `StoreUnavailable`."""
        form, rows, ignored, of_header = _rows(given, ad_spend.COLUMNS, AdSpendRow)
        if of_header is not None and said.currency not in (None, of_header):
            raise Invalid("the file's header names another currency", field="currency")
        defaults = Defaults(
            currency=of_header or said.currency or self.reporting_currency(),
            header_names_currency=of_header is not None,
            platform=said.platform,
            account_id=said.account_id,
            time_zone=said.time_zone,
        )
        facts, errors = ad_spend.facts(rows, form=form, defaults=defaults, latest=self._latest())
        _check(facts, errors, said)
        entered = self.spend.enter(facts, label=said.label, errors=errors, refused=len(rows) - len(facts), key=said.key)
        return Outcome(batch=entered.batch, repeated=entered.repeated, errors=errors, ignored=ignored)

    def rates_of(self, given: Sequence[Any] | bytes, said: Said) -> Outcome:
        """As `ad_spend`, of rates."""
        form, rows, ignored, _ = _rows(given, rates.COLUMNS, RateRow)
        facts, errors = rates.facts(rows, form=form, source=said.source, latest=self._latest())
        _check(facts, errors, said)
        entered = self.rates.enter(facts, label=said.label, errors=errors, refused=len({error.row for error in errors}), key=said.key)
        return Outcome(batch=entered.batch, repeated=entered.repeated, errors=errors, ignored=ignored)

    def _latest(self) -> date:
        return (self.now() + _AHEAD).date()


def entering_of(*, rows: Rows, files: BatchFiles, sink: FactSink, operator: Operator, now: Callable[[], datetime]) -> Entering:
    """All of it on the same stores."""
    return Entering(
        spend=Batches(AD_SPEND, rows=rows, files=files, sink=sink, now=now),
        rates=Batches(RATES, rows=rows, files=files, sink=sink, now=now),
        fixed_costs=FixedCosts(rows),
        reporting_currency=lambda: operator.account().value.reporting_currency,
        now=now,
    )


def _rows(given: Sequence[Any] | bytes, columns: csv_files.Columns, row: type[msgspec.Struct]) -> tuple[Form, Sequence[Row], Sequence[str], str | None]:
    """The form of what was given, its rows, the columns left out, the currency of its header."""
    if isinstance(given, bytes):
        table = csv_files.read(given, columns)
        rows: Sequence[Row] = table.rows
        form: Form = "csv"
        ignored: Sequence[str] = table.ignored
        of_header = table.currency
    else:
        known = frozenset(row.__struct_encode_fields__)
        rows = [_row_of_json(number, raw, known) for number, raw in enumerate(given, start=1)]
        form, ignored, of_header = "json", (), None
    if not rows:
        raise FileUnreadable("no_rows", "There are no rows.")
    if len(rows) > MAX_ROWS:
        raise TooManyRows
    return form, rows, ignored, of_header


def _row_of_json(number: int, raw: Any, known: frozenset[str]) -> Row:
    try:
        cells = _json.decode(raw)
    except msgspec.DecodeError:  # a number that no decimal holds
        return Row(number, {}, fault="It cannot be read.")
    if not isinstance(cells, dict):
        return Row(number, {}, fault="A row is an object.")
    unknown = sorted(cells.keys() - known)
    if unknown:
        return Row(number, {}, fault=f"There is no such column. There are {', '.join(sorted(known))}.", fault_column=unknown[0][:64])
    return Row(number, cells)


def _check(facts: Sequence[Any], errors: Sequence[RowError], said: Said) -> None:
    if not facts or (said.whole and errors):
        raise NoUsableRows(errors)
