"""The control API: account, sources, connections, keys, recent events, health."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from tributary.access import Access, CachedKeys
from tributary.adapters import aws
from tributary.adapters.batch_files import S3BatchFiles
from tributary.adapters.config_store import DynamoConnections, DynamoKeyStore
from tributary.adapters.deliveries import DynamoParking, DynamoShadowStore
from tributary.adapters.event_log import DynamoEventLog
from tributary.adapters.feed import DynamoFeed
from tributary.adapters.http import HttpVendor
from tributary.adapters.queues import SqsQueue
from tributary.adapters.settings_store import DynamoRows, SsmSecretStore
from tributary.adapters.sync_store import DynamoSyncStore
from tributary.clock import SystemClock
from tributary.control.http import Router, as_gateway_response, request_of
from tributary.control.routes import ControlApi
from tributary.entered.entering import entering_of
from tributary.environments import ControlEnv
from tributary.facts.queued import QueuedFacts
from tributary.operator import Operator, known_kinds
from tributary.recent import RecentEvents
from tributary.sync.check import within
from tributary.sync.syncs import Syncs

logger = Logger()
metrics = Metrics()


@cache
def router() -> Router:
    """Built on the first call, kept while this sandbox lives."""
    env = ControlEnv.read(os.environ)
    dynamodb = aws.dynamodb_for_caller
    rows = DynamoRows(dynamodb, env.config_table)
    operator = Operator(
        rows=rows,
        secrets=SsmSecretStore(aws.ssm_for_caller, env.secrets_prefix),
        kinds=known_kinds(try_konnektive=within(HttpVendor(), time.monotonic)),
    )
    api = ControlApi(
        operator=operator,
        recent=RecentEvents(DynamoFeed(dynamodb, env.events_table), DynamoEventLog(dynamodb, env.events_table)),
        parking=DynamoParking(dynamodb, env.events_table),
        shadow=DynamoShadowStore(dynamodb, env.events_table),
        syncs=Syncs(
            connections=DynamoConnections(dynamodb, env.config_table, seconds=0),
            store=DynamoSyncStore(dynamodb, env.config_table),
            tasks=SqsQueue(aws.sqs_for_caller, env.sync_queue_url),
            clock=SystemClock.from_environment(os.environ),
        ),
        entering=entering_of(
            rows=rows,
            files=S3BatchFiles(aws.s3_for_caller, env.facts_bucket),
            sink=QueuedFacts(SqsQueue(aws.sqs_for_caller, env.facts_queue_url)),
            operator=operator,
            now=_now,
        ),
        now=_now,
    )
    return Router(api.routes(), Access(CachedKeys(DynamoKeyStore(dynamodb, env.config_table))))


def _now() -> datetime:
    return datetime.now(UTC)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    response = router().answer(request_of(event))
    line = logger.error if response.fault else logger.info
    line("answered", extra=response.report())
    metrics.add_metric(name=response.code, unit=MetricUnit.Count, value=1)
    return as_gateway_response(response)
