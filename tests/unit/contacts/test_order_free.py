"""Any permutation, repetition and batching of the same events, by any number of workers that interleave in any way, gives the same people."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kit.contacts import UNLIMITED, Interleaving, SteppedContacts, SteppedLog, World, deliver, model, people_in, resolver
from tests.kit.histories import histories, shuffled_batches
from tributary.events import Event
from tributary.identity.rules import IdentityRules

_STEPS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@settings(max_examples=300, deadline=None)
@given(histories(max_size=20), st.integers())
def test_any_order_repetition_and_batching_gives_the_same_people(said: list[Event], seed: int) -> None:
    world = World()
    for batch in shuffled_batches(said, seed):
        world.take(*batch)
    assert world.people() == model(said)


@settings(max_examples=100, deadline=None)
@given(histories(max_size=20), st.integers())
def test_the_people_of_a_log_can_be_rebuilt_from_it(said: list[Event], seed: int) -> None:
    first = World()
    for batch in shuffled_batches(said, seed):
        first.take(*batch)
    again = World()
    again.take(*first.log.rows.values())
    assert again.people() == first.people()


@settings(max_examples=200, deadline=None)
@given(histories(max_size=20), st.integers())
def test_people_within_the_limits_are_whole_whatever_else_is_refused(said: list[Event], seed: int) -> None:
    rules = IdentityRules()
    world = World(rules)
    for batch in shuffled_batches(said, seed):
        world.take(*batch)
    found = world.people()
    for identifiers, person in model(said, rules).items():
        kinds = [identifier.kind for identifier in identifiers]
        if all(kinds.count(kind) <= rules.limits.get(kind, 100) for kind in kinds):
            assert found[identifiers] == person


@_STEPS
@given(histories(), st.integers(2, 3), st.integers(), st.data())
def test_workers_that_interleave_at_every_call_give_the_same_people(said: list[Event], workers: int, seed: int, data: st.DataObject) -> None:
    world = World()
    interleaving = Interleaving(lambda ready: data.draw(st.integers(0, ready - 1)))
    batches = shuffled_batches(said, seed)

    def worker(number: int) -> Callable[[], None]:
        mine = resolver(SteppedContacts(world.contacts, interleaving.step), SteppedLog(world.log, interleaving.step))

        def work() -> None:
            for batch in batches[number::workers]:
                deliver(mine, world.log, batch)

        return work

    interleaving.run([worker(number) for number in range(workers)])
    assert people_in(world.contacts) == model(said, UNLIMITED)
