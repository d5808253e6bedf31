"""Advertising spend and fixed costs, and which touches they belong to.

Spend is matched to what touches are named by: its ad, else its ad set, else its campaign id, as these ids came with touches; else the source and campaign that
it names; else its platform alone, by what paid touches name it. An id stands for the names under which most touches with it came. A match tells no more than it
can: a campaign's spend is of no one ad. Spend that no touch is known of stands in rows of its own, under the names that it gives itself. It is never divided by
credit.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from tributary.facts.tables import Kind, Months, Needs
from tributary.reports import dimensions, models
from tributary.reports.frame import Asking, Detail, Measure, months
from tributary.reports.money import converted, rates_step
from tributary.reports.periods import Bucket, timestamp
from tributary.reports.query import FixedCost, Query, Scale
from tributary.reports.ranges import zone_of
from tributary.reports.statement import Step, Values
from tributary.touches.channels import PAID

_CAMPAIGN: Final = frozenset({"channel", "source", "medium", "campaign", "campaign_id"})


@dataclass(frozen=True)
class _Level:
    """A way to match: what of the spend `s` is what of the touches `k`, and what dimensions that tells."""

    name: str
    of_spend: str
    of_touch: str
    tells: Set[str]
    paid_only: bool = False


def _plain(text: str) -> str:
    """SQL: a name, however it is written: case, space, `_` and `-` do not matter."""
    return f"regexp_replace(trim(lower({text})), '[ _-]+', ' ', 'g')"


_LEVELS: Final = (
    _Level("by_ad", "s.ad_id", "k.ad_id", dimensions.TOUCH_NAMES),
    _Level("by_adset", "s.adset_id", "k.adset_id", _CAMPAIGN | {"adset"}),
    _Level("by_campaign", "s.campaign_id", "k.campaign_id", _CAMPAIGN),
    _Level(
        "by_name",
        f"{_plain('coalesce(s.source, s.platform)')} || '|' || {_plain('coalesce(s.campaign, s.campaign_name)')}",
        f"{_plain('k.source')} || '|' || {_plain('k.campaign')}",
        _CAMPAIGN - {"campaign_id"},
    ),
    _Level("by_platform", _plain("coalesce(s.source, s.platform)"), _plain("k.source"), frozenset({"channel", "source"}), paid_only=True),
)
"""The first that fits decides. The last says no more than which channel an advertisement of the platform belongs to: that is no match."""

_OWN_NAMES: Final[Mapping[str, str]] = {
    "source": "coalesce(s.source, s.platform)",
    "medium": "s.medium",
    "campaign": "coalesce(s.campaign, s.campaign_name)",
    "content": "s.content",
    "term": "s.term",
    "campaign_id": "s.campaign_id",
    "adset": "s.adset_id",
    "ad": "s.ad_id",
}
"""What spend says of itself."""


class Spend:
    """What advertisements cost, day by day, and the costs that the account adds."""

    measures: Set[str] = frozenset({"ad_spend", "fixed_costs", "impressions", "clicks", "matched_spend", "platform_conversions", "platform_conversion_value"})
    coverage = None

    def needs(self, query: Query, measures: Set[str]) -> Needs:
        days = Months(f"{query.range.first:%Y-%m}", f"{query.range.last:%Y-%m}")
        found: dict[Kind, Months] = {Kind.AD_SPEND: days, Kind.RATES: Months()}
        if _matched_by(query, measures):
            found[Kind.TOUCHES] = months(_known_since(query), min(query.range.end, query.now))
        return found

    def detail(self, asking: Asking, measures: Set[str]) -> Detail:
        query, values = asking.query, asking.values
        last = min(query.range.last, query.now.astimezone(zone_of(query.time_zone)).date())
        steps: list[Step] = [("spent", _spent(query, last, values))]
        foreign = _foreign(asking, last)
        if foreign:
            steps.append(rates_step(query.currency, sorted(foreign), values))
        ours = values.add(query.currency)
        currency = f"CASE WHEN s.currency = {ours} OR r.multiplier IS NOT NULL THEN {ours} ELSE s.currency END" if foreign else ours
        amount, claimed = (converted(f"s.{name}") if foreign else f"s.{name}" for name in ("amount", "claimed"))
        joins = "LEFT JOIN rates_on r ON r.currency = s.currency AND r.day = s.day" if foreign else ""
        told = _matched_by(query, measures)
        matched = "NULL"
        if told:
            steps += _known(query, told)
            joins += "".join(f" LEFT JOIN {level.name} ON {level.name}.id = {level.of_spend}" for level in _LEVELS)
            matched = f"CASE {' '.join(f'WHEN {level.name}.id IS NOT NULL THEN {number}' for number, level in enumerate(_LEVELS))} END"
        columns = [f"{_name(name, told)} AS told_{index}" for index, name in enumerate(told)]
        steps.append(
            (
                "costs",
                f"SELECT s.* EXCLUDE (currency, amount, claimed), {currency} AS currency, {amount} AS amount, {claimed} AS claimed, {matched} AS matched"
                f"{''.join(', ' + column for column in columns)} FROM spent s {joins}",
            )
        )
        steps.append(("detail", _detail(asking, told)))
        return Detail(tuple(steps), {name: measure for name, measure in _MEASURES.items() if name in measures}, notes=_notes(query))


_MEASURES: Final[Mapping[str, Measure]] = {
    "ad_spend": Measure(value="CASE WHEN is_ad THEN amount ELSE 0 END"),
    "fixed_costs": Measure(value="CASE WHEN is_ad THEN 0 ELSE amount END"),
    "impressions": Measure(value="coalesce(impressions, 0)"),
    "clicks": Measure(value="coalesce(clicks, 0)"),
    "platform_conversions": Measure(value="coalesce(platform_conversions, 0)"),
    "platform_conversion_value": Measure(value="coalesce(claimed, 0)"),
    "matched_spend": Measure(value=f"CASE WHEN is_ad AND matched < {len(_LEVELS) - 1} THEN amount ELSE 0 END"),
}


def _told(query: Query) -> list[str]:
    """The dimensions of touches that rows or choices ask for."""
    return [name for name in dict.fromkeys((*query.group_by, *(one.dimension for one in query.filters))) if name in dimensions.TOUCH]


def _matched_by(query: Query, measures: Set[str]) -> list[str]:
    """The dimensions that spend is matched to touches for; none: it is not matched."""
    return _told(query) or (["source"] if "matched_spend" in measures else [])


def _known_since(query: Query) -> datetime | None:
    """From when on touches say what an id is called."""
    return None if query.lookback_days is None else query.range.start - timedelta(days=query.lookback_days)


def _spent(query: Query, last: date, values: Values) -> str:
    """Days of advertisements and days of fixed costs, as one relation."""
    names = ", ".join(f"a.{name}" for name in (*_OF_SPEND, "impressions", "clicks", "platform_conversions"))
    first, until = values.add(query.range.first), values.add(last)
    ads = (
        f"SELECT true AS is_ad, a.day, a.currency, a.spend AS amount, a.platform_conversion_value AS claimed, a.account_id, {names}, "
        "coalesce(a.ad_id, a.adset_id, a.campaign_id, a.campaign, a.campaign_name) AS id "
        f"FROM ad_spend a WHERE a.day >= {first} AND a.day <= {until}"
    )
    return "\nUNION ALL ".join([ads, *(_fixed(cost, query, last, values) for cost in query.fixed_costs if _days(cost, query, last) is not None)])


_OF_SPEND: Final = ("platform", "campaign_id", "campaign_name", "adset_id", "ad_id", "source", "medium", "campaign", "content", "term")


def _fixed(cost: FixedCost, query: Query, last: date, values: Values) -> str:
    days = _days(cost, query, last)
    assert days is not None
    said: dict[str, Any] = {"platform": cost.platform, "source": cost.source, "medium": cost.medium, "campaign": cost.campaign}
    names = ", ".join(f"CAST({values.add(said[name])} AS VARCHAR)" if said.get(name) is not None else "NULL" for name in _OF_SPEND)
    return (
        f"SELECT false, CAST(unnest(generate_series(CAST({values.add(days[0])} AS DATE), CAST({values.add(days[1])} AS DATE), to_days(1))) AS DATE),\n"
        f"CAST({values.add(cost.currency)} AS VARCHAR), CAST({values.add(cost.amount)} AS BIGINT), NULL, NULL, {names}, NULL, NULL, NULL, "
        f"CAST({values.add(cost.id)} AS VARCHAR)"
    )


def _days(cost: FixedCost, query: Query, last: date) -> tuple[date, date] | None:
    first, until = max(cost.first, query.range.first), min(last, cost.last or last)
    return (first, until) if first <= until else None


def _foreign(asking: Asking, last: date) -> set[str]:
    query = asking.query
    values = Values()
    found = asking.relations.rows(
        *values.ready(f"SELECT DISTINCT currency FROM ad_spend WHERE day >= {values.add(query.range.first)} AND day <= {values.add(last)}")
    )
    return {*(currency for (currency,) in found), *(cost.currency for cost in query.fixed_costs)} - {query.currency}


def _known(query: Query, told: list[str]) -> list[Step]:
    """`known`: what touches are named by; then a step a level: id → the names under which most of its touches came."""
    since = _known_since(query)
    bounds = [f"t.happened_at < {timestamp(min(query.range.end, query.now))}", *([f"t.happened_at >= {timestamp(since)}"] if since is not None else [])]
    paid = ", ".join(f"'{channel.value}'" for channel in PAID)
    apart = {"ad_id", "adset_id", "campaign_id", "source", "campaign"}
    columns = sorted(apart | {dimensions.TOUCH[name].removeprefix("t.") for name in told})
    known = f"""SELECT {", ".join(f"t.{column}" for column in columns)}, t.channel IN ({paid}) AS is_paid, count(*) AS touches, max(t.happened_at) AS latest
