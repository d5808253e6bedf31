"""Postbacks: the merchant's own names, the ids of postbacks, the state at the time of sending."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from local.fakes.konnektive.postbacks import FIELDS, Postback
from local.fakes.konnektive.shop import HAPPENINGS
from tests.kit.konnektive import Account

URL = "http://shop.example/hook"


def account_with(**profile: Any) -> Account:
    account = Account()
    account.control(profiles={"sales": {"url": URL, **profile}})
    return account


def flush(account: Account, **how: Any) -> list[Postback]:
    account.sent.clear()
    account.control(send_postbacks=how)
    return account.sent


def json_of(postback: Postback) -> dict[str, Any]:
    body = json.loads(postback.body)
    assert isinstance(body, dict)
    return body


def test_by_default_it_is_a_get_with_everything_in_the_query() -> None:
    account = account_with(static={"token": "let me in"})
    made = account.happen("new_sale", email="kim@shop.example")
    [order] = account.rows("order/query")
    _, sale = flush(account)
    query = dict(parse_qsl(urlsplit(sale.url).query))
    assert (sale.method, sale.body, sale.url.partition("?")[0]) == ("GET", b"", URL)
    assert query == {
        "customerType": "New Sale",
        "clientOrderId": made["orderId"],
        "orderId": str(order["actualOrderId"]),
        "orderStatus": "COMPLETE",
        "emailAddress": "kim@shop.example",
        "orderTotal": order["totalAmount"],
        "token": "let me in",
    }


def test_json_has_the_ids_and_types_of_postbacks() -> None:
    account = account_with(method="JSON", fields={name: name for name in FIELDS})
    made = account.happen("new_sale", offer="trial")
    account.happen("rebill", purchaseId=made["purchaseId"])
    [purchase] = account.rows("purchase/query")
    first, second = sorted(account.rows("order/query"), key=lambda row: row["actualOrderId"])
    *_, rebill = flush(account)
    body = json_of(rebill)
    assert (rebill.method, rebill.headers["content-type"]) == ("POST", "application/json")
    assert (body["customerType"], body["orderId"], body["clientOrderId"]) == ("Recurring Order", second["actualOrderId"], second["orderId"])
    assert (body["originalOrderId"], body["originalClientOrderId"]) == (str(first["actualOrderId"]), first["orderId"])
    assert (body["purchaseId"], body["clientPurchaseId"], body["billingCycleNumber"]) == (str(purchase["actualPurchaseId"]), made["purchaseId"], "2")
    assert (body["actualTransactionId"], body["transactionId"]) == (made["transactionId"] + 1, f"gw-{made['transactionId'] + 1}")
    if body["paySource"] == "CREDITCARD":
        assert body["cardExpiryDate"].keys() == {"date", "timezone_type", "timezone"}
    assert None not in body.values()
    assert "affId" in body or "chargebackAmount" not in body


def test_a_form_has_everything_as_text_in_the_body() -> None:
    account = account_with(method="FORM", fields={"type": "customerType", "expiry": "cardExpiryDate"})
    while not account.vendor.shop.customers.rows or next(reversed(account.vendor.shop.customers.rows.values())).pay_source != "CREDITCARD":
        account.happen("new_sale")
    sale = flush(account)[-1]
    form = dict(parse_qsl(sale.body.decode()))
    assert (sale.url, sale.headers["content-type"]) == (URL, "application/x-www-form-urlencoded")
    assert form.keys() == {"type", "expiry[date]", "expiry[timezone_type]", "expiry[timezone]"}


def test_it_shows_the_state_when_it_is_sent_not_when_it_happened() -> None:
    account = account_with(method="JSON")
    account.happen("new_sale")
    account.happen("full_refund")
    assert [(json_of(sent)["customerType"], json_of(sent)["orderStatus"]) for sent in flush(account)] == [
        ("Partial", "REFUNDED"),
        ("New Sale", "REFUNDED"),
        ("Full Refund", "REFUNDED"),
    ]


def test_a_batch_has_what_happened_since_the_last_and_nothing_from_before_the_profile() -> None:
    account = Account()
    account.happen("new_sale")
    account.control(profiles={"sales": {"url": URL, "method": "JSON"}})
    assert flush(account) == []
    account.happen("new_sale")
    assert len(flush(account, limit=1)) == 1
    assert [json_of(sent)["customerType"] for sent in flush(account)] == ["New Sale"]
    assert flush(account) == []


def test_postbacks_may_come_twice_in_disorder_or_never() -> None:
    account = account_with(method="JSON")
    for _ in range(10):
        account.happen("new_sale")
    sent = flush(account, duplicates=3, shuffled=True)
    assert len(sent) == 23
    assert len({sent_one.body for sent_one in sent}) == 20
    orders = [json_of(sent_one)["orderId"] for sent_one in sent]
    assert orders != sorted(orders)
    account.happen("new_sale")
    assert [json_of(sent_one)["customerType"] for sent_one in flush(account, skip=1)] == ["New Sale"]


def test_a_profile_gets_the_kinds_that_it_is_routed_under_names_typed_by_hand() -> None:
    account = account_with(method="JSON", kinds=["New Sale"], casing="odd")
    account.happen("new_sale")
    [sale] = flush(account)
    assert list(json_of(sale)) == ["Customertype", "clientorderid", "orderID", "orderstatus", "Emailaddress", "ordertotal"]


def test_a_receiver_that_fails_is_told_and_stops_nothing() -> None:
    account = account_with()
    account.statuses = [500, 200]
    account.happen("new_sale")
    results = account.control(send_postbacks={})["send_postbacks"]
    assert results == [{"profile": "sales", "status": 500}, {"profile": "sales", "status": 200}]


def test_a_receiver_that_cannot_be_reached_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    account = account_with()

    def unreachable(postback: Postback) -> int:
        raise httpx.ConnectError("nobody there")

    monkeypatch.setattr(account.vendor, "_send", unreachable)
    account.happen("new_sale")
    assert account.control(send_postbacks={})["send_postbacks"][0] == {"profile": "sales", "status": None, "error": "ConnectError"}


def test_the_account_answers_while_postbacks_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    account = account_with()
    seen: list[int] = []

    def reread(postback: Postback) -> int:
        seen.append(len(account.rows("order/query")))
        return 200

    monkeypatch.setattr(account.vendor, "_send", reread)
    account.happen("new_sale")
    account.control(send_postbacks={})
    assert seen == [1, 1]


def test_every_happening_can_be_told() -> None:
    account = Account.grown(customers=120)
    account.control(profiles={"all": {"url": URL, "fields": {name: name for name in FIELDS}}})
    for what in sorted(HAPPENINGS):
        if what == "chargeback_reverted":
            account.happen("chargeback")
        if what == "trial_cancelled":
            account.happen("new_sale", offer="trial")
        account.happen(what)
    account.control(play_days=30)
    assert len(flush(account)) > 50
