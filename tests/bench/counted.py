"""AWS calls, write units, bytes and CPU of an anonymous page view on its whole way, counted at botocore; and the dollars that follow.

The handlers are the real ones, on moto. Write units are counted by DynamoDB's own rule from the items as sent (names and values, 1 KB a unit).
"""

from __future__ import annotations

import io
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import pytest

from tests.bench.figures import Figure
from tests.bench.quiet import printed
from tests.kit.pipeline import Pipeline, pipeline
from tributary.adapters import aws
from tributary.destinations.encoding import encode_pairs
from tributary.ports import VendorAnswer, VendorRequest

STAGES: Final = ("intake", "record", "fan_out", "resolve", "forward_kissmetrics")
REQUESTS: Final = 10
EVENTS_A_REQUEST: Final = 20
EVENTS: Final = REQUESTS * EVENTS_A_REQUEST

# List prices, us-east-1, arm64, per million unless said otherwise; free tiers left out.
GATEWAY: Final = 1.00
LAMBDA_REQUEST: Final = 0.20
GB_SECOND: Final = 0.0000133334
SQS_STANDARD: Final = 0.40
SQS_FIFO: Final = 0.50
WRITE_UNIT: Final = 0.625
READ_UNIT: Final = 0.125
LOG_GB: Final = 0.50
EGRESS_GB: Final = 0.09
MEMORY_GB: Final = 0.5
VCPU: Final = 512 / 1769
"""What 512 MB buys of a core."""
VENDOR_SECONDS: Final = 0.1
"""Assumed wait for the vendor; the groups of a batch wait side by side."""
EVENTS_A_MONTH: Final = 10_000_000
"""What the idle polls are spread over."""
IDLE_POLLS_A_MONTH: Final = 2 * 5 * 3 * 60 * 24 * 30
"""Two queues, five pollers each, a 20 s long poll."""


@dataclass
class Stage:
    calls: Counter[str] = field(default_factory=Counter)
    suppression_calls: int = 0
    suppression_keys: int = 0
    write_units: int = 0
    invocations: int = 0
    cpu_seconds: float = 0.0
    log_bytes: int = 0


class Vendor:
    """Answers every request as Kissmetrics does and counts the bytes."""

    def __init__(self) -> None:
        self.bytes = 0
        self.requests = 0

    def send(self, request: VendorRequest, *, timeout: float) -> VendorAnswer:
        self.requests += 1
        self.bytes += len(request.url) + len(encode_pairs(request.query)) + 250
        return VendorAnswer(status=200, headers={}, body=b"GIF89a")


def figures() -> list[Figure]:
    stages = {name: Stage() for name in STAGES}
    vendor = Vendor()
    with printed() as output, pytest.MonkeyPatch.context() as patch, pipeline(patch, vendor) as stack:
        current = ["intake"]
        _count_calls(stages, current)
        _observe(stack, stages, current, output)
        _run(stack, count=2)  # warm: clients, keys, imports
        for stage in stages.values():
            stage.__init__()  # type: ignore[misc]  # start counting anew
        vendor.bytes = vendor.requests = 0
        _run(stack, count=REQUESTS)
    assert vendor.requests == EVENTS, f"{vendor.requests} requests for {EVENTS} events"
    return [*_counts(stages), *_dollars(stages, vendor)]


def _run(stack: Pipeline, *, count: int) -> None:
    for number in range(count):
        answer = stack.post("/v1/batch", {"batch": [page_view(number * EVENTS_A_REQUEST + index) for index in range(EVENTS_A_REQUEST)]})
        assert answer["statusCode"] == 200, answer
    stack.run(rounds=10 + count * 4)


_serial: Final = [0]


