"""What is added to the emulator, held to its insides: a new version of it must fail here first."""

from __future__ import annotations

import hashlib
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ministack.core.lambda_runtime as runtime
import pytest
from ministack.services import sqs

from local import patches


def test_the_installed_emulator_is_the_one_that_was_read() -> None:
    patches.check_internals()


@pytest.mark.parametrize("name", ["ministack.services.sqs:_collect_fifo", "ministack.services.sqs:no_more", "ministack.no_more:function"])
def test_an_emulator_that_reads_differently_is_refused_and_the_part_named(name: str) -> None:
    with pytest.raises(patches.EmulatorChanged, match=name):
        patches.check_internals({**patches.RELIED_ON, name: "000000000000"})


def test_another_version_is_refused_even_if_every_part_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "VERSION", "1.5.34")
    with pytest.raises(patches.EmulatorChanged, match=r"1\.5\.34"):
        patches.check_internals()


def test_the_pinned_version_is_the_one_that_was_read() -> None:
    locked = (Path(__file__).parents[3] / "requirements-dev.txt").read_text()
    assert f"ministack=={patches.VERSION} " in locked


# ---------------------------------------------------------------------- code, unpacked once


@pytest.fixture
def code(tmp_path: Path) -> bytes:
    path = tmp_path / "made.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("handler.py", "VALUE = 7\n")
    return path.read_bytes()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(runtime, "zipfile", zipfile)
    patches.unpack_once(tmp_path / "code")
    yield tmp_path / "code"
    del patches._UnpackedOnce.folder


def unpack(code: bytes, worker: Path) -> Path:
    """As MiniStack's worker does."""
    target = worker / "layer"
    target.mkdir(parents=True)
    (worker / "layer.zip").write_bytes(code)
    with runtime.zipfile.ZipFile(str(worker / "layer.zip")) as archive:
        assert archive.namelist() == []
        archive.extractall(str(target))
    return target


def test_two_workers_share_one_copy_of_their_code(code: bytes, folder: Path, tmp_path: Path) -> None:
    one, other = unpack(code, tmp_path / "one"), unpack(code, tmp_path / "other")
    assert (one / "handler.py").read_text() == "VALUE = 7\n"
    assert one.resolve() == other.resolve() == folder / hashlib.sha256(code).hexdigest()[:32]
    assert list(tmp_path.glob("*/layer.zip")) == []


# ---------------------------------------------------------------------- what a function sees


def test_a_function_sees_the_runtimes_packages_and_nothing_else_of_this_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_detect_runtime_binary", runtime._detect_runtime_binary)
    patches.isolate_functions(tmp_path / "runtime")
    python, script = runtime._detect_runtime_binary("python3.13")
    assert "def run()" in script

    def imports(name: str) -> bool:
        return subprocess.run([python, "-c", f"import {name}"], check=False, capture_output=True).returncode == 0

    assert [name for name in ("json", *patches.RUNTIME_PACKAGES) if not imports(name)] == []
    assert [name for name in ("pytest", "ministack", "msgspec", "tributary", "aws_lambda_powertools") if imports(name)] == []


# ---------------------------------------------------------------------- queues


def test_a_send_waits_while_another_thread_changes_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_queues_lock", "_expire_retained", "_dlq_sweep", "_collect_msgs", "_refresh_counts"):
        monkeypatch.setattr(sqs, name, getattr(sqs, name))
    monkeypatch.setattr(sqs, "_HANDLERS", dict(sqs._HANDLERS))
    patches.guard_queues()
    url = sqs._HANDLERS["CreateQueue"]({"QueueName": "guarded"}, "")["QueueUrl"]

    def send() -> Any:
        return sqs._HANDLERS["SendMessage"]({"QueueUrl": url, "MessageBody": "one"}, url)

    try:
        with sqs._queues_lock:  # as the thread of a mapping holds it while it sweeps
            sender = threading.Thread(target=send)
            sender.start()
            sender.join(0.1)
            assert sender.is_alive()
            assert sqs._queues[url]["messages"] == []
        sender.join()
        assert [message["body"] for message in sqs._queues[url]["messages"]] == ["one"]
    finally:
        sqs._HANDLERS["DeleteQueue"]({"QueueUrl": url}, url)
