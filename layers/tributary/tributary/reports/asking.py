"""Parameters → a question: what a caller or a command line says, checked, with every setting that it leaves out filled in.

Each parameter that does not fit is told by its name and what it takes, and all of a question's at once. What a question leaves out is the account's
(`report_defaults`, time zone, currency), else the report's own, else the general default below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, Any, Final, TypeVar, get_args

import msgspec
from msgspec import Meta

from tributary.currencies import is_currency
from tributary.reports import ranges
from tributary.reports.frame import FIELD, ReportKind
from tributary.reports.kpis import Kpi
from tributary.reports.query import (
    Cohort,
    DateMode,
    Filter,
    FilterOp,
    FixedCost,
    Having,
    HavingOp,
    Model,
    Query,
    Range,
    RebillCredit,
    ReportType,
    Scale,
    Step,
    StepKind,
)
from tributary.reports.ranges import RangeUnreadable

DEFAULT_RANGE: Final = "last_30_days"
DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 10_000
"""Rows of one answer: about 5 MB of JSON, and a function may answer with 6."""
MAX_DIMENSIONS: Final = 6
"""Grouped by more, nearly every order is a row of its own."""
MAX_TEXT: Final = 1_000
"""Characters of a parameter: an address is the longest that is filtered by."""
MAX_LOOKBACK_DAYS: Final = 730
"""Two years; `lifetime` for all."""
LIFETIME: Final = "lifetime"
MAX_HALF_LIFE_DAYS: Final = 90
MIN_STEPS: Final = 2
MAX_STEPS: Final = 10
MAX_INTERVALS: Final = 12
MAX_INTERVAL_DAYS: Final = 3_660
DEFAULT_INTERVALS: Final = (1, 7, 30, 365)

MODEL_ALIASES: Final = {"purchase_touch": Model.LAST_TOUCH, "opt_in": Model.LEAD_SOURCE}
INVOICE_STEPS: Final = ("paid", "declined", "voided", "refunded", "charged_back")
ORDER_STEPS: Final = ("started", "sold", "declined", "cancelled", "refunded", "rebilled")

_CONTACT: Final = re.compile(r"[0-9a-f]{32}")
_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"")
_YES, _NO = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})

T = TypeVar("T")


class Wrong(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that does not fit. `message` repeats nothing that was sent."""

    field: Annotated[str, Meta(description="The parameter.")]
    code: Annotated[str, Meta(description="`unknown_parameter`, `repeated_parameter` or `invalid_parameter`.")]
    message: Annotated[str, Meta(description="What it takes.")]


class QueryWrong(Exception):
    """The question cannot be asked; `wrong` is everything that is wrong with it, at least one thing."""

    def __init__(self, wrong: Sequence[Wrong]) -> None:
        super().__init__("; ".join(f"{one.field}: {one.message}" for one in wrong))
        self.wrong = tuple(wrong)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the account says of its reports."""

    time_zone: str = "UTC"
    currency: str = "USD"
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """`report_defaults`: by the parameter's name. What does not fit counts for nothing."""
    fields: tuple[str, ...] = ()
    """Custom fields of contacts that FACTS hold (`report_fields`)."""


