"""What arrived against what must have: plain data in, steps out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from local.demo.expected import KISSMETRICS, PEOPLE, REASON, Sent
from local.demo.session import AFTER_SENDING_AGAIN, BAD_BATCH, MOMENTS, NAMES, SENT_AGAIN, VISITOR

MOST_TRANSIT: Final = 30
"""Seconds by which an event's time may be later than the sender's: intake takes the time between sending and receiving for an error of the sender's clock."""

GOOD: Final = [moment.id for moment in [*MOMENTS, BAD_BATCH[1][0], AFTER_SENDING_AGAIN]]
"""The `messageId`s that must be recorded."""
REQUESTS: Final = sum(len(sent) for sent in KISSMETRICS.values())


@dataclass(frozen=True)
class Step:
    """One thing that must hold, told to a person."""

    step: str
    expected: Any
    got: Any
    found: str = ""
    """`got` in a few words."""

    @property
    def ok(self) -> bool:
        return bool(self.expected == self.got)

    def as_json(self) -> dict[str, Any]:
        return {"step": self.step, "expected": self.expected, "got": self.got, "ok": self.ok}


@dataclass(frozen=True)
class Contact:
    """A person as Tributary knows them."""

    identifiers: frozenset[tuple[str, str]]
    profile: Mapping[str, Any]
    groups: Sequence[str] = ()
    why: Sequence[str] = ()
    """Why all this is one person, in sentences."""


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """Everything that can be seen at the end."""

    start: int
    """When the afternoon began, in unix seconds."""
    kissmetrics_key: str
    refused: Sequence[str]
    """What the SDK was told went wrong."""
    accepted: Sequence[Mapping[str, Any]]
    """Lines of the list of recent events."""
    rejected: Sequence[Mapping[str, Any]]
    contacts: Sequence[Contact]
    requests: Sequence[Mapping[str, Any]]
    """Kissmetrics' log."""
    kissmetrics: Mapping[str, Any]
    """What Kissmetrics would have stored."""


def check(arrived: Arrived) -> list[Step]:
    lanes, others = by_person(arrived)
    reasons = [{name: line.get(name) for name in REASON} for line in arrived.rejected]
    silent = {name: arrived.kissmetrics[name] for name in ("ignored", "altered")}
    known = sorted(sorted(person["identities"]) for person in arrived.kissmetrics["people"])
    return [
        _calls(arrived),
        _recorded(arrived),
        _sent_again(arrived),
        Step(
            "The event without a name is listed with its reason",
            [dict(REASON)],
            reasons,
            "; ".join(f"{reason['code']} at {reason['field']}" for reason in reasons),
        ),
        *_people(arrived),
        *(
            Step(f"Kissmetrics receives {NAMES[who]}, in order", [_told(sent) for sent in KISSMETRICS[who]], lanes[who], f"{len(lanes[who])} requests")
            for who in KISSMETRICS
        ),
        Step("Kissmetrics receives nothing else", [], others, f"{len(others)} requests"),
        Step(
            "Kissmetrics ignores and alters nothing",
            {"ignored": [], "altered": []},
            silent,
            f"{len(silent['ignored'])} ignored, {len(silent['altered'])} altered",
        ),
        Step(
            "Kissmetrics knows the same people",
            sorted([*(sorted(person.at_kissmetrics) for person in PEOPLE.values()), [VISITOR]]),
            known,
            f"{len(known)} people, the visitor among them",
        ),
    ]


def by_person(arrived: Arrived) -> tuple[dict[str, list[dict[str, Any]]], list[dict[str, Any]]]:
    """Kissmetrics' log by the person whose order it is, told as `expected.py` tells it; and what belongs to nobody."""
    lanes: dict[str, list[dict[str, Any]]] = {who: [] for who in KISSMETRICS}
    others: list[dict[str, Any]] = []
    shifts: dict[str, int] = {}
    for request in arrived.requests:
        params = _params(request)
        who = _lane(str(request["path"]), params)
        if who is None:
            others.append({"path": request["path"], "params": params})
            continue
        lane = lanes[who]
        due = KISSMETRICS[who][len(lane)] if len(lane) < len(KISSMETRICS[who]) else None
        lane.append({"path": request["path"], "at": _at(params, due, arrived.start, shifts), "params": _own(params, arrived.kissmetrics_key, request["path"])})
    return lanes, others


