"""What rows of Konnektive mean, case by case: `tests/golden/konnektive/*.json`.

A file is `{kind, base, cases}`, a case `{why, settings, rows, events}`. A row is the file's `base` with what the case gives over it; `"-name": 0` takes a field
away. Rows are read one after the other, each with the state that the one before has left; `events` has what each yields, as the log's JSON without the fields
that every event has alike (`source`, `receivedAt`).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tributary.events import decode, encode
from tributary.sources.konnektive.building import MAX_EVENT_ID
from tributary.sources.konnektive.records import Change, Kind, Reading, RecordState, change_of
from tributary.sources.konnektive.settings import settings_of

_FOLDER = Path(__file__).parent / "konnektive"
_CONNECTION = "con_bikes7rides2hill"
_CONNECTED = datetime(2000, 1, 1, tzinfo=UTC)
_RECEIVED = datetime(2026, 4, 18, 9, 30, 17, tzinfo=UTC)


def _cases() -> list[Any]:
    files = [(path, json.loads(path.read_text(encoding="utf-8"))) for path in sorted(_FOLDER.glob("*.json"))]
    return [pytest.param(file, case, id=f"{path.stem}: {case['why']}") for path, file in files for case in file["cases"]]


def _changes(file: dict[str, Any], case: dict[str, Any]) -> list[Change | None]:
    settings = settings_of({"loginId": "api-user", "password": "hill-climb-7", **case["settings"]})
    reading = Reading(_CONNECTION, settings, _RECEIVED, _CONNECTED)
    state: RecordState | None = None
    changes = []
    for over in case["rows"]:
        gone = {name[1:] for name in over if name.startswith("-")}
        row = {name: value for name, value in {**file["base"], **over}.items() if name not in gone and not name.startswith("-")}
        change = change_of(Kind(file["kind"]), row, state, reading)
        changes.append(change)
        state = state if change is None else change.state
    return changes


def events_of_case(file: dict[str, Any], case: dict[str, Any]) -> list[list[dict[str, Any]]]:
    return [[_shown(event) for event in ([] if change is None else change.events)] for change in _changes(file, case)]


def _shown(event: Any) -> dict[str, Any]:
    return {name: value for name, value in json.loads(encode(event)).items() if name not in ("source", "receivedAt")}


@pytest.mark.parametrize(("file", "case"), _cases())
def test_rows_mean(file: dict[str, Any], case: dict[str, Any]) -> None:
    assert events_of_case(file, case) == case["events"]


@pytest.mark.parametrize(("file", "case"), _cases())
def test_events_hold_their_form(file: dict[str, Any], case: dict[str, Any]) -> None:
    """The log can read them, no two have one id, and what came first sorts first within its second."""
    changes = [change for change in _changes(file, case) if change is not None]
    events = [event for change in changes for event in change.events]
    assert [decode(encode(event)) for event in events] == events
    assert len({event.message_id for event in events}) == len(events)
    assert all(len(event.message_id) <= MAX_EVENT_ID for event in events)
    assert all(event.message_id.startswith(f"konnektive:{_CONNECTION}:{file['kind']}:") for event in events)
    assert [event.sequence for event in events] == sorted({event.sequence for event in events})


@pytest.mark.parametrize(("file", "case"), _cases())
def test_a_row_read_again_means_nothing(file: dict[str, Any], case: dict[str, Any]) -> None:
    assert events_of_case(file, {**case, "rows": [row for row in case["rows"] for _ in range(2)]})[1::2] == [[] for _ in case["rows"]]


def test_every_case_says_why() -> None:
    ids = [case.id for case in _cases()]
    assert len(ids) > 60
    assert len(set(ids)) == len(ids)
    assert all(case.values[1]["why"].endswith(".") for case in _cases())
