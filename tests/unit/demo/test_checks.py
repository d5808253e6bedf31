"""The demo's comparison: it agrees with what was written down by hand, and notices whatever differs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from local.demo import report
from local.demo.checks import GOOD, MOST_TRANSIT, Arrived, Contact, Step, check
from local.demo.expected import KISSMETRICS, PEOPLE
from local.demo.session import AFTER_SENDING_AGAIN, INES, MAYA, MAYA_BEFORE, MOMENTS, TOM
from tributary import events
from tributary.destinations.kissmetrics import DESTINATION

START = datetime(2026, 3, 4, 14, 0, tzinfo=UTC)
SECOND = int(START.timestamp())
EVENTS = {
    "identify": events.Identify, "track": events.Track, "page": events.Page, "screen": events.Screen, "group": events.Group, "alias": events.Alias,
}  # fmt: skip


def request(path: str, at: int | None, params: dict[str, str], key: str = "key") -> dict[str, Any]:
    always = {"_k": key} if at is None else {"_k": key, "_d": "1", "_t": str(SECOND + at)}
    return {"path": path, "query": {name: [value] for name, value in {**always, **params}.items()}, "body": ""}


def perfect(*, transit: int = 0) -> Arrived:
    requests = [request(sent.path, None if sent.at is None else sent.at + transit, dict(sent.params)) for sents in KISSMETRICS.values() for sent in sents]
    return Arrived(
        start=SECOND,
        kissmetrics_key="key",
        refused=[],
        accepted=[{"message_id": event, "status": "accepted", "type": "track", "name": "x", "code": None} for event in GOOD],
        rejected=[
            {
                "message_id": "afternoon-26",
                "status": "rejected",
                "type": "track",
                "name": None,
                "code": "event_not_defined",
                "field": "event",
                "message": "no name",
            }
        ],
        contacts=[Contact(identifiers=person.identifiers, profile={**person.profile, "more": 1}) for person in PEOPLE.values()],
        requests=requests,
        kissmetrics={
            "people": [{"identities": list(person.at_kissmetrics)} for person in PEOPLE.values()] + [{"identities": ["visitor-9c41"]}],
            "ignored": [],
            "altered": [],
        },
    )


def failed(arrived: Arrived) -> list[str]:
    return [step.step for step in check(arrived) if not step.ok]


@pytest.mark.parametrize("transit", [0, 1, MOST_TRANSIT])
def test_what_was_written_down_passes_whatever_the_transit_took(transit: int) -> None:
    assert failed(perfect(transit=transit)) == []


def without_maya(arrived: Arrived) -> Arrived:
    return replace(arrived, contacts=arrived.contacts[1:])


def with_tom_in_two(arrived: Arrived) -> Arrived:
    tom = PEOPLE[TOM]
    halves = [tom.identifiers - {("email", "tom@okafor.example")}, frozenset({("email", "tom@okafor.example")})]
    return replace(arrived, contacts=[arrived.contacts[0], *(Contact(half, tom.profile) for half in halves), arrived.contacts[2]])


def with_another_profile(arrived: Arrived) -> Arrived:
    return replace(arrived, contacts=[*arrived.contacts[:2], replace(arrived.contacts[2], profile={**arrived.contacts[2].profile, "name": "Ines"})])


def with_the_visitor(arrived: Arrived) -> Arrived:
    return replace(arrived, contacts=[*arrived.contacts, Contact(frozenset({("anonymous", "visitor-9c41")}), {})])


def with_requests(change: Callable[[list[dict[str, Any]]], object]) -> Callable[[Arrived], Arrived]:
    def changed(arrived: Arrived) -> Arrived:
        requests = [json.loads(json.dumps(one)) for one in arrived.requests]
        change(requests)
        return replace(arrived, requests=requests)

    return changed


def swap(requests: list[dict[str, Any]]) -> None:
    requests[0], requests[1] = requests[1], requests[0]


def of(who: str, number: int) -> int:
    """The place in the log of somebody's request."""
    return [sent for sents in KISSMETRICS.values() for sent in sents].index(KISSMETRICS[who][number])


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        (lambda it: replace(it, refused=["500"]), ["The Segment SDK's calls are all taken"]),
        (lambda it: replace(it, accepted=it.accepted[1:]), ["Every event is recorded, once"]),
        (lambda it: replace(it, accepted=[*it.accepted, {"message_id": "strange"}]), ["Every event is recorded, once"]),
        (
            lambda it: replace(it, accepted=[*it.accepted, it.accepted[0]]),
            ["Every event is recorded, once", "A batch of 7 events that is sent again changes nothing"],
        ),
        (lambda it: replace(it, rejected=[]), ["The event without a name is listed with its reason"]),
        (lambda it: replace(it, rejected=[{**it.rejected[0], "field": "name"}]), ["The event without a name is listed with its reason"]),
        (without_maya, ["Maya is one person"]),
        (with_tom_in_two, ["Tom is one person"]),
        (with_another_profile, ["Inès is one person"]),
        (with_the_visitor, ["The visitor who never said who they are is nobody's contact"]),
        (with_requests(lambda log: log.pop(0)), ["Kissmetrics receives Maya, before she signs in, in order"]),
        (with_requests(swap), ["Kissmetrics receives Maya, before she signs in, in order"]),
        (
            with_requests(lambda log: log.append(log[of(INES, 7)])),
            ["A batch of 7 events that is sent again changes nothing", "Kissmetrics receives Inès, in order"],
        ),
        (with_requests(lambda log: log[0]["query"].update(_k=["other"])), ["Kissmetrics receives Maya, before she signs in, in order"]),
        (with_requests(lambda log: log[0]["query"].pop("_d")), ["Kissmetrics receives Maya, before she signs in, in order"]),
        (with_requests(lambda log: log[0]["query"].update(more=["1"])), ["Kissmetrics receives Maya, before she signs in, in order"]),
        (with_requests(lambda log: log[0]["query"].update(_t=[str(SECOND - 1)])), ["Kissmetrics receives Maya, before she signs in, in order"]),
        (with_requests(lambda log: log[0]["query"].update(_t=[str(SECOND + MOST_TRANSIT + 1)])), ["Kissmetrics receives Maya, before she signs in, in order"]),
        # The products of an order must keep their second apart, whatever the transit took.
        (with_requests(lambda log: log[of(MAYA, 4)]["query"].update(_t=[str(SECOND + 242)])), ["Kissmetrics receives Maya, in order"]),
        (with_requests(lambda log: log.append(request("/e", 0, {"_p": "somebody", "_n": "x"}))), ["Kissmetrics receives nothing else"]),
        (with_requests(lambda log: log.append(request("/a", None, {"_p": MAYA, "_n": TOM}))), ["Kissmetrics receives nothing else"]),
        (lambda it: replace(it, kissmetrics={**it.kissmetrics, "ignored": [{"code": "x"}]}), ["Kissmetrics ignores and alters nothing"]),
        (lambda it: replace(it, kissmetrics={**it.kissmetrics, "altered": [{"code": "x"}]}), ["Kissmetrics ignores and alters nothing"]),
        (lambda it: replace(it, kissmetrics={**it.kissmetrics, "people": it.kissmetrics["people"][1:]}), ["Kissmetrics knows the same people"]),
    ],
)
def test_whatever_differs_fails_its_step_and_no_other(change: Callable[[Arrived], Arrived], steps: list[str]) -> None:
    assert failed(change(perfect())) == steps


