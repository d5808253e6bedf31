"""Facts queue → FACTS."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from tributary.adapters import aws
from tributary.adapters.duck import Allowance, Engine
from tributary.adapters.fact_files import FactFiles, S3FactObjects
from tributary.adapters.fact_manifest import DynamoManifests
from tributary.adapters.generations import DynamoGenerations
from tributary.adapters.poison import DynamoPoisonRecords
from tributary.clock import SystemClock
from tributary.environments import WriteFactsEnv
from tributary.facts.writing import WriteFacts

ENGINE_MB: Final = 256
"""A batch is at most 6 MB of messages; the rest of the function's memory is Python's."""

logger = Logger()
metrics = Metrics()


@cache
def engine() -> Engine:
    return Engine(folder(), Allowance(memory_mb=ENGINE_MB))


@cache
def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="facts-"))


@cache
def write() -> WriteFacts:
    """Built on the first message, kept while this sandbox lives."""
    env = WriteFactsEnv.read(os.environ)

    @cache
    def sink_of(generation: int) -> FactFiles:
        return FactFiles(
            S3FactObjects(aws.s3, env.facts_bucket, generation=generation),
            DynamoManifests(aws.dynamodb, env.config_table, generation=generation),
            engine,
            folder(),
            SystemClock().now,
        )

    generations = DynamoGenerations(aws.dynamodb, env.config_table)
    return WriteFacts(sink_of=sink_of, generations=generations, poison=DynamoPoisonRecords(aws.dynamodb, env.events_table))


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    outcome = write().handle([(message["messageId"], message["body"]) for message in event["Records"]])
    logger.info("written", extra={"messages": len(event["Records"]), "handed_back": len(outcome.failed), "counts": dict(outcome.counts)})
    for name, count in outcome.counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in outcome.failed]}
