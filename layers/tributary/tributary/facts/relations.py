"""Files → relations, as SQL: what stands of base and fresh files, with people resolved.

Everything here is text, made of names we know and of paths we made. A schema holds what one snapshot needs:

    asked               nodes whose person has to be known
    identities          node → contact: all that came in the latest generations, and of what is older what is asked
    weak                visitor → customers
    moving              nodes that were identified, and contacts that were merged, since the oldest base was made
    people              node → person, of those that are somebody else by now
    moved               the same, of those that a base can name: who is moving, and visitors by their links
    erased              nodes
    raw_<kind>          fresh rows that say something new, by their month, as they were written
    superseded_<kind>   keys of base rows, by month, that fresh rows took the place of
    fresh_<kind>        the fresh rows that stand, resolved
    <kind>              the relation that is asked

The base is read where it lies, column by column, as a statement asks; a join is put upon it only if there is something to join.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tributary.facts.tables import TABLES, Kind

HIDDEN: Final = ("version", "gone")
_MOST_HOPS: Final = 64
"""From a node to its person: one or two; more than this is a circle, which nothing of ours makes."""
_OLDER: Final = "(b.version > f.version OR (b.version = f.version AND b.gone >= f.gone))"
"""A fresh row `f` that says nothing new to the base's `b`."""

PathsByMonth = Mapping[str, Sequence[str]]
"""Month → paths of files."""


def columns_of(kind: Kind) -> list[str]:
    """What a relation offers."""
    return [name for name in every_column(kind) if name not in HIDDEN]


def every_column(kind: Kind) -> list[str]:
    """What a file holds."""
    return list(TABLES[kind].columns)


def rows_of(kind: Kind, paths: Sequence[str], *, whole: bool = False) -> str:
    """All columns of the kind's table, in its order. What the files of an older release lack is null. `whole`: it is known that they lack nothing; then a
    statement is planned in half the time, for DuckDB need not look into each file whenever the relation is named."""
    nothing = no_rows(kind)
    if not paths:
        return nothing
    if whole:
        return f"SELECT {', '.join(TABLES[kind].columns)} FROM read_parquet([{_quoted(paths)}], hive_partitioning = false)"
    return f"SELECT {', '.join(TABLES[kind].columns)} FROM ({nothing} UNION ALL BY NAME SELECT * FROM {_files(paths)})"


def no_rows(kind: Kind) -> str:
    typed = ", ".join(f"NULL::{sql_type} AS {name}" for name, sql_type in TABLES[kind].columns.items())
    return f"SELECT {typed} WHERE false"


def first_of(paths: Sequence[str]) -> str:
    """The rows of the first file, with the columns that it has."""
    return f"SELECT * FROM read_parquet([{_quoted(paths[:1])}], hive_partitioning = false)"


def shapes(paths: Sequence[str]) -> str:
    """How many kinds of files there are, by their columns."""
    column = "concat_ws(' ', name, type, converted_type, logical_type, num_children)"
    return f"SELECT count(DISTINCT shape) FROM (SELECT list({column} ORDER BY {column}) AS shape FROM parquet_schema([{_quoted(paths)}]) GROUP BY file_name)"


def by_month(kind: Kind, months: PathsByMonth) -> str:
    """The same, with the `month` whose file each row stands in."""
    parts = [f"SELECT *, '{month}' AS month FROM ({rows_of(kind, paths)})" for month, paths in sorted(months.items()) if paths]
    return " UNION ALL ".join(parts) or f"SELECT *, '' AS month FROM ({rows_of(kind, ())})"


def newest(kind: Kind, rows: str) -> str:
    """Of rows of one key and month the one that counts. Rows of one version say the same; should they not, all who choose choose alike."""
    order = ", ".join(dict.fromkeys(("version DESC", "gone DESC", *TABLES[kind].sort)))
    return f"SELECT * FROM ({rows}) QUALIFY row_number() OVER (PARTITION BY key, month ORDER BY {order}) = 1"


# ---------------------------------------------------------------- who is who


