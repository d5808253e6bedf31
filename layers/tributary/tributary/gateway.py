"""An HTTP API event (payload format 2.0), as the functions behind the gateway read it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class GatewayCall:
    method: str
    """In upper case."""
    path: str
    query: str
    """As sent, undecoded."""
    headers: Mapping[str, str]
    """Names in lower case; a header sent twice is joined with a comma, as the gateway does it."""
    body: bytes | None
    """None for one that the gateway says is base64 and that is not."""
    ip: str
    received_ms: Any
    """As the gateway says it, which a sample event may not."""
    id: str


def call_of(event: Mapping[str, Any]) -> GatewayCall:
    context = event.get("requestContext") or {}
    http = context.get("http") or {}
    return GatewayCall(
        method=str(http.get("method", "")).upper(),
        path=str(event.get("rawPath") or http.get("path", "")),
        query=str(event.get("rawQueryString", "")),
        headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
        body=_body(event),
        ip=str(http.get("sourceIp", "")),
        received_ms=context.get("timeEpoch"),
        id=str(context.get("requestId", "")),
    )


def _body(event: Mapping[str, Any]) -> bytes | None:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return bytes(body.encode("utf-8", "surrogatepass"))
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return None
