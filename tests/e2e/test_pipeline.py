"""One event's whole way through the deployed template, and what disturbs it: callers who get it wrong, batches that come twice, a vendor that fails."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.kit.deployed import SETTLING_SECONDS, Deployed, RunningStack, taken, unique, until

pytestmark = pytest.mark.e2e


@pytest.fixture
def deployed(stack: RunningStack) -> Iterator[Deployed]:
    with Deployed(stack) as deployed:
        yield deployed
        # A step that no request has used would meet the next test.
        assert deployed.kissmetrics.script_left() == []


def track(user: str, event: str, **rest: Any) -> dict[str, Any]:
    return {"type": "track", "userId": user, "event": event, "messageId": unique("track"), **rest}


def ids(*events: dict[str, Any]) -> list[str]:
    return [event["messageId"] for event in events]


# ---------------------------------------------------------------------- callers


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code; every SDK needs these keys in every refusal."""
    body = answer.json()
    assert body["success"] is False
    assert body["message"]
    return answer.status_code, body["code"]


def test_an_unknown_write_key_is_401_with_what_sdks_read(deployed: Deployed) -> None:
    answer = deployed.client.post("/v1/track", json={"userId": "u", "event": "x"}, auth=("wk_" + "x" * 29, ""))
    status, code = refusal(answer)
    assert status == 401
    assert code


def test_a_missing_write_key_is_400(deployed: Deployed) -> None:
    assert refusal(deployed.client.post("/v1/track", json={"userId": "u", "event": "x"}))[0] == 400


def test_a_key_in_the_body_alone_is_enough_and_one_that_differs_from_the_header_is_401(deployed: Deployed) -> None:
    user = unique("user")
    answer = deployed.client.post("/v1/track", json={"writeKey": deployed.stack.write_key, **track(user, "Docked")})
    assert taken(answer), answer.text
    conflict = deployed.post("track", {"writeKey": "wk_" + "x" * 29, **track(user, "Undocked")})
    assert refusal(conflict)[0] == 401
    deployed.kissmetrics.until([user], 1)
    assert deployed.kissmetrics.names(user) == ["Docked"]


def test_a_body_that_is_not_json_is_400(deployed: Deployed) -> None:
    answer = deployed.client.post("/v1/track", content=b"{not json", auth=(deployed.stack.write_key, ""))
    assert refusal(answer)[0] == 400


def test_a_browser_may_ask_first_and_then_post_text_with_credentials(deployed: Deployed) -> None:
    page = {"origin": "https://shop.example"}
    preflight = deployed.client.options(
        "/v1/t",
        headers={**page, "access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type,x-retry-count"},
    )
    assert preflight.status_code in (200, 204)
    assert preflight.headers["access-control-allow-origin"] in ("*", page["origin"])
    allowed = {name.strip().lower() for name in preflight.headers["access-control-allow-headers"].split(",")}
    assert allowed >= {"authorization", "content-type", "x-retry-count"}
    assert "POST" in preflight.headers["access-control-allow-methods"]
    visitor = unique("visitor")
    event = {"anonymousId": visitor, "event": "Docked", "messageId": unique("track"), "writeKey": deployed.stack.write_key}
    answer = deployed.client.post("/v1/t", content=json.dumps(event), headers={**page, "content-type": "text/plain"}, auth=(deployed.stack.write_key, ""))
    assert taken(answer), answer.text
    assert answer.headers["access-control-allow-origin"] in ("*", page["origin"])
    deployed.kissmetrics.until([visitor], 1)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_method_is_refused_by_us_and_not_by_the_gateway(deployed: Deployed, method: str) -> None:
    answer = deployed.client.request(method, "/v1/track", headers={"origin": "https://tea.example"})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["access-control-allow-origin"] == "https://tea.example"


