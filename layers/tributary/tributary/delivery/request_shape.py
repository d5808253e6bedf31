"""What a parked delivery says of its request: enough to recognise it, nothing of what it carries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from tributary.destinations.encoding import encoded_length
from tributary.ports import VendorRequest

_NAMES: Final = 100
_HARMLESS: Final = re.compile(r"(?!.*[0-9]{6})[A-Za-z0-9_ .$\[\]-]{1,100}")
"""A name that cannot hold an email, a phone number or a card number. Customers name their traits, and some name them after people."""


def shape(request: VendorRequest) -> Mapping[str, Any]:
    """Method, host, path, the names of its parameters (the first hundred, sorted), how many other names there are, and its size in bytes."""
    url = urlsplit(request.url)
    names = {name for name, _ in request.query} | {name for name, _ in request.form or ()}
    if isinstance(request.json, dict):
        names |= {str(name) for name in request.json}
    told = sorted(name for name in names if _HARMLESS.fullmatch(name))[:_NAMES]
    return {
        "method": request.method,
        "host": url.netloc.rpartition("@")[2],
        "path": "/".join(part if not part or _HARMLESS.fullmatch(part) else "*" for part in url.path.split("/")),
        "parameters": told,
        "other_parameters": len(names) - len(told),
        "bytes": _size(request),
    }


def _size(request: VendorRequest) -> int:
    size = len(request.encoded) if request.encoded is not None else encoded_length(request.query) + encoded_length(request.form or ())
    return size if request.json is None else size + len(msgspec.json.encode(request.json))
