"""A call of the tracking API and its answer, as data; to and from the gateway's events.

Two things hold for every answer, errors included: its body is a JSON object (Segment's Ruby library indexes every body, the Python ones read `code` and
`message`), and it carries the CORS headers without which a browser hides it from its page.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import AddressValueError, IPv4Address
from typing import Any, Final

import msgspec

from tributary.gateway import call_of

_CLOCK_TRUST: Final = timedelta(minutes=1)
"""How far the gateway's clock is believed against ours. Its time of receipt is the better one: it does not depend on which sandbox had to start first."""

_PREFLIGHT_SECONDS: Final = "7200"
"""Browsers remember a preflight for no longer (Chrome's limit)."""
_ALLOWED_HEADERS: Final = ("authorization", "content-type", "content-encoding", "x-retry-count")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_MOST_HEADERS: Final = 20
_ORIGIN: Final = re.compile(r"null|[a-z][a-z0-9+.\-]*://[!-~]{1,255}", re.IGNORECASE)

_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_MAX_GZIP_MEMBERS: Final = 8
"""A member may be empty; thousands of those would cost a copy of the rest each."""
_GIF: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""One transparent pixel."""


class BodyUnreadable(Exception):
    """The body cannot be unpacked."""


class BodyTooLarge(Exception):
    """The body passes the limit once it is unpacked."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call. Header names are in lower case; a header sent twice is joined with a comma, as the gateway does it."""

    method: str
    path: str
    query: str
    """As sent, undecoded."""
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    ip: str | None
    """The connection's address if it is IPv4: Segment keeps no other."""

    @property
    def call(self) -> str:
        """What stands behind `/v1/`, without slashes around it; empty if there is no `/v1/`."""
        _, _, call = self.path.partition("/v1/")
        return call.strip("/")

    @property
    def from_a_page(self) -> bool:
        """Whether a browser says that a page made this call."""
        return "origin" in self.headers


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    is_text: bool = True


def request_of(event: Mapping[str, Any], now: datetime) -> Request:
    """The call behind an HTTP API event (payload format 2.0)."""
    call = call_of(event)
    return Request(
        method=call.method or "POST",
        path=call.path,
        query=call.query,
        headers=call.headers,
        # Only a hand-made event says base64 and has none: what follows finds that it is no JSON.
        body=call.body if call.body is not None else str(event["body"]).encode("utf-8", "surrogatepass"),
        received_at=_received_at(call.received_ms, now),
        ip=_ipv4(call.ip),
    )


def as_gateway_response(answer: Answer) -> dict[str, Any]:
    """The answer as the gateway takes it."""
    text = answer.body.decode() if answer.is_text else base64.b64encode(answer.body).decode()
    return {"statusCode": answer.status, "headers": dict(answer.headers), "body": text, "isBase64Encoded": not answer.is_text}


def json_answer(request: Request, status: int, body: Mapping[str, Any], *, retry_after: int | None = None) -> Answer:
    """`retry_after`: seconds after which to try again."""
    headers = {"content-type": "application/json", "cache-control": "no-store", **cors(request)}
    if retry_after is not None:
        # Browsers of before 2025 read the second, which Segment sends too.
        headers |= {"retry-after": str(retry_after), "x-ratelimit-reset": str(retry_after)}
    return Answer(status=status, headers=headers, body=msgspec.json.encode(body))


def gif_answer(request: Request) -> Answer:
    headers = {"content-type": "image/gif", "cache-control": "no-store", "cross-origin-resource-policy": "cross-origin", **cors(request)}
    return Answer(status=200, headers=headers, body=_GIF, is_text=False)


def _asked_for(request: Request) -> list[str]:
    """The headers that a preflight asks for. Libraries add their own (RudderStack's an `AnonymousId`), and none of them changes what a call may do."""
    asked = request.headers.get("access-control-request-headers", "")
    return [name.strip().lower() for name in asked.split(",") if _HEADER_NAME.fullmatch(name.strip())][:_MOST_HEADERS]


def cors(request: Request) -> dict[str, str]:
    """Any page may call. A page may also send cookies along (the browser library has a setting for it), and then a `*` would not do."""
    headers = {
        "access-control-allow-methods": "GET, POST, OPTIONS",
        "access-control-allow-headers": ", ".join(dict.fromkeys((*_ALLOWED_HEADERS, *_asked_for(request)))),
        "access-control-expose-headers": "retry-after, x-ratelimit-reset",
        "access-control-max-age": _PREFLIGHT_SECONDS,
        "vary": "origin",
    }
    origin = request.headers.get("origin", "")
    if _ORIGIN.fullmatch(origin) is None:
        return {"access-control-allow-origin": "*", **headers}
    return {"access-control-allow-origin": origin, "access-control-allow-credentials": "true", **headers}


def unpacked(request: Request, max_bytes: int) -> bytes:
    """The body, inflated if it is gzip. Raises `BodyUnreadable`, or `BodyTooLarge` without having inflated more than `max_bytes` and one."""
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        body = request.body
    elif encoding in ("gzip", "x-gzip"):
        body = _inflated(request.body, max_bytes)
    else:
        raise BodyUnreadable("Content-Encoding is gzip or absent")
    if len(body) > max_bytes:
        raise BodyTooLarge
    return body


def _inflated(packed: bytes, max_bytes: int) -> bytes:
    """A gzip file is one or more members, and zeros may follow it."""
    inflated = b""
    try:
        for _ in range(_MAX_GZIP_MEMBERS):
            member = zlib.decompressobj(wbits=_GZIP_WINDOW)
            inflated += member.decompress(packed, max_bytes + 1 - len(inflated))
            if len(inflated) > max_bytes:
                raise BodyTooLarge
            if not member.eof:
                raise BodyUnreadable("the gzip body ends too early")
            packed = member.unused_data.lstrip(b"\0")
            if not packed:
                return inflated
    except zlib.error as error:
        raise BodyUnreadable("the body is not gzip") from error
    raise BodyUnreadable(f"the gzip body has more than {_MAX_GZIP_MEMBERS} members")


def _received_at(epoch_ms: Any, now: datetime) -> datetime:
    if isinstance(epoch_ms, int):
        try:
            received_at = datetime.fromtimestamp(epoch_ms / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            return now
        if abs(received_at - now) <= _CLOCK_TRUST:
            return received_at
    return now


def _ipv4(address: str) -> str | None:
    try:
        return str(IPv4Address(address))
    except AddressValueError:
        return None