def test_a_pixel_in_an_email_counts_and_is_a_picture_even_when_it_is_wrong(deployed: Deployed) -> None:
    user = unique("user")
    event = {"writeKey": deployed.stack.write_key, "userId": user, "event": "Email Opened", "properties": {"letter": "april"}}
    data = base64.b64encode(json.dumps(event).encode()).decode()
    for query in ({"data": data}, {"data": "nothing"}, {}):
        answer = deployed.client.get("/v1/pixel/track", params=query)
        assert (answer.status_code, answer.headers["content-type"], answer.content[:3]) == (200, "image/gif", b"GIF")
    [request] = deployed.kissmetrics.until([user], 1)
    assert request["params"]["Email Opened - letter"] == "april"


def test_an_event_over_32_kb_is_refused_as_a_call_and_within_a_batch_alone(deployed: Deployed) -> None:
    user = unique("user")
    large, good = track(user, "Large", properties={"note": "x" * 33_000}), track(user, "Good")
    assert refusal(deployed.post("track", large))[0] == 400
    deployed.batch(track(user, "Large", properties={"note": "x" * 33_000}), good)
    deployed.kissmetrics.until([user], 1)
    assert deployed.kissmetrics.names(user) == ["Good"]


def test_it_says_that_it_is_alive(deployed: Deployed) -> None:
    answer = deployed.client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json()["version"]


# ---------------------------------------------------------------------- once


def test_a_bad_event_of_a_batch_is_listed_with_its_reason_and_its_neighbours_go_on(deployed: Deployed) -> None:
    user = unique("user")
    first, nameless, last = track(user, "First"), track(user, ""), track(user, "Last")
    deployed.batch(first, nameless, last)
    lines = {line["message_id"]: line for line in deployed.until_listed(ids(first, nameless, last))}
    assert {event["event"]: lines[event["messageId"]]["status"] for event in (first, nameless, last)} == {
        "First": "accepted",
        "": "rejected",
        "Last": "accepted",
    }
    assert (lines[nameless["messageId"]]["code"], lines[nameless["messageId"]]["field"]) == ("event_not_defined", "event")
    deployed.kissmetrics.until([user], 2)
    assert deployed.kissmetrics.names(user) == ["First", "Last"]


def test_a_batch_that_eight_callers_send_at_once_counts_once(deployed: Deployed) -> None:
    user = unique("user")
    batch = [track(user, f"Step {number}", timestamp="2026-03-04T05:06:07Z") for number in range(5)]
    last = track(user, "Last")
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: deployed.post("batch", {"batch": batch}).status_code, range(8)))
    assert answers == [200] * 8
    deployed.batch(last)
    deployed.kissmetrics.until([user], 6)
    assert sorted(deployed.kissmetrics.names(user)) == sorted(["Last", *(f"Step {number}" for number in range(5))])
    lines = deployed.until_listed(ids(*batch, last))
    assert len(lines) == 6


def test_an_id_that_is_used_again_for_something_else_is_listed_and_the_first_stays(deployed: Deployed) -> None:
    user = unique("user")
    first = track(user, "First")
    deployed.batch(first)
    deployed.kissmetrics.until([user], 1)
    deployed.batch({**first, "event": "Other"})
    lines = until(lambda: deployed.events(ids(first)), lambda lines: len(lines) == 2)
    assert sorted((line["status"], line["code"]) for line in lines) == [("accepted", None), ("rejected", "message_id_reused")]
    time.sleep(SETTLING_SECONDS)
    assert deployed.kissmetrics.names(user) == ["First"]


def test_an_event_that_is_not_for_kissmetrics_is_recorded_and_not_sent(deployed: Deployed) -> None:
    user = unique("user")
    events = [
        track(user, "Not for it", integrations={"KISSmetrics": False}),
        track(user, "For nobody", integrations={"All": False}),
        track(user, "For it alone", integrations={"All": False, "Kissmetrics": True}),
    ]
    deployed.batch(*events)
    deployed.until_listed(ids(*events))
    deployed.kissmetrics.until([user], 1)
    assert deployed.kissmetrics.names(user) == ["For it alone"]


# ---------------------------------------------------------------------- a vendor that fails


def seconds_between(one: dict[str, Any], other: dict[str, Any]) -> float:
    return (datetime.fromisoformat(other["at"]) - datetime.fromisoformat(one["at"])).total_seconds()


