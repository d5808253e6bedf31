"""The sync queue → Konnektive → the ingest queue: one task at a time of an account."""

from __future__ import annotations

import os
import random
import time
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from tributary.adapters import aws
from tributary.adapters.config_store import DynamoConnections
from tributary.adapters.http import HttpVendor
from tributary.adapters.notices import SnsNotices
from tributary.adapters.poison import DynamoPoisonRecords
from tributary.adapters.queues import SqsQueue
from tributary.adapters.secrets import SsmSecrets, digest_key
from tributary.adapters.sync_store import DynamoCatalogue, DynamoRecordStates, DynamoSyncStore
from tributary.adapters.visibility import SqsVisibility
from tributary.clock import SystemClock
from tributary.environments import KonnektivePollEnv
from tributary.sync.api import LARGEST_ANSWER
from tributary.sync.poll import Poll
from tributary.sync.receiving import Receiver, SqsResponse

logger = Logger()
metrics = Metrics()


@cache
def receiver() -> Receiver:
    """Built on the first task, kept while this sandbox lives."""
    env = KonnektivePollEnv.read(os.environ)
    clock = SystemClock.from_environment(os.environ)
    secrets = SsmSecrets(aws.ssm, env.secrets_prefix)
    poll = Poll(
        vendor=HttpVendor(largest_answer=LARGEST_ANSWER),
        connections=DynamoConnections(aws.dynamodb, env.config_table, seconds=0),
        secrets=secrets,
        store=DynamoSyncStore(aws.dynamodb, env.config_table),
        states=DynamoRecordStates(aws.dynamodb, env.config_table),
        catalogue=DynamoCatalogue(aws.dynamodb, env.config_table),
        key=lambda: digest_key(secrets),
        ingest=SqsQueue(aws.sqs, env.ingest_queue_url),
        tasks=SqsQueue(aws.sqs, env.sync_queue_url),
        notices=SnsNotices(aws.sns, env.notice_topic),
        clock=clock,
        owner=f"{os.getpid()}-{random.getrandbits(64):x}",
        chance=random.random,
        sleep=time.sleep,
    )
    return Receiver(poll, SqsVisibility(aws.sqs, env.sync_queue_url), DynamoPoisonRecords(aws.dynamodb, env.events_table), clock)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> SqsResponse:
    report = receiver().receive(event["Records"], remaining=lambda: context.get_remaining_time_in_millis() / 1000)
    for line in report.lines:
        logger.info("task", extra=line)
    for name, count in (("tasks", len(event["Records"])), *report.counts.items()):
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
    return report.as_sqs_response()
