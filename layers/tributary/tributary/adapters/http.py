"""Vendors over HTTP.

On httpcore, the transport below httpx, because three promises need it: the time limit is that of the whole exchange (httpx's is that of each single read, so
that a byte every few seconds goes on for ever), the target goes out as `encode_pairs` made it (httpx quotes again in its own way), and no URL gets into a log
or an exception's text (httpx writes both, and a query holds a person).
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from ssl import SSLContext
from typing import Any, Final

import httpcore
import msgspec

from tributary.destinations.addresses import parts_of
from tributary.destinations.encoding import encode_pairs
from tributary.errors import AnswerTooLarge, InvalidForVendor, VendorUnavailable
from tributary.ports import VendorAnswer, VendorRequest

LARGEST_ANSWER: Final = 64 * 1024
"""Of a destination: it says yes, no or why; what is longer is an error page or a mistake."""
_CONNECT_SECONDS: Final = 3.0
"""For each of a host's addresses: one that is dead leaves time for the next."""
_IDLE_SECONDS: Final = 4.0
"""How long an idle connection is used again. Many servers close at 5 s, and a request that meets the closing is lost."""
_CONNECTIONS: Final = 20
_USER_AGENT: Final = "Tributary"

Resolve = Callable[[str, int], Sequence[str]]


def addresses(host: str, port: int) -> list[str]:
    """The host's addresses, in the order to try them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class HttpVendor:
    """`Vendor` on HTTP/1.1, with connections kept open between messages. Plain http is for this machine alone. One of it serves many threads.

    An answer with an error status and a long body is cut, as its status says all; a success that does not end within the limit is `AnswerTooLarge`.
    Only the look-up of a host's name is outside the time limit: the system's resolver has its own.
    """

    def __init__(
        self,
        *,
        largest_answer: int = LARGEST_ANSWER,
        backend: httpcore.NetworkBackend | None = None,
        resolve: Resolve = addresses,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._largest_answer = largest_answer
        self._limit = _Limit(monotonic)
        self._pool = httpcore.ConnectionPool(
            network_backend=_TimedBackend(backend or httpcore.SyncBackend(), resolve, self._limit),
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_CONNECTIONS,
            keepalive_expiry=_IDLE_SECONDS,
        )

    def send(self, request: VendorRequest, *, timeout: float) -> VendorAnswer:
        url = _url(request)
        headers, content = _content(request)
        self._limit.begin(timeout)
        try:
            with self._pool.stream(request.method, url, headers=headers, content=content, extensions={"timeout": {"pool": timeout}}) as response:
                body, complete = _read(response, self._largest_answer)
                status = response.status
                answered = _answer_headers(response)
        except httpcore.LocalProtocolError:
            # Its text holds the header that is wrong.
            raise InvalidForVendor("the request cannot be written as HTTP", field="headers") from None
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise VendorUnavailable(f"{url.host.decode()} gave no answer: {type(error).__name__}") from error
        if not complete and 200 <= status < 300:
            raise AnswerTooLarge(f"{url.host.decode()} answered {status} and more than {self._largest_answer} bytes")
        return VendorAnswer(status=status, headers=answered, body=body)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._pool.close()


def _url(request: VendorRequest) -> httpcore.URL:
    """The request's URL, to the byte. Raises `SettingsInvalid` for one that requests must not go to."""
    parts = parts_of(request.url)
    query = "&".join(part for part in (parts.query, _query(request)) if part)
    target = f"{parts.path or '/'}?{query}" if query else parts.path or "/"
    return httpcore.URL(scheme=parts.scheme.encode(), host=(parts.hostname or "").encode(), port=parts.port, target=target.encode("ascii"))


def _query(request: VendorRequest) -> str:
    return request.encoded if request.encoded is not None and request.form is None else encode_pairs(request.query)


def _content(request: VendorRequest) -> tuple[list[tuple[str, str]], bytes | None]:
    headers = {"user-agent": _USER_AGENT, "accept": "*/*", "accept-encoding": "identity"}
    content: bytes | None = None
    if request.form is not None:
        headers["content-type"] = "application/x-www-form-urlencoded"
        content = (request.encoded if request.encoded is not None else encode_pairs(request.form)).encode("ascii")
    elif request.json is not None:
        headers["content-type"] = "application/json"
        content = msgspec.json.encode(request.json)
    headers.update({name.lower(): value for name, value in request.headers.items()})
    return list(headers.items()), content


def _read(response: httpcore.Response, largest: int) -> tuple[bytes, bool]:
    """The body up to the limit, and whether that is all of it."""
    body = bytearray()
    for chunk in response.iter_stream():
        body += chunk
        if len(body) > largest:
            return bytes(body[:largest]), False
    return bytes(body), True


def _answer_headers(response: httpcore.Response) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in response.headers:
        text = value.decode("latin-1")
        key = name.decode("latin-1").lower()
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


class _Limit(threading.local):
    """The end of the exchange that this thread is in."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._end = 0.0

    def begin(self, seconds: float) -> None:
        self._end = self._monotonic() + seconds

    def left(self) -> float:
        """Seconds; raises `httpcore.ReadTimeout` when there are none."""
        left = self._end - self._monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the time for the whole exchange is over")
        return left


class _TimedBackend(httpcore.NetworkBackend):
    """Connections of which every step is given what is left of the exchange's time."""

    def __init__(self, inner: httpcore.NetworkBackend, resolve: Resolve, limit: _Limit) -> None:
        self._inner = inner
        self._resolve = resolve
        self._limit = limit

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  # of one step; what counts is the whole
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError("the host has no address")
        for address in self._resolve(host, port):
            try:
                stream = self._inner.connect_tcp(address, port, min(self._limit.left(), _CONNECT_SECONDS), local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(stream, self._limit)
        raise failure


class _TimedStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, limit: _Limit) -> None:
        self._inner = inner
        self._limit = limit

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._inner.read(max_bytes, self._limit.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._inner.write(buffer, self._limit.left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None) -> httpcore.NetworkStream:  # noqa: ARG002
        return _TimedStream(self._inner.start_tls(ssl_context, server_hostname, self._limit.left()), self._limit)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