def identities(latest: Sequence[str], old: Sequence[str], moving: Sequence[str]) -> list[str]:
    """`identities`, of the files of the latest generations and of the old ones; `moving`, of those of the latest that came after the oldest base was made.
    Needs `asked`, and adds to it: a row may name a contact that was merged long ago. Old files name people as of when they were made: one look is enough."""
    looked_up = f"SELECT key, contact FROM ({rows_of(Kind.IDENTITIES, old)}) SEMI JOIN asked ON node = key ANTI JOIN latest USING (key) WHERE NOT gone"
    return [
        f"CREATE TABLE latest AS {newest(Kind.IDENTITIES, by_month(Kind.IDENTITIES, {'all': latest}))}",
        "INSERT INTO asked SELECT key FROM latest UNION SELECT contact FROM latest",
        f"CREATE TABLE identities AS SELECT key, contact FROM latest WHERE NOT gone UNION ALL {looked_up}",
        f"CREATE TABLE moving AS SELECT DISTINCT key AS node FROM ({rows_of(Kind.IDENTITIES, moving)})",
    ]


def weak(paths: Sequence[str]) -> list[str]:
    return [
        f"CREATE TABLE weak AS SELECT key, customers FROM ({newest(Kind.WEAK_LINKS, by_month(Kind.WEAK_LINKS, {'all': paths}))}) WHERE NOT gone",
        "INSERT INTO asked SELECT key FROM weak UNION SELECT unnest(customers) FROM weak",
    ]


PEOPLE: Final = (
    f"""CREATE TABLE roots AS
    WITH RECURSIVE walk AS (
        SELECT key AS node, contact AS person, 1 AS hops FROM identities
        UNION ALL
        SELECT node, contact, hops + 1 FROM walk JOIN identities ON key = person AND contact <> key WHERE hops < {_MOST_HOPS}
    )
    SELECT node, arg_max(person, hops) AS person FROM walk GROUP BY node""",
    """CREATE TABLE visitors AS
    SELECT key AS node, arg_min(person, place) AS person
    FROM (SELECT key, unnest(customers) AS customer, generate_subscripts(customers, 1) AS place FROM weak ANTI JOIN identities USING (key)) named
    JOIN roots ON node = customer ANTI JOIN erased ON erased.node = roots.person
    GROUP BY key""",
    "CREATE TABLE people AS SELECT * FROM roots WHERE person <> node UNION ALL SELECT * FROM visitors WHERE person <> node",
    "CREATE TABLE moved AS SELECT * FROM people SEMI JOIN moving USING (node) UNION ALL SELECT * FROM visitors WHERE person <> node",
)


# ---------------------------------------------------------------- fresh rows


def raw(kind: Kind, fresh: PathsByMonth) -> list[str]:
    made = [f"CREATE TABLE raw_{kind} AS {newest(kind, by_month(kind, fresh))}"]
    if TABLES[kind].has_person:
        made.append(f"INSERT INTO asked SELECT DISTINCT person FROM raw_{kind}")
    return made


def against_base(kind: Kind, base: PathsByMonth) -> list[str]:
    """Fresh rows that say nothing new go; base rows that they took the place of are noted. `base`: all files of the months that have fresh rows."""
    return [
        f"CREATE TEMP TABLE met AS SELECT key, month, version, gone FROM ({by_month(kind, base)}) SEMI JOIN raw_{kind} USING (key, month)",
        f"DELETE FROM raw_{kind} f USING met b WHERE b.key = f.key AND b.month = f.month AND {_OLDER}",
        f"CREATE TABLE superseded_{kind} AS SELECT key, month FROM met SEMI JOIN raw_{kind} USING (key, month)",
        "DROP TABLE met",
    ]


def fresh(kind: Kind, columns: Sequence[str]) -> str:
    resolved = "person" in columns
    source = f"raw_{kind} b LEFT JOIN people m ON m.node = b.person" if resolved else f"raw_{kind} b"
    made = f"CREATE TABLE fresh_{kind} AS SELECT {_selected(columns, moved=resolved)} FROM {source} WHERE NOT b.gone"
    return f"{made} AND {_NOBODY_ERASED}" if resolved else made


# ---------------------------------------------------------------- what is asked


def of_moved(kind: Kind, paths: Sequence[str]) -> str:
    """A row if files name somebody who moved."""
    return f"SELECT 1 FROM ({rows_of(kind, paths)}) b SEMI JOIN moved m ON m.node = b.person LIMIT 1"


