"""What advertising cost, and under which touches' names.

A day's spend is looked up by what it says of itself, the most exact first: its ad, its ad set, its campaign's id, as touches carried these; then the source and
campaign it names; then its platform, as paid touches name it. It then goes by the names that most of these touches had, as far as the match reaches: who knows
the campaign alone knows no ad. What no touch is known of keeps its own names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction

from tests.oracle import calendar
from tests.oracle.credits import TOUCH_COLUMNS, Credit, World, fits
from tests.oracle.models import PAID
from tributary.facts.tables import AdSpendFact, TouchFact
from tributary.reports.query import Query

Names = tuple[str | None, ...]


@dataclass(frozen=True)
class Cost:
    """One day of one advertisement, or of a cost that the account adds."""

    spend: AdSpendFact
    is_ad: bool = True


@dataclass(frozen=True)
class Match:
    of_spend: Callable[[AdSpendFact], str | None]
    of_touch: Callable[[TouchFact], str | None]
    tells: tuple[str, ...]


CAMPAIGN = ("channel", "source", "medium", "campaign", "campaign_id")
MATCHES = (
    Match(lambda spend: spend.ad_id, lambda touch: touch.ad_id, tuple(TOUCH_COLUMNS)),
    Match(lambda spend: spend.adset_id, lambda touch: touch.adset_id, (*CAMPAIGN, "adset")),
    Match(lambda spend: spend.campaign_id, lambda touch: touch.campaign_id, CAMPAIGN),
    Match(
        lambda spend: both(spend.source or spend.platform or None, spend.campaign or spend.campaign_name),
        lambda touch: both(touch.source, touch.campaign),
        ("channel", "source", "medium", "campaign"),
    ),
    Match(
        lambda spend: plain(spend.source or spend.platform) or None,
        lambda touch: plain(touch.source) if touch.channel in PAID and touch.source is not None else None,
        ("channel", "source"),
    ),
)
OWN_NAMES: dict[str, Callable[[AdSpendFact], str | None]] = {
    "source": lambda spend: spend.source or spend.platform or None,
    "medium": lambda spend: spend.medium,
    "campaign": lambda spend: spend.campaign or spend.campaign_name,
    "content": lambda spend: spend.content,
    "term": lambda spend: spend.term,
    "campaign_id": lambda spend: spend.campaign_id,
    "adset": lambda spend: spend.adset_id,
    "ad": lambda spend: spend.ad_id,
}


def costs(world: World, query: Query, *, grouped: bool = True) -> list[Credit]:
    asked = [name for name in dict.fromkeys((*query.group_by, *(one.dimension for one in query.filters))) if name in TOUCH_COLUMNS]
    known = _known(world, query)
    found = []
    for cost in [*(Cost(spend) for spend in world.spend), *_fixed(query)]:
        spend = cost.spend
        if not query.range.first <= spend.day <= min(query.range.last, calendar.local(query.now, query.time_zone).date()):
            continue
        match = next((one for one in MATCHES if one.of_spend(spend) in {one.of_touch(touch) for touch in known} - {None}), None)
        names = dict(zip(asked, _names(spend, match, known, asked), strict=True))
        if not all(fits(names[one.dimension], one) for one in query.filters if one.dimension in names):
            continue
        amount = world.rates.exchanged(spend.spend, spend.day, spend.currency, query.currency)
        told = amount if amount is not None else spend.spend
        claimed = spend.platform_conversion_value or 0
        claimed_told = world.rates.exchanged(claimed, spend.day, spend.currency, query.currency)
        found.append(
            Credit(
                kind="spend",
                person="",
                of=spend.key,
                at=_start_of(spend.day, query),
                currency=query.currency if amount is not None else spend.currency,
                dimensions={name: names.get(name) for name in query.group_by} if grouped else {},
                touched=True,
                share=Fraction(),
                money={
                    "ad_spend": told if cost.is_ad else 0,
                    "fixed_costs": 0 if cost.is_ad else told,
                    "impressions": spend.impressions or 0,
                    "clicks": spend.clicks or 0,
                    "platform_conversions": spend.platform_conversions or 0,
                    "platform_conversion_value": claimed_told if claimed_told is not None else claimed,
                    "matched_spend": told if cost.is_ad and match in MATCHES[:-1] else 0,
                },
            )
        )
    return found


def plain(text: str) -> str:
    """A name, however it is written."""
    return re.sub("[ _-]+", " ", text.lower().strip())


def both(source: str | None, campaign: str | None) -> str | None:
    return None if source is None or campaign is None else f"{plain(source)}|{plain(campaign)}"


def _known(world: World, query: Query) -> list[TouchFact]:
    """The touches that say what an id is called: those that the range's conversions may be due to."""
    start = None if query.lookback_days is None else query.range.start - timedelta(days=query.lookback_days)
    until = min(query.range.end, query.now)
    return [
        touch
        for touches in world.touches.values()
        for touch in touches
        if touch.channel != "bot" and touch.happened_at < until and (start is None or touch.happened_at >= start)
    ]


def _names(spend: AdSpendFact, match: Match | None, known: Sequence[TouchFact], asked: Sequence[str]) -> list[str | None]:
    """Of each dimension: what most of the matched touches say, of equally many those that came last; or what the spend says."""
    own = [OWN_NAMES[name](spend) if name in OWN_NAMES else None for name in asked]
    if match is None:
        return own
    theirs = [touch for touch in known if match.of_touch(touch) == match.of_spend(spend)]
    said = [tuple(getattr(touch, TOUCH_COLUMNS[name]) for name in asked) for touch in theirs]
    counts = Counter(said)
    latest = {names: max(touch.happened_at for touch, its in zip(theirs, said, strict=True) if its == names) for names in counts}
    usual: Names = max(counts, key=lambda names: (counts[names], latest[names], [(name is None, name or "") for name in names]))
    return [usual[number] if name in match.tells else own[number] for number, name in enumerate(asked)]


def _fixed(query: Query) -> list[Cost]:
    """The account's own costs, a day at a time; one that goes on does so until the end of the range."""
    found = []
    for cost in query.fixed_costs:
        day = cost.first
        while day <= (cost.last or query.range.last):
            spend = AdSpendFact(
                key=f"{cost.id} {day}",
                batch="",
                day=day,
                platform=cost.platform or "",
                source=cost.source,
                medium=cost.medium,
                campaign=cost.campaign,
                currency=cost.currency,
                spend=cost.amount,
            )
            found.append(Cost(spend, is_ad=False))
            day += timedelta(days=1)
    return found


def _start_of(day: date, query: Query) -> datetime:
    """Where the local day begins: a day's costs are shown in its first hour."""
    return calendar.range_of(day, day, query.time_zone).start