_A_LIST: Final = "names with commas between"


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What a report may be asked with, as texts. None, or an empty list: it was left out."""

    range: Annotated[str | None, Meta(description=f"{ranges.WORDS}. Default: {DEFAULT_RANGE}.")] = None
    from_: Annotated[str | None, Meta(description="The first day, as 2026-03-01; with `to`, instead of `range`.")] = msgspec.field(default=None, name="from")
    to: Annotated[str | None, Meta(description="The last day, included. Default: today.")] = None
    time_zone: Annotated[str | None, Meta(description="An IANA zone, as America/New_York: where days begin. Default: the account's.")] = None
    scale: Annotated[str | None, Meta(description="A row for each `hour`, `day`, `week` (from Monday) or `month`.")] = None
    group_by: Annotated[str | None, Meta(description=f"Dimensions, {_A_LIST}; `none` for the totals alone. Default: the report's own.")] = None
    filter: Annotated[
        tuple[str, ...],
        Meta(
            description="`dimension:is:value`, or with `is_not`, `contains`, `not_contains`, `starts_with`. May be repeated: all must hold, but for several "
            "`is` of one dimension, of which any may. An empty value is one that is not known."
        ),
    ] = ()
    having: Annotated[
        tuple[str, ...],
        Meta(description="`kpi:ge:5`, or with `gt`, `lt`, `le`, `eq`: which rows are shown; totals stay. Money in minor units. May be repeated."),
    ] = ()
    kpis: Annotated[str | None, Meta(description=f"KPIs, {_A_LIST}, in the order to be shown; `all` for all. Default: the report's own.")] = None
    model: Annotated[str | None, Meta(description=f"Who gets the credit: {', '.join([*Model, *MODEL_ALIASES])}. Default: last_touch.")] = None
    lookback: Annotated[
        str | None, Meta(description=f"How many days before a conversion a touch may be, 1 to {MAX_LOOKBACK_DAYS}, or `{LIFETIME}`. Default: 30.")
    ] = None
    half_life: Annotated[
        str | None, Meta(description=f"Of the model time_decay: days in which a touch loses half its weight, up to {MAX_HALF_LIFE_DAYS}. Default: 7.")
    ] = None
    date_mode: Annotated[
        str | None, Meta(description=f"Which date puts something into the range: {', '.join(DateMode)}. Default: conversion_date, or the report's own.")
    ] = None
    rebill_credit: Annotated[
        str | None, Meta(description="Whether a rebill is credited as the order that its subscription began with (`inherit`) or by its `own` touches.")
    ] = None
    currency: Annotated[str | None, Meta(description="An ISO 4217 code: what amounts are converted into. Default: the account's.")] = None
    include_tax: Annotated[str | None, Meta(description="Whether revenue holds the tax that was kept: true or false. Default: false.")] = None
    include_shipping: Annotated[str | None, Meta(description="Whether revenue holds the shipping that was kept: true or false. Default: false.")] = None
    compare: Annotated[str | None, Meta(description="With `previous` (the period before), `previous_year`, or a range.")] = None
    sort: Annotated[
        str | None,
        Meta(description="A KPI, a dimension or `period`; `:asc` or `:desc` after it. Default: by period, then by the first KPI, the greatest first."),
    ] = None
    limit: Annotated[str | None, Meta(description=f"How many rows at most, 1 to {MAX_LIMIT}. Default: {DEFAULT_LIMIT}.")] = None
    steps: Annotated[
        tuple[str, ...],
        Meta(
            description="Of a funnel, repeated, in order: `event:Product Viewed`, `page:shop.example/checkout*`, `tag:vip`, "
            f"`order:` with {', '.join(ORDER_STEPS)}, or `subscription:` with a state."
        ),
    ] = ()
    intervals: Annotated[
        str | None,
        Meta(description=f"Of value over time: rising days, with commas between, at most {MAX_INTERVALS}. Default: {','.join(map(str, DEFAULT_INTERVALS))}."),
    ] = None
    cohort: Annotated[
        str | None,
        Meta(description="Of value over time: whether days begin as somebody becomes a `lead`, or with their `first_order`. Default: lead."),
    ] = None
    contact: Annotated[str | None, Meta(description="Of journeys: the one contact, by its id. Needs the scope `reports:read_people`.")] = None


_NAMES: Final = dict(zip(Parameters.__struct_encode_fields__, Parameters.__struct_fields__, strict=True))
_REPEATED: Final = frozenset({"filter", "having", "steps"})
_OF_ONE_TYPE: Final = {
    "steps": ReportType.FUNNEL,
    "intervals": ReportType.VALUE_OVER_TIME,
    "cohort": ReportType.VALUE_OVER_TIME,
    "contact": ReportType.JOURNEYS,
}


_OF_PEOPLE: Final = frozenset({ReportType.NURTURE, ReportType.ENGAGEMENT})
_HAS_NONE: Final[Mapping[str, frozenset[ReportType]]] = {
    "date_mode": frozenset({ReportType.FUNNEL, ReportType.VALUE_OVER_TIME, ReportType.JOURNEYS, ReportType.SUBSCRIPTIONS, *_OF_PEOPLE}),
    "rebill_credit": frozenset({ReportType.FUNNEL, ReportType.VALUE_OVER_TIME, *_OF_PEOPLE}),
    "model": _OF_PEOPLE,
    "half_life": _OF_PEOPLE,
}
"""Settings that a type of report does not follow: asked with one it refuses, so that an answer repeats none that is not in force."""


def has(type: ReportType, setting: str) -> bool:
    """Whether a report of the type follows the setting, by its parameter's name."""
    return type not in _HAS_NONE.get(setting, frozenset())


