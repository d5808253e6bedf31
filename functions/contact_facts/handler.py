"""The stream of CONTACTS → the facts queue: what contacts, orders, subscriptions and tags have become."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from tributary.adapters import aws
from tributary.adapters.config_store import DynamoAccount
from tributary.adapters.poison import DynamoPoisonRecords
from tributary.adapters.queues import SqsQueue
from tributary.adapters.secrets import SsmSecrets, digests_from
from tributary.environments import ContactFactsEnv
from tributary.facts.of_contacts import Change, Settings
from tributary.facts.queued import QueuedFacts
from tributary.facts.telling import CONTACTS, Telling, by_generation
from tributary.stream import StreamReader

logger = Logger()
metrics = Metrics()


@cache
def stream() -> StreamReader[Change]:
    """Built on the first batch, kept while this sandbox lives."""
    env = ContactFactsEnv.read(os.environ)
    account = DynamoAccount(aws.dynamodb, env.config_table)
    queue = SqsQueue(aws.sqs, env.facts_queue_url)
    digests = digests_from(SsmSecrets(aws.ssm, env.secrets_prefix))

    def tell(changes: Sequence[Change]) -> Counter[str]:
        counts: Counter[str] = Counter()
        for generation, theirs in by_generation(changes).items():
            facts = Telling(facts=QueuedFacts(queue, generation), digests=digests, settings=lambda: Settings.of(account.get()))
            counts.update(facts.changes(theirs))
        return counts

    return StreamReader("contact_facts", tell, DynamoPoisonRecords(aws.dynamodb, env.events_table), CONTACTS)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:
    counts = stream().read(event["Records"])
    logger.info("told", extra={"counts": dict(counts)})
    for name, count in counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
