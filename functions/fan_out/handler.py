"""The log's stream → destination queues."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from tributary.adapters import aws
from tributary.adapters.config_store import DynamoConnections
from tributary.adapters.poison import DynamoPoisonRecords
from tributary.adapters.queues import SqsQueue
from tributary.destinations import kissmetrics
from tributary.environments import FanOutEnv
from tributary.events import Event
from tributary.fan_out.service import FanOut
from tributary.settings import ConnectionType
from tributary.stream import LOG, StreamReader

logger = Logger()
metrics = Metrics()


@cache
def queues() -> dict[ConnectionType, SqsQueue]:
    return {"kissmetrics": SqsQueue(aws.sqs, FanOutEnv.read(os.environ).kissmetrics_queue_url)}


@cache
def fan_out() -> FanOut:
    """Built on the first batch, kept while this sandbox lives."""
    return FanOut(
        connections=DynamoConnections(aws.dynamodb, FanOutEnv.read(os.environ).config_table),
        queues=queues(),
        integration_names={"kissmetrics": kissmetrics.DESTINATION.integration_names},
    )


@cache
def stream() -> StreamReader[Event]:
    return StreamReader("fan_out", fan_out().handle, DynamoPoisonRecords(aws.dynamodb, FanOutEnv.read(os.environ).events_table), LOG)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:
    counts = stream().read(event["Records"])
    counts["swapped"] = sum(queue.take_swapped() for queue in queues().values())
    logger.info("fanned out", extra={"counts": dict(counts), "unreadable_connections": fan_out().unreadable()})
    for name, count in counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
