"""What an event tells: the activity that it is, and the touch, if it is one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.builders import NOON, identify, later, page, track
from tests.kit.contacts import DIGESTS
from tests.kit.golden import CONNECTION, golden
from tributary.events import Event
from tributary.facts.of_events import EventFacts, facts_of
from tributary.facts.tables import ActivityFact, Kind, TouchFact
from tributary.identity.identifiers import Identifier
from tributary.identity.rules import IdentityRules

VISITOR = DIGESTS.of(Identifier("anonymous", "b-1"))
SHOP = "https://www.quay.example"


def found(*events: Event) -> EventFacts:
    return facts_of(events, IdentityRules(), DIGESTS)


def touch_told(event: Event) -> TouchFact:
    (fact,) = found(event).rows[Kind.TOUCHES]
    assert isinstance(fact, TouchFact)
    return fact


def activity_told(event: Event) -> ActivityFact:
    (fact,) = found(event).rows[Kind.ACTIVITIES]
    assert isinstance(fact, ActivityFact)
    return fact


def visit(query: str = "", path: str = "/", **given: Any) -> Event:
    return page(anonymous_id="b-1", context={"page": {"url": f"{SHOP}{path}{query}"}, **given.pop("context", {})}, **given)


def test_a_tagged_page_is_a_touch_with_what_its_link_said_and_an_activity() -> None:
    url = "?utm_source=Face%20Book&utm_medium=paid_social&utm_campaign=Spring&utm_content=Blue&utm_term=sail&fbclid=F&campaign_id=1202&adset_id=1203&ad_id=1204"
    event = visit(url, "/offer", timestamp=later(-5))
    touch = touch_told(event)
    assert touch == TouchFact(
        key=touch.key,
        person=VISITOR,
        happened_at=later(-5),
        connection="src_shop",
        channel="paid_social",
        source="Face Book",
        medium="paid_social",
        campaign="Spring",
        content="Blue",
        term="sail",
        campaign_id="1202",
        adset_id="1203",
        ad_id="1204",
        click_id_kind="fbclid",
        landing_page="quay.example/offer",
    )
    assert activity_told(event) == ActivityFact(
        key=touch.key, person=VISITOR, happened_at=later(-5), connection="src_shop", type="page", name="Home", page="quay.example/offer", campaign="Spring"
    )


def test_an_order_of_konnektive_is_a_touch_by_what_its_row_says_of_where_the_buyer_came_from() -> None:
    (event,) = golden("orders", "All that an order row may say")
    touch = touch_told(event)
    assert (touch.connection, touch.person) == (CONNECTION, DIGESTS.of(Identifier("email", "rosa@bikes.example")))
    assert touch.affiliate_id == "AF00007"
    assert touch.source is not None
    assert activity_told(event).name == "Order Completed"


def test_every_event_is_an_activity_of_the_first_that_it_names() -> None:
    assert activity_told(track("Booked", user_id="1", anonymous_id="b-1")).person == DIGESTS.of(Identifier("user", "1"))
    fact = activity_told(identify(anonymous_id="b-1", traits={"plan": "crew"}))
    assert fact == ActivityFact(key=fact.key, person=VISITOR, happened_at=NOON, connection="src_shop", type="identify")
    assert Kind.TOUCHES not in found(track("Booked", user_id="1")).rows


def test_an_event_that_names_nobody_is_of_a_person_of_its_own() -> None:
    one, other = (activity_told(track("Booked", message_id=f"m-{number}")) for number in range(2))
    assert one.person == one.key
    assert one.person != other.person


def test_the_same_event_again_is_the_same_facts_and_another_source_another() -> None:
    assert found(visit("?gclid=G", message_id="m")) == found(visit("?gclid=G", message_id="m"))
    assert touch_told(visit("?gclid=G", message_id="m")).key != touch_told(visit("?gclid=G", message_id="m", source="src_b")).key


def test_an_event_from_the_future_is_taken_for_one_of_just_after_it_came() -> None:
    assert activity_told(track("Booked", user_id="1", timestamp=later(86_400 * 3_000), received_at=NOON)).happened_at == later(300)


def test_a_crawlers_page_is_marked() -> None:
    agent = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    assert activity_told(visit(context={"userAgent": agent})).bot
    assert not activity_told(visit(context={"userAgent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/131.0"})).bot


def test_an_email_event_says_which_email_it_is_of() -> None:
    said = {"campaign_name": "Spring", "flow_name": "Welcome", "message_id": 88, "link_url": f"{SHOP}/offer?e=ana%40quay.example", "list_id": "L1"}
    fact = activity_told(track("Email Link Clicked", user_id="1", properties=said))
    assert (fact.email_campaign, fact.email_flow, fact.email_message, fact.email_list) == ("Spring", "Welcome", "88", "L1")
    assert fact.email_link == "quay.example/offer"
    assert activity_told(track("Booked", user_id="1", properties=said)).email_campaign is None


@pytest.mark.parametrize("name", ["Opened Email", "Clicked Email", "Received Email", "email clicked", "Email Bounced"])
def test_an_email_event_in_any_spelling_that_reports_count_says_so_too(name: str) -> None:
    assert activity_told(track(name, user_id="1", properties={"campaign_name": "Spring"})).email_campaign == "Spring"


@pytest.mark.parametrize(
    "query",
    [
        "?utm_source=forum&utm_medium=referral&utm_campaign=ana%40quay.example",
        "?utm_source=forum&utm_medium=referral&utm_content=%2B1%20202%20555%200143",
        "?utm_source=forum&utm_medium=referral&utm_term=for%2520ana%2540quay.example",
    ],
)
def test_a_value_that_looks_personal_is_left_out_and_counted(query: str) -> None:
    facts = found(visit(query))
    (touch,) = facts.rows[Kind.TOUCHES]
    assert isinstance(touch, TouchFact)
    assert (touch.source, touch.campaign, touch.content, touch.term) == ("forum", None, None, None)
    assert facts.left_out == {"personal": 1}


def test_a_page_whose_path_names_somebody_hides_that_part() -> None:
    assert activity_told(visit("?email=ana@quay.example", "/reset/ana%40quay.example/done")).page == "quay.example/reset/…/done"


def test_the_number_of_a_paid_campaign_is_no_phone() -> None:
    assert touch_told(visit("?utm_source=google&utm_medium=cpc&utm_campaign=12025550143")).campaign == "12025550143"
    assert touch_told(visit("?utm_source=newsletter&utm_medium=email&utm_campaign=12025550143")).campaign is None
