"""The record service on in-memory stores."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.kit.builders import NOON, identify, later, page, track
from tests.kit.stores import MemoryEventLog, MemoryFeed, MemoryPoison, MemorySuppressions
from tributary.events import Event
from tributary.identity.digests import Digests
from tributary.identity.identifiers import Identifier
from tributary.messages import IngestMessage, Rejected, to_text
from tributary.ports import FeedStatus
from tributary.record.service import Outcome, Record, Retention

DIGESTS = Digests(b"key")


class Bench:
    """The service with its stores at hand."""

    def __init__(self, retention: Retention | None = None) -> None:
        self.log, self.feed, self.suppressions, self.poison = MemoryEventLog(), MemoryFeed(), MemorySuppressions(), MemoryPoison()
        self._record = Record(
            log=self.log, feed=self.feed, suppressions=self.suppressions, digests=DIGESTS, poison=self.poison, retention=retention or Retention()
        )

    def receive(self, *messages: tuple[str, str], seconds: float = 60) -> Outcome:
        """`seconds`: how long the function has; every put takes a tenth of one."""
        return self._record.handle(messages, remaining=lambda: seconds - len(self.log.inserted) / 10)

    @property
    def recorded(self) -> list[str]:
        return [event.message_id for event in self.log.inserted]


def message(*events: Event, message_id: str = "q-1", rejected: list[Rejected] | None = None) -> tuple[str, str]:
    return message_id, to_text(IngestMessage(source="src_shop", received_at=NOON, events=list(events), rejected=rejected or []))


def test_every_event_of_a_request_is_recorded_and_listed() -> None:
    bench = Bench()
    outcome = bench.receive(message(track(message_id="a", user_id="u"), page(message_id="b", anonymous_id="x", index=1)))
    assert outcome.failed == []
    assert bench.recorded == ["a", "b"]
    assert [(line.message_id, line.status, line.name) for line in bench.feed.entries] == [
        ("a", FeedStatus.ACCEPTED, "Berth Booked"),
        ("b", FeedStatus.ACCEPTED, "Home"),
    ]


def test_of_two_requests_that_a_queue_swapped_the_earlier_is_recorded_first() -> None:
    bench = Bench()
    early = ("q-1", to_text(IngestMessage(source="src_shop", received_at=NOON, events=[track(message_id="a", user_id="u")])))
    late = ("q-2", to_text(IngestMessage(source="src_shop", received_at=later(1), events=[track(message_id="b", user_id="u", received_at=later(1))])))
    bench.receive(late, early)
    assert bench.recorded == ["a", "b"]


def test_a_resent_batch_changes_nothing_and_is_not_listed_again() -> None:
    bench = Bench()
    first = track(message_id="a", user_id="u", original_timestamp=NOON)
    again = track(message_id="a", user_id="u", original_timestamp=NOON, received_at=later(60), timestamp=NOON)
    bench.receive(message(first))
    outcome = bench.receive(message(again, message_id="q-2"))
    assert outcome.counts["repeated"] == 1
    assert bench.log.inserted == [first]
    assert len(bench.feed.entries) == 1


def test_a_batch_that_holds_a_message_id_twice_is_recorded_once_and_does_not_come_back() -> None:
    bench = Bench()
    twice = [track(message_id="a", user_id="u", original_timestamp=NOON, index=index) for index in (0, 1)]
    outcome = bench.receive(message(*twice))
    assert outcome.failed == []
    assert bench.recorded == ["a"]
    assert outcome.counts["repeated"] == 1


def test_a_repeat_with_other_content_changes_nothing_and_is_listed_with_its_reason() -> None:
    bench = Bench()
    bench.receive(message(track(message_id="a", user_id="u", properties={"n": 1})))
    bench.receive(message(track(message_id="a", user_id="u", properties={"n": 2}), message_id="q-2"))
    assert [event.properties for event in bench.log.inserted if event.type == "track"] == [{"n": 1}]  # type: ignore[union-attr]
    line = bench.feed.batches["q-2"][0]
    assert (line.status, line.code, line.field) == (FeedStatus.REJECTED, "message_id_reused", "messageId")
    assert line.event_key is None, "under it stands the first"
    assert '"properties":{"n":2}' in (line.body or "")


def test_the_same_message_id_from_two_sources_is_two_events() -> None:
    bench = Bench()
    bench.receive(message(track(message_id="a", user_id="u"), track(message_id="a", user_id="u", source="src_other")))
    assert len(bench.log.inserted) == 2


def test_an_item_that_intake_refused_is_listed_with_code_field_and_body() -> None:
    bench = Bench()
    refused = Rejected(code="event_not_defined", field="event", message="a track call needs an event name", index=3, type="track", body='{"type":"track"}')
    bench.receive(message(rejected=[refused]))
    line = bench.feed.entries[0]
    assert (line.status, line.code, line.field, line.body) == (FeedStatus.REJECTED, "event_not_defined", "event", '{"type":"track"}')


def test_a_failed_put_hands_back_its_own_message_alone_and_the_retry_lists_every_event_once() -> None:
    bench = Bench()
    bench.log.fail.add("b")
    one = message(track(message_id="a", user_id="u"), track(message_id="b", user_id="v"), message_id="q-1")
    other = message(track(message_id="c", user_id="w"), message_id="q-2")
    outcome = bench.receive(one, other)
    assert outcome.failed == ["q-1"]
    assert bench.receive(one).failed == []
    assert sorted(bench.recorded) == ["a", "b", "c"]
    assert sorted(line.message_id or "" for line in bench.feed.entries) == ["a", "b", "c"]


def test_a_put_whose_answer_was_lost_is_recognised_as_our_own() -> None:
    bench = Bench()
    bench.log.lose_answer.add("a")
    one = message(track(message_id="a", user_id="u"))
    assert bench.receive(one).failed == ["q-1"]
    outcome = bench.receive(one)
    assert outcome.counts["recorded"] == 1
    assert bench.recorded == ["a"]
    assert [line.status for line in bench.feed.entries] == [FeedStatus.ACCEPTED]


def test_a_slow_log_hands_back_what_the_time_does_not_suffice_for_and_the_next_time_ends_it() -> None:
    bench = Bench()
    long = message(*[track(message_id=f"a-{number}", index=number) for number in range(400)], message_id="q-1")
    late = message(track(message_id="b"), message_id="q-2")
    outcome = bench.receive(long, late, seconds=40)
    assert outcome.failed == ["q-1", "q-2"]
    assert len(bench.recorded) == 300
    assert bench.feed.entries == []
    assert bench.receive(long, late, seconds=100).failed == []
    assert len(bench.recorded) == len(bench.feed.entries) == 401


def test_a_list_that_cannot_be_written_hands_the_message_back() -> None:
    bench = Bench()
    bench.feed.fail_next = True
    one = message(track(message_id="a", user_id="u"))
    assert bench.receive(one).failed == ["q-1"]
    assert bench.receive(one).failed == []
    assert bench.recorded == ["a"]
    assert len(bench.feed.entries) == 1


def test_a_message_that_cannot_be_read_is_set_aside_and_blocks_nobody() -> None:
    bench = Bench()
    outcome = bench.receive(("q-1", '{"schemaVersion":9}'), ("q-2", "\ud800"), message(track(message_id="a"), message_id="q-3"))
    assert outcome.failed == []
    assert {row.key for row in bench.poison.rows.values()} == {"q-1", "q-2"}
    assert bench.recorded == ["a"]


@pytest.mark.parametrize(
    "event",
    [
        track(user_id="orla-12"),
        page(anonymous_id="orla-12"),
        identify(user_id="other", traits={"email": "Orla@Harbour.example"}),
        track(user_id="other", properties={"email": "Orla@Harbour.example"}),
        track(user_id="other", properties={"email": "Orla@Harbour.example"}, context={"traits": {"email": "ulf@harbour.example"}}),
        track(user_id="orla@harbour.example"),
    ],
)
def test_an_erased_persons_events_are_dropped_with_a_count(event: Event) -> None:
    bench = Bench()
    erased = [Identifier("user", "orla-12"), Identifier("anonymous", "orla-12"), Identifier("email", "orla@harbour.example")]
    bench.suppressions.digests = {DIGESTS.of(identifier) for identifier in erased}
    outcome = bench.receive(message(event, track(message_id="other", user_id="ulf-3")))
    assert bench.recorded == ["other"]
    assert outcome.counts["suppressed"] == 1
    assert [line.message_id for line in bench.feed.entries] == ["other"]


def test_a_whole_batch_asks_the_suppression_list_once() -> None:
    bench = Bench()
    bench.receive(*[message(track(user_id=f"u-{n}"), page(anonymous_id=f"a-{n}"), message_id=f"q-{n}") for n in range(10)])
    assert bench.suppressions.calls == 1


def test_an_unanswered_suppression_list_records_nobody() -> None:
    bench = Bench()
    bench.suppressions.fail_next = True
    assert bench.receive(message(track(user_id="u"))).failed == ["q-1"]
    assert bench.recorded == []


class TestRetention:
    @pytest.mark.parametrize("days", [1, 35])
    def test_one_that_a_re_walk_reaches_past_is_refused(self, days: int) -> None:
        with pytest.raises(ValueError, match="RETENTION_DAYS"):
            Retention(timedelta(days=days))

    @pytest.mark.parametrize(
        ("event", "expires"),
        [
            (page(user_id="u"), True),
            (track(anonymous_id="a"), True),
            (track(user_id="guest", anonymous_id="a"), True),
            (track(anonymous_id="a", properties={"email": "orla@harbour.example"}), False),
            (identify(anonymous_id="a", traits={"email": "orla@harbour.example"}), False),
            (identify(anonymous_id="a"), True),
            (track(user_id="u"), False),
            (identify(user_id="u"), False),
            (track(anonymous_id="a", owner="konnektive#c#1"), False),
        ],
    )
    def test_touches_page_screen_and_anonymous_events_only_and_counts_from_receipt(self, event: Event, expires: bool) -> None:
        expected = event.received_at + timedelta(days=60) if expires else None
        assert Retention(timedelta(days=60)).expiry_of(event) == expected
        assert Retention().expiry_of(event) is None

    def test_a_live_event_older_than_it_is_refused_with_a_code_and_a_backfilled_one_is_not(self) -> None:
        bench = Bench(Retention(timedelta(days=60)))
        old: dict[str, Any] = {"anonymous_id": "a", "timestamp": NOON - timedelta(days=61)}
        bench.receive(message(page(message_id="live", **old), page(message_id="history", origin="history", **old)))
        assert bench.recorded == ["history"]
        refused = [line for line in bench.feed.entries if line.status is FeedStatus.REJECTED]
        assert [(line.message_id, line.code, line.field) for line in refused] == [("live", "older_than_retention", "timestamp")]

    def test_a_resend_whose_clock_is_corrected_to_now_is_as_old_as_it_says(self) -> None:
        bench = Bench(Retention(timedelta(days=60)))
        resent = page(message_id="m", anonymous_id="a", original_timestamp=NOON - timedelta(days=61), timestamp=NOON)
        bench.receive(message(resent, track(message_id="u", user_id="u", timestamp=NOON - timedelta(days=61))))
        assert bench.recorded == ["u"]
