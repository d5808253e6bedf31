"""The log, read once more into a generation that is being built. Safe to repeat, whole or in part: nothing that is read again makes a difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final

from tributary.contacts.resolver import Resolver
from tributary.events import Event
from tributary.facts.telling import Telling

BATCH: Final = 500
"""Events resolved at once: their identifiers are read in a handful of calls."""


class Replay:
    def __init__(self, *, resolver: Resolver, facts: Telling) -> None:
        self._resolver = resolver
        self._facts = facts

    def run(self, events: Iterable[Event], seen: Callable[[int], object] = lambda _count: None) -> Counter[str]:
        """`seen`: told after each batch how many events were read. Counts as resolve does. Raises `StoreUnavailable`: begin again."""
        counts: Counter[str] = Counter()
        left = iter(events)
        while batch := tuple(islice(left, BATCH)):
            counts += self._take(batch)
            counts["events"] += len(batch)
            seen(len(batch))
        return counts

    def _take(self, events: Sequence[Event]) -> Counter[str]:
        outcome = self._resolver.resolve(events)
        told = self._facts.events([event for event in events if (event.source, event.message_id) not in outcome.suppressed])
        return outcome.counts + told
