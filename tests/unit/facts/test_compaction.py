"""Compaction: whatever is written, repeated, merged, compacted or erased, at any point, what is read is what was written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kit.fact_store import PlainFacts, Store, contact, memory_store, node, read
from tributary.errors import StoreUnavailable
from tributary.facts.tables import Fact, IdentityFact, Kind, Months, OrderFact, TagInterval, TagsFact, TouchFact, WeakLinkFact

EVER = Months()
SEEN = (Kind.TOUCHES, Kind.ORDERS, Kind.CONTACTS, Kind.TAGS)
MARCH = datetime(2026, 3, 8, tzinfo=UTC)
MONTHS = (MARCH, datetime(2026, 4, 8, tzinfo=UTC))
NODES = range(1, 7)
"""Visitors and identifiers."""
CONTACTS = range(101, 107)

LONG = lambda: 900.0  # noqa: E731


def touch(number: int, person: int, at: datetime = MARCH) -> TouchFact:
    return TouchFact(key=node(number), person=node(person), happened_at=at, connection="shop", channel="direct")


def order(number: int, person: int, version: int, at: datetime = MARCH, **values: Any) -> OrderFact:
    key = node(1_000 + number)
    return OrderFact(
        key=key, person=node(person), version=version, connection="kon", order_id=str(number), happened_at=at, currency="USD", gross=version, **values
    )


def pointer(from_: int, to: int, version: int = 1) -> IdentityFact:
    return IdentityFact(key=node(from_), contact=node(to), version=version)


moments = st.sampled_from(MONTHS)
touches = st.builds(lambda number: touch(number, [*NODES, *CONTACTS][number % 12], MONTHS[number % 2]), st.integers(1, 24))
orders = st.builds(
    lambda number, version, at, gone: order(number, CONTACTS[number % 6], version, at, gone=gone), st.integers(1, 6), st.integers(1, 3), moments, st.booleans()
)
# Who belongs where never changes: a node has its contact; a contact is the node that made it, and once merged it is of a later one. What comes when is open.
pointers = st.sampled_from(
    [
        *(pointer(*one) for one in ((1, 101), (2, 102), (3, 104), (5, 105), (6, 106), (101, 103), (102, 103), (103, 104))),
        pointer(105, 105),
        pointer(101, 101, 0),
        pointer(104, 104),
    ]
)
PEOPLE = ([1, 2, 3, 101, 102, 103, 104], [5, 105], [4])
"""All nodes of one person, each."""
links = st.builds(
    lambda visitor, version: WeakLinkFact(key=node(visitor), version=version, customers=tuple(node(one) for one in (5, 3, 6)[:version])),
    st.sampled_from([4, 6, 7]),
    st.integers(1, 3),
)
contacts = st.builds(
    lambda number, version: contact(
        number,
        version=version,
        lead_at=MARCH - timedelta(days=version),
        connection=f"con_{number}" if version > 1 else None,
        country="US" if version % 2 else None,
    ),
    st.sampled_from(CONTACTS),
    st.integers(1, 3),
)
tags = st.builds(
    lambda number, version: TagsFact(
        key=node(number), person=node(number), version=version, tags=tuple(TagInterval(tag=f"t{one}", applied_at=MARCH) for one in range(version))
    ),
    st.sampled_from(CONTACTS),
    st.integers(1, 3),
)
rows = {Kind.TOUCHES: touches, Kind.ORDERS: orders, Kind.IDENTITIES: pointers, Kind.WEAK_LINKS: links, Kind.CONTACTS: contacts, Kind.TAGS: tags}
appends = st.dictionaries(st.sampled_from(list(rows)), st.none(), min_size=1, max_size=4).flatmap(
    lambda chosen: st.fixed_dictionaries({kind: st.lists(rows[kind], min_size=1, max_size=4) for kind in chosen})
)
steps = st.lists(
    st.tuples(st.just("append"), appends)
    | st.tuples(st.sampled_from(["compact", "fold", "crash"]), st.integers(0, 14))
    | st.tuples(st.just("erase"), st.sampled_from(PEOPLE))
    | st.tuples(st.just("wait"), st.just(4_000)),
    min_size=1,
    max_size=9,
)


class Dies:
    """Calls of a port, of which one, counted from now, dies: before it is made, or after."""

    def __init__(self, real: Any, left: list[int], *, after: bool) -> None:
        self._real = real
        self._left = left
        self._after = after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._left[0] -= 1
            if self._left[0] == 0 and not self._after:
                raise StoreUnavailable("it died")
            answer = found(*args, **kwargs)
            if self._left[0] == 0:
                raise StoreUnavailable("it died")
            return answer

        return call


def crash(store: Store, at: int) -> bool:
    """A compaction that dies at its nth call, if it makes as many; then its lease ends."""
    left = [at // 2 + 1]
    dying = Store(
        Dies(store.manifests, left, after=bool(at % 2)), Dies(store.objects, left, after=bool(at % 2)), store.folder / "dying", store.clock, lease=store.lease
    )
    try:
        dying.compaction("dying", fold_every=1, recent_kept=0).run(LONG)
    except StoreUnavailable:
        store.clock.move(1_201)
        return True
    return False


@given(steps)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_done_in_any_order_what_is_read_is_what_was_written(plan: list[tuple[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        store, plain = memory_store(Path(folder)), PlainFacts()
        compaction = store.compaction("one", recent_kept=1)
        folding = store.compaction("two", fold_every=1, recent_kept=0)
        for step, what in plan:
            match step:
                case "append":
                    store.sink.append(what)
                    plain.append(what)
                case "compact":
                    compaction.run(LONG)
                case "fold":
                    folding.run(LONG)
                case "crash":
                    crash(store, what)
                case "wait":
                    store.clock.move(what)
                case "erase":
                    nodes = {node(one) for one in what}
                    store.manifests.erase(nodes)
                    plain.nodes |= nodes
            for kind in SEEN:
                found = read(store.facts, kind, dict.fromkeys(SEEN, EVER))
                assert sorted(found, key=str) == sorted(plain.seen(kind), key=str)


def test_a_compaction_that_dies_at_any_call_changes_no_answer(tmp_path: Path) -> None:
    store, plain = memory_store(tmp_path), PlainFacts()
    died = 0
    for at in range(44):
        new: dict[Kind, list[Fact]] = {
            Kind.TOUCHES: [touch(at, 1 + at % 3), touch(at, 4)],
            Kind.ORDERS: [order(at % 5, 101 + at % 4, at)],
            Kind.IDENTITIES: [(pointer(1, 101), pointer(101, 103), pointer(2, 102), pointer(3, 104), pointer(103, 104))[at % 5]],
        }
        for writer in (store.sink, plain):
            writer.append(new)
        died += crash(store, at)
        for kind in (Kind.TOUCHES, Kind.ORDERS):
            assert read(store.facts, kind, dict.fromkeys(SEEN, EVER)) == plain.seen(kind), at
    assert died > 25
