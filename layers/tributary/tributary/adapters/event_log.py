"""EVENTS: one conditional put an event, so that the first wins; see docs/decisions for why not batches.

One item under 1 KB is one write unit; a refused put costs the same. Puts of different identifiers run side by side, those of one identifier in order, so that
the stream shows them in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

from botocore.exceptions import BotoCoreError, ClientError

from tributary import log_codec
from tributary.adapters import dynamo
from tributary.events import Event
from tributary.ports import Put

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_STORE: Final = "the log"
_THREADS: Final = 8
"""One event's put is some milliseconds of waiting; the function has a third of a core."""

ExpiryOf = Callable[[Event], datetime | None]


class DynamoEventLog:
    """`EventLog` on DynamoDB. `expiry_of`: when an event may go; None for never."""

    def __init__(self, client: Callable[[], DynamoDBClient], table: str, expiry_of: ExpiryOf = lambda _event: None) -> None:
        self._client = client
        self._table = table
        self._expiry_of = expiry_of

    def put(self, events: Sequence[Event], *, batch: str = "") -> list[Put]:
        results: list[Put | None] = [None] * len(events)
        lanes: dict[str, list[int]] = {}
        for number, event in enumerate(events):
            lanes.setdefault(log_codec.key_of(event)[0], []).append(number)

        def run(lane: list[int]) -> None:
            for number in lane:
                results[number] = self._put(events[number], batch)

        if len(lanes) == 1:
            run(next(iter(lanes.values())))
        elif lanes:
            with ThreadPoolExecutor(min(_THREADS, len(lanes))) as pool:
                for _ in pool.map(run, lanes.values()):
                    pass
        return [result for result in results if result is not None]

    def _put(self, event: Event, batch: str) -> Put:
        pk, sk = log_codec.key_of(event)
        stamp, digest = _stamp(event), log_codec.content_digest(event)
        item: dict[str, Any] = {
            **dynamo.key(pk, sk),
            "p": {"B": log_codec.pack(event)},
            "d": {"B": digest},
            "r": {"S": stamp},
            "t": {"S": event.type},
            "b": {"S": batch},
        }
        expiry = self._expiry_of(event)
        if expiry is not None:
            item["ttl"] = {"N": str(int(expiry.timestamp()))}
        try:
            self._client().put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise dynamo.unavailable(error, _STORE) from error
            return _compared(cast("Mapping[str, Any] | None", error.response.get("Item")), (stamp, batch), digest)
        except BotoCoreError as error:
            raise dynamo.unavailable(error, _STORE) from error
        return Put.NEW

    def of(self, identifier: str) -> Iterator[Event]:
        events = {":event": {"S": log_codec.SORT_KEY_PREFIX}}
        rows = dynamo.query(
            self._client(), self._table, identifier, store=_STORE, where="begins_with(sk, :event)", values=events, ProjectionExpression="p", ConsistentRead=True
        )
        for item in rows:
            yield log_codec.unpack(item["p"]["B"])

    def get(self, identifier: str, source: str, message_id: str) -> Event | None:
        key = dynamo.key(identifier, f"{log_codec.SORT_KEY_PREFIX}{source}#{message_id}")
        item = dynamo.ask(lambda: self._client().get_item(TableName=self._table, Key=key, ProjectionExpression="p"), _STORE).get("Item")
        return log_codec.unpack(item["p"]["B"]) if item else None

    def everything(self, part: int = 0, parts: int = 1) -> Iterator[Event]:
        """Every event in one of so many parts of the log, in no order; for a rebuild, not for a request."""
        for item in dynamo.scan(self._client(), self._table, store=_STORE, part=part, parts=parts, ProjectionExpression="sk, p"):
            if item["sk"]["S"].startswith(log_codec.SORT_KEY_PREFIX):
                yield log_codec.unpack(item["p"]["B"])


def _stamp(event: Event) -> str:
    return f"{event.received_at.isoformat()}#{event.index:05d}"


def _compared(stored: Mapping[str, Any] | None, own: tuple[str, str], digest: bytes) -> Put:
    """What a refused condition means. The same stamp of the same batch is our own earlier put: its answer was lost, or the batch came again."""
    if stored is None:
        return Put.REPEATED
    if (stored["r"]["S"], stored["b"]["S"]) == own:
        return Put.NEW if stored["d"]["B"] == digest else Put.CHANGED
    return Put.REPEATED if stored["d"]["B"] == digest else Put.CHANGED
