"""An account that does not let us in: nobody asks again until a person has done something, and nothing of it looks like an empty day."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from tests.kit.queue_model import Crash
from tests.kit.syncing import ACCOUNT, SyncBench, truth_of, with_settings
from tributary.errors import StoreUnavailable, WriteConflict
from tributary.sync.syncs import State

TODAY = date(2026, 11, 20)
REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"login": False}, "check loginId and password"),
    ({"address": "203.0.113.9"}, "this address (203.0.113.9) in: enter it in the API user's IP Whitelist, or the keyword AWS"),
    ({"refused": ["order/query"]}, "may not use order/query: tick it"),
]
ALLOWED: dict[str, Any] = {"login": True, "address": None, "refused": []}


def refused(permissions: dict[str, Any], **given: Any) -> SyncBench:
    """An account that is read, sells something, and then shuts its door."""
    bench = SyncBench(customers=8, **given)
    bench.backfill()
    bench.clock.advance(900)
    bench.happen("new_sale")
    bench.shop_does(permissions=permissions)
    bench.tick()
    bench.run()
    return bench


@pytest.mark.parametrize(("permissions", "says"), REFUSALS)
def test_a_refusal_stops_the_sync_says_what_to_do_and_is_counted_for_the_alarm(permissions: dict[str, Any], says: str) -> None:
    bench = refused(permissions)
    sync = bench.sync()
    assert sync.state == State.REFUSED
    assert says in str(sync.refused)
    assert sum(report.counts["task_source_refused"] for report in bench.reports) == 1, "the first that is refused is the last that asks"
    assert len(bench.tasks) == 0


@pytest.mark.parametrize(("permissions", "says"), REFUSALS)
def test_nobody_knocks_again_at_a_door_that_is_shut(permissions: dict[str, Any], says: str) -> None:
    bench = refused(permissions)
    calls = len(bench.calls)
    bench.clock.advance(86_400)
    for _ in range(3):
        assert bench.tick() == {"refused": 1}
        bench.syncs.poll(ACCOUNT)
        bench.run()
    assert len(bench.calls) == calls
    assert says in str(bench.status().refused)


@pytest.mark.parametrize(("permissions", "says"), REFUSALS)
def test_a_refusal_is_no_empty_day(permissions: dict[str, Any], says: str) -> None:
    bench = refused(permissions)
    bench.clock.advance(2 * 86_400)
    assert bench.live().cursors["orders"] == TODAY, says
    assert bench.sync().poll_under_way


@pytest.mark.parametrize(("permissions", "_says"), REFUSALS)
def test_after_a_person_has_seen_to_it_the_sync_goes_on_where_it_stood(permissions: dict[str, Any], _says: str) -> None:
    bench = refused(permissions)
    bench.clock.advance(4 * 86_400)
    bench.shop_does(permissions=ALLOWED)
    assert bench.syncs.resume(ACCOUNT).state == State.LIVE
    bench.run()
    assert bench.books() == truth_of(bench.shop)
    assert set(bench.live().cursors.values()) == {date(2026, 11, 24)}


def test_new_credentials_open_the_door_at_once_and_keep_the_cursor() -> None:
    bench = SyncBench(customers=8)
    bench.backfill()
    cursors = bench.live().cursors
    bench.secrets.of[f"connections/{ACCOUNT}"] = json.dumps({"password": "an-old-one"})
    bench.clock.advance(900)
    bench.happen("new_sale")
    bench.tick()
    bench.run()
    assert bench.sync().state == State.REFUSED
    assert bench.live().cursors == cursors
    bench.secrets.of.clear()
    bench.syncs.begin(bench.account.connection)
    assert bench.sync().refused is None
    bench.run()
    assert bench.books() == truth_of(bench.shop)


def test_a_history_that_was_refused_goes_on_at_once_with_new_credentials() -> None:
    bench = SyncBench(customers=30, seconds_a_call=5.0)
    bench.tick()
    bench.run(180)
    assert bench.history().position > 0
    bench.shop_does(permissions={"login": False})
    bench.run()
    position = bench.history().position
    assert bench.history().finished_at is None
    bench.shop_does(permissions=ALLOWED)
    bench.syncs.begin(bench.account.connection)
    assert bench.history().position == position
    bench.run()
    assert bench.history().finished_at is not None
    assert bench.books() == truth_of(bench.shop)


def test_new_settings_of_a_paused_history_do_not_wake_it() -> None:
    bench = SyncBench(customers=30, seconds_a_call=5.0)
    bench.tick()
    bench.run(150)
    bench.syncs.pause(ACCOUNT)
    bench.shop_does(permissions={"login": False})
    bench.run()
    bench.shop_does(permissions=ALLOWED)
    bench.syncs.begin(bench.account.connection)
    bench.run()
    assert bench.history().paused
    assert bench.history().finished_at is None


def test_a_password_that_was_just_replaced_is_read_anew_for_each_task() -> None:
    """A sandbox that keeps the old one for half a minute would be refused once more, and stop the sync for good."""
    bench = SyncBench()
    bench.tick()
    bench.run(1)
    assert bench.secrets.asked
    assert all(fresh for _, fresh in bench.secrets.asked)


@pytest.mark.parametrize(("stored", "says"), [("{}", "no password"), ("[]", "not a JSON object"), ("{broken", "not a JSON object")])
def test_a_secret_that_is_not_there_or_not_readable_stops_the_sync_and_says_so(stored: str, says: str) -> None:
    bench = SyncBench()
    bench.secrets.of[f"connections/{ACCOUNT}"] = stored
    bench.tick()
    bench.run()
    assert says in str(bench.status().refused)
    assert bench.calls == []


def test_a_setting_that_does_not_fit_stops_the_sync_and_says_so() -> None:
    bench = SyncBench()
    bench.change(with_settings(bench.account.connection, wishes=1))
    bench.tick()
    bench.run()
    assert "wishes" in str(bench.status().refused)


def test_a_refusal_that_cannot_be_noted_is_noted_when_its_task_comes_again() -> None:
    bench = SyncBench(customers=8)
    bench.shop_does(permissions={"login": False})
    bench.tick()
    bench.trap.once("store.put_status", "before", StoreUnavailable("out"))
    bench.run(3_600)
    assert bench.sync().state == State.REFUSED
    assert bench.source.crashes == 0
    assert len(bench.calls) == 2


def test_a_refusal_whose_sandbox_dies_is_noted_when_its_task_comes_again() -> None:
    bench = SyncBench(customers=8)
    bench.shop_does(permissions={"login": False})
    bench.tick()
    bench.trap.once("store.put_status", "before", Crash())
    bench.run(3_600)
    assert bench.sync().state == State.REFUSED
    assert len(bench.calls) == 2


def test_one_account_that_is_refused_leaves_the_others_alone() -> None:
    bench = SyncBench(customers=8, accounts=("con_a", "con_b"))
    bench.by_account["con_a"].control("/__shop", {"permissions": {"login": False}}, at=bench.clock.now())
    bench.tick()
    bench.run()
    assert bench.sync("con_a").state == State.REFUSED
    assert bench.sync("con_b").state == State.LIVE
    assert bench.books("con_b") == truth_of(bench.by_account["con_b"].shop)


def test_neither_the_password_nor_anything_personal_is_in_what_is_said_of_an_error() -> None:
    bench = SyncBench(customers=8)
    words = "Deadlock while reading ada.lovelace@buyers.example with local-konnektive-password, card 4111111111111111"
    bench.answers(*[{"match": {"path": "/order/query/"}, "body": {"result": "ERROR", "message": words}}] * 4)
    bench.tick()
    bench.run()
    said = str([bench.status(), bench.notices.told, [report.lines for report in bench.reports]])
    assert "Deadlock" in said
    for secret in ("ada.lovelace", "local-konnektive-password", "4111"):
        assert secret not in said


def test_a_refusal_of_credentials_that_were_replaced_meanwhile_stops_nothing() -> None:
    bench = SyncBench(customers=5)
    bench.secrets.of[f"connections/{ACCOUNT}"] = json.dumps({"password": "old"})

    def replace(_path: str, _form: object) -> None:
        bench.secrets.of.clear()

    bench.account.vendor.before = replace
    bench.tick()
    bench.run()
    assert bench.status().refused is None
    assert "replaced" in bench.codes
    assert bench.books() == truth_of(bench.shop)


def test_somebody_elses_write_at_the_same_moment_is_no_error_that_a_person_is_shown() -> None:
    bench = SyncBench(customers=30)
    bench.trap.once("store.put_history", "before", WriteConflict("a person paused it"))
    bench.backfill()
    assert "write_conflict" in bench.codes
    assert bench.status().last_error is None
