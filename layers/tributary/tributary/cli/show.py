"""Tables and lines for a terminal. What came from outside is shown without its control characters, so that no event's name can drive the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tributary.access import state_of
from tributary.cli.config_file import Step
from tributary.operator import Versioned
from tributary.ports import FeedEntry, FeedStatus, Parked
from tributary.settings import Connection, Key, Source, UnreadableConnection

_WIDTH_OF_A_PIPE: Final = 200
_WIDE_ENOUGH_FOR_WHY: Final = 120
_EVENT_COLUMNS: Final = (("received", 19), ("source", 16), ("type", 8), ("name", 28), ("status", 8))
_NARROW_EVENT_COLUMNS: Final = (("received", 19), ("source", 12), ("type", 8), ("name", 28), ("status", 8))
"""79 characters with the spaces between: a terminal of 80 holds them."""
_VERBS: Final = {"create": ("+", "green"), "change": ("~", "yellow"), "remove": ("-", "red"), "keep": ("=", "dim"), "leave": ("·", "dim")}


def console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else _WIDTH_OF_A_PIPE, highlight=False, soft_wrap=False)


def plain(value: object, style: str = "") -> Text:
    """A value as text that is nothing but text."""
    text = "" if value is None else str(value)
    return Text("".join(character if character.isprintable() else "�" for character in text), style=style)


def sources(found: Iterable[Source]) -> Table:
    return table_of(
        ("id", "label", "enabled", "linked to", "created"),
        [(source.id, source.label, _yes(source.enabled), source.linked_connection, _time(source.created_at)) for source in found],
    )


def keys(found: Iterable[Key], now: datetime) -> Table:
    rows = [
        (key.id, key.kind, key.label, key.source or ", ".join(key.scopes), str(state_of(key, now)), _time(key.created_at), _time(key.expires_at))
        for key in found
    ]
    return table_of(("id", "kind", "label", "of source, or scopes", "state", "created", "expires"), rows)


def connections(found: Iterable[Versioned[Connection] | UnreadableConnection]) -> Table:
    return table_of(("id", "type", "label", "mode", "sources", "filter"), [_connection(one) for one in found])


def _connection(found: Versioned[Connection] | UnreadableConnection) -> Sequence[str]:
    if isinstance(found, UnreadableConnection):
        return found.id, "", "", "unreadable: it needs a newer release", "", ""
    one = found.value
    return one.id, one.type, one.label, one.mode if one.enabled else "disabled", ", ".join(one.sources) or "all", _yes(one.filter)


def parked(found: Iterable[Parked]) -> Table:
    rows = [
        (_time(one.parked_at), one.source, one.message_id, one.code, one.reason, str(one.attempts), "" if one.last_status is None else str(one.last_status))
        for one in found
    ]
    return table_of(("parked", "source", "message id", "code", "reason", "attempts", "last status"), rows)


def events(entries: Sequence[FeedEntry], labels: Mapping[str, str], *, width: int, header: bool, bodies: bool = False) -> Iterable[Table | Padding]:
    """`labels`: of the sources, by id. Fixed columns, so that tables one below the other read as one. Where `width` leaves no room beside them for why an event
    was refused, that stands on lines of its own."""
    wide = width >= _WIDE_ENOUGH_FOR_WHY
    beside = ("why" if not bodies else "why, and what was sent") if wide else None
    table = _events_table(beside, header=header)
    for entry in entries:
        refused = entry.status is FeedStatus.REJECTED
        why = plain(f"{entry.code} at {entry.field}: {entry.message}" if refused else entry.code)
        if bodies and entry.body is not None:
            why = Text.assemble(why, "\n" if why else "", plain(entry.body, "dim"))
        cells: list[Text | str] = [
            _time(entry.received_at),
            plain(labels.get(entry.source, entry.source)),
            plain(entry.type),
            plain(entry.name),
            Text(entry.status, style="red" if refused else "green"),
        ]
        table.add_row(*cells, *([why] if wide else []))
        if why and not wide:
            yield table
            yield Padding(why, (0, 0, 0, 4))
            table = _events_table(beside, header=False)
    if table.row_count or not entries:
        yield table


def _events_table(beside: str | None, *, header: bool) -> Table:
    table = Table(box=None, show_header=header, pad_edge=False, collapse_padding=True, header_style="bold", expand=False)
    for name, width in _EVENT_COLUMNS if beside is not None else _NARROW_EVENT_COLUMNS:
        table.add_column(name, width=width, no_wrap=True, overflow="ellipsis")
    if beside is not None:
        table.add_column(beside, overflow="fold")
    return table


def steps(found: Iterable[Step]) -> Iterable[Text]:
    """A plan, a line a step and a line a difference."""
    for step in found:
        sign, style = _VERBS[step.verb]
        words = {"keep": " as it is", "leave": " not in the file, left alone"}.get(step.verb, "")
        yield Text.assemble((f"{sign} {step.verb:<6} ", style), plain(step.what), (words, "dim"))
        for detail in step.details:
            yield Text.assemble("           ", plain(detail, "dim"))


def contact(described: Mapping[str, Any]) -> Iterable[Table | Text]:
    """A contact as `contacts.describe` gives it."""
    yield Text.assemble(("contact ", "bold"), plain(described["id"]), "" if described["settled"] else "   (a merge is still moving rows)")
    yield plain(f"first seen {_brief(described['first_seen'])}, last seen {_brief(described['last_seen'])}")
    yield _titled("identifiers", ("kind", "value", "since"), [(one["kind"], one["value"], _brief(one["since"])) for one in described["identifiers"]])
    if described["visitors"]:
        yield _titled("came by a link", ("kind", "value", "since"), [(one["kind"], one["value"], _brief(one["since"])) for one in described["visitors"]])
    fields = [*described["traits"].items(), *described["custom_fields"].items()]
    if fields:
        yield _titled("profile", ("field", "value"), [(name, _json(value)) for name, value in fields])
    if described["groups"]:
        yield _titled("groups", ("id", "since", "traits"), [(one["id"], _brief(one["first_seen"]), _json(one["traits"])) for one in described["groups"]])
    yield from _purchases(described)
    yield from _journey(described["journey"])
    yield Text("why these are one person", style="bold")
    for number, step in enumerate(described["why"], start=1):
        yield Text.assemble(f"{number:>3}. ", plain(step["sentence"]))


def _purchases(described: Mapping[str, Any]) -> Iterable[Table | Text]:
    """Tags, subscriptions, orders, and what they come to; each if there is any."""
    if described["tags"]:
        rows = [(tag["name"], _yes(tag["applied"]), _brief(tag["since"]), _brief(tag["last_removed"])) for tag in described["tags"]]
        yield _titled("tags", ("name", "applied", "since", "last removed"), rows)
    if described["subscriptions"]:
        yield _titled(
            "subscriptions",
            ("id", "state", "product", "price", "every", "cycle", "next bill", "since"),
            [
                (
                    one["subscription_id"],
                    one["state"] or "",
                    one["sku"] or one["name"] or "",
                    _text(one["price"]),
                    f"{one['interval_days']} days" if one["interval_days"] else "",
                    _json(one["cycle"]) if one["cycle"] else "",
                    one["next_bill_date"] or "",
                    _brief(one["started_at"]),
                )
                for one in described["subscriptions"]
            ],
        )
    if described["orders"]:
        yield _titled(
            "orders",
            ("id", "state", "parcel", "sold", "items", "comes to", "refunded", "voided", "charged back", "net"),
            [
                (
                    order["order_id"],
                    _state(order),
                    order["fulfilment"] or "",
                    _brief(order["sold_at"]),
                    ", ".join(f"{item['quantity']} x {item['sku'] or item['name'] or item['product_id']}" for item in order["items"]),
                    _text(order["comes_to"]["total"]) if order["comes_to"] else "",
                    *(_each(order["money"], name) for name in ("refunded", "voided", "charged_back", "net")),
                )
                for order in described["orders"]
            ],
        )
        yield plain(f"lead since {_brief(described['lead_at'])}, customer since {_brief(described['customer_at'])}, {described['sales']} sales")
    if described["lifetime"]:
        names = ("gross", "discount", "tax", "shipping", "refunded", "charged_back", "voided", "returned", "net")
        rows_of_money = [tuple(_text(balance[name]) for name in names) for balance in described["lifetime"]]
        yield _titled("revenue", tuple(name.replace("_", " ") for name in names), rows_of_money)


def _state(order: Mapping[str, Any]) -> str:
    """Our word, and the source's own where it says more: `completed (REFUNDED)`."""
    state, status = order["state"] or "", order["status"] or ""
    return state if not status or status.lower() in {state, "complete"} else f"{state} ({status})".strip()


