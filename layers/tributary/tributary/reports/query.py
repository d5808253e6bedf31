"""What a report is asked: a question with every setting filled in, so that an answer can repeat it and an identical question can be told."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Literal

import msgspec


class ReportType(StrEnum):
    ACQUISITION = "acquisition"
    ADVERTISEMENT = "advertisement"
    NURTURE = "nurture"
    ENGAGEMENT = "engagement"
    ORDERS = "orders"
    SUBSCRIPTIONS = "subscriptions"
    FUNNEL = "funnel"
    VALUE_OVER_TIME = "value-over-time"
    ATTRIBUTION = "attribution"
    LEAD_SOURCE = "lead-source"
    JOURNEYS = "journeys"


class Scale(StrEnum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    """From Monday."""
    MONTH = "month"


class Model(StrEnum):
    FIRST_TOUCH = "first_touch"
    LAST_TOUCH = "last_touch"
    LAST_NON_DIRECT = "last_non_direct"
    FIRST_NON_DIRECT = "first_non_direct"
    LAST_PAID = "last_paid"
    FIRST_PAID = "first_paid"
    LEAD_SOURCE = "lead_source"
    LINEAR = "linear"
    POSITION = "position"
    W_SHAPED = "w_shaped"
    TIME_DECAY = "time_decay"
    ANY_TOUCH = "any_touch"
    FULL_IMPACT = "full_impact"


class DateMode(StrEnum):
    """Which date puts something into the range and its period."""

    CONVERSION_DATE = "conversion_date"
    """When it happened: the order was sold, the person became a lead."""
    TOUCH_DATE = "touch_date"
    """When the touch was that gets the credit."""
    LEAD_DATE = "lead_date"
    """When its person became a lead: a cohort, with all that they ever did."""


RebillCredit = Literal["inherit", "own"]
"""A rebill is credited as the order that its subscription began with, or by the touches before itself."""
Cohort = Literal["lead", "first_order"]
"""What somebody is of a cohort by: that they became a lead in it, or that the first order ever was sold to them."""
FilterOp = Literal["is", "is_not", "contains", "not_contains", "starts_with"]
HavingOp = Literal["gt", "ge", "lt", "le", "eq"]
StepKind = Literal["event", "page", "tag", "order", "invoice", "subscription"]


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Range(_Part, frozen=True, kw_only=True):
    """Days of the query's time zone."""

    first: date
    last: date
    """Included."""
    start: datetime
    """UTC: where the first day begins."""
    end: datetime
    """UTC: where the day after the last begins."""
    words: str | None = None
    """As it was asked for, as `last_30_days`."""


class Filter(_Part, frozen=True, kw_only=True):
    """Before anything is added up. `is` and `is_not` take several values: any of them, none of them. An empty value is one that is not there."""

    dimension: str
    op: FilterOp
    values: tuple[str, ...]


class Having(_Part, frozen=True, kw_only=True):
    """After everything is added up: which rows are shown. Totals stay."""

    kpi: str
    op: HavingOp
    value: float


class Step(_Part, frozen=True, kw_only=True):
    """Of a funnel. `event`: a track event's name; `page`: a page's address, or its beginning before a `*`; `tag`: a tag that is applied; `order`: `started`,
    `sold`, `declined`, `cancelled`, `refunded`, `rebilled`; `invoice`: `paid`, `declined`, `voided`, `refunded`, `charged_back`, of any order;
    `subscription`: a state."""

    kind: StepKind
    value: str
    label: str


class FixedCost(_Part, frozen=True, kw_only=True):
    """A cost that no advertisement has: daily, or once (`first` = `last`)."""

    id: str
    name: str
    amount: int
    """Minor units, of each day."""
    currency: str
    first: date
    last: date | None
    """None: until further notice."""
    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    platform: str | None = None


class Query(_Part, frozen=True, kw_only=True):
    """A question. Names of dimensions and KPIs are known ones, and fit the type of the report: whoever makes a `Query` has checked that."""

    type: ReportType
    range: Range
    time_zone: str
    scale: Scale | None = None
    group_by: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    having: tuple[Having, ...] = ()
    kpis: tuple[str, ...] = ()
    """In the order to be shown."""
    model: Model = Model.LAST_TOUCH
    lookback_days: int | None = 30
    """None: a lifetime."""
    half_life_days: float = 7.0
    date_mode: DateMode = DateMode.CONVERSION_DATE
    rebill_credit: RebillCredit = "inherit"
    currency: str = "USD"
    """What amounts are converted into."""
    include_tax: bool = False
    include_shipping: bool = False
    sort: str | None = None
    """A KPI, a dimension or `period`; None: by period, then by the first KPI, the greatest first."""
    descending: bool = True
    limit: int = 100
    compare: Range | None = None
    steps: tuple[Step, ...] = ()
    intervals: tuple[int, ...] = ()
    """Days since the beginning, rising: where value over time is read."""
    cohort: Cohort = "lead"
    """Of value over time: where each person's days begin."""
    person: str | None = None
    """Of journeys: the one contact."""
    fixed_costs: tuple[FixedCost, ...] = ()
    now: datetime
    """When it was asked: what is later has not happened."""
