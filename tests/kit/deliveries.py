"""Delivery for tests: fakes of its stores, a plain destination, and a desk at which all stands together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from random import Random
from threading import Lock
from typing import Any

from tests.kit.builders import NOON, track
from tests.kit.config import MemoryConnections
from tests.kit.queue_model import Crash, EventSourceMapping, ModelClock, ModelQueue
from tests.kit.stores import MemoryPoison, MemorySuppressions
from tests.kit.vendor import ScriptedVendor, Step
from tributary.delivery.batch import Handled, Report, messages
from tributary.delivery.engine import Delivery
from tributary.destinations.answers import check_status
from tributary.errors import CredentialMissing, InvalidForVendor, SettingsInvalid, StoreUnavailable
from tributary.events import Event, Track
from tributary.fan_out.service import group_of
from tributary.identity.digests import Digests, public_digest
from tributary.identity.identifiers import stable_identifier
from tributary.messages import DeliveryMessage, to_text
from tributary.ports import Attempt, OutMessage, Parked, VendorAnswer, VendorRequest
from tributary.settings import Connection

CONNECTION = "con_1"


class MemoryAttempts:
    """`Attempts`. `fails`: the store is down."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Attempt] = {}
        self.reads = 0
        self.fails = False

    def get(self, connection: str, message: str) -> Attempt | None:
        self._check()
        self.reads += 1
        return self.rows.get((connection, message))

    def put(self, connection: str, message: str, attempt: Attempt) -> None:
        self._check()
        self.rows[connection, message] = attempt

    def delete(self, connection: str, message: str) -> None:
        self._check()
        self.rows.pop((connection, message), None)

    def _check(self) -> None:
        if self.fails:
            raise StoreUnavailable("the attempts are down")


class MemoryParking:
    """`Parking`. `fails`: the store is down."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], Parked] = {}
        self.fails = False

    def park(self, delivery: Parked) -> None:
        if self.fails:
            raise StoreUnavailable("the parking is down")
        self.rows[delivery.connection, delivery.source, delivery.message_id] = delivery

    def of(self, connection: str) -> Iterator[Parked]:
        mine = [row for row in self.rows.values() if row.connection == connection]
        return iter(sorted(mine, key=lambda row: (row.received_at, row.index, row.source, row.message_id)))


class MemoryShadowStore:
    """`ShadowStore`. `fails`: the store is down."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], tuple[Event, Sequence[VendorRequest]]] = {}
        self.fails = False

    def keep(self, connection: str, event: Event, requests: Sequence[VendorRequest]) -> None:
        if self.fails:
            raise StoreUnavailable("the shadow store is down")
        self.rows[connection, event.source, event.message_id] = (event, requests)

    def of(self, connection: str) -> Iterator[Mapping[str, Any]]:
        mine = [row for (owner, _, _), row in self.rows.items() if owner == connection]
        for event, requests in sorted(mine, key=lambda row: (row[0].stamp, row[0].source, row[0].message_id)):
            yield {
                "source": event.source,
                "messageId": event.message_id,
                "type": event.type,
                "receivedAt": event.received_at.isoformat().replace("+00:00", "Z"),
                "requests": [json.loads(json.dumps(_as_data(request))) for request in requests],
            }


class MemorySecrets:
    """`Secrets` that keep what was read until they are asked afresh, as the adapter does for five minutes."""

    def __init__(self, stored: Mapping[str, str] | None = None) -> None:
        self.stored = dict(stored or {})
        self._kept: dict[str, str] = {}
        self.fresh_reads = 0
        self.fails = False

    def get(self, name: str, *, fresh: bool = False) -> str:
        if self.fails:
            raise StoreUnavailable("the parameter store is down")
        self.fresh_reads += fresh
        if fresh or name not in self._kept:
            if name not in self.stored:
                raise CredentialMissing(f"no secret is stored as {name}")
            self._kept[name] = self.stored[name]
        return self._kept[name]


class PlainDestination:
    """A `Destination` whose requests say who, what and with which key. An event's properties ask for what is needed: `requests` (how many), `nothing`,
    `invalid`, `misconfigured`, `poison`."""

    type = "plain"
    integration_names: Set[str] = frozenset({"Plain"})
    secret_settings: Set[str] = frozenset({"apiKey"})

    def build(self, event: Event, settings: Mapping[str, Any]) -> list[VendorRequest]:
        properties = event.properties if isinstance(event, Track) else {}
        if properties.get("nothing"):
            return []
        if properties.get("invalid"):
            raise InvalidForVendor("the name is too long", field="name")
        if properties.get("misconfigured"):
            raise SettingsInvalid("the list is not set", field="list")
        if properties.get("poison"):
            raise ValueError(f"cannot read {event.user_id}")
        return [
            VendorRequest(
                method="GET",
                url="https://vendor.example/e",
                query=[("person", stable_identifier(event)), ("id", event.message_id), ("part", str(part)), ("key", settings["apiKey"])],
            )
            for part in range(int(properties.get("requests", 1)))
        ]

    def check(self, answer: VendorAnswer) -> None:
        check_status(answer, vendor="Plain", now=NOON)


def connection(**given: Any) -> Connection:
    return Connection(**{"id": CONNECTION, "type": "kissmetrics", "label": "Plain", "created_at": NOON, **given})


def message_for(event: Event, connection_id: str = CONNECTION) -> OutMessage:
    """As fan_out sends it."""
    return OutMessage(
        body=to_text(DeliveryMessage(connection=connection_id, event=event)),
        group=group_of(event, connection_id),
        deduplication=public_digest(connection_id, event.source, event.message_id),
    )


