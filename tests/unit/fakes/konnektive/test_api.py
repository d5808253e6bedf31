"""The read API: who is let in, what a search needs, which days and pages it finds, how its quirks look."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from local.fakes.konnektive.rows import PLANTED
from local.fakes.konnektive.shop import Shop
from local.fakes.konnektive.vendor import LOGIN, PASSWORD
from tests.kit.konnektive import ALWAYS, Account

STREAMS = ["order/query", "customer/query", "purchase/query", "transactions/query", "fulfillment/query"]
ENDPOINTS = [*STREAMS, "transactions/summary", "campaign/query", "product/query", "customer/history"]
IN = {"loginId": LOGIN, "password": PASSWORD}


@pytest.fixture(scope="module")
def grown() -> Account:
    """To be read only."""
    return Account.grown()


@pytest.fixture
def account() -> Account:
    return Account()


def said(account: Account, method: str, path: str, *, query: dict[str, str] | None = None, body: bytes = b"") -> Any:
    answer = account.send(method, path, query=query, body=body).answer
    assert answer is not None
    return json.loads(answer.body)


def test_get_and_post_query_and_form_with_and_without_a_slash_are_the_same_call(grown: Account) -> None:
    params = {"startDate": "03/01/2026", "endDate": "03/04/2026"}
    form = "&".join(f"{name}={value}" for name, value in {**IN, **params}.items()).encode()
    answers = [
        said(grown, "GET", "/order/query/", query={**IN, **params}),
        said(grown, "GET", "/order/query", query={**IN, **params}),
        said(grown, "POST", "/order/query/", body=form),
        said(grown, "POST", "/order/query/", query={**IN, **params}),
        said(grown, "POST", "/order/query", query=params, body=form.partition(b"&startDate")[0]),
    ]
    assert answers[0]["message"]["totalResults"] > 0
    assert all(answer == answers[0] for answer in answers)


def test_a_path_that_is_not_there_is_an_html_page(account: Account) -> None:
    answer = account.send("GET", "/orders/query/").answer
    assert answer is not None
    assert (answer.status, answer.headers["content-type"], answer.body[:6]) == (404, "text/html", b"<html>")


def test_refusals_come_in_order_login_address_permission_parameters_search_and_all_are_200(account: Account) -> None:
    account.control(permissions={"login": False, "address": "203.0.113.9", "refused": ["order/query"]})
    expected: list[tuple[dict[str, Any], Any]] = [
        ({"login": True}, "Invalid login credentials"),
        ({"address": None}, "IP must be whitelisted - 203.0.113.9"),
        ({"refused": []}, "API user does not have access to this endpoint"),
    ]
    for allowed, message in expected:
        assert account.ask("order/query") == {"result": "ERROR", "message": message}
        account.control(permissions=allowed)
    assert account.ask("order/query") == {"result": "ERROR", "message": {"startDate": "is a required field", "endDate": "is a required field"}}
    assert account.ask("order/query", **ALWAYS) == {"result": "ERROR", "message": "No orders matching those parameters could be found"}


@pytest.mark.parametrize("wrong", [{"loginId": "someone"}, {"password": "guess"}, {"password": ""}])
def test_wrong_credentials_are_refused_by_every_endpoint(account: Account, wrong: dict[str, str]) -> None:
    for endpoint in ENDPOINTS:
        assert account.ask(endpoint, **wrong) == {"result": "ERROR", "message": "Invalid login credentials"}


def test_a_permission_is_refused_for_its_endpoint_alone(grown: Account) -> None:
    grown.control(permissions={"refused": ["/purchase/query/"]})
    try:
        assert grown.ask("purchase/query", **ALWAYS)["message"] == "API user does not have access to this endpoint"
        assert grown.ask("order/query", **ALWAYS)["result"] == "SUCCESS"
    finally:
        grown.control(permissions={"refused": []})


@pytest.mark.parametrize("form", ["03/04/2026", "3/4/26", "03/04/26", "2026-03-04", "2026-03-04 23:59:59", "03/04/2026 01:00"])
def test_a_date_is_read_in_each_form_and_its_time_is_ignored(account: Account, form: str) -> None:
    account.happen("new_sale")
    assert account.page("order/query", startDate=form, endDate=form)["totalResults"] == 1


def test_a_date_that_is_none_is_refused_by_name(account: Account) -> None:
    assert account.ask("order/query", startDate="yesterday", endDate="03/04/2026") == {"result": "ERROR", "message": {"startDate": "is not a valid date"}}


def test_both_days_of_a_window_count_and_the_field_is_the_one_asked_for(account: Account) -> None:
    order = account.happen("new_sale")["orderId"]
    account.wait(days=3)
    account.happen("partial_refund", orderId=order)

    def found(first: str, last: str, by: str) -> int:
        return len(account.rows("order/query", startDate=first, endDate=last, dateRangeType=by))

    assert found("03/01/2026", "03/04/2026", "dateCreated") == found("03/04/2026", "03/09/2026", "dateCreated") == 1
    assert found("03/05/2026", "03/09/2026", "dateCreated") == 0
    assert found("03/04/2026", "03/06/2026", "dateUpdated") == 0
    assert found("03/07/2026", "03/07/2026", "dateUpdated") == 1


def test_customers_are_found_by_their_activity_and_purchases_by_their_next_bill(account: Account) -> None:
    account.happen("new_sale", offer="trial")
    [purchase] = account.rows("purchase/query")
    day = purchase["nextBillDate"]
    assert len(account.rows("purchase/query", startDate=day, endDate=day, dateRangeType="nextBillDate")) == 1
    assert len(account.rows("purchase/query", startDate="2026-03-04", endDate="2026-03-05", dateRangeType="nextBillDate")) == 0
    assert len(account.rows("customer/query", startDate="2026-03-04", endDate="2026-03-04", dateRangeType="mostRecentActivity")) == 1
    assert account.ask("order/query", **ALWAYS, dateRangeType="nextBillDate")["message"] == {"dateRangeType": "is not a valid option"}


def test_times_narrow_a_window_only_where_the_account_heeds_them(account: Account) -> None:
    account.happen("new_sale")  # at 12:00
    window = {"startDate": "03/04/2026", "endDate": "03/04/2026", "startTime": "12:01", "endTime": "23:59"}
    assert account.page("order/query", **window)["totalResults"] == 1
    account.control(quirks={"times": True})
    assert account.ask("order/query", **window)["result"] == "ERROR"
    assert account.page("order/query", **{**window, "startTime": "12:00"})["totalResults"] == 1


@pytest.mark.parametrize("endpoint", STREAMS)
def test_a_walk_finds_every_row_once_in_either_direction(grown: Account, endpoint: str) -> None:
    up = grown.rows(endpoint)
    keys = [json.dumps(row, sort_keys=True) for row in up]
    assert len(set(keys)) == len(keys) == grown.page(endpoint, **ALWAYS)["totalResults"]
    down = grown.page(endpoint, **ALWAYS, sortDir="0")["data"]
    assert down[0] == up[-1]
    assert [row["dateCreated"] for row in up] == sorted(row["dateCreated"] for row in up)


def test_pages_have_25_rows_unless_asked_otherwise_and_never_more_than_200(grown: Account) -> None:
    for asked, size in ((None, 25), ("10", 10), ("500", 200)):
        message = grown.page("order/query", **ALWAYS, **({} if asked is None else {"resultsPerPage": asked}))
        assert (message["resultsPerPage"], len(message["data"]), message["page"]) == (size, size, 1)
    assert grown.ask("order/query", **ALWAYS, page="0")["message"] == {"page": "must be a positive number"}


def test_past_the_end_there_is_an_error_or_an_empty_page(account: Account) -> None:
    account.happen("new_sale")
    assert account.ask("order/query", **ALWAYS, page="2")["message"] == "No orders matching those parameters could be found"
    account.control(quirks={"past_end": "success"})
    assert account.page("order/query", **ALWAYS, page="2") == {"totalResults": 1, "resultsPerPage": 25, "page": 2, "data": []}


def test_nothing_found_is_an_error_or_an_empty_success(account: Account) -> None:
    for endpoint, things in zip(STREAMS, ["orders", "customers", "purchases", "transactions", "fulfillments"], strict=True):
        assert account.ask(endpoint, **ALWAYS)["message"] == f"No {things} matching those parameters could be found"
    account.control(quirks={"empty": "success"})
    assert account.page("order/query", **ALWAYS)["totalResults"] == 0


def test_ids_find_what_belongs_to_them_without_a_window(account: Account) -> None:
    account.happen("new_sale")
    made = account.happen("new_sale", offer="subscription")
    account.happen("rebill", purchaseId=made["purchaseId"])
    order, customer, purchase = made["orderId"], str(made["customerId"]), made["purchaseId"]
    assert [len(account.rows(endpoint, customerId=customer)) for endpoint in STREAMS] == [2, 1, 1, 2, 2]
    assert [row["orderId"] for row in account.rows("order/query", orderId=order)] == [order]
    assert [row["orderId"] for row in account.rows("purchase/query", orderId=order)] == [order]
    assert {row["billingCycleNumber"] for row in account.rows("transactions/query", purchaseId=purchase)} == {1, 2}
    assert len(account.rows("transactions/query", transactionId=str(made["transactionId"]))) == 1
    assert account.rows("transactions/query", transactionId="1") == []
    [row] = account.rows("order/query", orderId=order)
    # The number that postbacks call orderId is not the API's.
    assert account.rows("order/query", orderId=str(row["actualOrderId"])) == []


def test_filters_narrow_a_search(grown: Account) -> None:
    assert {row["orderStatus"] for row in grown.rows("order/query", **ALWAYS, orderStatus="PARTIAL")} == {"PARTIAL"}
    assert {row["orderType"] for row in grown.rows("order/query", **ALWAYS, orderType="NEW_SALE")} == {"NEW_SALE"}
    assert {row["campaignId"] for row in grown.rows("order/query", **ALWAYS, campaignId="12, 14")} == {12, 14}
    assert {row["txnType"] for row in grown.rows("transactions/query", **ALWAYS, txnType="REFUND")} == {"REFUND"}
    assert {row["orderType"] for row in grown.rows("transactions/query", **ALWAYS, orderType="NEW_SALE")} == {"NEW_SALE", "RECURRING"}


def test_a_change_of_the_shop_shows_at_once_in_a_search_made_before(account: Account) -> None:
    account.happen("new_sale", email="kim@shop.example")
    assert len(account.rows("order/query", **ALWAYS, emailAddress="kim@shop.example")) == 1
    account.happen("email_changed", email="new@shop.example")
    assert account.rows("order/query", **ALWAYS, emailAddress="kim@shop.example") == []
    account.happen("new_sale", email="new@shop.example")
    assert len(account.rows("order/query", **ALWAYS, emailAddress="new@shop.example")) == 2


def test_campaigns_are_a_page_keyed_by_id_and_products_a_list(account: Account) -> None:
    message = account.page("campaign/query", resultsPerPage="3")
    assert (message["totalResults"], sorted(message["data"])) == (4, ["12", "14", "15"])
    assert message["data"]["12"]["products"][0] == {"campaignProductId": 101, "productId": 11, "productName": "(11) Glow Serum Trial", "price": "4.95"}
    assert [product["productSku"] for product in account.page("product/query", campaignId="15")["data"]] == ["TEA-GREEN", "POT-1", "STRAIN-1"]


def test_the_summary_is_a_list_by_day_or_campaign(account: Account) -> None:
    account.happen("new_sale")
    account.happen("rebill", purchaseId=account.happen("new_sale", offer="trial")["purchaseId"])
    dates = {"startDate": "03/04/2026", "endDate": "03/04/2026"}
    [day] = account.ask("transactions/summary", reportType="date", dateRangeType="txnDate", **dates)["message"]
    assert (day["date"], day["newSaleCnt"], day["rebillCnt"], day["refundCnt"]) == ("2026-03-04", 2, 1, 0)
    rows = account.ask("transactions/summary", reportType="campaign", **dates)["message"]
    assert sum(row["newSaleCnt"] for row in rows) == 2
    assert account.ask("transactions/summary", **dates)["message"] == {"reportType": "is a required field"}


def test_a_void_takes_the_sale_out_of_the_summary(account: Account) -> None:
    account.happen("new_sale")
    account.happen("void")
    [day] = account.ask("transactions/summary", reportType="date", **ALWAYS)["message"]
    assert (day["newSaleCnt"], day["newSaleRev"], day["netRevenue"]) == (0, "0.00", "0.00")


def test_the_history_of_a_customer_says_what_happened(account: Account) -> None:
    customer = str(account.happen("new_sale")["customerId"])
    assert [row["messageType"] for row in account.page("customer/history", customerId=customer)["data"]] == ["Partial", "New Sale"]


# ---------------------------------------------------------------------- quirks


def test_types_vary_without_being_asked_to(grown: Account) -> None:
    orders, transactions = grown.rows("order/query"), grown.rows("transactions/query")
    assert grown.answer("order/query", **ALWAYS).headers["content-type"] == "text/html; charset=UTF-8"
    assert {type(row["customerId"]) for row in orders} == {int, str}
    assert ({type(row["campaignId"]) for row in orders}, {type(row["campaignId"]) for row in transactions}) == ({int}, {str})
    assert {type(row["isChargedback"]) for row in transactions} == {int, str}
    leads = [row for row in orders if row["orderStatus"] == "PARTIAL"]
    assert {row["totalAmount"] for row in leads} == {None}
    assert {json.dumps(row.get("items", "missing")) for row in leads} == {"[]", "null", '"missing"'}
    assert {type(row["items"]) for row in orders if row["orderStatus"] == "COMPLETE"} == {dict}
    assert {type(row["refundRemaining"]) for row in orders} == {str}
    assert {"address2" in row for row in grown.rows("purchase/query")} == {True, False}
    nested = [nested for row in grown.rows("purchase/query") for nested in row["transactions"]]
    assert {row["isChargedback"] for row in nested} <= {"0", "1"}
    assert any("chargebackAmount" not in row for row in nested)


def test_secrets_stand_in_ordinary_rows(grown: Account) -> None:
    assert all(planted in json.dumps(grown.rows("order/query")[0]) for planted in PLANTED)
    assert PLANTED[0] in json.dumps(grown.rows("customer/query")[0])


def one(quirks: dict[str, Any], endpoint: str = "order/query", **params: str) -> dict[str, Any]:
    account = Account()
    account.happen("new_sale", offer="trial", currency=params.pop("currency", "USD"))
    account.happen("pause")
    account.control(quirks=quirks)
    row = account.page(endpoint, **ALWAYS, **params)["data"][0]
    assert isinstance(row, dict)
    return row


def test_each_quirk_can_be_set() -> None:
    assert [item["productSku"] for item in one({"items": "list"})["items"]] == ["GLOW-TRIAL"]
    assert "items" not in one({"items": "missing"})
    assert isinstance(one({"customer_id_as_text": "always"})["customerId"], str)
    assert isinstance(one({"customer_id_as_text": "never"})["customerId"], int)
    assert one({"chargeback_as_text": "always"}, "transactions/query")["isChargedback"] == "0"
    assert one({"spaced_statuses": True}, "purchase/query")["status"] == "Paused"
    assert isinstance(one({"numbers_as_text": True})["actualOrderId"], str)
    assert one({"unknown_fields": True})["somethingNew"] == {"kind": "unheard of"}
    assert PLANTED[0] not in json.dumps(one({"secrets": False}))
    assert one({}, currency="JPY")["price"] == "750.00"
    assert one({"two_decimals": False}, currency="JPY")["price"] == "750"
    assert "customFields" not in one({})
    for shape, expected in (("object", {"quiz": "yes"}), ("list", [{"name": "quiz", "value": "yes"}]), ("text", "quiz=yes")):
        account = Account()
        account.happen("new_sale")
        next(iter(account.vendor.shop.customers.rows.values())).custom = {"quiz": "yes"}
        account.control(quirks={"custom_fields": shape})
        assert account.rows("order/query", **ALWAYS, includeCustomFields="1")[0]["customFields"] == expected


def test_the_envelope_can_have_text_for_numbers_and_another_content_type(account: Account) -> None:
    account.happen("new_sale")
    account.control(quirks={"page_as_text": True, "counts_as_text": True, "content_type": "application/json"})
    message = account.page("order/query", **ALWAYS)
    assert (message["totalResults"], message["resultsPerPage"], message["page"]) == ("1", "25", "1")
    assert account.answer("order/query", **ALWAYS).headers["content-type"] == "application/json"
    account.control(quirks=None)
    assert account.page("order/query", **ALWAYS)["page"] == 1


def test_fulfillments_come_with_more_around_them(account: Account) -> None:
    account.happen("new_sale")
    assert account.page("fulfillment/query", **ALWAYS).keys() > {"params", "errors", "sortBy", "sortDir", "queryArgs"}


def test_an_order_shows_its_buyers_new_email_and_is_not_updated_by_it_or_keeps_the_old_one(account: Account) -> None:
    account.happen("new_sale", email="old@shop.example")
    [before] = account.rows("order/query")
    account.wait(days=1)
    account.happen("email_changed", email="new@shop.example")
    [after] = account.rows("order/query")
    assert (after["emailAddress"], after["dateUpdated"]) == ("new@shop.example", before["dateUpdated"])
    account.control(quirks={"current_email": False})
    assert account.rows("order/query")[0]["emailAddress"] == "old@shop.example"
    assert account.rows("customer/query")[0]["emailAddress"] == "new@shop.example"


# ---------------------------------------------------------------------- faults


def many(orders: int) -> Account:
    shop = Shop()
    shop.crowd(orders=orders, day=date(2026, 3, 3), customers=10)
    return Account(shop, now=datetime(2026, 3, 5, 12, tzinfo=UTC))


def test_a_row_updated_between_two_pages_makes_a_walk_miss_another() -> None:
    account = many(450)
    day = {"startDate": "03/03/2026", "endDate": "03/03/2026", "dateRangeType": "dateUpdated"}
    assert len({row["orderId"] for row in account.rows("order/query", **day)}) == 450
    account.control(bump={"stream": "order", "page": 1, "rows": 3})
    walked = []
    for page in ("1", "2", "3"):
        message = account.page("order/query", **day, page=page, resultsPerPage="200", sortDir="1")
        walked += message["data"]
    assert (len({row["orderId"] for row in walked}), message["totalResults"]) == (447, 447)
    assert len(account.rows("order/query", startDate="03/05/2026", endDate="03/05/2026", dateRangeType="dateUpdated")) == 3


def test_a_page_can_be_repeated() -> None:
    account = many(60)
    account.control(quirks={"repeat_page": 2})
    pages = [account.page("order/query", **ALWAYS, page=page)["data"] for page in ("1", "2", "3")]
    assert pages[0] == pages[1] != pages[2]


def test_a_scripted_fault_can_wait_for_its_page(account: Account) -> None:
    for _ in range(3):
        account.happen("new_sale")
    steps = [{"match": {"path": "/order/query/", "params": {"page": "2"}}, "status": 503, "body": "<html>"}] * 2
    account.send("POST", "/__script", body=json.dumps(steps).encode())
    walk = {**ALWAYS, "resultsPerPage": "2"}
    assert account.answer("order/query", **walk, page="1").status == 200
    assert [account.answer("order/query", **walk, page="2").status for _ in range(3)] == [503, 503, 200]


def test_answers_can_be_slow(account: Account) -> None:
    account.control(latency_s=2.5)
    assert account.send("POST", "/order/query/").delay_s == 2.5
    account.control(latency_s=0)
    assert account.send("POST", "/order/query/").delay_s == 0


# ---------------------------------------------------------------------- control


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ({"gorw": 5}, "gorw"),
        ({"grow": -1}, "grow"),
        ({"grow": {"customers": 5, "years": 2}}, "years"),
        ({"happen": "a_wonder"}, "happen"),
        ({"happen": [{"what": "pause"}]}, "purchaseId"),
        ({"quirks": {"items": "sometimes"}}, "sometimes"),
        ({"quirks": {"itmes": "list"}}, "itmes"),
        ({"permissions": {"refused": ["orders/query"]}}, "orders/query"),
        ({"bump": {"stream": "orders", "page": 1}}, "orders"),
        ({"new": {"zone": "Mars/Olympus"}}, "Mars/Olympus"),
        ({"new": {"second_currency": "XYZ"}}, "second_currency"),
        ({"send_postbacks": {"profile": "sales"}}, "profile"),
        ({"profiles": {"sales": {"url": "shop.example"}}}, "url"),
        ({"profiles": {"sales": {"url": "http://shop.example", "fields": {"a": "achAccountNumber"}}}}, "achAccountNumber"),
        ([], "object"),
    ],
)
def test_a_command_that_does_not_fit_is_refused_by_name(account: Account, command: object, named: str) -> None:
    status, answer = account.try_control(command)
    assert status == 400
    assert named in answer["error"]


def test_controls_leave_no_trace_in_the_log_and_a_new_shop_starts_empty_in_its_zone(account: Account) -> None:
    account.control(grow=20)
    account.control(new={"seed": 2, "zone": "Europe/Berlin", "second_currency": "EUR"}, happen="new_sale")
    assert (account.truth()["contacts"], account.truth()["zone"], account.truth()["now"]) == (1, "Europe/Berlin", "2026-03-04 18:00:00")
    assert said(account, "GET", "/__requests") == []
    assert account.page("campaign/query")["data"]["21"]["campaignName"] == "Glow Serum EUR"


def test_forgetting_starts_an_empty_account_that_admits_again(account: Account) -> None:
    account.control(grow=20, permissions={"login": False})
    account.send("DELETE", "/__state")
    assert account.truth()["contacts"] == 0
    assert account.rows("order/query") == []
