"""Asking Konnektive: one request, and what its answer means.

An error comes with HTTP 200, an empty search is an error, and the type of `message` says nothing: only `result` and the words do. The words are read in a fixed
order, refusals first, for a refusal that is taken for an empty day would be a sync that is green and empty.

Requests are POST forms, so that the credentials are in no URL. Nothing of a request gets into an error's text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from tributary.destinations.answers import retry_after
from tributary.errors import AnswerTooLarge, NotTheApi, SourceRefused, VendorThrottled, VendorUnavailable
from tributary.ports import Vendor, VendorAnswer, VendorRequest
from tributary.sources.konnektive.settings import KonnektiveSettings

ROWS_A_PAGE: Final = 200
"""The most that the API gives."""
SECONDS_BETWEEN_CALLS: Final = 0.25
"""One call at a time, and no faster: the API's limit is not documented."""
LONGEST_ANSWER_SECONDS: Final = 60.0
"""A day of transactions has been seen to take half of that."""
LONGEST_COUNT_SECONDS: Final = 120.0
"""A count over many years reads more than a page does."""
LARGEST_ANSWER: Final = 8 * 1024 * 1024
"""Two hundred orders with all that belongs to them are one or two megabytes."""
_SHOWN: Final = 160

_ADDRESS: Final = re.compile(r"whitelist", re.IGNORECASE)
_PERMISSION: Final = re.compile(r"permission|access to this|not (?:allowed|authori[sz]ed)|endpoint", re.IGNORECASE)
_LOGIN: Final = re.compile(r"log[\s-]?in|credential|password|authori[sz]|authenticat|\bip\b", re.IGNORECASE)
_EMPTY: Final = re.compile(r"^\s*no\b.*(?:matching|found)", re.IGNORECASE | re.DOTALL)
_NOT_FOUND: Final = re.compile(r"\bnot found\W*$", re.IGNORECASE)
_PERSONAL: Final = re.compile(r"\S*@\S*|\d{5,}")
_IP: Final = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b[0-9a-f]*:[0-9a-f:]+\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Page:
    rows: list[dict[str, Any]]
    total: int | None = None
    """What the whole search would give; None where the answer does not say."""
    per_page: int = ROWS_A_PAGE


@dataclass(kw_only=True)
class Konnektive:
    """One account. `wait`: sleep that many seconds of the rules; `now`: for a `Retry-After` that is a date. `calls` counts."""

    vendor: Vendor
    settings: KonnektiveSettings
    wait: Callable[[float], None]
    now: Callable[[], datetime]
    calls: int = 0
    called_at: datetime | None = None
    """The newest call's end; of a task before this one, to begin with."""

    def page(
        self,
        endpoint: str,
        parameters: Mapping[str, str],
        *,
        number: int = 1,
        per_page: int = ROWS_A_PAGE,
        timeout: float = LONGEST_ANSWER_SECONDS,
        by_id: bool = False,
    ) -> Page:
        """A page of a search; `by_id`: one for whatever has an id, which there may not be.
        Raises `SourceRefused` (nobody should ask again until a person has done something), `VendorThrottled`, `VendorUnavailable`."""
        if self.calls or (self.called_at is not None and (self.now() - self.called_at).total_seconds() < SECONDS_BETWEEN_CALLS):
            self.wait(SECONDS_BETWEEN_CALLS)
        self.calls += 1
        form = [
            ("loginId", self.settings.login_id),
            ("password", self.settings.password),
            *parameters.items(),
            ("resultsPerPage", str(per_page)),
            ("page", str(number)),
        ]
        request = VendorRequest(method="POST", url=f"{self.settings.base_url}/{endpoint}/", form=form)
        try:
            answer = self.vendor.send(request, timeout=timeout)
        except AnswerTooLarge as error:
            raise VendorUnavailable(f"Konnektive answered {endpoint} with more than {LARGEST_ANSWER} bytes") from error
        finally:
            self.called_at = self.now()
        page = read(answer, endpoint, now=self.now(), secrets=(self.settings.password, self.settings.login_id), by_id=by_id)
        if number == 1 and not page.rows and page.total:
            raise VendorUnavailable(f"Konnektive answered {endpoint} with no rows beside a total of {page.total}")
        return page


