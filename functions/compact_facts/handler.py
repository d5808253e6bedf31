"""A schedule → FACTS in few files; once a day, files that nobody names are deleted."""

from __future__ import annotations

import os
import random
import tempfile
import uuid
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from tributary.adapters import aws
from tributary.adapters.fact_files import S3FactObjects
from tributary.adapters.fact_manifest import DynamoManifests
from tributary.adapters.fact_workshop import workshop_of
from tributary.adapters.generations import DynamoGenerations
from tributary.adapters.lease import DynamoLease
from tributary.clock import SystemClock
from tributary.environments import CompactFactsEnv
from tributary.facts.compaction import LEASE_PARTITION, Compaction

logger = Logger()
metrics = Metrics()


@cache
def generations() -> DynamoGenerations:
    return DynamoGenerations(aws.dynamodb, CompactFactsEnv.read(os.environ).config_table)


@cache
def compaction(generation: int) -> Compaction:
    """Built on the first tick, kept while this sandbox lives."""
    env = CompactFactsEnv.read(os.environ)
    objects = S3FactObjects(aws.s3, env.facts_bucket, generation=generation)
    return Compaction(
        lease=DynamoLease(aws.dynamodb, env.config_table, LEASE_PARTITION),
        manifests=DynamoManifests(aws.dynamodb, env.config_table, generation=generation),
        objects=objects,
        workshop=workshop_of(objects, Path(tempfile.mkdtemp(prefix="facts-")), memory_mb=int(env.memory_mb), storage_mb=int(env.storage_mb)),
        owner=f"{os.getpid()}-{random.getrandbits(64):x}",
        now=SystemClock().now,
        name=lambda: uuid.uuid4().hex,
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:
    counts: Counter[str] = Counter()
    for generation in generations().now().written:
        due = compaction(generation)
        counts.update(due.sweep() if event.get("sweep") else due.run(lambda: context.get_remaining_time_in_millis() / 1000))
    logger.info("compacted", extra={"counts": dict(counts)})
    for name in ("merged", "left", "too_large"):
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=counts[name])
