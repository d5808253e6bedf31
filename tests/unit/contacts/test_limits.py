"""Limits, priority, and what is kept of a link that was refused."""

from __future__ import annotations

import pytest

from tests.kit.builders import alias, identify, later, track
from tests.kit.contacts import World
from tributary.contacts.rows import MAX_REFUSED
from tributary.events import Event
from tributary.identity.identifiers import Identifier
from tributary.identity.rules import IdentityRules


def _ids(*named: tuple[str, str]) -> frozenset[Identifier]:
    return frozenset(Identifier(kind, value) for kind, value in named)


def test_two_user_ids_on_one_browser_stay_two_people() -> None:
    world = World(IdentityRules())
    world.take_each(identify(user_id="1", anonymous_id="b"), identify(user_id="2", anonymous_id="b", traits={"plan": "crew"}, message_id="m-x"))
    assert world.partition() == {_ids(("user", "1"), ("anonymous", "b")), _ids(("user", "2"))}
    assert world.the("user", "2").profile.known() | world.the("user", "2").profile.custom_fields() == {"plan": "crew"}
    assert world.the("user", "1").profile.custom_fields() == {}


def test_a_refused_link_is_kept_with_its_event_and_its_reason() -> None:
    world = World(IdentityRules())
    world.take_each(identify(user_id="1", anonymous_id="b"), track(user_id="2", anonymous_id="b", message_id="m-x"), track(user_id="2", anonymous_id="b"))
    (link,) = world.the("user", "2").refused
    assert (link.kind, link.value, link.limit, link.allowed, link.by.message_id, link.by.partition) == ("anonymous", "b", "user", 1, "m-x", "user#2")


def test_in_a_conflict_the_lowest_priority_goes_and_who_has_no_part_in_it_stays() -> None:
    world = World(IdentityRules())
    world.take(identify(user_id="1", traits={"email": "ana@quay.example"}))
    world.take(identify(user_id="2", anonymous_id="new-browser", traits={"email": "ana@quay.example", "phone": "+12025550123"}))
    assert world.partition() == {
        _ids(("user", "1"), ("email", "ana@quay.example")),
        _ids(("user", "2"), ("phone", "+12025550123"), ("anonymous", "new-browser")),
    }


def test_an_alias_may_join_two_user_ids_and_no_third_comes_in_by_the_way() -> None:
    world = World(IdentityRules())
    world.take_each(identify(user_id="1"), identify(user_id="2"), alias("1", user_id="2"))
    joined = _ids(("user", "1"), ("user", "2"), ("anonymous", "1"))
    assert joined in world.partition()
    world.take_each(identify(user_id="1", anonymous_id="b"), identify(user_id="3", anonymous_id="b"))
    assert world.partition() == {joined | _ids(("anonymous", "b")), _ids(("user", "3"))}


def test_what_two_contacts_already_have_is_no_growth() -> None:
    """Two user ids on one side, by an alias, and an email on the other: nothing becomes more than it was."""
    world = World(IdentityRules())
    world.take_each(
        alias("1", user_id="2"), track(properties={"email": "ana@quay.example"}), track(user_id="1", context={"traits": {"email": "ana@quay.example"}})
    )
    assert len(world.partition()) == 1


def test_the_sixth_email_is_refused_and_the_event_still_counts() -> None:
    world = World(IdentityRules())
    emails = [identify(user_id="1", traits={"email": f"ana{number}@quay.example"}, received_at=later(number)) for number in range(6)]
    world.take_each(*emails)
    contact = world.the("user", "1")
    assert sum(member.kind == "email" for member in contact.members) == 5
    assert contact.profile.known()["email"] == "ana5@quay.example"
    assert [(link.value, link.limit, link.allowed) for link in contact.refused] == [("ana5@quay.example", "email", 5)]


@pytest.mark.parametrize("one_batch", [False, True])
def test_a_chain_of_a_thousand_stops_at_the_caps_and_its_events_still_resolve(one_batch: bool) -> None:
    """Each event names two ids of the chain. Whatever cap is met first, nothing grows past it, and every id still belongs to exactly one contact."""
    rules = IdentityRules(limits={"user": 1, "email": 5, "spelling": 20, "phone": 5, "external": 40, "anonymous": 200}, total=100, merges=20)
    world = World(rules)

    def external(number: int) -> dict[str, str]:
        return {"id": f"id-{number}", "type": f"kind-{number % 7}"}

    pairs: list[Event] = [track(context={"externalIds": [external(number), external(number + 1)]}, received_at=later(number)) for number in range(0, 1_000, 2)]
    joins: list[Event] = [
        track(context={"externalIds": [external(number), external(number + 1)]}, received_at=later(9_999 + number)) for number in range(1, 999, 2)
    ]
    if one_batch:
        world.take(*pairs, *joins)
    else:
        world.take_each(*pairs, *joins)
    people = world.partition()
    assert {identifier for person in people for identifier in person} == {Identifier(f"kind-{number % 7}", f"id-{number}") for number in range(1_000)}
    sizes = sorted(len(person) for person in people)
    assert sizes[-1] <= 2 * (rules.merges + 1)
    assert sizes[-1] > rules.merges, "the cap stops growth, it does not prevent it"
    merges = [world.the(*next(iter(person))).merge_count for person in people]
    assert max(merges) == rules.merges


def test_a_contact_never_has_more_identifiers_than_the_total() -> None:
    world = World(IdentityRules(total=30))
    world.take_each(*[track(user_id="1", anonymous_id=f"b-{number}", received_at=later(number)) for number in range(50)])
    contact = world.the("user", "1")
    assert len(contact.members) == 30
    assert {link.limit for link in contact.refused} == {"total"}
    assert world.contact("anonymous", "b-49") is None


def test_a_shared_device_cannot_fill_the_table_with_refused_links() -> None:
    world = World(IdentityRules(limits={"user": 1, "email": 5, "spelling": 20, "phone": 5, "external": 100, "anonymous": 3}))
    world.take_each(*[track(user_id="1", anonymous_id=f"b-{number}", received_at=later(number)) for number in range(MAX_REFUSED + 30)])
    assert len(world.the("user", "1").refused) == MAX_REFUSED


def test_a_shop_can_set_its_own_limits_priority_and_blocked_values() -> None:
    rules = IdentityRules(priority=("email", "user", "phone", "external", "anonymous"), blocked=frozenset({"till@quay.example"}))
    world = World(rules)
    world.take_each(identify(user_id="1", traits={"email": "ana@quay.example"}), identify(user_id="2", traits={"email": "ben@quay.example"}))
    world.take(identify(user_id="2", traits={"email": "ana@quay.example", "plan": "crew"}))
    assert world.the("email", "ana@quay.example").profile.custom_fields() == {"plan": "crew"}, "the email stays, the user id goes"
    world.take_each(identify(user_id="7", traits={"email": "Till@quay.example"}), identify(user_id="8", traits={"email": "till@quay.example"}))
    assert world.contact("email", "till@quay.example") is None