def read(answer: VendorAnswer, endpoint: str, *, now: datetime, secrets: tuple[str, ...] = (), by_id: bool = False) -> Page:
    """What an answer means. `secrets`: words that an error's text must not repeat."""
    if answer.status == 429:
        raise VendorThrottled(f"Konnektive answered {endpoint} with {answer.status}", retry_after=retry_after(answer.headers, now=now))
    if 300 <= answer.status < 400 or answer.status in {401, 403, 404, 405, 410}:
        # The API itself says whatever it says with 200: a 403 is a gateway's, and passes.
        raise NotTheApi(f"Konnektive answered {endpoint} with {answer.status}: is baseUrl that of its API?")
    if answer.status != 200:
        raise VendorUnavailable(f"Konnektive answered {endpoint} with {answer.status}", retry_after=retry_after(answer.headers, now=now))
    try:
        envelope = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NotTheApi(f"Konnektive answered {endpoint} with something that is no JSON, or not all of it") from None
    if not isinstance(envelope, dict):
        raise NotTheApi(f"Konnektive answered {endpoint} with JSON that is no object")
    message = envelope.get("message")
    if str(envelope.get("result", "")).upper() == "SUCCESS":
        return _page(message, endpoint)
    text = _text(message, secrets)
    _refuse(text, endpoint)
    if _EMPTY.search(text) or (by_id and _NOT_FOUND.search(text)):
        return Page(rows=[], total=0)
    raise VendorUnavailable(f"Konnektive answered {endpoint} with an error: {text}")


def _refuse(text: str, endpoint: str) -> None:
    """Raise `SourceRefused` where the words are a refusal, with what to do about it."""
    if _ADDRESS.search(text):
        found = _IP.search(text)
        address = f"this address ({found.group()})" if found else "the address that it was asked from"
        raise SourceRefused(
            f"Konnektive does not let {address} in: enter it in the API user's IP Whitelist, or the keyword AWS for all of Amazon's", problem="address"
        )
    if _EMPTY.search(text) and not _LOGIN.search(text):
        return
    if _PERMISSION.search(text):
        raise SourceRefused(f"The API user may not use {endpoint}: tick it in the user's Access Details", problem="permission", endpoint=endpoint)
    if _LOGIN.search(text):
        raise SourceRefused("Konnektive refuses the login: check loginId and password, and that the user's access level is API User", problem="login")


def _page(message: Any, endpoint: str) -> Page:
    if isinstance(message, list):
        return Page(rows=_rows(message, endpoint))
    if not isinstance(message, dict):
        raise NotTheApi(f"Konnektive answered {endpoint} with a success that has no rows and no count")
    data, total = message.get("data"), _number(message.get("totalResults"))
    if data is None and total is None:
        raise VendorUnavailable(f"Konnektive answered {endpoint} with a success that has no rows and no count")
    return Page(rows=_rows(data if data is not None else [], endpoint), total=total, per_page=_number(message.get("resultsPerPage")) or ROWS_A_PAGE)


def _rows(data: Any, endpoint: str) -> list[dict[str, Any]]:
    """A list, or an object by id."""
    found = list(data.values()) if isinstance(data, dict) else data
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise VendorUnavailable(f"Konnektive answered {endpoint} with rows that are none")
    return found


def _number(value: Any) -> int | None:
    """A count, which comes as a number or as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and value.strip().isdigit() else None


def _text(message: Any, secrets: tuple[str, ...]) -> str:
    """The words of an error, which may be an object of texts by field; cut, and without the credentials or whatever may be somebody's."""
    words = message if isinstance(message, str) else msgspec.json.encode(message).decode()
    for secret in secrets:
        if secret:
            words = words.replace(secret, "***")
    return _PERSONAL.sub("…", words)[:_SHOWN]
