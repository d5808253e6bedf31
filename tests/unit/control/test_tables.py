"""Small tables that others rely on."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tributary.currencies import MINOR_UNITS, is_currency
from tributary.version import VERSION


@pytest.mark.parametrize(("code", "units"), [("USD", 2), ("EUR", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("BHD", 3), ("CLF", 4), ("ISK", 0), ("HUF", 2)])
def test_a_currency_has_its_minor_units(code: str, units: int) -> None:
    assert MINOR_UNITS[code] == units


def test_a_currency_is_three_capitals_and_known() -> None:
    assert all(len(code) == 3 and code.isalpha() and code.isupper() for code in MINOR_UNITS)
    assert not any(is_currency(code) for code in ("usd", "XXX", "XTS", "XAU", "", "US"))


def test_the_version_is_the_packages() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
