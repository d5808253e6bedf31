"""What reaches the terminal."""

from __future__ import annotations

import io

from rich.console import Console

from tests.kit.builders import NOON
from tributary.cli import show
from tributary.ports import FeedEntry, FeedStatus


def rendered(*parts: object) -> str:
    out = io.StringIO()
    console = Console(file=out, width=200, force_terminal=True, color_system="truecolor", highlight=False)
    for part in parts:
        console.print(part)
    return out.getvalue()


def entry(name: str, **given: object) -> FeedEntry:
    values = {"index": 0, "status": FeedStatus.ACCEPTED, "type": "track", "message_id": "m", **given}
    return FeedEntry(source="src_1", received_at=NOON, name=name, **values)  # type: ignore[arg-type]


def test_an_events_name_cannot_drive_the_terminal() -> None:
    hostile = "\x1b]0;owned\x07\x1b[31mred\r\n[bold]Buy"
    said = rendered(show.events([entry(hostile, body="\x1b[2J")], {}, header=True, bodies=True))
    assert "\x1b]0;" not in said
    assert "\x1b[31mred" not in said
    assert "\x1b[2J" not in said
    assert "[bold]Buy"[:6] in said, "no markup either: it is shown as it is"


def test_a_rejected_event_says_why_and_where() -> None:
    refused = entry("", status=FeedStatus.REJECTED, code="event_not_defined", field="event", message="an event name is needed")
    said = rendered(show.events([refused], {"src_1": "Shop"}, header=True))
    assert "event_not_defined at event: an event name is needed" in said
    assert "Shop" in said


def test_a_contact_is_shown_with_why() -> None:
    described = {
        "id": "c" * 32,
        "first_seen": "2026-03-04T12:00:00+00:00",
        "last_seen": None,
        "settled": False,
        "identifiers": [{"kind": "email", "value": "orla@harbour.example", "since": "2026-03-04T12:00:00+00:00"}],
        "traits": {"firstName": "Orla", "age": 41},
        "custom_fields": {},
        "groups": [{"id": "g-1", "first_seen": "2026-03-04T12:00:00+00:00", "last_seen": None, "traits": {"name": "Harbour"}}],
        "why": [{"sentence": "Email orla@harbour.example was first named by …"}],
    }
    said = rendered(*show.contact(described))
    for words in ("orla@harbour.example", "Orla", "41", "g-1", "  1. Email orla@harbour.example", "never", "a merge is still moving rows"):
        assert words in said
