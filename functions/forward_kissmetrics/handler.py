"""Destination queue → Kissmetrics."""

from __future__ import annotations

import os
import random
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from tributary.adapters import aws
from tributary.adapters.config_store import DynamoConnections
from tributary.adapters.deliveries import DynamoAttempts, DynamoParking, DynamoShadowStore
from tributary.adapters.http import HttpVendor
from tributary.adapters.poison import DynamoPoisonRecords
from tributary.adapters.secrets import SsmSecrets, digests_from
from tributary.adapters.suppressions import DynamoSuppressions
from tributary.adapters.visibility import SqsVisibility
from tributary.clock import SystemClock
from tributary.delivery.batch import SqsResponse, messages
from tributary.delivery.engine import Delivery
from tributary.delivery.reporting import count, log_line
from tributary.destinations import kissmetrics
from tributary.environments import ForwarderEnv

logger = Logger()
metrics = Metrics()


@cache
def delivery() -> Delivery:
    """Built on the first message, kept while this sandbox lives."""
    env = ForwarderEnv.read(os.environ)
    secrets = SsmSecrets(aws.ssm, env.secrets_prefix)
    return Delivery(
        destination=kissmetrics.DESTINATION,
        vendor=HttpVendor(),
        connections=DynamoConnections(aws.dynamodb, env.config_table),
        secrets=secrets,
        suppressions=DynamoSuppressions(aws.dynamodb, env.config_table),
        digests=digests_from(secrets),
        attempts=DynamoAttempts(aws.dynamodb, env.config_table),
        parking=DynamoParking(aws.dynamodb, env.events_table),
        poison=DynamoPoisonRecords(aws.dynamodb, env.events_table),
        shadow=DynamoShadowStore(aws.dynamodb, env.events_table),
        visibility=SqsVisibility(aws.sqs, env.queue_url),
        clock=SystemClock.from_environment(os.environ),
        chance=random.random,
        watch=log_line(logger),
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> SqsResponse:
    report = delivery().handle(messages(event), remaining=lambda: context.get_remaining_time_in_millis() / 1000)
    count(metrics, report, kissmetrics.DESTINATION.type)
    return report.as_sqs_response()
