"""Two generations of contacts say the same, or it is said of whom they do not."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tests.kit.contacts import World
from tests.kit.histories import histories, shuffled_batches
from tributary.events import Event
from tributary.ports import ContactRow
from tributary.rebuild.people import People, differences


@given(history=histories(), seeds=st.tuples(st.integers(0, 99), st.integers(0, 99)))
def test_two_generations_of_one_log_say_the_same_whatever_the_order(history: list[Event], seeds: tuple[int, int]) -> None:
    one, other = (_people(_world(shuffled_batches(history, seed))) for seed in seeds)

    assert differences(one.content, other.content).is_empty
    assert (one.unsettled, other.unsettled) == (0, 0)


@given(history=histories(max_size=8), dropped=st.integers(0, 7))
def test_what_an_event_changes_is_seen_when_it_is_missing(history: list[Event], dropped: int) -> None:
    rest = [event for number, event in enumerate(history) if number != dropped]
    whole, less = _world([history]), _world([rest])

    found = differences(_people(whole).content, _people(less).content)

    assert whole.people() == less.people() or not found.is_empty


def _world(batches: Sequence[Sequence[Event]]) -> World:
    world = World()
    for batch in batches:
        world.take(*batch)
    return world


def _people(world: World) -> People:
    people = People()
    people.add(sorted(world.contacts.stored.values(), key=_place))
    return people


def _place(row: ContactRow) -> tuple[str, str]:
    return row.key.partition, row.key.sort
