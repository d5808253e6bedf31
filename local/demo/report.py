"""What the demo shows on the screen and leaves in `.local/demo.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local.demo.checks import Arrived, Contact, Step, by_person
from local.demo.session import AFTER_SENDING_AGAIN, BAD_BATCH, MOMENTS, NAMES, SENT_AGAIN, Moment

_TROUBLE: Final = re.compile(r'"level":"(WARNING|ERROR|CRITICAL)"|Error|Traceback|Task timed out')
_LINES_PER_LOG: Final = 5
_NOTHING: Final = "(nothing)"


def show_afternoon(console: Console, start: datetime) -> None:
    table = _table("What the tea shop sends", "time", "who", "call", "remark")
    for moment in MOMENTS:
        table.add_row(_clock(start, moment.at), NAMES[moment.who], escape(moment.title), _remark(moment))
    table.add_section()
    for (moment, _), remark in zip(BAD_BATCH, ("made by hand: it has no name", "in the same batch: it is good"), strict=True):
        table.add_row(_clock(start, moment.at), NAMES[moment.who], escape(moment.title), remark)
    table.add_section()
    table.add_row("", "Maya", f"{len(SENT_AGAIN)} events once more", "the same ids, as a client does that got no answer")
    table.add_row(_clock(start, AFTER_SENDING_AGAIN.at), "Maya", escape(AFTER_SENDING_AGAIN.title), "what has happened since")
    console.print(table)


def show_recorded(console: Console, arrived: Arrived) -> None:
    table = _table(f"What Tributary recorded: {len(arrived.accepted)} accepted, {len(arrived.rejected)} refused", "event", "type", "name", "status", "why")
    for line in sorted([*arrived.accepted, *arrived.rejected], key=lambda line: str(line["message_id"])):
        why = f"[yellow]{escape(line['code'])}[/] at [bold]{escape(line['field'])}[/]: {escape(line['message'])}" if line.get("code") else ""
        status = "[green]accepted[/]" if line["status"] == "accepted" else "[yellow]rejected[/]"
        table.add_row(str(line["message_id"]), str(line["type"]), escape(str(line["name"] or "")), status, why)
    console.print(table)


def show_people(console: Console, contacts: Sequence[Contact]) -> None:
    table = _table("Who is who", "known by", "profile", "groups", "why they are one person")
    for contact in contacts:
        known = "\n".join(f"{kind} [bold]{escape(value)}[/]" for kind, value in sorted(contact.identifiers))
        profile = "\n".join(f"{escape(name)}: {escape(_short(value))}" for name, value in contact.profile.items())
        table.add_row(known, profile, escape("\n".join(contact.groups)), escape("\n".join(contact.why)), end_section=True)
    console.print(table)


def show_kissmetrics(console: Console, arrived: Arrived, start: datetime) -> None:
    """Each person's requests, in the order they came."""
    kinds = {"/e": "event", "/s": "properties", "/a": "alias"}
    table = _table("What Kissmetrics received", "who", "time", "call", "what", "properties")
    lanes, _ = by_person(arrived)
    for who, requests in lanes.items():
        for number, request in enumerate(requests):
            params: Mapping[str, str] = request["params"]
            what = f"{params['_p']} = {params['_n']}" if request["path"] == "/a" else params.get("_n", "")
            own = ", ".join(f"{name}: {_short(value)}" for name, value in params.items() if not name.startswith("_"))
            at = "" if request["at"] is None else _clock(start, request["at"])
            table.add_row(
                NAMES[who] if number == 0 else "", at, kinds.get(request["path"], ""), escape(what), escape(own), end_section=number == len(requests) - 1
            )
    console.print(table)


def show_steps(console: Console, steps: Sequence[Step]) -> None:
    table = _table("Compared with what must have come of it", "", "step", "found")
    for step in steps:
        table.add_row("[green]✔[/]" if step.ok else "[red]✘[/]", escape(step.step), escape(step.found))
    console.print(table)
    for step in steps:
        if not step.ok:
            console.print(f"[red]✘ {escape(step.step)}[/]")
            for expected, got in _differences(step):
                console.print(f"  expected {expected}\n  got      {got}", markup=False, highlight=False)


def show_errors(console: Console, logs: Path) -> None:
    """What the functions had to say when something differs; the logs go with the stack."""
    for log in sorted(logs.glob("*.log")):
        for line in [line for line in log.read_text(errors="replace").splitlines() if _TROUBLE.search(line)][-_LINES_PER_LOG:]:
            console.print(f"{log.stem}: {line}", markup=False, highlight=False)


def write(path: Path, steps: Sequence[Step]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([step.as_json() for step in steps], indent=2, ensure_ascii=False) + "\n")


def _differences(step: Step) -> list[tuple[str, str]]:
    """Of two lists the items that differ, of anything else the whole."""
    if isinstance(step.expected, list) and isinstance(step.got, list):
        pairs = list(zip_longest(step.expected, step.got, fillvalue=_NOTHING))
    else:
        pairs = [(step.expected, step.got)]
    return [(_written(expected), _written(got)) for expected, got in pairs if expected != got]


def _written(value: Any) -> str:
    return value if value is _NOTHING else json.dumps(value, ensure_ascii=False)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _remark(moment: Moment) -> str:
    arguments = moment.arguments
    campaign = arguments.get("context", {}).get("campaign")
    if campaign:
        return f"came from {campaign['source']}, campaign {campaign['name']}"
    if arguments.get("integrations", {}).get("Kissmetrics") is False:
        return "its sender says: not to Kissmetrics"
    match moment.call:
        case "identify" if "personas" in arguments.get("context", {}):
            return "an audience of Segment Engage"
        case "identify":
            return ", ".join(name for name, value in arguments["traits"].items() if value is not None)
        case "alias":
            return f"{arguments['previous_id']} is {arguments['user_id']} from now on"
        case _:
            products = arguments.get("properties", {}).get("products", [])
            return ", ".join(product["name"] for product in products)


def _clock(start: datetime, at: int) -> str:
    return (start + timedelta(seconds=at)).astimezone(UTC).strftime("%H:%M:%S")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"
