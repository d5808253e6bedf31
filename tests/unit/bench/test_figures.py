"""The shape of `.local/bench.json`, on which others rely."""

from __future__ import annotations

import json
from pathlib import Path

from tests.bench.figures import Figure, keep


def test_a_figure_is_kept_with_its_bar_and_whether_that_holds(tmp_path: Path) -> None:
    figures = [
        Figure("pipeline", "intake_import_ratio", 1.2, "ratio", "<= 1.3", "a note that is for the table alone"),
        Figure("pipeline", "aws_calls_per_event", 1.4, "calls", "<= 1.3"),
        Figure("pipeline", "transform_share", 0.2, "ratio", ">= 0.1667"),
        Figure("pipeline", "events_per_second", 188.0, "events/s"),
        Figure("pipeline", "not_measured", None, "events/s", ">= 1"),
    ]
    keep(figures, tmp_path / "new" / "bench.json")
    assert json.loads((tmp_path / "new" / "bench.json").read_text()) == [
        {"area": "pipeline", "name": "intake_import_ratio", "value": 1.2, "unit": "ratio", "bar": "<= 1.3", "holds": True},
        {"area": "pipeline", "name": "aws_calls_per_event", "value": 1.4, "unit": "calls", "bar": "<= 1.3", "holds": False},
        {"area": "pipeline", "name": "transform_share", "value": 0.2, "unit": "ratio", "bar": ">= 0.1667", "holds": True},
        {"area": "pipeline", "name": "events_per_second", "value": 188.0, "unit": "events/s", "bar": None, "holds": None},
        {"area": "pipeline", "name": "not_measured", "value": None, "unit": "events/s", "bar": ">= 1", "holds": None},
    ]