def page_view(number: int) -> dict[str, Any]:
    """What a browser sends for a visit from an ad; every visitor another."""
    _serial[0] += 1
    visitor = f"{_serial[0]:08x}-93b4-4f28-a6d1-c8e2f7b0{number % 10_000:04d}"
    where = {
        "path": "/collections/winter",
        "referrer": "https://www.google.com/",
        "search": f"?utm_source=google&utm_medium=cpc&utm_campaign=winter-{number}",
        "title": "Winter collection | Harbour Outfitters",
        "url": f"https://shop.harbour.example/collections/winter?utm_source=google&utm_medium=cpc&utm_campaign=winter-{number}",
    }
    return {
        "type": "page",
        "name": "Winter",
        "messageId": f"ajs-next-1772600767890-{visitor}",
        "anonymousId": visitor,
        "timestamp": "2026-03-04T05:06:07.890Z",
        "sentAt": "2026-03-04T05:06:08.000Z",
        "properties": {**where, "name": "Winter"},
        "context": {
            "campaign": {"source": "google", "medium": "cpc", "name": f"winter-{number}"},
            "ip": "203.0.113.9",
            "library": {"name": "analytics.js", "version": "next-1.84.1"},
            "locale": "en-GB",
            "page": where,
            "timezone": "Europe/London",
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
        },
    }


def _observe(stack: Pipeline, stages: dict[str, Stage], current: list[str], output: io.StringIO) -> None:
    """Attribute what happens to the function that runs. Moto's own work is taken out of the CPU."""
    invoke = stack.invoke

    def observed(function: str, event: dict[str, Any]) -> Any:
        stage = stages[function]
        current[0] = function
        length = output.tell()
        aside = _aside[0]
        started = time.process_time()
        answer = invoke(function, event)
        stage.cpu_seconds += time.process_time() - started - (_aside[0] - aside)
        stage.invocations += 1
        stage.log_bytes += len(output.getvalue()[length:].encode())
        return answer

    stack.invoke = observed  # type: ignore[method-assign]


_aside: Final = [0.0]


def _count_calls(stages: dict[str, Stage], current: list[str]) -> None:
    from moto.core.models import botocore_stubber

    def parameters(params: dict[str, Any], model: Any, **_: Any) -> None:
        stage = stages[current[0]]
        if model.name == "BatchGetItem" and _is_suppression(params):
            stage.suppression_calls += 1
            stage.suppression_keys += sum(len(request["Keys"]) for request in params["RequestItems"].values())
            return
        stage.calls[model.name] += 1
        if model.name == "PutItem":
            stage.write_units += _units(params["Item"])
        elif model.name in {"UpdateItem", "DeleteItem"}:
            stage.write_units += 1
        elif model.name == "TransactWriteItems":
            stage.write_units += 2 * len(params["TransactItems"])

    def answer(request: Any, event_name: str, **_: Any) -> Any:
        started = time.thread_time()
        response = botocore_stubber(event_name, request)
        _aside[0] += time.thread_time() - started
        return response

    for client in (aws.dynamodb(), aws.sqs(), aws.ssm(), aws.dynamodb_for_caller(), aws.sqs_for_caller()):
        # botocore asks every handler and takes the first answer: moto's own would do the work a second time
        client.meta.events.unregister("before-send", cast("Any", botocore_stubber))
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register(f"provide-client-params.{service}", parameters)
        client.meta.events.register_first(f"before-send.{service}", answer)


def _is_suppression(params: dict[str, Any]) -> bool:
    return any(key["pk"]["S"].startswith("suppressed#") for request in params["RequestItems"].values() for key in request["Keys"])


def _units(item: dict[str, Any]) -> int:
    return math.ceil(sum(len(name.encode()) + _size(value) for name, value in item.items()) / 1024)


