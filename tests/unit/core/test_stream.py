"""What becomes of a stream batch, for every function that reads one."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from tests.kit.builders import track
from tests.kit.stores import MemoryPoison
from tributary.errors import StoreUnavailable, Unexpected, UnreadableMessage
from tributary.events import Event
from tributary.log_codec import key_of, pack, unpack
from tributary.stream import LOG, StreamReader


class Work:
    """Takes events, and falls over some of them."""

    def __init__(self, faulty: set[str], error: type[Exception] = TypeError) -> None:
        self.faulty = faulty
        self.error = error
        self.taken: list[str] = []

    def __call__(self, events: Sequence[Event]) -> Counter[str]:
        if any(event.message_id in self.faulty for event in events):
            raise self.error("ana@quay.example is not what it should be")
        self.taken += [event.message_id for event in events]
        return Counter(done=len(events))


def record_of(event: Event, packed: bytes | None = None) -> dict[str, Any]:
    partition, sort = key_of(event)
    image = {"p": {"B": base64.b64encode(pack(event) if packed is None else packed).decode()}}
    return {"eventName": "INSERT", "dynamodb": {"Keys": {"pk": {"S": partition}, "sk": {"S": sort}}, "NewImage": image}}


def read(work: Work, poison: MemoryPoison, *records: dict[str, Any]) -> Counter[str]:
    return StreamReader("fan_out", work, poison, LOG).read(records)


def test_a_batch_is_taken_at_once() -> None:
    work = Work(set())
    counts = read(work, MemoryPoison(), record_of(track(message_id="a")), record_of(track(message_id="b")))
    assert work.taken == ["a", "b"]
    assert counts == {"records": 2, "done": 2, "set_aside": 0}


def test_a_record_that_cannot_be_read_is_set_aside_and_the_rest_goes_on() -> None:
    work, poison = Work(set()), MemoryPoison()
    counts = read(work, poison, record_of(track(user_id="1", message_id="bad"), b"!!"), record_of(track(message_id="good")))
    assert work.taken == ["good"]
    assert counts["set_aside"] == 1
    assert [(row.place, row.key, row.code) for row in poison.rows.values()] == [("fan_out", "user#1|event#src_shop#bad", "unreadable_message")]


def test_an_event_that_meets_a_fault_of_ours_is_set_aside_and_the_rest_goes_on() -> None:
    work, poison = Work({"bad"}), MemoryPoison()
    bad = track(user_id="2", message_id="bad")
    counts = read(work, poison, record_of(track(message_id="good")), record_of(bad), record_of(track(message_id="fine")))
    assert work.taken == ["good", "fine"]
    assert (counts["done"], counts["set_aside"]) == (2, 1)
    (row,) = poison.rows.values()
    assert (row.place, row.key) == ("fan_out", "user#2|event#src_shop#bad")
    assert row.code.startswith("unexpected: TypeError at test_stream.py:")
    assert unpack(row.body) == bad


def test_a_fault_that_every_event_meets_waits_for_the_next_deploy_and_tells_nothing_personal() -> None:
    poison = MemoryPoison()
    with pytest.raises(Unexpected) as raised:
        read(Work({"a", "b"}), poison, record_of(track(message_id="a")), record_of(track(message_id="b")))
    assert poison.rows == {}
    assert "ana@" not in str(raised.value)


def test_a_store_that_fails_gives_the_whole_batch_back() -> None:
    poison = MemoryPoison()
    with pytest.raises(StoreUnavailable):
        read(Work({"a"}, StoreUnavailable), poison, record_of(track(message_id="a")), record_of(track(message_id="b")))
    assert poison.rows == {}


def test_what_can_never_be_taken_is_set_aside_by_its_code_and_the_rest_goes_on() -> None:
    work, poison = Work({"bad"}, UnreadableMessage), MemoryPoison()
    counts = read(work, poison, record_of(track(message_id="good")), record_of(track(message_id="bad")))
    assert (work.taken, counts["set_aside"]) == (["good"], 1)
    assert [row.code for row in poison.rows.values()] == ["unreadable_message"]
