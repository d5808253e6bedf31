"""What intake loads and what that costs, against its AWS clients alone, in fresh interpreters of one run."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.bench.figures import Figure

ROOT: Final = Path(__file__).parents[2]
HEAVY: Final = ("pydantic", "httpx", "duckdb", "aws_xray_sdk")
_RUNS: Final = 15

_INTAKE: Final = "import functions.intake.handler"
_CLIENTS: Final = "import boto3; boto3.client('sqs', region_name='us-east-1'); boto3.client('dynamodb', region_name='us-east-1')"
_TIMED: Final = "import time; t = time.process_time(); {code}; print(time.process_time() - t)"


def figures() -> list[Figure]:
    loaded = _python(f"{_INTAKE}; import sys; print([name for name in {HEAVY!r} if name in sys.modules])")
    pairs = [(_seconds(_INTAKE), _seconds(_CLIENTS)) for _ in range(_RUNS)]
    ours, clients = (statistics.median(times) for times in zip(*pairs, strict=True))
    heavy = loaded.strip().strip("[]")
    return [
        Figure(
            "pipeline", "intake_import_ratio", ours / clients, "ratio", "<= 1.3", f"CPU of {ours * 1000:.0f} ms / {clients * 1000:.0f} ms, {_RUNS} runs each"
        ),
        Figure("pipeline", "intake_heavy_modules", float(len(heavy.split(",")) if heavy else 0), "modules", "== 0", heavy or "none"),
    ]


def _seconds(code: str) -> float:
    return float(_python(_TIMED.format(code=code)))


def _python(code: str) -> str:
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'tributary'}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "POWERTOOLS_METRICS_NAMESPACE": "Tributary",
        "POWERTOOLS_SERVICE_NAME": "bench",
    }
    return subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True, cwd=ROOT).stdout
