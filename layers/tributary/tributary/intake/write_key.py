"""Which write key a request is made with.

It stands in the header (`Basic`, the key as the user, no password), in the body, or in both; what both say must be the same, or a request would be let in by
one key and filed under another.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from tributary.sources.segment_api import Code, write_key_of


class KeyUnclear(Exception):
    """No single write key can be told. `status` 401 where the request contradicts itself or its header cannot be read, 400 where there is none."""

    def __init__(self, status: int, code: Code, at: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.at = at
        self.message = message


def of_header(headers: Mapping[str, str]) -> str | None:
    """The key of the `Authorization` header. A bearer token is Segment's OAuth, which has the key in the body: not looked at. Raises `KeyUnclear`."""
    given = headers.get("authorization")
    if given is None:
        return None
    if "," in given:  # no key holds one: the gateway joins repeated headers with it
        raise KeyUnclear(401, Code.AUTHORIZATION_INVALID, "authorization", "the Authorization header was sent more than once")
    scheme, _, credentials = given.strip().partition(" ")
    match scheme.lower():
        case "bearer":
            return None
        case "basic":
            # Without the colon it is not `Basic` as the standard has it, but Segment takes it.
            return _decoded(credentials.strip()).partition(":")[0] or None
        case _:
            raise _unreadable()


def agreed(header_key: str | None, body_key: Any) -> str:
    """The one key of header and body; an empty one is as good as none. Raises `KeyUnclear`."""
    body_key = write_key_of(body_key)
    if body_key is not None and not isinstance(body_key, str):
        raise KeyUnclear(400, Code.WRITE_KEY_MISSING, "writeKey", "the writeKey is a string")
    if header_key is not None and body_key is not None and header_key != body_key:
        raise KeyUnclear(401, Code.WRITE_KEY_CONFLICT, "writeKey", "the Authorization header and the body name different write keys")
    key = header_key or body_key
    if key is None:
        raise KeyUnclear(400, Code.WRITE_KEY_MISSING, "writeKey", "send the write key as the user of a Basic Authorization header, or as writeKey in the body")
    return key


def _decoded(credentials: str) -> str:
    try:
        padded = credentials.rstrip("=") + "=" * (-len(credentials.rstrip("=")) % 4)
        return base64.b64decode(padded.translate({ord("-"): "+", ord("_"): "/"}), validate=True).decode().strip()
    except (binascii.Error, ValueError) as error:
        raise _unreadable() from error


def _unreadable() -> KeyUnclear:
    return KeyUnclear(401, Code.AUTHORIZATION_INVALID, "authorization", "the Authorization header is not of the form: Basic base64(writeKey:)")