def parameters_of(pairs: Iterable[tuple[str, str]], *, beside: Collection[str] = ()) -> tuple[Parameters, dict[str, str], list[Wrong]]:
    """The parameters of a request, those of the caller's own (`beside`), and what is wrong with their names. One that is empty counts as left out."""
    kept: dict[str, Any] = {}
    others: dict[str, str] = {}
    wrong: list[Wrong] = []
    for name, value in pairs:
        if name not in _NAMES and name not in beside:
            known = ", ".join(sorted([*_NAMES, *beside]))
            wrong.append(Wrong(field=name[:64], code="unknown_parameter", message=f"There is no such parameter. This takes {known}."))
        elif name in _REPEATED:
            kept.setdefault(_NAMES[name], []).append(value)
        elif name in (others if name in beside else kept) or (name in _NAMES and _NAMES[name] in kept):
            wrong.append(Wrong(field=name, code="repeated_parameter", message="It was given more than once."))
        elif name in beside:
            others[name] = value
        else:
            kept[_NAMES[name]] = value
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items() if value}
    return Parameters(**given), others, wrong


def query_of(
    type: ReportType,
    parameters: Parameters,
    *,
    kind: ReportKind,
    settings: Settings,
    now: datetime,
    fixed_costs: Sequence[FixedCost] = (),
    wrong: Sequence[Wrong] = (),
) -> Query:
    """The question. `wrong`: what is known to be wrong already. Raises `QueryWrong`."""
    reading = _Reading(type, parameters, kind, settings, now, wrong=list(wrong))
    query = reading.query(tuple(fixed_costs))
    if reading.wrong:
        raise QueryWrong(reading.wrong)
    return query


def check_defaults(defaults: Mapping[str, Any]) -> list[Wrong]:
    """What of an account's `report_defaults` would count for nothing."""
    wrong = []
    for name, value in defaults.items():
        if name not in _PARSERS:
            message = f"There is no such parameter that has a default. These have: {', '.join(sorted(_PARSERS))}."
            wrong.append(Wrong(field=name[:64], code="unknown_parameter", message=message))
            continue
        try:
            _PARSERS[name](_as_text(value))
        except ValueError as error:
            wrong.append(Wrong(field=name, code="invalid_parameter", message=str(error)))
    return wrong


# ---------------------------------------------------------------- single values: each takes a text, or raises ValueError with what it takes


def _one_of(allowed: Mapping[str, T]) -> Callable[[str], T]:
    def parse(text: str) -> T:
        found = allowed.get(text.strip().lower())
        if found is None:
            raise ValueError(f"One of {', '.join(allowed)}.")
        return found

    return parse


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """What reads a whole number within bounds."""

    def parse(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,9}", text.strip(), re.ASCII) is None or not lowest <= int(text) <= highest:
            raise ValueError(f"A whole number from {lowest} to {highest}.")
        return int(text)

    return parse


_cohort: Final = _one_of({one: one for one in get_args(Cohort)})


