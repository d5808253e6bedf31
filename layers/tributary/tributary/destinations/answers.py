"""What a vendor's HTTP status means, once for all destinations.

| status | means |
|---|---|
| 2xx, and what the destination adds | success |
| 408, 429 | `VendorThrottled`, with its `Retry-After` |
| 5xx | `VendorUnavailable`, with its `Retry-After` |
| 401, 403 | `CredentialRefused` |
| 3xx (redirects are not followed), any other 4xx, anything else | `VendorRefused` |
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Set
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from tributary.errors import CredentialRefused, VendorRefused, VendorThrottled, VendorUnavailable
from tributary.ports import VendorAnswer

_SECONDS: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def check_status(answer: VendorAnswer, *, vendor: str, now: datetime, also_success: Set[int] = frozenset()) -> None:
    """Raise the error that the answer's status stands for; return for success. `now` is what a `Retry-After` given as a date is counted from when the answer
    carries no `Date` of its own."""
    status = answer.status
    if 200 <= status < 300 or status in also_success:
        return
    message = f"{vendor} answered {status}"
    if status in {408, 429}:
        raise VendorThrottled(message, retry_after=retry_after(answer.headers, now=now))
    if 500 <= status < 600:
        raise VendorUnavailable(message, retry_after=retry_after(answer.headers, now=now))
    if status in {401, 403}:
        raise CredentialRefused(message)
    raise VendorRefused(message)


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """The seconds that `Retry-After` asks for, never negative; None without the header or where it makes no sense. Header names are in lower case.

    The header is a number of seconds or an HTTP date (RFC 9110 §10.2.3). A date is counted from the answer's own `Date`, so that a
    vendor's clock that is off does not matter.
    """
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        seconds = float(value)
        return seconds if math.isfinite(seconds) else None
    until = _http_date(value)
    if until is None:
        return None
    return max((until - (_http_date(headers.get("date", "")) or now)).total_seconds(), 0.0)


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