def test_a_vendor_that_fails_twice_gets_everything_once_and_in_order(deployed: Deployed) -> None:
    user = unique("user")
    deployed.kissmetrics.script({"status": 500}, {"status": 500}, {"status": 200})
    deployed.batch(*(track(user, f"Step {number}") for number in range(4)))
    deployed.kissmetrics.until([user], 4)
    assert [(request["params"]["_n"], request["status"]) for request in deployed.kissmetrics.log(user)] == [
        ("Step 0", 500),
        ("Step 0", 500),
        ("Step 0", 200),
        ("Step 1", 200),
        ("Step 2", 200),
        ("Step 3", 200),
    ]


def test_an_answer_that_gets_lost_is_made_good_by_the_same_request_which_kissmetrics_keeps_once(deployed: Deployed) -> None:
    user = unique("user")
    deployed.kissmetrics.script({"drop": "after_apply"})
    deployed.batch(track(user, "First", properties={"pier": "C"}), track(user, "Second"))
    deployed.kissmetrics.until([user], 3)
    first, again, second = deployed.kissmetrics.log(user)
    assert [first["status"], again["status"], second["status"]] == [None, 200, 200]
    assert (first["method"], first["query"], first["body"]) == (again["method"], again["query"], again["body"])
    person = deployed.kissmetrics.person(user)
    assert person is not None
    assert sorted(event["name"] for event in person["events"]) == ["First", "Second"]


def test_a_connection_dropped_before_the_vendor_took_anything_loses_nothing(deployed: Deployed) -> None:
    user = unique("user")
    deployed.kissmetrics.script({"drop": "before"})
    deployed.batch(track(user, "First"), track(user, "Second"))
    deployed.kissmetrics.until([user], 2)
    assert deployed.kissmetrics.names(user) == ["First", "Second"]


@pytest.mark.slow  # an answer is waited for 10 s
def test_an_answer_of_29_seconds_is_not_waited_for_and_what_it_answers_is_kept_once(deployed: Deployed) -> None:
    user = unique("user")
    deployed.kissmetrics.script({"delay_s": 29})
    deployed.batch(track(user, "First"), track(user, "Second"))
    slow, again, second = deployed.kissmetrics.until([user], 3)
    assert slow["query"] == again["query"]
    assert 9 <= seconds_between(slow, again) < 29
    person = deployed.kissmetrics.person(user)
    assert person is not None
    assert sorted(event["name"] for event in person["events"]) == ["First", "Second"]
    assert second["params"]["_n"] == "Second"


def test_a_vendor_that_asks_to_be_left_alone_is_asked_again_later(deployed: Deployed) -> None:
    user = unique("user")
    deployed.kissmetrics.script({"status": 429, "headers": {"retry-after": "1"}, "body": "slow down"})
    deployed.batch(track(user, "First"), track(user, "Second"))
    deployed.kissmetrics.until([user], 2)
    assert [request["status"] for request in deployed.kissmetrics.log(user)] == [429, 200, 200]
    assert deployed.kissmetrics.names(user) == ["First", "Second"]


def test_an_order_whose_last_product_failed_is_sent_whole_again_and_kissmetrics_keeps_it_once(deployed: Deployed) -> None:
    user = unique("user")
    deployed.kissmetrics.script({"match": {"path": "/s"}, "status": 503})
    deployed.batch(track(user, "Order Completed", properties={"order_id": unique("order"), "revenue": 30, "products": [{"sku": "A"}, {"sku": "B"}]}))
    until(lambda: deployed.kissmetrics.person(user), lambda person: person is not None and person["properties"].get("Order Completed - sku") == "B")
    time.sleep(SETTLING_SECONDS)
    person = deployed.kissmetrics.person(user)
    assert person is not None
    assert [event["name"] for event in person["events"]] == ["Order Completed"]
    assert deployed.kissmetrics.silently_ignored(user) == []