def _lookback(text: str) -> int | None:
    if text.strip().lower() == LIFETIME:
        return None
    try:
        return whole(1, MAX_LOOKBACK_DAYS)(text.strip().lower().removesuffix("d"))
    except ValueError as error:
        raise ValueError(f"Days from 1 to {MAX_LOOKBACK_DAYS}, or {LIFETIME}.") from error


def _half_life(text: str) -> float:
    if re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,3})?", text.strip(), re.ASCII) is None or not 1 <= float(text) <= MAX_HALF_LIFE_DAYS:
        raise ValueError(f"Days, from 1 to {MAX_HALF_LIFE_DAYS}.")
    return float(text)


def _truth(text: str) -> bool:
    said = text.strip().lower()
    if said not in _YES | _NO:
        raise ValueError("true or false.")
    return said in _YES


def _currency(text: str) -> str:
    if not is_currency(text.strip().upper()):
        raise ValueError("An ISO 4217 currency code, as USD.")
    return text.strip().upper()


def _time_zone(text: str) -> str:
    try:
        ranges.zone_of(text.strip())
    except RangeUnreadable as error:
        raise ValueError("An IANA time zone, as America/New_York.") from error
    return text.strip()


def _range_words(text: str) -> str:
    """That it is a range at all: which one it is follows from the time zone and the day."""
    _range_of(text, "UTC", _SOME_DAY)
    return text


def _range_of(text: str, zone: str, now: datetime) -> Range:
    try:
        return ranges.read_range("all_time" if text.strip().lower() == "all" else text, zone=zone, now=now)
    except RangeUnreadable as error:
        raise ValueError(_told(error)) from error


def _told(error: RangeUnreadable) -> str:
    """Without the caller's own words, which no text of ours repeats."""
    text = _QUOTED.sub("this", str(error))
    return f"{text[:1].upper()}{text[1:]}."


_SOME_DAY: Final = datetime.fromisoformat("2026-01-15T12:00:00+00:00")
_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "range": _range_words,
    "scale": _one_of({one.value: one for one in Scale}),
    "model": _one_of({**{one.value: one for one in Model}, **MODEL_ALIASES}),
    "lookback": _lookback,
    "half_life": _half_life,
    "date_mode": _one_of({one.value: one for one in DateMode}),
    "rebill_credit": _one_of({one: one for one in get_args(RebillCredit)}),
    "include_tax": _truth,
    "include_shipping": _truth,
    "limit": whole(1, MAX_LIMIT),
}
"""What an account may have a default of."""