def _size(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "B":
        return len(content)
    if kind == "N":
        return math.ceil(len(content) / 2) + 1
    return len(json.dumps(content, default=str))


def _counts(stages: dict[str, Stage]) -> list[Figure]:
    def total(of: Callable[[Stage], float]) -> float:
        return sum(of(stage) for stage in stages.values()) / EVENTS

    found = [
        Figure("pipeline", "aws_calls_per_event", total(lambda s: s.calls.total()), "calls", "<= 1.3", "anonymous page view, whole path, suppression apart"),
        Figure("pipeline", "write_units_per_event", total(lambda s: s.write_units), "write units", "<= 1.1", "the event, and its share of a line in the list"),
        Figure(
            "pipeline", "suppression_calls_per_event", total(lambda s: s.suppression_calls), "calls", None, "BatchGetItem of identifier digests, all stages"
        ),
        Figure("pipeline", "suppression_keys_per_event", total(lambda s: s.suppression_keys), "read units", None, "strongly consistent"),
    ]
    for name, stage in stages.items():
        made = ", ".join(f"{call} {count / EVENTS:.3g}" for call, count in sorted(stage.calls.items())) or "none"
        found.append(Figure("pipeline", f"{name}_aws_calls_per_event", stage.calls.total() / EVENTS, "calls", None, made))
        found.append(Figure("pipeline", f"{name}_write_units_per_event", stage.write_units / EVENTS, "write units"))
        found.append(Figure("pipeline", f"{name}_cpu_ms_per_event", stage.cpu_seconds / EVENTS * 1000, "ms", None, f"{stage.invocations} invocations"))
    return found


def _dollars(stages: dict[str, Stage], vendor: Vendor) -> list[Figure]:
    """Dollars per million events."""
    million = 1_000_000 / EVENTS
    invocations = sum(stage.invocations for stage in stages.values())
    cpu = sum(stage.cpu_seconds for stage in stages.values())
    waiting = stages["forward_kissmetrics"].invocations * VENDOR_SECONDS
    polled = stages["record"].invocations * 2 * SQS_STANDARD + stages["forward_kissmetrics"].invocations * 2 * SQS_FIFO
    facts = stages["resolve"].calls["SendMessageBatch"]
    sent = (stages["intake"].calls.total() + facts) * SQS_STANDARD + stages["fan_out"].calls.total() * SQS_FIFO
    parts: Sequence[tuple[str, float, str]] = (
        ("gateway", REQUESTS * GATEWAY, f"{EVENTS_A_REQUEST} events a request"),
        ("invocations", invocations * LAMBDA_REQUEST, f"{invocations / EVENTS:.3g} an event"),
        ("gb_seconds", (cpu / VCPU + waiting) * MEMORY_GB * GB_SECOND * 1_000_000, f"CPU at {VCPU:.2f} vCPU, vendor wait {VENDOR_SECONDS} s an invocation"),
        ("sqs_sends", sent, "ingest, facts and destination"),
        ("sqs_polls", polled, "a receive and a delete an invocation, at the measured batch sizes"),
        ("write_units", sum(stage.write_units for stage in stages.values()) * WRITE_UNIT, ""),
        ("suppression_reads", sum(stage.suppression_keys for stage in stages.values()) * READ_UNIT, "one read unit a key"),
        ("logs", sum(stage.log_bytes for stage in stages.values()) * LOG_GB / 1e9 * 1_000_000, "as printed by the handlers"),
        ("egress", vendor.bytes * EGRESS_GB / 1e9 * 1_000_000, f"{vendor.bytes / EVENTS:.0f} bytes an event"),
    )
    found = [Figure("pipeline", f"dollars_{name}", amount * million / 1_000_000, "$ per million", None, note) for name, amount, note in parts]
    idle = IDLE_POLLS_A_MONTH * SQS_STANDARD / EVENTS_A_MONTH
    found.append(Figure("pipeline", "dollars_idle_polls", idle, "$ per million", None, f"spread over {EVENTS_A_MONTH:,} events a month"))
    total = sum(figure.value or 0 for figure in found)
    found.insert(0, Figure("pipeline", "dollars_per_million_events", total, "$", "<= 2.5", "one destination, the parts below"))
    return found
