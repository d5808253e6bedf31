"""Processes that are gone when we say so."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local.processes import Group, Interrupted, interruptible, uninterrupted

PATIENCE_SECONDS = 10.0

PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"


def python(code: str, tmp_path: Path) -> Group:
    return Group([sys.executable, "-c", code], env=os.environ, cwd=tmp_path, log=tmp_path / "log")


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_stopping_a_process_ends_what_it_started_too(tmp_path: Path) -> None:
    with python(PARENT, tmp_path) as group:
        until(lambda: group.last_lines().strip().isdigit())
        child = int(group.last_lines())
        assert lives(child)
    assert group.ended()
    until(lambda: not lives(child))


def test_a_process_that_does_not_listen_is_ended_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.processes.PATIENCE_SECONDS", 0.2)
    group = python(DEAF, tmp_path)
    until(lambda: "ready" in group.last_lines())
    group.stop()
    assert group.ended()
    group.stop()  # again does nothing


def test_the_last_lines_tell_what_went_wrong(tmp_path: Path) -> None:
    group = python("import sys; print('one'); sys.exit('two')", tmp_path)
    assert group.wait() == 1
    assert group.last_lines(1) == "two"
    assert group.last_lines() == "one\ntwo"
    group.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_ending_signal_interrupts(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Interrupted), interruptible():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_a_signal_waits_until_the_block_is_over() -> None:
    steps: list[str] = []

    def block() -> None:
        with interruptible(), uninterrupted():
            signal.raise_signal(signal.SIGTERM)
            steps.append("the rest of the block")

    with pytest.raises(Interrupted):
        block()
    assert steps == ["the rest of the block"]
