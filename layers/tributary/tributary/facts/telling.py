"""Telling facts: what was recorded, and what changed in CONTACTS, to the facts queue. All of it is safe to repeat: the same rows again change nothing."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tributary.errors import UnreadableMessage
from tributary.events import Event
from tributary.facts import of_contacts, of_events
from tributary.facts.of_contacts import Change, Image, Settings
from tributary.facts.tables import Fact, Kind
from tributary.generations import generation_of, prefix_of
from tributary.identity.digests import Digests
from tributary.identity.rules import IdentityRules
from tributary.ports import FactSink, RowKey
from tributary.stream import Form

LEFT_OUT: Final = "left_out_"
"""Before the reason, in the counts."""


class Telling:
    """`settings`: what the account says now."""

    def __init__(self, *, facts: FactSink, digests: Digests, settings: Callable[[], Settings] = Settings, rules: IdentityRules | None = None) -> None:
        self._facts = facts
        self._digests = digests
        self._settings = settings
        self._rules = rules or IdentityRules()

    def events(self, events: Sequence[Event]) -> Counter[str]:
        """Counts the rows of each kind as `facts_<kind>`, and values that were left out. Raises `StoreUnavailable`: then some may have been told."""
        found = of_events.facts_of(events, self._rules, self._digests)
        return self._tell(found.rows, found.left_out)

    def changes(self, changes: Sequence[Change]) -> Counter[str]:
        """As `events`. Raises `UnreadableMessage` where a row cannot be read."""
        found = of_contacts.facts_of(changes, self._settings(), self._digests)
        return self._tell(found.rows, found.left_out)

    def _tell(self, rows: Mapping[Kind, Sequence[Fact]], left_out: Counter[str]) -> Counter[str]:
        self._facts.append(rows)
        told = {f"facts_{kind}": len(facts) for kind, facts in rows.items()}
        return Counter({**told, **{LEFT_OUT + reason: count for reason, count in left_out.items()}})


def by_generation(changes: Sequence[Change]) -> dict[int, list[Change]]:
    """The changes of each generation of CONTACTS, their keys as if it were the only one."""
    found: dict[int, list[Change]] = {}
    for change in changes:
        generation = generation_of(change.key.partition)
        key = change.key._replace(partition=change.key.partition.removeprefix(prefix_of(generation)))
        found.setdefault(generation, []).append(replace(change, key=key))
    return found


def changes_of_stream(records: Sequence[Mapping[str, Any]]) -> tuple[list[Change], list[str]]:
    """The changes of a batch of CONTACTS' stream, with both images, and the keys of records that hold none."""
    found: list[Change] = []
    unreadable: list[str] = []
    for record in records:
        change = record["dynamodb"]
        key = RowKey(change["Keys"]["pk"]["S"], change["Keys"]["sk"]["S"])
        try:
            old, new = _image(change.get("OldImage")), _image(change.get("NewImage"))
        except UnreadableMessage:
            unreadable.append("|".join(key))
            continue
        if old is not None or new is not None:
            found.append(Change(key=key, old=old, new=new))
    return found, unreadable


def _image(image: Mapping[str, Any] | None) -> Image | None:
    if not image:
        return None
    try:
        return Image(int(image["v"]["N"]), base64.b64decode(image["d"]["B"], validate=True))
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise UnreadableMessage(f"a record of the stream of CONTACTS has no row: {type(error).__name__}") from error


CONTACTS: Final = Form[Change](changes_of_stream, lambda change: "|".join(change.key), lambda _: b"")
"""Of what is set aside no copy is kept: the row stands in CONTACTS."""
