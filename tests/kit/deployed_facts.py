"""The FACTS of a deployed local stack, as reports would read them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.stack import Stack
from tributary.adapters.duck import Allowance
from tributary.adapters.fact_files import S3FactObjects
from tributary.adapters.fact_manifest import DynamoManifests
from tributary.adapters.fact_reader import DuckFacts
from tributary.facts.tables import Kind, Months


class DeployedFacts:
    """What a reader sees of the stack's FACTS."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._facts = DuckFacts(
            S3FactObjects(lambda: stack.client("s3"), stack.outputs["FactsBucket"]),
            DynamoManifests(lambda: stack.client("dynamodb"), stack.outputs["ConfigTable"]),
            folder,
            allowance=Allowance(memory_mb=500),
            room=1 << 30,
            now=lambda: datetime.now(UTC),
        )

    def ask(self, kind: Kind, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self._facts.open({kind: Months()}) as relations:
            return relations.rows(sql, parameters)

    def owner_of(self, order: str) -> Any:
        """The person of an order; None while it is not there."""
        found = self.ask(Kind.ORDERS, "SELECT person FROM orders WHERE order_id = ?", order)
        return found[0][0] if found else None

    def visitor_of(self, campaign: str) -> Any:
        found = self.ask(Kind.TOUCHES, "SELECT person FROM touches WHERE campaign = ?", campaign)
        return found[0][0] if found else None
