"""CSV as people and ad platforms write it → rows of known columns.

UTF-8 with or without a mark, or UTF-16 with one; commas, semicolons or tabs; lines of a title before the header. A column that we do not know is left out and
named, as exports have dozens.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final

from tributary.entered.reading import Row

MAX_TITLE_ROWS: Final = 10
"""How far down a header is looked for: Google puts two rows above it."""

_DELIMITERS: Final = (",", ";", "\t")
_WITH_CURRENCY: Final = re.compile(r"(.+?)\s*\(([A-Za-z]{3})\)")
"""As Meta writes it: `Amount spent (USD)`."""
_DAYS: Final = frozenset({"date", "day"})
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class FileUnreadable(Exception):
    """The file as a whole cannot be read. `code` is stable; the text says what to do, and `column` which one is at fault, if one is."""

    def __init__(self, code: str, message: str, *, column: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.column = column


@dataclass(frozen=True)
class Columns:
    """What a file may hold: a column → the names that others give it, the likeliest first. Case, blanks and underscores do not matter."""

    names: Mapping[str, Sequence[str]]
    needed: Sequence[Sequence[str]]
    """One of each must be there for a row to be the header."""
    amounts: Sequence[str] = ()
    """Columns whose header may name the currency."""


@dataclass(frozen=True)
class Table:
    rows: list[Row]
    ignored: list[str]
    """Columns that were left out, as the file calls them."""
    currency: str | None = None
    """Of the header, if it names one."""


@dataclass(frozen=True)
class _Header:
    columns: list[str | None]
    """What each cell of a row is; None: nothing that we read."""
    ignored: list[str]
    currency: str | None


def read(body: bytes, columns: Columns) -> Table:
    """The rows of a file. Raises `FileUnreadable`."""
    text = _decoded(body)
    if not text.strip():
        raise FileUnreadable("no_rows", "The file is empty.")
    missing: list[str] = []
    for delimiter in _DELIMITERS:
        for number, cells in enumerate(_first_records(text, delimiter)):
            header = _header(cells, columns)
            lacking = _lacking(header, columns)
            if not lacking:
                return _table(header, _records(text, delimiter)[number + 1 :], first=number + 2)
            if not missing or len(lacking) < len(missing):
                missing = lacking
    raise FileUnreadable("header_missing", f"No row names the columns that are needed; there is none for {', '.join(missing)}.", column=missing[0])


def _decoded(body: bytes) -> str:
    encoding = "utf-16" if body.startswith(_UTF16) else "utf-8-sig"
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        raise FileUnreadable("malformed_csv", "The file is neither UTF-8 nor UTF-16 with a byte order mark.") from error


def _reader(text: str, delimiter: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def _first_records(text: str, delimiter: str) -> Iterator[list[str]]:
    """Those among which the header is looked for, as far as this delimiter makes sense of them."""
    with suppress(csv.Error):
        yield from islice(_reader(text, delimiter), MAX_TITLE_ROWS)


def _records(text: str, delimiter: str) -> list[list[str]]:
    records: list[list[str]] = []
    try:
        for record in _reader(text, delimiter):
            records.append(record)  # noqa: PERF402  (how many there are says where it broke)
    except csv.Error as error:
        raise FileUnreadable("malformed_csv", f"Row {len(records) + 1} is not CSV: its quotes do not close, or a cell is very long.") from error
    return records


def _header(cells: Sequence[str], columns: Columns) -> _Header:
    known = {_folded(name): (place, column) for column, names in columns.names.items() for place, name in enumerate((column, *names))}
    best: dict[str, tuple[int, int]] = {}
    currencies: dict[int, str] = {}
    for index, cell in enumerate(cells):
        name = cell.strip()
        named = _WITH_CURRENCY.fullmatch(name)
        if _folded(name) not in known and named is not None and known.get(_folded(named[1]), (0, ""))[1] in columns.amounts:
            name, currencies[index] = named[1], named[2].upper()
        if _folded(name) not in known:
            continue
        place, column = known[_folded(name)]
        if column in best and best[column][0] == place:
            raise FileUnreadable("repeated_column", "The header has this column twice.", column=column)
        if column not in best or place < best[column][0]:
            best[column] = (place, index)
    taken = {index: column for column, (_, index) in best.items()}
    named_currencies = {currency for index, currency in currencies.items() if index in taken}
    if len(named_currencies) > 1:
        raise FileUnreadable("several_currencies", "The header names several currencies.")
    return _Header(
        columns=[taken.get(index) for index in range(len(cells))],
        ignored=[cell.strip() for index, cell in enumerate(cells) if index not in taken and cell.strip()],
        currency=next(iter(named_currencies), None),
    )


def _lacking(header: _Header, columns: Columns) -> list[str]:
    return [choice[0] for choice in columns.needed if not any(column in header.columns for column in choice)]


def _table(header: _Header, records: Sequence[Sequence[str]], *, first: int) -> Table:
    rows: list[Row] = []
    for number, cells in enumerate(records, start=first):
        if not any(cell.strip() for cell in cells) or _is_sum(header, cells):
            continue
        if len(cells) != len(header.columns):
            more = "more" if len(cells) > len(header.columns) else "fewer"
            rows.append(Row(number, {}, fault=f"It has {more} cells than the header: a cell with the separator in it has to stand in quotes."))
            continue
        rows.append(Row(number, {column: cell for column, cell in zip(header.columns, cells, strict=True) if column is not None}))
    return Table(rows, header.ignored, header.currency)


def _is_sum(header: _Header, cells: Sequence[str]) -> bool:
    """Google ends its reports with rows such as `Total: Account`, in place of the day."""
    return any(column in _DAYS and _folded(cell).startswith("total") for column, cell in zip(header.columns, cells, strict=False))


def _folded(name: str) -> str:
    return re.sub(r"[\s_]+", " ", name.strip().lower())
