"""Trying a connection's settings before they are saved."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from local.fakes.konnektive.vendor import LOGIN, PASSWORD
from tests.kit.syncing import START, SyncBench
from tributary.errors import SettingsInvalid
from tributary.sources.konnektive.settings import settings_of
from tributary.sync.check import PATIENCE_SECONDS, check

SETTINGS = {"loginId": LOGIN, "password": PASSWORD, "baseUrl": "http://127.0.0.1:1"}


def tried(bench: SyncBench, **settings: Any) -> list[str]:
    began = bench.clock.now()
    return check(
        settings_of({**SETTINGS, **settings}),
        vendor=bench.account.vendor,
        wait=bench.clock.spend,
        now=bench.clock.now,
        remaining=lambda: PATIENCE_SECONDS - (bench.clock.now() - began).total_seconds(),
    )


def test_each_endpoint_that_is_needed_is_called_once_for_one_row() -> None:
    bench = SyncBench()
    assert tried(bench) == []
    assert [endpoint for endpoint, _ in bench.calls] == [
        "customer/query",
        "order/query",
        "transactions/query",
        "purchase/query",
        "campaign/query",
        "product/query",
        "transactions/summary",
    ]
    assert all(sent["resultsPerPage"] == "1" for _, sent in bench.calls)


def test_what_is_not_read_is_not_tried() -> None:
    bench = SyncBench()
    bench.shop_does(permissions={"refused": ["transactions/query", "transactions/summary", "campaign/query"]})
    assert tried(bench, streams=["orders", "customers"]) == []
    assert [endpoint for endpoint, _ in bench.calls] == ["customer/query", "order/query"]


@pytest.mark.parametrize(
    ("permissions", "field", "says"),
    [
        ({"login": False}, "loginId", "check loginId and password"),
        ({"address": "203.0.113.9"}, "loginId", "(203.0.113.9) in: enter it in the API user's IP Whitelist, or the keyword AWS"),
        ({"refused": ["order/query", "transactions/summary"]}, "streams", "may not use order/query, transactions/summary: tick that"),
    ],
)
def test_what_is_wrong_is_said_in_words_with_its_field(permissions: dict[str, Any], field: str, says: str) -> None:
    bench = SyncBench()
    bench.shop_does(permissions=permissions)
    with pytest.raises(SettingsInvalid, match=re.escape(says)) as refused:
        tried(bench)
    assert refused.value.field == field
    assert PASSWORD not in str(refused.value)


def test_a_door_that_is_shut_is_knocked_at_once() -> None:
    bench = SyncBench()
    bench.shop_does(permissions={"login": False})
    with pytest.raises(SettingsInvalid):
        tried(bench)
    assert len(bench.calls) == 1


def test_an_account_that_is_slow_or_down_is_saved_and_said_to_be_untried() -> None:
    bench = SyncBench()
    bench.answers({"match": {"path": "/order/query/"}, "delay_s": 30})
    untried = tried(bench)
    assert untried == ["order/query", "transactions/query", "purchase/query", "campaign/query", "product/query", "transactions/summary"]
    assert (bench.clock.now() - START).total_seconds() < PATIENCE_SECONDS + 1


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"body": "<html>"}, {"drop": "before"}])
def test_a_fault_of_one_endpoint_is_no_fault_of_the_settings(fault: dict[str, Any]) -> None:
    bench = SyncBench()
    bench.answers({"match": {"path": "/order/query/"}, **fault})
    assert tried(bench) == ["order/query"]


def test_a_day_without_anything_is_no_fault_of_the_settings() -> None:
    bench = SyncBench()
    bench.shop_does(quirks={"empty": "error"})
    assert tried(bench) == []


def test_it_is_the_accounts_day_that_is_asked_for() -> None:
    bench = SyncBench(now=datetime(2026, 11, 20, 3, 0, tzinfo=UTC))
    tried(bench, timeZone="America/New_York")
    assert {sent["startDate"] for _, sent in bench.calls if "startDate" in sent} == {"11/19/2026"}


def test_a_password_with_an_ampersand_is_refused_before_anybody_is_asked() -> None:
    bench = SyncBench()
    with pytest.raises(SettingsInvalid, match="`&`") as refused:
        tried(bench, password="salt&pepper")
    assert refused.value.field == "password"
    assert bench.calls == []


@pytest.mark.parametrize("answer", [{"status": 404, "body": "<html>"}, {"body": "<html><title>Log in</title>"}, {"status": 302, "body": ""}])
def test_an_address_that_is_not_the_apis_is_named(answer: dict[str, Any]) -> None:
    bench = SyncBench()
    bench.answers(*[answer] * 7)
    with pytest.raises(SettingsInvalid) as refused:
        tried(bench)
    assert refused.value.field == "baseUrl"
