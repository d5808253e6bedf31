"""What goes over the wire to a vendor and what comes back, on a network of bytes and a moved clock."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary.adapters.http import LARGEST_ANSWER, HttpVendor
from tributary.destinations.encoding import encode_pairs
from tributary.destinations.kissmetrics import parse_settings
from tributary.errors import AnswerTooLarge, InvalidForVendor, SettingsInvalid, VendorUnavailable
from tributary.ports import VendorRequest

YES = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Wire(httpcore.NetworkStream):
    """A connection. `pieces`: what comes, each after so many seconds; then silence, or the end."""

    def __init__(self, time: Time, pieces: Iterable[tuple[float, bytes]], written: list[bytes]) -> None:
        self._time = time
        self._pieces = iter(pieces)
        self._written = written
        self.closed = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        assert timeout is not None
        seconds, piece = next(self._pieces, (0.0, b""))
        if seconds > timeout:
            self._time.now += timeout
            raise httpcore.ReadTimeout
        self._time.now += seconds
        return piece

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        assert timeout is not None
        self._written.append(buffer)

    def close(self) -> None:
        self.closed = True

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None) -> httpcore.NetworkStream:
        assert ssl_context.verify_mode is ssl.CERT_REQUIRED
        assert ssl_context.check_hostname
        self._written.append(f"[TLS {server_hostname}]".encode())
        return self

    def get_extra_info(self, info: str) -> Any:
        return False if info == "is_readable" else None


class Network(httpcore.NetworkBackend):
    """`answer`: the pieces of each connection's answers, or an error on connecting."""

    def __init__(self, time: Time, *answers: Sequence[tuple[float, bytes]] | Iterator[tuple[float, bytes]] | Exception) -> None:
        self._time = time
        self._answers = list(answers)
        self.written: list[bytes] = []
        self.wires: list[Wire] = []
        self.connected: list[tuple[str, int, float | None]] = []

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        self.connected.append((host, port, timeout))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            if isinstance(answer, httpcore.ConnectTimeout):
                self._time.now += timeout or 0
            raise answer
        self.wires.append(Wire(self._time, answer, self.written))
        return self.wires[-1]


def made(*answers: Any, hosts: Callable[[str, int], Sequence[str]] = lambda host, _port: [host]) -> tuple[HttpVendor, Network, Time]:
    time = Time()
    network = Network(time, *answers)
    return HttpVendor(backend=network, resolve=hosts, monotonic=time), network, time


def get(**given: Any) -> VendorRequest:
    return VendorRequest(**{"method": "GET", "url": "https://vendor.example/e", **given})


# ---------------------------------------------------------------- what goes out


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=6))
def test_the_query_goes_out_as_encode_pairs_made_it_to_the_byte(pairs: list[tuple[str, str]]) -> None:
    vendor, network, _ = made([(0, YES)])
    vendor.send(get(url="http://127.0.0.1:8123/e", query=pairs), timeout=10)
    request_line = network.written[0].split(b"\r\n")[0]
    assert request_line == b"GET /e?" + encode_pairs(pairs).encode() + b" HTTP/1.1"


def test_characters_that_clients_like_to_quote_their_own_way_stay_as_they_are() -> None:
    value = "a b+c%20d/e?f=g&h[i]{j}|k~l'm\"n\\é€😀"
    vendor, network, _ = made([(0, YES)])
    vendor.send(get(query=[("v[]", value)]), timeout=10)
    assert f"GET /e?v%5B%5D={quote(value, safe='')} HTTP/1.1".encode() in network.written[1]


def test_what_is_already_encoded_goes_out_as_it_is() -> None:
    vendor, network, _ = made([(0, YES), (0, YES)])
    vendor.send(get(query=[("a", "b c")], encoded="a=b+c"), timeout=10)
    assert b"GET /e?a=b+c HTTP/1.1" in network.written[1]
    vendor.send(VendorRequest(method="POST", url="https://vendor.example/e", form=[("a", "b c")], encoded="a=b+c"), timeout=10)
    form = b"".join(network.written[2:])
    assert b"POST /e HTTP/1.1" in form
    assert form.endswith(b"\r\n\r\na=b+c")


def test_a_form_is_a_percent_encoded_body() -> None:
    vendor, network, _ = made([(0, YES)], [(0, YES)])
    vendor.send(VendorRequest(method="POST", url="https://vendor.example/s", form=[("a b", "c&d")]), timeout=10)
    sent = b"".join(network.written)
    assert b"POST /s HTTP/1.1" in sent
    assert b"content-type: application/x-www-form-urlencoded\r\n" in sent.lower()
    assert sent.endswith(b"\r\n\r\na%20b=c%26d")
    assert b"content-length: 11\r\n" in sent.lower()


