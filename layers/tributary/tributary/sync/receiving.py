"""What the sync queue hands out, and what it is told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

import msgspec

from tributary.clock import Clock
from tributary.errors import RetryError
from tributary.ports import PoisonRecords, Visibility
from tributary.sync.poll import Poll
from tributary.sync.tasks import decoder

PLACE: Final = "konnektive_poll"


class SqsFailure(TypedDict):
    itemIdentifier: str


class SqsResponse(TypedDict):
    batchItemFailures: list[SqsFailure]


@dataclass
class Report:
    """`lines`: one a task, for the log. Nothing personal."""

    failed: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    lines: list[dict[str, Any]] = field(default_factory=list)

    def as_sqs_response(self) -> SqsResponse:
        return {"batchItemFailures": [{"itemIdentifier": message} for message in self.failed]}


@dataclass(frozen=True)
class Receiver:
    poll: Poll
    visibility: Visibility
    poison: PoisonRecords
    clock: Clock

    def receive(self, records: Sequence[Mapping[str, Any]], *, remaining: Callable[[], float]) -> Report:
        """Run the tasks in order. One that has to come again takes those behind it along: they are of the same account."""
        report = Report()
        stopped: set[str] = set()
        for record in records:
            group = record["attributes"]["MessageGroupId"]
            if group in stopped:
                report.failed.append(record["messageId"])
            elif not self._run(record, report, remaining):
                stopped.add(group)
                report.failed.append(record["messageId"])
        return report

    def _run(self, record: Mapping[str, Any], report: Report, remaining: Callable[[], float]) -> bool:
        """Whether the message is finished."""
        try:
            task = decoder.decode(record["body"])
        except (msgspec.MsgspecError, UnicodeError):
            self.poison.park(PLACE, record["messageId"], "unreadable_message", record["body"].encode(errors="surrogatepass"))
            report.counts["set_aside"] += 1
            return True
        done = self.poll.run(task, receives=int(record["attributes"]["ApproximateReceiveCount"]), remaining=remaining)
        report.counts[f"task_{done.code}"] += 1
        report.counts.update({name: done.counts[name] for name in ("rows", "events", "unreadable", "calls", "completed", "differences") if done.counts[name]})
        described = {name: value for name, value in msgspec.to_builtins(task).items() if name not in {"schemaVersion", "orderId", "customerId", "purchaseId"}}
        report.lines.append({**described, "code": done.code, "text": done.text, "delay": done.delay, "counts": dict(done.counts)})
        if done.delay is None:
            return True
        try:
            self.visibility.change([record["receiptHandle"]], max(0, round(self.clock.to_wait(done.delay))))
        except RetryError:
            report.counts["delay_refused"] += 1  # it comes again after the queue's own time
        return False
