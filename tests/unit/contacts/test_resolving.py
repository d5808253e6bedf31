"""What a batch costs, what it answers, and what becomes of an event that meets a fault of ours."""

from __future__ import annotations

import random
import string

from tests.kit.builders import alias, group, identify, later, page, track
from tests.kit.contacts import DIGESTS, World
from tributary.contacts.reading import read_contact_by_id
from tributary.contacts.versions import micros
from tributary.events import Event
from tributary.identity.identifiers import Identifier


def test_a_hundred_events_of_one_person_are_read_in_two_calls_and_written_in_one() -> None:
    world = World()
    world.take(identify(user_id="1", anonymous_id="b", traits={"email": "ana@quay.example"}))
    world.contacts.calls.clear()
    world.take(*[track(user_id="1", anonymous_id="b", timestamp=later(number)) for number in range(100)])
    assert world.contacts.calls == {"get": 2, "commit": 1, "changes": 1}


def test_a_hundred_people_are_read_in_two_calls_and_written_in_one_each() -> None:
    world = World()
    world.take(*[identify(user_id=f"u-{number}") for number in range(100)])
    world.contacts.calls.clear()
    world.take(*[track(user_id=f"u-{number}", timestamp=later(9)) for number in range(100)])
    assert world.contacts.calls == {"get": 2, "commit": 100, "changes": 100}


def test_a_batch_that_comes_again_writes_nothing() -> None:
    world = World()
    batch: list[Event] = [
        identify(user_id="1", anonymous_id="b", traits={"email": "ana@quay.example"}),
        group("g-1", user_id="1"),
        identify(user_id="2", anonymous_id="b"),
        alias("0ld", user_id="1"),
    ]
    world.take(*batch)
    world.contacts.calls.clear()
    world.take(*batch)
    assert world.contacts.calls["commit"] == 0


def test_people_who_come_and_merge_within_a_batch_are_written_once() -> None:
    world = World()
    counts = world.take(
        identify(user_id="1", received_at=later(0)),
        track(properties={"email": "ana@quay.example"}, received_at=later(1)),
        track(user_id="1", context={"traits": {"email": "ana@quay.example"}}, received_at=later(2)),
    ).counts
    assert world.contacts.calls["commit"] == 1
    assert (counts["created"], counts["attached"], counts["resolved"]) == (1, 2, 3)
    assert world.the("user", "1").merge_count == 1


def test_the_smaller_contact_goes_into_the_larger_and_among_equals_the_younger_into_the_older() -> None:
    world = World()
    world.take_each(
        identify(traits={"email": "ana@quay.example"}, received_at=later(0)),
        identify(user_id="1", anonymous_id="b", received_at=later(1)),
        identify(user_id="1", traits={"email": "ana@quay.example"}, received_at=later(2)),
    )
    assert world.the("user", "1").id == DIGESTS.of(Identifier("user", "1"))
    assert [(record.sizes, record.loser) for record in world.the("user", "1").merges] == [((2, 1), DIGESTS.of(Identifier("email", "ana@quay.example")))]
    world.take_each(
        identify(user_id="7", received_at=later(3)),
        track(context={"externalIds": [{"id": "7", "type": "crm"}]}, received_at=later(2.5)),
        track(user_id="7", context={"externalIds": [{"id": "7", "type": "crm"}]}, received_at=later(4)),
    )
    assert world.the("user", "7").id == DIGESTS.of(Identifier("crm", "7"))


def test_a_merged_contacts_id_still_leads_to_the_person() -> None:
    world = World()
    world.take_each(identify(user_id="1", anonymous_id="b"), identify(traits={"email": "ana@quay.example"}))
    old = world.the("email", "ana@quay.example").id
    world.take(identify(user_id="1", traits={"email": "ana@quay.example"}))
    assert read_contact_by_id(world.contacts, old) == world.the("user", "1")
    assert read_contact_by_id(world.contacts, "nobody") is None
    assert world.contact("user", "nobody") is None


def test_an_outcome_says_which_contact_each_event_was_counted_for() -> None:
    world = World()
    events: list[Event] = [identify(user_id="1"), page(anonymous_id="b"), track(message_id="nameless"), group("g", user_id="2")]
    outcome = world.take(*events)
    assert outcome.contacts == {
        ("src_shop", events[0].message_id): world.the("user", "1").id,
        ("src_shop", events[3].message_id): world.the("user", "2").id,
    }
    assert (outcome.counts["resolved"], outcome.counts["anonymous"], outcome.counts["nameless"]) == (2, 1, 1)


def test_more_than_fits_one_transaction_goes_in_several_and_in_order() -> None:
    world = World()
    external = [{"id": f"id-{number}", "type": f"kind-{number}"} for number in range(15)]
    events: list[Event] = [
        track(
            user_id="1",
            anonymous_id=f"b-{number}",
            received_at=later(number),
            context={"externalIds": [{**one, "id": f"{number}-{one['id']}"} for one in external]},
        )
        for number in range(40)
    ]
    world.take(*events)
    assert len(world.the("user", "1").members) == 1 + 40 + 40 * 15
    assert world.contacts.calls["commit"] < 40 * 2


def test_a_loser_of_many_rows_is_moved_in_several_transactions() -> None:
    world = World()
    world.take_each(*[track(user_id="1", anonymous_id=f"b-{number}") for number in range(60)])
    world.take_each(*[track(properties={"email": "ana@quay.example"}, anonymous_id=f"c-{number}") for number in range(70)])
    world.take(track(user_id="1", context={"traits": {"email": "ana@quay.example"}}))
    assert {len(person) for person in world.partition()} == {132}


def test_the_fullest_memberships_of_a_batch_go_in_transactions_that_dynamodb_takes() -> None:
    """The fake refuses a transaction of more than 4 MB, as DynamoDB does."""
    chance = random.Random(1)
    letters = string.ascii_letters + string.digits
    world = World()
    for part in range(2):
        traits = [{f"trait-{part}-{number}": "".join(chance.choices(letters, k=950)) for number in range(30)} for _ in range(100)]
        world.take(*[group(f"g-{number}", user_id="1", traits=traits[number]) for number in range(100)])
    contact = world.the("user", "1")
    assert len(contact.memberships) == 100
    assert {len(membership.traits.kept) for membership in contact.memberships} == {50}


def test_a_merged_contact_is_as_old_as_the_older_of_both() -> None:
    world = World()
    world.take_each(
        track(properties={"email": "ana@quay.example"}, received_at=later(0)),
        identify(user_id="1", anonymous_id="b", received_at=later(1)),
        identify(user_id="1", traits={"email": "ana@quay.example"}, received_at=later(2)),
    )
    assert world.the("user", "1").id == DIGESTS.of(Identifier("user", "1"))
    assert world.the("user", "1").created == micros(later(0))
