"""Times as senders write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary.sources import timestamps

FIFTH_SECOND = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2026-03-04T05:06:07Z", FIFTH_SECOND),
        ("2026-03-04T05:06:07.890Z", FIFTH_SECOND + timedelta(milliseconds=890)),
        ("2026-03-04T05:06:07.890123Z", FIFTH_SECOND + timedelta(microseconds=890_123)),
        ("2026-03-04T05:06:07.890123456Z", FIFTH_SECOND + timedelta(microseconds=890_123)),
        ("2026-03-04T05:06:07,5Z", FIFTH_SECOND + timedelta(milliseconds=500)),
        ("2026-03-04T07:06:07+02:00", FIFTH_SECOND),
        ("2026-03-04T07:06:07+0200", FIFTH_SECOND),
        ("2026-03-04T07:06:07+02", FIFTH_SECOND),
        ("2026-03-04T00:06:07-05:00", FIFTH_SECOND),
        ("2026-03-05T05:05:07+23:59", FIFTH_SECOND),
        ("2026-3-3 5:07:07 -23:59", FIFTH_SECOND),
        ("2026-03-04T05:06:07", FIFTH_SECOND),
        ("2026-03-04 05:06:07", FIFTH_SECOND),
        ("2026-03-04 05:06:07 UTC", FIFTH_SECOND),
        ("2026-03-04 00:06:07 -0500", FIFTH_SECOND),
        ("2026-03-04t05:06:07z", FIFTH_SECOND),
        (" 2026-03-04T05:06:07Z ", FIFTH_SECOND),
        ("20260304T050607Z", FIFTH_SECOND),
        ("2026-3-4 5:06:07", FIFTH_SECOND),
        ("2026-03-04T05:06Z", FIFTH_SECOND - timedelta(seconds=7)),
        ("2026-03-04", datetime(2026, 3, 4, tzinfo=UTC)),
        ("2026-03-03T24:00:00Z", datetime(2026, 3, 4, tzinfo=UTC)),
        ("2026-03-03T23:59:60Z", datetime(2026, 3, 4, tzinfo=UTC)),
        (1772600767, FIFTH_SECOND),
        (1772600767.5, FIFTH_SECOND + timedelta(milliseconds=500)),
        (1772600767890, FIFTH_SECOND + timedelta(milliseconds=890)),
        ("1772600767", FIFTH_SECOND),
        ("1772600767890", FIFTH_SECOND + timedelta(milliseconds=890)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_every_form_that_libraries_send_is_read(written: Any, time: datetime) -> None:
    assert timestamps.parse(written) == time


@pytest.mark.parametrize(
    "written",
    [
        "",
        "yesterday",
        "2026",
        "2026-13-01",
        "2026-02-30",
        "2026-03-04T25:00:00Z",
        "2026-03-04T05:60:00Z",
        "2026-03-04T05:06:61Z",
        "2026-03-04T05:06:07+99:99",
        "2026-03-04T05:06:07+24:00",
        "2026-03-04T05:06:07+05:60",
        "2026-03-04T05:06:07-0060",
        "20260304T050607+0599",
        "2026-3-4 5:06:07 +99:99",
        "2026-3-4 5:06:07 -05:60",
        "04/03/2026",
        "9" * 5_000,
        "0001-01-01T00:00:00Z",
        "1899-12-31T23:59:59Z",
        "2200-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "\uff12\uff10\uff12\uff16-03-04",
        True,
        None,
        [],
        {},
        1e300,
        -1e300,
        10**400,
        7_258_118_400,
    ],
)
def test_what_is_no_time_between_1900_and_2200_is_none(written: Any) -> None:
    assert timestamps.parse(written) is None


def test_a_time_is_always_given_in_utc() -> None:
    time = timestamps.parse("2026-03-04T07:06:07+02:00")
    assert time is not None
    assert time.tzinfo is UTC


@given(
    st.datetimes(min_value=datetime(1901, 1, 1), max_value=datetime(2199, 1, 1)),  # noqa: DTZ001  # the zone is drawn beside it
    st.integers(min_value=-14 * 60, max_value=14 * 60),
)
def test_whatever_python_writes_is_read_back(moment: datetime, offset_minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    assert timestamps.parse(aware.isoformat()) == aware
    assert timestamps.parse(aware.isoformat(" ")) == aware


@given(st.one_of(st.text(max_size=80), st.floats(), st.integers(), st.text(alphabet="0123456789-:T.+Z ", max_size=40)))
def test_nothing_that_is_sent_raises(written: Any) -> None:
    time = timestamps.parse(written)
    assert time is None or time.tzinfo is UTC
