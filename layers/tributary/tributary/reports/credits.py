"""From conversions to lines of credit: which touches, products and tags a conversion belongs to, and how much of it belongs to each.

The steps of a statement, each a relation that the next one reads:

| step | one line a |
|---|---|
| `conversions` | conversion that counts, with its money, made by the leg |
| `parts` | conversion and product, or tag, where rows are told apart by them; money divided over products |
| `path` or `credits` | touch that gets a credit, with its weight |
| `lines` | part and credit: what belongs to one row, money divided |
| `detail` | the same, as `frame` wants it |

Columns of `conversions`: `key`, `person`, `happened_at`, `path_at` and `path_person` (whose touches until when lead there), `lead_at` where asked, `currency`,
`id` and `connection` for a ledger, `own_0`… (the dimensions that are not of touches, NULL where it has none), `items` where products are asked, and what counts:
money as integers (`money`) and numbers that are shared like the conversion itself (`counts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tributary.reports import dimensions, models
from tributary.reports.frame import Asking
from tributary.reports.money import equal_shares, shares
from tributary.reports.periods import timestamp
from tributary.reports.query import DateMode, Filter, FilterOp, Model, Query
from tributary.reports.statement import Step, Values


@dataclass(frozen=True)
class Conversions:
    kind: str
    """What a ledger calls one."""
    money: Sequence[str]
    counts: Sequence[str]
    has_items: bool
    """Whether they are of products."""
    people_columns: Sequence[str] = ()
    """Conditions on people that the leg's measures read."""


@dataclass(frozen=True)
class Credits:
    steps: tuple[Step, ...]
    overlapping: bool
    """Whether rows may tell of one conversion with all that it counts."""
    once: bool
    """Whether the detail has `money_once` and `count_once`: which lines count in a total."""