def _as_text(value: Any) -> str:
    """A default as a request would say it. Raises ValueError: no request could."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError("A text, a number, true or false.")


# ---------------------------------------------------------------- a whole question


@dataclass
class _Reading:
    type: ReportType
    given: Parameters
    kind: ReportKind
    settings: Settings
    now: datetime
    wrong: list[Wrong]

    def query(self, fixed_costs: tuple[FixedCost, ...]) -> Query:
        """The question; of no use if anything is wrong."""
        self._sizes()
        self._others_only()
        zone = self._parsed("time_zone", self.given.time_zone, _time_zone, self.settings.time_zone)
        range_ = self._range(zone)
        group_by = self._group_by()
        by_lead = self.type is ReportType.LEAD_SOURCE  # what somebody first came by may be years before what they buy
        query = Query(
            type=self.type,
            range=range_,
            time_zone=zone,
            scale=self._scale(group_by),
            group_by=group_by,
            filters=self._filters(),
            model=self._setting("model", self.given.model, self.kind.default_model or Model.LAST_TOUCH, own=self.kind.default_model is not None),
            lookback_days=self._setting("lookback", self.given.lookback, None if by_lead else 30, own=by_lead),
            half_life_days=self._setting("half_life", self.given.half_life, 7.0),
            date_mode=self._setting(
                "date_mode", self.given.date_mode, self.kind.default_date_mode, own=self.kind.default_date_mode is not DateMode.CONVERSION_DATE
            ),
            rebill_credit=self._setting("rebill_credit", self.given.rebill_credit, "inherit"),
            currency=self._parsed("currency", self.given.currency, _currency, self.settings.currency),
            include_tax=self._setting("include_tax", self.given.include_tax, False),
            include_shipping=self._setting("include_shipping", self.given.include_shipping, False),
            limit=self._setting("limit", self.given.limit, DEFAULT_LIMIT),
            compare=self._compare(range_, zone),
            steps=self._steps(),
            intervals=self._intervals(),
            cohort=self._parsed("cohort", self.given.cohort, _cohort, "lead"),
            person=self._parsed("contact", self.given.contact, _contact, None),
            fixed_costs=fixed_costs,
            now=self.now,
        )
        if query.person is not None and self.type is ReportType.JOURNEYS:
            self._refuse_of_one_person()
        known = self.kind.kpis(query)
        sort, descending = self._sort(known, query)
        return msgspec.structs.replace(query, kpis=self._kpis(known), having=self._having(known), sort=sort, descending=descending)

    def _scale(self, group_by: tuple[str, ...]) -> Scale | None:
        cohorts = self.type is ReportType.VALUE_OVER_TIME and not group_by
        scale: Scale | None = self._setting("scale", self.given.scale, Scale.MONTH if cohorts else None)
        return scale

    def _refuse_of_one_person(self) -> None:
        for name in ("filter", "having", "group_by", "scale", "compare", "sort"):
            if getattr(self.given, name):
                self._say(name, "One person's journey takes none: it is told whole, as it came about.")

    def _say(self, name: str, message: str) -> None:
        self.wrong.append(Wrong(field=name, code="invalid_parameter", message=message))

    def _parsed(self, name: str, text: str | None, parse: Callable[[str], T], default: T) -> T:
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self._say(name, str(error))
            return default

    def _setting(self, name: str, text: str | None, default: Any, *, own: bool = False) -> Any:
        """`own`: whether the report has a default of its own, which goes before the account's."""
        parse = _PARSERS[name]
        if not has(self.type, name):
            # It does have dates, of one kind: to ask for that is no fault.
            if text is not None and not (name == "date_mode" and text == default):
                self._say(name, f"A report of the type {self.type} follows {f'its own, {default}' if name == 'date_mode' else 'none'}.")
            return default
        if text is not None or own or name not in self.settings.defaults:
            return self._parsed(name, text, parse, default)
        try:
            return parse(_as_text(self.settings.defaults[name]))
        except ValueError:  # an older release took it
            return default

    def _sizes(self) -> None:
        for name, own in _NAMES.items():
            value = getattr(self.given, own)
            if any(len(text) > MAX_TEXT for text in ([value] if isinstance(value, str) else value or ())):
                self._say(name, f"It has more than {MAX_TEXT} characters.")

    def _others_only(self) -> None:
        for name, type in _OF_ONE_TYPE.items():
            if getattr(self.given, name) and self.type is not type:
                self._say(name, f"Only a report of the type {type} takes it.")

    def _range(self, zone: str) -> Range:
        given = self.given
        fallback = ranges.read_range(DEFAULT_RANGE, zone=zone, now=self.now)
        if given.from_ is None and given.to is None:
            words = given.range
            if words is None:
                words = str(self._setting("range", None, DEFAULT_RANGE))
            return self._parsed("range", words, lambda text: _range_of(text, zone, self.now), fallback)
        if given.range is not None:
            self._say("range", "Give `range`, or `from` and `to`, not both.")
        if given.from_ is None:
            self._say("from", "It is needed where `to` is given: the first day, as 2026-03-01.")
            return fallback
        today = self.now.astimezone(ranges.zone_of(zone)).date()
        first = self._parsed("from", given.from_, _day, None)
        last = self._parsed("to", given.to, _day, today)
        if first is None or last is None:
            return fallback
        return self._parsed("from", "", lambda _: _days(first, last, zone), fallback)

    def _compare(self, range_: Range, zone: str) -> Range | None:
        def parse(text: str) -> Range | None:
            try:
                match text.strip().lower():
                    case "" | "none":
                        return None
                    case "previous" | "previous_period":
                        return ranges.previous(range_, zone=zone)
                    case "previous_year":
                        return ranges.days(_year_before(range_.first), _year_before(range_.last), zone=zone)
                    case _:
                        return ranges.read_range(text, zone=zone, now=self.now)
            except RangeUnreadable as error:
                raise ValueError(f"{_told(error)} It takes `previous`, `previous_year` or a range.") from error

        return self._parsed("compare", self.given.compare, parse, None)

    def _group_by(self) -> tuple[str, ...]:
        if self.given.group_by is None:
            return self.kind.default_group_by
        names = tuple(dict.fromkeys(_listed(self.given.group_by)))
        if names == ("none",):
            return ()
        if len(names) > MAX_DIMENSIONS:
            self._say("group_by", f"At most {MAX_DIMENSIONS} dimensions.")
        for name in names:
            self._check_dimension("group_by", name)
        return names

    def _check_dimension(self, parameter: str, name: str) -> None:
        if name.startswith(FIELD) and FIELD in self.kind.dimensions:
            if name.removeprefix(FIELD) not in self.settings.fields:
                named = ", ".join(f"{FIELD}{one}" for one in self.settings.fields) or "none yet"
                self._say(parameter, f"Custom fields in reports are those that the account's `report_fields` names: {named}.")
        elif name not in self.kind.dimensions or name == FIELD:
            self._say(parameter, f"A dimension of this report is one of {', '.join(self._dimensions())}.")

    def _dimensions(self) -> list[str]:
        fields = [f"{FIELD}{one}" for one in self.settings.fields] if FIELD in self.kind.dimensions else []
        return [*sorted(self.kind.dimensions - {FIELD}), *fields]

    def _filters(self) -> tuple[Filter, ...]:
        any_of: dict[tuple[str, FilterOp], list[str]] = {}
        others: list[Filter] = []
        for text in self.given.filter:
            found = _FILTER.fullmatch(text)
            if found is None:
                self._say("filter", f"dimension:operator:value, as channel:is:email; an operator is one of {', '.join(get_args(FilterOp))}.")
                continue
            name, value = found["name"], found["value"]
            op: FilterOp = found["op"]  # type: ignore[assignment]  # the pattern knows the operators
            self._check_dimension("filter", name)
            if op in ("is", "is_not"):
                any_of.setdefault((name, op), []).append(value)
            elif value:
                others.append(Filter(dimension=name, op=op, values=(value,)))
            else:
                self._say("filter", "What a value contains or begins with cannot be empty.")
        return (*(Filter(dimension=name, op=op, values=tuple(values)) for (name, op), values in any_of.items()), *others)

    def _kpis(self, known: Mapping[str, Kpi]) -> tuple[str, ...]:
        if self.given.kpis is None:
            chosen = self.kind.default_kpis
            return chosen if chosen and all(name in known for name in chosen) else tuple(known)
        names = tuple(dict.fromkeys(_listed(self.given.kpis)))
        if names == ("all",):
            return tuple(known)
        if not names or any(name not in known for name in names):
            self._say("kpis", f"A KPI of this report is one of {', '.join(known)}.")
        return names

    def _having(self, known: Mapping[str, Kpi]) -> tuple[Having, ...]:
        found = []
        for text in self.given.having:
            match = _HAVING.fullmatch(text.strip())
            if match is None:
                self._say("having", f"kpi:operator:number, as orders:ge:5; an operator is one of {', '.join(get_args(HavingOp))}.")
            elif match["name"] not in known:
                self._say("having", f"A KPI of this report is one of {', '.join(known)}.")
            else:
                found.append(Having(kpi=match["name"], op=match["op"], value=float(match["value"])))  # type: ignore[arg-type]  # the pattern knows the operators
        return tuple(found)

    def _sort(self, known: Mapping[str, Kpi], query: Query) -> tuple[str | None, bool]:
        """By what, and whether the greatest comes first: of a KPI it does, of names and periods the smallest."""
        if self.given.sort is None:
            return None, True
        name, colon, direction = self.given.sort.strip().rpartition(":")
        if not colon or direction.lower() not in ("asc", "desc"):
            name, direction = self.given.sort.strip(), "desc" if self.given.sort.strip() in known else "asc"
        shown = [*known, *query.group_by, *(["period"] if query.scale is not None else [])]
        if name not in shown:
            self._say("sort", f"One of {', '.join(shown)}, with :asc or :desc after it.")
        return name, direction.lower() == "desc"

    def _steps(self) -> tuple[Step, ...]:
        if self.type is not ReportType.FUNNEL:
            return ()
        if not MIN_STEPS <= len(self.given.steps) <= MAX_STEPS:
            self._say("steps", f"A funnel has {MIN_STEPS} to {MAX_STEPS} steps, each as `kind:value`; a kind is one of {', '.join(get_args(StepKind))}.")
        found = []
        for text in self.given.steps:
            kind, _, value = (part.strip() for part in text.partition(":"))
            if kind not in get_args(StepKind) or not value:
                self._say("steps", f"A step is `kind:value`, as event:Product Viewed; a kind is one of {', '.join(get_args(StepKind))}.")
            elif kind == "order" and value not in ORDER_STEPS:
                self._say("steps", f"An order is one of {', '.join(ORDER_STEPS)}.")
            elif kind == "invoice" and value not in INVOICE_STEPS:
                self._say("steps", f"An invoice is one of {', '.join(INVOICE_STEPS)}.")
            else:
                found.append(Step(kind=kind, value=value, label=f"{kind} {value}"))  # type: ignore[arg-type]  # checked above
        return tuple(found)

    def _intervals(self) -> tuple[int, ...]:
        if self.type is not ReportType.VALUE_OVER_TIME:
            return ()

        def parse(text: str) -> tuple[int, ...]:
            days = tuple(whole(0, MAX_INTERVAL_DAYS)(one) for one in _listed(text))
            if not 1 <= len(days) <= MAX_INTERVALS or list(days) != sorted(set(days)):
                raise ValueError(f"At most {MAX_INTERVALS} numbers of days, each greater than the one before.")
            return days

        return self._parsed("intervals", self.given.intervals, parse, DEFAULT_INTERVALS)


