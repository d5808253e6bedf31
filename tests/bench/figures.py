"""What a figure is, and how figures are shown and kept."""

from __future__ import annotations

import json
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

_COMPARISONS: Final = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}


@dataclass(frozen=True)
class Figure:
    """`bar`: as `<= 1.3`, or None where a figure is only shown. `note`: how it came about, for the table alone."""

    area: str
    name: str
    value: float | None
    unit: str
    bar: str | None = None
    note: str = ""

    @property
    def holds(self) -> bool | None:
        if self.bar is None or self.value is None:
            return None
        sign, limit = self.bar.split()
        return bool(_COMPARISONS[sign](self.value, float(limit)))


def show(figures: Sequence[Figure], console: Console) -> None:
    table = Table(title="Figures", show_lines=False)
    for heading in ("area", "figure", "value", "unit", "bar", "holds", "how"):
        table.add_column(heading, justify="right" if heading == "value" else "left", overflow="fold")
    for figure in figures:
        holds = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}[figure.holds]
        value = "—" if figure.value is None else f"{figure.value:,.4g}"
        table.add_row(figure.area, figure.name, value, figure.unit, figure.bar or "", holds, figure.note)
    console.print(table)


def keep(figures: Sequence[Figure], path: Path) -> None:
    """Write `.local/bench.json`."""
    rows = [
        {"area": figure.area, "name": figure.name, "value": figure.value, "unit": figure.unit, "bar": figure.bar, "holds": figure.holds} for figure in figures
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1) + "\n")
