"""FACTS on the deployed stack: what was posted is in its files, and what two merged is one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.stack import Stack
from tests.kit.deployed import Deployed, unique, until
from tests.kit.deployed_facts import DeployedFacts
from tributary.facts.tables import Kind

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def facts(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> DeployedFacts:
    return DeployedFacts(stack, tmp_path_factory.mktemp("facts"))


@pytest.fixture
def deployed(stack: Stack) -> Iterator[Deployed]:
    with Deployed(stack) as running:
        yield running


def test_a_visit_and_a_sale_are_facts_and_one_person_once_somebody_says_so(deployed: Deployed, facts: DeployedFacts) -> None:
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


def test_two_contacts_that_merge_are_one_person_with_both_orders(deployed: Deployed, facts: DeployedFacts) -> None:
    person, email, orders = unique("ulf"), f"{unique('ulf')}@harbour.example", (unique("order"), unique("order"))
    for who, order in zip((person, email), orders, strict=True):
        said = {"order_id": order, "total": 5, "currency": "USD"}
        deployed.batch({"type": "track", "userId": who, "messageId": unique("m"), "event": "Order Completed", "properties": said})
    until(lambda: [facts.owner_of(order) for order in orders], all)
    assert facts.owner_of(orders[0]) != facts.owner_of(orders[1])
    deployed.batch({"type": "identify", "userId": person, "traits": {"email": email}, "messageId": unique("m")})
    until(lambda: facts.owner_of(orders[0]) == facts.owner_of(orders[1]), bool)
    until(lambda: facts.ask(Kind.ORDERS, "SELECT count(*) FROM orders WHERE order_id IN (?, ?)", *orders), lambda seen: seen == [(2,)])
