"""A Konnektive account and all that we make of it, in memory: schedule, poll, record and resolve, pumped until nothing is left to do.

Each port may be made to fail: before a call or after it, with an error that the caller is meant to handle or by the death of its sandbox.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from local.fakes.fake import Fake, Request
from local.fakes.konnektive.shop import Shop
from local.fakes.konnektive.vendor import LOGIN, PASSWORD, Konnektive
from tests.kit.contacts import DIGESTS, MemoryContacts, people_in, resolver
from tests.kit.stores import MemoryEventLog, MemoryFeed, MemoryPoison, MemoryQueue, MemorySuppressions
from tests.kit.sync import FakedVendor, MemoryCatalogue, MemoryNotices, MemoryRecordStates, MemorySyncStore
from tributary.contacts.lifetime import lifetime_of
from tributary.contacts.properties import Money
from tributary.contacts.reading import Contact, read_contact_by_id
from tributary.contacts.rows import ROOT_SORT
from tributary.errors import RetryError, StoreUnavailable, VendorUnavailable
from tributary.events import Event, Track
from tributary.ports import Vendor, VendorAnswer, VendorRequest
from tributary.record.service import Record, Retention
from tributary.settings import Connection
from tributary.sync.poll import Poll
from tributary.sync.schedule import Schedule
from tributary.sync.tasks import decoder

CONNECTION: Final = "con_k"
BEGUN: Final = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
VISIBILITY: Final = timedelta(seconds=2_700)
"""After which the queue gives out a task again whose sandbox died: six times the function's time."""
_STREAM_BATCH: Final = 100
_MESSAGES: Final = 10
_LONGEST: Final = 20_000


class Killed(BaseException):
    """The sandbox died: nothing of ours can catch it."""


class Faults:
    """`share`: of the calls of each port, how many fail. Deterministic by its seed."""

    def __init__(self, share: float = 0.0, seed: int = 0) -> None:
        self.share = share
        self.struck: Counter[str] = Counter()
        """Port and how → how often."""
        self._random = random.Random(seed)
        self._is_dead = False

    def revive(self) -> None:
        """A new sandbox."""
        self._is_dead = False

    def strike(self, port: str, kinds: Sequence[str]) -> str | None:
        """Which fault a call meets; None for most. A sandbox that has died does nothing more."""
        if self._is_dead:
            raise Killed
        if self._random.random() >= self.share:
            return None
        kind = self._random.choice(kinds)
        self.struck[f"{port} {kind}"] += 1
        return kind

    def die(self) -> None:
        self._is_dead = True
        raise Killed

    def on(self, port: str, store: Any) -> Any:
        """The store, whose every method may fail."""
        return store if not self.share else _Flaky(port, store, self)


class _Flaky:
    _KINDS: Final = ("refused", "answer lost", "killed before", "killed after")

    def __init__(self, port: str, store: Any, faults: Faults) -> None:
        self._port, self._store, self._faults = port, store, faults

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(*args: Any, **named: Any) -> Any:
            kind = self._faults.strike(self._port, self._KINDS)
            if kind == "refused":
                raise StoreUnavailable(f"{name} was refused")
            if kind == "killed before":
                self._faults.die()
            answer = method(*args, **named)
            if kind == "answer lost":
                raise StoreUnavailable(f"the answer of {name} was lost")
            if kind == "killed after":
                self._faults.die()
            return answer

        return call


class _Flaw(Protocol):
    def __call__(self, answer: VendorAnswer) -> VendorAnswer: ...


