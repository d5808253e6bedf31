"""Calls of other systems → the sync queue."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from tributary.adapters import aws
from tributary.adapters.config_store import DynamoConnections
from tributary.adapters.queues import SqsQueue
from tributary.adapters.secrets import SsmSecrets
from tributary.environments import WebhooksEnv
from tributary.gateway import call_of
from tributary.webhooks.service import Webhooks

logger = Logger()
metrics = Metrics()


@cache
def webhooks() -> Webhooks:
    """Built on the first call, kept while this sandbox lives."""
    env = WebhooksEnv.read(os.environ)
    return Webhooks(
        connections=DynamoConnections(aws.dynamodb_for_caller, env.config_table),
        secrets=SsmSecrets(aws.ssm_for_caller, env.secrets_prefix),
        tasks=SqsQueue(aws.sqs_for_caller, env.sync_queue_url),
        now=lambda: datetime.now(UTC),
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    answer = webhooks().handle(call_of(event))
    if answer.code != "ok":
        logger.info("not taken as sent", extra={"code": answer.code, "status": answer.status, "field": answer.field, "connection": answer.connection})
    metrics.add_metric(name=answer.code, unit=MetricUnit.Count, value=1)
    return answer.as_gateway_response()
