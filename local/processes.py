"""Processes that we start, gone when we say so: each leads a group of its own, so that Ctrl-C reaches us alone and nothing it started outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final, Self

PATIENCE_SECONDS: Final = 8.0
"""What a process gets to end by itself: the emulator ends its workers, which takes up to 2.5 s."""
ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or the signal by which a terminal or a supervisor ends us."""


class Group:
    """A started process and whatever it starts. Its output goes to `log`; its standard input stays open for as long as we live."""

    def __init__(self, command: Sequence[object], *, env: Mapping[str, str], cwd: Path, log: Path, pass_fds: Sequence[int] = ()) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=pass_fds,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self) -> int:
        return self._process.wait()

    def ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> None:
        """End it, asked first, and everything of its group. Again does nothing."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE_SECONDS)
        until = time.monotonic() + PATIENCE_SECONDS
        while self._kill_group() and time.monotonic() < until:
            self._process.poll()
            time.sleep(0.01)

    def last_lines(self, count: int = 25) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])

    def _kill_group(self) -> bool:
        """Whether anybody was left."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def lives(pid: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn every ending signal into `Interrupted`, as Ctrl-C is; within `uninterrupted` it waits."""
    with _handling(_interrupt):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let an ending signal wait until the block is over, so that what was started is noted and a clean-up completes. Nothing outside the main thread."""
    arrived: list[int] = []
    with _handling(lambda number, _: arrived.append(number)):
        yield
    if arrived:
        raise Interrupted


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise Interrupted


@contextmanager
def _handling(handler: signal._HANDLER) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in ENDING_SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
