"""Reading the properties of an event that anybody may have sent: what is not of the form expected is passed over, what is too long is cut.

Money is exact: a decimal number becomes whole minor units of its currency without a binary fraction on the way. Half a minor unit goes to the even neighbour.
An amount whose event names no currency keeps ten-thousandths, and gets its currency when it is read: from its order, else from the shop's default. So the
default can change without anything being rebuilt.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from tributary.contacts.versions import micros
from tributary.currencies import MINOR_UNITS
from tributary.identity.identifiers import is_usable

DEFAULT_CURRENCY: Final = "USD"
MAX_TEXT_BYTES: Final = 200
MAX_AMOUNT: Final = 10**15
"""Minor units. What is more is a mistake, and no JSON number of every language."""

_MOST_DIGITS: Final = 20
"""Before or behind the point: `1e999999` is text that `Decimal` reads and nobody can reckon with."""
_UNRESOLVED_UNITS: Final = 4
"""The most that any currency has, so that nothing is lost while the currency is not known."""
_USUAL_UNITS: Final = 2


class Money(msgspec.Struct, frozen=True, array_like=True):
    amount: int
    """In minor units of the currency; without one in ten-thousandths."""
    currency: str | None = None

    def within(self, currency: str) -> Money:
        """The same with its currency, which is the given one if none was named."""
        return self if self.currency is not None else Money(in_minor_units(self.amount, currency), currency)


def text(properties: Mapping[str, Any], name: str) -> str | None:
    """Text, or a number as text; nothing for what is empty."""
    value = properties.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    found = str(value).strip()
    return found.encode()[:MAX_TEXT_BYTES].decode(errors="ignore").strip() or None


def identifier(properties: Mapping[str, Any], name: str) -> str | None:
    """An id: whole, never cut; nothing for `null`, zeros and what is over 255 bytes."""
    value = properties.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    found = str(value).strip()
    return found if is_usable(found) else None


def whole(properties: Mapping[str, Any], name: str) -> int | None:
    found = _decimal(properties.get(name))
    return int(found) if found is not None and found == found.to_integral_value() and abs(found) <= MAX_AMOUNT else None


def flag(properties: Mapping[str, Any], name: str) -> bool | None:
    value = properties.get(name)
    return value if isinstance(value, bool) else None


def moment(properties: Mapping[str, Any], name: str) -> int | None:
    """A time in ISO 8601 as microseconds since 1970; without a zone it is UTC."""
    return moment_of(properties.get(name))


def moment_of(value: Any) -> int | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.strip())
        return micros(found if found.tzinfo is not None else found.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def currency(properties: Mapping[str, Any]) -> str | None:
    """The currency's code, in upper case; nothing for what is no code of three letters. One that ISO does not list is kept, with two digits."""
    value = properties.get("currency")
    code = value.strip().upper() if isinstance(value, str) else ""
    return code if len(code) == 3 and code.isascii() and code.isalpha() else None


def amount(properties: Mapping[str, Any], name: str, code: str | None) -> int | None:
    """An amount in minor units of its currency, or in ten-thousandths where `code` is None."""
    found = _decimal(properties.get(name))
    if found is None:
        return None
    minor = _rounded(found.scaleb(_UNRESOLVED_UNITS if code is None else units_of(code)))
    return minor if abs(minor) <= MAX_AMOUNT else None


def money(properties: Mapping[str, Any], name: str) -> Money | None:
    """An amount without its sign: a refund is one, however it is written."""
    code = currency(properties)
    found = amount(properties, name, code)
    return None if found is None else Money(abs(found), code)


def in_minor_units(ten_thousandths: int, code: str) -> int:
    return _rounded(Decimal(ten_thousandths).scaleb(units_of(code) - _UNRESOLVED_UNITS))


def units_of(code: str) -> int:
    return MINOR_UNITS.get(code, _USUAL_UNITS)


def _decimal(value: Any) -> Decimal | None:
    """A JSON number by its shortest writing, which is what was sent; text with or without thousands commas."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    written = value.replace(",", "").strip() if isinstance(value, str) else repr(value)
    try:
        found = Decimal(written[:40])
    except InvalidOperation:
        return None
    if not found.is_finite() or found.adjusted() > _MOST_DIGITS:
        return None
    return found if found.adjusted() > -_MOST_DIGITS else Decimal(0)


def _rounded(value: Decimal) -> int:
    return int(value.to_integral_value(rounding=ROUND_HALF_EVEN))
