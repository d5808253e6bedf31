"""Reports and ledgers as tables for a terminal, from what the API answers (as plain data): whoever has the JSON can print it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tributary.cli.show import plain
from tributary.currencies import MINOR_UNITS

Json = Mapping[str, Any]
Part = Table | Text | Padding

NOTHING: Final = "-"
"""Where there is nothing to divide by, or no figure yet."""
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def report(answer: Json, *, definitions: bool = True) -> Iterable[Part]:
    """A title, the table with its totals, the settings in force, notes, and what each KPI means."""
    settings = answer["settings"]
    yield Text.assemble((_title(answer), "bold"), "  ", plain(_days(settings["range"]), "bold"), "  ", plain(settings["time_zone"], "dim"))
    if settings["compare"] is not None:
        yield plain(f"compared with {_days(settings['compare'])}", "dim")
    yield _table(answer)
    if answer["rows_found"] > len(answer["rows"]):
        yield plain(f"The first {len(answer['rows'])} of {answer['rows_found']:,} rows; the total is of all.", "yellow")
    yield plain(", ".join(_settings(answer)), "dim")
    yield plain(f"as of {_moment(answer['as_of'])} UTC{', kept from an identical question' if answer['cached'] else ''}", "dim")
    if answer["overlapping"]:
        yield plain("Rows overlap: one thing may stand in several, so that they come to more than the total, which counts each once.", "yellow")
    if any(row["immature"] for row in answer["rows"]):
        yield plain("* has not come to its end yet.", "yellow")
    for note in answer["notes"]:
        yield plain(note, "yellow")
    if definitions:
        for column in answer["columns"]:
            yield Padding(Text.assemble(plain(column["name"], "dim bold"), "  ", plain(column["definition"], "dim")), (0, 0, 0, 2))


def ledger(answer: Json) -> Iterable[Part]:
    """The figure, who and what it is made of, and what it adds up to."""
    column, settings = answer["kpi"], answer["settings"]
    lines: Sequence[Json] = answer["data"]
    currencies = {line["currency"] for line in lines} or {settings["currency"]}
    shown = value(answer["total"], column["unit"], next(iter(currencies)) if len(currencies) == 1 else settings["currency"], named=True)
    of_row = [f"{name} {said}" for name, said in (lines[0]["dimensions"] if lines and answer["row"] is not None else {}).items() if said is not None]
    title = f"{column['name']}: {shown}" + (f" of {', '.join(of_row)}" if of_row else "")
    yield Text.assemble(plain(title, "bold"), "  ", plain(_days(settings["range"]), "bold"), "  ", plain(settings["time_zone"], "dim"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("when", "who", "email", "what", "id", "told by"):
        table.add_column(name, overflow="fold")
    table.add_column("counts", justify="right")
    for line in lines:
        who = line["name"] or line["contact"] or "not known"
        cells = (_moment(line["happened_at"]), who, line["email"], line["kind"], line["id"], line["connection"])
        table.add_row(*(plain(cell) for cell in cells), plain(value(line["value"], answer["unit"], line["currency"], named=True)))
    yield table
    if answer["lines_found"] > len(lines):
        yield plain(f"{len(lines)} of {answer['lines_found']:,} lines.", "yellow")
    if "under" in answer["parts"]:
        over, under = answer["parts"]["over"], answer["parts"]["under"]
        yield plain(f"{value(over, answer['unit'], settings['currency'], named=True)}, divided by {under:,}", "dim")
    yield plain(f"as of {_moment(answer['as_of'])} UTC", "dim")


def kinds(answer: Json) -> Iterable[Part]:
    """Every type of report, its KPIs and dimensions."""
    for one in answer["data"]:
        yield Text.assemble(plain(one["type"], "bold"), "  ", plain(one["description"]))
        yield Padding(plain(f"by {', '.join(dimension['key'] for dimension in one['dimensions']) or 'nothing'}", "dim"), (0, 0, 0, 2))
        for column in one["kpis"]:
            yield Padding(Text.assemble(plain(column["key"], "cyan"), "  ", plain(column["definition"], "dim")), (0, 0, 0, 2))


def value(figure: float | None, unit: str, currency: str, *, named: bool = False, whole: bool = False) -> str:
    """A figure as people write it: `1,234.50`, `15.15%`. `named`: money with its currency's code. `whole`: a number without parts."""
    if figure is None:
        return NOTHING
    match unit:
        case "money":
            digits = MINOR_UNITS.get(currency, 2)
            return f"{figure / 10**digits:,.{digits}f}" + (f" {currency}" if named else "")
        case "percent":
            return f"{figure:,.2f}%"
        case "seconds":
            return _duration(figure)
        case "count" | "number":
            return f"{figure:,.0f}" if whole or isinstance(figure, int) else f"{figure:,.2f}"
        case "days":
            return f"{figure:,.1f} d"
        case _:
            return f"{figure:,.2f}"