def asks_touches(query: Query) -> bool:
    """Whether touches have to be read: rows or choices that are told by them."""
    return query.date_mode is DateMode.TOUCH_DATE or any(name in dimensions.TOUCH for name in (*query.group_by, *(one.dimension for one in query.filters)))


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
        self.by_touch = [name for name in query.group_by if name in dimensions.TOUCH]
        self.touch_filters = [one for one in query.filters if one.dimension in dimensions.TOUCH]
        self.by_product = conversions.has_items and any(name == dimensions.PRODUCT for name in (*query.group_by, *(one.dimension for one in query.filters)))
        self.by_tag = dimensions.TAG in query.group_by
        self.tag_filters = [one for one in query.filters if one.dimension == dimensions.TAG]
        self.overlapping_model = self.with_touches and query.model in models.OVERLAPPING
        self.fractional = self.with_touches and query.model in models.FRACTIONAL
        self.touch_date = query.date_mode is DateMode.TOUCH_DATE

    def credits(self) -> Credits:
        steps = [*self._parts()]
        if self.with_touches:
            steps += self._touched()
        steps.append(self._lines())
        once = self.overlapping_model or self.by_tag or self.by_product
        if self.overlapping_model:
            steps.append(self._distinct())
        steps.append(self._detail(steps[-1][0], once=once))
        return Credits(tuple(steps), overlapping=self.overlapping_model or self.by_tag, once=once)

    # Products and tags

    def _parts(self) -> list[Step]:
        steps: list[Step] = []
        self.parts = "conversions"
        if self.by_product:
            steps += self._by_product()
        if self.by_tag or self.tag_filters:
            steps += self._by_tag()
        return steps

    def _by_product(self) -> list[Step]:
        """Each item's share of the money by its amount; then the items of one product together, or, where products only choose, all that fit."""
        money, counts = self.conversions.money, self._item_counts()
        split = "".join(
            f", CASE WHEN i.key IS NULL THEN c.{name} ELSE {shares('c.' + name, num='i.amount', den='i.amounts', within='c.key', order='i.place')} END AS {name}"
            for name in money
        )
        items = f"""SELECT key, place, {dimensions.PRODUCT_OF_ITEM} AS product, item.quantity AS items_sold, greatest(item.amount, 0) AS amount
FROM (SELECT key, unnest(items) AS item, generate_subscripts(items, 1) AS place FROM conversions)"""
        weighed = """SELECT key, place, product, items_sold, CASE WHEN sum(amount) OVER w > 0 THEN amount ELSE 1 END AS amount,
    CASE WHEN sum(amount) OVER w > 0 THEN sum(amount) OVER w ELSE count(*) OVER w END AS amounts
FROM items WINDOW w AS (PARTITION BY key)"""
        sold = ", coalesce(i.items_sold, 0) AS items_sold" if counts else ""
        split_items = f"""SELECT c.* EXCLUDE ({", ".join(["items", *money, *counts])}), coalesce(i.place, 1) AS place, i.product{sold}{split}
FROM conversions c LEFT JOIN weighed_items i ON i.key = c.key"""
        fitting = [dimensions.fits("product", one, self.asking.values) for one in self.query.filters if one.dimension == dimensions.PRODUCT]
        by = ["key", "product"] if dimensions.PRODUCT in self.query.group_by else ["key"]
        added = [*money, *counts]
        summed = "".join(f", CAST(sum({name}) AS BIGINT) AS {name}" for name in added)
        kept = ", ".join([*by, "product", "place", *added] if len(by) == 1 else [*by, "place", *added])
        products = f"""SELECT {", ".join(by)}, any_value(COLUMNS(* EXCLUDE ({kept}))), min(place) AS place{summed}
FROM split_items WHERE {" AND ".join(fitting) or "true"} GROUP BY {", ".join(by)}"""
        self.parts = "products"
        return [("items", items), ("weighed_items", weighed), ("split_items", split_items), ("products", products)]

    def _item_counts(self) -> list[str]:
        return [name for name in self.conversions.counts if name == "items_sold"]

    def _by_tag(self) -> list[Step]:
        """A line for each tag that the person had at the time, one of none for who had none; where tags only choose, the conversions that they choose."""
        values = self.asking.values
        tags = """SELECT DISTINCT c.key, c.one.tag AS tag FROM (
    SELECT c.key, c.happened_at, unnest(g.tags) AS one FROM conversions c JOIN tags g ON g.person = c.person
) c WHERE c.one.applied_at <= c.happened_at AND (c.one.removed_at IS NULL OR c.one.removed_at > c.happened_at)"""
        kept = [_has_tag(one, values) for one in self.tag_filters]
        source, self.parts = self.parts, "tagged"
        if dimensions.TAG not in self.query.group_by:
            return [("tags_at", tags), ("tagged", f"SELECT c.* FROM {source} c WHERE {' AND '.join(kept)}")]
        kept += [dimensions.fits("w.tag", one, values) for one in self.tag_filters]
        return [("tags_at", tags), ("tagged", f"SELECT c.*, w.tag FROM {source} c LEFT JOIN tags_at w ON w.key = c.key WHERE {' AND '.join(kept) or 'true'}")]

    # Touches

    def _touched(self) -> list[Step]:
        if self.overlapping_model:
            return self._all_credits()
        if self.fractional:
            return self._weighted()
        touch = ", ".join(f"{name} := {sql}" for name, sql in self._touch_columns())
        picked = models.pick(self.query.model, f"struct_pack({touch})" if touch else "struct_pack(any := true)")
        return [("credits", f"SELECT c.key, {picked} AS touch {self._path_of()} GROUP BY c.key")]

    def _touch_columns(self) -> list[tuple[str, str]]:
        """What is read of a touch: name → SQL on `touches t`."""
        found = [(f"by_{index}", dimensions.TOUCH[name]) for index, name in enumerate(self.by_touch)]
        found += [(f"filter_{index}", dimensions.TOUCH[one.dimension]) for index, one in enumerate(self.touch_filters)]
        return [*found, *([("touched_at", "t.happened_at")] if self.touch_date else [])]

    def _path_of(self) -> str:
        """FROM: each conversion with the touches of its path."""
        query = self.query
        lookback = "" if query.lookback_days is None else f" AND t.happened_at >= c.path_at - to_hours({query.lookback_days * 24})"
        return (
            f"FROM conversions c JOIN touches t ON t.person = c.path_person AND t.happened_at <= c.path_at{lookback} "
            f"WHERE {models.NO_MACHINE} AND t.happened_at <= {timestamp(query.now)}"
        )

    def _all_credits(self) -> list[Step]:
        columns = "".join(f", {sql} AS {name}" for name, sql in self._touch_columns())
        if self.query.model is Model.ANY_TOUCH:
            return [("credits", f"SELECT DISTINCT c.key{columns} {self._path_of()}")]
        milestones = f"{models.PLACE} AS i, {models.COUNT} AS n, {models.LEAD_PLACE} AS lead_i"
        return [
            ("path", f"SELECT c.key{columns}, {milestones} {self._path_of()}"),
            ("credits", "SELECT * FROM path WHERE i IN (1, lead_i, n)"),
        ]

    def _weighted(self) -> list[Step]:
        query = self.query
        columns = "".join(f", {sql} AS {name}" for name, sql in self._touch_columns())
        more = f", {models.LEAD_PLACE} AS lead_i" if query.model is Model.W_SHAPED else ""
        more += f", {models.decayed(query.half_life_days)} AS decayed" if query.model is Model.TIME_DECAY else ""
        num, den = models.weight(query.model)
        return [
            ("path", f"SELECT c.key{columns}, {models.PLACE} AS i, {models.COUNT} AS n{more} {self._path_of()}"),
            ("credits", f"SELECT *, {num} AS num, {den} AS den FROM path"),
        ]

    # Lines

    def _lines(self) -> Step:
        """Parts with their credits: those of a conversion without any touch stay, as untouched."""
        columns = [f"c.{name}" for name in self._kept_columns()]
        if not self.with_touches:
            columns += [f"c.{name}" for name in self.conversions.money]
            return "lines", f"SELECT {', '.join(columns)}, 1 AS weight FROM {self.parts} c"
        of_touch = "s.touch." if not self.fractional and not self.overlapping_model else "s."
        columns += ["s.key IS NOT NULL AS touched", *(f"{of_touch}{name} AS {name}" for name, _ in self._touch_columns())]
        if not self.fractional:
            columns += [f"c.{name}" for name in self.conversions.money] + ["1 AS weight"]
        else:
            columns += [
                "coalesce(s.num / s.den, 1) AS weight",
                "coalesce(s.i, 1) AS i",
                *(f"{self._share('c.' + name)} AS {name}" for name in self.conversions.money),
            ]
        return "lines", f"SELECT {', '.join(columns)} FROM {self.parts} c LEFT JOIN credits s ON s.key = c.key WHERE true"

    def _share(self, value: str) -> str:
        if self.query.model is Model.LINEAR:
            return f"CASE WHEN s.n IS NULL THEN {value} ELSE {equal_shares(value, count='s.n', order='s.i')} END"
        within = "c.key, c.place" if self.by_product else "c.key"
        if self.by_tag:
            within += ", c.tag"
        return shares(value, num="coalesce(s.num, 1)", den="coalesce(s.den, 1)", within=within, order="s.i")

    def _kept_columns(self) -> list[str]:
        """Of a conversion, what its lines keep but for the money."""
        query = self.query
        own = [f"own_{index}" for index, name in enumerate(query.group_by) if name not in (*dimensions.TOUCH, dimensions.PRODUCT, dimensions.TAG)]
        kept = ["key", "person", "happened_at", "currency", *self.conversions.people_columns, *self.conversions.counts, *own]
        kept += ["lead_at"] if query.date_mode is DateMode.LEAD_DATE else []
        kept += ["place"] if self.by_product else []
        kept += ["product"] if self.by_product and dimensions.PRODUCT in query.group_by else []
        kept += ["tag"] if self.by_tag else []
        return kept + (["id", "connection"] if self.asking.lines else [])

    def _kept(self) -> list[str]:
        """SQL: which lines are in the report: their touch passes the filters, and is in the range where its date decides."""
        query, values = self.query, self.asking.values
        kept = [dimensions.fits(f"filter_{index}", one, values) for index, one in enumerate(self.touch_filters)]
        if self.touch_date:
            moment = "CASE WHEN touched THEN touched_at ELSE happened_at END"
            kept.append(f"{moment} >= {timestamp(query.range.start)} AND {moment} < {timestamp(query.range.end)}")
        return kept

    def _distinct(self) -> Step:
        """Of the credits of one conversion in one row, one."""
        by = [f"by_{index}" for index in range(len(self.by_touch))]
        period = [self._period()] if self.asking.periods is not None and self.touch_date else []
        within = ", ".join(["key", "touched", *by, *period, *(["place"] if self.by_product else []), *(["tag"] if self.by_tag else [])])
        kept = " AND ".join(self._kept()) or "true"
        return "distinct_lines", f"SELECT * FROM lines WHERE {kept} QUALIFY row_number() OVER (PARTITION BY {within} ORDER BY {self._moment()}) = 1"

    def _detail(self, source: str, *, once: bool) -> Step:
        query = self.query
        columns = ["person", "currency", "weight", *self.conversions.money, *self.conversions.counts, *self.conversions.people_columns]
        if self.asking.periods is not None:
            columns.append(f"{self._period()} AS period")
        if self.asking.attributed:
            columns.append("touched")
        columns += [f"{self._group(name, index)} AS g{index}" for index, name in enumerate(query.group_by)]
        columns += ["key"]
        if once:
            columns += self._once()
        if self.asking.lines:
            columns += [f"'{self.conversions.kind}' AS kind", "id", "connection", "happened_at"]
        where = " AND ".join(self._kept()) if source == "lines" else ""
        return "detail", f"SELECT {', '.join(columns)} FROM {source} WHERE {where or 'true'}"

    def _once(self) -> list[str]:
        """Which of the lines that tell of one thing counts in a total: of money the first tag's and, where all get the whole, the first row's; of what is
        counted the first product's too."""
        touch = ["i"] if self.fractional else []
        order = [*(["place"] if self.by_product else []), *(["tag"] if self.by_tag else [])] or ["key"]
        count = ", ".join(["key", *touch])
        money = ", ".join(["key", *touch, *(["place"] if self.by_product else [])])
        ranked = f"ORDER BY {', '.join(order)}"
        return [
            f"row_number() OVER (PARTITION BY {count} {ranked}) = 1 AS count_once",
            f"row_number() OVER (PARTITION BY {money} {ranked}) = 1 AS money_once",
        ]

    def _group(self, name: str, index: int) -> str:
        if name in dimensions.TOUCH:
            return f"by_{self.by_touch.index(name)}"
        if name == dimensions.TAG:
            return "tag"
        if name == dimensions.PRODUCT:
            return "product" if self.conversions.has_items else "CAST(NULL AS VARCHAR)"
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


def own_filters(query: Query) -> list[Filter]:
    """Those that are not told by touches, products or tags."""
    apart = (*dimensions.TOUCH, dimensions.PRODUCT, dimensions.TAG)
    return [one for one in query.filters if one.dimension not in apart]


def _has_tag(wanted: Filter, values: Values) -> str:
    """SQL: whether the conversion `c` is one that a filter of tags chooses: by any tag that its person had, or, of a negative one, by none."""
    negative = wanted.op in ("is_not", "not_contains")
    op: FilterOp = {"is_not": "is", "not_contains": "contains"}.get(wanted.op, wanted.op)  # type: ignore[assignment]
    said = tuple(value for value in wanted.values if value)
    ways = []
    if said:
        fitting = dimensions.fits("w.tag", Filter(dimension=dimensions.TAG, op=op, values=said), values)
        ways.append(f"c.key IN (SELECT w.key FROM tags_at w WHERE {fitting})")
    if len(said) < len(wanted.values):
        ways.append("c.key NOT IN (SELECT w.key FROM tags_at w)" if op == "is" else "true")
    found = f"({' OR '.join(ways) or 'false'})"
    return f"NOT {found}" if negative else found
