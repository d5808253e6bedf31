"""From conversions to lines of credit: which touches, products and tags a conversion belongs to, and how much of it belongs to each.

The steps of a statement, each a relation that the next one reads:

| step | one line a |
|---|---|
| `conversions` | conversion that counts (a leg makes it; one a currency, where money moved in several) |
| `numbered` | the same, with a number `n` where lines of one have to be told from those of others: a UUID costs twice as much |
| `products`, `tagged` | conversion and product, or tag, where rows are told apart by them; money divided over products |
| `paths` | way to a conversion: those of one person at one moment share it, as the bills of a subscription do |
| `path`, `credits` | touch of a path that gets a credit, with its weight |
| `lines` | part and credit: what belongs to one row, money divided |
| `detail` | the same, as `frame` wants it |

Columns of `conversions`: `key`, `person`, `happened_at`, `currency`, `path_at` (the touches until then lead there), `lead_at` where asked, `id` and
`connection` for a ledger, `own_0`… (dimensions that are neither of touches nor products nor tags), `items` and `tags` where grouped by, `counted` where
`by_currency`, and what `Conversions` names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from tributary.reports import dimensions, models
from tributary.reports.frame import Asking
from tributary.reports.money import equal_shares, shares
from tributary.reports.periods import timestamp
from tributary.reports.query import DateMode, Model, Query
from tributary.reports.statement import Step


@dataclass(frozen=True, kw_only=True)
class Conversions:
    kind: str
    """What a ledger calls one."""
    money: Sequence[str] = ()
    """Columns of integers, each divided by itself among credits."""
    others: Sequence[str] = ()
    """Columns that go with the conversion whole."""
    has_items: bool = False
    """Whether they are of products; then `items_sold` among `others` is each product's own."""
    any_time: bool = True
    """Whether what leads to one may be older than the lookback before the range."""
    by_currency: bool = False
    """Whether one may have lines of several currencies, of which only one is `counted`."""


@dataclass(frozen=True)
class Credits:
    steps: tuple[Step, ...]
    overlapping: bool
    """Whether several rows may tell of one conversion."""
    once: bool
    """Whether the detail has `money_once` and `count_once`: which lines count in a total."""
    divided: bool = False
    """Whether it is only counts that several rows have: money is divided among them."""


def asks_touches(query: Query) -> bool:
    """Whether touches have to be read: rows or choices that are told by them."""
    return query.date_mode is DateMode.TOUCH_DATE or bool(dimensions.named_by(query) & dimensions.TOUCH_NAMES)


def asks_lead_date(query: Query) -> bool:
    """Whether it matters when the person became a lead."""
    return query.date_mode is DateMode.LEAD_DATE or (asks_touches(query) and query.model in models.BY_LEAD)


def credited(asking: Asking, conversions: Conversions) -> Credits:
    """What follows the step `conversions`, until the detail."""
    return _Crediting(asking, conversions).credits()


