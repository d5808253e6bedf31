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
from tributary.fan_out.service import FanOut
from tributary.log_codec import events_of_stream
from tributary.settings import DestinationType

logger = Logger()
metrics = Metrics()


@cache
def environment() -> FanOutEnv:
    return FanOutEnv.read(os.environ)


@cache
def queues() -> dict[DestinationType, SqsQueue]:
    return {"kissmetrics": SqsQueue(aws.sqs, environment().kissmetrics_queue_url)}


@cache
def fan_out() -> FanOut:
    """Built on the first batch, kept while this sandbox lives."""
    env = environment()
    return FanOut(
        connections=DynamoConnections(aws.dynamodb, env.config_table),
        queues=queues(),
        integration_names={"kissmetrics": kissmetrics.DESTINATION.integration_names},
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:
    events, unreadable = events_of_stream(event["Records"])
    for key in unreadable:
        DynamoPoisonRecords(aws.dynamodb, environment().events_table).park("fan_out", key, "unreadable_message")
    counts = fan_out().handle(events)
    swapped = sum(queue.take_swapped() for queue in queues().values())
    logger.info("fanned out", extra={"records": len(event["Records"]), "unreadable": len(unreadable), "swapped": swapped, "counts": dict(counts)})
    for name, count in (*counts.items(), ("unreadable", len(unreadable)), ("swapped", swapped)):
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
