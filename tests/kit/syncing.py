"""A whole sync in this process: a fake account, the sync queue as SQS and Lambda run it, on a clock that is moved; and what may go wrong at each step."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, cast

import msgspec

from local.fakes.fake import Fake, Request
from local.fakes.konnektive.shop import Shop
from local.fakes.konnektive.vendor import LOGIN, PASSWORD, Konnektive
from tests.kit.config import MemoryConnections
from tests.kit.queue_model import Crash, EventSourceMapping, ModelClock, ModelQueue
from tests.kit.stores import MemoryPoison, MemoryQueue
from tests.kit.sync import FakedVendor, MemoryCatalogue, MemoryNotices, MemoryRecordStates, MemorySyncStore
from tributary.currencies import MINOR_UNITS
from tributary.events import Event
from tributary.log_codec import content_digest
from tributary.messages import Rejected, ingest_decoder
from tributary.ports import OutMessage, VendorAnswer
from tributary.settings import Connection
from tributary.sync.poll import Poll
from tributary.sync.receiving import Receiver, Report
from tributary.sync.schedule import Schedule
from tributary.sync.state import History, Live, Status
from tributary.sync.syncs import Sync, Syncs
from tributary.sync.tasks import SyncTask, decoder, message_of

START = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
"""Ten in the morning of a Friday in New York."""
ACCOUNT = "con_shop"
STEPS = (
    "ingest.send",
    "states.put",
    "store.put_live",
    "store.put_history",
    "store.put_status",
    "store.lease",
    "store.release",
    "tasks.send",
    "notices.tell",
)
"""Where a sandbox may die and a store may fail."""


class Trap:
    """Called before and after each step. `spring`: with what the step goes wrong. A sandbox that died does nothing more until the next invocation."""

    def __init__(self) -> None:
        self.spring: Callable[[str, str], BaseException | None] = lambda _step, _moment: None
        self.dead = False
        self.passed: Counter[str] = Counter()

    def __call__(self, step: str, moment: str) -> None:
        if self.dead:
            raise Crash
        if moment == "before":
            self.passed[step] += 1
        error = self.spring(step, moment)
        if isinstance(error, Crash):
            self.dead = True
        if error is not None:
            raise error

    def once(self, step: str, moment: str, error: BaseException, *, time: int = 1) -> None:
        """Let a step go wrong, the `time`-th time from now on."""
        left = [time]

        def spring(at: str, when: str) -> BaseException | None:
            if (at, when) != (step, moment):
                return None
            left[0] -= 1
            return error if left[0] == 0 else None

        self.spring = spring


class _Trapped:
    def __init__(self, inner: Any, name: str, trap: Trap) -> None:
        self._inner, self._name, self._trap = inner, name, trap

    def __getattr__(self, method: str) -> Any:
        call = getattr(self._inner, method)
        step = f"{self._name}.{method}"
        if step not in STEPS:
            return call

        def trapped(*given: Any, **named: Any) -> Any:
            self._trap(step, "before")
            result = call(*given, **named)
            self._trap(step, "after")
            return result

        return trapped


class _Password:
    def __init__(self) -> None:
        self.of: dict[str, str] = {}
        self.asked: list[tuple[str, bool]] = []

    def get(self, name: str, *, fresh: bool = False) -> str:
        self.asked.append((name, fresh))
        return self.of.get(name, json.dumps({"password": PASSWORD}))


@dataclass
class Account:
    """A connection and the fake account behind it."""

    connection: Connection
    shop: Shop
    fake: Fake
    vendor: FakedVendor

    def control(self, path: str, body: Any, *, at: datetime) -> Any:
        outcome = self.fake.receive(Request(at=at, method="POST", path=path, body=json.dumps(body).encode()))
        assert outcome.answer is not None
        assert outcome.answer.status == 200, outcome.answer.body
        return json.loads(outcome.answer.body)


@dataclass
class SyncBench:
    """Schedule, queue, poll and account. `seconds_a_call`: how long the account takes for an answer."""

    now: datetime = START
    settings: Mapping[str, Any] = field(default_factory=dict)
    accounts: Sequence[str] = (ACCOUNT,)
    customers: int = 0
    months: int = 2
    seed: int = 3
    zone: str = "America/New_York"
    seconds_a_call: float = 0.1
    clock: ModelClock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = ModelClock(self.now)
        self.trap = Trap()
        self.connections = MemoryConnections()
        self.by_account: dict[str, Account] = {}
        self.secrets = _Password()
        self.store, self.states, self.notices = MemorySyncStore(), MemoryRecordStates(), MemoryNotices()
        self.catalogue = MemoryCatalogue()
        self.ingest, self.poison = MemoryQueue(), MemoryPoison()
        self.tasks = ModelQueue(self.clock, visibility_timeout=2700, max_receive_count=1000)
        self.source = EventSourceMapping(self.tasks, self._invoke, batch_size=1, concurrency=10, function_timeout=450)
        self.reports: list[Report] = []
        self.sandbox = 0
        for number, name in enumerate(self.accounts):
            self._open(name, number)

    def _open(self, name: str, number: int) -> None:
        shop = Shop(seed=self.seed + number, zone=self.zone)
        if self.customers:
            shop.grow(customers=self.customers, months=self.months, now=self.now)
        fake = Fake(Konnektive(shop))
        vendor = FakedVendor(fake, self.clock.now, lambda seconds: self.clock.spend(seconds + self.seconds_a_call))
        settings = {"loginId": LOGIN, "baseUrl": f"http://127.0.0.1:{number + 1}", "timeZone": self.zone, **self.settings}
        connection = Connection(id=name, type="konnektive", label=f"Shop {number}", settings=settings, created_at=self.now)
        self.by_account[name] = Account(connection, shop, fake, vendor)
        self.connections.connections.append(connection)

    # ------------------------------------------------------------------ the account

    @property
    def account(self) -> Account:
        return next(iter(self.by_account.values()))

    @property
    def shop(self) -> Shop:
        return self.account.shop

    @property
    def calls(self) -> list[tuple[str, dict[str, str]]]:
        """Endpoint and form of each request to the first account."""
        return [(path.strip("/"), {name: values[-1] for name, values in form.items()}) for path, form in self.account.vendor.calls]

    def calls_of(self, endpoint: str, **form: str) -> list[dict[str, str]]:
        return [sent for path, sent in self.calls if path == endpoint and form.items() <= sent.items()]

    def shop_does(self, **command: Any) -> Any:
        return self.account.control("/__shop", command, at=self.clock.now())

    def happen(self, what: str, **about: Any) -> dict[str, Any]:
        done: dict[str, Any] = self.shop_does(happen=[{"what": what, **about}])["happen"][0]
        return done

    def answers(self, *steps: Any) -> None:
        """Steps of the fake's script."""
        self.account.control("/__script", list(steps), at=self.clock.now())

    def change(self, connection: Connection) -> None:
        self.connections.connections = [connection if one.id == connection.id else one for one in self.connections.connections]

    # ------------------------------------------------------------------ what runs

    def poll(self, owner: str = "") -> Poll:
        def send(request: Any, *, timeout: float) -> VendorAnswer:
            if self.trap.dead:
                raise Crash
            port = int(request.url.split("/")[2].split(":")[1])
            return list(self.by_account.values())[port - 1].vendor.send(request, timeout=timeout)

        return Poll(
            vendor=cast("Any", type("Vendors", (), {"send": staticmethod(send)})()),
            connections=self.connections,
            secrets=self.secrets,
            store=cast("Any", _Trapped(self.store, "store", self.trap)),
            states=cast("Any", _Trapped(self.states, "states", self.trap)),
            catalogue=cast("Any", _Trapped(self.catalogue, "catalogue", self.trap)),
            key=lambda: b"digest key",
            ingest=cast("Any", _Trapped(self.ingest, "ingest", self.trap)),
            tasks=cast("Any", _Trapped(self.tasks, "tasks", self.trap)),
            notices=cast("Any", _Trapped(self.notices, "notices", self.trap)),
            clock=self.clock,
            owner=owner or f"sandbox-{self.sandbox}",
            chance=lambda: 0.5,
            sleep=self.clock.spend,
        )

    def _invoke(self, event: dict[str, Any], remaining: Callable[[], float]) -> Any:
        if self.trap.dead:
            self.trap.dead = False
            self.sandbox += 1
        report = Receiver(self.poll(), self.tasks, self.poison, self.clock).receive(event["Records"], remaining=remaining)
        self.reports.append(report)
        return report.as_sqs_response()

    @property
    def schedule(self) -> Schedule:
        return Schedule(connections=self.connections, store=self.store, tasks=self.tasks, clock=self.clock)

    @property
    def syncs(self) -> Syncs:
        return Syncs(connections=self.connections, store=self.store, tasks=self.tasks, clock=self.clock)

    def tick(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        self.schedule.tick(counts)
        return counts

    def run(self, seconds: float = 86_400.0) -> None:
        """Let the queue's tasks run, until there are none or so much time has passed."""
        self.source.run(seconds)

    def live_for(self, seconds: float, *, every: float = 300.0) -> None:
        """Let time pass with the schedule ticking."""
        end = self.clock.now().timestamp() + seconds
        while self.clock.now().timestamp() < end:
            self.tick()
            began = self.clock.now()
            self.run(every)
            rest = every - (self.clock.now() - began).total_seconds()
            if rest > 0:
                self.clock.advance(rest)

    def backfill(self) -> None:
        self.tick()
        self.run()
        assert self.history().finished_at is not None

    def send(self, task: SyncTask) -> None:
        self.tasks.send([message_of(task)])

    def waiting(self) -> list[SyncTask]:
        """The tasks in the queue, in their order."""
        return [decoder.decode(message.body) for message in self.tasks.messages]

    # ------------------------------------------------------------------ what came of it

    def sync(self, account: str = ACCOUNT) -> Sync:
        return self.syncs.one(account)

    def history(self, account: str = ACCOUNT) -> History:
        history, _ = self.store.history(account)
        assert history is not None
        return history

    def live(self, account: str = ACCOUNT) -> Live:
        return self.store.live(account)[0]

    def status(self, account: str = ACCOUNT) -> Status:
        return self.store.status(account)

    @property
    def sent(self) -> Iterator[Event]:
        """Every event that was sent to the ingest queue, repeats too."""
        for message in self.ingest.sent:
            yield from ingest_decoder.decode(message.body).events

    @property
    def log(self) -> dict[tuple[str, str], Event]:
        """What the log would hold: each event once, the first wins. A repeat says the same, or the id would be a lie; but a sale is one by its order alone."""
        log: dict[tuple[str, str], Event] = {}
        for event in self.sent:
            first = log.setdefault((event.source, event.message_id), event)
            assert content_digest(first) == content_digest(event) or name_of(event) == "Order Completed", event.message_id
        return log

    def names(self) -> Counter[str]:
        """Events of the log by name."""
        return Counter(name_of(event) for event in self.log.values())

    @property
    def rejected(self) -> list[Rejected]:
        return [one for message in self.ingest.sent for one in ingest_decoder.decode(message.body).rejected]

    @property
    def codes(self) -> list[str]:
        """What became of each task, in the order in which they ran."""
        return [line["code"] for report in self.reports for line in report.lines]

    def books(self, account: str = ACCOUNT) -> dict[str, Any]:
        """The account's books, as the log's events have them; to be compared with `truth`."""
        events = [event for event in self.log.values() if event.source == account]
        names = Counter(name_of(event) for event in events)
        paid = {cast("Any", event).properties["transaction_id"] for event in events if name_of(event) == "Payment Received"}
        revenue: dict[str, Counter[str]] = {}
        for event in events:
            what, sign = _MONEY.get(name_of(event), ("", 0))
            said = cast("Any", event).properties if what else {}
            # What was held and never taken has no money to give back.
            if what and not (what == "voided" and said.get("parent_transaction_id") not in paid):
                minor = round(said["total" if what == "refunded" else "amount"] * 10 ** MINOR_UNITS[said["currency"]])
                revenue.setdefault(said["currency"], Counter())[what] += sign * minor
        return {
            "contacts": len({event.owner for event in events if event.type == "identify"}),
            "orders": len({cast("Any", event).properties["order_id"] for event in events if name_of(event) in _OF_ORDERS}),
            "subscriptions": names["Subscription Started"] + names["Trial Started"],
            "payments": names["Payment Received"],
            "declines": names["Payment Declined"],
            "refunds": names["Order Refunded"],
            "voids": names["Payment Voided"],
            "chargebacks": names["Chargeback Received"] - names["Chargeback Reversed"],
            "revenue": {currency: {name: amounts[name] for name in _SUMS} for currency, amounts in sorted(revenue.items())},
        }


_SUMS = ("gross", "refunded", "voided", "charged_back")
_MONEY = {
    "Payment Received": ("gross", 1),
    "Order Refunded": ("refunded", 1),
    "Payment Voided": ("voided", 1),
    "Chargeback Received": ("charged_back", 1),
    "Chargeback Reversed": ("charged_back", -1),
}
_OF_ORDERS = frozenset({"Checkout Started", "Order Completed", "Order Declined", "Order Cancelled"})


def name_of(event: Event) -> str:
    return getattr(event, "event", event.type)


def truth_of(shop: Shop) -> dict[str, Any]:
    """The generator's own books, in the same terms."""
    truth = shop.truth()
    return {
        "contacts": truth["contacts"],
        "orders": sum(truth["orders"].values()),
        "subscriptions": sum(truth["subscriptions"].values()),
        "payments": truth["payments"],
        "declines": truth["declines"],
        "refunds": truth["refunds"],
        "voids": truth["voids"],
        "chargebacks": truth["chargebacks"],
        "revenue": {currency: {name: sums[name] for name in _SUMS} for currency, sums in truth["revenue"].items()},
    }


def unlucky(random: Random, errors: Sequence[Callable[[], BaseException]], share: float) -> Callable[[str, str], BaseException | None]:
    """A spring by which any step goes wrong now and then."""
    return lambda _step, _moment: random.choice(errors)() if random.random() < share else None


def messages_of(tasks: Sequence[SyncTask]) -> list[OutMessage]:
    return [message_of(task) for task in tasks]


def with_settings(connection: Connection, **settings: Any) -> Connection:
    return msgspec.structs.replace(connection, settings={**connection.settings, **settings})
