"""Channels: by which kind of way somebody came. One table, read from the top; the first row that fits decides.

What a link says of itself (its medium) goes before what an advertiser's system added to it (a click id), and both before where it was clicked (the referrer).
A referrer counts only where the link names neither source nor medium; an advertising network's counts always.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Channel(StrEnum):
    BOT = "bot"
    """A machine: kept apart, never a person's first or last touch."""
    EMAIL = "email"
    AFFILIATE = "affiliate"
    DISPLAY = "display"
    PAID_SEARCH = "paid_search"
    PAID_SOCIAL = "paid_social"
    PAID_OTHER = "paid_other"
    ORGANIC_SOCIAL = "organic_social"
    ORGANIC_SEARCH = "organic_search"
    AI_SEARCH = "ai_search"
    REFERRAL = "referral"
    OTHER = "other"
    """A campaign whose medium is none of these: a text message, a printed code."""
    DIRECT = "direct"


PAID: Final = (Channel.PAID_SEARCH, Channel.PAID_SOCIAL, Channel.PAID_OTHER, Channel.DISPLAY, Channel.AFFILIATE)
"""What somebody was paid for."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of a touch. Text as it came: case, space, `_` and `-` do not matter here."""

    medium: str | None = None
    source: str | None = None
    campaign: str | None = None
    click: str | None = None
    """The kind of click id, as `gclid`."""
    marks: Set[str] = frozenset()
    """Parameters that mail systems add, in lower case."""
    affiliate: bool = False
    """Whether an affiliate is named."""
    referrer: str = ""
    """Host of another site, in lower case, without `www.`; empty for none."""
    user_agent: str = ""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A row: all that it names has to hold."""

    channel: Channel
    when: str
    """The row in words, for the documents."""
    media: Set[str] = frozenset()
    """The medium is one of these; "" stands for none."""
    sources: Set[str] = frozenset()
    clicks: Set[str] = frozenset()
    marks: Set[str] = frozenset()
    """One of these parameters is there."""
    hosts: tuple[str, ...] = ()
    """The referrer is one of these hosts or below it; `google.*` is `google` with any ending, and nothing below it."""
    affiliate: bool = False
    bot: bool = False
    untagged: bool = False
    """The link names neither source nor medium."""
    referred: bool = False
    """It came from another site."""
    tagged: bool = False
    """The link names a source, a medium or a campaign."""

    def fits(self, evidence: Evidence) -> bool:
        medium, source = plain(evidence.medium), plain(evidence.source)
        return (
            (not self.media or medium in self.media)
            and (not self.sources or source in self.sources)
            and (not self.clicks or evidence.click in self.clicks)
            and (not self.marks or not self.marks.isdisjoint(evidence.marks))
            and (not self.hosts or _is_at(evidence.referrer, self.hosts))
            and (not self.affiliate or evidence.affiliate)
            and (not self.bot or is_machine(evidence.user_agent))
            and (not self.untagged or not (medium or source))
            and (not self.referred or evidence.referrer != "")
            and (not self.tagged or bool(medium or source or plain(evidence.campaign)))
        )


SOCIAL_SOURCES: Final = frozenset(
    {
        "facebook",
        "facebook.com",
        "fb",
        "instagram",
        "instagram.com",
        "ig",
        "meta",
        "messenger",
        "twitter",
        "x",
        "linkedin",
        "linkedin.com",
        "pinterest",
        "tiktok",
    }
    | {"tiktok.com", "reddit", "youtube", "snapchat", "threads", "quora", "tumblr", "vk", "bluesky", "mastodon", "telegram", "whatsapp", "discord"}
)
SOCIAL_HOSTS: Final = (
    *("facebook.com", "fb.com", "fb.me", "messenger.com", "instagram.com", "t.co", "twitter.com", "x.com", "linkedin.com", "lnkd.in", "tiktok.com"),
    *("reddit.com", "youtube.com", "youtu.be", "snapchat.com", "threads.net", "threads.com", "quora.com", "tumblr.com", "vk.com", "bsky.app"),
    *("mastodon.social", "t.me", "web.telegram.org", "whatsapp.com", "discord.com", "pin.it", "pinterest.*", "pinterest.com"),
    *("com.facebook.katana", "com.instagram.android", "com.linkedin.android", "com.reddit.frontpage", "com.pinterest", "com.twitter.android"),
)
SEARCH_SOURCES: Final = frozenset({"google", "bing", "yahoo", "duckduckgo", "baidu", "yandex", "ecosia", "brave", "qwant", "startpage", "naver", "microsoft"})
SEARCH_HOSTS: Final = (
    *("google.*", "bing.com", "search.yahoo.com", "search.yahoo.co.jp", "yahoo.*", "duckduckgo.com", "baidu.com", "yandex.*", "ya.ru", "ecosia.org"),
    *("search.brave.com", "qwant.com", "startpage.com", "search.naver.com", "seznam.cz", "ask.com", "search.aol.com", "sogou.com", "kagi.com"),
    *("com.google.android.googlequicksearchbox",),
)
AI_SOURCES: Final = frozenset(
    {"chatgpt", "chatgpt.com", "openai", "perplexity", "perplexity.ai", "gemini", "gemini.google.com", "copilot", "copilot.microsoft.com", "copilot.com"}
    | {"claude", "claude.ai", "deepseek", "grok", "meta.ai", "you.com", "mistral"}
)
AI_HOSTS: Final = (
    *("chatgpt.com", "chat.openai.com", "perplexity.ai", "gemini.google.com", "bard.google.com", "copilot.microsoft.com", "copilot.com", "claude.ai"),
    *("you.com", "poe.com", "meta.ai", "chat.deepseek.com", "grok.com", "chat.mistral.ai", "phind.com", "com.openai.chatgpt"),
)
MAIL_HOSTS: Final = (
    *("mail.google.com", "inbox.google.com", "mail.yahoo.com", "mail.yahoo.co.jp", "outlook.live.com", "outlook.office.com", "outlook.office365.com"),
    *("mail.aol.com", "mail.proton.me", "mail.zoho.com", "e.mail.ru", "mail.yandex.ru", "mail.163.com", "com.google.android.gm", "klclick.com"),
    *("klclick1.com", "klclick2.com", "klclick3.com", "list-manage.com"),
)
MAIL_SOURCES: Final = frozenset(
    {"klaviyo", "mailchimp", "activecampaign", "sendgrid", "convertkit", "mailerlite", "omnisend", "drip", "iterable", "newsletter", "email"}
)
MAIL_MARKS: Final = frozenset({"_kx", "_ke", "mc_cid", "mc_eid", "_hsenc", "_hsmi", "vero_id", "ck_subscriber_id", "mkt_tok", "dm_i", "oly_enc_id"})
SEARCH_AD_HOSTS: Final = ("googleadservices.com", "syndicatedsearch.goog")
AD_HOSTS: Final = (
    "doubleclick.net",
    "googlesyndication.com",
    "taboola.com",
    "outbrain.com",
    "criteo.com",
    "criteo.net",
    "adnxs.com",
    "adsrvr.org",
    "mgid.com",
    "revcontent.com",
)

SEARCH_CLICKS: Final = frozenset({"gclid", "gbraid", "wbraid", "msclkid", "yclid"})
SOCIAL_CLICKS: Final = frozenset({"fbclid", "ttclid", "twclid", "li_fat_id", "sccid", "rdt_cid", "epik"})
DISPLAY_CLICKS: Final = frozenset({"dclid"})
OTHER_CLICKS: Final = frozenset({"tblci", "obclid", "irclickid"})
CLICK_KINDS: Final = (
    *("gclid", "gbraid", "wbraid", "msclkid", "dclid", "ttclid", "twclid", "li_fat_id", "sccid", "rdt_cid", "epik", "yclid", "tblci", "obclid", "irclickid"),
    "fbclid",
)
"""Which one counts where an address carries several, the surest first: Facebook adds its own to links that nobody paid for."""

_EMAIL: Final = frozenset({"email", "e-mail", "mail", "newsletter", "emails"})
_AFFILIATE: Final = frozenset({"affiliate", "affiliates", "aff"})
_DISPLAY: Final = frozenset({"display", "cpm", "banner", "banners", "gdn", "programmatic", "interstitial", "retargeting"})
_PAID_SEARCH: Final = frozenset({"paidsearch", "paid-search", "sem", "search-ads", "searchads"})
_PAID_SOCIAL: Final = frozenset({"paidsocial", "paid-social", "social-paid", "socialpaid", "social-ads", "socialads"})
_PAID: Final = frozenset({"cpc", "ppc", "paid", "cpa", "cpv", "ads", "ad", "paid-media"})
_SOCIAL: Final = frozenset({"social", "social-network", "social-media", "socialmedia", "socialnetwork", "sm", "organic-social", "organicsocial"})
_SEARCH: Final = frozenset({"search", "organic", "organic-search", "organicsearch", "seo"})
_AI: Final = frozenset({"ai", "ai-search", "aisearch", "llm", "chatbot", "ai-assistant"})
_REFERRAL: Final = frozenset({"referral", "ref", "referrer", "link"})
_MAILED: Final = frozenset({"", "campaign", "flow", "automation", "broadcast"})
"""What mail systems call their own media; anything else that a mail system's link names (a text message) is believed."""

