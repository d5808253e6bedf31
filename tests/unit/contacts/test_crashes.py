"""A worker may die at any call, or hear nothing of what it wrote; others may be at the same people. Nothing is lost, nothing is half done for long."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable

import pytest

from tests.kit.builders import alias, group, identify, later, track
from tests.kit.contacts import (
    DIGESTS,
    Crash,
    Interleaving,
    Links,
    MemoryContacts,
    SteppedContacts,
    SteppedLog,
    World,
    deliver,
    model,
    people_in,
    resolver,
)
from tests.kit.stores import MemoryEventLog, MemorySuppressions
from tributary.contacts.reading import read_contact
from tributary.contacts.resolver import MAX_CONFLICTS, Resolver
from tributary.contacts.rows import root_key
from tributary.errors import StoreUnavailable, WriteConflict
from tributary.events import Event
from tributary.identity.identifiers import Identifier
from tributary.ports import RowKey, WriteRow

_ordered = track("Order Completed", user_id="1", properties={"order_id": "o-1", "total": 20}, context={"tags": {"vip": True}}, message_id="i")
_refunded = track("Order Refunded", anonymous_id="b-2", properties={"order_id": "o-1", "total": 5}, timestamp=later(9), message_id="j")
STORY: list[list[Event]] = [
    [identify(anonymous_id="b-1", traits={"plan": "crew"}, timestamp=later(1), message_id="a")],
    [identify(user_id="1", anonymous_id="b-1", timestamp=later(2), message_id="b"), group("g-1", user_id="1", timestamp=later(3), message_id="c"), _ordered],
    [
        group("g-1", anonymous_id="b-2", traits={"size": 3}, message_id="d"),
        _refunded,
        track(anonymous_id="b-2", properties={"email": "ana@quay.example"}, message_id="e"),
    ],
    [identify(user_id="1", traits={"email": "ana@quay.example", "plan": "captain"}, timestamp=later(5), message_id="f")],
    [alias("old", user_id="1", message_id="g"), identify(user_id="old", traits={"deck": 2}, message_id="h")],
]
"""A browser attached, two contacts merged with a group and an order in common, an alias: every kind of write there is."""
EVERYTHING = [event for batch in STORY for event in batch]


def _counted() -> int:
    calls: list[str] = []
    contacts, log = MemoryContacts(), MemoryEventLog()
    mine = resolver(SteppedContacts(contacts, calls.append), SteppedLog(log, calls.append))
    for batch in STORY:
        deliver(mine, log, batch)
    assert people_in(contacts) == model(EVERYTHING)
    assert {"get", "rows", "commit", "of"} == set(calls)
    return len(calls)


CALLS = _counted()


class _Fault:
    """Raises at the n-th call, once."""

    def __init__(self, number: int, error: BaseException, only: str | None = None) -> None:
        self._left = number
        self._error = error
        self._only = only
        self.raised = False

    def __call__(self, name: str) -> None:
        if self._only not in (None, name):
            return
        self._left -= 1
        if self._left == 0:
            self.raised = True
            raise self._error


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("number", range(1, CALLS + 1))
def test_a_crash_at_any_call_and_the_batch_again_gives_the_same_people(number: int, applied: bool) -> None:
    contacts, log = MemoryContacts(), MemoryEventLog()
    fault = _Fault(number, Crash())
    hooks: dict[str, Callable[[str], None]] = {"after" if applied else "before": fault}
    dying = resolver(SteppedContacts(contacts, **hooks), SteppedLog(log, **hooks))
    for batch in STORY:
        try:
            deliver(dying, log, batch)
        except Crash:
            deliver(resolver(contacts, log), log, batch)
    assert fault.raised
    assert people_in(contacts) == model(EVERYTHING)


@pytest.mark.parametrize("number", range(1, CALLS + 1))
def test_a_crash_at_any_call_is_made_good_by_any_later_event_of_the_same_people(number: int) -> None:
    """The batch that died comes again, but others of the same people come before it: they find what was left open, and close it."""
    contacts, log = MemoryContacts(), MemoryEventLog()
    fault = _Fault(number, Crash())
    dying = resolver(SteppedContacts(contacts, before=fault), SteppedLog(log, before=fault))
    late: list[list[Event]] = []
    for batch in STORY:
        try:
            deliver(dying, log, batch)
        except Crash:
            late.append(batch)
    deliver(
        resolver(contacts, log),
        log,
        [track(user_id="1", message_id="x"), track(user_id="old", message_id="y"), track(properties={"email": "ana@quay.example"}, message_id="z")],
    )
    for root in (row for row in contacts.stored.values() if row.key.sort == "root"):
        assert b'"open"' not in root.data
        assert b'"unread"' not in root.data
    for batch in late:
        deliver(resolver(contacts, log), log, batch)
    assert fault.raised
    assert set(people_in(contacts)) == set(model(EVERYTHING))


@pytest.mark.parametrize("error", [StoreUnavailable("no answer"), WriteConflict("the second try met the first")])
def test_a_write_whose_answer_is_lost_counts_once(error: Exception) -> None:
    """Applied, but told as failed: as unknown, or (the SDK's own second try) as a condition that failed."""
    for number in range(1, 20):
        contacts, log = MemoryContacts(), MemoryEventLog()
        fault = _Fault(number, error, only="commit")
        mine = resolver(SteppedContacts(contacts, after=fault), log)
        for batch in STORY:
            deliver(mine, log, batch)
        assert people_in(contacts) == model(EVERYTHING)
    assert not fault.raised, "every commit was tried"


def test_while_a_merge_moves_rows_a_reader_sees_both_sides_at_every_step() -> None:
    world = World()
    world.take(*[track(user_id="1", anonymous_id=f"b-{number}") for number in range(40)], group("g-1", user_id="1", traits={"size": 1}))
    world.take(identify(traits={"email": "ana@quay.example", "deck": 2}), group("g-2", context={"traits": {"email": "ana@quay.example"}}))
    merging = identify(user_id="1", traits={"email": "ana@quay.example"})
    everything = set(world.the("user", "1").members) | set(world.the("email", "ana@quay.example").members)
    seen: list[bool] = []

    def look(_name: str) -> None:
        for identifier in (Identifier("user", "1"), Identifier("email", "ana@quay.example"), Identifier("anonymous", "b-39")):
            contact = world.the(*identifier)
            if contact.merge_count:
                seen.append(contact.is_settled)
                assert set(contact.members) == everything
                assert {membership.group for membership in contact.memberships} == {"g-1", "g-2"}
                assert contact.profile.traits.values() == {"email": "ana@quay.example", "deck": 2}

    world.log.put([merging])
    resolver(SteppedContacts(world.contacts, look, look), world.log).resolve([merging])
    look("at rest")
    assert set(seen) == {True, False}


def test_a_reader_and_a_merge_may_meet_at_any_call() -> None:
    for seed in range(60):
        world = World()
        world.take_each(*[track(user_id="1", anonymous_id=f"b-{number}") for number in range(3)], group("g-1", user_id="1"))
        world.take(group("g-2", context={"traits": {"email": "ana@quay.example"}}))
        chance = random.Random(seed)
        interleaving = Interleaving(chance.randrange)
        stepped = SteppedContacts(world.contacts, interleaving.step)
        counts: list[tuple[int, int, int]] = []

        def merge(world: World = world, stepped: SteppedContacts = stepped) -> None:
            deliver(resolver(stepped, world.log), world.log, [track(user_id="1", context={"traits": {"email": "ana@quay.example"}})])

        def read(stepped: SteppedContacts = stepped, counts: list[tuple[int, int, int]] = counts) -> None:
            for _ in range(4):
                contact = read_contact(stepped, DIGESTS, Identifier("user", "1"))
                assert contact is not None
                counts.append((contact.merge_count, len(contact.members), len(contact.memberships)))

        interleaving.run([merge, read])
        assert set(counts) <= {(0, 4, 1), (1, 5, 2)}, "all of one side, or all of both"


def test_twenty_workers_on_one_person_lose_no_link() -> None:
    """Threads, not a schedule: every event links the same user to a browser or an email of its own."""
    world = World()
    events: list[Event] = [track(user_id="1", anonymous_id=f"b-{number}", message_id=f"b-{number}") for number in range(40)]
    events += [identify(user_id="1", traits={"email": f"ana{number}@quay.example"}, message_id=f"e-{number}") for number in range(20)]
    events += [identify(traits={"email": f"ana{number}@quay.example"}, message_id=f"i-{number}") for number in range(20)]
    random.Random(7).shuffle(events)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for event in events[number::20]:
                deliver(resolver(world.contacts, world.log), world.log, [event])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert world.people() == model(events)


def test_a_batch_is_given_back_after_bounded_conflicts_having_waited_longer_each_time() -> None:
    pauses: list[float] = []

    class Contended(MemoryContacts):
        def commit(self, changes: object) -> None:
            raise WriteConflict("always")

    mine = Resolver(
        contacts=Contended(), log=MemoryEventLog(), suppressions=MemorySuppressions(), digests=DIGESTS, sleep=pauses.append, jitter=lambda: 0.5, linked=Links()
    )
    with pytest.raises(StoreUnavailable):
        mine.resolve([track(user_id="1")])
    assert len(pauses) == MAX_CONFLICTS - 1
    assert pauses == sorted(pauses)
    assert pauses[0] < 0.05
    assert 0.4 < pauses[-1] <= 0.5


class HotKey(MemoryContacts):
    """Refuses every write to one contact."""

    def __init__(self, hot: RowKey) -> None:
        super().__init__()
        self.hot: RowKey | None = hot

    def commit(self, changes: object) -> None:
        assert isinstance(changes, list)
        if any(isinstance(change, WriteRow) and change.key == self.hot for change in changes):
            raise StoreUnavailable("throttled")
        super().commit(changes)


def test_one_hot_person_delays_nobody_else() -> None:
    contacts, log = HotKey(root_key(DIGESTS.of(Identifier("user", "hot")))), MemoryEventLog()
    events: list[Event] = [track(user_id="hot", received_at=later(0)), *[track(user_id=f"u-{number}", received_at=later(number + 1)) for number in range(5)]]
    log.put(events)
    with pytest.raises(StoreUnavailable):
        resolver(contacts, log).resolve(events)
    assert len(people_in(contacts)) == 5
    contacts.hot = None
    resolver(contacts, log).resolve(events)
    assert people_in(contacts) == model(events)


def test_a_store_that_is_down_is_not_asked_for_everybody() -> None:
    class Down(MemoryContacts):
        def commit(self, changes: object) -> None:
            self.calls["commit"] += 1
            raise StoreUnavailable("down")

    contacts = Down()
    with pytest.raises(StoreUnavailable):
        resolver(contacts).resolve([track(user_id=f"u-{number}") for number in range(50)])
    assert contacts.calls["commit"] == 3


def test_without_the_conditions_merges_are_lost_and_these_tests_see_it() -> None:
    """What the revisions are for: most interleavings of three links on four people go wrong without them."""
    outcomes: Counter[tuple[bool, bool]] = Counter()
    links: list[Event] = [
        identify(user_id="1", traits={"email": "ana@quay.example"}, message_id="l-1"),
        track(user_id="2", context={"traits": {"email": "ana@quay.example"}}, message_id="l-2"),
        alias("1", user_id="2", message_id="l-3"),
    ]
    for seed in range(40):
        for conditions in (True, False):
            contacts, log = MemoryContacts(), MemoryEventLog()
            contacts.conditions = conditions
            interleaving = Interleaving(random.Random(seed).randrange)

            def worker(event: Event, contacts: MemoryContacts = contacts, log: MemoryEventLog = log, turn: Interleaving = interleaving) -> Callable[[], None]:
                mine = resolver(SteppedContacts(contacts, turn.step), SteppedLog(log, turn.step))
                return lambda: (deliver(mine, log, [event]), None)[1]

            interleaving.run([worker(event) for event in links])
            try:
                right = people_in(contacts) == model(links)
            except AssertionError:
                right = False
            outcomes[conditions, right] += 1
    assert outcomes[True, True] == 40
    assert outcomes[False, False] >= 20


def test_erased_people_change_nothing() -> None:
    suppressions = MemorySuppressions({DIGESTS.of(Identifier("email", "ana@quay.example"))})
    world = World(suppressions=suppressions)
    counts = world.take(
        identify(user_id="1", traits={"email": "Ana@quay.example"}), track(user_id="2"), identify(user_id="ANA@quay.example", anonymous_id="b")
    ).counts
    assert world.partition() == {frozenset({Identifier("user", "2")})}
    assert counts["suppressed"] == 2
    assert suppressions.calls == 1, "one look-up a batch"


def test_no_answer_from_the_suppression_list_lets_nobody_through() -> None:
    suppressions = MemorySuppressions()
    suppressions.fail_next = True
    contacts = MemoryContacts()
    with pytest.raises(StoreUnavailable):
        resolver(contacts, suppressions=suppressions).resolve([track(user_id="1")])
    assert contacts.stored == {}
