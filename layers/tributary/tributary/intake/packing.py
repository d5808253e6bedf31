"""What one request brought, as few queue messages as hold it: SQS is billed by the message and by 64 KB of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from tributary.messages import MAX_MESSAGE_BYTES, Rejected, sqs_text


def pack(source: str, received_at: datetime, events: Sequence[bytes], rejected: Sequence[Rejected], max_bytes: int = MAX_MESSAGE_BYTES) -> Iterator[str]:
    """Each a `messages.IngestMessage`, at most `max_bytes` of UTF-8, in order; none where there is nothing to tell. `events`: the JSON of each."""
    head = msgspec.json.encode({"schemaVersion": 1, "source": source, "receivedAt": received_at})[:-1]
    room = max_bytes - len(head) - len(b',"events":[],"rejected":[]}')
    parts: tuple[list[bytes], list[bytes]] = ([], [])
    size = 0
    for kind, raw in [*((0, event) for event in events), *((1, msgspec.json.encode(item)) for item in rejected)]:
        # Escaped before it is measured: the escapes are longer than what they stand for.
        part = sqs_text(raw)
        if size and size + len(part) + 1 > room:
            yield _joined(head, parts)
            parts, size = ([], []), 0
        parts[kind].append(part)
        size += len(part) + 1
    if size:
        yield _joined(head, parts)


def _joined(head: bytes, parts: tuple[list[bytes], list[bytes]]) -> str:
    events, rejected = parts
    return b"".join((head, b',"events":[', b",".join(events), b'],"rejected":[', b",".join(rejected), b"]}")).decode()
