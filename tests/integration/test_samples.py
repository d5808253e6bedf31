"""Each sample event runs through its handler, as `sam local invoke` would run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local.fakes.fake import Fake
from local.fakes.konnektive.vendor import Konnektive
from tests.kit.pipeline import FUNCTIONS, OF_FACTS, pipeline
from tests.kit.sync import FakedVendor
from tributary.ports import VendorAnswer, VendorRequest

SAMPLES = Path(__file__).parents[2] / "events"


class Vendor:
    def send(self, request: VendorRequest, *, timeout: float) -> VendorAnswer:
        return VendorAnswer(status=200, headers={}, body=b"GIF89a")


def test_every_function_has_a_sample() -> None:
    functions = {path.parent.name for path in (SAMPLES.parent / "functions").glob("*/handler.py")}
    assert {path.parent.name for path in SAMPLES.glob("*/*.json")} == functions


@pytest.mark.parametrize(
    "path", sorted(path for name in (*FUNCTIONS, *OF_FACTS) for path in (SAMPLES / name).glob("*.json")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_a_sample_event_runs_through_its_handler(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    with pipeline(monkeypatch, Vendor(), account=lambda clock: FakedVendor(Fake(Konnektive()), clock.now), facts=path.parent.name in OF_FACTS) as stack:
        answer: Any = stack.invoke(path.parent.name, json.loads(path.read_text()))
    if path.parent.name in {"record", "forward_kissmetrics", "konnektive_poll", "write_facts"}:
        assert answer == {"batchItemFailures": []}
    elif path.parent.name == "reports_api":
        assert answer["statusCode"] == 401, "no key of the sample's: test_reports_api has one"
    elif path.parent.name == "webhooks":
        assert answer["statusCode"] == (401 if path.stem.endswith("wrong_secret") else 200)
    elif path.parent.name == "intake":
        assert isinstance(json.loads(answer["body"]) if not answer.get("isBase64Encoded") else {}, dict)
    else:
        assert answer is None