_FLAWS: Final[Mapping[str, _Flaw]] = {
    "500": lambda answer: VendorAnswer(status=500, headers={}, body=b"oops"),
    "429": lambda answer: VendorAnswer(status=429, headers={"retry-after": "3"}, body=b""),
    "html": lambda answer: VendorAnswer(status=200, headers={"content-type": "text/html"}, body=b"<html>busy</html>"),
    "truncated": lambda answer: VendorAnswer(status=200, headers=answer.headers, body=answer.body[: len(answer.body) * 2 // 3]),
}


class _FlakyVendor:
    """Beside failing, it updates some rows in the middle of a walk, so that they move to other pages and out of the window."""

    def __init__(self, vendor: Vendor, faults: Faults, bump: Callable[[], None]) -> None:
        self._vendor, self._faults, self._bump = vendor, faults, bump

    def send(self, request: VendorRequest, *, timeout: float) -> VendorAnswer:
        kind = self._faults.strike("vendor", ("no answer", "row moved", "killed before", "killed after", *_FLAWS))
        if kind == "killed before":
            self._faults.die()
        if kind == "row moved":
            self._bump()
        answer = self._vendor.send(request, timeout=timeout)
        if kind == "no answer":
            raise VendorUnavailable("the connection broke")
        if kind == "killed after":
            self._faults.die()
        return _FLAWS[kind](answer) if kind is not None and kind in _FLAWS else answer


class Account:
    """`time` is everybody's. `resolves`: whether CONTACTS is filled too."""

    def __init__(self, shop: Shop, faults: Faults | None = None, *, resolves: bool = True) -> None:
        self.shop = shop
        self.faults = faults or Faults()
        self.time = BEGUN
        self._fake = Fake(Konnektive(shop))
        self.vendor = FakedVendor(self._fake, self.now)
        self._asked: Vendor = self.vendor
        self._resolves = resolves
        settings = {"loginId": LOGIN, "baseUrl": "http://127.0.0.1:1"}
        self.connection = Connection(id=CONNECTION, type="konnektive", label="Shop", settings=settings, created_at=BEGUN)
        self.store, self.states, self.notices = MemorySyncStore(), MemoryRecordStates(), MemoryNotices()
        self.catalogue = MemoryCatalogue()
        self.tasks, self.ingest = MemoryQueue(), MemoryQueue()
        self.log, self.feed, self.contacts, self.poison = MemoryEventLog(), MemoryFeed(), MemoryContacts(), MemoryPoison()
        self.given_up: list[str] = []
        """Codes of tasks that were given up."""
        self._resolved = 0
        self._sandboxes = 0
        self._receives: Counter[str] = Counter()
        on = self.faults.on
        self._schedule = Schedule(connections=self, store=on("store", self.store), tasks=on("tasks", self.tasks), clock=self)
        self._record = Record(
            log=on("log", self.log),
            feed=on("feed", self.feed),
            suppressions=on("suppressions", MemorySuppressions()),
            digests=DIGESTS,
            poison=on("poison", self.poison),
            retention=Retention(),
        )
        self._resolver = resolver(on("contacts", self.contacts), on("log", self.log))
        self._poll = self._made_poll()

    # ---------------------------------------------------------------- `Clock`, `Connections`, `Secrets`

    def now(self) -> datetime:
        return self.time

    def seconds_since(self, moment: datetime) -> float:
        return (self.time - moment).total_seconds()

    def to_wait(self, seconds: float) -> float:
        return seconds

    def all(self) -> Sequence[Connection]:
        return [self.connection]

    def get(self, name: str, *, fresh: bool = False) -> str:
        return json.dumps({"password": PASSWORD})

    # ---------------------------------------------------------------- running

    def tick(self) -> None:
        """Plan what is due, as often as it takes."""
        while True:
            try:
                self._schedule.tick(Counter())
                return
            except (Killed, RetryError):
                self._restart()

    def run(self) -> None:
        """Until nothing is left to do."""
        for _ in range(_LONGEST):
            if not (self._poll_once() | self._record_once() | self._resolve_once()):
                return
        raise AssertionError("it does not come to rest")

    def ask(self, vendor: Vendor) -> None:
        """Ask the account through this one, which is around `vendor`."""
        self._asked = vendor
        self._poll = self._made_poll()

    def play(self, days: float) -> None:
        """Let the account live on."""
        self.time += timedelta(days=days)
        self.shop.play(self.time)

    def _made_poll(self) -> Poll:
        on = self.faults.on
        vendor = _FlakyVendor(self._asked, self.faults, self._bump) if self.faults.share else self._asked
        return Poll(
            vendor=vendor,
            connections=self,
            secrets=self,
            store=on("store", self.store),
            states=on("states", self.states),
            catalogue=on("catalogue", self.catalogue),
            key=lambda: b"digest key",
            ingest=on("ingest", self.ingest),
            tasks=on("tasks", self.tasks),
            notices=on("notices", self.notices),
            clock=self,
            owner=f"sandbox-{self._sandboxes}",
            chance=lambda: 0.5,
            sleep=self._sleep,
        )

    def _sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def _bump(self) -> None:
        streams = ("order", "customer", "purchase", "transactions")
        stream = streams[self.faults.struck.total() % len(streams)]
        body = json.dumps({"bump": {"stream": stream, "page": 1, "rows": 3}}).encode()
        self._fake.receive(Request(at=self.time, method="POST", path="/__shop", body=body))

    def _restart(self) -> None:
        self.faults.revive()
        self._sandboxes += 1
        self._poll = self._made_poll()

    def _poll_once(self) -> bool:
        if not self.tasks.sent:
            return False
        message = self.tasks.sent[0]
        self._receives[message.body] += 1
        try:
            done = self._poll.run(decoder.decode(message.body), receives=self._receives[message.body], remaining=lambda: 400.0)
        except Killed:
            self._restart()
            self.time += VISIBILITY
            return True
        if done.delay is not None:
            self.time += timedelta(seconds=done.delay)
            return True
        if done.code not in {"ok", "superseded"}:
            self.given_up.append(done.code)
        self.tasks.sent.remove(message)
        del self._receives[message.body]
        return True

    def _record_once(self) -> bool:
        if not self.ingest.sent:
            return False
        batch = self.ingest.sent[:_MESSAGES]
        failed = {str(number) for number in range(len(batch))}
        try:
            failed = set(self._record.handle([(str(number), one.body) for number, one in enumerate(batch)], remaining=lambda: 60.0).failed)
        except Killed:
            self._restart()
        self.ingest.sent[: len(batch)] = [one for number, one in enumerate(batch) if str(number) in failed]
        return True

    def _resolve_once(self) -> bool:
        batch = self.log.inserted[self._resolved :][:_STREAM_BATCH]
        if not batch or not self._resolves:
            return False
        try:
            self._resolver.resolve(batch)
            self._resolved += len(batch)
        except (Killed, RetryError):
            self._restart()
        return True

    # ---------------------------------------------------------------- what came of it

    def differences(self) -> dict[str, int]:
        """By how much the log, and by how much CONTACTS, are apart from what the account holds (revenue in minor units); 0 is equal."""
        truth = self.shop.truth()
        people = people_in(self.contacts)
        customers = {identifier.value for identifiers in people for identifier in identifiers if identifier.kind == f"konnektive:{CONNECTION}"}
        ours: list[Told | Held] = [Told(self.log.inserted), *([Held(self.contacts)] if self._resolves else [])]
        return {
            "contacts": abs(len(people) - truth["contacts"]) + abs(len(customers) - truth["contacts"]),
            "orders": sum(apart(one.orders, truth["orders"]) for one in ours),
            "refunds": sum(abs(one.refunds - truth["refunds"]) for one in ours),
            "subscriptions": sum(apart(one.subscriptions, truth["subscriptions"]) for one in ours),
            "revenue": sum(_revenue_apart(one.revenue, truth["revenue"]) for one in ours),
            "lifetime": _lifetime_apart(self.contacts, truth) if self._resolves else 0,
        }


class Told:
    """What the log's events say in all. A payment, a refund or a void that was told twice counts twice."""

    def __init__(self, events: Sequence[Event]) -> None:
        orders: dict[str, str] = {}
        subscriptions: dict[str, str] = {}
        self.revenue: Revenue = defaultdict(Counter)
        self.refunds = 0
        paid: set[str] = set()
        for event in sorted((event for event in events if isinstance(event, Track)), key=lambda event: (event.timestamp, event.sequence)):
            said = event.properties
            if event.event == "Order Refunded":
                self.refunds += 1
                self._add("refunded", said["total"], said["currency"])
            elif event.event == "Payment Voided" and said.get("parent_transaction_id") not in paid:
                pass  # of a sum that was set aside on a card and never taken
            elif event.event in _MONEY:
                if event.event == "Payment Received":
                    paid.add(said["transaction_id"])
                name, sign = _MONEY[event.event]
                self._add(name, said["amount"] * sign, said["currency"])
            elif event.event.startswith(("Subscription ", "Trial ")):
                subscriptions[said["subscription_id"]] = _theirs(said["status"])
            elif "status" in said and event.event.startswith(("Order ", "Checkout ")):
                orders[said["order_id"]] = said["status"]
        self.orders = Counter(orders.values())
        self.subscriptions = Counter(subscriptions.values())

    def _add(self, name: str, amount: float, currency: str) -> None:
        self.revenue[currency][name] += round(amount * (1 if currency == "JPY" else 100))


class Held:
    """What the contacts hold in all."""

    def __init__(self, contacts: MemoryContacts) -> None:
        self.orders: Counter[str] = Counter()
        self.subscriptions: Counter[str] = Counter()
        self.revenue: Revenue = defaultdict(Counter)
        self.refunds = 0
        for contact in _contacts(contacts):
            self.subscriptions.update(_theirs(one.terms.status.value) for one in contact.subscriptions if one.terms.status is not None)
            for order in contact.orders:
                self.orders.update([order.header.status.value] if order.header.status is not None else [])
                self.refunds += len(order.refunds.kept)
                received = {key: payment for key, payment in order.payments.kept.items() if payment.received}
                self._add("gross", [payment.amount for payment in received.values()])
                self._add("refunded", [refund.amount for refund in order.refunds.kept.values()])
                self._add("voided", [void.amount for void in order.voids.kept.values() if void.payment in received])
                self._add("charged_back", [one.amount for one in order.chargebacks.kept.values() if not one.reversed])

    def _add(self, name: str, amounts: Sequence[Money | None]) -> None:
        for amount in amounts:
            assert amount is not None
            self.revenue[str(amount.currency)][name] += amount.amount


def _contacts(contacts: MemoryContacts) -> Iterator[Contact]:
    for key in contacts.stored:
        name = key.partition.removeprefix("contact#")
        contact = read_contact_by_id(contacts, name) if key.sort == ROOT_SORT else None
        if contact is not None and contact.id == name:
            yield contact


def _lifetime_apart(contacts: MemoryContacts, truth: Mapping[str, Any]) -> int:
    """What the contacts' lifetimes show in all: what was sold, what of it came in, what was given back, and what was earned without tax and shipping."""
    shown: Revenue = defaultdict(Counter)
    for contact in _contacts(contacts):
        for balance in lifetime_of(contact).balances:
            given_back = {"refunded": balance.refunded, "voided": balance.voided, "charged_back": balance.charged_back}
            shown[balance.currency].update(sold=balance.total, received=balance.received, earned=balance.net, **given_back)
    theirs = {
        currency: {
            **{name: sums[name] for name in ("refunded", "voided", "charged_back")},
            "sold": sums["gross"],
            "received": sums["gross"],
            "earned": truth["earned"][currency],
        }
        for currency, sums in truth["revenue"].items()
    }
    return sum(apart(shown[currency], theirs.get(currency, {})) for currency in {*shown, *theirs})


Revenue = dict[str, Counter[str]]
"""Currency → gross, refunded, voided, charged_back, in minor units."""
_MONEY: Final = {
    "Payment Received": ("gross", 1),
    "Payment Voided": ("voided", 1),
    "Chargeback Received": ("charged_back", 1),
    "Chargeback Reversed": ("charged_back", -1),
}
_THEIRS: Final = {"recycling": "RECYCLE_BILLING", "completed": "COMPLETE"}


def _theirs(status: str) -> str:
    return _THEIRS.get(status, status.upper())


def _revenue_apart(ours: Revenue, theirs: Mapping[str, Mapping[str, int]]) -> int:
    names = ("gross", "refunded", "voided", "charged_back")
    return sum(apart({name: ours[currency][name] for name in names}, {name: theirs[currency][name] for name in names}) for currency in theirs)


def apart(ours: Mapping[str, int], theirs: Mapping[str, int]) -> int:
    """By how many the two differ in all."""
    return sum(abs(ours.get(name, 0) - theirs.get(name, 0)) for name in ours.keys() | theirs.keys())
