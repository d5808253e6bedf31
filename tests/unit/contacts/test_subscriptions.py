"""Subscriptions and tags: states by version, whatever comes first."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from tests.kit.builders import identify, later, page, track
from tests.kit.commerce import written
from tests.kit.contacts import World
from tributary.contacts.describe import describe
from tributary.contacts.tags import MAX_MARKS, MAX_NAME_BYTES, MAX_TAGS, joined, tags_of
from tributary.events import Event, Track

TERMS: dict[str, Any] = {"product_id": "88", "sku": "KIT-1", "price": 39.0, "currency": "USD", "interval_days": 30, "quantity": 1}


def _about(name: str, seconds: float, **properties: Any) -> Track:
    said = {"subscription_id": "5F6E7D8C9B", **TERMS, **properties}
    return track(name, user_id="1", source="con_1", properties=said, timestamp=later(seconds), received_at=later(99))


LIFE = [
    _about("Trial Started", 0, status="trial", cycle=1, next_bill_date="2024-03-23", price=1.0),
    _about("Trial Converted", 10, status="active", cycle=2, next_bill_date="2024-04-22"),
    _about("Subscription Paused", 20, status="paused"),
    _about("Subscription Reactivated", 30, status="active", cycle=3, next_bill_date="2024-06-01"),
    _about("Subscription Cancelled", 40, status="cancelled", cancel_reason="price", cancelled_at="2024-05-30T12:00:00Z"),
]


def _shown(*events: Event) -> dict[str, Any]:
    world = World()
    world.take_each(*events)
    (shown,) = describe(world.the("user", "1"), ())["subscriptions"]
    assert isinstance(shown, dict)
    return shown


def test_a_subscriptions_life_is_the_same_in_any_order() -> None:
    first = _shown(*LIFE)
    assert (first["state"], first["cycle"], first["next_bill_date"]) == ("cancelled", 3, None)
    assert first["price"] == {"amount": 3900, "currency": "USD", "text": "39.00 USD"}
    assert first["trial"] == {"started_at": written(later(0)), "ends": "2024-03-23", "converted_at": written(later(10))}
    assert first["cancellation"] == {"at": "2024-05-30T12:00:00Z", "reason": "price"}
    assert [one["state"] for one in first["history"]] == ["trial", "active", "paused", "active", "cancelled"]
    for order in permutations(LIFE):
        assert _shown(*order, order[2]) == first


def test_the_next_bill_shows_while_one_is_to_come() -> None:
    assert _shown(*LIFE[:1])["next_bill_date"] == "2024-03-23"
    assert _shown(*LIFE[:3])["next_bill_date"] is None
    assert _shown(*LIFE[:4])["next_bill_date"] == "2024-06-01"


def test_two_states_within_one_second_keep_the_order_that_the_source_saw() -> None:
    paused, active = (
        track(name, user_id="1", properties={"subscription_id": "s"}, timestamp=later(1), sequence=number, message_id=f"m-{9 - number}")
        for number, name in enumerate(("Subscription Paused", "Subscription Reactivated"))
    )
    assert _shown(active, paused)["state"] == "active"


def _tag(name: str, applied: bool, seconds: float, **given: Any) -> Event:
    return page(user_id="1", context={"tags": {name: applied}}, timestamp=later(seconds), received_at=later(99), **given)


def test_a_tag_stands_since_it_was_applied_after_it_was_last_removed() -> None:
    said = [_tag("vip", True, 1), _tag("vip", True, 2), _tag("vip", False, 3), _tag("vip", True, 5), _tag("vip", True, 6)]
    for order in permutations(said):
        world = World()
        world.take(*order)
        assert describe(world.the("user", "1"), ())["tags"] == [
            {
                "name": "vip",
                "applied": True,
                "since": written(later(5)),
                "first_applied": written(later(1)),
                "last_removed": written(later(3)),
            }
        ]


def test_a_removed_tag_says_when_and_one_applied_often_when_first() -> None:
    world = World()
    world.take(_tag("vip", False, 3), _tag("vip", True, 1), *[_tag("customer", True, number) for number in range(MAX_MARKS + 5)])
    tags = world.the("user", "1").tags
    assert (tags["vip"].is_applied, tags["vip"].since, tags["customer"].is_applied) == (False, None, True)
    assert tags["customer"].since == tags["customer"].first_applied
    assert len(tags["customer"].marks) == MAX_MARKS


def test_tags_of_another_form_and_names_too_long_are_passed_over() -> None:
    world = World()
    for said in (["vip"], "vip", {"vip": 1, "": True, " ": True, "x" * (MAX_NAME_BYTES + 1): True}, {}, None):
        world.take(identify(user_id="1", context={"tags": said}))
    assert world.the("user", "1").tags == {}


def test_of_more_tags_than_the_bound_the_same_stay_in_any_order() -> None:
    said = [tags for number in range(MAX_TAGS + 20) if (tags := tags_of(_tag(f"tag-{number:03}", True, number))) is not None]
    together, backwards = said[0], said[-1]
    for one in said:
        together = joined(together, one)
    for one in reversed(said):
        backwards = joined(backwards, one)
    assert together == backwards
    assert (len(together.tags.kept), len(together.tags.beyond)) == (MAX_TAGS, 20)
