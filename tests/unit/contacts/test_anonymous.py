"""Visitors known by nothing but a browser: they cost nothing until something identifies them, and then bring along what they said before."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from tests.kit.builders import group, identify, later, page, track
from tests.kit.contacts import Crash, Interleaving, SteppedContacts, SteppedLog, World, model, people_in, resolver
from tests.kit.stores import MemorySuppressions
from tributary.contacts import settling
from tributary.events import Event


def test_page_views_of_an_unknown_browser_read_nothing_and_write_nothing() -> None:
    suppressions = MemorySuppressions()
    world = World(suppressions=suppressions)
    counts = world.take(*[page(anonymous_id="b") for _ in range(100)]).counts
    assert counts["anonymous"] == 100
    assert sum(world.contacts.calls.values()) == suppressions.calls == 0


def test_page_views_of_a_known_browser_read_nothing_and_write_nothing() -> None:
    world = World()
    world.take(identify(user_id="1", anonymous_id="b"))
    before = world.contacts.calls.copy()
    world.take(page(anonymous_id="b", timestamp=later(500)), track(anonymous_id="b", timestamp=later(500)))
    assert world.contacts.calls == before


def test_what_an_unknown_browser_says_of_itself_is_looked_up_and_makes_no_contact() -> None:
    world = World()
    world.take(identify(anonymous_id="b", traits={"plan": "crew"}), group("g-1", anonymous_id="b"))
    assert world.contacts.calls == {"get": 1}
    assert world.contacts.stored == {}


def test_what_a_browser_said_before_it_was_known_is_folded_in_when_it_is() -> None:
    world = World()
    world.take_each(
        identify(anonymous_id="b", traits={"plan": "crew", "deck": 1}, timestamp=later(1)),
        group("g-1", anonymous_id="b", traits={"size": 4}, timestamp=later(2)),
        page(anonymous_id="b", timestamp=later(0)),
        track(anonymous_id="b", timestamp=later(9)),
        identify(user_id="1", anonymous_id="b", traits={"deck": 2}, timestamp=later(3)),
    )
    contact = world.the("user", "1")
    assert contact.profile.traits.values() == {"plan": "crew", "deck": 2}
    assert [membership.group for membership in contact.memberships] == ["g-1"]
    assert contact.profile.first_seen == 1_772_625_601_000_000, "the identify a second after noon, not the page view"
    assert contact.is_settled


def test_what_a_known_browser_says_later_is_its_persons() -> None:
    world = World()
    world.take_each(identify(user_id="1", anonymous_id="b"), identify(anonymous_id="b", traits={"plan": "crew"}), group("g-1", anonymous_id="b"))
    assert world.the("user", "1").profile.traits.values() == {"plan": "crew"}
    assert [membership.group for membership in world.the("user", "1").memberships] == ["g-1"]


def test_a_browser_that_stays_with_somebody_else_leaves_its_words_there() -> None:
    world = World()
    world.take_each(identify(user_id="1", anonymous_id="b"), identify(anonymous_id="b", traits={"plan": "crew"}))
    assert world.contact("anonymous", "b") == world.contact("user", "1")


@pytest.mark.parametrize("said_first", [True, False])
def test_no_meeting_of_an_attach_and_a_browsers_own_words_loses_them(said_first: bool) -> None:
    """One worker attaches the browser, another takes its identify, in every order of their calls. The log has each event before the stream brings it."""
    attach = identify(user_id="1", anonymous_id="b", message_id="attach")
    words = identify(anonymous_id="b", traits={"plan": "crew"}, message_id="words")
    seen: set[tuple[int, ...]] = set()
    for choices in itertools.product((0, 1), repeat=9):
        world = World()
        left = list(choices)
        made: list[int] = []

        def choose(ready: int, left: list[int] = left, made: list[int] = made) -> int:
            choice = (left.pop(0) if left else 0) % ready
            made.append(choice)
            return choice

        interleaving = Interleaving(choose)

        def worker(event: Event, world: World = world, interleaving: Interleaving = interleaving) -> Callable[[], None]:
            mine = resolver(SteppedContacts(world.contacts, interleaving.step), SteppedLog(world.log, interleaving.step))

            def work() -> None:
                interleaving.step("put")
                world.log.put([event])
                mine.resolve([event])

            return work

        workers = [worker(words), worker(attach)] if said_first else [worker(attach), worker(words)]
        interleaving.run(workers)
        seen.add(tuple(made))
        assert people_in(world.contacts) == model([attach, words]), made
    assert len(seen) > 20


def test_a_worker_that_dies_between_the_attach_and_the_log_leaves_the_rest_to_the_next_event() -> None:
    world = World()
    words = identify(anonymous_id="b", traits={"plan": "crew"})
    attach = identify(user_id="1", anonymous_id="b")
    world.take(words)
    world.log.put([attach])

    def die(name: str) -> None:
        if name == "of":
            raise Crash

    with pytest.raises(Crash):
        resolver(world.contacts, SteppedLog(world.log, before=die)).resolve([attach])
    assert not world.the("user", "1").is_settled
    world.take(track(user_id="1"))
    assert world.the("user", "1").is_settled
    assert world.the("user", "1").profile.traits.values() == {"plan": "crew"}


def test_a_browser_of_years_is_read_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "MAX_HISTORY", 10)
    world = World()
    world.take(*[identify(anonymous_id="b", traits={f"trait-{number}": 1}) for number in range(25)])
    world.take(identify(user_id="1", anonymous_id="b"))
    assert len(world.the("user", "1").profile.traits.kept) == 10
    assert world.the("user", "1").is_settled


def test_a_browser_of_many_groups_is_folded_in_many_writes() -> None:
    world = World()
    world.take(*[group(f"g-{number}", anonymous_id="b") for number in range(150)])
    world.take(identify(user_id="1", anonymous_id="b"))
    assert len(world.the("user", "1").memberships) == 150
    assert world.the("user", "1").is_settled
