"""Writes `docs/openapi.yaml` from the code.

python -m local.openapi
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, cast

import yaml

from tributary.control.openapi import document
from tributary.control.report_routes import ReportRoutes
from tributary.control.routes import ControlApi
from tributary.entered.entering import Entering
from tributary.reports.engine import REPORTS
from tributary.reports.reporting import Reports

PATH: Final = Path(__file__).resolve().parent.parent / "docs" / "openapi.yaml"
_HEADER: Final = "# Written by `make openapi` from the code: change that, not this.\n"


class _Dumper(yaml.SafeDumper):
    """Every value in full: no anchors."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def text() -> str:
    """The file as it should be."""
    nothing = cast("Any", None)  # a table of routes needs no stores behind it
    entering = Entering(spend=nothing, rates=nothing, fixed_costs=nothing, reporting_currency=nothing, now=nothing)
    api = ControlApi(operator=nothing, recent=nothing, parking=nothing, shadow=nothing, syncs=nothing, entering=entering, now=nothing)
    reports = Reports(facts=nothing, kinds=REPORTS, settings=nothing, fixed_costs=nothing, now=nothing)
    routes = [*api.routes(), *ReportRoutes(reports, nothing).routes()]
    return _HEADER + yaml.dump(document(routes), Dumper=_Dumper, sort_keys=False, width=160, allow_unicode=True)


if __name__ == "__main__":
    PATH.write_text(text())
    print(f"wrote {PATH}")
