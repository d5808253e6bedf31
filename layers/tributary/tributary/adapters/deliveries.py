"""What delivery keeps in DynamoDB.

| row | table | pk | sk |
|---|---|---|---|
| attempts of one event at one connection | CONFIG | `attempt#<connection>#<shard>` | `<source>#<messageId>` |
| a parked delivery | EVENTS, as its event's key may be an email | `parked#<connection>` | `parked#<received>#<index>#<source>#<messageId>` |
| what a shadow connection would have sent | EVENTS, as it holds personal data | `shadow#<connection>` | `shadow#<received>#<index>#<source>#<messageId>` |

Attempt rows of a dead destination are many at once: sixteen shards keep them below what one partition takes. Parked and shadow rows are sorted by the event's
stamp, which never changes, so that the same delivery again replaces its row.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tributary.adapters import dynamo
from tributary.identity.digests import public_digest
from tributary.ports import Attempt, Parked

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tributary.events import Event
    from tributary.ports import VendorRequest

ATTEMPTS_KEPT: Final = timedelta(days=15)
"""A day more than the queue keeps a message: the row of a message that still waits never goes first."""
SHADOW_KEPT: Final = timedelta(days=7)

_STORE: Final = "the store of deliveries"
_attempts: Final = msgspec.json.Decoder(Attempt)
_parked: Final = msgspec.json.Decoder(Parked)


class DynamoAttempts:
    """`Attempts` on CONFIG. `now` is the machine's: it dates the row's time to live."""

    def __init__(self, client: Callable[[], DynamoDBClient], table: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._client = client
        self._table = table
        self._now = now

    def get(self, connection: str, message: str) -> Attempt | None:
        # Consistent: a delay may be shorter than a replica is behind, and an age that is not seen would begin again.
        answer = dynamo.ask(lambda: self._client().get_item(TableName=self._table, Key=_attempt_key(connection, message), ConsistentRead=True), _STORE)
        item = answer.get("Item")
        return _attempts.decode(item["data"]["S"]) if item is not None else None

    def put(self, connection: str, message: str, attempt: Attempt) -> None:
        item: dict[str, Any] = {
            **_attempt_key(connection, message),
            "data": {"S": msgspec.json.encode(attempt).decode()},
            "ttl": _ttl(self._now() + ATTEMPTS_KEPT),
        }
        dynamo.ask(lambda: self._client().put_item(TableName=self._table, Item=item), _STORE)

    def delete(self, connection: str, message: str) -> None:
        dynamo.ask(lambda: self._client().delete_item(TableName=self._table, Key=_attempt_key(connection, message)), _STORE)


class DynamoParking:
    """`Parking` on EVENTS. No time to live: a parked delivery waits for a person."""

    def __init__(self, client: Callable[[], DynamoDBClient], table: str) -> None:
        self._client = client
        self._table = table

    def park(self, delivery: Parked) -> None:
        item = {
            **dynamo.key(f"parked#{delivery.connection}", f"parked#{_place(delivery.received_at, delivery.index, delivery.source, delivery.message_id)}"),
            "data": {"S": msgspec.json.encode(delivery).decode()},
        }
        dynamo.ask(lambda: self._client().put_item(TableName=self._table, Item=item), _STORE)

    def of(self, connection: str) -> Iterator[Parked]:
        for item in dynamo.query(self._client(), self._table, f"parked#{connection}", store=_STORE):
            yield _parked.decode(item["data"]["S"])


class DynamoShadowStore:
    """`ShadowStore` on EVENTS."""

    def __init__(self, client: Callable[[], DynamoDBClient], table: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._client = client
        self._table = table
        self._now = now

    def keep(self, connection: str, event: Event, requests: Sequence[VendorRequest]) -> None:
        kept = {
            "source": event.source,
            "messageId": event.message_id,
            "type": event.type,
            "receivedAt": event.received_at,
            "requests": [
                {
                    "method": request.method,
                    "url": request.url,
                    "query": request.query,
                    "form": request.form,
                    "json": request.json,
                    "headers": request.headers,
                    "notes": request.notes,
                }
                for request in requests
            ],
        }
        item: dict[str, Any] = {
            **dynamo.key(f"shadow#{connection}", f"shadow#{_place(event.received_at, event.index, event.source, event.message_id)}"),
            "p": {"B": zlib.compress(msgspec.json.encode(kept))},
            "ttl": _ttl(self._now() + SHADOW_KEPT),
        }
        dynamo.ask(lambda: self._client().put_item(TableName=self._table, Item=item), _STORE)

    def of(self, connection: str) -> Iterator[Mapping[str, Any]]:
        for item in dynamo.query(self._client(), self._table, f"shadow#{connection}", store=_STORE):
            yield msgspec.json.decode(zlib.decompress(item["p"]["B"]))


def _attempt_key(connection: str, message: str) -> dict[str, Any]:
    return dynamo.key(f"attempt#{connection}#{public_digest(message)[0]}", message)


def _place(received_at: datetime, index: int, source: str, message_id: str) -> str:
    return f"{received_at.astimezone(UTC).isoformat(timespec='microseconds')}#{index:05d}#{source}#{message_id}"


def _ttl(moment: datetime) -> dict[str, str]:
    return {"N": str(int(moment.timestamp()))}
