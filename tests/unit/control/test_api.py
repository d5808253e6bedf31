"""What the control API does: each resource from making to removing, and what it never says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.kit.builders import NOON, later, track
from tests.kit.control import ControlBench
from tributary import log_codec
from tributary.drafts import ConnectionChange, SourceChange
from tributary.operator import Row
from tributary.ports import FeedEntry, FeedStatus, Parked, VendorRequest

SECRET = "km-secret-4711"
CONNECTION = {"type": "kissmetrics", "label": "Main", "settings": {"apiKey": SECRET, "host": "https://x.example"}}


def test_a_source_is_made_with_its_key_shown_once() -> None:
    bench = ControlBench()
    made = bench.call("POST", "/api/sources", {"label": "Shop"})
    assert made.status == 201
    source = made.body["source"]
    assert made.header("location") == f"/api/sources/{source['id']}"
    assert source == {"id": source["id"], "label": "Shop", "enabled": True, "linked_connection": "", "created_at": "2026-03-04T12:00:00Z", "version": 1}
    assert made.body["write_key"].startswith("wk_")
    again = bench.call("GET", f"/api/sources/{source['id']}")
    assert again.body == source
    for target in (f"/api/sources/{source['id']}", "/api/sources", "/api/keys"):
        assert made.body["write_key"] not in bench.call("GET", target).text
    assert made.body["write_key"] not in bench.stored_text()


def test_an_api_key_is_shown_once_and_then_revoked() -> None:
    bench = ControlBench()
    made = bench.call("POST", "/api/keys", {"label": "Reports", "scopes": ["events:read", "account:read"], "expires_at": "2026-06-01T00:00:00Z"})
    assert made.status == 201
    assert made.body["secret"].startswith("tk_")
    key = made.body["key"]
    assert (key["scopes"], key["expires_at"], key["revoked_at"]) == (["account:read", "events:read"], "2026-06-01T00:00:00Z", None)
    assert made.body["secret"] not in bench.call("GET", "/api/keys").text + bench.stored_text()
    gone = bench.call("DELETE", f"/api/keys/{key['id']}")
    assert gone.body["revoked_at"] == "2026-03-04T12:00:00Z"
    assert bench.call("DELETE", f"/api/keys/{key['id']}").body == gone.body
    assert bench.call("DELETE", "/api/keys/key_none").status == 404


def test_a_key_gives_no_scope_that_it_does_not_have() -> None:
    bench = ControlBench()
    maker = bench.new_key("keys:write", "events:read")
    assert bench.call("POST", "/api/keys", {"label": "x", "scopes": ["events:read"]}, key=maker).status == 201
    for scopes, lacking in [(["events:read", "events:read_bodies"], "events:read_bodies"), (["*"], "*")]:
        said = bench.call("POST", "/api/keys", {"label": "x", "scopes": scopes}, key=maker)
        assert (said.status, said.body["code"], said.body["scope"]) == (403, "scope_missing", lacking)


def test_keys_are_listed_by_kind_and_source() -> None:
    bench = ControlBench()
    source = bench.call("POST", "/api/sources", {"label": "Shop"}).body
    bench.call("POST", "/api/sources", {"label": "App"})
    listed = bench.call("GET", f"/api/keys?source={source['source']['id']}").body["data"]
    assert [(key["id"], key["kind"], key["source"]) for key in listed] == [(source["key_id"], "write", source["source"]["id"])]
    assert [key["kind"] for key in bench.call("GET", "/api/keys?kind=api").body["data"]] == ["api"]


def test_a_rotated_key_is_shown_once() -> None:
    bench = ControlBench()
    made = bench.call("POST", "/api/sources", {"label": "Shop"}).body
    rotated = bench.call("POST", f"/api/sources/{made['source']['id']}/rotate-key")
    assert rotated.status == 201
    assert rotated.body["secret"].startswith("wk_")
    (old,) = [key for key in bench.call("GET", "/api/keys?kind=write").body["data"] if key["id"] == made["key_id"]]
    assert old["expires_at"] == "2026-03-05T12:00:00Z"
    assert bench.call("POST", "/api/sources/src_none/rotate-key").status == 404


def test_a_connection_is_made_changed_and_removed_and_its_credential_never_shown() -> None:
    bench = ControlBench()
    source = bench.call("POST", "/api/sources", {"label": "Shop"}).body["source"]["id"]
    condition = {"all": [{"type": ["track"]}, {"not": {"field": "properties.revenue", "is": "less_than", "value": 10}}]}
    made = bench.call("POST", "/api/connections", {**CONNECTION, "mode": "shadow", "sources": [source], "filter": condition, "consent_categories": ["ads"]})
    assert made.status == 201
    assert made.body == {
        "id": made.body["id"],
        "type": "kissmetrics",
        "label": "Main",
        "settings": {"host": "https://x.example"},
        "secrets": ["apiKey"],
        "enabled": True,
        "mode": "shadow",
        "history": False,
        "sources": [source],
        "filter": condition,
        "consent_categories": ["ads"],
        "consent_default": "send",
        "created_at": "2026-03-04T12:00:00Z",
        "version": 1,
    }
    target = f"/api/connections/{made.body['id']}"
    changed = bench.call("PATCH", target, {"mode": "live", "filter": None, "settings": {"host": None}})
    assert (changed.body["mode"], changed.body["filter"], changed.body["settings"], changed.body["secrets"]) == ("live", None, {}, ["apiKey"])
    changed = bench.call("PATCH", target, {"settings": {"apiKey": f"{SECRET}-2"}})
    assert changed.body["version"] == 3
    assert bench.secrets.secrets == {f"connections/{made.body['id']}": f'{{"apiKey":"{SECRET}-2"}}'}
    assert bench.call("GET", target).body == changed.body
    assert bench.call("GET", "/api/connections").body == {"data": [changed.body], "unreadable": [], "next_cursor": None}
    bench.call("PATCH", target, {"settings": {"apiKey": None}})
    bench.call("PATCH", target, {"settings": {"apiKey": SECRET, "colour": SECRET}})
    bench.call("POST", "/api/connections", {**CONNECTION, "type": SECRET, "mode": SECRET})
    assert bench.call("DELETE", target).status == 204
    assert bench.call("GET", target).status == 404
    assert bench.secrets.secrets == {}
    everything_said = "".join(said.text + str(said.response.headers) + str(said.response.report()) for said in bench.said)
    assert SECRET not in everything_said
    assert SECRET not in bench.stored_text()


def test_an_account_is_read_and_changed() -> None:
    bench = ControlBench()
    fresh = bench.call("GET", "/api/account")
    assert fresh.body == {
        "name": "",
        "time_zone": "UTC",
        "reporting_currency": "USD",
        "alert_email": "",
        "report_defaults": {},
        "report_fields": [],
        "version": 0,
        "notes": [],
    }
    changed = bench.call("PATCH", "/api/account", {"name": "Ferry Shop", "time_zone": "Europe/Oslo", "report_defaults": {"model": "last_touch"}})
    assert changed.body == {**fresh.body, "name": "Ferry Shop", "time_zone": "Europe/Oslo", "report_defaults": {"model": "last_touch"}, "version": 1}
    assert bench.call("GET", "/api/account").body == changed.body
    assert bench.call("PATCH", "/api/account", {"report_fields": ["plan"]}).body["report_fields"] == ["plan"]


def test_a_setting_that_reaches_what_is_there_by_a_rebuild_alone_says_so_when_it_is_changed() -> None:
    bench = ControlBench()
    first = bench.call("PATCH", "/api/account", {"report_fields": ["plan"], "reporting_currency": "EUR", "time_zone": "Europe/Oslo"})
    assert first.body["notes"] == [
        f"{name} reaches what contacts hold already with their next change; to have it everywhere: tributary.cli rebuild run"
        for name in ("report_fields", "reporting_currency")
    ]
    assert bench.call("PATCH", "/api/account", {"report_fields": ["plan"], "reporting_currency": "EUR"}).body["notes"] == []
    assert bench.call("GET", "/api/account").body["notes"] == []


@pytest.mark.parametrize("target", ["/api/account", "/api/sources/{source}", "/api/connections/{connection}"])
def test_who_has_not_seen_the_newest_version_changes_nothing(target: str) -> None:
    bench = ControlBench()
    source = bench.call("POST", "/api/sources", {"label": "Shop"}).body["source"]["id"]
    connection = bench.call("POST", "/api/connections", CONNECTION).body["id"]
    target = target.format(source=source, connection=connection)
    field = "name" if target == "/api/account" else "label"
    seen = bench.call("GET", target).header("etag")
    assert seen is not None
    assert bench.call("PATCH", target, {field: "Mine"}, headers={"if-match": seen}).status == 200
    late = bench.call("PATCH", target, {field: "Theirs"}, headers={"if-match": seen})
    assert (late.status, late.body["code"]) == (412, "version_conflict")
    if target != "/api/account":
        assert bench.call("DELETE", target, headers={"if-match": seen}).status == 412
    assert bench.call("GET", target).body[field] == "Mine"
    assert bench.call("PATCH", target, {field: "Any"}, headers={"if-match": "*"}).status == 200
    odd = bench.call("PATCH", target, {field: "Any"}, headers={"if-match": "three"})
    assert (odd.status, odd.body["field"]) == (400, "if-match")


def test_two_changes_at_the_same_moment_are_a_conflict() -> None:
    bench = ControlBench()
    source = bench.call("POST", "/api/sources", {"label": "Shop"}).body["source"]["id"]
    bench.rows.before_commit = lambda: bench.operator.update_source(source, SourceChange(label="Theirs"))
    said = bench.call("PATCH", f"/api/sources/{source}", {"label": "Mine"})
    assert (said.status, said.body["code"]) == (409, "version_conflict")
    assert bench.call("GET", f"/api/sources/{source}").body["label"] == "Theirs"


def test_a_source_in_use_is_not_removed() -> None:
    bench = ControlBench()
    source = bench.call("POST", "/api/sources", {"label": "Shop"}).body["source"]["id"]
    connection = bench.call("POST", "/api/connections", {**CONNECTION, "sources": [source]}).body["id"]
    said = bench.call("DELETE", f"/api/sources/{source}")
    assert (said.status, said.body["code"]) == (409, "in_use")
    bench.operator.update_connection(connection, ConnectionChange(sources=[]))
    assert bench.call("DELETE", f"/api/sources/{source}").status == 204


def test_a_connection_that_only_a_newer_release_can_read_does_not_hide_the_others() -> None:
    bench = ControlBench()
    source = bench.call("POST", "/api/sources", {"label": "Shop"}).body["source"]["id"]
    made = bench.call("POST", "/api/connections", CONNECTION).body
    bench.rows.rows["connection", "con_newer"] = Row('{"id":"con_newer","type":"telegraph","label":"Wire","created_at":"2026-03-04T12:00:00Z"}', 1)
    assert bench.call("GET", "/api/connections").body == {"data": [made], "unreadable": ["con_newer"], "next_cursor": None}
    for method, target, body in [
        ("GET", "/con_newer", None),
        ("GET", "/con_newer/parked", None),
        ("PATCH", "/con_newer", {"label": "x"}),
        ("DELETE", "/con_newer", None),
    ]:
        said = bench.call(method, f"/api/connections{target}", body)
        assert (said.status, said.body["code"]) == (409, "unreadable")
    refused = bench.call("DELETE", f"/api/sources/{source}")
    assert (refused.status, refused.body["code"]) == (409, "in_use"), "it may take events from this source"
    assert "con_newer" in refused.body["detail"]


def pages(bench: ControlBench, target: str, limit: int) -> list[list[Any]]:
    found = []
    cursor = ""
    while True:
        body = bench.call("GET", f"{target}{'&' if '?' in target else '?'}limit={limit}{cursor}").body
        found.append(body["data"])
        if body["next_cursor"] is None:
            return found
        cursor = f"&cursor={body['next_cursor']}"


def test_lists_come_in_pages() -> None:
    bench = ControlBench()
    made = sorted(bench.call("POST", "/api/sources", {"label": f"Shop {number}"}).body["source"]["id"] for number in range(5))
    found = pages(bench, "/api/sources", 2)
    assert [len(page) for page in found] == [2, 2, 1]
    assert [source["id"] for page in found for source in page] == made
    assert [len(page) for page in pages(bench, "/api/sources", 5)] == [5]


def test_what_is_removed_between_two_pages_shifts_nothing() -> None:
    bench = ControlBench()
    made = sorted(bench.call("POST", "/api/sources", {"label": f"Shop {number}"}).body["source"]["id"] for number in range(4))
    first = bench.call("GET", "/api/sources?limit=2").body
    for source in made[:2]:
        bench.call("DELETE", f"/api/sources/{source}")
    second = bench.call("GET", f"/api/sources?limit=2&cursor={first['next_cursor']}").body
    assert [source["id"] for source in second["data"]] == made[2:]


# ---------------------------------------------------------------- events


def seen_events(bench: ControlBench) -> str:
    """Two accepted events and a rejected one; returns their source."""
    source: str = bench.call("POST", "/api/sources", {"label": "Shop"}).body["source"]["id"]
    events = [track(source=source, user_id="orla@harbour.example", received_at=later(-50 + number), properties={"seat": f"{number}C"}) for number in range(2)]
    bench.log.put(events)
    lines = [
        FeedEntry(
            source=source,
            received_at=event.received_at,
            index=0,
            status=FeedStatus.ACCEPTED,
            type="track",
            name=event.event,
            message_id=event.message_id,
            event_key=log_codec.key_of(event),
        )
        for event in events
    ]
    rejected = FeedEntry(
        source=source,
        received_at=later(-10),
        index=3,
        status=FeedStatus.REJECTED,
        type="track",
        name=None,
        message_id="m-bad",
        code="event_not_defined",
        field="event",
        message="an event name is needed",
        body='{"type":"track","userId":"orla@harbour.example"}',
    )
    bench.feed.append("q-1", [*lines, rejected])
    return source


def test_recent_events_are_listed_with_why_a_rejected_one_was() -> None:
    bench = ControlBench()
    source = seen_events(bench)
    body = bench.call("GET", "/api/events").body
    assert [(line["status"], line["name"]) for line in body["data"]] == [("rejected", None), ("accepted", "Berth Booked"), ("accepted", "Berth Booked")]
    assert body["data"][0] == {
        "source": source,
        "received_at": "2026-03-04T11:59:50Z",
        "index": 3,
        "status": "rejected",
        "type": "track",
        "name": None,
        "message_id": "m-bad",
        "code": "event_not_defined",
        "field": "event",
        "message": "an event name is needed",
    }
    assert [line["status"] for line in bench.call("GET", f"/api/events?source={source}&status=rejected&type=track&since=15m").body["data"]] == ["rejected"]
    assert bench.call("GET", "/api/events?type=page").body == {"data": [], "next_cursor": None}
    assert bench.call("GET", "/api/events?since=2026-03-04T11:59:45Z").body["data"][0]["message_id"] == "m-bad"
    assert [len(page) for page in pages(bench, "/api/events?since=1h", 1)][:3] == [1, 1, 1]


def test_bodies_are_for_who_has_the_scope_and_asks() -> None:
    bench = ControlBench()
    seen_events(bench)
    plain = bench.call("GET", "/api/events")
    assert "orla" not in plain.text
    assert "5C" not in plain.text
    reader = bench.new_key("events:read")
    said = bench.call("GET", "/api/events?bodies=true", key=reader)
    assert (said.status, said.body["scope"]) == (403, "events:read_bodies")
    assert bench.call("GET", "/api/events?bodies=true", key=bench.new_key("events:read_bodies")).status == 403
    both = bench.call("GET", "/api/events?bodies=true", key=bench.new_key("events:read", "events:read_bodies")).body["data"]
    assert both[0]["sent"] == '{"type":"track","userId":"orla@harbour.example"}'
    assert "event" not in both[0]
    assert both[1]["event"]["properties"] == {"seat": "1C"}
    assert both[1]["event"]["userId"] == "orla@harbour.example"
    assert "sent" not in both[1]


# ---------------------------------------------------------------- what waits, and what would have been sent


def parked(connection: str, number: int) -> Parked:
    return Parked(
        connection=connection,
        source="src_1",
        message_id=f"m-{number}",
        event_key=("user#orla@harbour.example", f"event#src_1#m-{number}"),
        received_at=later(-100 + number // 2),
        index=number,
        parked_at=NOON,
        code="vendor_refused",
        reason="status 400",
        request={"method": "GET", "host": "trk.example", "path": "/e", "parameters": ["_k", "_n"], "bytes": 120},
        attempts=1,
        last_status=400,
    )


def test_parked_deliveries_are_listed_without_the_person() -> None:
    bench = ControlBench()
    connection = bench.call("POST", "/api/connections", CONNECTION).body["id"]
    for number in range(5):
        bench.parking.park(parked(connection, number))
    listed = pages(bench, f"/api/connections/{connection}/parked", 2)
    assert [line["message_id"] for page in listed for line in page] == ["m-0", "m-1", "m-2", "m-3", "m-4"]
    assert listed[0][0] == {
        "source": "src_1",
        "message_id": "m-0",
        "received_at": "2026-03-04T11:58:20Z",
        "parked_at": "2026-03-04T12:00:00Z",
        "code": "vendor_refused",
        "reason": "status 400",
        "attempts": 1,
        "last_status": 400,
        "request": {"method": "GET", "host": "trk.example", "path": "/e", "parameters": ["_k", "_n"], "bytes": 120},
    }
    assert "orla" not in str(listed)
    assert bench.call("GET", "/api/connections/con_none/parked").status == 404


def test_a_parked_delivery_that_was_taken_away_does_not_break_the_next_page() -> None:
    bench = ControlBench()
    connection = bench.call("POST", "/api/connections", CONNECTION).body["id"]
    for number in range(4):
        bench.parking.park(parked(connection, number))
    first = bench.call("GET", f"/api/connections/{connection}/parked?limit=1").body
    del bench.parking.rows[connection, "src_1", "m-0"]
    second = bench.call("GET", f"/api/connections/{connection}/parked?cursor={first['next_cursor']}").body
    assert [line["message_id"] for line in second["data"]] == ["m-1", "m-2", "m-3"], "m-1 was received in the same instant"


def test_what_a_shadow_connection_would_have_sent_is_for_who_may_read_bodies() -> None:
    bench = ControlBench()
    connection = bench.call("POST", "/api/connections", {**CONNECTION, "mode": "shadow"}).body["id"]
    for number in range(3):
        event = track(source="src_1", user_id="orla-12", received_at=NOON + timedelta(microseconds=number), message_id=f"m-{number}")
        bench.shadow.keep(connection, event, [VendorRequest(method="GET", url="https://trk.example/e", query=[("_k", "<apiKey>"), ("_p", "orla-12")])])
    target = f"/api/connections/{connection}/shadow"
    listed = pages(bench, target, 1)
    assert [entry["message_id"] for page in listed for entry in page] == ["m-0", "m-1", "m-2"]
    assert listed[0][0]["requests"][0]["query"] == [["_k", "<apiKey>"], ["_p", "orla-12"]]
    said = bench.call("GET", target, key=bench.new_key("connections:read", "events:read"))
    assert (said.status, said.body["scope"]) == (403, "events:read_bodies")
