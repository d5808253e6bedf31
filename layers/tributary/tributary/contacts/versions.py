"""Which of two writes of the same thing is the later, and when something was seen.

Times are whole microseconds since 1970, UTC. All that is kept of a contact joins by `max` of versions and `min` or `max` of times, so that neither order nor
repetition of events shows in it.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from tributary.events import Event

Version = tuple[int, int, str, str]
"""Time, the source's sequence, message id, source; compared as it stands. The last two only keep two writes of one moment from being equal."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_ID: Final = 48


def version_of(event: Event) -> Version:
    moment, sequence, message_id = event.version
    return (micros(moment), sequence, short_id(message_id), event.source)


def micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def as_time(moment: int) -> datetime:
    return _EPOCH + timedelta(microseconds=moment)


def short_id(message_id: str) -> str:
    """A message id may be 400 bytes, and every trait carries one: a long one is cut, and told apart by a digest. So are ids within an order."""
    if len(message_id) <= _LONGEST_ID and message_id.isascii():
        return message_id
    return message_id.encode()[:16].hex() + hashlib.blake2b(message_id.encode(), digest_size=8).hexdigest()
