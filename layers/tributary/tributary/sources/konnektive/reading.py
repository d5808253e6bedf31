"""Rows of the API, read tolerantly: one field at a time, by name, so that what is not asked for here does not exist for us.

Konnektive is PHP: a number may be its digits, a missing value null, an empty text or no key at all, an empty object a list. A value that cannot be read is
None, except where a wrong value would be a wrong order: there `RowUnreadable` names the field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from tributary.currencies import MINOR_UNITS, is_currency
from tributary.errors import RowUnreadable

Row = Mapping[str, Any]

MAX_TEXT: Final = 1_024
"""Characters kept of a text."""
MAX_SHORT_TEXT: Final = 256
"""Of what an event holds many of: a product's name, a value of a merchant's own field."""
MAX_URL: Final = 2_048
MAX_CUSTOM_FIELDS: Final = 100
MAX_ITEMS: Final = 100
"""Of one order: its event fits one item of the log (400 KB) whatever is in it. The money is the order's own, not the sum of these."""
MAX_TAGS: Final = 50

_ID: Final = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_LARGEST_AMOUNT: Final = Decimal(10) ** 12
_AMOUNT: Final = re.compile(r"([+-]?)\s*[^\d\s.,+\-A-Za-z]?\s*([+-]?)((?:\d{1,3}(?:,\d{3})+|\d{1,15})?(?:\.\d{0,15})?)", re.ASCII)
_LOCAL: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2}))?(?:\.\d+)?)?", re.ASCII)
_WHOLE: Final = re.compile(r"-?\d{1,15}(?:\.0*)?", re.ASCII)
_LARGEST_WHOLE: Final = 10**15
_YEARS: Final = range(1990, 2200)
"""Outside of these a time is a fault, and conversion between zones may overflow."""

_SECRET_NAME: Final = re.compile(
    r"card|cvv|cvc|csc\b|security.?code|expir|passw|\bpwd|\bpin\b|^ach|routing|account.?(?:no|num)|iban|\bssn\b|social.?security|descriptor|auth.?code|avs.?resp|\bbin\b",
    re.IGNORECASE,
)
"""Names under which a merchant's own fields hold what must never be kept."""
_CARD_DIGITS: Final = re.compile(r"(?<!\d)\d(?:[ \-]?\d){12,18}(?!\d)", re.ASCII)
_ISSUERS: Final = re.compile(
    r"4\d{12}(?:\d{3}|\d{6})?|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|6(?:011|4[4-9]\d|5\d\d)\d{12}|35\d{14}|3(?:0[0-5]|[68]\d)\d{11}",
    re.ASCII,
)
"""Beginnings and lengths of card numbers: an advertisement's id of 17 digits is none."""


def text(row: Row, name: str, limit: int = MAX_TEXT) -> str | None:
    """A text without the blanks around it, a number as its digits; None for nothing and for what is neither."""
    value = exact_text(row, name, limit)
    return None if value is None else value.strip()


def exact_text(row: Row, name: str, limit: int = MAX_TEXT) -> str | None:
    """A text as it stands, blanks around it included; None if it is nothing but blanks."""
    return _as_text(row.get(name), limit)


def id_of(row: Row, name: str) -> str | None:
    """An id as text. None for none, and for what no id looks like."""
    value = row.get(name)
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_WHOLE:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    found = str(value).strip() if not isinstance(value, int) or abs(value) < _LARGEST_WHOLE else ""
    return found if _ID.fullmatch(found) is not None and found != "0" else None


def required_id(row: Row, name: str) -> str:
    found = id_of(row, name)
    if found is None:
        raise RowUnreadable(f"a row without a usable {name}", field=name)
    return found


def whole(row: Row, name: str) -> int | None:
    """A whole number; None for none: `ONE_TIME` for a cycle is no number."""
    value = row.get(name)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value if abs(value) < _LARGEST_WHOLE else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _LARGEST_WHOLE else None
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()) is not None:
        return int(value.strip().partition(".")[0])
    return None