def _calls(arrived: Arrived) -> Step:
    calls = len(MOMENTS) + len(SENT_AGAIN) + 1
    taken = calls - len(arrived.refused)
    got = {"calls": taken, "refused": list(arrived.refused)}
    return Step("The Segment SDK's calls are all taken", {"calls": calls, "refused": []}, got, f"{taken} calls taken, {len(arrived.refused)} refused")


def _recorded(arrived: Arrived) -> Step:
    counts = Counter(str(line["message_id"]) for line in arrived.accepted)
    twice = [event for event, count in counts.items() if count > 1]
    got = {
        "recorded": len(counts),
        "missing": [event for event in GOOD if event not in counts],
        "twice": twice,
        "not expected": [event for event in counts if event not in GOOD],
    }
    expected = {"recorded": len(GOOD), "missing": [], "twice": [], "not expected": []}
    return Step("Every event is recorded, once", expected, got, f"{len(counts)} events, {len(twice)} of them twice")


def _sent_again(arrived: Arrived) -> Step:
    again = {moment.id for moment in SENT_AGAIN}
    listed = Counter(str(line["message_id"]) for line in [*arrived.accepted, *arrived.rejected])
    requests = Counter((request["path"], tuple(sorted(_params(request).items()))) for request in arrived.requests)
    twice = [event for event in sorted(again) if listed[event] > 1]
    doubled = [f"{path} {dict(params)}" for (path, params), count in requests.items() if count > 1]
    return Step(
        f"A batch of {len(SENT_AGAIN)} events that is sent again changes nothing",
        {"recorded twice": [], "sent on twice": []},
        {"recorded twice": twice, "sent on twice": doubled},
        f"{len(twice)} recorded twice, {len(doubled)} sent on twice",
    )


def _people(arrived: Arrived) -> list[Step]:
    steps = []
    for user, person in PEOPLE.items():
        found = [contact for contact in arrived.contacts if ("user", user) in contact.identifiers]
        got = [_shown(contact.identifiers, {name: contact.profile.get(name) for name in person.profile}) for contact in found]
        by = ", ".join(sorted({kind for contact in found for kind, _ in contact.identifiers}))
        steps.append(Step(f"{NAMES[user]} is one person", [_shown(person.identifiers, person.profile)], got, f"known by {by or 'nothing'}"))
    known = sum(contact.identifiers >= {("anonymous", VISITOR)} for contact in arrived.contacts)
    steps.append(Step("The visitor who never said who they are is nobody's contact", 0, known, f"{known} contacts"))
    return steps


def _shown(identifiers: frozenset[tuple[str, str]], profile: Mapping[str, object]) -> dict[str, Any]:
    return {"identifiers": sorted(f"{kind} {value}" for kind, value in identifiers), "profile": dict(profile)}


def _told(sent: Sent) -> dict[str, Any]:
    return {"path": sent.path, "at": sent.at, "params": dict(sent.params)}


def _params(request: Mapping[str, Any]) -> dict[str, str]:
    query = {name: values[-1] for name, values in request["query"].items()}
    return {**query, **dict(parse_qsl(request.get("body", ""), keep_blank_values=True))}


def _lane(path: str, params: Mapping[str, str]) -> str | None:
    if path != "/a":
        person = params.get("_p", "")
        return person if person in KISSMETRICS else None
    for who, requests in KISSMETRICS.items():
        if any(sent.path == "/a" and (sent.params["_p"], sent.params["_n"]) == (params.get("_p"), params.get("_n")) for sent in requests):
            return who
    return None


def _at(params: Mapping[str, str], due: Sent | None, start: int, shifts: dict[str, int]) -> int | None:
    """Seconds into the afternoon, less the transit, which is one for all requests of an event."""
    if "_t" not in params:
        return None
    at = int(params["_t"]) - start
    if due is None or due.at is None:
        return at
    shift = at - due.at
    return due.at if 0 <= shift <= MOST_TRANSIT and shifts.setdefault(due.event, shift) == shift else at


def _own(params: Mapping[str, str], key: str, path: object) -> dict[str, str]:
    """Without what every request carries, where it carries it rightly."""
    always = {"_k": key} if path == "/a" else {"_k": key, "_d": "1"}
    wrong = {name: params.get(name, "missing") for name, value in always.items() if params.get(name) != value}
    return {name: value for name, value in params.items() if name not in ("_t", *always)} | wrong
