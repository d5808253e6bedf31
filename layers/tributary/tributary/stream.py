"""Reading the log's stream, written once for all its readers.

A batch that fails comes again, whole, and holds up its shard. So what can never succeed is set aside, with its reason, and blocks nobody; everything else comes
again until it does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tributary.errors import TributaryError, Unexpected, place_of
from tributary.events import Event
from tributary.log_codec import events_of_stream, key_of, pack
from tributary.ports import PoisonRecords


@dataclass(frozen=True)
class StreamReader:
    """`name`: the function's. `take`: its work on a batch, safe to repeat; counts by what became of the events."""

    name: str
    take: Callable[[Sequence[Event]], Counter[str]]
    poison: PoisonRecords

    def read(self, records: Sequence[Mapping[str, Any]]) -> Counter[str]:
        """`records`: as Lambda brings them. Counts as `take` does, and `records` and `set_aside`, which an alarm watches. Raises `RetryError`: the batch comes
        again."""
        events, unreadable = events_of_stream(records)
        for key in unreadable:
            self.poison.park(self.name, key, "unreadable_message")
        counts = Counter(records=len(records), set_aside=len(unreadable))
        counts.update(self._take(events))
        return counts

    def _take(self, events: Sequence[Event]) -> Counter[str]:
        try:
            return self.take(events)
        except TributaryError:
            raise
        except Exception:
            return self._one_by_one(events)

    def _one_by_one(self, events: Sequence[Event]) -> Counter[str]:
        """Some event meets a fault of ours. Each by itself: the one that still does is set aside, and the rest goes on. Where none of several gets through, the
        fault is not theirs: they wait for the next deploy."""
        counts: Counter[str] = Counter()
        faulty: list[tuple[Event, str]] = []
        for event in events:
            try:
                counts.update(self.take([event]))
            except TributaryError:
                raise
            except Exception as error:
                faulty.append((event, place_of(error)))
        if len(faulty) == len(events) > 1:
            raise Unexpected(f"every event of a batch: {faulty[0][1]}")
        for event, fault in faulty:
            self.poison.park(self.name, "|".join(key_of(event)), f"unexpected: {fault}", pack(event))
        counts["set_aside"] = len(faulty)
        return counts