def flag(row: Row, name: str) -> bool | None:
    """0 or 1, as number, text or boolean; None for nothing."""
    value = row.get(name)
    if isinstance(value, str):
        return {"0": False, "1": True, "no": False, "yes": True, "false": False, "true": True}.get(value.strip().lower())
    if isinstance(value, int | float):
        return bool(value)
    return None


def enum(row: Row, name: str) -> str | None:
    """A value of a closed set, as Konnektive spells it on a good day: upper case, underscores. One that we do not know is returned like the others."""
    value = text(row, name, 64)
    return None if value is None else re.sub(r"[\s\-]+", "_", value.upper())


def currency_of(row: Row, default: str) -> str:
    """Raises `RowUnreadable` for a code that is none: its amounts would be counted as another currency's."""
    code = text(row, "currencyCode", 16)
    if code is None:
        return default
    if not is_currency(code.upper()):
        raise RowUnreadable("the currency is not one of ISO 4217", field="currencyCode")
    return code.upper()


def minor(row: Row, name: str, currency: str) -> int | None:
    """An amount in minor units of its currency, half a unit rounded away from zero. None for nothing, and for what is no amount."""
    amount = _decimal(row.get(name))
    return None if amount is None else int((amount.scaleb(MINOR_UNITS[currency])).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def required_minor(row: Row, name: str, currency: str) -> int | None:
    """`minor` where a wrong amount is a wrong order: None for nothing; raises `RowUnreadable` for what is no amount."""
    value = row.get(name)
    amount = minor(row, name, currency)
    if amount is None and not (value is None or (isinstance(value, str) and not value.strip())):
        raise RowUnreadable(f"{name} is no amount of money", field=name)
    return amount


def number_of(amount: int | None, currency: str) -> float | None:
    """Minor units as the decimal number that properties carry."""
    return None if amount is None else float(Decimal(amount).scaleb(-MINOR_UNITS[currency]))


def local_text(row: Row, name: str) -> str | None:
    """A time of the account's wall clock, `YYYY-MM-DD HH:MM:SS`; compares as it stands. None for nothing (MySQL's zeros among it); raises `RowUnreadable` for
    what is no time."""
    value = row.get(name)
    if value is None or (isinstance(value, str) and (not value.strip() or value.startswith("0000"))):
        return None
    found = _LOCAL.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is not None:
        year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
        try:
            if year in _YEARS:
                return datetime(year, month, day, hour, minute, second).isoformat(" ")  # noqa: DTZ001  (a wall clock's)
        except ValueError:
            pass
    raise RowUnreadable(f"{name} is no time of the form YYYY-MM-DD HH:MM:SS", field=name)


def optional_local_text(row: Row, name: str) -> str | None:
    """`local_text` where a wrong time is of no weight."""
    try:
        return local_text(row, name)
    except RowUnreadable:
        return None


@lru_cache(maxsize=4_096)
def utc_of(local: str, zone: str, *, second: bool = False) -> datetime:
    """The moment of a wall clock's time; of the hour that autumn repeats the first, or the second."""
    return datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone), fold=int(second)).astimezone(UTC)


@lru_cache(maxsize=1_024)
def is_ambiguous(local: str, zone: str) -> bool:
    """Whether it stands in an hour that the wall clock shows twice."""
    moment = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone))
    return moment.replace(fold=0).utcoffset() > moment.replace(fold=1).utcoffset()  # type: ignore[operator]  # a zone's offset is never None


def day_of(row: Row, name: str) -> str | None:
    """A date, as `nextBillDate` is."""
    found = optional_local_text(row, name)
    return None if found is None else found[:10]


def objects(row: Row, name: str) -> list[Row]:
    """The objects within: of a list, or of an object whose keys say nothing. Empty for everything else."""
    value = row.get(name)
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [entry for entry in inner if isinstance(entry, Mapping)]


def items(row: Row) -> list[Row]:
    """An order's items, by their ids; without the stubs of orders that are only authorised."""
    found = [item for item in objects(row, "items") if id_of(item, "productId") is not None]
    return sorted(found, key=_item_order)[:MAX_ITEMS]


