"""Phone numbers as E.164: the one spelling under which two of them are the same."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

DEFAULT_REGION: Final = "US"
"""Whose national form a number without a `+` is read as."""
_SHORTEST: Final = 7
_LONGEST: Final = 40
"""Characters: nothing outside is a number, and the library is not asked."""
_REMEMBERED: Final = 1_024
"""Events of one person come close together, and each reading of a number costs a tenth of a millisecond."""


@lru_cache(_REMEMBERED)
def e164(text: str, region: str) -> str | None:
    """`+12025550123` for `(202) 555-0123`, given the region (`US`) for numbers without a country code; None for what is no valid number."""
    if not _SHORTEST <= len(text) <= _LONGEST:
        return None
    import phonenumbers  # noqa: PLC0415  # loaded by the first number: most events have none

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
