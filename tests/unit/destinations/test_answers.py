"""Status and headers of a vendor's answer, and the error they stand for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tributary.destinations.answers import check_status, retry_after
from tributary.errors import CredentialRefused, TributaryError, VendorRefused, VendorThrottled, VendorUnavailable
from tributary.ports import VendorAnswer

_NOW = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)


def _check(status: int, **headers: str) -> None:
    check_status(VendorAnswer(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()}, body=b""), vendor="Vendor", now=_NOW)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    _check(status)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (408, VendorThrottled),
        (429, VendorThrottled),
        (500, VendorUnavailable),
        (502, VendorUnavailable),
        (503, VendorUnavailable),
        (504, VendorUnavailable),
        (599, VendorUnavailable),
        (401, CredentialRefused),
        (403, CredentialRefused),
        (400, VendorRefused),
        (404, VendorRefused),
        (413, VendorRefused),
        (422, VendorRefused),
        (301, VendorRefused),
        (302, VendorRefused),
        (304, VendorRefused),
        (307, VendorRefused),
        (101, VendorRefused),
        (600, VendorRefused),
    ],
)
def test_every_other_status_has_its_error(status: int, error: type[TributaryError]) -> None:
    with pytest.raises(error, match=f"Vendor answered {status}") as raised:
        _check(status)
    assert type(raised.value) is error


def test_a_destination_may_take_more_as_success() -> None:
    check_status(VendorAnswer(status=304, headers={}, body=b""), vendor="Vendor", now=_NOW, also_success={304})


@pytest.mark.parametrize(("status", "error"), [(429, VendorThrottled), (408, VendorThrottled), (503, VendorUnavailable)])
def test_a_wait_that_the_vendor_asks_for_is_passed_on(status: int, error: type[VendorThrottled | VendorUnavailable]) -> None:
    with pytest.raises(error) as raised:
        _check(status, retry_after="17")
    assert raised.value.retry_after == 17


def test_the_message_holds_nothing_of_the_body() -> None:
    with pytest.raises(VendorRefused) as raised:
        check_status(VendorAnswer(status=400, headers={}, body=b"lea@harbour.example"), vendor="Vendor", now=_NOW)
    assert "harbour" not in str(raised.value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 5 ", 5),
        ("1.5", 1.5),
        ("Wed, 04 Mar 2026 12:00:30 GMT", 30),
        ("Wednesday, 04-Mar-26 12:00:30 GMT", 30),
        ("Wed Mar  4 12:00:30 2026", 30),
        ("Wed, 04 Mar 2026 11:59:00 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_an_http_date(value: str, seconds: float) -> None:
    assert retry_after({"retry-after": value}, now=_NOW) == seconds


@pytest.mark.parametrize("value", ["", "soon", "-5", "1e9", "NaN", "inf", "9" * 400, "2026-03-04T12:00:30Z", "Wed, 99 Mar 2026 12:00:30 GMT", "٣"])
def test_a_retry_after_that_makes_no_sense_is_ignored(value: str) -> None:
    assert retry_after({"retry-after": value}, now=_NOW) is None


def test_without_the_header_there_is_no_wait() -> None:
    assert retry_after({}, now=_NOW) is None


def test_a_date_is_counted_from_the_vendors_own_clock() -> None:
    headers = {"retry-after": "Wed, 04 Mar 2026 15:00:30 GMT", "date": "Wed, 04 Mar 2026 15:00:00 GMT"}
    assert retry_after(headers, now=_NOW) == 30


def test_a_date_header_that_makes_no_sense_is_replaced_by_our_clock() -> None:
    assert retry_after({"retry-after": "Wed, 04 Mar 2026 12:00:30 GMT", "date": "yesterday"}, now=_NOW) == 30
