"""The log's stream → who is who. What can never succeed is set aside, so that it blocks nobody; everything else comes again until it does."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

from tributary.errors import TributaryError, Unexpected
from tributary.events import Event
from tributary.identity.resolver import Resolver
from tributary.log_codec import key_of, pack
from tributary.ports import PoisonRecords

PLACE: Final = "resolve"


class Resolve:
    """The stream's consumer."""

    def __init__(self, *, resolver: Resolver, poison: PoisonRecords) -> None:
        self._resolver = resolver
        self._poison = poison

    def handle(self, events: Sequence[Event]) -> Counter[str]:
        """Take a batch in; counts by what became of it. Raises `StoreUnavailable` or `Unexpected`: the batch comes again."""
        try:
            return self._resolver.resolve(events).counts
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
                counts.update(self._resolver.resolve([event]).counts)
            except TributaryError:
                raise
            except Exception as error:
                faulty.append((event, _where(error)))
        if len(faulty) == len(events) > 1:
            raise Unexpected(f"every event of a batch: {faulty[0][1]}")
        for event, fault in faulty:
            self._poison.park(PLACE, "|".join(key_of(event)), f"unexpected: {fault}", pack(event))
        counts["set_aside"] = len(faulty)
        return counts


def _where(error: Exception) -> str:
    """The exception's class and the line that raised it. Not its text: that may hold what the event holds."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {PurePath(last.filename).name}:{last.lineno}"
