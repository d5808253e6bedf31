"""Why are these one person? A person can read it, and it is complete."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.builders import group, identify, later, page, track
from tests.kit.contacts import DIGESTS, World
from tests.kit.histories import histories, shuffled_batches
from tributary.contacts.describe import describe
from tributary.contacts.explain import explain
from tributary.contacts.reading import read_contact_by_id
from tributary.events import Event
from tributary.identity.identifiers import Identifier
from tributary.identity.rules import IdentityRules


def _shop() -> World:
    world = World(IdentityRules())
    world.take_each(
        identify(user_id="42", anonymous_id="b-1", traits={"plan": "crew", "name": "Ana"}, timestamp=later(1), message_id="m-1"),
        track(properties={"email": "ana@quay.example"}, timestamp=later(2), message_id="m-2"),
        identify(user_id="42", traits={"email": "ana@quay.example", "bio": "x" * 2_000}, timestamp=later(3), message_id="m-3"),
        identify(user_id="7", timestamp=later(4), message_id="m-4"),
        identify(user_id="42", anonymous_id="b-7", timestamp=later(5), message_id="m-5"),
        identify(user_id="7", anonymous_id="b-1", timestamp=later(6), message_id="m-6"),
        group("g-1", user_id="42", traits={"size": 3}, timestamp=later(7)),
    )
    return world


def test_every_identifier_merge_and_refusal_has_its_sentence() -> None:
    world = _shop()
    assert [step.sentence for step in explain(world.the("user", "42"))] == [
        "User 42 was first named by the identify m-1 of src_shop at 2026-03-04T12:00:01Z.",
        "Anonymous b-1 was named together with user 42 by the identify m-1 of src_shop at 2026-03-04T12:00:01Z.",
        "Email ana@quay.example was first named by the track m-2 of src_shop at 2026-03-04T12:00:02Z.",
        "Email ana@quay.example was named together with user 42 by the identify m-3 of src_shop at 2026-03-04T12:00:03Z: "
        "a contact of 1 was merged into one of 2.",
        "Anonymous b-7 was named together with user 42 by the identify m-5 of src_shop at 2026-03-04T12:00:05Z.",
    ]
    assert [step.sentence for step in explain(world.the("user", "7"))][-1] == (
        "Anonymous b-1 was named by the identify m-6 of src_shop at 2026-03-04T12:00:06Z, but not taken in: a contact has at most 1 of the kind user."
    )


def test_a_step_leads_to_its_event_in_the_log() -> None:
    world = _shop()
    for step in explain(world.the("user", "42")):
        event = world.log.get(step.event.partition, step.event.source, step.event.message_id)
        assert event is not None
        assert event.timestamp == step.at


@settings(max_examples=150, deadline=None)
@given(histories(max_size=16), st.integers())
def test_the_steps_connect_every_identifier_of_a_contact(said: list[Event], seed: int) -> None:
    world = World()
    for batch in shuffled_batches(said, seed):
        world.take(*batch)
    for identifiers in world.partition():
        contact = world.the(*next(iter(identifiers)))
        reached: list[set[Identifier]] = [{identifier} for identifier in identifiers]
        for step in explain(contact):
            if step.reason in ("named_together", "merged"):
                together = [one for one in reached if one & set(step.identifiers)]
                reached = [one for one in reached if one not in together] + [set().union(*together)]
        assert reached == [set(identifiers)]


def test_a_contact_is_described_in_plain_data() -> None:
    world = _shop()
    described = describe(world.the("user", "42"), world.log.rows.values())
    assert json.loads(json.dumps(described)) == described
    assert described["identifiers"] == [
        {"kind": "user", "value": "42", "since": "2026-03-04T12:00:01Z"},
        {"kind": "anonymous", "value": "b-1", "since": "2026-03-04T12:00:01Z"},
        {"kind": "email", "value": "ana@quay.example", "since": "2026-03-04T12:00:02Z"},
        {"kind": "anonymous", "value": "b-7", "since": "2026-03-04T12:00:05Z"},
    ]
    assert (described["traits"], described["custom_fields"]) == ({"email": "ana@quay.example", "name": "Ana"}, {"plan": "crew"})
    assert described["traits_too_long"] == ["bio"]
    assert (described["first_seen"], described["last_seen"]) == ("2026-03-04T12:00:01Z", "2026-03-04T12:00:07Z")
    assert [(one["id"], one["traits"]) for one in described["groups"]] == [("g-1", {"size": 3})]
    assert described["merges"] == 1
    assert described["visitors"] == described["journey"]["touches"] == []
    assert described["settled"] is True
    assert len(described["why"]) == 5
    assert {step["at"][-1] for step in described["why"]} == {"Z"}


def test_the_lead_source_is_the_last_touch_before_the_date_of_the_lead_also_where_a_record_tells_an_earlier_one() -> None:
    def visit(seconds: int, source: str) -> Event:
        return page(anonymous_id="b-1", timestamp=later(seconds), properties={"url": f"https://quay.example/?utm_source={source}"})

    world = World()
    world.take(visit(1, "mail"), visit(3, "search"), visit(6, "social"), identify(user_id="42", anonymous_id="b-1", timestamp=later(5)))
    said = list(world.log.rows.values())
    described = describe(world.the("user", "42"), said)
    assert (described["lead_at"], described["journey"]["lead_source"]["source"]) == ("2026-03-04T12:00:05Z", "search")
    world.take(identify(user_id="42", timestamp=later(7), traits={"createdAt": later(2).isoformat()}))
    described = describe(world.the("user", "42"), said)
    assert (described["lead_at"], described["journey"]["lead_source"]["source"]) == ("2026-03-04T12:00:02Z", "mail")


def test_a_journey_is_found_under_every_partition_of_the_log() -> None:
    world = _shop()
    world.take(track(user_id="Ana@Quay.example"), track(owner="konnektive#con_1#901", user_id="42"))
    contact = read_contact_by_id(world.contacts, DIGESTS.of(Identifier("user", "42")))
    assert contact is not None
    assert contact.partitions() == [
        "anon#b-1",
        "anon#b-7",
        "email#ana@quay.example",
        "konnektive#con_1#901",
        "user#42",
        "user#Ana@Quay.example",
        "user#ana@quay.example",
    ]
