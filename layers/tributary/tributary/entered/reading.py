"""Rows that people enter, as JSON or CSV, read cell by cell: what is wrong with a row is said of its column, and the other rows stand.

In JSON an amount is an integer of minor units, as everywhere in the API. In CSV it is a decimal of the currency, as ad platforms export it. No text of an error
repeats what was sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from tributary.currencies import MINOR_UNITS, is_currency

MAX_TEXT: Final = 255
"""Characters of a name, an id or a utm value: no platform gives longer ones."""
MAX_DIGITS: Final = 15
"""Before the point: what is longer is a mistake, and sums of it would leave 64 bits."""
MAX_DECIMALS: Final = 12
"""Behind the point: as many as a rate is kept with."""
EARLIEST: Final = date(2000, 1, 1)

Form = Literal["json", "csv"]

T = TypeVar("T")

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DECIMAL: Final = re.compile(rf"-?[0-9]{{1,{MAX_DIGITS}}}(\.[0-9]{{1,{MAX_DECIMALS}}})?")
_GROUPED_DECIMAL: Final = re.compile(r"-?[0-9]{1,3}(,[0-9]{3})+\.[0-9]+")
"""Commas that can be nothing but groups of thousands, since there is a point behind them. `1,234` alone might be either."""
_WHOLE: Final = re.compile(rf"-?[0-9]{{1,{MAX_DIGITS + 3}}}")
_GROUPED_WHOLE: Final = re.compile(r"[0-9]{1,3}(,[0-9]{3})+")
_ROUNDED_ID: Final = re.compile(r"[0-9](\.[0-9]+)?E\+?[0-9]+|[0-9]+\.0+", re.IGNORECASE)
"""A long number that a spreadsheet took for a quantity: its last digits are lost."""
_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_UNPRINTED: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MICROS: Final = 1_000_000


class RowError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a row was not taken."""

    row: Annotated[int, Meta(description="JSON: its place in `rows`, from 1. CSV: as a spreadsheet counts, so that the row below the header is 2.")]
    column: Annotated[str | None, Meta(description="The column at fault, by its name here; null where it is the row itself.")]
    reason: str


@dataclass(frozen=True)
class Row:
    """A row as it was sent: cells by our names of the columns."""

    number: int
    cells: Mapping[str, Any]
    fault: str | None = None
    """What is wrong with the row itself, or with a column that there is not; then it has no cells."""
    fault_column: str | None = None


@dataclass
class Reader:
    """Reads the cells of a row; gathers what is wrong in `errors`, where a value is None then. A cell that is empty or null is one that is not there."""

    row: Row
    form: Form
    errors: list[RowError] = field(default_factory=list)

    def wrong(self, column: str | None, reason: str) -> None:
        self.errors.append(RowError(row=self.row.number, column=column, reason=reason))

    def errors_of(self, column: str) -> bool:
        """Whether something is wrong with a column."""
        return any(error.column == column for error in self.errors)

    def has(self, column: str) -> bool:
        return self._cell(column) is not None

    def text(self, column: str) -> str | None:
        """A name: trimmed, printable, nothing personal."""
        return self._read(column, _text)

    def id(self, column: str) -> str | None:
        """An id of a platform: text, since numbers of 18 digits do not survive a spreadsheet or JavaScript."""
        return self._read(column, _id)

    def slug(self, column: str) -> str | None:
        """A name that is the same in any spelling: small letters, `_` for blanks."""
        found = self.text(column)
        return None if found is None else re.sub(r"\s+", "_", found.lower())

    def day(self, column: str, *, latest: date) -> date | None:
        """A calendar day, since 2000 and not after `latest`; needed."""
        return self._read(column, lambda found: _day(found, latest), needed=True)

    def currency(self, column: str) -> str | None:
        """A code of ISO 4217, in any case."""
        return self._read(column, _currency)

    def time_zone(self, column: str) -> str | None:
        return self._read(column, _time_zone)

    def whole(self, column: str) -> int | None:
        """A count: 0 or more."""
        return self._read(column, lambda found: _count(found, self.form))

    def money(self, column: str, currency: str) -> int | None:
        """An amount in minor units of the currency, exact: one with more digits than the currency has is refused, never rounded."""
        return self._read(column, lambda found: _minor_units(found, currency) if self.form == "json" else _amount(found, currency))

    def micros(self, column: str, currency: str) -> int | None:
        """An amount in millionths of the currency, as Google gives it, to minor units: the one place where rounding is needed, half to even."""
        return self._read(column, lambda found: _from_micros(found, currency))

    def rate(self, column: str) -> Decimal | None:
        """A decimal above 0, exact; needed. In JSON a number, or text."""
        return self._read(column, _rate, needed=True)

    def _read(self, column: str, parse: Callable[[Any], T], *, needed: bool = False) -> T | None:
        found = self._cell(column)
        if found is None:
            if needed:
                self.wrong(column, "It is needed.")
            return None
        try:
            return parse(found)
        except _Wrong as wrong:
            self.wrong(column, str(wrong))
            return None

    def _cell(self, column: str) -> Any:
        found = self.row.cells.get(column)
        if isinstance(found, str):
            found = found.strip()
        return None if found == "" else found


