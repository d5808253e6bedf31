"""A schedule → the sync tasks that are due."""

from __future__ import annotations

import os
from collections import Counter
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from tributary.adapters import aws
from tributary.adapters.config_store import DynamoConnections
from tributary.adapters.queues import SqsQueue
from tributary.adapters.sync_store import DynamoSyncStore
from tributary.clock import SystemClock
from tributary.environments import KonnektiveScheduleEnv
from tributary.sync.schedule import Schedule

logger = Logger()
metrics = Metrics()


@cache
def schedule() -> Schedule:
    """Built on the first tick, kept while this sandbox lives."""
    env = KonnektiveScheduleEnv.read(os.environ)
    return Schedule(
        connections=DynamoConnections(aws.dynamodb, env.config_table, seconds=0),
        store=DynamoSyncStore(aws.dynamodb, env.config_table),
        tasks=SqsQueue(aws.sqs, env.sync_queue_url),
        clock=SystemClock.from_environment(os.environ),
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:
    counts: Counter[str] = Counter()
    failure: Exception | None = None
    try:
        schedule().tick(counts)
    except Exception as error:
        failure = error  # what was planned is told all the same, then it fails
    logger.info("planned", extra={"counts": dict(counts)})
    for name in ("polls", "tasks", "refused"):
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=counts[name])
    if failure is not None:
        raise failure
