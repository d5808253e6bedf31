"""The local stack's own promises: it is announced once it delivers, and it leaves no process, port or folder behind, however it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest

from local.sam import ROOT
from local.stack import Stack, StartFailed, running
from tests.e2e.conftest import SCALE
from tests.kit.deployed import unique, until
from tributary.clock import SCALE_VARIABLE

pytestmark = pytest.mark.e2e

LONGEST_START_SECONDS: Final = 180.0


class Launched:
    """`python -m local.stack`, as `make local` starts it, with a state folder of its own."""

    def __init__(self, state: Path, root: Path = ROOT) -> None:
        self.state = state
        self.temporary = state.with_name(f"{state.name}-temporary")
        self.temporary.mkdir(exist_ok=True)
        path = os.pathsep.join([str(root), str(root / "layers" / "tributary")])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local.stack", "--state", str(state)],
            cwd=root,
            env={**os.environ, "PYTHONPATH": path, "MARK": str(state), "TMPDIR": str(self.temporary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def announced(self) -> dict[str, Any]:
        """What `stack.json` says, once it is there."""
        file = self.state / "stack.json"
        until(lambda: file.exists() or self.process.poll() is not None, bool, patience=LONGEST_START_SECONDS)
        document = json.loads(file.read_text())
        assert isinstance(document, dict)
        return document

    def until_running(self, part: str) -> None:
        """Until a process of the stack has `part` in its command line."""
        until(lambda: any(part in command for command in self.processes().values()), bool, patience=LONGEST_START_SECONDS)

    def processes(self) -> dict[int, str]:
        """The processes that stem from it, zombies aside, with their command lines."""
        return {pid: command for pid, command in _processes() if _environment(pid).get("MARK") == str(self.state)}

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Signal it and wait; its exit code and what it printed."""
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output


def _processes() -> Iterator[tuple[int, str]]:
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if path.joinpath("stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                yield int(path.name), path.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has ended meanwhile
            continue


def _environment(pid: int) -> dict[str, str]:
    try:
        pairs = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return {}
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def _answers(url: str) -> bool:
    address = urlsplit(url)
    with socket.socket() as client:
        return client.connect_ex((address.hostname or "", address.port or 0)) == 0


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    """Start stacks; whatever a failed test leaves is killed."""
    started: list[Launched] = []

    def launch(name: str = "state", root: Path = ROOT) -> Launched:
        started.append(Launched(tmp_path / name, root))
        return started[-1]

    yield launch
    for each in started:
        for pid in each.processes():
            os.kill(pid, signal.SIGKILL)
        each.process.wait()
        assert each.process.stdout is not None
        each.process.stdout.close()


def left(launched: Launched) -> tuple[dict[int, str], list[str]]:
    """Processes and files that an ended stack left; both should be none."""
    return launched.processes(), sorted(path.name for folder in (launched.state, launched.temporary) for path in folder.iterdir())


NOTHING: Final[tuple[dict[int, str], list[str]]] = ({}, [])


def test_a_second_stack_beside_the_first_delivers_once_announced_and_leaves_nothing(stack: Stack, launch: Callable[..., Launched]) -> None:
    launched = launch()
    said = launched.announced()
    assert said.keys() == {"api_url", "write_key", "api_key", "emulator_url", "fakes"}
    urls = [said["api_url"], said["emulator_url"], *said["fakes"].values()]
    assert not {stack.api_url, stack.emulator_url, *stack.fakes.values()} & set(urls)
    person = unique("first")
    answer = httpx.post(f"{said['api_url']}/v1/track", json={"userId": person, "event": "Announced"}, auth=(said["write_key"], ""), trust_env=False)
    assert answer.status_code == 200
    with httpx.Client(trust_env=False) as client:
        requests = until(lambda: client.get(f"{said['fakes']['kissmetrics']}/__requests").json(), bool)
    assert requests[0]["query"]["_p"] == [person]
    assert len(launched.processes()) > 5  # the launcher, the emulator, the functions' workers
    code, output = launched.end()
    assert code == 0, output
    assert left(launched) == NOTHING
    assert [url for url in urls if _answers(url)] == []


def test_each_function_runs_on_what_its_layers_bring_and_on_the_stacks_clock(stack: Stack) -> None:
    """The interpreter of a worker is the isolated one: no package that a layer lacks is there by luck."""
    workers = {pid: command for pid, command in _processes() if str(stack.folder) in command and "_worker.py" in command}
    assert len(workers) >= 5
    assert [command for command in workers.values() if " -S " not in command] == []
    assert {_environment(pid).get(SCALE_VARIABLE) for pid in workers} == {str(SCALE)}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize("part", ["local.emulator", "sam deploy", "_worker.py"])
def test_ending_it_while_it_starts_leaves_nothing(launch: Callable[..., Launched], part: str, number: signal.Signals) -> None:
    launched = launch()
    launched.until_running(part)
    launched.end(number)
    assert left(launched) == NOTHING


@pytest.mark.slow
def test_two_that_are_ended_at_once_while_they_start_leave_nothing(launch: Callable[..., Launched]) -> None:
    one, other = launch("one"), launch("other")
    for each in (one, other):
        each.until_running("sam deploy")
    one.process.send_signal(signal.SIGINT)
    other.end()
    one.process.communicate(timeout=60)
    assert (left(one), left(other)) == (NOTHING, NOTHING)


@pytest.mark.slow
def test_a_launcher_that_is_killed_takes_its_emulator_along_and_the_next_start_clears_up(launch: Callable[..., Launched]) -> None:
    launched = launch()
    said = launched.announced()
    launched.process.kill()
    launched.process.wait()
    until(launched.processes, lambda processes: not processes)
    assert not _answers(said["emulator_url"])
    [folder] = launched.state.glob("run-*")
    again = launch()
    until(lambda: list(again.state.glob("run-*")), lambda folders: bool(folders) and folder not in folders)
    again.until_running("local.emulator")
    again.end()
    assert list(again.state.glob("run-*")) == []


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, to be broken."""
    for name in ("functions", "layers", "local"):
        shutil.copytree(ROOT / name, tmp_path / "project" / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "template.yaml", tmp_path / "project")
    return tmp_path / "project"


@pytest.mark.slow
def test_a_failed_deploy_says_why_and_leaves_nothing(launch: Callable[..., Launched], project: Path) -> None:
    template = project / "template.yaml"
    template.write_text(template.read_text().replace("    Type: AWS::SNS::Topic\n", "    Type: AWS::SNS::NoTopic\n"))
    launched = launch(root=project)
    output, _ = launched.process.communicate(timeout=LONGEST_START_SECONDS)
    assert launched.process.returncode == 1
    assert "sam deploy failed" in output
    assert "NoTopic" in output
    assert left(launched) == NOTHING


@pytest.mark.slow
def test_a_failed_build_says_why(project: Path, tmp_path: Path) -> None:
    (project / "layers" / "dependencies" / "requirements.txt").write_text("no-such-package==1.0 --hash=sha256:00\n")
    with pytest.raises(StartFailed, match=r"(?s)sam build failed.*Invalid hash"), running(tmp_path / "state", root=project):
        pass
    assert list((tmp_path / "state").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("function", ["record", "control_api"])
def test_a_function_that_does_not_start_is_named_with_its_error(project: Path, tmp_path: Path, function: str) -> None:
    handler = project / "functions" / function / "handler.py"
    handler.write_text(handler.read_text().replace("\nimport ", "\nimport no_such_package\nimport ", 1))
    with pytest.raises(StartFailed, match="no_such_package"), running(tmp_path / "state", root=project):
        pass
    assert list((tmp_path / "state").iterdir()) == []
