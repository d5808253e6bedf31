"""Calls of the tracking API, and an intake over fakes to make them to."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import datetime
from typing import Any

from tests.kit.builders import NOON
from tests.kit.config import MemoryKeys, MovingClock
from tests.kit.stores import MemoryQueue
from tributary.access import CachedKeys
from tributary.events import Event
from tributary.intake.http import Request
from tributary.intake.rate import EventRate
from tributary.intake.service import Intake, Outcome
from tributary.messages import IngestMessage, Rejected, ingest_decoder
from tributary.settings import Key

WRITE_KEY = "wk_harbourharbourharbourharbour"
OTHER_KEY = "wk_quayquayquayquayquayquayquayq"
SOURCE = "src_shop"


def basic(key: str, *, colon: bool = True) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{key}:".encode() if colon else key.encode()).decode()}


def gzipped(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


def as_bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def post(
    call: str, body: Any = b"", *, headers: dict[str, str] | None = None, key: str | None = WRITE_KEY, at: datetime = NOON, ip: str | None = "203.0.113.9"
) -> Request:
    """A POST to `/v1/<call>`, with a Basic header unless `key` is None."""
    all_headers = {**(basic(key) if key is not None else {}), **(headers or {})}
    return Request(method="POST", path=f"/v1/{call}", query="", headers=all_headers, body=as_bytes(body), received_at=at, ip=ip)


def get(call: str, query: str = "", *, headers: dict[str, str] | None = None, at: datetime = NOON) -> Request:
    return Request(method="GET", path=f"/v1/{call}", query=query, headers=headers or {}, body=b"", received_at=at, ip="203.0.113.9")


def write_key_row(**given: Any) -> Key:
    return Key(**{"id": "key_1", "kind": "write", "source": SOURCE, "created_at": NOON, **given})


class IntakeBench:
    """An intake over fakes: what was sent is in `messages`, `events` and `rejected`, read strictly."""

    def __init__(self, *, per_second: float = 0, accept_unknown: bool = False) -> None:
        self.clock = MovingClock()
        self.keys = MemoryKeys()
        self.keys.add(WRITE_KEY, write_key_row())
        self.queue = MemoryQueue()
        self.intake = Intake(
            keys=CachedKeys(self.keys, self.clock.monotonic),
            queue=self.queue,
            rate=EventRate(per_second, self.clock.monotonic),
            accept_unknown=accept_unknown,
        )

    def handle(self, request: Request) -> Outcome:
        return self.intake.handle(request)

    def body(self, request: Request) -> dict[str, Any]:
        """The answer's body: an object, always."""
        body = json.loads(self.handle(request).answer.body)
        assert isinstance(body, dict)
        return body

    @property
    def messages(self) -> list[IngestMessage]:
        return [ingest_decoder.decode(message.body) for message in self.queue.sent]

    @property
    def events(self) -> list[Event]:
        return [event for message in self.messages for event in message.events]

    @property
    def rejected(self) -> list[Rejected]:
        return [rejected for message in self.messages for rejected in message.rejected]

    def taken(self, call: str, body: Any, **given: Any) -> list[Event]:
        """Post it, see that every event is accepted, and give the events."""
        already = len(self.events)
        outcome = self.handle(post(call, body, **given))
        assert (outcome.answer.status, outcome.code) == (200, "ok"), outcome
        return self.events[already:]

    def event(self, call: str, body: Any, **given: Any) -> Event:
        (event,) = self.taken(call, body, **given)
        return event

    def refusal(self, call: str, body: Any, **given: Any) -> tuple[int, str, str]:
        """Post what is refused by itself: status, code and field, which are the same in the answer and in what is kept."""
        already = len(self.rejected)
        outcome = self.handle(post(call, body, **given))
        answered = json.loads(outcome.answer.body)
        (kept,) = self.rejected[already:]
        told = answered if outcome.answer.status != 200 else answered["rejected"][0]
        assert (told["code"], told["field"]) == (kept.code, kept.field)
        return outcome.answer.status, kept.code, kept.field
