"""The fakes on 127.0.0.1, a free port each.

running = start(["kissmetrics"])
running.urls["kissmetrics"]     # http://127.0.0.1:40513
running.stop()
"""

from __future__ import annotations

import gzip
import socket
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, Final, Self, cast
from urllib.parse import parse_qs

from local.fakes.fake import Answer, Fake, Request, Vendor
from local.fakes.kissmetrics import Kissmetrics
from local.fakes.konnektive.vendor import Konnektive

VENDORS: Final[Mapping[str, Callable[[], Vendor]]] = {"kissmetrics": Kissmetrics, "konnektive": Konnektive}
"""Every vendor that has a fake; a new one is a module or package beside `kissmetrics.py` and a line here."""


class Running:
    """Fakes that serve until `stop`, or the end of a `with`. `urls`: name → base URL without a slash at its end."""

    def __init__(self, servers: Mapping[str, _Server]) -> None:
        self._servers = servers
        self.urls: dict[str, str] = {name: f"http://127.0.0.1:{server.server_port}" for name, server in servers.items()}
        self._threads = [Thread(target=server.serve_forever, name=f"fake-{name}", kwargs={"poll_interval": 0.05}) for name, server in servers.items()]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Close every connection and port, end every thread; again does nothing."""
        for server in self._servers.values():
            server.stop()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def start(names: Sequence[str]) -> Running:
    """Start the fakes of these vendors. Raises `KeyError` for a vendor that has none."""
    return serve({name: VENDORS[name]() for name in names})


def serve(vendors: Mapping[str, Vendor]) -> Running:
    """Start fakes of vendors made by the caller, under names of the caller's."""
    servers: dict[str, _Server] = {}
    try:
        for name, vendor in vendors.items():
            servers[name] = _Server(Fake(vendor))
    except BaseException:
        for server in servers.values():
            server.server_close()
        raise
    return Running(servers)


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    """Joined on close: a fake that has stopped answers nothing any more."""
    request_queue_size = 128

    def __init__(self, fake: Fake) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fake = fake
        self.stopping = Event()
        self._lock = Lock()
        self._connections: set[socket.socket] = set()

    def stop(self) -> None:
        if self.stopping.is_set():
            return
        self.stopping.set()
        self.shutdown()
        with self._lock:
            for connection in self._connections:
                _end(connection)
        self.server_close()

    def server_bind(self) -> None:
        # The base class asks a name server who 127.0.0.1 is.
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a caller may hang up between two requests
            super().handle_error(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)


class _Handler(BaseHTTPRequestHandler):
    """Bytes ↔ `Request` and `Answer`; keeps connections open, as vendors do."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet an answer

    def _exchange(self) -> None:
        server = cast("_Server", self.server)
        path, _, query = self.path.partition("?")
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
        at = datetime.now(UTC)
        try:
            body = _inflated(self._body(), headers.get("content-encoding", ""))
        except (ValueError, zlib.error, EOFError, OSError):
            # Half a body, or one that is not what its headers say: no vendor could take it in, and the connection is of no further use.
            self.close_connection = True
            self._send(Answer.json({"error": "the body is not what its headers say"}, status=400))
            return
        outcome = server.fake.receive(Request(at=at, method=self.command, path=path, query=parse_qs(query, keep_blank_values=True), headers=headers, body=body))
        if outcome.delay_s:
            server.stopping.wait(outcome.delay_s)
        if outcome.answer is None or server.stopping.is_set():
            self.close_connection = True
            return
        self._send(outcome.answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _exchange  # noqa: N815  # the base class looks these names up

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("transfer-encoding", "").lower():
            return self._exactly(int(self.headers.get("content-length", "0")))
        parts: list[bytes] = []
        while size := int(self.rfile.readline(64).split(b";")[0], 16):
            parts.append(self._exactly(size))
            self.rfile.readline(2)
        while self.rfile.readline(8192).strip():
            pass
        return b"".join(parts)

    def _exactly(self, size: int) -> bytes:
        body = self.rfile.read(size)
        if len(body) < size:
            raise EOFError
        return body

    def _send(self, answer: Answer) -> None:
        try:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status not in (204, 304):
                self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD" and answer.status not in (204, 304):
                self.wfile.write(answer.body)
            self.wfile.flush()
        except ConnectionError:
            # The caller has given up waiting; what it sent stands in the log.
            self.close_connection = True

    def version_string(self) -> str:
        return "fake"

    def log_message(self, format: str, *args: Any) -> None:
        """The log is `/__requests`."""


def _inflated(body: bytes, encoding: str) -> bytes:
    match encoding.lower():
        case "gzip":
            return gzip.decompress(body)
        case "deflate":
            return zlib.decompress(body)
        case _:
            return body


def _end(connection: socket.socket) -> None:
    with suppress(OSError):  # the caller was faster
        connection.shutdown(socket.SHUT_RDWR)