RULES: Final = (
    Rule(channel=Channel.BOT, when="the user agent is a machine's", bot=True),
    Rule(channel=Channel.EMAIL, when="the medium is email", media=_EMAIL),
    Rule(channel=Channel.AFFILIATE, when="the medium is affiliate", media=_AFFILIATE),
    Rule(channel=Channel.DISPLAY, when="the medium is display", media=_DISPLAY),
    Rule(channel=Channel.PAID_SEARCH, when="the medium is paid search", media=_PAID_SEARCH),
    Rule(channel=Channel.PAID_SOCIAL, when="the medium is paid social", media=_PAID_SOCIAL),
    Rule(channel=Channel.PAID_SOCIAL, when="the medium is paid, the source a social network", media=_PAID, sources=SOCIAL_SOURCES),
    Rule(channel=Channel.PAID_SEARCH, when="the medium is paid, the source a search engine", media=_PAID, sources=SEARCH_SOURCES),
    Rule(channel=Channel.PAID_SOCIAL, when="the medium is paid, the click id a social network's", media=_PAID, clicks=SOCIAL_CLICKS),
    Rule(channel=Channel.PAID_SEARCH, when="the medium is paid, the click id a search engine's", media=_PAID, clicks=SEARCH_CLICKS),
    Rule(channel=Channel.PAID_OTHER, when="the medium is paid", media=_PAID),
    Rule(channel=Channel.EMAIL, when="the source is a mail system, the medium its own or none", media=_MAILED, sources=MAIL_SOURCES),
    Rule(channel=Channel.EMAIL, when="a mail system's parameter is there, the medium its own or none", media=_MAILED, marks=MAIL_MARKS),
    Rule(channel=Channel.AFFILIATE, when="an affiliate id is there", affiliate=True),
    Rule(channel=Channel.PAID_SEARCH, when="the click id is a search engine's", clicks=SEARCH_CLICKS),
    Rule(channel=Channel.DISPLAY, when="the click id is a display network's", clicks=DISPLAY_CLICKS),
    Rule(channel=Channel.PAID_SOCIAL, when="the click id is a social network's", clicks=SOCIAL_CLICKS),
    Rule(channel=Channel.PAID_OTHER, when="the click id is another network's", clicks=OTHER_CLICKS),
    Rule(channel=Channel.PAID_SEARCH, when="the referrer serves search ads", hosts=SEARCH_AD_HOSTS),
    Rule(channel=Channel.PAID_OTHER, when="the referrer serves ads", hosts=AD_HOSTS),
    Rule(channel=Channel.ORGANIC_SOCIAL, when="the medium is social", media=_SOCIAL),
    Rule(channel=Channel.ORGANIC_SOCIAL, when="the source is a social network", sources=SOCIAL_SOURCES),
    Rule(channel=Channel.EMAIL, when="the referrer is a mail client, no source or medium named", hosts=MAIL_HOSTS, untagged=True),
    Rule(channel=Channel.ORGANIC_SOCIAL, when="the referrer is a social network, no source or medium named", hosts=SOCIAL_HOSTS, untagged=True),
    Rule(
        channel=Channel.AI_SEARCH,
        when="the source is an assistant, the medium search, a referral or none",
        media=_SEARCH | _REFERRAL | {""},
        sources=AI_SOURCES,
    ),
    Rule(channel=Channel.ORGANIC_SEARCH, when="the medium is search", media=_SEARCH),
    Rule(channel=Channel.ORGANIC_SEARCH, when="the source is a search engine, the medium a referral or none", media=_REFERRAL | {""}, sources=SEARCH_SOURCES),
    Rule(channel=Channel.ORGANIC_SEARCH, when="the referrer is a search engine, no source or medium named", hosts=SEARCH_HOSTS, untagged=True),
    Rule(channel=Channel.AI_SEARCH, when="the medium is AI", media=_AI),
    Rule(channel=Channel.AI_SEARCH, when="the referrer is an assistant, no source or medium named", hosts=AI_HOSTS, untagged=True),
    Rule(channel=Channel.REFERRAL, when="the medium is referral", media=_REFERRAL),
    Rule(channel=Channel.REFERRAL, when="the referrer is another site, no source or medium named", referred=True, untagged=True),
    Rule(channel=Channel.OTHER, when="a source, a medium or a campaign is named", tagged=True),
    Rule(channel=Channel.DIRECT, when="nothing of all that"),
)