def custom_fields(row: Row) -> dict[str, Any]:
    """The merchant's own fields by their names: of an object, a list of {name or label, value}, or `name:value` pairs in a text joined by commas. Never those
    whose name or value is a card's, a bank's or a password."""
    kept: dict[str, Any] = {}
    for name, value in _custom_pairs(row.get("customFields")):
        clean_name, clean = name.strip(), _plain(value)
        if clean_name and clean is not None and len(kept) < MAX_CUSTOM_FIELDS and not holds_secret(clean_name, clean):
            kept[clean_name[:128]] = clean
    return kept


def holds_secret(name: str, value: object) -> bool:
    """Whether a merchant's own field is one that must never be kept."""
    return _SECRET_NAME.search(name) is not None or any(_is_card_number(found) for found in _CARD_DIGITS.findall(str(value)))


def tags(row: Row) -> list[str]:
    """The tags of a row, should it ever have any: of a list of texts or of {name or tag or label}, of an object's values, or of a text joined by commas."""
    value = row.get("tags")
    listed = value.split(",") if isinstance(value, str) else list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list) else []
    found = []
    for entry in listed[:MAX_TAGS]:
        named = next((entry[name] for name in ("name", "tag", "label") if entry.get(name)), None) if isinstance(entry, Mapping) else entry
        tag = _as_text(named, 200)
        if tag is not None and not holds_secret("", tag):
            found.append(tag.strip())
    return list(dict.fromkeys(found))


def _as_text(value: object, limit: int) -> str | None:
    if value is None:
        return None  # most fields of most rows: the checks below take their time
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) >= _LARGEST_WHOLE or value != value:  # noqa: PLR0124  (not a number)
            return None
        value = str(int(value)) if value == int(value) else repr(value)
    if not value.isascii():
        value = value.encode("utf-8", "replace").decode()  # half a surrogate pair is no text that JSON can hold
    return value[:limit] if value.strip() else None


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str):
        found = _AMOUNT.fullmatch(value.strip()) if len(value) < 64 else None
        if found is None or not found[3] or found[3] == ".":
            return None
        amount = Decimal(found[3].replace(",", ""))
        amount = -amount if "-" in found[1] + found[2] else amount
    else:
        amount = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return amount if amount.is_finite() and abs(amount) < _LARGEST_AMOUNT else None


def _item_order(item: Row) -> tuple[bool, int, str]:
    found = id_of(item, "orderItemId") or ""
    return (not found.isdecimal(), int(found) if found.isdecimal() else 0, found or str(id_of(item, "productId")))


def _custom_pairs(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, Mapping) and "value" in inner:
                yield from _named_pair(inner, key)
            else:
                yield str(key), inner
    elif isinstance(value, list):
        for entry in value:
            if isinstance(entry, Mapping):
                yield from _named_pair(entry, None)
    elif isinstance(value, str):
        for part in value.split(","):
            name, separator, inner = part.partition(":") if ":" in part else part.partition("=")
            if separator:
                yield name, inner.strip()


def _named_pair(entry: Row, key: object) -> Iterator[tuple[str, object]]:
    name = next((entry[at] for at in ("name", "label", "fieldName") if isinstance(entry.get(at), str) and entry[at].strip()), key)
    if isinstance(name, str):
        yield name, entry.get("value")


def _plain(value: object) -> str | int | float | bool | list[str] | None:
    """A value of a merchant's field: what JSON has but objects; a list as its texts."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if abs(value) < _LARGEST_WHOLE else None
    if isinstance(value, list):
        return [found for entry in value[:MAX_TAGS] if (found := _as_text(entry, MAX_SHORT_TEXT)) is not None] or None
    found = _as_text(value, MAX_SHORT_TEXT)
    return None if found is None else found.strip()


def _is_card_number(digits: str) -> bool:
    """Whether an issuer may have given it: its beginning, its length, Luhn's check."""
    bare = re.sub(r"\D", "", digits)
    if _ISSUERS.fullmatch(bare) is None:
        return False
    total = 0
    for place, digit in enumerate(reversed(bare)):
        number = int(digit) * (2 if place % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0