@dataclass
class Desk:
    """A destination's queue, its forwarder and its vendor, on one clock."""

    script: Mapping[str, Sequence[Step]] = field(default_factory=dict)
    seed: int = 0
    make: Callable[..., Delivery] = Delivery
    """The engine, or one with a fault in it."""
    destination: PlainDestination = field(default_factory=PlainDestination)
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the engine."""

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.clock = ModelClock()
        self.dead_letters = ModelQueue(self.clock, chance=self.random)
        self.queue = ModelQueue(self.clock, dead_letters=self.dead_letters, chance=self.random)
        self.vendor = ScriptedVendor(self.clock, self.script)
        self.connections = MemoryConnections(connection())
        self.secrets = MemorySecrets({f"connections/{CONNECTION}": '{"apiKey": "key-1"}', "connections/con_2": '{"apiKey": "key-2"}'})
        self.suppressions = MemorySuppressions()
        self.digests = Digests(b"k" * 32)
        self.attempts = MemoryAttempts()
        self.parking = MemoryParking()
        self.poison = MemoryPoison()
        self.shadow = MemoryShadowStore()
        self.handled: list[Handled] = []
        self.delivery = self.build()
        self.mapping = EventSourceMapping(self.queue, self.handle, chance=self.random)

    def build(self) -> Delivery:
        """A new sandbox."""
        given: dict[str, Any] = {
            "destination": self.destination,
            "vendor": self.vendor,
            "connections": self.connections,
            "secrets": self.secrets,
            "suppressions": self.suppressions,
            "digests": self.digests,
            "attempts": self.attempts,
            "parking": self.parking,
            "poison": self.poison,
            "shadow": self.shadow,
            "visibility": self.queue,
            "clock": self.clock,
            "chance": self.random.random,
            "watch": self.handled.append,
        }
        return self.make(**{**given, **self.options})

    def handle(self, event: dict[str, Any], remaining: Callable[[], float]) -> Any:
        return self.delivery.handle(messages(event), remaining=remaining).as_sqs_response()

    def send(self, *events: Event, connection_id: str = CONNECTION) -> None:
        self.queue.send([message_for(event, connection_id) for event in events])

    def once(self, *, remaining: Callable[[], float] = lambda: 120.0, limit: int = 10) -> Report:
        """Receive one batch and deliver it; what was acknowledged is deleted. Time then stands where it stood."""
        records = self.queue.receive(limit)
        with self.clock.invocation():
            report = self.delivery.handle(messages({"Records": records}), remaining=remaining)
        back = {failure["itemIdentifier"] for failure in report.as_sqs_response()["batchItemFailures"]}
        for record in records:
            if record["messageId"] not in back:
                self.queue.delete(record["receiptHandle"])
        return report

    def run(self, hours: float = 24.0) -> None:
        self.mapping.run(hours * 3600)

    @property
    def waiting(self) -> int:
        return len(self.queue)

    def applied(self, person: str) -> list[str]:
        """The events that the vendor acted on for a person, in order, each at its first time."""
        ids = [one.id for one in self.vendor.in_order() if one.applied and dict(one.request.query)["person"] == f"user#{person}"]
        return list(dict.fromkeys(ids))


def story(person: str, count: int, *, start: datetime = NOON, **given: Any) -> list[Track]:
    """Events of one person: `<person>-0`, `<person>-1`, …"""
    return [track(user_id=person, message_id=f"{person}-{number}", received_at=start, index=number, **given) for number in range(count)]


def _as_data(request: VendorRequest) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.url,
        "query": request.query,
        "form": request.form,
        "json": request.json,
        "headers": dict(request.headers),
        "notes": list(request.notes),
    }


class Sandbox:
    """Where the engine's calls to the outside can kill it: each call is a step, and there is a moment before it and a moment after it. Once dead, every further
    call dies too, in whichever thread, until the next invocation."""

    def __init__(self) -> None:
        self.steps: Counter[str] = Counter()
        self.kill_at: tuple[str, int, str] | None = None
        """A step's name, which time of it (from 0), and `before` or `after`."""
        self.killed: str | None = None
        self.dead = False
        self._lock = Lock()

    def around(self, name: str, inner: Any) -> Any:
        return _Fragile(name, inner, self)

    def call(self, name: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            self._die_if(dead=self.dead)
            time = self.steps[name]
            self.steps[name] += 1
            self._die_if(dead=self.kill_at == (name, time, "before"), at=f"before {name}, time {time}")
        answer = method(*args, **kwargs)
        with self._lock:
            self._die_if(dead=self.dead or self.kill_at == (name, time, "after"), at=f"after {name}, time {time}")
        return answer

    def _die_if(self, *, dead: bool, at: str | None = None) -> None:
        if dead:
            self.dead = True
            self.killed = self.killed or at
            raise Crash


class _Fragile:
    def __init__(self, name: str, inner: Any, sandbox: Sandbox) -> None:
        self._name = name
        self._inner = inner
        self._sandbox = sandbox

    def __getattr__(self, attribute: str) -> Any:
        return partial(self._sandbox.call, f"{self._name}.{attribute}", getattr(self._inner, attribute))


class FragileDesk(Desk):
    """A desk whose sandbox can be killed at any step, and is then replaced by a new one."""

    sandbox: Sandbox

    def __post_init__(self) -> None:
        self.sandbox = Sandbox()
        super().__post_init__()

    def build(self) -> Delivery:
        whole = super().build()
        outside = ("vendor", "connections", "secrets", "suppressions", "attempts", "parking", "poison", "shadow", "visibility")
        return replace(whole, **{name: self.sandbox.around(name, getattr(whole, name)) for name in outside})

    def handle(self, event: dict[str, Any], remaining: Callable[[], float]) -> Any:
        if self.sandbox.dead:
            self.sandbox.dead = False
            self.delivery = self.build()
        return super().handle(event, remaining)