_FILTER: Final = re.compile(rf"(?P<name>{FIELD}.+?|[a-z_]+):(?P<op>{'|'.join(get_args(FilterOp))}):(?P<value>.*)", re.DOTALL)
_HAVING: Final = re.compile(rf"(?P<name>[a-z0-9_]+):(?P<op>{'|'.join(get_args(HavingOp))}):(?P<value>-?[0-9]{{1,15}}(?:\.[0-9]{{1,6}})?)", re.ASCII)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _contact(text: str) -> str:
    if _CONTACT.fullmatch(text) is None:
        raise ValueError("A contact's id: 32 hex digits.")
    return text


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip()) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text.strip(), re.ASCII) else _no_day()
    except ValueError as error:
        raise ValueError("A day, as 2026-03-01.") from error


def _no_day() -> date:
    raise ValueError


def _days(first: date, last: date, zone: str) -> Range:
    try:
        return ranges.days(first, last, zone=zone)
    except RangeUnreadable as error:
        raise ValueError(_told(error)) from error


def _year_before(day: date) -> date:
    """The same day of the year before; of February 29 the 28th. Raises `RangeUnreadable`."""
    if day.year <= ranges.EARLIEST.year:
        raise RangeUnreadable(f"the year before is not after {ranges.EARLIEST}")
    return day.replace(year=day.year - 1, day=28 if (day.month, day.day) == (2, 29) else day.day)
