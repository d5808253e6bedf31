"""Why are these one person? The answer from what resolve kept: which event named which identifiers together, what merged, what was refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tributary.contacts.reading import Contact
from tributary.contacts.rows import EventRef
from tributary.contacts.versions import as_time
from tributary.identity.identifiers import Identifier

Reason = Literal["created", "named_together", "merged", "visited", "refused"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of how a contact came to be."""

    reason: Reason
    at: datetime
    """When the event happened that caused it; it may have arrived later."""
    event: EventRef
    identifiers: tuple[Identifier, ...]
    """The new one first, then the one it came by."""
    sentence: str


def explain(contact: Contact) -> list[Step]:
    """Every step, by the time of its event. Following `named_together` and `merged` from any identifier leads to every other one, `visited` to its visitors."""
    steps: list[Step] = []
    for member in contact.members:
        if member.beside is None:
            steps.append(_step("created", member.by, (member.identifier,), f"{_a(member.identifier)} was first named by {_event(member.by)}."))
        else:
            sentence = f"{_a(member.identifier)} was named together with {_a(member.beside)} by {_event(member.by)}."
            steps.append(_step("named_together", member.by, (member.identifier, member.beside), sentence))
    for merge in contact.merges:
        mine, theirs = merge.between
        sizes = f"a contact of {merge.sizes[1]} was merged into one of {merge.sizes[0]}"
        steps.append(_step("merged", merge.by, (theirs, mine), f"{_a(theirs)} was named together with {_a(mine)} by {_event(merge.by)}: {sizes}."))
    for visitor in contact.visitors:
        assert visitor.beside is not None
        sentence = f"{_a(visitor.identifier)} came by a link that names {_a(visitor.beside)}, by {_event(visitor.by)}."
        steps.append(_step("visited", visitor.by, (visitor.identifier, visitor.beside), sentence))
    for link in contact.refused:
        refused = Identifier(link.kind, link.value)
        sentence = f"{_a(refused)} was named by {_event(link.by)}, but not taken in: {_limit(link.limit, link.allowed)}."
        steps.append(_step("refused", link.by, (refused,), sentence))
    return sorted(steps, key=lambda step: (step.at, _ORDER.index(step.reason), step.sentence))


_ORDER: tuple[Reason, ...] = ("created", "named_together", "merged", "visited", "refused")


def _step(reason: Reason, by: EventRef, identifiers: tuple[Identifier, ...], sentence: str) -> Step:
    return Step(reason=reason, at=as_time(by.at), event=by, identifiers=identifiers, sentence=sentence[0].upper() + sentence[1:])


def _a(identifier: Identifier) -> str:
    return f"{identifier.kind} {identifier.value}"


def _event(by: EventRef) -> str:
    return f"the {by.type} {by.message_id} of {by.source} at {as_time(by.at).isoformat(timespec='seconds').replace('+00:00', 'Z')}"


def _limit(limit: str, allowed: int) -> str:
    match limit:
        case "weak":
            return "it belongs to somebody else, and a passed-on link merges nobody"
        case "total":
            return f"a contact has at most {allowed} identifiers"
        case "merges":
            return f"a contact has at most {allowed} merges"
        case kind:
            return f"a contact has at most {allowed} of the kind {kind}"
