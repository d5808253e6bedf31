"""Batches: whatever is entered, replaced, taken back and told twice, readers see the newest row of each key; and nothing that was kept is lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.config import MemoryRows, MovingClock
from tests.kit.entered import MemoryBatchFiles, MemoryFactSink
from tributary.entered.batches import AD_SPEND, Batches, KeyReused
from tributary.errors import StoreUnavailable
from tributary.facts.tables import AdSpendFact, Kind
from tributary.identity.digests import public_digest
from tributary.operator import NotFound, Row, VersionConflict


class Bench:
    def __init__(self) -> None:
        self.clock, self.rows, self.files, self.sink = MovingClock(), MemoryRows(), MemoryBatchFiles(), MemoryFactSink()
        self.batches = Batches(AD_SPEND, rows=self.rows, files=self.files, sink=self.sink, now=self.clock.now)

    def standing(self) -> dict[str, int]:
        """Advertisement → what it cost, as readers see it."""
        return {str(fact.ad_id): fact.spend for fact in self.sink.standing(Kind.AD_SPEND, AdSpendFact).values()}

    def enter(self, key: str | None = None, **spent: int) -> str:
        return self.batches.enter([fact(ad, spend) for ad, spend in spent.items()], key=key).batch.id


def fact(ad: str, spend: int, day: date = date(2026, 3, 1)) -> AdSpendFact:
    return AdSpendFact(key=public_digest(ad, day.isoformat()), batch="", day=day, platform="facebook", ad_id=ad, currency="USD", spend=spend)


class Crash(BaseException):
    """The function died."""


class Dying:
    """Wraps a store: its calls after the `left` first ones kill the function, before or after they did their work."""

    def __init__(self, behind: Any, countdown: list[int], *, after: bool) -> None:
        self._behind = behind
        self._countdown = countdown
        self._after = after

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._behind, name)

        def called(*args: Any, **named: Any) -> Any:
            self._countdown[0] -= 1
            if self._countdown[0] < 0 and not self._after:
                raise Crash
            answer = method(*args, **named)
            if self._countdown[0] < 0:
                raise Crash
            return answer

        return called


def dying(bench: Bench, calls: int, *, after: bool) -> Batches[AdSpendFact]:
    left = [calls]
    return Batches(
        AD_SPEND,
        rows=Dying(bench.rows, left, after=after),
        files=Dying(bench.files, left, after=after),
        sink=Dying(bench.sink, left, after=after),
        now=bench.clock.now,
    )


def test_taking_back_the_newest_shows_the_one_before_it_and_so_on() -> None:
    bench = Bench()
    first, second, third = bench.enter(a=1, b=1), bench.enter(a=2), bench.enter(a=3, c=3)
    bench.batches.delete(third)
    assert bench.standing() == {"a": 2, "b": 1}
    bench.batches.delete(first)
    assert bench.standing() == {"a": 2}
    bench.batches.delete(second)
    assert bench.standing() == {}
    assert bench.files.files == {}


def test_taking_back_one_that_was_replaced_already_changes_nothing() -> None:
    bench = Bench()
    first = bench.enter(a=1)
    bench.enter(a=2)
    bench.batches.delete(first)
    assert bench.standing() == {"a": 2}


def test_what_is_entered_after_something_was_taken_back_is_the_newest_also_within_the_same_moment() -> None:
    bench = Bench()
    first = bench.enter(a=1)
    bench.batches.delete(first)
    again = bench.enter(a=1)
    assert again != first
    assert bench.standing() == {"a": 1}


def test_the_same_rows_again_are_the_same_batch_while_nothing_else_touched_their_days() -> None:
    bench = Bench()
    first = bench.enter(a=1, b=2)
    assert bench.batches.enter([fact("b", 2), fact("a", 1)]).repeated
    bench.batches.enter([fact("z", 9, date(2026, 3, 2))])
    assert bench.enter(a=1, b=2) == first
    later = bench.enter(a=7)
    again = bench.enter(a=1, b=2)
    assert again != first
    bench.batches.delete(later)
    assert bench.enter(a=1, b=2) == again
    assert bench.standing()["a"] == 1


def test_a_key_means_one_batch_whatever_came_after_it() -> None:
    bench = Bench()
    first = bench.enter("run", a=1)
    bench.enter(a=2)
    assert bench.enter("run", a=1) == first
    assert bench.standing() == {"a": 2}
    assert bench.enter("another", a=1) != first
    with pytest.raises(KeyReused):
        bench.enter("run", a=3)


def test_a_batch_that_there_is_not_cannot_be_taken_back_and_one_that_went_may_be_again() -> None:
    bench = Bench()
    with pytest.raises(NotFound):
        bench.batches.delete("spend_none")
    first = bench.enter(a=1)
    bench.batches.delete(first)
    told = len(bench.sink.told)
    bench.batches.delete(first)
    assert len(bench.sink.told) == told
    with pytest.raises(NotFound):
        bench.batches.one(first)


def test_two_who_enter_at_the_same_moment_are_both_kept_in_one_order() -> None:
    bench = Bench()
    bench.rows.before_commit = lambda: bench.enter(a=2)
    bench.enter(a=1)
    assert bench.standing() == {"a": 1}
    assert len({batch.number for batch in bench.batches.all()}) == 2
    assert bench.files.files.keys() == {f"ad-spend/{batch.id}" for batch in bench.batches.all()}


def test_the_same_that_somebody_enters_while_it_is_looked_for_is_seen() -> None:
    bench = Bench()
    ids: list[str] = []

    class Meanwhile(MemoryRows):
        def get(self, pk: str, sk: str) -> Row | None:
            if pk == "entered" and not ids:
                ids.append(bench.enter(a=1))
            return bench.rows.get(pk, sk)

        def under(self, pk: str) -> Any:
            return bench.rows.under(pk)

        def commit(self, changes: Any) -> None:
            bench.rows.commit(changes)

    batches = Batches(AD_SPEND, rows=Meanwhile(), files=bench.files, sink=bench.sink, now=bench.clock.now)
    assert [batches.enter([fact("a", 1)]).batch.id] == ids
    assert [batch.id for batch in bench.batches.all()] == ids


def test_taking_back_reads_the_files_of_its_days_alone_and_none_older_than_it_needs() -> None:
    bench = Bench()
    bench.batches.enter([fact("a", 1)])
    bench.batches.enter([fact("a", 2)])
    bench.batches.enter([fact("a", 9, date(2026, 4, 1))])
    last = bench.enter(a=3)
    bench.files.read.clear()
    bench.batches.delete(last)
    assert len(bench.files.read) == 2  # its own, and the one that it had hidden
    assert bench.sink.told[-1][1].version > bench.sink.told[-2][1].version


def test_two_who_send_the_same_at_the_same_moment_have_one_batch() -> None:
    bench = Bench()
    ids: list[str] = []
    bench.rows.before_commit = lambda: ids.append(bench.enter(a=1))
    assert [bench.enter(a=1)] == ids
    assert bench.files.files.keys() == {f"ad-spend/{ids[0]}"}


def test_a_batch_taken_back_while_its_rows_are_on_their_way_is_told_as_gone_by_whoever_comes_next() -> None:
    bench = Bench()
    sink = bench.sink

    class TakingBack(MemoryFactSink):
        def append(self, rows: Any) -> None:
            [batch] = bench.batches.all()
            sink.refuse = 1
            with pytest.raises(StoreUnavailable):
                bench.batches.delete(batch.id)
            sink.append(rows)

    Batches(AD_SPEND, rows=bench.rows, files=bench.files, sink=TakingBack(), now=bench.clock.now).enter([fact("a", 1)])
    assert bench.standing() == {"a": 1}  # the deletion was kept, its caller got no answer
    bench.batches.settle()
    assert bench.standing() == {}


def test_a_store_that_is_always_quicker_is_given_up_and_nothing_is_kept() -> None:
    bench = Bench()

    class Quicker(MemoryRows):
        def commit(self, changes: Any) -> None:
            raise VersionConflict("it was changed")

    with pytest.raises(StoreUnavailable):
        Batches(AD_SPEND, rows=Quicker(), files=bench.files, sink=bench.sink, now=bench.clock.now).enter([fact("a", 1)])
    assert bench.sink.told == []


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("key", [None, "run"])
def test_a_function_that_dies_anywhere_while_entering_leaves_what_the_same_request_completes(after: bool, key: str | None) -> None:
    for calls in range(30):
        bench = Bench()
        bench.enter(a=1, b=1)
        try:
            dying(bench, calls, after=after).enter([fact("a", 2)], key=key)
        except Crash:
            pass
        else:
            assert calls > 7
            return
        bench.enter(key, a=2)
        assert bench.standing() == {"a": 2, "b": 1}
        assert len(bench.batches.all()) == 2
        assert bench.batches.waiting() == set()
    raise AssertionError("it never came to its end")


@pytest.mark.parametrize("after", [False, True])
def test_a_function_that_dies_anywhere_while_taking_back_leaves_what_whoever_comes_next_completes(after: bool) -> None:
    for calls in range(30):
        bench = Bench()
        bench.enter(a=1)
        second = bench.enter(a=2, c=2)
        try:
            dying(bench, calls, after=after).delete(second)
        except Crash:
            pass
        else:
            assert calls > 5
            return
        kept = second in {batch.id for batch in bench.batches.all()}
        bench.enter(d=4)
        assert bench.standing() == ({"a": 2, "c": 2, "d": 4} if kept else {"a": 1, "d": 4})
        bench.batches.delete(second)
        assert bench.standing() == {"a": 1, "d": 4}
        assert bench.batches.waiting() == set()
    raise AssertionError("it never came to its end")


steps = st.lists(
    st.one_of(
        st.dictionaries(st.sampled_from("abc"), st.integers(1, 3), min_size=1),
        st.integers(0, 5),
        st.just("refuse"),
    ),
    max_size=14,
)


@settings(max_examples=300)
@given(steps, st.randoms(use_true_random=False))
def test_readers_see_the_newest_row_of_each_key_of_the_batches_that_stand(plan: list[Any], random: Any) -> None:
    bench = Bench()
    kept: dict[str, dict[str, int]] = {}
    for step in plan:
        if step == "refuse":
            bench.sink.refuse += 1
            continue
        try:
            if isinstance(step, int):
                there = list(kept)
                if there:
                    gone = there[step % len(there)]
                    del kept[gone]
                    bench.batches.delete(gone)
            else:
                kept[bench.enter(**step)] = step
        except StoreUnavailable:
            pass
        for batch in bench.batches.all():
            if batch.id not in kept:  # kept, though its caller got no answer
                kept[batch.id] = next(s for s in [step] if isinstance(s, dict))
        for id in list(kept):
            if id not in {batch.id for batch in bench.batches.all()}:
                del kept[id]
    bench.sink.refuse = 0
    bench.batches.settle()
    expected: dict[str, int] = {}
    for batch in reversed(bench.batches.all()):
        expected.update(kept[batch.id])
    assert bench.standing() == expected
    random.shuffle(bench.sink.told)
    assert bench.standing() == expected, "in whatever order the queue gives them"
    again = MemoryFactSink()
    for rows in bench.batches.facts():
        again.append({Kind.AD_SPEND: rows})
    assert {str(fact.ad_id): fact.spend for fact in again.standing(Kind.AD_SPEND, AdSpendFact).values()} == expected, "made again from the batches alone"