def _journey(journey: Mapping[str, Any]) -> Iterable[Table | Text]:
    if not journey["count"]:
        return
    named = [(name.replace("_", " "), journey[name]) for name in ("first_touch", "last_touch", "last_non_direct_touch", "lead_source")]
    yield _titled("attribution", ("", *_TOUCH_COLUMNS), [(name, *_touch(touch)) for name, touch in named])
    bots = f", and {journey['bots']} visits of machines" if journey["bots"] else ""
    title = f"touches, the latest {len(journey['touches'])} of {journey['count']}{bots}"
    yield _titled(title, _TOUCH_COLUMNS, [_touch(touch) for touch in journey["touches"]])


_TOUCH_COLUMNS: Final = ("at", "channel", "source / medium", "campaign", "from", "landing page", "affiliate")


def _touch(touch: Mapping[str, Any]) -> tuple[str, ...]:
    source = " / ".join(touch[name] for name in ("source", "medium") if name in touch)
    came_from = touch.get("referrer_host") or touch.get("click_id_kind", "")
    return (_brief(touch["at"]), touch["channel"], source, touch.get("campaign", ""), came_from, touch.get("landing_page", ""), touch.get("affiliate_id", ""))


def table_of(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Plain cells below bold headings."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        made.add_column(name, overflow="fold")
    for row in rows:
        made.add_row(*(plain(cell) for cell in row))
    return made


def _titled(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = table_of(columns, rows)
    table.title, table.title_justify, table.title_style = title, "left", "bold"
    return table


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _time(moment: datetime | None) -> str:
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S")


def _brief(text: str | None) -> str:
    return "never" if text is None else text[:19].replace("T", " ")


def _text(money: Mapping[str, Any] | None) -> str:
    return "" if money is None else str(money["text"])


def _each(balances: Iterable[Mapping[str, Any]], name: str) -> str:
    return ", ".join(_text(balance[name]) for balance in balances if balance[name]["amount"])


def _json(value: Any) -> str:
    import msgspec  # noqa: PLC0415

    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
