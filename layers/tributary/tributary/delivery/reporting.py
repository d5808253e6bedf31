"""What a forwarder says of its work: a log line a message, a metric an outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tributary.delivery.batch import Handled, Report

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger, Metrics


def log_line(logger: Logger) -> Callable[[Handled], None]:
    """A `watch` that writes one line a message: codes and ids."""

    def write(handled: Handled) -> None:
        line = logger.warning if handled.back_in is not None or handled.code is not None else logger.info
        line(handled.outcome, extra=_fields(handled))

    return write


def count(metrics: Metrics, report: Report, destination_type: str) -> None:
    """Count the batch's outcomes, by destination type. `DelaysRefused`: the queue did not take a delay, so that a message comes later than it should."""
    metrics.add_dimension(name="destination", value=destination_type)
    for outcome, number in report.counts().items():
        metrics.add_metric(name=outcome, unit="Count", value=number)
    refused = sum(not handled.delay_set for handled in report.handled)
    if refused:
        metrics.add_metric(name="DelaysRefused", unit="Count", value=refused)


def _fields(handled: Handled) -> dict[str, object]:
    fields = {
        "code": handled.code,
        "queue_message_id": handled.message.message_id,
        "connection": handled.connection,
        "source": handled.source,
        "message_id": handled.event_id,
        "event_type": handled.event_type,
        "receives": handled.message.receive_count,
        "attempts": handled.attempts or None,
        "requests": handled.requests or None,
        "status": handled.status,
        "back_in": round(handled.back_in, 1) if handled.back_in is not None else None,
        "behind": handled.behind or None,
        "notes": list(handled.notes) or None,
        "where": handled.where,
        "delay_refused": True if not handled.delay_set else None,
        "group_released": True if handled.code is not None and handled.back_in is None else None,
    }
    return {name: value for name, value in fields.items() if value is not None}