FROM touches t WHERE {models.NO_MACHINE} AND {" AND ".join(bounds)} GROUP BY ALL"""
    return [("known", known), *(_named(level, told) for level in _LEVELS)]


def _named(level: _Level, told: list[str]) -> Step:
    paid = " AND k.is_paid" if level.paid_only else ""
    struct = ", ".join(f"told_{index} := k.{dimensions.TOUCH[name].removeprefix('t.')}" for index, name in enumerate(told))
    return (
        level.name,
        f"""SELECT id, arg_max(told, row(touches, latest, told)) AS told
FROM (SELECT {level.of_touch} AS id, struct_pack({struct}) AS told, sum(k.touches) AS touches, max(k.latest) AS latest
    FROM known k WHERE {level.of_touch} IS NOT NULL{paid} GROUP BY 1, 2)
GROUP BY id""",
    )


def _name(dimension: str, told: list[str]) -> str:
    """SQL: what the spend `s` is called: by its match, where that tells, else by itself."""
    index = told.index(dimension)
    own = _OWN_NAMES.get(dimension, "CAST(NULL AS VARCHAR)")
    cases = " ".join(f"WHEN {level.name}.id IS NOT NULL THEN {f'{level.name}.told.told_{index}' if dimension in level.tells else own}" for level in _LEVELS)
    return f"CASE {cases} ELSE {own} END"


def _detail(asking: Asking, told: list[str]) -> str:
    query = asking.query
    columns = ["CAST(NULL AS UUID) AS person", "currency", "is_ad", "amount", "claimed", "impressions", "clicks", "platform_conversions", "matched"]
    if asking.periods is not None:
        columns.append(f"{_period(asking)} AS period")
    if asking.attributed:
        columns.append("true AS touched")
    columns += [f"{f'told_{told.index(name)}' if name in told else 'CAST(NULL AS VARCHAR)'} AS g{index}" for index, name in enumerate(query.group_by)]
    if asking.lines:
        columns += [
            "CASE WHEN is_ad THEN 'spend' ELSE 'fixed_cost' END AS kind",
            "coalesce(id, platform) AS id",
            "concat_ws(' ', platform, account_id) AS connection",
        ]
        columns += ["CAST(day AS TIMESTAMP) AS happened_at"]
    kept = [dimensions.fits(f"told_{told.index(one.dimension)}", one, asking.values) for one in query.filters if one.dimension in told]
    return f"SELECT {', '.join(columns)} FROM costs WHERE {' AND '.join(kept) or 'true'}"


def _period(asking: Asking) -> str:
    """A day is the ad account's own; of hours its spend is shown in the first."""
    assert asking.periods is not None
    if asking.query.scale is not Scale.HOUR:
        return asking.periods.bucket_of_day("day")
    starts: dict[str, Bucket] = {}
    for bucket in asking.periods.buckets:
        starts.setdefault(asking.periods.label(bucket)[:10], bucket)  # not always midnight: where the clocks leave it out, the day begins later
    cases = " ".join(f"WHEN DATE '{day}' THEN TIMESTAMP '{bucket}'" for day, bucket in starts.items())
    return f"CASE day {cases} END"


def _notes(query: Query) -> tuple[str, ...]:
    unknown = sorted(name for name in dimensions.named_by(query) if name not in dimensions.TOUCH)
    return (f"Advertising spend is not told by {', '.join(unknown)}: it is neither divided nor filtered by it.",) if unknown else ()
