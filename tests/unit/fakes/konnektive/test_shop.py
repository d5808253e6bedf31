"""The shop behind the account: what it knows to be true is what its rows add up to, and every change can be found by its day."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from local.fakes.konnektive.shop import HAPPENINGS, HappeningRefused, Shop
from tests.kit.konnektive import Account

NOW = datetime(2026, 3, 4, 17, tzinfo=UTC)
UNITS = {"USD": 2, "EUR": 2, "JPY": 0}


def minor(text: str, currency: str) -> int:
    whole, _, cents = text.partition(".")
    assert len(cents) == 2
    return int(whole) * 100 + int(cents) if UNITS[currency] else int(whole)


def recount(account: Account) -> dict[str, Any]:
    """The truth once more, from nothing but the rows that the API serves."""
    orders, transactions, purchases = account.rows("order/query"), account.rows("transactions/query"), account.rows("purchase/query")
    by_number = {row["transactionId"]: row for row in transactions}
    revenue: dict[str, Counter[str]] = defaultdict(Counter)
    payments = refunds = declines = chargebacks = voids = 0
    for row in transactions:
        currency = row["currencyCode"]
        amount = minor(row["totalAmount"], currency)
        sums = revenue[currency]
        match row["txnType"], row["responseType"]:
            case (("SALE" | "CAPTURE"), "SUCCESS"):
                payments += 1
                sums["gross"] += amount
            case "REFUND", "SUCCESS":
                refunds += 1
                sums["refunded"] += amount
            case "VOID", "SUCCESS":
                voids += 1
                if by_number[row["parentTxnId"]]["txnType"] != "AUTHORIZE":
                    sums["voided"] += amount
            case _, ("HARD_DECLINE" | "SOFT_DECLINE"):
                declines += 1
        if row["isChargedback"] in (1, "1"):
            chargebacks += 1
            sums["charged_back"] += minor(row["chargebackAmount"], currency)
    for sums in revenue.values():
        sums["net"] = sums["gross"] - sums["refunded"] - sums["voided"] - sums["charged_back"]
    return {
        "contacts": len(account.rows("customer/query")),
        "orders": dict(Counter(row["orderStatus"] for row in orders)),
        "subscriptions": dict(Counter(row["status"] for row in purchases)),
        "fulfillments": dict(Counter(row["status"] for row in account.rows("fulfillment/query"))),
        "transactions": len(transactions),
        "payments": payments,
        "refunds": refunds,
        "declines": declines,
        "voids": voids,
        "chargebacks": chargebacks,
        "revenue": {currency: {name: sums[name] for name in ("gross", "refunded", "voided", "charged_back", "net")} for currency, sums in revenue.items()},
    }


def told(account: Account) -> dict[str, Any]:
    truth = account.truth()
    for sums in truth["revenue"].values():
        del sums["minor_units"]
    return {name: truth[name] for name in recount(account)}


@pytest.fixture(scope="module")
def grown() -> Account:
    """To be read only."""
    return Account.grown(customers=600, months=18)


def test_the_truth_is_what_the_rows_add_up_to(grown: Account) -> None:
    assert told(grown) == recount(grown)


def test_the_days_of_the_truth_add_up_to_its_revenue(grown: Account) -> None:
    truth = grown.truth()
    for currency, sums in truth["revenue"].items():
        days = [day for day in truth["days"] if day["currency"] == currency]
        assert {name: sum(day[name] for day in days) for name in ("gross", "refunded", "voided", "charged_back", "net")} == {
            name: amount for name, amount in sums.items() if name != "minor_units"
        }


def test_what_reports_must_come_to_is_the_truth_by_other_names(grown: Account) -> None:
    truth = grown.truth()
    reports = truth["reports"]
    sales = reports["sales"]
    assert {currency: sums["sales"] for currency, sums in sales.items()} == {currency: sums["gross"] for currency, sums in truth["revenue"].items()}
    assert {currency: sums["earned"] for currency, sums in sales.items()} == truth["earned"]
    for of in ("campaigns", "sources"):
        for currency, parts in reports[of].items():
            assert {name: sum(part[name] for part in parts.values()) for name in ("orders", "sales", "earned", "refunded")} == {
                name: sales[currency][name] for name in ("orders", "sales", "earned", "refunded")
            }
    assert sum(cohort["leads"] for cohort in reports["cohorts"].values()) == reports["leads"] == truth["contacts"]
    assert reports["subscriptions"]["all"] == sum(truth["subscriptions"].values())
    assert reports["funnel"]["started"] >= reports["funnel"]["sold"] >= reports["funnel"]["rebilled"] > 0


def test_the_summary_has_the_same_net_revenue_as_the_truth_and_books_refunds_on_the_day_of_the_sale(grown: Account) -> None:
    summary = grown.ask("transactions/summary", reportType="date", dateRangeType="txnDate", startDate="1/1/24", endDate="12/31/30")["message"]
    by_symbol = {"$": "USD", "¥": "JPY"}
    net: Counter[str] = Counter()
    for row in summary:
        sign, text = (-1, row["netRevenue"][1:]) if row["netRevenue"].startswith("-") else (1, row["netRevenue"])
        net[by_symbol[row["currencySymbol"]]] += sign * minor(text, by_symbol[row["currencySymbol"]])
    assert net == {currency: sums["net"] for currency, sums in grown.truth()["revenue"].items()}
    transactions = {row["transactionId"]: row for row in grown.rows("transactions/query")}
    refund = next(row for row in transactions.values() if row["txnType"] == "REFUND" and row["currencyCode"] == "USD")
    sold = transactions[refund["parentTxnId"]]["dateCreated"][:10]
    [booked] = [row for row in summary if row["date"] == sold and row["currencySymbol"] == "$"]
    assert booked["refundCnt"] >= 1


def test_a_shop_of_some_size_has_everything_that_shops_have(grown: Account) -> None:
    orders, transactions, purchases = grown.rows("order/query"), grown.rows("transactions/query"), grown.rows("purchase/query")
    assert {row["orderStatus"] for row in orders} >= {"PARTIAL", "COMPLETE", "DECLINED", "REFUNDED", "CANCELLED"}
    assert {row["orderType"] for row in orders} == {"NEW_SALE", "RECURRING"}
    assert {row["status"] for row in purchases} >= {"TRIAL", "ACTIVE", "PAUSED", "CANCELLED", "COMPLETE", "RECYCLE_FAILED"}
    assert {(row["txnType"], row["responseType"]) for row in transactions} >= {
        ("SALE", "SUCCESS"), ("SALE", "HARD_DECLINE"), ("SALE", "SOFT_DECLINE"),
        ("AUTHORIZE", "SUCCESS"), ("CAPTURE", "SUCCESS"), ("REFUND", "SUCCESS"), ("VOID", "SUCCESS"),
    }  # fmt: skip
    assert {row["UTMSource"] for row in orders} >= {"facebook", "google", "newsletter", None}
    assert any(row["affId"] and row["sourceTitle"] and row["sourceValue1"] for row in orders)
    assert any(row["recycleNumber"] > 0 and row["responseType"] == "SUCCESS" for row in transactions)
    assert any(row["hasUpsell"] for row in orders)
    assert any(row["isDeclineSave"] for row in orders)
    assert {row["currencyCode"] for row in orders} == {"USD", "JPY"}
    assert any(row["isBlacklisted"] for row in grown.rows("customer/query"))
    assert grown.truth()["chargebacks_reverted"] > 0
    assert {row["responseText"] for row in transactions} >= {"External refund"}


def test_a_rebill_is_an_order_of_its_own_on_the_same_purchase_one_cycle_on(grown: Account) -> None:
    cycles: dict[str, list[int]] = defaultdict(list)
    by_order = {row["orderId"]: row for row in grown.rows("order/query")}
    for row in grown.rows("transactions/query"):
        order = by_order[row["orderId"]]
        if row["txnType"] == "SALE" and row["responseType"] == "SUCCESS" and order["orderType"] == "RECURRING":
            [item] = order["items"].values()
            cycles[item["purchaseId"]].append(row["billingCycleNumber"])
    assert len(cycles) > 20
    assert all(seen == list(range(2, len(seen) + 2)) for seen in cycles.values())
    billed = {row["purchaseId"]: row["billingCycleNumber"] for row in grown.rows("purchase/query")}
    assert all(billed[purchase] == seen[-1] for purchase, seen in cycles.items())


def test_no_payment_gives_back_more_than_it_took(grown: Account) -> None:
    given: Counter[int] = Counter()
    transactions = {row["transactionId"]: row for row in grown.rows("transactions/query")}
    for row in transactions.values():
        if row["txnType"] == "REFUND":
            given[row["parentTxnId"]] += minor(row["totalAmount"], row["currencyCode"])
    for parent, amount in given.items():
        row = transactions[parent]
        taken_back = minor(row["chargebackAmount"] or "0.00", row["currencyCode"])
        assert amount + taken_back <= minor(row["totalAmount"], row["currencyCode"])


def served(shop: Shop) -> list[Any]:
    account = Account(shop)
    return [account.rows(f"{stream}/query") for stream in ("order", "customer", "purchase", "transactions", "fulfillment")] + [account.truth()]


def test_the_same_seed_size_and_end_give_the_same_shop_and_another_seed_another() -> None:
    def shop(seed: int) -> Shop:
        made = Shop(seed=seed)
        made.grow(customers=60, months=6, now=NOW)
        return made

    assert json.dumps(served(shop(3))) == json.dumps(served(shop(3)))
    assert served(shop(3)) != served(shop(4))


def test_three_days_played_at_once_are_the_days_played_one_by_one() -> None:
    def played(*days: int) -> list[Any]:
        shop = Shop(seed=3)
        shop.grow(customers=80, months=6, now=NOW)
        for day in days:
            shop.play(NOW + timedelta(days=day))
        return served(shop)

    assert played(20) == played(1, 7, 20)


def without_buyer(row: dict[str, Any]) -> dict[str, Any]:
    """An order shows its buyer as he is now, and is not updated when he changes."""
    return {name: value for name, value in row.items() if name not in ("emailAddress", "address1", "shipAddress1", "paySource")}


def test_playing_changes_nothing_before_the_moment_at_which_it_began() -> None:
    account = Account.grown(customers=120)
    before = {row["orderId"]: without_buyer(row) for row in account.rows("order/query")}
    start = account.truth()["now"]
    account.happen("new_sale")
    account.control(play_days=15)
    assert account.truth()["now"] == "2026-03-19 13:00:00"  # the same moment of the day: the clocks were put forward in between
    changed = [row for row in account.rows("order/query") if before.get(row["orderId"]) != without_buyer(row)]
    assert len(changed) > 10
    assert all(row["dateUpdated"] >= start for row in changed)
    assert told(account) == recount(account)


def test_an_account_grows_to_a_size_and_keeps_what_it_had() -> None:
    account = Account.grown(customers=50)
    had = {row["customerId"]: row["emailAddress"] for row in account.rows("customer/query")}
    assert account.control(grow=90)["grow"]["customers"] == 90
    now = {row["customerId"] for row in account.rows("customer/query")}
    assert had.keys() < now
    account.control(grow=10)
    assert account.truth()["contacts"] == 90
    assert told(account) == recount(account)


def test_times_are_the_accounts_wall_clock_through_both_changes_of_the_clocks() -> None:
    shop = Shop(seed=1)
    winter, summer = datetime(2026, 3, 8, 6, 59, 59, tzinfo=UTC), datetime(2026, 3, 8, 7, 0, 0, tzinfo=UTC)
    made = [shop.happen("new_sale", at=at)["at"] for at in (winter, summer)]
    assert made == ["2026-03-08 01:59:59", "2026-03-08 03:00:00"]
    first, second = datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    made = [shop.happen("new_sale", at=at)["at"] for at in (first, second)]
    assert made == ["2026-11-01 01:30:00", "2026-11-01 01:30:00"]


def test_a_row_stands_in_the_day_of_its_account_not_of_utc() -> None:
    account = Account(now=datetime(2026, 3, 9, 3, 59, 59, tzinfo=UTC))
    order = account.happen("new_sale")["orderId"]
    assert [row["orderId"] for row in account.rows("order/query", startDate="03/08/2026", endDate="03/08/2026")] == [order]
    assert account.ask("order/query", startDate="03/09/2026", endDate="03/09/2026")["result"] == "ERROR"


def test_a_crowd_is_so_many_orders_in_one_day_of_23_hours_too() -> None:
    shop = Shop()
    shop.crowd(orders=900, day=date(2026, 3, 8), customers=40)
    account = Account(shop)
    assert {row["dateCreated"][:10] for row in account.rows("order/query")} == {"2026-03-08"}
    assert (account.truth()["orders"], account.truth()["contacts"]) == ({"COMPLETE": 900}, 40)
    assert told(account) == recount(account)


def _at(account: Account) -> str:
    return account.now.astimezone(ZoneInfo("America/New_York")).strftime("%Y-%m-%d %H:%M:%S")


HAPPENING_CHANGES: dict[str, tuple[dict[str, Any], Callable[[Account, dict[str, Any]], dict[str, str]]]] = {
    "rebill": ({}, lambda account, made: {"purchase/query": made["purchaseId"], "order/query": made["orderId"]}),
    "partial_refund": ({}, lambda account, made: {"order/query": made["orderId"], "transactions/query": made["transactionId"]}),
    "full_refund": ({}, lambda account, made: {"order/query": made["orderId"], "transactions/query": made["transactionId"]}),
    "void": ({}, lambda account, made: {"order/query": made["orderId"], "transactions/query": made["transactionId"]}),
    "chargeback": ({}, lambda account, made: {"transactions/query": made["transactionId"], "order/query": made["orderId"]}),
    "trial_cancelled": ({}, lambda account, made: {"purchase/query": made["purchaseId"]}),
    "pause": ({}, lambda account, made: {"purchase/query": made["purchaseId"]}),
    "reactivate": ({}, lambda account, made: {"purchase/query": made["purchaseId"]}),
    "email_changed": ({"email": "kim@new.example"}, lambda account, made: {"customer/query": made["customerId"]}),
    "address_edited": ({}, lambda account, made: {"customer/query": made["customerId"]}),
    "shipped": ({}, lambda account, made: {"order/query": made["orderId"]}),
}


@pytest.mark.parametrize("what", HAPPENING_CHANGES)
def test_what_a_happening_touches_is_found_by_the_day_of_the_update(what: str) -> None:
    account = Account()
    account.happen("new_sale", offer="trial")
    if what == "reactivate":
        account.happen("pause")
    account.wait(days=2)
    about, touched = HAPPENING_CHANGES[what]
    made = account.happen(what, **about)
    assert made["at"] == _at(account)
    keys = {"purchase/query": "purchaseId", "order/query": "orderId", "transactions/query": "transactionId", "customer/query": "customerId"}
    for endpoint, key in touched(account, made).items():
        rows = account.rows(endpoint, startDate="03/06/2026", endDate="03/06/2026", dateRangeType="dateUpdated")
        assert {str(row[keys[endpoint]]): row["dateUpdated"] for row in rows}[str(key)] == _at(account)
    assert told(account) == recount(account)


def test_every_happening_can_be_made_and_keeps_the_truth() -> None:
    account = Account.grown(customers=150)
    for what in ["new_sale", *sorted(HAPPENINGS)]:
        if what == "chargeback_reverted":
            account.happen("chargeback")
        if what == "trial_cancelled":
            account.happen("new_sale", offer="trial")
        account.happen(what)
    assert told(account) == recount(account)


def test_a_sale_and_its_refund_may_share_a_second() -> None:
    account = Account()
    made = account.happen("sale_and_refund")
    sale, refund = account.rows("transactions/query", orderId=made["orderId"])
    assert (sale["txnType"], refund["txnType"], refund["parentTxnId"]) == ("SALE", "REFUND", sale["transactionId"])
    assert sale["dateCreated"] == refund["dateCreated"]
    assert account.truth()["orders"] == {"REFUNDED": 1}


def test_a_chargeback_is_restated_on_the_sale_and_taken_back_on_it() -> None:
    account = Account()
    number = account.happen("new_sale")["transactionId"]
    account.happen("chargeback", transactionId=number)
    [sale] = account.rows("transactions/query", transactionId=str(number))
    assert (sale["isChargedback"], sale["chargebackAmount"], sale["chargebackDate"], sale["chargebackReasonCode"]) == (
        1,
        sale["totalAmount"],
        "2026-03-04",
        "10.4",
    )
    assert account.truth()["revenue"]["USD"]["net"] == 0
    account.happen("chargeback_reverted", transactionId=number)
    [sale] = account.rows("transactions/query", transactionId=str(number))
    assert (sale["isChargedback"], sale["chargebackAmount"]) == (0, None)
    assert account.truth()["revenue"]["USD"]["net"] == account.truth()["revenue"]["USD"]["gross"] > 0


def test_a_refund_leaves_the_subscription_as_it_is() -> None:
    account = Account()
    made = account.happen("new_sale", offer="subscription")
    account.happen("full_refund", orderId=made["orderId"])
    [purchase] = account.rows("purchase/query")
    assert (purchase["status"], purchase["totalRefunded"]) == ("ACTIVE", purchase["totalBilled"])


@pytest.mark.parametrize(
    ("what", "about", "named"),
    [
        ("a_wonder", {}, "happen: one of address_edited"),
        ("pause", {}, "purchaseId"),
        ("partial_refund", {"transactionId": 1}, "transactionId"),
        ("new_sale", {"offer": "free"}, "offer"),
        ("lead", {"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_happen_is_refused_by_name(what: str, about: dict[str, Any], named: str) -> None:
    with pytest.raises(HappeningRefused, match=named):
        Shop().happen(what, at=NOW, about=about)
