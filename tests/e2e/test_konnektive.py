"""A CRM's account on the deployed stack: connected, read from its first day, followed as it changes; always equal to what the account says of itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local.demo.crm import Account, of_truth, totals
from local.demo.reports import MONEY, Reports, sums_by, true_sums
from local.fakes.konnektive.vendor import PASSWORD
from local.stack import Stack
from tests.kit.deployed import unique, until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def account(stack: Stack) -> Iterator[Account]:
    """A shop of forty customers, its history read."""
    account = Account(stack)
    account.grow(40)
    account.id = account.connect(PASSWORD).json()["id"]
    until(account.sync, lambda sync: sync["state"] == "live")
    yield account
    answer = httpx.delete(f"{stack.api_url}/api/connections/{account.id}", headers={"authorization": f"Bearer {stack.api_key}"})
    assert answer.status_code == 204


def test_everybody_the_account_knows_is_a_contact_with_orders_subscriptions_and_money_to_the_cent(account: Account) -> None:
    expected = of_truth(account.truth())
    until(lambda: totals(account.contacts(), account.id), lambda seen: seen == expected)
    assert expected.customers == 40


def test_reports_on_it_are_what_it_says_of_itself_to_the_cent_by_every_source_and_campaign(account: Account, stack: Stack) -> None:
    reports, truth = Reports(stack), account.truth()["reports"]

    def by(dimension: str) -> dict[str, dict[str, list[Any]]]:
        report = reports.ask("orders", group_by=dimension, filter=f"connection:is:{account.id}", kpis=",".join(MONEY))
        return sums_by(report, dimension, MONEY)

    until(lambda: by("source"), lambda found: found == true_sums(truth["sources"]))
    assert by("konnektive_campaign") == true_sums(truth["campaigns"])


def test_a_record_of_the_past_says_so_and_reaches_no_destination_that_did_not_ask_for_it(account: Account, stack: Stack) -> None:
    history = [line for line in account.events() if line["name"] == "Order Completed"]
    assert len(history) > 10
    ids = {line["message_id"] for line in history}
    headers = {"authorization": f"Bearer {stack.api_key}"}
    parked = httpx.get(f"{stack.api_url}/api/connections/{stack.connections['kissmetrics']}/parked", headers=headers).json()["data"]
    assert not ids & {one["message_id"] for one in parked}
    emails = {contact.profile.known().get("email") for contact in account.contacts()}
    sent = httpx.get(f"{stack.fakes['kissmetrics']}/__requests").text
    assert not [email for email in emails if email and email in sent]


def test_a_refund_in_the_account_is_here_after_one_poll_and_once(account: Account) -> None:
    account.happen([{"what": "new_sale", "offer": "one_off", "email": f"{unique('ada')}@quay.example"}, {"what": "partial_refund", "amount": 300}])
    before = {line["message_id"] for line in account.events()}
    account.poll()
    account.poll()
    until(lambda: new_names(account, before), lambda names: "Order Refunded" in names)
    assert new_names(account, before).count("Order Refunded") == 1
    expected = of_truth(account.truth())
    until(lambda: totals(account.contacts(), account.id), lambda seen: seen == expected)


def test_a_poll_of_an_account_that_did_not_change_makes_no_event(account: Account) -> None:
    account.poll()
    before = {line["message_id"] for line in account.events()}
    account.poll()
    assert new_names(account, before) == []


def test_the_schedule_polls_what_is_due(account: Account, stack: Stack) -> None:
    """As EventBridge calls it; a quarter of an hour of the stack's clock is a quarter of a minute."""
    account.poll()
    polled = account.sync()["polled_at"]
    name = next(function for function in functions(stack) if "KonnektiveSchedule" in function)

    def tick() -> str:
        answer = stack.client("lambda").invoke(FunctionName=name, Payload=json.dumps({}).encode())
        assert "FunctionError" not in answer
        return str(account.sync()["polled_at"])

    until(tick, lambda now: now != polled)


def test_a_refused_login_stops_the_sync_and_says_what_to_do_until_a_person_has_done_it(account: Account, stack: Stack) -> None:
    shop = f"{stack.fakes['konnektive']}/__shop"
    httpx.post(shop, json={"permissions": {"address": "203.0.113.9"}}).raise_for_status()
    try:
        account.ask_again()
        refused = until(account.sync, lambda sync: sync["state"] == "refused")
        assert "203.0.113.9" in refused["refused"]
        assert "AWS" in refused["refused"]
        asked = len(httpx.get(f"{stack.fakes['konnektive']}/__requests").json())
        account.ask_again()
        assert len(httpx.get(f"{stack.fakes['konnektive']}/__requests").json()) == asked, "nobody knocks again"
    finally:
        httpx.post(shop, json={"permissions": {"address": None}}).raise_for_status()
    account.resume()
    until(account.sync, lambda sync: sync["state"] == "live" and not sync["poll_under_way"])


def new_names(account: Account, before: set[str]) -> list[str]:
    return [str(line["name"]) for line in account.events() if line["message_id"] not in before and line["status"] == "accepted"]


def functions(stack: Stack) -> list[str]:
    return [function["FunctionName"] for function in stack.client("lambda").list_functions()["Functions"]]
