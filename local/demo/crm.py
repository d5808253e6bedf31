"""The second chapter: the shop's CRM. Its account has a history of eighteen months; it is connected, read from its first day, and what changes is seen as it
comes.

Everything goes through the real entrances: the connection and its sync through the control API, the changes through the account itself, a postback through the
webhook. What must come of it is what the account says of itself: its own records, and its own sums.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from local.demo.checks import Step
from local.demo.looking import NotInTime, until
from local.fakes.konnektive.vendor import LOGIN, PASSWORD
from local.stack import POSTBACK_SECRET, Stack, konnektive_connection
from tributary.adapters.contacts import DynamoContacts
from tributary.contacts.lifetime import lifetime_of
from tributary.contacts.reading import Contact, read_contact_by_id
from tributary.currencies import MINOR_UNITS

CUSTOMERS: Final = 120
"""Of eighteen months; `DEMO_CUSTOMERS` says another number. Some 750 records and 1,300 events, which two cores take in a quarter of a minute."""
PATIENCE_SECONDS: Final = 120.0
SETTLING_SECONDS: Final = 1.0
_TIMEOUT: Final = 60
_STATES: Final = {
    "TRIAL": "trial",
    "ACTIVE": "active",
    "PAUSED": "paused",
    "COMPLETE": "completed",
    "CANCELLED": "cancelled",
    "RECYCLE_BILLING": "recycling",
    "RECYCLE_FAILED": "recycle_failed",
}

POLLS: Final[Sequence[tuple[str, Sequence[Mapping[str, Any]], Sequence[str]]]] = (
    (
        "somebody buys, a subscription is billed again, an order is refunded in part, a bank takes a payment back",
        (
            {"what": "rebill"},
            {"what": "partial_refund", "amount": 500},
            {"what": "new_sale", "offer": "one_off", "email": "nora@lake.example"},
            {"what": "chargeback"},
            {"what": "new_sale", "offer": "trial", "email": "per@lake.example"},
        ),
        ("Chargeback Received", "Order Completed", "Order Refunded", "Payment Received", "Trial Started"),
    ),
    (
        "the bank gives it back, and the trial is cancelled",
        ({"what": "chargeback_reverted"}, {"what": "trial_cancelled", "reason": "too many notes"}),
        ("Chargeback Reversed", "Subscription Cancelled"),
    ),
)
"""What happens in the account before each poll, and which events must come of it at least."""


class Account:
    """The fake account and the API of the stack, as their users reach them."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._fake = stack.fakes["konnektive"]
        self.id = ""

    def grow(self, customers: int) -> Mapping[str, Any]:
        return self._shop({"grow": customers})

    def happen(self, things: Sequence[Mapping[str, Any]]) -> None:
        self._shop({"happen": list(things)})

    def truth(self) -> Mapping[str, Any]:
        """What the account holds."""
        truth: Mapping[str, Any] = httpx.get(f"{self._fake}/__truth", timeout=_TIMEOUT, trust_env=False).json()
        return truth

    def sums(self) -> dict[str, dict[str, str]]:
        """The account's own report over all of its days: paid, refunded and charged back, by the symbol of the currency."""
        days = {"startDate": "01/01/2010", "endDate": "01/01/2100", "dateRangeType": "txnDate", "reportType": "date"}
        form = {"loginId": LOGIN, "password": PASSWORD, **days}
        rows = httpx.post(f"{self._fake}/transactions/summary/", data=form, timeout=_TIMEOUT, trust_env=False).json()["message"]
        found: dict[str, dict[str, Decimal]] = {}
        for row in rows:
            sums = found.setdefault(row["currencySymbol"], dict.fromkeys(("paid", "refunded", "charged back"), Decimal(0)))
            sums["paid"] += _number(row["newSaleRev"]) + _number(row["rebillRev"])
            sums["refunded"] += _number(row["refundRev"])
            sums["charged back"] += _number(row["chargebackRev"])
        return {symbol: {what: f"{amount:.2f}" for what, amount in sums.items()} for symbol, sums in found.items()}

    def send_postbacks(self, duplicates: int) -> list[int]:
        """What the account says its postbacks were answered."""
        done = self._shop({"send_postbacks": {"duplicates": duplicates}})
        return [one["status"] for one in done["send_postbacks"]]

    def tell(self) -> None:
        """Let the account tell what happens from now on to the webhook, in the merchant's own names."""
        fields = {"orderRef": "clientOrderId", "customerType": "customerType", "customerId": "customerId"}
        url = f"{self._stack.api_url}/webhooks/konnektive/{self.id}"
        self._shop({"profiles": {"sales": {"url": url, "method": "JSON", "fields": fields, "static": {"token": POSTBACK_SECRET}}}})

    def connect(self, password: str) -> httpx.Response:
        entered = konnektive_connection(self._fake)
        entered["settings"] |= {"password": password, "postbackFields": {"orderRef": "clientOrderId"}}
        return self._api("POST", "/api/connections", entered)

    def sync(self) -> Mapping[str, Any]:
        sync: Mapping[str, Any] = self._api("GET", f"/api/syncs/{self.id}").json()
        return sync

    def ask_again(self) -> None:
        self._api("POST", f"/api/syncs/{self.id}/poll")

    def resume(self) -> None:
        """Go on after a refusal."""
        self._api("POST", f"/api/syncs/{self.id}/resume")

    def poll(self) -> None:
        """Ask the account now, and wait until it is read."""
        self.ask_again()
        until(self.sync, lambda sync: not sync["poll_under_way"], patience=PATIENCE_SECONDS)

    def events(self) -> list[Mapping[str, Any]]:
        """The list of recent events, of this account alone."""
        lines: list[Mapping[str, Any]] = []
        query: dict[str, str] = {"source": self.id, "since": "1h", "limit": "200"}
        while True:
            page = self._api("GET", "/api/events", params=query).json()
            lines += page["data"]
            if page.get("next_cursor") is None:
                return lines
            query["cursor"] = page["next_cursor"]

    def contacts(self) -> list[Contact]:
        """Everybody whom the account's records have made known."""
        client = self._stack.client("dynamodb")
        table = self._stack.outputs["ContactsTable"]
        pages = client.get_paginator("scan").paginate(
            TableName=table, ProjectionExpression="pk", FilterExpression="sk = :root", ExpressionAttributeValues={":root": {"S": "root"}}
        )
        ids = [item["pk"]["S"].removeprefix("contact#") for page in pages for item in page["Items"]]
        store = DynamoContacts(lambda: client, table)
        found = {contact.id: contact for one in ids if (contact := read_contact_by_id(store, one)) is not None}
        kind = f"konnektive:{self.id}"
        return [contact for contact in found.values() if any(member.kind == kind for member in contact.members)]

    def _shop(self, command: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = httpx.post(f"{self._fake}/__shop", json=command, timeout=_TIMEOUT, trust_env=False)
        answer.raise_for_status()
        done: Mapping[str, Any] = answer.json()
        return done

    def _api(self, method: str, path: str, body: Any = None, params: Mapping[str, str] | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {self._stack.api_key}"}
        return httpx.request(method, f"{self._stack.api_url}{path}", json=body, params=params, headers=headers, timeout=_TIMEOUT, trust_env=False)


def chapter(console: Console, stack: Stack) -> tuple[Account, list[Step]]:
    """Play it; the account, and what must hold, step by step."""
    customers = int(os.environ.get("DEMO_CUSTOMERS", CUSTOMERS))
    account = Account(stack)
    grown = account.grow(customers)["grow"]
    console.print(f"\nThe shop's CRM: a Konnektive account with {', '.join(f'{count:,} {what}' for what, count in grown.items())} of eighteen months.\n")
    refused = account.connect("not-the-password")
    console.print(f"A wrong password is refused: [yellow]{refused.json().get('detail')}[/]", highlight=False)
    account.id = account.connect(PASSWORD).json()["id"]
    steps = [Step("A wrong password is refused, and the setting named", [400, "settings.loginId"], [refused.status_code, refused.json().get("field")])]
    try:
        steps += _history(console, account)
        steps += _live(console, account)
        steps += _postback(console, account)
        steps += _equal(console, account)
    except NotInTime:
        console.print(f"[red]Not everything has come within {PATIENCE_SECONDS:.0f} s.[/]")
        steps.append(Step("All comes in time", expected=True, got=False))
    return account, steps


# ---------------------------------------------------------------- its past


def _history(console: Console, account: Account) -> list[Step]:
    _watch(console, account)
    truth, sync = account.truth(), account.sync()
    expected = {"transactions": truth["transactions"], "customers": truth["contacts"]}
    expected |= {"orders": sum(truth["orders"].values()), "purchases": sum(truth["subscriptions"].values())}
    got = {one["stream"]: one["records"] for one in sync["streams"]}
    until(account.events, lambda lines: any(line["name"] == "Initial Sync Completed" for line in lines), patience=PATIENCE_SECONDS)
    said = [line["name"] for line in account.events() if line["name"] == "Initial Sync Completed"]
    seconds = f"{sync['records_per_second']:,.0f} records a second" if sync["records_per_second"] else ""
    console.print(f"[green]The first sync is complete[/]: {sync['records']:,} records in {sync['calls']} calls, {seconds}.", highlight=False)
    return [
        Step("Its whole history is read, record for record", dict(sorted(expected.items())), dict(sorted(got.items())), f"{sum(got.values()):,} records"),
        Step("The end of the first sync is announced, once", ["Initial Sync Completed"], said),
        Step("No row of it was unreadable", 0, sum(one["unreadable"] for one in sync["streams"])),
    ]


def _watch(console: Console, account: Account) -> None:
    """The bar: records done and in all, the rate, the time left."""
    columns = (TextColumn("Its history is read"), BarColumn(bar_width=40), TextColumn("{task.completed:,} of {task.total:,} records, {task.fields[rate]}"))
    with Progress(*columns, console=console, transient=False) as progress:
        bar = progress.add_task("", total=1, rate="asking how much there is")
        until(lambda: _advance(progress, bar, account.sync()), lambda state: state == "live", patience=PATIENCE_SECONDS)


def _advance(progress: Progress, bar: Any, sync: Mapping[str, Any]) -> str:
    if sync["all_records"]:
        rate = f"{sync['records_per_second'] or 0:,.0f} a second"
        left = "" if sync["seconds_left"] is None else f", {sync['seconds_left']:.0f} s left"
        progress.update(bar, total=sync["all_records"], completed=min(sync["records"], sync["all_records"]), rate=rate + left)
    return str(sync["state"])


# ---------------------------------------------------------------- what comes


def _live(console: Console, account: Account) -> list[Step]:
    steps = []
    for what, things, names in POLLS:
        before = {line["message_id"] for line in account.events()}
        account.happen(things)
        with _telling(console, f"In the CRM {what}; one poll"):
            account.poll()
            found = _until_named(account, before, {*names})
        _show(console, found)
        steps.append(Step(f"Within one poll: {what}", sorted(names), sorted({*names} & {line["name"] for line in found}), f"{len(found)} events"))
    return steps


def _until_named(account: Account, before: set[Any], names: set[str]) -> list[Mapping[str, Any]]:
    return until(lambda: _new(account, before), lambda lines: names <= {line["name"] for line in lines}, patience=PATIENCE_SECONDS)


def _postback(console: Console, account: Account) -> list[Step]:
    account.tell()
    before = {line["message_id"] for line in account.events()}
    account.happen([{"what": "new_sale", "offer": "one_off", "email": "sol@lake.example"}])
    with _telling(console, "The CRM sends a postback of a sale, three times over"):
        answers = account.send_postbacks(duplicates=2)
        _until_named(account, before, {"Payment Received"})
        time.sleep(SETTLING_SECONDS)
        found = _new(account, before)
    _show(console, found)
    sales = [line["name"] for line in found if line["name"] == "Order Completed"]
    step = "A postback brings its order before any poll, once, however often it comes"
    return [Step(step, {"answers": [200], "orders": 1}, {"answers": sorted({*answers}), "orders": len(sales)}, f"{len(answers)} postbacks, {len(sales)} order")]


def _new(account: Account, before: set[Any]) -> list[Mapping[str, Any]]:
    return [line for line in account.events() if line["message_id"] not in before]


def _show(console: Console, lines: Sequence[Mapping[str, Any]]) -> None:
    counts = Counter(str(line["name"] or line["type"]) for line in lines)
    console.print("  " + ", ".join(f"{name}{f' ({count})' if count > 1 else ''}" for name, count in sorted(counts.items())), highlight=False)


# ---------------------------------------------------------------- all of it, against the account


@dataclass(frozen=True)
class Totals:
    customers: int
    orders: Mapping[str, int]
    subscriptions: Mapping[str, int]
    money: Mapping[str, Mapping[str, int]]
    """Currency → gross, voided, refunded, charged back, net of these, and what was earned without tax and shipping; minor units. Of contacts: what their
    lifetimes show."""


def _equal(console: Console, account: Account) -> list[Step]:
    account.poll()
    until(account.sync, lambda sync: sync["reconciled_at"] is not None, patience=PATIENCE_SECONDS)
    expected = of_truth(account.truth())
    with _telling(console, "Everybody whom the CRM knows is a contact with orders, subscriptions and money"):
        try:
            got = until(lambda: totals(account.contacts(), account.id), lambda seen: seen == expected, patience=20)
        except NotInTime:
            got = totals(account.contacts(), account.id)
    _show_totals(console, expected, got)
    sync = account.sync()
    return [
        Step("As many customers as in the account", expected.customers, got.customers, f"{got.customers}"),
        Step("Its orders, by state", dict(expected.orders), dict(got.orders), _counted(got.orders)),
        Step("Its subscriptions, by state", dict(expected.subscriptions), dict(got.subscriptions), _counted(got.subscriptions)),
        Step("Its money, to the cent, each currency by itself", expected.money, got.money),
        Step("The same as the account's own transactions/summary", account.sums(), _as_sums(got.money)),
        Step("The daily comparison with it finds no difference", [], sync["differences"], f"{sync['reconciled_days']} days"),
    ]


def totals(contacts: Sequence[Contact], connection: str) -> Totals:
    """What is known of the account's people."""
    orders: Counter[str] = Counter()
    subscriptions: Counter[str] = Counter()
    money: dict[str, Counter[str]] = {}
    for contact in contacts:
        orders.update(order.header.status.value for order in contact.orders if order.source == connection and order.header.status is not None)
        subscriptions.update(one.terms.status.value for one in contact.subscriptions if one.source == connection and one.terms.status is not None)
        for balance in lifetime_of(contact).balances:
            sums = money.setdefault(balance.currency, Counter())
            sums.update(gross=balance.total, voided=balance.voided, refunded=balance.refunded, charged_back=balance.charged_back, earned=balance.net)
    customers = sum(member.kind == f"konnektive:{connection}" for contact in contacts for member in contact.members)
    whole = {
        currency: {**_in_order(sums), "net": sums["gross"] - sums["voided"] - sums["refunded"] - sums["charged_back"], "earned": sums["earned"]}
        for currency, sums in money.items()
    }
    return Totals(customers, dict(sorted(orders.items())), dict(sorted(subscriptions.items())), dict(sorted(whole.items())))


def of_truth(truth: Mapping[str, Any]) -> Totals:
    money = {currency: {**_in_order(sums), "net": sums["net"], "earned": truth["earned"][currency]} for currency, sums in sorted(truth["revenue"].items())}
    subscriptions = {_STATES[state]: count for state, count in truth["subscriptions"].items() if count}
    return Totals(truth["contacts"], dict(sorted(truth["orders"].items())), dict(sorted(subscriptions.items())), money)


def _in_order(sums: Mapping[str, int]) -> dict[str, int]:
    return {name: sums[name] for name in ("gross", "voided", "refunded", "charged_back")}


def _as_sums(money: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, str]]:
    """In the words of the account's report, which leaves voided payments out."""
    symbols = {"USD": "$", "JPY": "¥", "EUR": "€", "GBP": "£"}
    return {
        symbols[currency]: {
            "paid": f"{_major(sums['gross'] - sums['voided'], currency):.2f}",
            "refunded": f"{_major(sums['refunded'], currency):.2f}",
            "charged back": f"{_major(sums['charged_back'], currency):.2f}",
        }
        for currency, sums in money.items()
    }


def _show_totals(console: Console, expected: Totals, got: Totals) -> None:
    table = Table(title="The account, and what Tributary knows of it", title_justify="left", title_style="bold", header_style="dim")
    for heading in ("", "in the account", "in Tributary"):
        table.add_column(heading, justify="left" if not heading else "right")
    table.add_row("customers", f"{expected.customers:,}", f"{got.customers:,}")
    for what in ("orders", "subscriptions"):
        theirs, ours = getattr(expected, what), getattr(got, what)
        for state in sorted({*theirs, *ours}):
            table.add_row(f"{what}, {state.lower()}", f"{theirs.get(state, 0):,}", f"{ours.get(state, 0):,}")
    for currency in sorted({*expected.money, *got.money}):
        for what in ("gross", "voided", "refunded", "charged_back", "net", "earned"):
            both = [_major(sums.get(currency, {}).get(what, 0), currency) for sums in (expected.money, got.money)]
            table.add_row(f"{what.replace('_', ' ')}, {currency}", *(f"{amount:,}" for amount in both))
    console.print(table)


def _major(amount: int, currency: str) -> Decimal:
    return Decimal(amount).scaleb(-MINOR_UNITS[currency])


def _number(text: Any) -> Decimal:
    return Decimal(str(text).replace(",", ""))


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state.lower()}" for state, count in counts.items())


@contextmanager
def _telling(console: Console, what: str) -> Iterator[None]:
    began = time.monotonic()
    with console.status(f"{what} …"):
        yield
    console.print(f"{what}  [dim]{time.monotonic() - began:.1f} s[/]", highlight=False)
