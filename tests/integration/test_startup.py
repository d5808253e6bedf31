"""What each handler loads when it starts: start-up is part of the design."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("pydantic", "httpx", "duckdb", "aws_xray_sdk", "phonenumbers", "asyncio", "typer", "rich")

ALLOWED = {
    "intake": set[str](),
    "record": set[str](),
    "fan_out": set[str](),
    "resolve": set[str](),
    "contact_facts": set[str](),
    "write_facts": {"duckdb"},
    "forward_kissmetrics": set[str](),
    "control_api": set[str](),
    "compact_facts": {"duckdb"},
    "reports_api": {"duckdb"},
    "konnektive_schedule": set[str](),
    "konnektive_poll": set[str](),
    "webhooks": set[str](),
}


@pytest.mark.parametrize("function", sorted(ALLOWED))
def test_a_handler_loads_no_heavy_module_that_it_does_not_need(function: str) -> None:
    code = f"import functions.{function}.handler, sys, json; print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'tributary'}", "AWS_DEFAULT_REGION": "us-east-1"}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True, cwd=ROOT)
    assert set(json.loads(answer.stdout)) <= ALLOWED[function]
