"""The routes of `/api` and `/healthz`: what each takes, needs and answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta

from tributary.access import require as require_scope
from tributary.control.answers import (
    AccountAnswer,
    ConnectionAnswer,
    ConnectionPage,
    EventPage,
    Health,
    KeyAnswer,
    KeyPage,
    NewKeyAnswer,
    NewSourceAnswer,
    ParkedPage,
    ShadowPage,
    SourceAnswer,
    SourcePage,
    account_answer,
    connection_answer,
    event_line,
    key_answer,
    parked_delivery,
    shadow_entry,
    source_answer,
)
from tributary.control.entered_routes import EnteredRoutes
from tributary.control.fixed_cost_routes import FixedCostRoutes
from tributary.control.http import Answer, Call, Route
from tributary.control.paging import DEFAULT_LIMIT, MAX_LIMIT, Place, page_of
from tributary.control.problems import Problem
from tributary.control.refusals import refusing
from tributary.control.sync_routes import SyncRoutes
from tributary.drafts import AccountChange, ConnectionChange, KeyRotation, NewConnection, NewKey, NewSource, SourceChange
from tributary.entered.entering import Entering
from tributary.events import EventType
from tributary.operator import Operator, Versioned
from tributary.ports import FeedStatus, Parking, ShadowStore
from tributary.recent import DEFAULT_WINDOW, KEPT, MAX_LIMIT_WITH_BODIES, QueryInvalid, RecentEvents, query_of
from tributary.recent import MAX_LIMIT as MAX_EVENTS
from tributary.settings import UnreadableConnection
from tributary.sync.syncs import Syncs
from tributary.version import VERSION

_BODIES: Final = "events:read_bodies"

Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="How many at most.")]
Cursor = Annotated[str, Meta(max_length=8192, description="`next_cursor` of the page before.")]
SourceId = Annotated[str, Meta(max_length=64, description="One source's alone.")]
_A_TIME: Final = f"ISO 8601, or a duration before now as `15m`, `2h`, `3d`; at most {KEPT.days} days back"
Since = Annotated[str, Meta(max_length=64, description=f"Received from here on: {_A_TIME}. Default: {DEFAULT_WINDOW.seconds // 60} minutes before `until`.")]
Until = Annotated[str, Meta(max_length=64, description=f"Received before this: {_A_TIME}. Default: now.")]


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


class KeysQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: Annotated[Literal["write", "api"] | None, Meta(description="Write keys or API keys alone.")] = None
    source: SourceId | None = None


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    source: SourceId | None = None
    type: Annotated[EventType | None, Meta(description="One type of call.")] = None
    status: Annotated[FeedStatus | None, Meta(description="What became of it.")] = None
    since: Since | None = None
    until: Until | None = None
    bodies: Annotated[bool, Meta(description=f"With what was sent; needs the scope `{_BODIES}`.")] = False
    limit: Annotated[int, Meta(ge=1, le=MAX_EVENTS, description=f"How many at most; with `bodies`, {MAX_LIMIT_WITH_BODIES}.")] = MAX_LIMIT_WITH_BODIES
    cursor: Cursor | None = None


@dataclass(frozen=True)
class ControlApi:
    """The use cases that the routes lead to."""

    operator: Operator
    recent: RecentEvents
    parking: Parking
    shadow: ShadowStore
    syncs: Syncs
    entering: Entering
    now: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """Every route. It is also what `docs/openapi.yaml` is written from."""
        return [
            Route(method="GET", path="/healthz", scope=None, summary="Alive, and which version", handle=_health, answer=Health),
            *self._account_routes(),
            *self._source_routes(),
            *self._connection_routes(),
            *self._key_routes(),
            *SyncRoutes(self.syncs).routes(),
            *EnteredRoutes(self.entering).routes(),
            *FixedCostRoutes(self.entering.fixed_costs, reporting_currency=self.entering.reporting_currency).routes(),
            Route(
                method="GET",
                path="/api/events",
                scope="events:read",
                summary="Recent events, accepted and rejected",
                description="Those of the last days, the newest first. A rejected one says why and which field is at fault.",
                handle=self._events,
                query=EventsQuery,
                answer=EventPage,
            ),
        ]

    # ---------------------------------------------------------------- account

    def _account_routes(self) -> list[Route]:
        path = "/api/account"
        return [
            Route(method="GET", path=path, scope="account:read", summary="The account's settings", handle=self._account, answer=AccountAnswer),
            Route(
                method="PATCH",
                path=path,
                scope="account:write",
                summary="Change the account's settings",
                handle=refusing(self._update_account),
                body=AccountChange,
                answer=AccountAnswer,
                versioned=True,
                problems=[409, 412],
            ),
        ]

    def _account(self, _: Call) -> Answer:
        account = self.operator.account()
        return Answer(body=account_answer(account), version=account.version)

    def _update_account(self, call: Call) -> Answer:
        before = self.operator.account().value
        account = self.operator.update_account(call.body, version=call.version)
        return Answer(body=account_answer(account, before), version=account.version)

    # ---------------------------------------------------------------- sources

    def _source_routes(self) -> list[Route]:
        path, one = "/api/sources", "/api/sources/{source}"
        return [
            Route(method="GET", path=path, scope="sources:read", summary="Sources", handle=self._sources, query=PageQuery, answer=SourcePage),
            Route(
                method="POST",
                path=path,
                scope="sources:write",
                summary="Make a source",
                description="The answer holds its write key, this once.",
                handle=refusing(self._create_source),
                body=NewSource,
                answer=NewSourceAnswer,
                status=201,
            ),
            Route(method="GET", path=one, scope="sources:read", summary="A source", handle=refusing(self._source), answer=SourceAnswer, problems=[404]),
            Route(
                method="PATCH",
                path=one,
                scope="sources:write",
                summary="Change a source",
                description="Within 30 seconds the write keys of a disabled source are refused.",
                handle=refusing(self._update_source),
                body=SourceChange,
                answer=SourceAnswer,
                versioned=True,
                problems=[404, 409, 412],
            ),
            Route(
                method="DELETE",
                path=one,
                scope="sources:write",
                summary="Remove a source",
                description="Its write keys are revoked; its events stay in the log. Refused with 409 while a connection names it.",
                handle=refusing(self._delete_source),
                status=204,
                versioned=True,
                problems=[404, 409, 412],
            ),
            Route(
                method="POST",
                path=f"{one}/rotate-key",
                scope="sources:write",
                summary="Replace a source's write key",
                description="The answer holds the new key, this once. The keys until now go on working for `keep_old_for_s`.",
                handle=refusing(self._rotate_key),
                body=KeyRotation,
                answer=NewKeyAnswer,
                status=201,
                problems=[404, 409],
            ),
        ]

    def _sources(self, call: Call) -> Answer:
        page, following = _page(call, self.operator.sources(), lambda source: (source.value.id, ""))
        return Answer(body=SourcePage(data=[source_answer(source) for source in page], next_cursor=following))

    def _create_source(self, call: Call) -> Answer:
        made = self.operator.create_source(call.body)
        body = NewSourceAnswer(source=source_answer(made.source), write_key=made.write_key, key_id=made.key.id)
        return Answer(status=201, body=body, version=made.source.version, headers={"location": f"/api/sources/{made.source.value.id}"})

    def _source(self, call: Call) -> Answer:
        source = self.operator.source(call.path["source"])
        return Answer(body=source_answer(source), version=source.version)

    def _update_source(self, call: Call) -> Answer:
        source = self.operator.update_source(call.path["source"], call.body, version=call.version)
        return Answer(body=source_answer(source), version=source.version)

    def _delete_source(self, call: Call) -> Answer:
        self.operator.delete_source(call.path["source"], version=call.version)
        return Answer(status=204)

    def _rotate_key(self, call: Call) -> Answer:
        made = self.operator.rotate_write_key(call.path["source"], call.body)
        return Answer(status=201, body=NewKeyAnswer(key=key_answer(made.key), secret=made.secret))

    # ---------------------------------------------------------------- connections

    def _connection_routes(self) -> list[Route]:
        path, one = "/api/connections", "/api/connections/{connection}"
        return [
            Route(method="GET", path=path, scope="connections:read", summary="Connections", handle=self._connections, query=PageQuery, answer=ConnectionPage),
            Route(
                method="POST",
                path=path,
                scope="connections:write",
                summary="Make a connection",
                description="Its credentials go to the parameter store and are never shown again.",
                handle=refusing(self._create_connection),
                body=NewConnection,
                answer=ConnectionAnswer,
                status=201,
            ),
            Route(
                method="GET",
                path=one,
                scope="connections:read",
                summary="A connection",
                handle=refusing(self._connection),
                answer=ConnectionAnswer,
                problems=[404, 409],
            ),
            Route(
                method="PATCH",
                path=one,
                scope="connections:write",
                summary="Change a connection",
                description="`settings` are merged: null removes a key, one left out stays, so a credential need not be sent again. It acts within 30 seconds.",
                handle=refusing(self._update_connection),
                body=ConnectionChange,
                answer=ConnectionAnswer,
                versioned=True,
                problems=[404, 409, 412],
            ),
            Route(
                method="DELETE",
                path=one,
                scope="connections:write",
                summary="Remove a connection and its credentials",
                handle=refusing(self._delete_connection),
                status=204,
                versioned=True,
                problems=[404, 409, 412],
            ),
            Route(
                method="GET",
                path=f"{one}/parked",
                scope="connections:read",
                summary="Deliveries that wait for a person",
                handle=refusing(self._parked),
                query=PageQuery,
                answer=ParkedPage,
                problems=[404, 409],
            ),
            Route(
                method="GET",
                path=f"{one}/shadow",
                scope=_BODIES,
                summary="What a shadow connection would have sent",
                description="Of the last seven days.",
                handle=refusing(self._shadow),
                query=PageQuery,
                answer=ShadowPage,
                problems=[404, 409],
            ),
        ]

    def _connections(self, call: Call) -> Answer:
        found = self.operator.connections()
        readable = [one for one in found if isinstance(one, Versioned)]
        unreadable = [one.id for one in found if isinstance(one, UnreadableConnection)]
        page, following = _page(call, readable, lambda connection: (connection.value.id, ""))
        return Answer(body=ConnectionPage(data=[connection_answer(connection) for connection in page], unreadable=unreadable, next_cursor=following))

    def _create_connection(self, call: Call) -> Answer:
        made = self.operator.create_connection(call.body)
        self.syncs.begin(made.value)
        return Answer(status=201, body=connection_answer(made), version=made.version, headers={"location": f"/api/connections/{made.value.id}"})

    def _connection(self, call: Call) -> Answer:
        connection = self.operator.connection(call.path["connection"])
        return Answer(body=connection_answer(connection), version=connection.version)

    def _update_connection(self, call: Call) -> Answer:
        connection = self.operator.update_connection(call.path["connection"], call.body, version=call.version)
        if call.body.settings is not UNSET:
            self.syncs.begin(connection.value)
        return Answer(body=connection_answer(connection), version=connection.version)

    def _delete_connection(self, call: Call) -> Answer:
        self.operator.delete_connection(call.path["connection"], version=call.version)
        return Answer(status=204)

    def _parked(self, call: Call) -> Answer:
        connection = self.operator.connection(call.path["connection"]).value.id
        page, following = _page(call, self.parking.of(connection), lambda parked: _stamped(parked.received_at, parked.source, parked.message_id))
        return Answer(body=ParkedPage(data=[parked_delivery(parked) for parked in page], next_cursor=following))

    def _shadow(self, call: Call) -> Answer:
        connection = self.operator.connection(call.path["connection"]).value.id
        page, following = _page(call, self.shadow.of(connection), _place_of_shadow)
        return Answer(body=ShadowPage(data=[shadow_entry(kept) for kept in page], next_cursor=following))

    # ---------------------------------------------------------------- keys

    def _key_routes(self) -> list[Route]:
        return [
            Route(method="GET", path="/api/keys", scope="keys:read", summary="Keys", handle=self._keys, query=KeysQuery, answer=KeyPage),
            Route(
                method="POST",
                path="/api/keys",
                scope="keys:write",
                summary="Make an API key",
                description="The answer holds the key, this once. A key cannot give a scope that it does not have.",
                handle=refusing(self._create_key),
                body=NewKey,
                answer=NewKeyAnswer,
                status=201,
            ),
            Route(
                method="DELETE",
                path="/api/keys/{key}",
                scope="keys:write",
                summary="Revoke an API key or a write key",
                description="It stays in the list. Reads and events are refused within 30 seconds, writes at once.",
                handle=refusing(self._revoke_key),
                answer=KeyAnswer,
                problems=[404, 409],
            ),
        ]

    def _keys(self, call: Call) -> Answer:
        query: KeysQuery = call.query
        found = self.operator.keys()
        wanted = [key for key in found if query.kind in (None, key.kind) and query.source in (None, key.source)]
        page, following = _page(call, wanted, lambda key: (key.id, ""))
        return Answer(body=KeyPage(data=[key_answer(key) for key in page], next_cursor=following))

    def _create_key(self, call: Call) -> Answer:
        draft: NewKey = call.body
        assert call.key is not None
        for scope in draft.scopes:
            require_scope(call.key, scope)
        made = self.operator.create_key(draft)
        return Answer(status=201, body=NewKeyAnswer(key=key_answer(made.key), secret=made.secret), headers={"location": f"/api/keys/{made.key.id}"})

    def _revoke_key(self, call: Call) -> Answer:
        return Answer(body=key_answer(self.operator.revoke_key(call.path["key"])))

    # ---------------------------------------------------------------- events

    def _events(self, call: Call) -> Answer:
        query: EventsQuery = call.query
        if query.bodies:
            assert call.key is not None
            require_scope(call.key, _BODIES)
            if query.limit > MAX_LIMIT_WITH_BODIES:
                raise Problem(status=400, code="invalid_parameter", field="limit", detail=f"With bodies a page has at most {MAX_LIMIT_WITH_BODIES}.")
        try:
            asked = query_of(now=self.now(), source=query.source, type=query.type, status=query.status, since=query.since, until=query.until)
            sources = self._sources_to_read(query)
            page = self.recent.page(asked, sources=sources, limit=query.limit, cursor=query.cursor)
        except QueryInvalid as error:
            raise Problem(status=400, code="invalid_parameter", field=error.field, detail=f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
        entries = self.recent.bodies(page.entries) if query.bodies else page.entries
        return Answer(body=EventPage(data=[event_line(entry, bodies=query.bodies) for entry in entries], next_cursor=page.cursor))

    def _sources_to_read(self, query: EventsQuery) -> list[str]:
        """A cursor holds them. Raises `QueryInvalid`."""
        if query.cursor is not None:
            return []
        if query.source is None:
            return [*self.operator.origins()]
        if query.source not in self.operator.origins():
            raise QueryInvalid("source", "there is no such source")
        return [query.source]


def _health(_: Call) -> Answer:
    return Answer(body=Health(version=VERSION))


def _page(call: Call, items: Iterable[Any], place: Callable[[Any], Place]) -> tuple[list[Any], str | None]:
    query: PageQuery = call.query
    return page_of(items, place, limit=query.limit, cursor=query.cursor)


def _stamped(received_at: datetime, source: str, message_id: str) -> Place:
    return received_at.isoformat(timespec="microseconds"), f"{source}#{message_id}"


def _place_of_shadow(kept: Mapping[str, Any]) -> Place:
    return _stamped(datetime.fromisoformat(kept["receivedAt"]), kept["source"], kept["messageId"])
