"""The list of recent events: one row a request, beside the log, compressed, gone after seven days.

pk  feed#<source>#<hour>      sk  <received>#<batch id>      n  the lines      ttl
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tributary.adapters import dynamo
from tributary.log_codec import SORT_KEY_PREFIX
from tributary.ports import FeedEntry, FeedStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_STORE: Final = "the list of recent events"
KEPT: Final = timedelta(days=7)
_LINES_A_ROW: Final = 500
_BYTES_A_ROW: Final = 300_000
"""Of lines before compression, which may gain nothing: a row stays below DynamoDB's 400 KB."""
_HOUR: Final = timedelta(hours=1)


class _Line(msgspec.Struct, array_like=True):
    """A line without what its row already says; the order of fields is the stored form."""

    index: int
    rejected: bool
    type: str | None
    name: str | None
    message_id: str | None
    partition: str | None
    code: str | None = None
    field: str | None = None
    message: str | None = None
    body: str | None = None


_decoder: Final = msgspec.json.Decoder(list[_Line])


class DynamoFeed:
    """`Feed` on DynamoDB."""

    def __init__(self, client: Callable[[], DynamoDBClient], table: str) -> None:
        self._client = client
        self._table = table

    def append(self, batch_id: str, entries: Sequence[FeedEntry]) -> None:
        for start, part in _rows_of(entries):
            first = part[0]
            lines = msgspec.json.encode([_line(entry) for entry in part])
            item: dict[str, Any] = {
                **dynamo.key(_partition(first.source, first.received_at), f"{_text(first.received_at)}#{batch_id}#{start}"),
                "n": {"B": zlib.compress(lines, 6)},
                "ttl": {"N": str(int((first.received_at + KEPT).timestamp()))},
            }
            dynamo.ask(partial(self._client().put_item, TableName=self._table, Item=item), _STORE)

    def read(
        self, *, source: str, since: datetime, until: datetime, type: str | None, status: FeedStatus | None, limit: int, cursor: str | None
    ) -> tuple[list[FeedEntry], str | None]:
        page: list[FeedEntry] = []
        for position, entry in self._entries(source, since, until, cursor):
            if (type is None or entry.type == type) and (status is None or entry.status == status):
                page.append(entry)
                if len(page) == limit:
                    return page, position
        return page, None

    def _entries(self, source: str, since: datetime, until: datetime, cursor: str | None) -> Iterator[tuple[str, FeedEntry]]:
        """Newest first, each with the cursor that continues after it."""
        after_row, after_line = _read_cursor(cursor)
        newest = min(until, _received(after_row)) if after_row else until
        hour = newest.replace(minute=0, second=0, microsecond=0)
        while hour + _HOUR > since:
            for row in self._rows(source, hour, after_row):
                sk = row["sk"]["S"]
                received = _received(sk)
                lines = _decoder.decode(zlib.decompress(row["n"]["B"]))
                for number in range(len(lines) - 1, -1, -1):
                    if since <= received < until and not (sk == after_row and number >= after_line):
                        yield _write_cursor(sk, number), _entry(source, received, lines[number])
            hour -= _HOUR

    def _rows(self, source: str, hour: datetime, until_row: str | None) -> Iterator[dict[str, Any]]:
        where, values = ("sk <= :row", {":row": {"S": until_row}}) if until_row is not None else ("", None)
        return dynamo.query(self._client(), self._table, _partition(source, hour), store=_STORE, where=where, values=values, ScanIndexForward=False)


def _rows_of(entries: Sequence[FeedEntry]) -> Iterator[tuple[int, Sequence[FeedEntry]]]:
    """The lines of each row, and the place of its first."""
    start = size = 0
    for number, entry in enumerate(entries):
        length = len(msgspec.json.encode(_line(entry)))
        if number > start and (number - start == _LINES_A_ROW or size + length > _BYTES_A_ROW):
            yield start, entries[start:number]
            start, size = number, 0
        size += length
    if entries:
        yield start, entries[start:]


def _line(entry: FeedEntry) -> _Line:
    partition = entry.event_key[0] if entry.event_key else None
    rejected = entry.status == FeedStatus.REJECTED
    return _Line(entry.index, rejected, entry.type, entry.name, entry.message_id, partition, entry.code, entry.field, entry.message, entry.body)


def _entry(source: str, received: datetime, line: _Line) -> FeedEntry:
    return FeedEntry(
        source=source,
        received_at=received,
        index=line.index,
        status=FeedStatus.REJECTED if line.rejected else FeedStatus.ACCEPTED,
        type=line.type,
        name=line.name,
        message_id=line.message_id,
        code=line.code,
        field=line.field,
        message=line.message,
        event_key=(line.partition, f"{SORT_KEY_PREFIX}{source}#{line.message_id}") if line.partition else None,
        body=line.body,
    )


def _partition(source: str, moment: datetime) -> str:
    return f"feed#{source}#{moment.astimezone(UTC):%Y-%m-%dT%H}"


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _received(sort_key: str) -> datetime:
    return datetime.fromisoformat(sort_key.split("#", 1)[0])


def _write_cursor(row: str, line: int) -> str:
    return base64.urlsafe_b64encode(f"{line}|{row}".encode()).decode()


def _read_cursor(cursor: str | None) -> tuple[str | None, int]:
    """Raises `ValueError` for a cursor that is not one of ours."""
    if cursor is None:
        return None, 0
    line, _, row = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
    _received(row)
    return row, int(line)