def relation(kind: Kind, base: PathsByMonth, *, superseded: Iterable[str], moved: bool, erased: bool, fresh: bool, whole: bool) -> str:
    """A kind's view. `superseded`: the months with base rows that no longer stand. `whole`: the base lacks no column."""
    rows = standing(kind, base, columns_of(kind), superseded=superseded, moved=moved, erased=erased, fresh=fresh, whole=whole)
    return f"CREATE VIEW {kind} AS {rows}"


def standing(
    kind: Kind, base: PathsByMonth, columns: Sequence[str], *, superseded: Iterable[str], moved: bool, erased: bool, fresh: bool, whole: bool = False
) -> str:
    """The rows that stand, of base and fresh files."""
    patched = sorted(month for month in superseded if base.get(month))
    untouched = [path for month in sorted(base) if month not in patched for path in base[month]]
    parts = [_base(kind, untouched, columns, None, moved=moved, erased=erased, whole=whole)] if untouched or not patched else []
    parts += [_base(kind, base[month], columns, month, moved=moved, erased=erased, whole=whole) for month in patched]
    if fresh:
        parts.append(f"SELECT {', '.join(columns)} FROM fresh_{kind}")
    return " UNION ALL ".join(parts)


def contacts(base: Sequence[str], shared: Sequence[str], *, erased: bool) -> list[str]:
    """One row a person. Rows of people who have several, or may have, are brought together here; the base's others are read where they lie."""
    columns = columns_of(Kind.CONTACTS)
    row = ", ".join(columns)
    resolved = _selected(columns, moved=True)
    on_base = "LEFT JOIN moved m ON m.node = b.person ANTI JOIN superseded_contacts s ON s.key = b.key"
    standing = f" WHERE {_NOBODY_ERASED}" if erased else ""
    return [
        "CREATE TABLE again AS SELECT person FROM fresh_contacts UNION SELECT person FROM people SEMI JOIN moving USING (node)",
        f"""CREATE TABLE pulled AS
        SELECT {row} FROM (SELECT {resolved} FROM ({rows_of(Kind.CONTACTS, base)}) b {on_base}{standing}) SEMI JOIN again USING (person)
        UNION ALL SELECT {resolved} FROM ({rows_of(Kind.CONTACTS, shared)}) b {on_base}{standing}""",
        f"""CREATE TABLE together AS
        SELECT person AS key, person, min(lead_at) AS lead_at, first(connection ORDER BY {_EARLIEST}) AS connection, max(last_seen_at) AS last_seen_at,
            first(country ORDER BY {_FOREMOST}) FILTER (country IS NOT NULL) AS country,
            coalesce(first(fields ORDER BY {_FOREMOST}) FILTER (cardinality(fields) > 0), MAP {{}}) AS fields
        FROM (SELECT {row} FROM fresh_contacts UNION ALL SELECT {row} FROM pulled) GROUP BY person""",
        "INSERT INTO superseded_contacts SELECT key, 'all' FROM pulled",
        "DROP TABLE pulled",
    ]


def contacts_relation(base: Sequence[str], *, superseded: bool, erased: bool, whole: bool) -> str:
    columns = ["person AS key", *(name for name in columns_of(Kind.CONTACTS) if name != "key")]
    left_out = " ANTI JOIN superseded_contacts USING (key)" if superseded else ""
    left_out += " ANTI JOIN erased ON node = person" if erased else ""
    lying = f"SELECT {', '.join(columns)} FROM (SELECT * FROM ({rows_of(Kind.CONTACTS, base, whole=whole)}){left_out})"
    return f"CREATE VIEW contacts AS {lying} UNION ALL SELECT {', '.join(columns_of(Kind.CONTACTS))} FROM together"


# ---------------------------------------------------------------- compaction


def dropped(kind: Kind, gone: Sequence[str]) -> str:
    """The rows that do not stand, of the base's and the fresh ones."""
    columns = ", ".join(every_column(kind))
    rows = f"SELECT {columns} FROM ({rows_of(kind, gone)}) ANTI JOIN raw_{kind} USING (key) UNION ALL SELECT {columns} FROM raw_{kind} WHERE gone"
    return standing_without_erased(kind, rows)


