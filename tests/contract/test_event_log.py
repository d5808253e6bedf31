"""The log: the fake and DynamoDB keep the same promises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.builders import NOON, later, page, track
from tests.kit.moto import Faults, dynamodb_table
from tests.kit.stores import MemoryEventLog
from tributary.adapters.event_log import DynamoEventLog
from tributary.errors import StoreUnavailable
from tributary.ports import EventLog, Put


@pytest.fixture(params=["memory", "dynamodb"])
def log(request: pytest.FixtureRequest) -> Iterator[EventLog]:
    if request.param == "memory":
        yield MemoryEventLog()
    else:
        with dynamodb_table() as client:
            yield DynamoEventLog(lambda: client, "table")


def test_each_event_is_put_once_and_the_first_wins(log: EventLog) -> None:
    first = track(message_id="a", user_id="u", properties={"n": 1}, original_timestamp=NOON)
    assert log.put([first]) == [Put.NEW]
    resent = track(message_id="a", user_id="u", properties={"n": 1}, original_timestamp=NOON, received_at=later(9), timestamp=NOON)
    assert log.put([resent]) == [Put.REPEATED]
    changed = track(message_id="a", user_id="u", properties={"n": 2}, original_timestamp=NOON, received_at=later(9))
    assert log.put([changed]) == [Put.CHANGED]
    assert list(log.of("user#u")) == [first]


def test_our_own_put_is_known_again_by_its_stamp(log: EventLog) -> None:
    event = track(message_id="a", user_id="u")
    assert log.put([event]) == [Put.NEW]
    assert log.put([event]) == [Put.NEW]
    assert list(log.of("user#u")) == [event]


def test_the_same_events_in_another_request_of_the_same_millisecond_are_repeats(log: EventLog) -> None:
    event = track(message_id="a", user_id="u")
    assert log.put([event], batch="q-1") == [Put.NEW]
    assert log.put([event], batch="q-2") == [Put.REPEATED]
    assert log.put([event], batch="q-1") == [Put.NEW]


def test_a_message_id_that_stands_twice_in_one_call_is_put_once(log: EventLog) -> None:
    assert log.put([track(message_id="a", user_id="u", index=index) for index in (0, 1)]) == [Put.NEW, Put.REPEATED]


def test_answers_come_in_the_order_of_the_events(log: EventLog) -> None:
    old = track(message_id="0", user_id="u")
    log.put([old])
    events = [track(message_id=str(n), user_id=f"u{n % 3}" if n else "u", index=9) for n in range(20)]
    answers = log.put(events)
    assert answers[0] is not Put.NEW
    assert answers[1:] == [Put.NEW] * 19


def test_a_journey_is_read_by_identifier_and_holds_nobody_elses(log: EventLog) -> None:
    mine = [page(message_id=str(n), anonymous_id="a") for n in range(3)]
    log.put([*mine, page(anonymous_id="ab")])
    assert {event.message_id for event in log.of("anon#a")} == {"0", "1", "2"}
    assert log.get("anon#a", "src_shop", "1") == mine[1]
    assert log.get("anon#a", "src_shop", "9") is None


def test_every_page_of_a_long_journey_is_read() -> None:
    with dynamodb_table() as client:
        log = DynamoEventLog(lambda: client, "table")
        import os

        log.put([track(message_id=str(n), user_id="u", properties={"blob": os.urandom(9_000).hex()}) for n in range(120)])
        faults = Faults(client)
        assert len(list(log.of("user#u"))) == 120
        assert faults.calls.count("Query") > 1


@pytest.mark.parametrize("times", [1, 3])
def test_a_lost_answer_is_a_put_of_our_own(times: int) -> None:
    """Lost once: the SDK tries again by itself and meets the condition. Lost thrice: the batch comes again and meets it then."""
    with dynamodb_table() as client:
        log = DynamoEventLog(lambda: client, "table")
        event = track(message_id="a", user_id="u")
        Faults(client).lose_answer("PutItem", times=times)
        if times == 3:
            with pytest.raises(StoreUnavailable):
                log.put([event])
        assert log.put([event]) == [Put.NEW]
        assert list(log.of("user#u")) == [event]


def test_a_throttled_log_fails_the_batch_and_what_was_put_stays() -> None:
    with dynamodb_table() as client:
        log = DynamoEventLog(lambda: client, "table")
        faults = Faults(client)
        faults.refuse("PutItem", times=3, status=400, body=b'{"__type":"ProvisionedThroughputExceededException","message":"slow down"}')
        events = [track(message_id=str(n), user_id="u") for n in range(3)]
        with pytest.raises(StoreUnavailable, match="ProvisionedThroughputExceeded"):
            log.put(events)
        assert log.put(events) == [Put.NEW] * 3


def test_an_expiry_is_kept_as_the_tables_ttl() -> None:
    with dynamodb_table() as client:
        DynamoEventLog(lambda: client, "table", lambda event: later(60) if event.type == "page" else None).put([page(message_id="p"), track(message_id="t")])
        items = client.scan(TableName="table")["Items"]
        assert {item["t"]["S"]: item.get("ttl") for item in items} == {"page": {"N": str(int(later(60).timestamp()))}, "track": None}
