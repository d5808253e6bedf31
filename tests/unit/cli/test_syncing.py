"""How syncs look in a terminal, and a Konnektive account in `config.toml`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec
import pytest
from rich.console import Console

from tests.kit.builders import NOON
from tests.kit.config import Bench
from tests.kit.syncing import ACCOUNT, SyncBench
from tributary.cli import config_file, syncing
from tributary.cli.config_file import ConfigInvalid
from tributary.operator import Versioned, known_kinds
from tributary.settings import Connection
from tributary.sync.state import Difference
from tributary.sync.syncs import State, StreamProgress, Sync

ORDERS = StreamProgress(stream="orders", days=120, all_days=540, records=3_000, all_records=12_000, events=7_100, unreadable=2, cursor=date(2026, 11, 20))
SYNC = Sync(
    connection=ACCOUNT,
    label="Shop",
    state=State.INITIAL,
    reason="initial",
    started_at=NOON,
    finished_at=None,
    streams=[ORDERS],
    records=3_000,
    all_records=12_000,
    records_per_second=150.0,
    seconds_left=60.0,
    calls=40,
    failed_windows=[],
    polled_at=None,
    poll_under_way=True,
    refused=None,
    last_error=None,
    last_error_at=None,
    reconciled_at=None,
    reconciled_days=0,
    differences=[],
    catalogue={"campaigns": 3, "products": 12},
)


def screen() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=160, force_terminal=False), out


def seen(*syncs: Sync) -> str:
    console, out = screen()
    console.print(syncing.shown(syncs))
    return out.getvalue()


def with_(**changes: Any) -> Sync:
    return msgspec.structs.replace(SYNC, **changes)


def test_progress_tells_records_the_rate_and_what_is_left() -> None:
    said = seen(SYNC)
    assert "3,000 of 12,000 records, 150 a second, 60 s left" in said
    row = next(line for line in said.splitlines() if line.lstrip().startswith("orders"))
    assert row.split() == ["orders", "120", "of", "540", "3,000", "of", "12,000", "7,100", "2", "2026-11-20"]


@pytest.mark.parametrize(("seconds", "says"), [(89, "89 s left"), (600, "10 min left"), (7_200, "2.0 h left")])
def test_the_time_that_is_left_is_said_in_a_unit_that_fits(seconds: float, says: str) -> None:
    assert says in seen(with_(seconds_left=seconds))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"all_records": None, "records": 0}, "asking how much there is"),
        ({"all_records": None, "records": 0, "state": State.OFF}, "its history has not been read"),
        ({"all_records": 0, "records": 0, "state": State.LIVE}, "0 of 0 records"),
        ({"state": State.REFUSED, "refused": "Konnektive refuses the login: check loginId"}, "refuses the login: check loginId"),
        ({"last_error": "no answer in time", "last_error_at": NOON}, "last error, 2026-03-04 12:00:00: no answer in time"),
        ({"failed_windows": ["orders 2024-03-09..2024-03-09"]}, "not read: orders 2024-03-09..2024-03-09"),
        ({"reconciled_at": NOON, "reconciled_days": 35}, "35 days, equal to the account's own sums"),
        (
            {"reconciled_at": NOON, "reconciled_days": 35, "differences": [Difference(day=NOON.date(), what="refundCnt", theirs="1", ours="0")]},
            "2026-03-04 refundCnt: theirs 1, ours 0",
        ),
    ],
)
def test_a_person_sees_what_to_see_to(changes: dict[str, Any], says: str) -> None:
    assert says in seen(with_(**changes))


def test_more_records_than_were_planned_are_no_error() -> None:
    assert "12,100 of 12,000 records" in seen(with_(records=12_100))


def test_a_label_cannot_drive_the_terminal() -> None:
    said = seen(with_(label="\x1b[2J[red]Shop", refused="\x1b]0;owned\x07"))
    assert "\x1b" not in said
    assert "[red]Shop" in said


def test_watching_ends_once_every_history_is_read_or_cannot_be() -> None:
    looks: Iterator[list[Sync]] = iter(
        [
            [with_(state=State.STARTING), with_(state=State.INITIAL)],
            [with_(state=State.LIVE), with_(state=State.INITIAL)],
            [with_(state=State.LIVE), with_(state=State.REFUSED)],
        ]
    )
    slept: list[float] = []
    console, out = screen()
    syncing.watch(lambda: next(looks), console, sleep=slept.append)
    assert len(slept) == 2
    assert "refused" in out.getvalue()


def test_watching_a_paused_sync_says_how_it_goes_on() -> None:
    console, out = screen()
    syncing.watch(lambda: [with_(state=State.PAUSED)], console, sleep=lambda _seconds: None)
    assert "`sync resume` goes on" in out.getvalue()


def test_a_whole_sync_can_be_watched_to_its_end() -> None:
    bench = SyncBench(customers=30, seconds_a_call=5.0)
    bench.tick()
    console, out = screen()
    syncing.watch(bench.syncs.all, console, sleep=lambda _seconds: bench.run(60))
    assert bench.history().finished_at is not None
    assert f"{bench.sync().records:,} of {bench.sync().records:,} records" in out.getvalue()


FILE = """
[[connections]]
type = "konnektive"
label = "Shop"
settings = { loginId = "shop-api", password = "env:PW", timeZone = "America/Chicago", streams = ["customers", "orders"] }
"""


def planned(bench: Bench, text: str) -> config_file.Plan:
    return config_file.plan(config_file.read(text), bench.operator, {"env:PW": "pw-4711", "env:BAD": "salt&pepper"}.__getitem__, prune=False)


def test_an_account_in_the_file_is_connected_and_its_password_goes_to_the_secrets() -> None:
    bench = Bench(kinds=known_kinds())
    planned(bench, FILE).run(lambda _step, _shown: None)
    (connection,) = bench.operator.connections()
    assert isinstance(connection, Versioned)
    assert isinstance(connection.value, Connection)
    assert connection.value.type == "konnektive"
    assert connection.value.settings["timeZone"] == "America/Chicago"
    assert connection.value.settings["streams"] == ["customers", "orders"]
    assert "pw-4711" not in bench.stored_text()
    assert "pw-4711" in bench.secrets.secrets[f"connections/{connection.value.id}"]
    assert [step.verb for step in planned(bench, FILE).steps] == ["keep"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ('loginId = "shop-api", password = "env:BAD"', "&"),
        ('loginId = "shop-api", password = "env:PW", timeZone = "Nowhere"', "timeZone"),
        ('loginId = "shop-api", password = "env:PW", historyStart = "soon"', "historyStart"),
        ('password = "env:PW"', "loginId"),
    ],
)
def test_an_account_in_the_file_that_does_not_fit_is_refused_before_anything_is_changed(settings: str, says: str) -> None:
    bench = Bench(kinds=known_kinds())
    with pytest.raises(ConfigInvalid, match=says):
        planned(bench, f'[[connections]]\ntype = "konnektive"\nlabel = "Shop"\nsettings = {{ {settings} }}\n')
    assert bench.secrets.secrets == {}