class _Crediting:
    def __init__(self, asking: Asking, conversions: Conversions) -> None:
        query = asking.query
        self.asking = asking
        self.query = query
        self.conversions = conversions
        self.with_touches = asks_touches(query)
        self.grouped_touch = [name for name in query.group_by if name in dimensions.TOUCH]
        self.touch_filters = [one for one in query.filters if one.dimension in dimensions.TOUCH]
        self.by_product = conversions.has_items and dimensions.PRODUCT in query.group_by
        self.by_tag = dimensions.TAG in query.group_by
        self.overlapping_model = self.with_touches and query.model in models.OVERLAPPING
        self.fractional = self.with_touches and query.model in models.FRACTIONAL
        self.touch_date = query.date_mode is DateMode.TOUCH_DATE
        self.numbered = self.overlapping_model or (self.fractional and query.model is not Model.LINEAR)
        self.path = ["person", "path_at", *(["lead_at"] if self.with_touches and query.model in models.BY_LEAD else [])]
        """What tells paths apart; when somebody became a lead follows from who they are."""
        self.part = ["n", *(["currency"] if conversions.by_currency else []), *(["place"] if self.by_product else [])]
        """What tells apart what is divided among touches."""

    def credits(self) -> Credits:
        steps: list[Step] = []
        parts = "conversions"
        if self.numbered:
            number = "c.key" if self.conversions.by_currency else "row_number() OVER ()"
            steps.append(("numbered", f"SELECT c.*, {number} AS n FROM conversions c"))
            parts = "numbered"
        if self.by_product:
            steps += self._products(parts)
            parts = "products"
        if self.by_tag:
            steps.append(self._tagged(parts))
            parts = "tagged"
        if self.with_touches:
            steps += self._credits()
        steps.append(self._lines(parts))
        if self.overlapping_model:
            steps.append(self._told_once())
        once = self.overlapping_model or self.by_tag or self.by_product
        steps.append(self._detail(steps[-1][0], once=once))
        whole = self.overlapping_model or self.by_tag
        return Credits(tuple(steps), overlapping=whole or self.by_product, once=once, divided=once and not whole)

    # Products and tags

    def _products(self, parts: str) -> list[Step]:
        """Each item's share of the money by its amount, or equal ones where nothing has any. The first item of a product counts for it."""
        conversions = self.conversions
        items = f"""SELECT key, place, {dimensions.PRODUCT_OF_ITEM} AS product, item.quantity AS items_sold, greatest(item.amount, 0) AS amount
FROM (SELECT key, unnest(items) AS item, generate_subscripts(items, 1) AS place FROM {parts}{" WHERE counted" if conversions.by_currency else ""})"""
        weighed = """SELECT key, place, product, items_sold, row_number() OVER (PARTITION BY key, product ORDER BY place) = 1 AS is_first,
    CASE WHEN sum(amount) OVER w > 0 THEN amount ELSE 1 END AS amount,
    CASE WHEN sum(amount) OVER w > 0 THEN sum(amount) OVER w ELSE count(*) OVER w END AS amounts
FROM items WINDOW w AS (PARTITION BY key)"""
        within = "c.key, c.currency" if conversions.by_currency else "c.key"
        split = [
            f"CASE WHEN i.key IS NULL THEN c.{name} ELSE {shares('c.' + name, num='i.amount', den='i.amounts', within=within, order='i.place')} END AS {name}"
            for name in conversions.money
        ]
        sold = ["coalesce(i.items_sold, 0) AS items_sold"] if "items_sold" in conversions.others else []
        replaced = ", ".join(["items", *conversions.money, *(["items_sold"] if sold else [])])
        own = ["coalesce(i.place, 1) AS place", "coalesce(i.is_first, true) AS is_first", "i.product"]
        products = f"SELECT c.* EXCLUDE ({replaced}), {', '.join([*own, *sold, *split])} FROM {parts} c LEFT JOIN weighed_items i ON i.key = c.key"
        return [("items", items), ("weighed_items", weighed), ("products", products)]

    @staticmethod
    def _tagged(parts: str) -> Step:
        """A line for each tag that the person had; one of none for who had none."""
        return (
            "tagged",
            f"""SELECT c.* EXCLUDE (tags), unnest(CASE WHEN len(tags) = 0 THEN [NULL] ELSE tags END) AS tag,
    generate_subscripts(CASE WHEN len(tags) = 0 THEN [NULL] ELSE tags END, 1) AS tag_place FROM {parts} c""",
        )

    # Touches

    def _credits(self) -> list[Step]:
        columns = self._touch_columns()
        named = "".join(f", {sql} AS {name}" for name, sql in columns)
        more = {
            Model.W_SHAPED: f", {models.LEAD_PLACE} AS lead_i",
            Model.FULL_IMPACT: f", {models.LEAD_PLACE} AS lead_i",
            Model.TIME_DECAY: f", {models.decayed(self.query.half_life_days)} AS decayed",
        }.get(self.query.model, "")
        paths: Step = ("paths", f"SELECT DISTINCT {', '.join(self.path)} FROM conversions")
        path: Step = ("path", f"SELECT c.person, c.path_at{named}, {models.PLACE} AS i, {models.COUNT} AS touches{more} {self._touched()}")
        match self.query.model:
            case Model.ANY_TOUCH:
                return [paths, ("credits", f"SELECT DISTINCT c.person, c.path_at{named} {self._touched()}")]
            case Model.FULL_IMPACT:
                return [paths, path, ("credits", "SELECT * FROM path WHERE i IN (1, lead_i, touches)")]
            case model if model in models.FRACTIONAL:
                num, den = models.weight(model)
                return [paths, path, ("weighed", f"SELECT *, {num} AS num, {den} AS den FROM path"), ("credits", "SELECT * FROM weighed WHERE num > 0")]
            case model:
                struct = ", ".join(f"{name} := {sql}" for name, sql in columns) or "any_touch := true"
                picked = models.pick(model, f"struct_pack({struct})")
                return [paths, ("credits", f"SELECT c.person, c.path_at, {picked} AS touch {self._touched()} GROUP BY c.person, c.path_at")]

    def _touch_columns(self) -> list[tuple[str, str]]:
        """What is read of a touch: name → SQL on `touches t`."""
        found = [(f"by_{index}", dimensions.TOUCH[name]) for index, name in enumerate(self.grouped_touch)]
        found += [(f"filter_{index}", dimensions.TOUCH[one.dimension]) for index, one in enumerate(self.touch_filters)]
        return [*found, *([("touched_at", "t.happened_at")] if self.touch_date else [])]

    def _touched(self) -> str:
        """FROM: each path with its touches."""
        lookback = self.query.lookback_days
        since = "" if lookback is None else f" AND t.happened_at >= c.path_at - to_hours({lookback * 24})"
        bound = "" if lookback is None or self.conversions.any_time else f" AND t.happened_at >= {timestamp(self.query.range.start - timedelta(days=lookback))}"
        return f"FROM paths c JOIN touches t ON t.person = c.person AND t.happened_at <= c.path_at{since} WHERE {models.NO_MACHINE}{bound}"

    # Lines

    def _lines(self, parts: str) -> Step:
        """Parts with their credits: those of a conversion without any touch stay, as untouched."""
        columns = [f"c.{name}" for name in self._kept_columns()]
        whole = [f"c.{name}" for name in self.conversions.money]
        if not self.with_touches:
            return "lines", f"SELECT {', '.join([*columns, *whole, '1 AS weight'])} FROM {parts} c"
        of_touch = "s" if self.fractional or self.overlapping_model else "s.touch"
        columns += ["s.person IS NOT NULL AS touched", *(f"{of_touch}.{name} AS {name}" for name, _ in self._touch_columns())]
        if self.fractional:
            columns += [
                "CASE WHEN s.person IS NULL THEN 1 ELSE s.num / s.den END AS weight",
                *(f"{self._share(name)} AS {name}" for name in self.conversions.money),
            ]
        else:
            columns += [*whole, "1 AS weight"]
        return "lines", f"SELECT {', '.join(columns)} FROM {parts} c LEFT JOIN credits s ON s.person = c.person AND s.path_at = c.path_at"

    def _share(self, name: str) -> str:
        value = f"c.{name}"
        if self.query.model is Model.LINEAR:
            share = equal_shares(value, count="s.touches", order="s.i")
        else:
            within = ", ".join(f"c.{column}" for column in [*self.part, *(["tag"] if self.by_tag else [])])
            share = shares(value, num="s.num", den="s.den", within=within, order="s.i")
        return f"CASE WHEN s.person IS NULL THEN {value} ELSE {share} END"

    def _kept_columns(self) -> list[str]:
        """Of a conversion, what its lines keep but for the money."""
        query = self.query
        apart = (*dimensions.TOUCH, dimensions.PRODUCT, dimensions.TAG)
        return [
            *(["n"] if self.numbered else []),
            *("key", "person", "happened_at", "currency"),
            *self.conversions.others,
            *(f"own_{index}" for index, name in enumerate(query.group_by) if name not in apart),
            *(["counted"] if self.conversions.by_currency else []),
            *(["lead_at"] if query.date_mode is DateMode.LEAD_DATE else []),
            *(["place", "is_first", "product"] if self.by_product else []),
            *(["tag", "tag_place"] if self.by_tag else []),
            *(["id", "connection"] if self.asking.lines else []),
        ]

    def _kept(self) -> list[str]:
        """SQL: which lines are in the report: their touch passes the filters, and is in the range where its date decides."""
        query, values = self.query, self.asking.values
        kept = [dimensions.fits(f"filter_{index}", one, values) for index, one in enumerate(self.touch_filters)]
        if self.touch_date:
            moment = self._moment()
            kept.append(f"{moment} >= {timestamp(query.range.start)} AND {moment} < {timestamp(query.range.end)}")
        return kept

    def _told_once(self) -> Step:
        """Of the credits of one conversion in one row one, and of all its rows the first, for the total."""
        by = [*self.part, *(["tag"] if self.by_tag else [])]
        row = [*by, "touched", *(f"by_{index}" for index in range(len(self.grouped_touch)))]
        if self.asking.periods is not None and self.touch_date:
            row.append(self._period())
        kept = " AND ".join(self._kept()) or "true"
        columns = f"row_number() OVER (PARTITION BY {', '.join(row)}) AS in_row"
        return (
            "told_once",
            f"""SELECT *, row_number() OVER (PARTITION BY {", ".join(by)}) = 1 AS row_once
FROM (SELECT *, {columns} FROM lines WHERE {kept}) WHERE in_row = 1""",
        )

    def _detail(self, source: str, *, once: bool) -> Step:
        query, conversions = self.query, self.conversions
        counts = [*(["counted"] if conversions.by_currency else []), *(["is_first"] if self.by_product else [])]
        weight = f"CASE WHEN {' AND '.join(counts)} THEN weight ELSE 0 END AS weight" if counts else "weight"
        columns = ["key", "person", "currency", weight, "weight AS share", "counted" if conversions.by_currency else "true AS counted"]
        columns += [*conversions.money, *conversions.others]
        if self.asking.periods is not None:
            columns.append(f"{self._period()} AS period")
        if self.with_touches:
            columns.append("touched")
        columns += [f"{self._group(name, index)} AS g{index}" for index, name in enumerate(query.group_by)]
        if once:
            money = [*(["row_once"] if self.overlapping_model else []), *(["tag_place = 1"] if self.by_tag else [])]
            count = [*money, *(["place = 1"] if self.by_product else [])]
            columns += [f"{' AND '.join(money) or 'true'} AS money_once", f"{' AND '.join(count)} AS count_once"]
        if self.asking.lines:
            columns += [f"'{conversions.kind}' AS kind", "id", "connection", "happened_at"]
        kept = [] if self.overlapping_model else self._kept()
        return "detail", f"SELECT {', '.join(columns)} FROM {source}{' WHERE ' if kept else ''}{' AND '.join(kept)}"

    def _group(self, name: str, index: int) -> str:
        if name in dimensions.TOUCH:
            return f"by_{self.grouped_touch.index(name)}"
        if name == dimensions.TAG:
            return "tag"
        if name == dimensions.PRODUCT:
            return "product" if self.by_product else "CAST(NULL AS VARCHAR)"
        return f"own_{index}"

    def _moment(self) -> str:
        """SQL: the moment whose period a line belongs to."""
        match self.query.date_mode:
            case DateMode.CONVERSION_DATE:
                return "happened_at"
            case DateMode.TOUCH_DATE:
                return "CASE WHEN touched THEN touched_at ELSE happened_at END"
            case DateMode.LEAD_DATE:
                return "lead_at"

    def _period(self) -> str:
        assert self.asking.periods is not None
        return self.asking.periods.bucket(f"({self._moment()})")