def test_json_and_headers_go_out_as_given() -> None:
    vendor, network, _ = made([(0, YES)])
    request = VendorRequest(
        method="POST", url="https://vendor.example/api", json={"a": [1, "é"]}, headers={"Authorization": "Bearer x", "Revision": "2026-01-15"}
    )
    vendor.send(request, timeout=10)
    sent = b"".join(network.written)
    assert b"authorization: Bearer x\r\n" in sent
    assert b"revision: 2026-01-15\r\n" in sent
    assert sent.endswith('{"a":[1,"é"]}'.encode())


def test_the_vendors_name_is_verified_and_compression_is_not_asked_for() -> None:
    vendor, network, _ = made([(0, YES)], hosts=lambda *_: ["192.0.2.7"])
    vendor.send(get(), timeout=10)
    assert network.connected[0][:2] == ("192.0.2.7", 443)
    assert network.written[0] == b"[TLS vendor.example]"
    assert b"accept-encoding: identity\r\n" in network.written[1]
    assert b"Host: vendor.example\r\n" in network.written[1]


@pytest.mark.parametrize(
    "url",
    [
        "http://vendor.example/",
        "http://localhost.vendor.example/",
        "http://127.0.0.1.vendor.example/",
        "ftp://vendor.example/",
        "vendor",
        "https://",
        "https://h:99999/",
    ],
)
def test_only_https_is_spoken_except_to_this_machine(url: str) -> None:
    vendor, network, _ = made()
    with pytest.raises(SettingsInvalid) as caught:
        vendor.send(get(url=url), timeout=10)
    assert caught.value.field == "endpoint"
    assert network.connected == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_fake_on_this_machine_is_spoken_to_in_plain_http(host: str) -> None:
    vendor, network, _ = made([(0, YES)])
    vendor.send(get(url=f"http://{host}:8123/e"), timeout=10)
    assert network.connected[0][1] == 8123
    assert network.written[0].startswith(b"GET /e HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "endpoint",
    [
        *("https://trk.kissmetrics.io", "https://proxy.example:8443/km", "http://127.0.0.1:4010", "http://localhost:4010", "https://[2001:db8::1]/km"),
        *(
            "http://vendor.example",
            "http://127.0.0.2",
            "ftp://vendor.example",
            "https://b\u00fccher.example",
            "https://vendor.example/k\u00f6",
            "https://h:99999",
        ),
    ],
)
def test_an_endpoint_that_can_be_saved_can_be_sent_to_and_no_other(endpoint: str) -> None:
    vendor, network, _ = made([(0, YES)])
    try:
        settings = parse_settings({"apiKey": "shop-key", "endpoint": endpoint})
    except SettingsInvalid:
        with pytest.raises(SettingsInvalid):
            vendor.send(get(url=f"{endpoint}/e"), timeout=10)
    else:
        vendor.send(get(url=f"{settings.endpoint}/e"), timeout=10)
        assert len(network.connected) == 1


def test_a_header_that_would_begin_another_is_refused_without_being_quoted() -> None:
    vendor, _, _ = made([(0, YES)])
    with pytest.raises(InvalidForVendor) as caught:
        vendor.send(get(headers={"authorization": "secret\r\nx: y"}), timeout=10)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


# ---------------------------------------------------------------- what comes back


def test_an_answer_is_its_status_its_headers_in_lower_case_and_its_body() -> None:
    vendor, _, _ = made([(0, b"HTTP/1.1 429 Slow down\r\nRetry-After: 7\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 4\r\n\r\nwait")])
    answer = vendor.send(get(), timeout=10)
    assert (answer.status, answer.body) == (429, b"wait")
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["set-cookie"] == "a, b"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(status: int) -> None:
    vendor, network, _ = made([(0, f"HTTP/1.1 {status} Moved\r\nlocation: https://elsewhere.example/\r\ncontent-length: 0\r\n\r\n".encode())])
    assert vendor.send(get(), timeout=10).status == status
    assert len(network.connected) == 1


def test_connections_are_kept_open_between_messages() -> None:
    vendor, network, _ = made([(0, YES), (0, YES)])
    vendor.send(get(), timeout=10)
    vendor.send(get(), timeout=10)
    assert len(network.connected) == 1


