"""The pixel of the tracking API: an event in the query of an image's address, as the body that a POST would have had.

Either `data` holds the event as JSON, base64 or not, or the query is the event itself, its fields in dotted names:
`?writeKey=…&userId=orla-12&event=Email+Opened&properties.campaign=spring`.

https://segment.com/docs/connections/sources/catalog/libraries/server/pixel-tracking-api/
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from tributary.sources.segment_api import MAX_DEPTH, NotAnEnvelope

_MAX_FIELDS: Final = 1_000
"""The gateway takes 10 KB of address."""


def body_of(query: str) -> bytes:
    """The body. Raises `NotAnEnvelope`."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="replace", max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise NotAnEnvelope(f"the query has more than {_MAX_FIELDS} fields") from error
    for name, value in pairs:
        if name == "data":
            return _decoded(value)
    event: dict[str, Any] = {}
    for name, value in pairs:
        _put(event, name, value)
    return msgspec.json.encode(event)


def write_key_of(query: str) -> str | None:
    """The write key that stands in the query itself: whose a pixel is that cannot be read."""
    return dict(parse_qsl(query, errors="replace")).get("writeKey")


def _decoded(data: str) -> bytes:
    if data.lstrip().startswith("{"):
        return data.encode()
    # A plus sign in an address is read as a space; both alphabets are in use, with padding and without.
    text = data.strip().replace(" ", "+").translate({ord("-"): "+", ord("_"): "/"}).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotAnEnvelope("data is not base64 of a JSON object") from error


def _put(event: dict[str, Any], name: str, value: str) -> None:
    *outer, last = name.split(".", MAX_DEPTH - 1)
    here = event
    for part in outer:
        inner = here.setdefault(part, {})
        if not isinstance(inner, dict):
            raise NotAnEnvelope("one field of the query is both a value and an object")
        here = inner
    if isinstance(here.get(last), dict):
        raise NotAnEnvelope("one field of the query is both a value and an object")
    here[last] = value
