"""Ingest queue → the log."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from tributary.adapters import aws
from tributary.adapters.event_log import DynamoEventLog
from tributary.adapters.feed import DynamoFeed
from tributary.adapters.poison import DynamoPoisonRecords
from tributary.adapters.secrets import SsmSecrets, digests_from
from tributary.adapters.suppressions import DynamoSuppressions
from tributary.environments import RecordEnv
from tributary.record.service import Record, Retention

logger = Logger()
metrics = Metrics()


@cache
def record() -> Record:
    """Built on the first message, kept while this sandbox lives."""
    env = RecordEnv.read(os.environ)
    days = int(env.retention_days)
    retention = Retention(timedelta(days=days) if days else None)
    return Record(
        log=DynamoEventLog(aws.dynamodb, env.events_table, retention.expiry_of),
        feed=DynamoFeed(aws.dynamodb, env.events_table),
        suppressions=DynamoSuppressions(aws.dynamodb, env.config_table),
        digests=digests_from(SsmSecrets(aws.ssm, env.secrets_prefix)),
        poison=DynamoPoisonRecords(aws.dynamodb, env.events_table),
        retention=retention,
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    outcome = record().handle(
        [(message["messageId"], message["body"]) for message in event["Records"]],
        remaining=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    logger.info("recorded", extra={"messages": len(event["Records"]), "handed_back": len(outcome.failed), "counts": dict(outcome.counts)})
    for name, count in outcome.counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in outcome.failed]}
