"""The page about reports says what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tributary.reports import dimensions
from tributary.reports.definitions import ADVERTISING_KPIS, LEAD_KPIS, ORDER_KPIS
from tributary.reports.engine import REPORTS
from tributary.reports.frame import FIELD
from tributary.reports.kpis import Kpi
from tributary.reports.models import DEFINITIONS
from tributary.reports.payback import PAYBACK
from tributary.reports.query import Model, ReportType

_PAGE = (Path(__file__).parents[3] / "docs" / "reports.md").read_text()


@pytest.mark.parametrize("kpi", [*ORDER_KPIS.values(), *LEAD_KPIS.values(), *ADVERTISING_KPIS.values(), PAYBACK], ids=lambda kpi: str(kpi.key))
def test_each_kpi_stands_there_with_its_name_unit_and_definition(kpi: Kpi) -> None:
    assert f"| `{kpi.key}` | {kpi.name} | {kpi.unit} | {kpi.definition} |" in _PAGE


@pytest.mark.parametrize("model", list(Model))
def test_each_model_stands_there_with_its_definition(model: Model) -> None:
    assert f"| `{model}` | {DEFINITIONS[model]} |" in _PAGE


def test_each_dimension_stands_there() -> None:
    assert [name for name in dimensions.ALL_NAMES if name not in _PAGE] == []


@pytest.mark.parametrize("type", list(ReportType))
def test_what_each_report_can_be_told_apart_by_stands_there(type: ReportType) -> None:
    (line,) = [line for line in _PAGE.splitlines() if line.startswith(f"| {type} | ")]
    said = set(line.split(" | ")[1].rstrip(" |").split(", "))
    touch = "those of the touch"
    known = {name.replace(FIELD, "field:<name>") for name in REPORTS[type].dimensions}
    assert (said - {touch} | dimensions.TOUCH_NAMES if touch in said else said) == known
