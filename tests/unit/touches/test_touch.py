"""Which events are a touch, and what of them is kept."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.builders import NOON, identify, later, page, screen, track
from tributary.events import Page, Track
from tributary.touches.channels import Channel
from tributary.touches.touch import EmailLink, Touch, touch_of

SHOP = "https://www.quay.example"


def visit(url: str | None = f"{SHOP}/", referrer: str | None = None, **given: Any) -> Page:
    about = {name: value for name, value in (("url", url), ("referrer", referrer)) if value is not None}
    return page(context={"page": about, **given.pop("context", {})}, **given)


def order(event: str = "Order Completed", *, campaign: dict[str, Any] | None = None, **given: Any) -> Track:
    context = {"campaign": campaign or {}, "konnektive": given.pop("konnektive", {})}
    return track(event, owner="konnektive#con_1#901", source="con_1", context=context, **given)


def touched(event: Page | Track) -> Touch:
    touch = touch_of(event)
    assert touch is not None
    return touch


def test_a_tagged_page_view_keeps_what_its_link_said_as_it_was_written() -> None:
    url = f"{SHOP}/Offer?utm_source=Face%20Book&utm_medium=Paid_Social&utm_campaign=Spring%20Boats&utm_content=Blue%20hull&utm_term=sailing&fbclid=IwAR0"
    url += "&campaign_id=120210000000000001&adset_id=120210000000000002&ad_id=120210000000000003"
    assert touched(visit(url, "https://l.facebook.com/l.php?u=https%3A%2F%2Fquay.example&h=AT0", message_id="m-1", timestamp=later(-5))) == Touch(
        at=later(-5),
        channel=Channel.PAID_SOCIAL,
        event_source="src_shop",
        message_id="m-1",
        source="Face Book",
        medium="Paid_Social",
        campaign="Spring Boats",
        content="Blue hull",
        term="sailing",
        referrer_host="l.facebook.com",
        referrer="https://l.facebook.com/l.php",
        landing_page="https://www.quay.example/Offer",
        click_id_kind="fbclid",
        click_id="IwAR0",
        campaign_id="120210000000000001",
        adset_id="120210000000000002",
        ad_id="120210000000000003",
    )


@pytest.mark.parametrize("kind", ["gclid", "gbraid", "wbraid", "fbclid", "msclkid", "ttclid", "twclid", "li_fat_id", "dclid"])
def test_a_click_id_is_kept_with_its_kind(kind: str) -> None:
    touch = touched(visit(f"{SHOP}/?{kind}=Abc-1", f"{SHOP}/cart"))
    assert (touch.click_id_kind, touch.click_id) == (kind, "Abc-1")


def test_of_several_click_ids_the_surest_counts() -> None:
    touch = touched(visit(f"{SHOP}/?fbclid=F&gclid=G"))
    assert (touch.click_id_kind, touch.channel) == ("gclid", Channel.PAID_SEARCH)


def test_what_the_library_read_of_the_campaign_goes_before_the_address() -> None:
    touch = touched(visit(f"{SHOP}/?utm_source=old", context={"campaign": {"source": "google", "medium": "cpc", "name": "Spring"}}))
    assert (touch.source, touch.medium, touch.campaign) == ("google", "cpc", "Spring")


@pytest.mark.parametrize(
    "event",
    [
        page(properties={"url": f"{SHOP}/?utm_source=google&utm_medium=cpc"}),
        page(properties={"url": f"{SHOP}/", "search": "?utm_source=google&utm_medium=cpc"}),
        page(context={"page": {"url": f"{SHOP}/", "search": "?UTM_Source=google&UTM_Medium=cpc"}}),
    ],
)
def test_the_parameters_are_found_wherever_the_page_has_its_address(event: Page) -> None:
    assert touched(event).channel is Channel.PAID_SEARCH


@pytest.mark.parametrize(
    ("referrer", "expected"),
    [
        (None, Channel.DIRECT),
        ("https://www.google.com/", Channel.ORGANIC_SEARCH),
        ("android-app://com.google.android.gm/", Channel.EMAIL),
        ("https://harbournews.example/boats", Channel.REFERRAL),
        ("https://chatgpt.com/", Channel.AI_SEARCH),
    ],
)
def test_an_untagged_page_view_is_a_touch_by_where_it_came_from(referrer: str | None, expected: Channel) -> None:
    assert touched(visit(referrer=referrer)).channel is expected


@pytest.mark.parametrize(
    "event",
    [
        visit(f"{SHOP}/cart", f"{SHOP}/"),
        visit(f"{SHOP}/cart", "https://quay.example/"),
        visit("https://pay.quay.co.uk/", "https://shop.quay.co.uk/"),
        visit(f"{SHOP}/thanks", "https://www.paypal.com/checkoutnow"),
        visit(f"{SHOP}/thanks", "https://checkout.stripe.com/c/pay"),
        visit(f"{SHOP}/cart?utm_source=fb&utm_medium=cpc&step=2", f"{SHOP}/?utm_source=fb&utm_medium=cpc"),
        page(),
        page(context={"page": "none", "campaign": []}),
        screen(),
        identify(),
        track("Order Completed", context={"campaign": {"source": "google"}}),
    ],
)
def test_what_is_no_touch(event: Any) -> None:
    assert touch_of(event) is None


def test_another_campaign_within_the_site_is_a_touch() -> None:
    assert touched(visit(f"{SHOP}/?utm_source=google&utm_medium=cpc", f"{SHOP}/?utm_source=fb&utm_medium=cpc")).source == "google"


def test_two_shops_of_one_country_ending_are_two_sites() -> None:
    assert touched(visit("https://quay.co.uk/", "https://harbour.co.uk/")).channel is Channel.REFERRAL


def test_no_query_and_no_email_of_a_path_is_kept() -> None:
    touch = touched(
        visit(f"{SHOP}/in/ana%40quay.example/hello?email=ana@quay.example&utm_source=x#ana", "https://ana:pw@harbour.example/u/ana@quay.example?q=ana")
    )
    assert touch.landing_page == "https://www.quay.example/in/…/hello"
    assert touch.referrer == "https://harbour.example/u/…"


@pytest.mark.parametrize("url", ["http://[broken", "not an address", "?" + "&".join(f"a{number}=1" for number in range(1_000)), "https://quay.example:port/"])
def test_an_address_that_cannot_be_read_fails_nothing(url: str) -> None:
    assert touched(visit(url)).channel is Channel.DIRECT


def test_a_machine_is_kept_apart() -> None:
    assert touched(visit(f"{SHOP}/?utm_medium=email", context={"userAgent": "GPTBot/1.2"})).channel is Channel.BOT


def test_an_order_counts_by_its_utm_and_affiliate_values_without_any_tracking_link() -> None:
    konnektive = {"affId": "A7", "sourceValue1": "sub-9", "sourceValue3": "c-77", "salesUrl": f"{SHOP}/lp?gclid=G1&email=ana@quay.example"}
    event = order(
        campaign={"source": " Google ", "medium": "CPC", "name": "Spring "},
        konnektive={**konnektive, "httpReferer": "https://www.google.com/search?q=boats"},
        timestamp=later(-60),
        message_id="konnektive:con_1:order:1:completed:1",
    )
    assert touched(event) == Touch(
        at=later(-60),
        channel=Channel.PAID_SEARCH,
        event_source="con_1",
        message_id="konnektive:con_1:order:1:completed:1",
        source="Google",
        medium="CPC",
        campaign="Spring",
        referrer_host="google.com",
        referrer="https://www.google.com/search",
        landing_page="https://www.quay.example/lp",
        click_id_kind="gclid",
        click_id="G1",
        affiliate_id="A7",
        affiliate_values=("sub-9", None, "c-77", None, None),
    )


def test_a_lead_that_names_an_affiliate_alone_is_an_affiliates_touch() -> None:
    touch = touched(track("Checkout Started", owner="konnektive#con_1#901", properties={"affiliate_id": 7, "source_value_2": "x"}))
    assert (touch.channel, touch.affiliate_id, touch.affiliate_values) == (Channel.AFFILIATE, "7", (None, "x", None, None, None))


@pytest.mark.parametrize(
    "event",
    [
        order(),
        order(konnektive={"affId": "0"}),
        order(campaign={"source": "google"}, properties={"billing_cycle": 2}),
        order(campaign={"source": "google"}, properties={"order_type": "RECURRING"}),
        order("Order Updated", campaign={"source": "google"}),
        order("Order Refunded", campaign={"source": "google"}),
    ],
)
def test_an_order_that_says_nothing_new_of_how_somebody_came_is_no_touch(event: Track) -> None:
    assert touch_of(event) is None


def test_an_affiliate_and_its_values_are_read_from_a_page_too_and_placeholders_are_not() -> None:
    touch = touched(visit(f"{SHOP}/?affId=A7&c1=one&c2=[c2]&sourceValue3=three&ad_id={{{{ad.id}}}}", f"{SHOP}/"))
    assert (touch.channel, touch.affiliate_id, touch.affiliate_values, touch.ad_id) == (Channel.AFFILIATE, "A7", ("one", None, "three", None, None), None)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            "utm_source=Klaviyo&utm_medium=campaign&utm_campaign=Spring%20sale&utm_id=01HX&_kx=secret",
            EmailLink(campaign="Spring sale", message="01HX"),
        ),
        ("utm_source=Klaviyo&utm_medium=flow&utm_campaign=Welcome&utm_id=01HX&utm_content=button", EmailLink(flow="Welcome", message="01HX", link="button")),
        ("utm_source=list&mc_cid=77&mc_eid=secret&utm_campaign=Spring", EmailLink(campaign="77")),
    ],
)
def test_an_emails_link_says_campaign_flow_message_and_link_and_never_its_reader(query: str, expected: EmailLink) -> None:
    touch = touched(visit(f"{SHOP}/?{query}"))
    assert (touch.channel, touch.email) == (Channel.EMAIL, expected)
    assert "secret" not in repr(touch)


def test_a_clock_ahead_of_ours_is_not_believed() -> None:
    assert touched(visit(timestamp=later(3_600))).at == later(300, than=NOON)
