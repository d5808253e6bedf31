"""`/api/syncs`, and connections whose account is asked from the moment they are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.kit.builders import NOON, later
from tests.kit.control import ControlBench
from tributary.errors import SettingsInvalid, StoreUnavailable
from tributary.operator import known_kinds
from tributary.sync.state import Difference, Live, Status
from tributary.sync.tasks import DayTask, HistoryTask, decoder

SETTINGS = {"loginId": "shop-api", "password": "pw-4711", "postbackSecret": "a-postback-secret-0123"}
DRAFT = {"type": "konnektive", "label": "Shop", "settings": SETTINGS}


class Bench(ControlBench):
    """`trouble`: what trying an account out says; `tried`: the settings it was tried with."""

    def __init__(self) -> None:
        self.trouble: SettingsInvalid | None = None
        self.tried: list[Mapping[str, Any]] = []
        super().__init__(kinds=known_kinds(try_konnektive=self._try))

    def _try(self, settings: Mapping[str, Any]) -> None:
        self.tried.append(settings)
        if self.trouble is not None:
            raise self.trouble

    def connect(self, **draft: Any) -> str:
        made = self.call("POST", "/api/connections", {**DRAFT, **draft})
        assert made.status == 201, made.text
        connection: str = made.body["id"]
        return connection

    def planned(self) -> list[Any]:
        return [decoder.decode(message.body) for message in self.tasks.sent]


def test_an_account_is_asked_from_the_moment_it_is_connected() -> None:
    bench = Bench()
    connection = bench.connect()
    assert [type(task) for task in bench.planned()].count(DayTask) == 8
    assert isinstance(bench.planned()[-1], HistoryTask)
    assert {task.connection for task in bench.planned()} == {connection}
    sync = bench.call("GET", f"/api/syncs/{connection}").body
    assert (sync["state"], sync["label"], sync["records"], sync["all_records"], sync["poll_under_way"]) == ("initial", "Shop", 0, None, True)


def test_an_account_that_is_connected_while_the_queue_is_down_is_asked_by_the_next_tick() -> None:
    bench = Bench()
    bench.tasks.refuse = lambda _message: True
    connection = bench.connect()
    assert bench.call("GET", f"/api/syncs/{connection}").body["state"] == "starting"


@pytest.mark.parametrize("draft", [{"enabled": False}, {"mode": "paused"}])
def test_an_account_that_is_off_is_not_asked(draft: dict[str, Any]) -> None:
    bench = Bench()
    connection = bench.connect(**draft)
    assert bench.planned() == []
    assert bench.call("GET", f"/api/syncs/{connection}").body["state"] == "off"


def test_what_the_account_says_against_the_settings_refuses_them_with_their_field_and_nothing_is_kept() -> None:
    bench = Bench()
    bench.trouble = SettingsInvalid("Konnektive refuses the login: check loginId and password", field="loginId")
    refused = bench.call("POST", "/api/connections", DRAFT)
    assert (refused.status, refused.body["field"]) == (400, "settings.loginId")
    assert "check loginId" in refused.text
    assert bench.call("GET", "/api/connections").body["data"] == []
    assert bench.secrets.secrets == {}
    assert bench.planned() == []


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"password": "salt&pepper"}, "settings.password"),
        ({"password": None}, "settings.password"),
        ({"timeZone": "Nowhere"}, "settings.timeZone"),
        ({"pollMinutes": 1}, "settings.pollMinutes"),
        ({"wishes": 1}, "settings.wishes"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name_before_anybody_is_asked(settings: dict[str, Any], field: str) -> None:
    bench = Bench()
    refused = bench.call("POST", "/api/connections", {**DRAFT, "settings": {**SETTINGS, **settings}})
    assert (refused.status, refused.body["field"]) == (400, field)
    assert bench.tried == []


def test_no_answer_shows_a_credential() -> None:
    bench = Bench()
    connection = bench.connect()
    for target in (f"/api/connections/{connection}", "/api/connections", "/api/syncs", f"/api/syncs/{connection}"):
        said = bench.call("GET", target).text
        assert "pw-4711" not in said
        assert "a-postback-secret" not in said
    assert "pw-4711" not in bench.stored_text()


def test_replaced_credentials_open_a_shut_door_and_keep_the_cursor() -> None:
    bench = Bench()
    connection = bench.connect()
    live, revision = bench.syncs.live(connection)
    cursors = {"orders": NOON.date()}
    bench.syncs.put_live(connection, Live(cursors=cursors, scheduled_at=live.scheduled_at), revision)
    bench.syncs.put_status(connection, Status(refused="Konnektive refuses the login", refused_at=NOON))
    assert bench.call("GET", f"/api/syncs/{connection}").body["state"] == "refused"
    before = len(bench.tasks.sent)
    changed = bench.call("PATCH", f"/api/connections/{connection}", {"settings": {"password": "pw-4712"}})
    assert changed.status == 200
    assert bench.tried[-1]["password"] == "pw-4712"
    assert bench.tried[-1]["loginId"] == "shop-api"
    sync = bench.call("GET", f"/api/syncs/{connection}").body
    assert (sync["state"], sync["refused"]) == ("initial", None)
    assert bench.syncs.live(connection)[0].cursors == cursors
    kinds = [type(task) for task in bench.planned()[before:]]
    assert DayTask in kinds
    assert HistoryTask in kinds


def test_another_label_asks_nobody() -> None:
    bench = Bench()
    connection = bench.connect()
    before = len(bench.tasks.sent), len(bench.tried)
    assert bench.call("PATCH", f"/api/connections/{connection}", {"label": "The shop"}).status == 200
    assert (len(bench.tasks.sent), len(bench.tried)) == before


def test_another_address_asks_for_the_password_again() -> None:
    """Else whoever may change a connection could have its password sent to an address of theirs."""
    bench = Bench()
    connection = bench.connect()
    tried = len(bench.tried)
    moved = {"baseUrl": "https://elsewhere.example"}
    refused = bench.call("PATCH", f"/api/connections/{connection}", {"settings": moved})
    assert refused.status == 400
    assert len(bench.tried) == tried
    both = {**moved, "password": "pw-4711", "postbackSecret": "a-postback-secret-0123"}
    assert bench.call("PATCH", f"/api/connections/{connection}", {"settings": both}).status == 200


def test_all_syncs_are_listed_and_destinations_are_none() -> None:
    bench = Bench()
    made = [bench.connect(label=label) for label in ("One", "Two")]
    bench.call("POST", "/api/connections", {"type": "kissmetrics", "label": "KM", "settings": {"apiKey": "0123456789abcdef0123456789abcdef01234567"}})
    assert sorted(sync["connection"] for sync in bench.call("GET", "/api/syncs").body["data"]) == sorted(made)


def test_a_sync_shows_what_a_person_should_see_to() -> None:
    bench = Bench()
    connection = bench.connect()
    difference = Difference(day=NOON.date(), what="refundCnt", theirs="1", ours="0")
    status = Status(last_error="no answer", last_error_at=NOON, reconciled_at=later(60), reconciled_days=35, differences=[difference])
    bench.syncs.put_status(connection, status)
    sync = bench.call("GET", f"/api/syncs/{connection}").body
    assert (sync["last_error"], sync["last_error_at"]) == ("no answer", "2026-03-04T12:00:00Z")
    assert sync["differences"] == [{"day": "2026-03-04", "what": "refundCnt", "theirs": "1", "ours": "0"}]


def test_a_sync_is_polled_paused_resumed_and_restarted() -> None:
    bench = Bench()
    connection = bench.connect()
    before = len(bench.tasks.sent)
    assert bench.call("POST", f"/api/syncs/{connection}/poll").status == 200
    assert len(bench.tasks.sent) == before + 8
    assert bench.call("POST", f"/api/syncs/{connection}/pause").body["state"] == "paused"
    assert bench.call("POST", f"/api/syncs/{connection}/resume").body["state"] == "initial"
    restarted = bench.call("POST", f"/api/syncs/{connection}/restart", {"from_day": "2026-01-01"})
    assert (restarted.status, restarted.body["reason"], restarted.body["state"]) == (200, "initial", "initial")
    history, _ = bench.syncs.history(connection)
    assert history is not None
    assert str(history.first_day) == "2026-01-01"
    assert bench.call("POST", f"/api/syncs/{connection}/restart", {}).status == 200
    history, _ = bench.syncs.history(connection)
    assert history is not None
    assert history.first_day is None


@pytest.mark.parametrize("verb", ["poll", "pause", "resume", "restart"])
def test_what_is_not_synced_cannot_be_steered(verb: str) -> None:
    bench = Bench()
    assert bench.call("POST", f"/api/syncs/con_none/{verb}", {} if verb == "restart" else None).status == 404
    made = bench.call("POST", "/api/connections", {"type": "kissmetrics", "label": "KM", "settings": {"apiKey": "0123456789abcdef0123456789abcdef01234567"}})
    assert bench.call("POST", f"/api/syncs/{made.body['id']}/{verb}", {} if verb == "restart" else None).status == 404
    assert bench.call("GET", "/api/syncs/con_none").status == 404


@pytest.mark.parametrize("body", [{"from_day": "2999-01-01"}, {"from_day": "yesterday"}, {"from_day": 7}, {"since": "2026-01-01"}, [], "2026-01-01"])
def test_a_restart_from_what_is_no_day_is_refused(body: Any) -> None:
    bench = Bench()
    connection = bench.connect()
    assert bench.call("POST", f"/api/syncs/{connection}/restart", body).status == 400
    history, _ = bench.syncs.history(connection)
    assert history is not None
    assert history.generation == 1


def test_reading_syncs_and_steering_them_are_two_scopes() -> None:
    bench = Bench()
    connection = bench.connect()
    reader, writer = bench.new_key("syncs:read"), bench.new_key("syncs:write")
    one = f"/api/syncs/{connection}"
    assert bench.call("GET", one, key=reader).status == 200
    assert bench.call("POST", f"{one}/poll", key=writer).status == 200
    for method, target, key, lacking in [
        ("GET", "/api/syncs", writer, "syncs:read"),
        ("GET", one, writer, "syncs:read"),
        *[("POST", f"{one}/{verb}", reader, "syncs:write") for verb in ("poll", "pause", "resume")],
        ("POST", f"{one}/restart", reader, "syncs:write"),
    ]:
        said = bench.call(method, target, {} if target.endswith("restart") else None, key=key)
        assert (said.status, said.body["scope"]) == (403, lacking)


def test_somebody_who_steers_at_the_same_moment_is_told_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    connection = bench.connect()
    real = bench.syncs.history
    monkeypatch.setattr(bench.syncs, "history", lambda name: (real(name)[0], real(name)[1] - 1))
    said = bench.call("POST", f"/api/syncs/{connection}/pause")
    assert (said.status, said.body["code"]) == (409, "changed_meanwhile")


def test_a_store_that_is_down_is_said_to_be() -> None:
    bench = Bench()
    connection = bench.connect()
    bench.tasks.refuse = lambda _message: True
    assert bench.call("POST", f"/api/syncs/{connection}/poll").status == 503
    with pytest.raises(StoreUnavailable):
        bench.tasks.send(bench.tasks.sent[:1])