def _title(answer: Json) -> str:
    return str(answer["type"]).replace("-", " ").capitalize()


def _days(range_: Json) -> str:
    days = range_["first"] if range_["first"] == range_["last"] else f"{range_['first']} to {range_['last']}"
    words = range_["words"]
    return f"{days} ({words.replace('_', ' ')})" if words and words[0].isalpha() else days


def _table(answer: Json) -> Table:
    settings, columns = answer["settings"], answer["columns"]
    dimensions = answer["dimensions"]
    lines = (*answer["rows"], *answer["totals"])
    whole = {column["key"] for column in columns if all(float(line["values"].get(column["key"]) or 0).is_integer() for line in lines)}
    currencies = {line["currency"] for line in lines}
    one = next(iter(currencies)) if len(currencies) == 1 else None
    table = Table(box=None, pad_edge=False, header_style="bold", show_footer=False)
    table.add_column("#", justify="right", style="dim")
    for name in dimensions:
        table.add_column(settings["scale"] if name == "period" else name.replace("_", " "), overflow="fold")
    for column in columns:
        table.add_column(f"{column['name']}\n{one}" if column["unit"] == "money" and one else column["name"], justify="right")
    for number, row in enumerate(answer["rows"] if dimensions else [], start=1):
        told = [plain(_dimension(row, name, settings["group_by"]), "dim" if row["unattributed"] else "") for name in dimensions]
        table.add_row(str(number), *told, *(_cell(row, column, named=one is None, whole=column["key"] in whole, marked=row["immature"]) for column in columns))
    for index, total in enumerate(answer["totals"]):
        label = [plain("total", "bold"), *([Text("")] * (len(dimensions) - 1))] if dimensions else []
        cells = [_cell(total, column, named=one is None, whole=column["key"] in whole, style="bold") for column in columns]
        if index == 0 and dimensions:
            table.add_section()
        table.add_row("" if dimensions else "=", *label, *cells)
    return table


def _dimension(row: Json, name: str, grouped: Sequence[str]) -> str:
    said = row["dimensions"].get(name)
    if said is not None:
        called = row["names"].get(name)
        return _moment(said) if name == "happened_at" else str(said) if called is None else f"{called} ({said})"
    if name not in grouped:
        return ""
    return "unattributed" if row["unattributed"] else "(none)"


def _cell(line: Json, column: Json, *, named: bool, whole: bool, marked: bool = False, style: str = "") -> Text:
    figure = line["values"].get(column["key"])
    text = plain(value(figure, column["unit"], line["currency"], named=named, whole=whole) + ("*" if marked else ""), style)
    change = (line["change"] or {}).get(column["key"])
    if line["before"] is not None:
        text = Text.assemble(text, " ", _change(change))
    return text


def _change(percent: float | None) -> Text:
    if percent is None:
        return Text(NOTHING, style="dim")
    return Text(f"{percent:+,.1f}%", style="green" if percent > 0 else "red" if percent < 0 else "dim")


def _settings(answer: Json) -> Iterable[str]:
    """Those that bear on this answer, in words."""
    settings = answer["settings"]
    yield f"in {settings['currency']}"
    if settings["model"] is not None and answer["coverage_pct"] is not None:
        lookback = "a lifetime" if settings["lookback_days"] is None else f"{settings['lookback_days']} days"
        half_life = f" (half-life {settings['half_life_days']:g} days)" if settings["model"] == "time_decay" else ""
        yield f"model {settings['model'].replace('_', ' ')}{half_life}, touches of {lookback} before"
        if settings["rebill_credit"] is not None:
            yield f"rebills {'as the first order' if settings['rebill_credit'] == 'inherit' else 'by their own touches'}"
        yield f"{answer['coverage_pct']:g}% of the value has a touch"
    yield f"by {settings['date_mode'].replace('_', ' ')}"
    if settings["include_tax"] or settings["include_shipping"]:
        yield f"with {' and '.join(name for name in ('tax', 'shipping') if settings[f'include_{name}'])}"
    for one in settings["filter"]:
        yield f"{one['dimension']} {one['op'].replace('_', ' ')} {' or '.join(said or '(none)' for said in one['values'])}"
    for one in settings["having"]:
        yield f"{one['kpi']} {one['op']} {one['value']:g}"
    if answer["rates_source"]:
        yield f"rates by {answer['rates_source']}"


def _moment(text: str) -> str:
    return text[:19].replace("T", " ")


def _duration(seconds: float) -> str:
    for size, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"{seconds / size:,.1f} {name}"
    return f"{seconds:,.0f} s"
