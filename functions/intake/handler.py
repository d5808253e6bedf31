"""The Segment tracking API → the ingest queue."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from tributary.access import CachedKeys
from tributary.adapters import aws
from tributary.adapters.config_store import DynamoKeyStore
from tributary.adapters.queues import SqsQueue
from tributary.environments import IntakeEnv
from tributary.intake.http import as_gateway_response, request_of
from tributary.intake.rate import EventRate
from tributary.intake.service import Intake

logger = Logger()
metrics = Metrics()


@cache
def intake() -> Intake:
    """Built on the first call, kept while this sandbox lives."""
    env = IntakeEnv.read(os.environ)
    return Intake(
        keys=CachedKeys(DynamoKeyStore(aws.dynamodb_for_caller, env.config_table)),
        queue=SqsQueue(aws.sqs_for_caller, env.ingest_queue_url),
        rate=EventRate(float(env.events_per_second), time.monotonic),
        accept_unknown=env.unknown_key == "accept",
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    outcome = intake().handle(request_of(event, datetime.now(UTC)))
    # The metrics' line tells of a call that went well: one line a call, as calls are many.
    if outcome.code != "ok":
        logger.info("not accepted as sent", extra=outcome.report())
    for name, count in outcome.counts().items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
    metrics.add_metadata(key="source", value=outcome.source or "none")
    return as_gateway_response(outcome.answer)
