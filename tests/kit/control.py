"""The control API over fakes: a request in, an answer out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.kit.builders import TestClock
from tests.kit.config import KINDS, Bench, RowKeys
from tests.kit.deliveries import MemoryParking, MemoryShadowStore
from tests.kit.entered import MemoryBatchFiles, MemoryFactSink
from tests.kit.stores import MemoryEventLog, MemoryFeed, MemoryQueue
from tests.kit.sync import MemorySyncStore
from tributary.access import Access, CachedKeys
from tributary.control.http import Request, Response, Router
from tributary.control.routes import ControlApi
from tributary.drafts import NewKey
from tributary.entered.entering import entering_of
from tributary.operator import ConnectionKind, Operator
from tributary.recent import RecentEvents
from tributary.settings import Connection, UnreadableConnection
from tributary.sync.syncs import Syncs


@dataclass(frozen=True)
class Said:
    """An answer as its caller sees it."""

    response: Response

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def body(self) -> Any:
        return json.loads(self.response.body) if self.response.body else None

    @property
    def text(self) -> str:
        return self.response.body.decode()

    def header(self, name: str) -> str | None:
        return self.response.headers.get(name)


class OperatorsConnections:
    """`Connections`, as the operator has them at this moment."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def all(self) -> Sequence[Connection | UnreadableConnection]:
        return [one if isinstance(one, UnreadableConnection) else one.value for one in self._operator.connections()]


class ControlBench(Bench):
    """`call` speaks to the API with a key of all scopes, unless told otherwise."""

    def __init__(self, kinds: Mapping[str, ConnectionKind] = KINDS) -> None:
        super().__init__(kinds=kinds)
        self.feed = MemoryFeed()
        self.log = MemoryEventLog()
        self.parking = MemoryParking()
        self.shadow = MemoryShadowStore()
        self.syncs, self.tasks = MemorySyncStore(), MemoryQueue()
        self.files, self.facts = MemoryBatchFiles(), MemoryFactSink()
        self.entering = entering_of(rows=self.rows, files=self.files, sink=self.facts, operator=self.operator, now=self.clock.now)
        self.api = ControlApi(
            operator=self.operator,
            recent=RecentEvents(self.feed, self.log),
            parking=self.parking,
            shadow=self.shadow,
            syncs=Syncs(connections=OperatorsConnections(self.operator), store=self.syncs, tasks=self.tasks, clock=TestClock(self.clock.now())),
            entering=self.entering,
            now=self.clock.now,
        )
        access = Access(CachedKeys(RowKeys(self.rows), self.clock.monotonic), now=self.clock.now)
        self.router = Router(self.api.routes(), access, monotonic=self.clock.monotonic)
        self.key = self.new_key("*")
        self.said: list[Said] = []

    def new_key(self, *scopes: str) -> str:
        return self.operator.create_key(NewKey(label="Tests", scopes=list(scopes))).secret

    def call(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Said:
        path, _, query = target.partition("?")
        sent = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {key or self.key}", **(headers or {})}
        answer = Said(self.router.answer(Request(method=method, path=path, query=query, headers=headers, body=sent, id="req-1")))
        self.said.append(answer)
        return answer
