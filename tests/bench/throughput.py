"""The whole pipeline on the local stack: events a second from the first request to the last vendor call, and what was lost or doubled on the way.

The load comes from the same machine, and the emulator runs its functions as processes on it: the rate is this machine's, not AWS's. Lost and doubled are the
point.
"""

from __future__ import annotations

import base64
import json
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpx

from local.stack import Stack, running
from tests.bench.counted import page_view
from tests.bench.figures import Figure

CLIENTS: Final = 4
REQUESTS: Final = 50
EVENTS_A_REQUEST: Final = 20
EVENTS: Final = REQUESTS * EVENTS_A_REQUEST
_LONGEST_SECONDS: Final = 240
_AFTERWARDS_SECONDS: Final = 3
"""For a second copy that might still be on its way."""


def figures() -> list[Figure]:
    with running(Path(".local").resolve(), say=print) as stack:
        _send(stack, [_batch(number, EVENTS_A_REQUEST) for number in range(1)])
        _drained(stack, EVENTS_A_REQUEST)
        httpx.delete(f"{stack.fakes['kissmetrics']}/__requests").raise_for_status()
        batches = [_batch(number, EVENTS_A_REQUEST) for number in range(REQUESTS)]
        started = time.monotonic()
        _send(stack, batches)
        arrived = _drained(stack, EVENTS)
        seconds = time.monotonic() - started
        time.sleep(_AFTERWARDS_SECONDS)
        arrived = _drained(stack, EVENTS)
    sent = {event["anonymousId"] for batch in batches for event in batch}
    return [
        Figure(
            "pipeline",
            "pipeline_events_per_second",
            EVENTS / seconds,
            "events/s",
            None,
            f"{EVENTS} page views in {REQUESTS} requests, {CLIENTS} clients, local stack",
        ),
        Figure("pipeline", "pipeline_lost", float(len(sent - arrived.keys())), "events", "== 0", "accepted and not at the vendor"),
        Figure(
            "pipeline", "pipeline_doubled", float(sum(len(wires) > 1 for wires in arrived.values())), "events", "== 0", "two different requests for one event"
        ),
    ]


def _batch(number: int, size: int) -> list[dict[str, Any]]:
    return [page_view(number * size + index) for index in range(size)]


def _send(stack: Stack, batches: list[list[dict[str, Any]]]) -> None:
    token = base64.b64encode(f"{stack.write_key}:".encode()).decode()

    def post(batch: list[dict[str, Any]]) -> None:
        answer = client.post(f"{stack.api_url}/v1/batch", content=json.dumps({"batch": batch}), headers={"Authorization": f"Basic {token}"})
        assert answer.status_code == 200, answer.text

    with httpx.Client(timeout=60, trust_env=False) as client, ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(post, batches))


def _drained(stack: Stack, wanted: int) -> dict[str, Counter[str]]:
    """The vendor's requests by person, once nothing more is expected or nothing more has come for a while."""
    until = time.monotonic() + _LONGEST_SECONDS
    while True:
        requests = httpx.get(f"{stack.fakes['kissmetrics']}/__requests", timeout=60, trust_env=False).json()
        arrived: dict[str, Counter[str]] = defaultdict(Counter)
        for request in requests:
            arrived[request["query"]["_p"][0]][json.dumps(request["query"], sort_keys=True)] += 1
        if len(arrived) >= wanted or time.monotonic() > until:
            return arrived
        time.sleep(0.2)
