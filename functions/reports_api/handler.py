"""Reports over HTTP, worked out of FACTS in the function itself."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from tributary.access import Access, CachedKeys
from tributary.adapters import aws
from tributary.adapters.config_store import DynamoKeyStore
from tributary.adapters.contacts import DynamoContacts
from tributary.adapters.duck import allowance_of
from tributary.adapters.fact_files import S3FactObjects
from tributary.adapters.fact_manifest import DynamoManifests
from tributary.adapters.fact_reader import DuckFacts
from tributary.adapters.generations import DynamoGenerations
from tributary.adapters.settings_store import DynamoRows
from tributary.control.http import Router, as_gateway_response, request_of
from tributary.control.report_routes import ReportRoutes
from tributary.environments import ReportsEnv
from tributary.facts.served import ServedFacts
from tributary.reports.engine import REPORTS
from tributary.reports.reporting import reports_of

logger = Logger()
metrics = Metrics()


@cache
def router() -> Router:
    """Built on the first call, kept while this sandbox lives."""
    env = ReportsEnv.read(os.environ)
    dynamodb = aws.dynamodb_for_caller
    sizes = allowance_of(memory_mb=int(env.memory_mb), storage_mb=int(env.storage_mb))
    generations = DynamoGenerations(dynamodb, env.config_table)

    def facts_of(generation: int) -> DuckFacts:
        return DuckFacts(
            S3FactObjects(aws.s3_for_caller, env.facts_bucket, generation=generation),
            DynamoManifests(dynamodb, env.config_table, generation=generation),
            Path(tempfile.mkdtemp(prefix="facts-")),
            allowance=sizes.engine,
            room=sizes.room,
            now=_now,
        )

    facts = ServedFacts(generations, facts_of)
    reports = reports_of(facts=facts, kinds=REPORTS, rows=DynamoRows(dynamodb, env.config_table), now=_now)
    routes = ReportRoutes(reports, DynamoContacts(dynamodb, env.contacts_table, generation=lambda: generations.now().serving)).routes()
    return Router(routes, Access(CachedKeys(DynamoKeyStore(dynamodb, env.config_table))))


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
