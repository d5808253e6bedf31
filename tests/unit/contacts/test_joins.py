"""Traits, profiles and memberships join like sets: neither order nor repetition shows. And they stay small."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from functools import reduce
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.builders import NOON, group, identify, later, track
from tests.kit.contacts import World
from tributary.contacts import groups, profile, traits
from tributary.contacts.groups import membership_of
from tributary.contacts.profile import Profile, profile_of
from tributary.contacts.rows import Member, RefusedLink, Root, decode, encode, join_moved, reference
from tributary.contacts.traits import KNOWN_TRAITS, MAX_COUNTED, MAX_PROFILE_TRAITS, Traits, traits_of
from tributary.contacts.versions import Version, as_time, micros, version_of

_versions = st.tuples(st.integers(0, 2), st.integers(0, 1), st.sampled_from(["m-1", "m-2"]), st.sampled_from(["src_a"]))
_names = st.sampled_from([*"abcdefgh", "email", "x" * 101, ""])
_BOUND = 4


@st.composite
def _said(draw: st.DrawFn) -> Traits:
    """What one event sets. An event is its version: the same one says the same."""
    version: Version = draw(_versions)
    names = draw(st.lists(_names, max_size=6, unique=True))
    return traits_of({name: f"{name} at {version}" for name in names}, version, _BOUND)


@given(st.lists(_said(), max_size=5), st.randoms(use_true_random=False))
def test_traits_join_in_any_order_and_grouping(said: list[Traits], chance: random.Random) -> None:
    def together(parts: list[Traits]) -> Traits:
        if len(parts) == 1:
            return parts[0]
        cut = chance.randint(1, len(parts) - 1)
        return traits.joined(together(parts[:cut]), together(parts[cut:]), _BOUND)

    once = [*said, Traits()]
    again = [*once, *said]
    chance.shuffle(again)
    assert together(again) == together(once)


@given(st.lists(st.lists(st.sampled_from(string.ascii_lowercase), unique=True, max_size=8), max_size=6))
def test_the_traits_beyond_the_bound_are_counted_exactly(said: list[list[str]]) -> None:
    kept = Traits()
    for number, names in enumerate(said):
        kept = traits.joined(kept, traits_of(dict.fromkeys(names, number), (number, 0, "m", "s"), _BOUND), _BOUND)
    names = sorted({name for one in said for name in one})
    assert sorted(kept.kept) == names[:_BOUND]
    assert list(kept.beyond) == names[_BOUND:]


def test_known_traits_are_kept_before_made_up_ones() -> None:
    many = {f"a-{number:03}": number for number in range(400)} | {"email": "ana@quay.example", "lastName": "Ruiz"}
    kept = profile_of(identify(traits=many)).traits
    assert len(kept.kept) == MAX_PROFILE_TRAITS
    assert {"email", "lastName"} <= kept.kept.keys()
    assert len(kept.beyond) == MAX_COUNTED


def test_the_last_to_speak_of_a_trait_wins_by_the_events_own_time_then_sequence_then_id() -> None:
    says = [
        identify(traits={"plan": "a"}, timestamp=later(5), message_id="m-9"),
        identify(traits={"plan": "b"}, timestamp=later(6), sequence=0, message_id="m-8"),
        identify(traits={"plan": "c"}, timestamp=later(6), sequence=1, message_id="m-1"),
        identify(traits={"plan": "d"}, timestamp=later(6), sequence=1, message_id="m-2"),
    ]
    for order in permutations(says):
        together = Profile()
        for event in order:
            together = profile.joined(together, profile_of(event))
        assert together.traits.values() == {"plan": "d"}


def test_who_said_first_that_somebody_is_there_is_kept_in_any_order_and_a_row_that_did_not_keep_it_learns_it_from_a_repeat() -> None:
    late, first, same = (profile_of(identify(source=source, timestamp=later(seconds))) for source, seconds in (("src_a", 2), ("src_c", 1), ("src_b", 1)))
    old = Profile(first_seen=micros(later(1)))
    for order in permutations([late, first, same, old]):
        together = reduce(profile.joined, order)
        assert (together.first_seen, together.first_source) == (micros(later(1)), "src_b")
    assert profile.joined(old, late).first_source is None, "nobody knows"
    assert profile.joined(Profile(), late).first_source == "src_a"


def test_a_clock_in_2035_freezes_nothing() -> None:
    world = World()
    world.take_each(
        identify(user_id="1", traits={"plan": "a"}, timestamp=NOON.replace(year=2035)),
        identify(user_id="1", traits={"plan": "b"}, received_at=later(600)),
    )
    assert world.the("user", "1").profile.traits.values() == {"plan": "b"}
    assert world.the("user", "1").profile.last_seen == micros(later(600))


def test_null_unsets_a_trait_and_an_older_value_does_not_bring_it_back() -> None:
    world = World()
    world.take_each(
        identify(user_id="1", traits={"plan": "crew"}, timestamp=later(1)),
        identify(user_id="1", traits={"plan": None}, timestamp=later(3)),
        identify(user_id="1", traits={"plan": "captain"}, timestamp=later(2)),
    )
    assert world.the("user", "1").profile.traits.values() == {}


def test_a_value_too_long_takes_its_turn_and_shows_as_too_long() -> None:
    world = World()
    world.take_each(identify(user_id="1", traits={"bio": "short"}, timestamp=later(1)), identify(user_id="1", traits={"bio": "x" * 1_001}, timestamp=later(2)))
    kept = world.the("user", "1").profile.traits
    assert (kept.values(), kept.too_long()) == ({}, ["bio"])
    world.take(identify(user_id="1", traits={"bio": "short again"}, timestamp=later(3)))
    assert world.the("user", "1").profile.traits.values() == {"bio": "short again"}


def test_only_an_identify_sets_traits_and_its_context_stands_in_where_it_has_none() -> None:
    assert profile_of(track(context={"traits": {"plan": "old"}})).traits.values() == {}
    assert profile_of(identify(context={"traits": {"plan": "crew"}})).traits.values() == {"plan": "crew"}
    assert profile_of(identify(traits={"deck": 1}, context={"traits": {"plan": "crew"}})).traits.values() == {"deck": 1}
    assert profile_of(identify(context={"traits": "text"})).traits.values() == {}


def test_what_a_shop_made_up_is_a_custom_field() -> None:
    said = profile_of(identify(traits={"email": "ana@quay.example", "berth": "12b"}))
    assert (said.known(), said.custom_fields()) == ({"email": "ana@quay.example"}, {"berth": "12b"})


def test_a_membership_joins_first_last_and_traits_of_the_group() -> None:
    says = [membership_of(group("g", traits={"size": number, f"t{number}": 1}, timestamp=later(number))) for number in range(3)]
    for one, two, three in permutations(says):
        together = groups.joined(groups.joined(one, two), three)
        assert (together.first_seen, together.last_seen) == (micros(later(0)), micros(later(2)))
        assert together.traits.values() == {"size": 2, "t0": 1, "t1": 1, "t2": 1}


def test_a_blocked_group_id_makes_nobody_a_member() -> None:
    world = World()
    world.take(group("null", user_id="1"), group("x" * 300, user_id="1"))
    assert world.the("user", "1").memberships == ()


def _printable(length: int, chance: random.Random) -> str:
    return "".join(chance.choices(string.ascii_letters + string.digits + "äöüßéñ漢字かな😀", k=length))


def _fill(bound: int, of: Callable[[dict[str, Any], Any], Traits]) -> Traits:
    chance = random.Random(1)
    kept = Traits()
    for number in range(bound + MAX_COUNTED + 10):
        name = _printable(100, chance).encode()[:100].decode(errors="ignore")
        value = _printable(600, chance)
        while len(msgspec.json.encode(value)) > 1_000:
            value = value[:-1]
        event = identify(traits={name: value}, timestamp=later(number), message_id=_printable(100, chance), source="src_" + "s" * 10)
        kept = traits.joined(kept, of({name: value}, event), bound)
    return kept


def test_the_fullest_row_still_fits_dynamodb() -> None:
    """400 KB an item; and even uncompressed it does."""
    full = _fill(MAX_PROFILE_TRAITS, lambda values, event: traits_of(values, version_of(event), MAX_PROFILE_TRAITS))
    assert len(full.kept) == MAX_PROFILE_TRAITS
    root = Root(
        created=1,
        counts={f"kind-{number}": 100 for number in range(100)},
        open=tuple("f" * 32 for _ in range(50)),
        unread=tuple("b" * 255 for _ in range(45)),
        profile=Profile(full, 1, 2),
    )
    assert len(msgspec.json.encode(root)) < 409_600 - 200
    assert len(encode(root)) < 350_000


def test_rows_are_read_back_as_they_were_written_short_or_long() -> None:
    for values in ({"plan": "crew"}, {f"trait-{number}": "x" * 50 for number in range(100)}):
        root = Root(created=5, counts={"user": 1}, profile=profile_of(identify(traits=values)))
        assert decode(encode(root), Root) == root
    short, long = encode(Root(created=5)), encode(Root(created=5, unread=("b" * 255,) * 20))
    assert short.startswith(b"{")
    assert len(long) < 255


def test_a_row_of_a_newer_version_is_read_by_an_older_one() -> None:
    assert decode(b'{"created":5,"mood":"good","profile":{"score":3}}', Root) == Root(created=5)


@pytest.mark.parametrize("there", [True, False])
def test_of_two_refused_rows_the_earlier_stays_and_of_other_rows_the_winners(there: bool) -> None:
    early, late = (encode(RefusedLink(kind="user", value="1", by=reference(track(timestamp=later(number))), limit="user", allowed=1)) for number in (1, 2))
    assert join_moved("refused#d", *((early, late) if there else (late, early))) == early
    mine, theirs = (encode(Member(kind="user", value=value, by=reference(track()))) for value in ("1", "2"))
    assert join_moved("identifier#user#d", mine, theirs) == mine


def test_a_version_keeps_microseconds_and_tells_long_ids_apart() -> None:
    moment = NOON.replace(microsecond=123_457)
    assert as_time(micros(moment)) == moment
    one, other = (version_of(track(message_id="i" * 100 + end, timestamp=NOON)) for end in "ab")
    assert one != other
    assert len(one[2]) == 48
    assert version_of(track(message_id="m-1"))[2] == "m-1"


def test_the_known_traits_hold_segments_reserved_ones() -> None:
    assert {"email", "firstName", "lastName", "name", "phone", "address", "birthday", "createdAt"} <= KNOWN_TRAITS
