"""What the launcher does before and after the stack itself."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import get_args

import boto3
import pytest

from local.fakes.konnektive.vendor import LOGIN, PASSWORD
from local.fakes.server import VENDORS
from local.sam import environment
from local.stack import CONNECTIONS, Stack, _without_aws, announced, konnektive_connection
from tributary.clock import SCALE_VARIABLE
from tributary.operator import known_kinds
from tributary.settings import DestinationType


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(
        api_url="http://127.0.0.1:2",
        write_key="wk_1",
        api_key="tk_1",
        emulator_url="http://127.0.0.1:1",
        fakes={"kissmetrics": "http://127.0.0.1:3"},
        folder=tmp_path,
        outputs={},
        connections={"kissmetrics": "con_1"},
        sessions=boto3.Session("test", "test", region_name="us-east-1"),
    )


def test_the_stack_is_announced_whole_and_only_while_it_runs(stack: Stack, tmp_path: Path) -> None:
    path = tmp_path / "stack.json"
    with announced(stack, path):
        assert json.loads(path.read_text()) == {
            "api_url": "http://127.0.0.1:2",
            "write_key": "wk_1",
            "api_key": "tk_1",
            "emulator_url": "http://127.0.0.1:1",
            "fakes": {"kissmetrics": "http://127.0.0.1:3"},
        }
        assert stat.S_IMODE(path.stat().st_mode) == 0o600  # it holds keys
    assert list(tmp_path.iterdir()) == []


def test_it_is_gone_after_ctrl_c_too_but_another_stacks_stays(stack: Stack, tmp_path: Path) -> None:
    path = tmp_path / "stack.json"
    with pytest.raises(KeyboardInterrupt), announced(stack, path):
        raise KeyboardInterrupt
    assert not path.exists()
    with announced(stack, path):
        path.write_text("another's")
    assert path.read_text() == "another's"


def test_nothing_of_the_callers_account_reaches_what_is_started() -> None:
    given = {"AWS_PROFILE": "production", "AWS_ACCESS_KEY_ID": "AKIA", "AWS_ENDPOINT_URL_SQS": "https://x", SCALE_VARIABLE: "9", "HOME": "/home/ann"}
    kept = _without_aws(given)
    assert kept["HOME"] == "/home/ann"
    assert not {"AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL_SQS", SCALE_VARIABLE} & kept.keys()
    assert kept["AWS_CONFIG_FILE"] == "/dev/null"


def test_every_destination_has_a_fake_and_a_connection_of_default_settings() -> None:
    kinds = known_kinds()
    assert CONNECTIONS.keys() == {*get_args(DestinationType)}
    assert VENDORS.keys() >= kinds.keys()
    for name, draft in CONNECTIONS.items():
        made = draft("http://127.0.0.1:3")
        assert made.type == name
        assert made.enabled
        kinds[name].parse_settings(made.settings)
        assert "http://127.0.0.1:3" in made.settings.values()


def test_what_the_owner_of_the_fake_account_enters_is_what_the_account_takes() -> None:
    entered = konnektive_connection("http://127.0.0.1:3")
    parsed = known_kinds()[entered["type"]].parse_settings(entered["settings"])
    assert isinstance(parsed, dict)
    assert (parsed["loginId"], parsed["password"]) == (LOGIN, PASSWORD)


def test_sam_asks_nobody_for_newer_versions_and_keeps_its_files_with_us(tmp_path: Path) -> None:
    env = environment({"PATH": "/usr/bin"}, temporary=tmp_path)
    assert env["SAM_CLI_TELEMETRY"] == "0"
    assert env["TMPDIR"] == str(tmp_path)
    notes = json.loads((Path(env["__SAM_CLI_APP_DIR"]) / "metadata.json").read_text())
    assert notes["lastVersionCheck"] > 0
    assert ".local" in Path(env["__SAM_CLI_APP_DIR"]).parts


def test_ctrl_c_while_the_launcher_is_still_being_imported_ends_it_in_silence(tmp_path: Path) -> None:
    (tmp_path / "boto3.py").write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(10)\n")
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-m", "local.stack", "--state", str(tmp_path)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root / 'layers' / 'tributary'}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