class _Wrong(Exception):
    """What is wrong with a cell, as a sentence without its value."""


def _text(found: Any) -> str:
    if not isinstance(found, str):
        raise _Wrong("This is text.")
    if len(found) > MAX_TEXT:
        raise _Wrong(f"It has more than {MAX_TEXT} characters.")
    if _UNPRINTED.search(found):
        raise _Wrong("It has line ends or characters that cannot be printed.")
    if _EMAIL.search(found):
        raise _Wrong("It holds an email address; reports keep nothing personal.")
    return found


def _id(found: Any) -> str:
    if not isinstance(found, str):
        raise _Wrong("An id is text: put it in quotes.")
    if _ROUNDED_ID.fullmatch(found):
        raise _Wrong("A spreadsheet has rounded this id: format the column as text and export it again.")
    return _text(found)


def _day(found: Any, latest: date) -> date:
    if not isinstance(found, str) or not _DAY.fullmatch(found):
        raise _Wrong("A day is written 2026-03-08.")
    try:
        day = date.fromisoformat(found)
    except ValueError as error:
        raise _Wrong("There is no such day.") from error
    if day < EARLIEST:
        raise _Wrong(f"Days begin at {EARLIEST}.")
    if day > latest:
        raise _Wrong("That day has yet to come.")
    return day


def _currency(found: Any) -> str:
    if not isinstance(found, str) or not is_currency(found.upper()):
        raise _Wrong("Not an ISO 4217 currency code such as USD.")
    return str(found).upper()


def _time_zone(found: Any) -> str:
    name = _text(found)
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:  # a malformed name, a folder of the database, no such zone
        raise _Wrong("Not an IANA time zone such as America/New_York.") from error
    return name


def _count(found: Any, form: Form) -> int:
    if form == "csv" and isinstance(found, str) and (_WHOLE.fullmatch(found) or _GROUPED_WHOLE.fullmatch(found)):
        found = int(found.replace(",", ""))
    count = _integer(found, "Not a whole number.")
    if count < 0:
        raise _Wrong("It cannot be below 0.")
    return count


def _minor_units(found: Any, currency: str) -> int:
    return _integer(found, f"An amount in JSON is an integer of minor units: {_example(currency)}.")


def _amount(found: Any, currency: str) -> int:
    minor = _decimal(found).scaleb(MINOR_UNITS[currency])
    if minor != minor.to_integral_value():
        raise _Wrong(f"{currency} has {MINOR_UNITS[currency] or 'no'} digits behind the point.")
    return _integer(int(minor), "Not an amount.")


def _from_micros(found: Any, currency: str) -> int:
    if isinstance(found, str) and _WHOLE.fullmatch(found):
        found = int(found)
    micros = _integer(found, "Millionths of the currency are a whole number.", digits=MAX_DIGITS + 3)
    whole, rest = divmod(micros * 10 ** MINOR_UNITS[currency], _MICROS)
    up = 2 * rest > _MICROS or (2 * rest == _MICROS and whole % 2 == 1)
    return int(whole) + int(up)


def _integer(found: Any, otherwise: str, *, digits: int = MAX_DIGITS) -> int:
    if not isinstance(found, int) or isinstance(found, bool):
        raise _Wrong(otherwise)
    if not -(10**digits) < found < 10**digits:
        raise _Wrong(f"It has more than {digits} digits.")
    return found


def _rate(found: Any) -> Decimal:
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)
    elif isinstance(found, Decimal) and abs(found.adjusted()) <= MAX_DIGITS:  # written out, 1e999999 would be a million digits
        found = f"{found:f}"
    rate = _decimal(found)
    if rate <= 0:
        raise _Wrong("A rate is above 0.")
    return rate


def _decimal(found: Any) -> Decimal:
    if isinstance(found, str) and _GROUPED_DECIMAL.fullmatch(found):
        found = found.replace(",", "")
    if isinstance(found, str) and _DECIMAL.fullmatch(found):
        return Decimal(found)
    if isinstance(found, str) and "," in found:
        raise _Wrong("A comma can be read in two ways: write 1234.56, with a point and without groups.")
    raise _Wrong(f"Not a decimal such as 1234.56, of at most {MAX_DIGITS} digits before and {MAX_DECIMALS} behind the point.")


def _example(currency: str) -> str:
    """An amount both ways: `1234 for 12.34 USD`, `12 for 12 JPY`."""
    units = MINOR_UNITS[currency]
    minor = "123456"[: 2 + units]
    return f"{minor} for {Decimal(minor).scaleb(-units)} {currency}"
