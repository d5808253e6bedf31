"""What a text may say in FACTS: nothing personal. What looks like an email or a phone number is left out and counted; the rest is cut at a bound.

A number of ten to fifteen digits and nothing else may be either: somebody's phone, or the id of a campaign. Which it is taken for, the place decides (`text`,
`code`). A name cannot be told from another word: what a shop writes into its links and tags is its own to choose.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from tributary.identity.digests import Digests
from tributary.identity.identifiers import Identifier
from tributary.page_address import host_of, split

MAX_TEXT_BYTES: Final = 200
MAX_PLACE_BYTES: Final = 300
MAX_FIELD_CHARACTERS: Final = 64
"""Of a custom field: what is longer is prose, and prose may say anything."""

PERSONAL: Final = "personal"
TOO_LONG: Final = "too_long"

_READ: Final = 4_096
"""Characters of a text that are looked through; more are not kept either."""
_EMAIL: Final = re.compile(r"\S@\S+\.\w\w")
_PHONE: Final = re.compile(
    r"(?<![\w+])\+\s?\(?\d[\d\s().-]{6,18}\d(?!\w)"  # +44 20 7946 0958
    r"|(?<![\w.-])\(?\d{3}\)?[\s.-]\s?\d{3}[\s.-]\d{4}(?![\w-])"  # (512) 555-0143
)
_NUMBER: Final = re.compile(r"[+(]?\d[\d\s().-]*\d")
_DIGITS: Final = re.compile(r"\D")
_SHORTEST_PHONE: Final = 10
_LONGEST_PHONE: Final = 15
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
_HIDDEN: Final = "…"


class Cleaner:
    """Cleans the texts of many facts, and counts what it left out in `left_out`: `personal`, `too_long`."""

    def __init__(self, digests: Digests) -> None:
        self._digests = digests
        self.left_out: Counter[str] = Counter()

    def uncounted(self) -> Cleaner:
        """One that cleans the same and counts for itself."""
        return Cleaner(self._digests)

    def text(self, value: str | None) -> str | None:
        """A name, a keyword, a coupon. A bare number of a phone's length is taken for a phone."""
        return self._kept(value, is_personal(value) or is_phone_number(value)) if value else None

    def code(self, value: str | None) -> str | None:
        """An id that a machine gave: a bare number is one."""
        return self._kept(value, is_personal(value)) if value else None

    def identifier(self, kind: str, value: str) -> str:
        """The id of an order or a subscription; a digest of it where it looks personal: it has to stay the same everywhere."""
        if not is_personal(value):
            return cut(value, MAX_TEXT_BYTES)
        self.left_out[PERSONAL] += 1
        return self._digests.of(Identifier(kind, value))

    def place(self, url: str | None) -> str | None:
        """Host and path of an address; a part of the path that looks personal is hidden."""
        parts = split(url) if url else None
        if url is None or parts is None:
            return None
        segments = []
        for segment in parts.path.split("/"):
            personal = is_personal(segment)
            self.left_out[PERSONAL] += personal
            segments.append(_HIDDEN if personal else segment)
        return cut(host_of(url) + "/".join(segments), MAX_PLACE_BYTES) or None

    def field(self, value: Any) -> str | None:
        """A custom field, as text: a word, a number, yes or no."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if not isinstance(value, str | int | float):
            return None
        text = str(value).strip()
        if len(text) > MAX_FIELD_CHARACTERS:
            self.left_out[TOO_LONG] += 1
            return None
        return self.text(text)

    def _kept(self, value: str, personal: bool) -> str | None:
        if personal:
            self.left_out[PERSONAL] += 1
            return None
        return cut(value, MAX_TEXT_BYTES) or None


def is_personal(value: str) -> bool:
    """Whether a text has something in it that is written as an email or a phone number is, also where it is escaped as in an address."""
    text = _plain(value)
    return ("@" in text and _EMAIL.search(text) is not None) or _PHONE.search(text) is not None


def is_phone_number(value: str) -> bool:
    """Whether a text is nothing but a number as long as a phone's."""
    text = _plain(value).strip()
    return _NUMBER.fullmatch(text) is not None and _SHORTEST_PHONE <= len(_DIGITS.sub("", text)) <= _LONGEST_PHONE


def cut(value: str, most: int) -> str:
    """On one line, at most so many bytes of UTF-8."""
    return _CONTROL.sub(" ", value).strip().encode(errors="ignore")[:most].decode(errors="ignore").strip()


def country_of(traits: Mapping[str, Any]) -> str | None:
    """The country that traits name, as sent; of two letters in upper case."""
    address = traits.get("address")
    for holder in (address if isinstance(address, dict) else {}, traits):
        country = holder.get("country")
        if isinstance(country, str) and country.strip():
            said = country.strip()
            return _COUNTRIES.get(said.casefold(), said.upper() if len(said) == 2 else said)
    return None


_COUNTRIES: Final = {
    "usa": "US",
    "u.s.": "US",
    "u.s.a.": "US",
    "united states": "US",
    "united states of america": "US",
    "uk": "GB",
    "united kingdom": "GB",
    "great britain": "GB",
    "canada": "CA",
    "australia": "AU",
    "new zealand": "NZ",
    "ireland": "IE",
    "germany": "DE",
    "deutschland": "DE",
    "france": "FR",
    "spain": "ES",
    "italy": "IT",
    "netherlands": "NL",
    "mexico": "MX",
    "brazil": "BR",
    "india": "IN",
    "japan": "JP",
}
"""How shops write them that do not write two letters."""


def _plain(value: str) -> str:
    """As a reader would see it: escapes resolved, also doubled ones, wide letters narrow."""
    text = value[:_READ]
    if "%" in text:
        text = unquote(unquote(text))
    return text if text.isascii() else unicodedata.normalize("NFKC", text)