def test_a_form_is_read_like_a_query() -> None:
    def post(log: list[dict[str, Any]]) -> None:
        log[0] = {"path": "/e", "query": {}, "body": "&".join(f"{name}={values[0]}" for name, values in log[0]["query"].items()).replace("?", "%3F", 1)}
        log[0]["body"] = log[0]["body"].replace("utm_source=facebook&utm_campaign", "utm_source%3Dfacebook%26utm_campaign").replace(";", "%3B")

    assert failed(with_requests(post)(perfect())) == []


def test_what_was_written_down_is_what_the_destination_builds() -> None:
    """Both were derived from the vendors' documents on their own: here a change of one shows before a stack runs."""
    for who, sents in KISSMETRICS.items():
        built: list[tuple[str, str, int | None, dict[str, str]]] = []
        for moment in [*MOMENTS, AFTER_SENDING_AGAIN]:
            if moment.who == who and moment.arguments.get("integrations", {}).get("Kissmetrics") is not False:
                arguments: dict[str, Any] = dict(moment.arguments)
                at = START + timedelta(seconds=moment.at)
                event = EVENTS[moment.call](source="src_1", message_id=moment.id, timestamp=at, received_at=START + timedelta(hours=1), **arguments)
                for one in DESTINATION.build(event, {"apiKey": "key"}):
                    params = dict(one.query)
                    moment_at = int(params["_t"]) - SECOND if "_t" in params else None
                    built.append((moment.id, one.url[-2:], moment_at, {name: value for name, value in params.items() if name not in ("_k", "_t", "_d")}))
        by_sdk = [sent for sent in sents if sent.event != "afternoon-27"]
        assert built == [(sent.event, sent.path, sent.at, dict(sent.params)) for sent in by_sdk]


def test_the_report_shows_every_step_and_what_differs(tmp_path: Path) -> None:
    console = Console(record=True, width=400, file=(tmp_path / "screen").open("w"))
    arrived = replace(perfect(), rejected=[])
    report.show_afternoon(console, START)
    report.show_recorded(console, perfect())
    report.show_people(console, arrived.contacts)
    report.show_kissmetrics(console, arrived, START)
    steps = check(arrived)
    report.show_steps(console, steps)
    console.file.close()
    text = console.export_text()
    for step in steps:
        assert step.step in text
    assert "event_not_defined at event" in text
    assert "Order Completed - sku: POT-GL" in text
    assert MAYA_BEFORE in text
    assert text.count("✘") == 2  # in the table, and with what was expected


def test_of_two_lists_only_what_differs_is_shown(tmp_path: Path) -> None:
    console = Console(record=True, width=400, file=(tmp_path / "screen").open("w"))
    report.show_steps(console, [Step("letters", ["a", "b", "c"], ["a", "x"])])
    console.file.close()
    assert console.export_text().splitlines()[-4:] == ['  expected "b"', '  got      "x"', '  expected "c"', "  got      (nothing)"]


def test_where_something_differs_the_functions_errors_are_shown(tmp_path: Path) -> None:
    (tmp_path / "record.log").write_text('{"level":"INFO","message":"fine"}\n{"level":"ERROR","message":"no"}\n')
    console = Console(record=True, width=400, file=(tmp_path / "screen").open("w"))
    report.show_errors(console, tmp_path)
    console.file.close()
    assert console.export_text() == 'record: {"level":"ERROR","message":"no"}\n'


def test_the_file_holds_every_step(tmp_path: Path) -> None:
    report.write(tmp_path / "new" / "demo.json", [Step("one", 1, 1), Step("two", [1], [2])])
    assert json.loads((tmp_path / "new" / "demo.json").read_text()) == [
        {"step": "one", "expected": 1, "got": 1, "ok": True},
        {"step": "two", "expected": [1], "got": [2], "ok": False},
    ]
