"""The log's stream → CONTACTS: who is who."""

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
from tributary.adapters.contacts import DynamoContacts
from tributary.adapters.event_log import DynamoEventLog
from tributary.adapters.poison import DynamoPoisonRecords
from tributary.adapters.secrets import SsmSecrets, digests_from
from tributary.adapters.suppressions import DynamoSuppressions
from tributary.environments import ResolveEnv
from tributary.identity.resolver import Resolver
from tributary.identity.service import PLACE, Resolve
from tributary.log_codec import events_of_stream

logger = Logger()
metrics = Metrics()


@cache
def poison() -> DynamoPoisonRecords:
    return DynamoPoisonRecords(aws.dynamodb, ResolveEnv.read(os.environ).events_table)


@cache
def resolve() -> Resolve:
    """Built on the first batch, kept while this sandbox lives."""
    env = ResolveEnv.read(os.environ)
    resolver = Resolver(
        contacts=DynamoContacts(aws.dynamodb, env.contacts_table),
        log=DynamoEventLog(aws.dynamodb, env.events_table),
        suppressions=DynamoSuppressions(aws.dynamodb, env.config_table),
        digests=digests_from(SsmSecrets(aws.ssm, env.secrets_prefix)),
        sleep=time.sleep,
        jitter=random.random,
    )
    return Resolve(resolver=resolver, poison=poison())


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:
    events, unreadable = events_of_stream(event["Records"])
    for key in unreadable:
        poison().park(PLACE, key, "unreadable_message")
    counts = resolve().handle(events)
    logger.info("resolved", extra={"records": len(event["Records"]), "unreadable": len(unreadable), "counts": dict(counts)})
    for name, count in (*counts.items(), ("unreadable", len(unreadable))):
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
