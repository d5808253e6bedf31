"""What write_facts does with a batch of the facts queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from tests.kit.builders import NOON
from tests.kit.stores import MemoryPoison
from tributary.errors import StoreUnavailable, Unexpected
from tributary.facts.message import pack
from tributary.facts.tables import Fact, Kind, TouchFact
from tributary.facts.writing import WriteFacts
from tributary.generations import Generations


class Sink:
    """`FactSink` that keeps what it is given, call by call; `fail` may raise first."""

    def __init__(self, fail: Callable[[Sequence[Fact]], None] = lambda _: None) -> None:
        self.calls: list[list[str]] = []
        self._fail = fail

    def append(self, rows: Mapping[Kind, Sequence[Fact]]) -> None:
        facts = [fact for kind in rows for fact in rows[kind]]
        self._fail(facts)
        self.calls.append([fact.key for fact in facts])


class DownPoison(MemoryPoison):
    def park(self, place: str, key: str, code: str, body: bytes = b"") -> None:
        raise StoreUnavailable("the table is down")


class Served:
    """`CurrentGenerations`: these, and others once it is asked to look anew."""

    def __init__(self, before: Generations, after: Generations | None = None) -> None:
        self._before = before
        self._after = after or before

    def now(self, *, fresh: bool = False) -> Generations:
        return self._after if fresh else self._before


def writer(sink: Sink, poison: MemoryPoison) -> WriteFacts:
    return WriteFacts(sink_of=lambda _: sink, generations=Served(Generations()), poison=poison)


def touch(key: str, channel: str = "email") -> TouchFact:
    return TouchFact(key=key, person="p", happened_at=NOON, connection="src_shop", channel=channel)


def message(*keys: str, channel: str = "email") -> str:
    (body,) = pack({Kind.TOUCHES: [touch(key, channel) for key in keys]})
    return body


def refusing(channel: str, error: Exception) -> Callable[[Sequence[Fact]], None]:
    def fail(facts: Sequence[Fact]) -> None:
        if any(isinstance(fact, TouchFact) and fact.channel == channel for fact in facts):
            raise error

    return fail


def test_all_messages_of_a_batch_are_written_at_once() -> None:
    sink = Sink()
    outcome = writer(sink, MemoryPoison()).handle([("1", message("a", "b")), ("2", message("c"))])
    assert sink.calls == [["a", "b", "c"]]
    assert (outcome.failed, outcome.counts["rows"]) == ([], 3)


def test_a_message_that_cannot_be_read_is_set_aside_and_the_rest_is_written() -> None:
    sink, poison = Sink(), MemoryPoison()
    outcome = writer(sink, poison).handle([("1", "{"), ("2", message("a"))])
    assert (sink.calls, outcome.failed, outcome.counts["set_aside"]) == ([["a"]], [], 1)
    assert [(row.place, row.key, row.code, row.body) for row in poison.rows.values()] == [("write_facts", "1", "unreadable_message", b"{")]


def test_a_message_of_a_newer_release_is_handed_back_and_the_rest_is_written() -> None:
    sink, poison = Sink(), MemoryPoison()
    outcome = writer(sink, poison).handle([("1", '{"schemaVersion":2,"colours":[]}'), ("2", message("a"))])
    assert (sink.calls, outcome.failed, poison.rows) == ([["a"]], ["1"], {})


def test_a_store_that_fails_gives_every_message_back() -> None:
    sink = Sink(refusing("email", StoreUnavailable("no")))
    outcome = writer(sink, MemoryPoison()).handle([("1", message("a")), ("2", message("b"))])
    assert (outcome.failed, outcome.counts["retried"]) == (["1", "2"], 2)


def test_a_message_that_meets_a_fault_of_ours_is_set_aside_and_the_rest_is_written() -> None:
    sink, poison = Sink(refusing("odd", TypeError("ana@quay.example"))), MemoryPoison()
    outcome = writer(sink, poison).handle([("1", message("a")), ("2", message("b", channel="odd")), ("3", message("c"))])
    assert (sink.calls, outcome.failed) == ([["a"], ["c"]], [])
    (row,) = poison.rows.values()
    assert row.key == "2"
    assert row.code.startswith("unexpected: TypeError at test_writing.py:")


def test_a_fault_that_every_message_meets_waits_for_the_next_deploy() -> None:
    poison = MemoryPoison()
    with pytest.raises(Unexpected) as raised:
        writer(Sink(refusing("email", TypeError("ana@quay.example"))), poison).handle([("1", message("a")), ("2", message("b"))])
    assert poison.rows == {}
    assert "ana@" not in str(raised.value)


def test_what_cannot_even_be_set_aside_is_handed_back() -> None:
    outcome = writer(Sink(), DownPoison()).handle([("1", "{"), ("2", message("a"))])
    assert outcome.failed == ["1"]


def test_what_is_of_no_generation_goes_to_all_that_are_written_and_else_to_its_own() -> None:
    sinks = {1: Sink(), 2: Sink()}
    write = WriteFacts(sink_of=sinks.__getitem__, generations=Served(Generations(serving=1, building=2)), poison=MemoryPoison())
    of = {generation: next(pack({Kind.TOUCHES: [touch(f"of {generation}")]}, generation=generation)) for generation in (1, 2)}

    write.handle([("1", message("a")), ("2", of[1]), ("3", of[2])])

    assert (sinks[1].calls, sinks[2].calls) == ([["a", "of 1"]], [["a", "of 2"]])


def test_of_a_generation_that_is_retired_nothing_is_written_and_of_one_that_began_just_now_all_is() -> None:
    sinks = {2: Sink(), 3: Sink()}
    served = Served(Generations(serving=2, retired=1), Generations(serving=2, building=3))
    write = WriteFacts(sink_of=sinks.__getitem__, generations=served, poison=MemoryPoison())
    of = {generation: next(pack({Kind.TOUCHES: [touch(f"of {generation}")]}, generation=generation)) for generation in (1, 3)}

    assert write.handle([("1", of[1]), ("2", of[3])]).failed == []

    assert (sinks[2].calls, sinks[3].calls) == ([], [["of 3"]])
