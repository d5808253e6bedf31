"""Answers as CSV (RFC 4180), for spreadsheets and scripts.

The first column says what a line is: `row`, `total`, or, below an answer, `setting`, `kpi` and `note`; so a script takes the lines it wants, and a person who
opens the file sees what it was asked for. Money is decimal in the line's currency. A text that a spreadsheet would take for a formula gets an apostrophe in
front.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from tributary.currencies import MINOR_UNITS
from tributary.reports.answer import Column, Ledger, LedgerLine, Report, Row, Total, Unit, Value

_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What spreadsheets take for a formula, or for the end of the cell before one; the last four are the wide forms, which some take as well."""


def report_csv(report: Report, dimensions: Sequence[str], settings: Iterable[tuple[str, str]]) -> str:
    """`dimensions`: those of the rows, `period` first where there is one. `settings`: what the answer was asked for, for its lines below."""
    compared = any(row.before is not None for row in report.rows) or any(total.before is not None for total in report.totals)
    called = [name for name in dimensions if any(name in row.names for row in report.rows)]
    header = ["line", *dimensions, *(f"{name}_name" for name in called), "currency"]
    for column in report.columns:
        header += [column.key, *([f"{column.key}_before", f"{column.key}_change_pct"] if compared else [])]
    lines: list[list[str]] = [[*header, "unattributed", "immature", "key"]]
    for row in report.rows:
        told = [_safe(row.dimensions.get(name) or "") for name in dimensions] + [_safe(row.names.get(name, "")) for name in called]
        flags = ["true" if row.unattributed else "", "true" if row.immature else "", _safe(row.key)]
        lines.append(["row", *told, row.currency, *_cells(row, report.columns, compared=compared), *flags])
    blank = [""] * (len(dimensions) + len(called))
    lines += [["total", *blank, total.currency, *_cells(total, report.columns, compared=compared), "", "", ""] for total in report.totals]
    lines += [["setting", _safe(name), _safe(value)] for name, value in settings]
    lines += [["kpi", column.key, _safe(column.definition)] for column in report.columns]
    lines += [["note", _safe(note)] for note in report.notes]
    return _written(lines)


def ledger_csv(ledger: Ledger, unit: Unit, dimensions: Sequence[str], people: Mapping[str, tuple[str | None, str | None]]) -> str:
    """The lines of one page; `told_by` is their own connection, beside a dimension of that name. `people`: email and name, by the line's person."""
    header = ["person", "email", "name", "kind", "id", "told_by", "happened_at", "currency", "value", *dimensions]
    return _written([header, *(_ledger_line(line, unit, dimensions, people) for line in ledger.lines)])


def decimal_text(minor: float, currency: str) -> str:
    """Minor units as a decimal of the currency: 1999 USD → 19.99, 500 JPY → 500. Parts of a unit (of an average) keep up to six digits more."""
    digits = MINOR_UNITS.get(currency, 2)
    if isinstance(minor, int):
        return f"{Decimal(minor).scaleb(-digits):f}"
    text = f"{Decimal(str(minor)).scaleb(-digits):.{digits + 6}f}"
    whole, _, parts = text.partition(".")
    kept = parts.rstrip("0").ljust(digits, "0")
    return f"{whole}.{kept}" if kept else whole


def _ledger_line(line: LedgerLine, unit: Unit, dimensions: Sequence[str], people: Mapping[str, tuple[str | None, str | None]]) -> list[str]:
    email, name = people.get(line.person, (None, None))
    told = [_safe(line.dimensions.get(one) or "") for one in dimensions]
    moment = line.happened_at.isoformat().replace("+00:00", "Z")
    ids = [_safe(line.id or ""), _safe(line.connection or "")]
    return [_safe(line.person), _safe(email or ""), _safe(name or ""), line.kind, *ids, moment, line.currency, _cell(line.value, unit, line.currency), *told]


def _cells(line: Row | Total, columns: Sequence[Column], *, compared: bool) -> list[str]:
    cells: list[str] = []
    for column in columns:
        cells.append(_cell(line.values.get(column.key), column.unit, line.currency))
        if compared:
            cells.append(_cell((line.before or {}).get(column.key), column.unit, line.currency))
            change = (line.change or {}).get(column.key)
            cells.append("" if change is None else _number(change))
    return cells


def _cell(value: Value, unit: Unit, currency: str) -> str:
    if value is None:
        return ""
    return decimal_text(value, currency) if unit == "money" else _number(value)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{Decimal(str(value)):f}"


def _safe(text: str) -> str:
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULAS) else text


def _written(lines: Sequence[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerows(lines)
    return buffer.getvalue()