def test_a_success_that_is_too_long_is_an_error_of_its_own_and_takes_no_memory() -> None:
    read = [0]

    def endless() -> Iterator[tuple[float, bytes]]:
        yield 0, b"HTTP/1.1 200 OK\r\n\r\n"
        while True:
            read[0] += 1
            yield 0, b"x" * 4096

    vendor, network, _ = made(endless())
    with pytest.raises(AnswerTooLarge):
        vendor.send(get(), timeout=10)
    assert read[0] * 4096 <= LARGEST_ANSWER + 4096
    assert network.wires[0].closed


def test_an_answer_of_just_the_limit_is_taken() -> None:
    body = b"x" * LARGEST_ANSWER
    vendor, _, _ = made([(0, b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)])
    assert len(vendor.send(get(), timeout=10).body) == LARGEST_ANSWER


def test_an_error_page_that_is_too_long_is_still_its_status() -> None:
    body = b"x" * (LARGEST_ANSWER * 2)
    vendor, _, _ = made([(0, b"HTTP/1.1 503 Down\r\ncontent-length: %d\r\n\r\n" % len(body) + body)])
    answer = vendor.send(get(), timeout=10)
    assert (answer.status, len(answer.body)) == (503, LARGEST_ANSWER)


# ---------------------------------------------------------------- time


def headers_byte_by_byte() -> Iterator[tuple[float, bytes]]:
    yield 0, b"HTTP/1.1 200 OK\r\nx: "
    while True:
        yield 3, b"x"


def body_byte_by_byte() -> Iterator[tuple[float, bytes]]:
    yield 0, b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"
    while True:
        yield 3, b"x"


def only_interim_answers() -> Iterator[tuple[float, bytes]]:
    while True:
        yield 3, b"HTTP/1.1 102 Processing\r\n\r\n"


@pytest.mark.parametrize(
    "pieces",
    [lambda: [(29, YES)], lambda: [(9, YES[:30]), (9, YES[30:])], headers_byte_by_byte, body_byte_by_byte, only_interim_answers],
    ids=["29 s", "9 s and 9 s", "trickled headers", "trickled body", "interim answers"],
)
def test_the_whole_exchange_ends_in_time_however_it_is_drawn_out(pieces: Callable[[], Any]) -> None:
    vendor, network, time = made(pieces())
    with pytest.raises(VendorUnavailable):
        vendor.send(get(), timeout=10)
    assert time.now == pytest.approx(10, abs=3)
    assert time.now <= 10
    assert network.wires[0].closed


def test_a_dead_address_leaves_time_for_the_next() -> None:
    vendor, network, time = made(httpcore.ConnectTimeout(), httpcore.ConnectError(), [(0, YES)], hosts=lambda *_: ["192.0.2.1", "192.0.2.2", "192.0.2.3"])
    assert vendor.send(get(), timeout=10).status == 200
    assert [address for address, _, _ in network.connected] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert time.now == 3


def test_many_dead_addresses_do_not_add_up_past_the_limit() -> None:
    vendor, _, time = made(*[httpcore.ConnectTimeout() for _ in range(9)], hosts=lambda *_: [f"192.0.2.{number}" for number in range(9)])
    with pytest.raises(VendorUnavailable):
        vendor.send(get(), timeout=10)
    assert time.now == 10


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    "answer",
    [
        httpcore.ConnectError("refused"),
        [(0, b"")],
        [(0, b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"), (0, b"")],
        [(0, b"SSH-2.0-OpenSSH\r\n")],
        [(0, b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n")],
        [(0, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")],
        [(0, b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000)],
    ],
    ids=["refused", "closed", "half an answer", "no HTTP", "bad length", "bad chunk", "endless header"],
)
def test_whatever_is_no_answer_is_an_unavailable_vendor(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    vendor, network, _ = made(answer)
    with caplog.at_level(logging.INFO), pytest.raises(VendorUnavailable) as caught:
        vendor.send(get(query=[("_p", "ann@example.com"), ("_k", "key-1")]), timeout=10)
    chain = f"{caught.value} {caught.value.__cause__!r}"
    assert "vendor.example" in str(caught.value)
    assert "ann" not in chain
    assert "key-1" not in chain
    assert caplog.text == ""
    assert all(wire.closed for wire in network.wires)


def test_a_name_that_does_not_resolve_is_an_unavailable_vendor() -> None:
    def unknown(*_: object) -> list[str]:
        raise OSError("Name or service not known")

    vendor, _, _ = made(hosts=unknown)
    with pytest.raises(VendorUnavailable):
        vendor.send(get(), timeout=10)


def test_nothing_of_a_request_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    vendor, _, _ = made([(0, YES)])
    with caplog.at_level(logging.INFO):
        vendor.send(get(query=[("_p", "ann@example.com")]), timeout=10)
    assert caplog.text == ""
