"""FACTS on the deployed stack: what was posted, and what an account holds, is in its files, and what two merged is one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.demo.crm import Account
from local.fakes.konnektive.vendor import PASSWORD
from local.stack import Stack
from tests.kit.deployed import Deployed, unique, until
from tributary.adapters.duck import Allowance
from tributary.adapters.fact_files import S3FactObjects
from tributary.adapters.fact_manifest import DynamoManifests
from tributary.adapters.fact_reader import DuckFacts
from tributary.facts.tables import Kind, Months

pytestmark = pytest.mark.e2e


class Facts:
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


@pytest.fixture(scope="module")
def facts(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    return Facts(stack, tmp_path_factory.mktemp("facts"))


@pytest.fixture
def deployed(stack: Stack) -> Iterator[Deployed]:
    with Deployed(stack) as running:
        yield running


def test_a_visit_and_a_sale_are_facts_and_one_person_once_somebody_says_so(deployed: Deployed, facts: Facts) -> None:
    person, visitor, order, campaign = unique("orla"), unique("visit"), unique("order"), unique("spring")
    url = f"https://harbour.example/?utm_source=google&utm_medium=cpc&utm_campaign={campaign}"
    deployed.batch(
        {"type": "page", "anonymousId": visitor, "messageId": unique("m"), "properties": {"url": url}},
        {
            "type": "track",
            "userId": person,
            "messageId": unique("m"),
            "event": "Order Completed",
            "properties": {"order_id": order, "total": 12.5, "currency": "USD"},
        },
    )
    until(lambda: (facts.owner_of(order), facts.visitor_of(campaign)), all)
    assert facts.owner_of(order) != facts.visitor_of(campaign)
    deployed.batch({"type": "identify", "anonymousId": visitor, "userId": person, "messageId": unique("m")})
    until(lambda: facts.owner_of(order) == facts.visitor_of(campaign), bool)


def test_two_contacts_that_merge_are_one_person_with_both_orders(deployed: Deployed, facts: Facts) -> None:
    person, email, orders = unique("ulf"), f"{unique('ulf')}@harbour.example", (unique("order"), unique("order"))
    for who, order in zip((person, email), orders, strict=True):
        said = {"order_id": order, "total": 5, "currency": "USD"}
        deployed.batch({"type": "track", "userId": who, "messageId": unique("m"), "event": "Order Completed", "properties": said})
    until(lambda: [facts.owner_of(order) for order in orders], all)
    assert facts.owner_of(orders[0]) != facts.owner_of(orders[1])
    deployed.batch({"type": "identify", "userId": person, "traits": {"email": email}, "messageId": unique("m")})
    until(lambda: facts.owner_of(orders[0]) == facts.owner_of(orders[1]), bool)
    until(lambda: facts.ask(Kind.ORDERS, "SELECT count(*) FROM orders WHERE order_id IN (?, ?)", *orders), lambda seen: seen == [(2,)])


def test_the_facts_of_an_account_come_to_what_it_says_itself(stack: Stack, facts: Facts) -> None:
    account = Account(stack)
    account.grow(12)
    account.id = account.connect(PASSWORD).json()["id"]
    try:
        until(account.sync, lambda sync: sync["state"] == "live")
        sales = account.truth()["reports"]["sales"]
        money = "sum(gross - discount), sum(refunded), count(*), count(*) FILTER (WHERE rebill)"
        sql = f"SELECT currency, {money} FROM orders WHERE connection = ? AND sold_at IS NOT NULL GROUP BY ALL ORDER BY ALL"
        expected = [(code, one["sales"], one["refunded"], one["orders"], one["rebills"]) for code, one in sorted(sales.items())]
        until(lambda: facts.ask(Kind.ORDERS, sql, account.id), lambda seen: seen == expected)
    finally:
        with Deployed(stack) as running:
            assert running.api("DELETE", f"/api/connections/{account.id}").status_code == 204
