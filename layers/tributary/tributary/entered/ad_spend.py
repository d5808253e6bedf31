"""What advertisements cost: rows as they are entered → facts, one for an advertisement and a day.

The key of a row is (platform, account, advertisement, day, type), where the advertisement is told by the most precise of its ids, else by its utm values. A
later row of the same key replaces an earlier one; two in one request are both refused: they are parts of a breakdown (by age, by device), and one would hide
the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from tributary.entered.csv_files import Columns
from tributary.entered.reading import Form, Reader, Row, RowError
from tributary.facts.tables import AdSpendFact
from tributary.identity.digests import public_digest

_PLATFORM: Final = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_TYPES: Final = ("spend", "adjustment")
_UTM: Final = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")

COLUMNS: Final = Columns(
    names={
        "date": ("Day", "Reporting starts", "Date start", "segments.date", "By day", "Time period"),
        "platform": (),
        "spend": ("Amount spent", "Cost"),
        "cost_micros": ("metrics.cost_micros",),
        "currency": ("Currency code", "Account currency", "customer.currency_code"),
        "type": (),
        "timezone": ("Time zone",),
        "account_id": ("Customer ID", "customer.id"),
        "campaign_id": ("campaign.id", "CampaignId"),
        "campaign_name": ("Campaign", "campaign.name"),
        "adset_id": ("Ad set ID", "Ad group ID", "ad_group.id", "AdGroupId"),
        "adset_name": ("Ad set name", "Ad group", "Ad group name", "ad_group.name"),
        "ad_id": ("ad_group_ad.ad.id", "AdId"),
        "ad_name": ("ad_group_ad.ad.name",),
        "utm_source": (),
        "utm_medium": (),
        "utm_campaign": (),
        "utm_content": (),
        "utm_term": (),
        "impressions": ("Impr.", "metrics.impressions"),
        "clicks": ("Link clicks", "Clicks (all)", "metrics.clicks"),
        "platform_conversions": (),
        "platform_conversion_value": (),
        "date_end": ("Reporting ends", "Date stop"),
    },
    needed=(("date",), ("spend", "cost_micros")),
    amounts=("spend", "platform_conversion_value"),
)

_Text = Annotated[str, Meta(max_length=255)]


class AdSpendRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an advertisement cost on a day. One of `ad_id`, `adset_id`, `campaign_id` and `utm_campaign` is needed."""

    date: Annotated[str, Meta(description="The day of the ad account, as `2026-03-08`.")]
    platform: Annotated[_Text | None, Meta(description="As `facebook`, `google`, `tiktok`; the parameter `platform` without it.")] = None
    spend: Annotated[int, Meta(description="Minor units; below 0 only with `type` `adjustment`.")]
    currency: Annotated[str | None, Meta(description="ISO 4217; the parameter `currency` without it, else the account's reporting currency.")] = None
    type: Literal["spend", "adjustment"] = "spend"
    timezone: Annotated[_Text | None, Meta(description="The ad account's IANA time zone.")] = None
    account_id: _Text | None = None
    campaign_id: _Text | None = None
    campaign_name: _Text | None = None
    adset_id: _Text | None = None
    adset_name: _Text | None = None
    ad_id: _Text | None = None
    ad_name: _Text | None = None
    utm_source: _Text | None = None
    utm_medium: _Text | None = None
    utm_campaign: _Text | None = None
    utm_content: _Text | None = None
    utm_term: _Text | None = None
    impressions: Annotated[int, Meta(ge=0)] | None = None
    clicks: Annotated[int, Meta(ge=0)] | None = None
    platform_conversions: Annotated[int, Meta(ge=0)] | None = None
    platform_conversion_value: Annotated[int | None, Meta(description="Minor units.")] = None


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What holds for rows that do not say it themselves."""

    currency: str
    header_names_currency: bool = False
    """Then no row may name another."""
    platform: str | None = None
    account_id: str | None = None
    time_zone: str | None = None


def facts(rows: Sequence[Row], *, form: Form, defaults: Defaults, latest: date) -> tuple[list[AdSpendFact], list[RowError]]:
    """The rows that can be taken, without batch and version, and what is wrong with the others. `latest`: the last day that rows may be of."""
    read: list[tuple[Row, AdSpendFact]] = []
    errors: list[RowError] = []
    for row in rows:
        reader = Reader(row, form)
        fact = _fact(reader, defaults, latest)
        errors += reader.errors
        if fact is not None:
            read.append((row, fact))
    first: dict[str, int] = {}
    repeated: dict[str, int] = {}
    for row, fact in read:
        if fact.key in first:
            repeated.setdefault(fact.key, row.number)
        first.setdefault(fact.key, row.number)
    for row, fact in read:
        if fact.key in repeated:
            other = first[fact.key] if first[fact.key] != row.number else repeated[fact.key]
            reason = f"It is of the same advertisement and day as row {other}: give one row for both, as with an export without breakdowns."
            errors.append(RowError(row=row.number, column=None, reason=reason))
    return [fact for _, fact in read if fact.key not in repeated], sorted(errors, key=lambda error: error.row)


def _fact(reader: Reader, defaults: Defaults, latest: date) -> AdSpendFact | None:
    """None where something is wrong; the reader has it."""
    if reader.row.fault is not None:
        reader.wrong(reader.row.fault_column, reader.row.fault)
        return None
    day = reader.day("date", latest=latest)
    if day is not None and reader.has("date_end") and reader.day("date_end", latest=latest) not in (day, None):
        reader.wrong("date_end", "The row stands for more than one day: export it by day.")
    platform = reader.slug("platform") or defaults.platform
    if platform is None and not reader.errors_of("platform"):
        reader.wrong("platform", "It is needed, in the row or as a parameter.")
    elif platform is not None and not _PLATFORM.fullmatch(platform):
        reader.wrong("platform", "A platform is named by letters, digits, `_`, `.` and `-`, as facebook.")
    kind = reader.slug("type") or "spend"
    if kind not in _TYPES:
        reader.wrong("type", "One of spend, adjustment.")
    ids: dict[str, Any] = {name: reader.id(name) for name in ("account_id", "campaign_id", "adset_id", "ad_id")}
    ids["account_id"] = ids["account_id"] or defaults.account_id
    names: dict[str, Any] = {name: reader.text(name) for name in ("campaign_name", "adset_name", "ad_name")}
    utm: dict[str, Any] = {name: reader.text(name) for name in _UTM}
    if not any(reader.has(name) for name in ("ad_id", "adset_id", "campaign_id", "utm_campaign")):
        reader.wrong("campaign_id", "One of ad_id, adset_id, campaign_id and utm_campaign is needed.")
    time_zone = reader.time_zone("timezone") or defaults.time_zone
    counts: dict[str, Any] = {name: reader.whole(name) for name in ("impressions", "clicks", "platform_conversions")}
    currency = reader.currency("currency") or defaults.currency
    if defaults.header_names_currency and currency != defaults.currency:
        reader.wrong("currency", "The file's header names another one.")
    spend = value = None
    if not reader.errors_of("currency"):
        spend = _spend(reader, currency, kind)
        value = reader.money("platform_conversion_value", currency)
    if reader.errors or day is None or platform is None or spend is None:
        return None
    level = next(((name, ids[name]) for name in ("ad_id", "adset_id", "campaign_id") if ids[name]), ("utm", *(utm[name] or "" for name in _UTM)))
    return AdSpendFact(
        key=public_digest(platform, ids["account_id"] or "", day.isoformat(), kind, *level),
        batch="",
        type=kind,
        day=day,
        time_zone=time_zone,
        platform=platform,
        **ids,
        **names,
        **{name.removeprefix("utm_"): said for name, said in utm.items()},
        currency=currency,
        spend=spend,
        **counts,
        platform_conversion_value=value,
    )


def _spend(reader: Reader, currency: str, kind: str) -> int | None:
    column = "spend" if reader.has("spend") or not reader.has("cost_micros") else "cost_micros"
    if not reader.has(column):
        reader.wrong("spend", "It is needed.")
        return None
    spend = reader.money(column, currency) if column == "spend" else reader.micros(column, currency)
    if spend is not None and spend < 0 and kind != "adjustment":
        reader.wrong(column, "Below 0 is a credit: it needs the type adjustment.")
    return spend
