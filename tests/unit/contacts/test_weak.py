"""Links that name a customer (`seg_cid`): they bring a visitor to a contact, and never two contacts together."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.kit.builders import identify, later, page, track
from tests.kit.contacts import DIGESTS, Crash, Interleaving, Links, SteppedContacts, SteppedLog, World, deliver, model, resolver
from tests.kit.stores import MemorySuppressions
from tributary.contacts.explain import explain
from tributary.contacts.weak import MAX_CUSTOMERS, MAX_VISITORS
from tributary.events import Event, Page, Track
from tributary.identity.identifiers import Identifier, partitions_of
from tributary.identity.rules import IdentityRules
from tributary.identity.weak import customer_named


def visit(customer: str, browser: str | None = "b-1", **given: Any) -> Page:
    return page(anonymous_id=browser, properties={"url": f"https://quay.example/?utm_source=k&seg_cid={customer}"}, **given)


def sale(customer: str, number: str = "1", **given: Any) -> Track:
    traits = {"email": f"buyer-{customer}@quay.example"}
    return track("Order Completed", owner=f"konnektive#con_1#{customer}", source="con_1", properties={"order_id": number}, context={"traits": traits}, **given)


def buyer(world: World, customer: str) -> Any:
    return world.the("konnektive:con_1", customer)


def orders(world: World, customer: str) -> list[Any]:
    """The orders that the journey of a contact has."""
    events = [event for partition in buyer(world, customer).partitions() for event in world.log.of(partition)]
    return sorted(event.properties["order_id"] for event in events if isinstance(event, Track) and event.event == "Order Completed")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_a_visitor_is_attached_on_every_device_whether_the_visit_or_the_customer_came_first(order: tuple[int, ...]) -> None:
    events: list[Event] = [visit("901", "phone", timestamp=later(1)), visit("901", "laptop", timestamp=later(2)), sale("901")]
    world = World(IdentityRules())
    world.take_each(*[events[number] for number in order])
    assert [visitor.value for visitor in buyer(world, "901").visitors] == ["phone", "laptop"]
    assert {"anon#phone", "anon#laptop"} <= set(buyer(world, "901").partitions())
    assert world.contact("anonymous", "phone") == world.contact("email", "buyer-901@quay.example")


def test_a_visit_that_names_nobody_known_makes_no_contact() -> None:
    world = World()
    assert world.take(visit("901")).counts["by_link"] == 1
    assert world.contact("konnektive:con_1", "901") is world.contact("anonymous", "b-1") is None


@pytest.mark.parametrize("before", [True, False])
def test_a_link_that_was_forwarded_to_a_second_buyer_leaves_two_contacts_and_their_orders_apart(before: bool) -> None:
    world = World(IdentityRules())
    world.take_each(sale("901", "first"))
    opened = visit("901", "b-2", timestamp=later(1))
    bought = identify(user_id="ben", anonymous_id="b-2", traits={"email": "buyer-902@quay.example"}, timestamp=later(2))
    world.take_each(*((opened, bought) if before else (bought, opened)), sale("902", "second", timestamp=later(3)))
    assert (orders(world, "901"), orders(world, "902")) == (["first"], ["second"])
    assert "anon#b-2" in buyer(world, "902").partitions()
    assert buyer(world, "901").visitors == ()
    assert [(link.value, link.limit) for link in buyer(world, "901").refused] == [("b-2", "weak")]


def test_a_browser_that_is_known_as_somebody_else_keeps_its_owner_and_the_mismatch_is_counted() -> None:
    world = World(IdentityRules())
    world.take_each(sale("901"), identify(user_id="ben", anonymous_id="b-2"))
    assert world.take(visit("901", "b-2")).counts["passed_on"] == 1
    assert world.the("anonymous", "b-2").id == world.the("user", "ben").id != buyer(world, "901").id


def test_the_mismatch_is_counted_when_the_visitor_turns_out_to_be_somebody_else() -> None:
    world = World(IdentityRules())
    world.take_each(sale("901"), visit("901", "b-2"))
    assert world.take(identify(user_id="ben", anonymous_id="b-2")).counts["passed_on"] == 1


def test_a_visitor_who_turns_out_to_be_the_customer_is_no_mismatch() -> None:
    world = World(IdentityRules())
    world.take_each(sale("901"), visit("901"))
    assert world.take(identify(anonymous_id="b-1", traits={"email": "buyer-901@quay.example"}, user_id="ana")).counts["passed_on"] == 0
    assert (buyer(world, "901").visitors, buyer(world, "901").refused) == ((), ())
    assert "anon#b-1" in buyer(world, "901").partitions()


def test_a_browser_with_links_of_two_customers_stays_with_the_first_by_time() -> None:
    world = World(IdentityRules())
    world.take_each(sale("901"), sale("902"), visit("902", timestamp=later(9)), visit("901", timestamp=later(5)))
    assert [visitor.value for visitor in buyer(world, "901").visitors] == ["b-1"]
    assert [link.value for link in buyer(world, "902").refused] == ["b-1"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_earliest_of_several_visits_by_one_link_counts_whenever_it_arrives(order: tuple[int, ...]) -> None:
    visits = [visit("901", timestamp=later(5)), visit("902", timestamp=later(3)), visit("901", timestamp=later(1))]
    world = World(IdentityRules())
    world.take_each(sale("901"), sale("902"), *[visits[number] for number in order])
    assert [visitor.value for visitor in buyer(world, "901").visitors] == ["b-1"]


def test_a_link_of_a_customer_whom_nobody_has_does_not_keep_a_visitor_from_one_whom_somebody_has() -> None:
    world = World(IdentityRules())
    world.take_each(visit("404", timestamp=later(1)), visit("901", timestamp=later(2)), sale("901"))
    assert [visitor.value for visitor in buyer(world, "901").visitors] == ["b-1"]


def test_an_events_own_ids_are_one_person_and_its_link_is_another_matter() -> None:
    world = World(IdentityRules())
    world.take_each(sale("901"), visit("901", "b-2", user_id="ben"))
    assert world.the("user", "ben").id == world.the("anonymous", "b-2").id != buyer(world, "901").id


def test_a_visitor_by_a_link_does_not_change_the_customers_profile() -> None:
    world = World(IdentityRules())
    world.take_each(sale("901"), visit("901"), identify(anonymous_id="b-1", traits={"name": "Somebody"}))
    assert buyer(world, "901").profile.known() == {}


def test_an_order_of_a_visitor_by_a_link_is_not_the_customers_until_something_names_the_visitor() -> None:
    world = World(IdentityRules())
    own = track("Order Completed", anonymous_id="b-1", properties={"order_id": "own"})
    world.take_each(sale("901"), visit("901"), own)
    assert [order.order_id for order in buyer(world, "901").orders] == ["1"]
    world.take(identify(anonymous_id="b-1", traits={"email": "buyer-901@quay.example"}))
    assert sorted(order.order_id for order in buyer(world, "901").orders) == ["1", "own"]
    assert buyer(world, "901").visitors == ()


def test_visitors_and_orders_move_with_a_merge() -> None:
    world = World(IdentityRules())
    world.take_each(sale("901"), visit("901"), identify(user_id="ana", context={"tags": {"vip": True}}))
    world.take(identify(user_id="ana", traits={"email": "buyer-901@quay.example"}))
    ana = world.the("user", "ana")
    assert [visitor.value for visitor in ana.visitors] == ["b-1"]
    assert ([order.order_id for order in ana.orders], list(ana.tags)) == (["1"], ["vip"])


@pytest.mark.parametrize("value", ["", "0", "[Contacts.Id]", "%5BContacts.Id%5D", "{{contact.id}}", "undefined", "a%40b.example", "1%202", "x" * 65])
def test_a_placeholder_names_nobody(value: str) -> None:
    assert customer_named(visit(value)) is None


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (page(properties={"url": "https://quay.example/?seg_cid=901"}), "901"),
        (page(context={"page": {"search": "?a=1&seg_cid=901"}}), "901"),
        (page(properties={"url": "https://q.example/?seg_cid=901"}, context={"page": {"url": "https://q.example/?seg_cid=901"}}), "901"),
        (page(properties={"url": "https://quay.example/?seg_cid=901&seg_cid=902"}), None),
        (page(properties={"referrer": "https://quay.example/?seg_cid=901"}), None),
        (track(properties={"url": "https://quay.example/?seg_cid=901"}), None),
        (page(), None),
    ],
)
def test_the_customer_is_read_from_a_pages_own_address(event: Event, expected: str | None) -> None:
    assert customer_named(event) == expected


def test_the_customer_is_of_the_connection_that_the_source_is_linked_to() -> None:
    world = World(linked=Links({"src_shop": "con_1", "src_other": "con_2"}, accounts=["con_1", "con_2"]))
    world.take_each(sale("901"), visit("901", "b-1"), visit("901", "b-2", source="src_other"))
    assert world.take(visit("901", "b-3", source="src_none")).counts["unlinked"] == 1
    assert [visitor.value for visitor in buyer(world, "901").visitors] == ["b-1"]


def test_a_link_of_an_erased_customer_and_one_that_an_erased_browser_opened_leave_nothing() -> None:
    erased = MemorySuppressions()
    world = World(suppressions=erased)
    erased.digests |= {DIGESTS.of(Identifier("konnektive:con_1", "901")), DIGESTS.of(Identifier("anonymous", "b-9"))}
    world.take(visit("901", "b-1"), visit("902", "b-9"))
    assert world.contacts.stored == {}


def test_a_published_link_fills_neither_the_table_nor_the_contact() -> None:
    world = World(IdentityRules())
    world.take(sale("901"), *[visit("901", f"b-{number}", timestamp=later(number)) for number in range(MAX_VISITORS + 50)])
    assert len(buyer(world, "901").visitors) == MAX_VISITORS
    assert world.contact("anonymous", f"b-{MAX_VISITORS}") is None, "whom the contact does not list does not list the contact"


def test_a_browser_that_opens_everybodys_links_keeps_the_earliest() -> None:
    world = World(IdentityRules())
    world.take(*[visit(str(number), timestamp=later(number)) for number in range(1, MAX_CUSTOMERS + 20)][::-1])
    world.take(sale("1"), sale(str(MAX_CUSTOMERS + 10)))
    assert [visitor.value for visitor in buyer(world, "1").visitors] == ["b-1"]


def test_a_visit_that_comes_again_writes_nothing() -> None:
    world = World(IdentityRules())
    world.take(opened := visit("901"))
    before = dict(world.contacts.stored)
    world.take(opened, visit("901", timestamp=later(50)))
    assert world.contacts.stored == before


@pytest.mark.parametrize(
    "together",
    [
        [visit("901", "b-1", message_id="one"), visit("901", "b-2", message_id="other")],
        [visit("901", "b-1", message_id="one"), visit("902", "b-1", message_id="other", timestamp=later(-1))],
        [visit("901", "b-1", message_id="one"), identify(user_id="ben", anonymous_id="b-1", message_id="other")],
        [visit("901", "b-1", message_id="one"), sale("901", message_id="other")],
    ],
)
def test_two_workers_on_one_link_lose_nothing_in_any_order_of_their_calls(together: list[Event]) -> None:
    customers: list[Event] = [sale("902", message_id="902"), *([sale("901", message_id="901")] if "Order" not in repr(together[1]) else [])]
    for choices in itertools.product((0, 1), repeat=9):
        world = World()
        world.take(*customers)
        left = list(choices)
        interleaving = Interleaving(lambda ready, left=left: (left.pop(0) if left else 0) % ready)  # type: ignore[misc]  # mypy cannot infer a default's lambda

        def worker(event: Event, world: World = world, interleaving: Interleaving = interleaving) -> Callable[[], None]:
            mine = resolver(SteppedContacts(world.contacts, interleaving.step), SteppedLog(world.log, interleaving.step))

            def work() -> None:
                deliver(mine, world.log, [event])

            return work

        interleaving.run([worker(event) for event in together])
        assert world.people() == model([*customers, *together]), choices


@pytest.mark.parametrize("call", range(4))
def test_a_worker_that_dies_at_any_call_leaves_a_visit_that_the_next_one_notes(call: int) -> None:
    world = World(IdentityRules())
    world.take(sale("901"))
    left = [call]

    def die(_name: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Crash

    opened = visit("901")
    for dying in (SteppedContacts(world.contacts, before=die), SteppedContacts(world.contacts, after=die)):
        left[0] = call
        with suppress(Crash):
            deliver(resolver(dying), world.log, [opened])
    world.take(opened)
    assert [visitor.value for visitor in buyer(world, "901").visitors] == ["b-1"]


def test_a_visitor_has_their_sentence_and_the_event_that_it_tells_of() -> None:
    world = World(IdentityRules())
    world.take_each(sale("901", timestamp=later(1), message_id="m-1"), visit("901", timestamp=later(2), message_id="m-2"))
    (step,) = [step for step in explain(buyer(world, "901")) if step.reason == "visited"]
    assert step.sentence == ("Anonymous b-1 came by a link that names konnektive:con_1 901, by the page m-2 of src_shop at 2026-03-04T12:00:02Z.")
    assert world.log.get(step.event.partition, step.event.source, step.event.message_id) is not None
    assert partitions_of(step.identifiers[0]) == ("anon#b-1",)
