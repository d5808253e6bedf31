"""The log's stream → CONTACTS, who is who, and the facts queue, what was done."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from tributary.adapters import aws
from tributary.adapters.config_store import DynamoLinkedConnections
from tributary.adapters.contacts import DynamoContacts
from tributary.adapters.event_log import DynamoEventLog
from tributary.adapters.generations import DynamoGenerations
from tributary.adapters.poison import DynamoPoisonRecords
from tributary.adapters.queues import SqsQueue
from tributary.adapters.secrets import SsmSecrets, digests_from
from tributary.adapters.suppressions import DynamoSuppressions
from tributary.contacts.resolver import Resolver
from tributary.environments import ResolveEnv
from tributary.events import Event
from tributary.facts.queued import QueuedFacts
from tributary.facts.telling import Telling
from tributary.stream import LOG, StreamReader

logger = Logger()
metrics = Metrics()


@cache
def stream() -> StreamReader[Event]:
    """Built on the first batch, kept while this sandbox lives."""
    env = ResolveEnv.read(os.environ)
    digests = digests_from(SsmSecrets(aws.ssm, env.secrets_prefix))
    log = DynamoEventLog(aws.dynamodb, env.events_table)
    suppressions = DynamoSuppressions(aws.dynamodb, env.config_table)
    linked = DynamoLinkedConnections(aws.dynamodb, env.config_table)
    generations = DynamoGenerations(aws.dynamodb, env.config_table)

    @cache
    def resolver_of(generation: int) -> Resolver:
        contacts = DynamoContacts(aws.dynamodb, env.contacts_table, generation=lambda: generation)
        return Resolver(contacts=contacts, log=log, suppressions=suppressions, digests=digests, sleep=time.sleep, jitter=random.random, linked=linked)

    facts = Telling(facts=QueuedFacts(SqsQueue(aws.sqs, env.facts_queue_url)), digests=digests)

    def resolve(events: Sequence[Event]) -> Counter[str]:
        served, *others = generations.now().written
        outcome = resolver_of(served).resolve(events)
        for generation in others:
            resolver_of(generation).resolve(events)
        # After the contacts: who it was that an event was of is then on its way before the event is.
        told = facts.events([event for event in events if (event.source, event.message_id) not in outcome.suppressed])
        return outcome.counts + told

    return StreamReader("resolve", resolve, DynamoPoisonRecords(aws.dynamodb, env.events_table), LOG)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:
    counts = stream().read(event["Records"])
    logger.info("resolved", extra={"counts": dict(counts)})
    for name, count in counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
