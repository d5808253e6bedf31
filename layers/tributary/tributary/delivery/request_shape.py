"""What a parked delivery says of its request: enough to recognise it, nothing of what it carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from tributary.destinations.encoding import encoded_length
from tributary.ports import VendorRequest

_NAMES: Final = 100
_NAME_LENGTH: Final = 100


def shape(request: VendorRequest) -> Mapping[str, Any]:
    """Method, host, path, the names of its parameters (the first hundred, sorted) and its size in bytes."""
    url = urlsplit(request.url)
    names = {name for name, _ in request.query} | {name for name, _ in request.form or ()}
    if isinstance(request.json, dict):
        names |= {str(name) for name in request.json}
    return {
        "method": request.method,
        "host": url.netloc.rpartition("@")[2],
        "path": url.path,
        "parameters": [name[:_NAME_LENGTH] for name in sorted(names)[:_NAMES]],
        "bytes": _size(request),
    }


def _size(request: VendorRequest) -> int:
    size = len(request.encoded) if request.encoded is not None else encoded_length(request.query) + encoded_length(request.form or ())
    return size if request.json is None else size + len(msgspec.json.encode(request.json))
