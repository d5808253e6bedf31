"""Properties and traits as a flat list of texts, the way Segment's own integrations write them.

Those are JavaScript, so their numbers, dates and joined arrays are JavaScript's: what a tool received from Segment for years, it goes on receiving letter for
letter. `flatten_into` holds the whole rule; the rest is what it is made of.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from json.encoder import encode_basestring
from typing import Any, Final

MAX_SAFE_INTEGER: Final = 2**53
"""Beyond it JavaScript has only every second integer, or fewer."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_LARGEST: Final = sys.float_info.max
_ISO_DATE: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[ T]([0-9]{2}):?([0-9]{2})(?::?([0-9]{2})(?:[.,]([0-9]+))?)?(?:Z|([+-])([0-9]{2})(?::?([0-9]{2}))?)?)?"
)
_AMOUNT: Final = re.compile(
    r"\s*([+-]?(?:(?:[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}(?![0-9])|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)",
)
"""A number at the start of a text. A comma belongs to it only where it can separate thousands: `1,200.50`, `12,50,000`, but not `12,5`."""


def flatten_into(texts: dict[str, str], properties: Mapping[str, Any], prefix: str = "") -> None:
    """Add the names, each with `prefix`, and the texts of a JSON object to `texts`, in its order. The object is not changed.

    | value | text |
    |---|---|
    | null | left out, at any depth |
    | text | itself |
    | number, boolean | as JavaScript writes them: `12`, `1e-7`, `true` |
    | ISO date at the top level | unix seconds, rounded down |
    | ISO date inside an object | ISO again, in UTC, with milliseconds |
    | array | its elements joined with commas; a null leaves nothing between them, an array inside joins in, an object is compact JSON; empty: an empty text |
    | object | flattened, names joined with dots; an empty one is left out |

    Where two names come out the same, the later wins.
    """
    for name, value in properties.items():
        kind = type(value)
        if kind is str:
            seconds = unix_seconds_of_text(value) if len(value) >= 10 and value[4] == "-" else None
            texts[prefix + name] = value if seconds is None else str(seconds)
        elif kind is int and -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
            texts[prefix + name] = str(value)
        elif kind is float:
            texts[prefix + name] = number_text(value)
        elif kind is dict:
            _flatten(value, prefix + name, texts)
        elif value is not None:
            texts[prefix + name] = _plain(value)


def number_text(number: float) -> str:
    """A number as JavaScript writes it: no `.0`, an exponent below 1e-6 and from 1e21, integers beyond 2^53 rounded to what a double holds."""
    if type(number) is int:
        if -MAX_SAFE_INTEGER <= number <= MAX_SAFE_INTEGER:
            return str(number)
        try:
            number = float(number)
        except OverflowError:
            return "Infinity" if number > 0 else "-Infinity"
    text = repr(number)
    if text[-2:] == ".0":
        return text[:-2] if number else "0"
    if "e" not in text:
        return text if math.isfinite(number) else _not_finite(number)
    return _from_exponent(text)


def unix_seconds(moment: datetime) -> int:
    """Whole seconds since 1970, rounded down, before it too."""
    return (moment - _EPOCH) // _SECOND


def unix_seconds_of_text(text: str) -> int | None:
    """Unix seconds of an ISO date, rounded down; None for any other text.

    It is YYYY-MM-DD, perhaps with `T` or a space and hh:mm[:ss[.f]] and a zone (`Z`, `+hh`, `+hh:mm`); no zone means UTC. A date that no calendar has
    (`2026-02-30`) is text.
    """
    moment = _moment_of_text(text)
    return None if moment is None else unix_seconds(moment)


def amount(value: object) -> float | None:
    """Money as a number: a number as it is, of a text the number at its start with dollar signs and thousands separators left out. None for anything else, a
    date among it."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value if -_LARGEST <= value <= _LARGEST else None
    if not isinstance(value, str) or _moment_of_text(value) is not None:
        return None
    match = _AMOUNT.match(value.replace("$", ""))
    if match is None:
        return None
    number = float(match[1].replace(",", ""))
    return number if math.isfinite(number) else None


def _moment_of_text(text: str) -> datetime | None:
    match = _ISO_DATE.fullmatch(text) if len(text) >= 10 and text[4] == "-" else None
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, zone_hours, zone_minutes = match.groups()
    try:
        moment = datetime(int(year), int(month), int(day), tzinfo=UTC)
        if hour is None:
            return moment
        clock = _clock(int(hour), int(minute), int(second or 0), int((fraction or "0")[:3].ljust(3, "0")))
        zone = timedelta() if sign is None else _zone(sign, int(zone_hours), int(zone_minutes or 0))
        return moment + clock - zone
    except (ValueError, OverflowError):
        return None


def _clock(hour: int, minute: int, second: int, milliseconds: int) -> timedelta:
    """Time of day. ISO has two that Python has not: 24:00 (the next midnight) and a leap second."""
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and (minute or second or milliseconds)):
        raise ValueError("no such time of day")
    return timedelta(hours=hour, minutes=minute, seconds=second, milliseconds=milliseconds)


def _zone(sign: str, hours: int, minutes: int) -> timedelta:
    if hours > 23 or minutes > 59:
        raise ValueError("no such zone")
    offset = timedelta(hours=hours, minutes=minutes)
    return offset if sign == "+" else -offset


def _flatten(value: Mapping[str, Any], name: str, texts: dict[str, str]) -> None:
    for key, inner in value.items():
        path = f"{name}.{key}"
        kind = type(inner)
        if kind is str:
            moment = _moment_of_text(inner)
            texts[path] = inner if moment is None else _iso_text(moment)
        elif kind is dict:
            _flatten(inner, path, texts)
        elif inner is not None:
            texts[path] = _plain(inner)


def _plain(value: Any) -> str:
    """The text of a number, boolean or array."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    if isinstance(value, list | tuple):
        return ",".join([_element(element) for element in value])
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def _element(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, dict):
        return _json(value)
    return _plain(value)


def _json(value: Any) -> str:
    """Compact JSON, numbers as above."""
    if isinstance(value, str):
        return encode_basestring(value)
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "{" + ",".join([f"{encode_basestring(name)}:{_json(inner)}" for name, inner in value.items()]) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join([_json(element) for element in value]) + "]"
    return _plain(value)


def _iso_text(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _not_finite(number: float) -> str:
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _from_exponent(text: str) -> str:
    """`1.5e-07` → `1.5e-7`, `1e+16` → `10000000000000000`: JavaScript turns to exponents later than Python."""
    mantissa, _, exponent_text = text.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.removeprefix("-").partition(".")
    digits, exponent = whole + fraction, int(exponent_text)
    if 0 <= exponent < 21:
        return sign + digits.ljust(exponent + 1, "0")
    if -7 < exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    return f"{sign}{whole}{'.' + fraction if fraction else ''}e{exponent:+d}"