def test_one_persons_trouble_delays_nobody_else(deployed: Deployed) -> None:
    troubled, others = unique("troubled"), unique("others")
    deployed.kissmetrics.script(*[{"match": {"path": "/a"}, "status": 500}] * 3)
    deployed.batch({"type": "alias", "previousId": troubled, "userId": f"new-{troubled}", "messageId": unique("alias")})
    until(lambda: deployed.kissmetrics.log(troubled), lambda log: len(log) >= 1)
    deployed.batch(*(track(others, f"Step {number}") for number in range(3)))
    deployed.kissmetrics.until([others], 3)
    deployed.kissmetrics.until([troubled], 1)
    done = deployed.kissmetrics.applied(troubled, others)
    assert [request["params"]["_p"] for request in done] == [others, others, others, troubled]


def test_what_kissmetrics_would_ignore_in_silence_is_parked_with_its_reason_and_holds_up_nobody(deployed: Deployed) -> None:
    user, long = unique("user"), "x" * 256
    alias = {"type": "alias", "previousId": user, "userId": long, "messageId": unique("alias")}
    deployed.batch(alias, track(user, "Docked"))
    deployed.kissmetrics.until([user], 1)
    assert deployed.kissmetrics.names(user) == ["Docked"]
    assert deployed.kissmetrics.silently_ignored(user, long) == []
    path = f"/api/connections/{deployed.stack.connections['kissmetrics']}/parked"
    parked = until(lambda: [one for one in deployed.api("GET", path).json()["data"] if one["message_id"] == alias["messageId"]], bool)
    assert [(one["code"], one["attempts"]) for one in parked] == [("invalid_for_vendor", 0)]


# ---------------------------------------------------------------------- modes


@pytest.mark.slow  # a new setting takes up to 30 s to act, and this waits for two
def test_a_shadow_connection_keeps_what_it_would_have_sent_and_a_paused_one_what_it_will_send(deployed: Deployed) -> None:
    made = deployed.api("POST", "/api/sources", json={"label": unique("source")}).json()
    source, write_key = made["source"]["id"], made["write_key"]
    connections = {}
    for mode in ("shadow", "paused"):
        settings = {"apiKey": f"{mode}-key", "endpoint": deployed.stack.fakes["kissmetrics"]}
        draft = {"type": "kissmetrics", "label": mode, "settings": settings, "mode": mode, "sources": [source]}
        answer = deployed.api("POST", "/api/connections", json=draft)
        assert answer.status_code == 201, answer.text
        connections[mode] = answer.json()["id"]
    user = unique("user")
    sent: list[dict[str, Any]] = []

    def shadowed() -> list[Any]:
        event = track(user, f"Step {len(sent)}")
        assert taken(deployed.client.post("/v1/track", json=event, auth=(write_key, "")))
        sent.append(event)
        time.sleep(2)
        kept = deployed.api("GET", f"/api/connections/{connections['shadow']}/shadow").json()["data"]
        assert isinstance(kept, list)
        return kept

    first = until(shadowed, bool)[0]
    [request] = first["requests"]
    name = next(event["event"] for event in sent if event["messageId"] == first["message_id"])
    assert dict(request["query"])["_n"] == name
    assert "shadow-key" not in json.dumps(first)
    # Only the connection that was there before has sent anything so far.
    assert {request["params"]["_k"] for request in deployed.kissmetrics.log(user)} == {"local-kissmetrics-key"}
    answer = deployed.api("PATCH", f"/api/connections/{connections['paused']}", json={"mode": "live"})
    assert answer.status_code == 200, answer.text

    def after_the_pause() -> list[str]:
        return [request["params"]["_n"] for request in deployed.kissmetrics.applied(user) if request["params"]["_k"] == "paused-key"]

    due = [event["event"] for event in sent[sent.index(next(event for event in sent if event["event"] == name)) :]]
    arrived = until(after_the_pause, lambda names: set(names) >= set(due), patience=120)
    assert arrived == sorted(arrived, key=lambda name: int(name.split()[1]))
    for connection in connections.values():
        deployed.api("DELETE", f"/api/connections/{connection}")
