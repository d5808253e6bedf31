"""Facts queue → FACTS. Many messages become few files: all rows of a batch are appended at once.

A message that can never be written is set aside and holds up nobody; everything else is written, or handed back and written later. Rows that are written twice
do no harm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tributary.errors import ParkError, RetryError, TributaryError, Unexpected, place_of
from tributary.facts.message import FactsMessage, unpack
from tributary.facts.tables import Fact, Kind
from tributary.ports import CurrentGenerations, FactSink, PoisonRecords

PLACE: Final = "write_facts"


@dataclass
class Outcome:
    """What became of a batch."""

    failed: list[str] = field(default_factory=list)
    """Ids of the queue messages to hand back."""
    counts: Counter[str] = field(default_factory=Counter)
    """Rows written: rows; messages: set_aside, retried."""


@dataclass(frozen=True)
class _Read:
    id: str
    body: str
    message: FactsMessage


class WriteFacts:
    """The write_facts service. `sink_of`: where the facts of a generation go."""

    def __init__(self, *, sink_of: Callable[[int], FactSink], generations: CurrentGenerations, poison: PoisonRecords) -> None:
        self._sink_of = sink_of
        self._generations = generations
        self._poison = poison

    def handle(self, messages: Sequence[tuple[str, str]]) -> Outcome:
        """`messages`: (queue message id, body). Raises `Unexpected` where a fault of ours meets all of several: they wait for the next deploy."""
        outcome = Outcome()
        readable: list[_Read] = []
        for message_id, body in messages:
            try:
                readable.append(_Read(message_id, body, unpack(body)))
            except RetryError:  # of a newer release
                _hand_back(message_id, outcome)
            except ParkError as error:
                self._set_aside(message_id, body, error.code, outcome)
        if readable:
            self._write(readable, outcome)
        return outcome

    def _write(self, readable: Sequence[_Read], outcome: Outcome) -> None:
        try:
            self._append(readable, outcome)
        except RetryError:
            for one in readable:
                _hand_back(one.id, outcome)
        except Exception:
            self._one_by_one(readable, outcome)

    def _one_by_one(self, readable: Sequence[_Read], outcome: Outcome) -> None:
        """Some message meets a fault of ours. Each by itself: the one that still does is set aside."""
        faulty: list[tuple[_Read, str]] = []
        for one in readable:
            try:
                self._append([one], outcome)
            except RetryError:
                _hand_back(one.id, outcome)
            except TributaryError as error:
                faulty.append((one, error.code))
            except Exception as error:
                faulty.append((one, f"unexpected: {place_of(error)}"))
        if len(faulty) == len(readable) > 1:
            raise Unexpected(f"every message of a batch: {faulty[0][1]}")
        for one, reason in faulty:
            self._set_aside(one.id, one.body, reason, outcome)

    def _append(self, readable: Sequence[_Read], outcome: Outcome) -> None:
        """Facts of a generation that is not written any more are dropped."""
        written = self._generations.now().written
        if any(one.message.generation not in (None, *written) for one in readable):
            written = self._generations.now(fresh=True).written  # one that has just begun is not to lose its first facts
        for generation in written:
            rows = _together(one.message for one in readable if one.message.generation in (None, generation))
            if rows:
                self._sink_of(generation).append(rows)
                outcome.counts["rows"] += sum(map(len, rows.values()))

    def _set_aside(self, message_id: str, body: str, code: str, outcome: Outcome) -> None:
        try:
            self._poison.park(PLACE, message_id, code, body.encode(errors="surrogatepass"))
            outcome.counts["set_aside"] += 1
        except RetryError:
            _hand_back(message_id, outcome)


def _together(messages: Iterable[FactsMessage]) -> dict[Kind, list[Fact]]:
    rows: dict[Kind, list[Fact]] = {}
    for message in messages:
        for kind, facts in message.rows().items():
            rows.setdefault(kind, []).extend(facts)
    return rows


def _hand_back(message_id: str, outcome: Outcome) -> None:
    outcome.failed.append(message_id)
    outcome.counts["retried"] += 1