def standing_without_erased(kind: Kind, rows: str) -> str:
    """The rows but those of erased nodes; of a visitor's links those that name nobody erased."""
    nodes = _nodes(kind)
    if not nodes:
        return rows
    kept = f"SELECT * FROM ({rows}) r WHERE " + " AND ".join(f"r.{node} NOT IN (SELECT node FROM erased)" for node in nodes)
    if kind is Kind.WEAK_LINKS:
        kept = f"""SELECT r.* EXCLUDE (nodes) REPLACE (list_filter(customers, lambda one: NOT list_contains(nodes, one)) AS customers)
        FROM (SELECT * FROM ({kept}), (SELECT coalesce(list(node), []) AS nodes FROM erased)) r"""
    return kept


def of_erased(kind: Kind, paths: Sequence[str]) -> str:
    """The keys of rows that name an erased node."""
    nodes = [f"r.{node}" for node in _nodes(kind)]
    named = f"[{', '.join(nodes)}]" + (" || customers" if kind is Kind.WEAK_LINKS else "")
    return (
        f"SELECT r.key FROM ({rows_of(kind, paths)}) r, (SELECT list(node) AS nodes FROM erased) WHERE list_has_any(nodes, {named})"
        if nodes
        else "SELECT 1 WHERE false"
    )


def consolidated(files: Sequence[str], gone: Sequence[str], settled: Sequence[str]) -> tuple[str, str]:
    """Identities of the base and of settled generations: those that stand, each with the contact that is in no other, and those that do not."""
    new = f"({newest(Kind.IDENTITIES, by_month(Kind.IDENTITIES, {'all': settled}))})"
    columns = ", ".join(every_column(Kind.IDENTITIES))
    resolved = ", ".join(f"coalesce(p.person, i.{name}) AS {name}" if name == "contact" else f"i.{name}" for name in every_column(Kind.IDENTITIES))
    old = f"SELECT {resolved} FROM ({rows_of(Kind.IDENTITIES, files)}) i LEFT JOIN people p ON p.node = i.contact ANTI JOIN {new} n ON n.key = i.key"
    latest = f"SELECT {resolved} FROM {new} i LEFT JOIN people p ON p.node = i.key WHERE NOT i.gone"
    still_gone = f"SELECT {columns} FROM ({rows_of(Kind.IDENTITIES, gone)}) ANTI JOIN {new} USING (key)"
    return f"{old} UNION ALL {latest}", f"{still_gone} UNION ALL SELECT {columns} FROM {new} WHERE gone"


def _nodes(kind: Kind) -> list[str]:
    """The columns of a row that name a person, one alone each."""
    if kind is Kind.IDENTITIES:
        return ["key", "contact"]
    if kind is Kind.WEAK_LINKS:
        return ["key"]
    return ["person"] if TABLES[kind].has_person else []


_FOREMOST: Final = "key = person DESC, last_seen_at DESC NULLS LAST, key"
"""Of rows of people who merged: the contact that the others were merged into, then whoever was seen last."""
_EARLIEST: Final = "lead_at, connection NULLS LAST"
_NOBODY_ERASED: Final = "b.person NOT IN (SELECT node FROM erased) AND coalesce(m.person, b.person) NOT IN (SELECT node FROM erased)"


def _base(kind: Kind, paths: Sequence[str], columns: Sequence[str], superseded: str | None, *, moved: bool, erased: bool, whole: bool) -> str:
    has_person = "person" in columns
    joined = has_person and (moved or erased)
    text = f"SELECT {_selected(columns, moved=joined)} FROM ({rows_of(kind, paths, whole=whole)}) b"
    if joined:
        text += " LEFT JOIN moved m ON m.node = b.person"
    if superseded is not None:
        text += f" ANTI JOIN (SELECT key FROM superseded_{kind} WHERE month = '{superseded}') s ON s.key = b.key"
    if has_person and erased:
        text += f" WHERE {_NOBODY_ERASED}"
    return text


def _selected(columns: Sequence[str], *, moved: bool) -> str:
    return ", ".join("coalesce(m.person, b.person) AS person" if moved and name == "person" else f"b.{name}" for name in columns)


def _files(paths: Sequence[str]) -> str:
    return f"read_parquet([{_quoted(paths)}], union_by_name = true, hive_partitioning = false)"


def _quoted(paths: Sequence[str]) -> str:
    return ", ".join(f"'{path}'" for path in paths)
