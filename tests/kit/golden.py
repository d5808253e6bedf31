"""Events of the golden files of a source, as the log has them."""

from __future__ import annotations

import json
from pathlib import Path

from tributary.events import Event, decode

_FOLDER = Path(__file__).parents[1] / "golden" / "konnektive"
CONNECTION = "con_bikes7rides2hill"
RECEIVED = "2026-04-18T09:30:17Z"


def golden(file: str, why: str) -> list[Event]:
    """All events of the one case of `tests/golden/konnektive` whose `why` begins so."""
    (case,) = [case for case in json.loads((_FOLDER / f"{file}.json").read_text(encoding="utf-8"))["cases"] if case["why"].startswith(why)]
    said = [event for events in case["events"] for event in events]
    return [decode(json.dumps({**event, "source": CONNECTION, "receivedAt": RECEIVED}).encode()) for event in said]
