"""The table of channels: every row, and every two rows that could both take a touch."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tributary.touches.channels import RULES, Channel, Evidence, Rule, channel_of, rule_of

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36"

ROWS: list[tuple[str, list[Evidence]]] = [
    (
        "the user agent is a machine's",
        [
            Evidence(user_agent="Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
            Evidence(user_agent="Mozilla/5.0 AppleWebKit/537.36; compatible; GPTBot/1.2; +https://openai.com/gptbot"),
            Evidence(user_agent="Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/120.0 Safari/537.36"),
            Evidence(user_agent="facebookexternalhit/1.1"),
        ],
    ),
    ("the medium is email", [Evidence(medium="email"), Evidence(medium=" E-Mail "), Evidence(medium="Newsletter"), Evidence(medium="e_mail")]),
    ("the medium is affiliate", [Evidence(medium="Affiliate", source="partnerco")]),
    ("the medium is display", [Evidence(medium="display"), Evidence(medium="CPM"), Evidence(medium="banner")]),
    ("the medium is paid search", [Evidence(medium="paidsearch"), Evidence(medium="Paid Search"), Evidence(medium="paid_search", source="facebook")]),
    ("the medium is paid social", [Evidence(medium="paid_social"), Evidence(medium="Paid Social", source="Google")]),
    ("the medium is paid, the source a social network", [Evidence(medium="cpc", source="Facebook"), Evidence(medium="PPC", source="ig")]),
    ("the medium is paid, the source a search engine", [Evidence(medium="cpc", source="google"), Evidence(medium="ppc", source="Bing ")]),
    ("the medium is paid, the click id a social network's", [Evidence(medium="paid", source="spring", click="fbclid")]),
    ("the medium is paid, the click id a search engine's", [Evidence(medium="cpc", click="gclid")]),
    ("the medium is paid", [Evidence(medium="cpc", source="harbournews"), Evidence(medium="ppc")]),
    (
        "the source is a mail system, the medium its own or none",
        [Evidence(source="Klaviyo", medium="campaign"), Evidence(source="klaviyo", medium="flow"), Evidence(source="mailchimp")],
    ),
    ("a mail system's parameter is there, the medium its own or none", [Evidence(marks={"_kx"}), Evidence(marks={"mc_cid"}, source="spring-list")]),
    ("an affiliate id is there", [Evidence(affiliate=True), Evidence(affiliate=True, medium="social")]),
    ("the click id is a search engine's", [Evidence(click=click) for click in ("gclid", "gbraid", "wbraid", "msclkid")]),
    ("the click id is a display network's", [Evidence(click="dclid")]),
    ("the click id is a social network's", [Evidence(click=click) for click in ("fbclid", "ttclid", "twclid", "li_fat_id")]),
    ("the click id is another network's", [Evidence(click="tblci")]),
    ("the referrer serves search ads", [Evidence(referrer="googleadservices.com")]),
    ("the referrer serves ads", [Evidence(referrer="googleads.g.doubleclick.net"), Evidence(referrer="trc.taboola.com")]),
    ("the medium is social", [Evidence(medium=medium) for medium in ("social", "social-network", "social_media", "Social Media", "sm")]),
    ("the source is a social network", [Evidence(source="instagram"), Evidence(source="fb", medium="story")]),
    (
        "the referrer is a mail client, no source or medium named",
        [Evidence(referrer="mail.google.com"), Evidence(referrer="outlook.live.com"), Evidence(referrer="com.google.android.gm")],
    ),
    (
        "the referrer is a social network, no source or medium named",
        [Evidence(referrer=host) for host in ("l.facebook.com", "t.co", "m.youtube.com", "pinterest.co.uk", "com.linkedin.android")],
    ),
    (
        "the source is an assistant, the medium search, a referral or none",
        [Evidence(source="chatgpt.com"), Evidence(source="perplexity", medium="organic"), Evidence(source="claude.ai", medium="referral")],
    ),
    ("the medium is search", [Evidence(medium="search"), Evidence(medium="organic", source="google"), Evidence(medium="SEO")]),
    ("the source is a search engine, the medium a referral or none", [Evidence(source="google"), Evidence(source="Bing", medium="referral")]),
    (
        "the referrer is a search engine, no source or medium named",
        [Evidence(referrer=host) for host in ("google.com", "google.co.uk", "bing.com", "search.yahoo.com", "duckduckgo.com", "yandex.ru")],
    ),
    ("the medium is AI", [Evidence(medium="ai"), Evidence(medium="AI Search")]),
    (
        "the referrer is an assistant, no source or medium named",
        [Evidence(referrer=host) for host in ("chatgpt.com", "perplexity.ai", "gemini.google.com", "copilot.microsoft.com", "claude.ai")],
    ),
    ("the medium is referral", [Evidence(medium="referral", source="harbournews")]),
    ("the referrer is another site, no source or medium named", [Evidence(referrer="harbournews.example"), Evidence(referrer="news.google.com")]),
    ("a source, a medium or a campaign is named", [Evidence(medium="sms", source="spring"), Evidence(source="qr-code"), Evidence(campaign="spring")]),
    ("nothing of all that", [Evidence(), Evidence(user_agent=CHROME), Evidence(medium="  ")]),
]


def test_every_row_is_tried() -> None:
    assert [when for when, _ in ROWS] == [rule.when for rule in RULES]


@pytest.mark.parametrize(("when", "evidence"), [(when, one) for when, some in ROWS for one in some])
def test_a_row_takes_what_is_its_own(when: str, evidence: Evidence) -> None:
    assert rule_of(evidence).when == when


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (Evidence(medium="email", user_agent="AhrefsBot/7.0"), Channel.BOT),
        (Evidence(user_agent="Mozilla/5.0 (Linux; Android 13; CUBOT_X18) Chrome/131.0"), Channel.DIRECT),
        (Evidence(medium="email", click="gclid"), Channel.EMAIL),
        (Evidence(medium="email", referrer="google.com"), Channel.EMAIL),
        (Evidence(medium="affiliate", click="fbclid"), Channel.AFFILIATE),
        (Evidence(medium="display", source="facebook"), Channel.DISPLAY),
        (Evidence(medium="cpm", click="gclid"), Channel.DISPLAY),
        (Evidence(medium="cpc", affiliate=True), Channel.PAID_OTHER),
        (Evidence(medium="cpc", source="facebook", click="gclid"), Channel.PAID_SOCIAL),
        (Evidence(medium="email", affiliate=True), Channel.EMAIL),
        (Evidence(affiliate=True, click="gclid"), Channel.AFFILIATE),
        (Evidence(affiliate=True, referrer="facebook.com"), Channel.AFFILIATE),
        (Evidence(medium="social", click="fbclid"), Channel.PAID_SOCIAL),
        (Evidence(medium="organic", click="gclid"), Channel.PAID_SEARCH),
        (Evidence(click="gclid", referrer="google.com"), Channel.PAID_SEARCH),
        (Evidence(click="fbclid", referrer="l.facebook.com"), Channel.PAID_SOCIAL),
        (Evidence(medium="referral", click="msclkid"), Channel.PAID_SEARCH),
        (Evidence(medium="social", referrer="doubleclick.net"), Channel.PAID_OTHER),
        (Evidence(medium="social", referrer="google.com"), Channel.ORGANIC_SOCIAL),
        (Evidence(medium="organic", source="facebook"), Channel.ORGANIC_SOCIAL),
        (Evidence(medium="search", source="chatgpt"), Channel.AI_SEARCH),
        (Evidence(medium="organic", referrer="facebook.com"), Channel.ORGANIC_SEARCH),
        (Evidence(medium="referral", source="facebook"), Channel.ORGANIC_SOCIAL),
        (Evidence(medium="referral", referrer="google.com"), Channel.REFERRAL),
        (Evidence(medium="sms", marks={"_kx"}), Channel.OTHER),
        (Evidence(medium="sms", source="klaviyo"), Channel.OTHER),
        (Evidence(medium="sms", referrer="facebook.com"), Channel.OTHER),
        (Evidence(source="partnerco", referrer="google.com"), Channel.OTHER),
        (Evidence(campaign="spring", referrer="google.com"), Channel.ORGANIC_SEARCH),
        (Evidence(referrer="mail.google.com"), Channel.EMAIL),
        (Evidence(referrer="gemini.google.com"), Channel.AI_SEARCH),
        (Evidence(referrer="notgoogle.com"), Channel.REFERRAL),
        (Evidence(referrer="google.com.evil.example"), Channel.REFERRAL),
        (Evidence(referrer="notfacebook.com"), Channel.REFERRAL),
    ],
)
def test_where_two_rows_could_take_it_the_upper_one_does(evidence: Evidence, expected: Channel) -> None:
    assert channel_of(evidence) is expected


def test_no_row_is_hidden_by_those_above_it() -> None:
    def alone(rule: Rule) -> bool:
        return any(rule_of(evidence) is rule for _, some in ROWS for evidence in some)

    assert [rule.when for rule in RULES if not alone(rule)] == []


def test_the_page_shows_the_table_as_it_is() -> None:
    page = (Path(__file__).parents[3] / "docs" / "touches.md").read_text()
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", page, re.MULTILINE)
    assert rows == [(str(number), rule.channel.value, rule.when) for number, rule in enumerate(RULES, start=1)]