_BOT: Final = re.compile(
    r"(?<!cu)bot\b|(?<!cu)bot[/_ -]|googlebot|crawl|spider|slurp|headless|facebookexternalhit|lighthouse|pingdom|phantomjs|prerender|preview|chatgpt-user"
    r"|perplexity-user|claude-user|google-read-aloud|googleother|bytespider|monitor|python-requests|curl/|wget/|go-http-client|scrapy|archiver",
    re.IGNORECASE,
)
_SEPARATORS: Final = re.compile(r"[\s_+-]+")
_ENDING: Final = re.compile(r"\.[a-z]{2,4}(\.[a-z]{2})?")


def rule_of(evidence: Evidence) -> Rule:
    """The first row that fits; the last always does."""
    return next(rule for rule in RULES if rule.fits(evidence))


def channel_of(evidence: Evidence) -> Channel:
    return rule_of(evidence).channel


def is_machine(user_agent: str) -> bool:
    """Whether a crawler, a monitor or a script says that it is one."""
    return _BOT.search(user_agent) is not None


def plain(text: str | None) -> str:
    """As the table has it: `Paid_Social ` is `paid-social`."""
    return _SEPARATORS.sub("-", (text or "").strip().casefold())


def _is_at(host: str, hosts: tuple[str, ...]) -> bool:
    return any(_is_one(host, one) for one in hosts) if host else False


def _is_one(host: str, one: str) -> bool:
    if one.endswith(".*"):
        name = one[:-2]
        return host.startswith(name) and _ENDING.fullmatch(host[len(name) :]) is not None
    return host == one or host.endswith(f".{one}")
