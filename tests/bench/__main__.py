"""`make bench [AREA=pipeline]`: performance as ratios and counted operations. A missed bar is shown; the exit code is 0 all the same."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.bench import counted, konnektive, reports, startup, throughput, transform
from tests.bench.figures import Figure, keep, show

AREAS: Final = {
    "pipeline": (startup.figures, transform.figures, counted.figures, throughput.figures),
    "konnektive": (konnektive.figures,),
    "reports": (reports.figures,),
}


def main(area: str | None) -> int:
    console = Console(width=180)
    if area is not None and area not in AREAS:
        console.print(f"no area named {area}; there are: {', '.join(AREAS)}")
        return 2
    figures: list[Figure] = []
    for name, parts in AREAS.items():
        if area in (None, name):
            for part in parts:
                figures += part()
    show(figures, console)
    keep(figures, Path(".local/bench.json"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
