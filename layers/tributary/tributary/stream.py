"""Reading a table's stream, written once for all its readers.

A batch that fails comes again, whole, and holds up its shard. So what can never succeed is set aside, with its reason, and blocks nobody; everything else comes
again until it does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from tributary.errors import ParkError, TributaryError, Unexpected, place_of
from tributary.events import Event
from tributary.log_codec import events_of_stream, key_of, pack
from tributary.ports import PoisonRecords

T = TypeVar("T")


@dataclass(frozen=True)
class Form(Generic[T]):
    """What a table's stream holds."""

    read: Callable[[Sequence[Mapping[str, Any]]], tuple[list[T], list[str]]]
    """What the records say, and the keys of those that say nothing that can be read."""
    key: Callable[[T], str]
    body: Callable[[T], bytes]
    """What is kept of one that is set aside; nothing where its row stays."""


LOG: Final = Form[Event](events_of_stream, lambda event: "|".join(key_of(event)), pack)


@dataclass(frozen=True)
class StreamReader(Generic[T]):
    """`name`: the function's. `take`: its work on a batch, safe to repeat; counts by what became of the items."""

    name: str
    take: Callable[[Sequence[T]], Counter[str]]
    poison: PoisonRecords
    form: Form[T]

    def read(self, records: Sequence[Mapping[str, Any]]) -> Counter[str]:
        """`records`: as Lambda brings them. Counts as `take` does, and `records` and `set_aside`, which an alarm watches. Raises `RetryError`: the batch comes
        again."""
        items, unreadable = self.form.read(records)
        for key in unreadable:
            self.poison.park(self.name, key, "unreadable_message")
        counts = Counter(records=len(records), set_aside=len(unreadable))
        counts.update(self._take(items))
        return counts

    def _take(self, items: Sequence[T]) -> Counter[str]:
        try:
            return self.take(items)
        except ParkError:
            return self._one_by_one(items)
        except TributaryError:
            raise
        except Exception:
            return self._one_by_one(items)

    def _one_by_one(self, items: Sequence[T]) -> Counter[str]:
        """Some item meets a fault of ours, or can never be taken. Each by itself: the one that still is not is set aside, and the rest goes on. Where none of
        several gets through for a fault, the fault is not theirs: they wait for the next deploy."""
        counts: Counter[str] = Counter()
        faulty: list[tuple[T, str]] = []
        refused: list[tuple[T, str]] = []
        for item in items:
            try:
                counts.update(self.take([item]))
            except ParkError as error:
                refused.append((item, error.code))
            except TributaryError:
                raise
            except Exception as error:
                faulty.append((item, f"unexpected: {place_of(error)}"))
        if len(faulty) == len(items) > 1:
            raise Unexpected(f"every item of a batch: {faulty[0][1]}")
        for item, reason in (*refused, *faulty):
            self.poison.park(self.name, self.form.key(item), reason, self.form.body(item))
        counts["set_aside"] = len(refused) + len(faulty)
        return counts
