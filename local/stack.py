"""The local stack: the emulator, the deployed template, the vendor fakes, and the keys to use them.

    python -m local.stack           until Ctrl-C; `.local/stack.json` says where it is
    with running(folder) as stack:  the same, from code

Several may run at once: each has ports, a folder and an emulator of its own.
"""

from __future__ import annotations

import os
import signal
import sys

if __name__ == "__main__":
    # Half a second of imports follows, in which nothing is started yet: Ctrl-C just ends us.
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))

import argparse
import json
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Final, NoReturn

import boto3
from botocore.config import Config

from local import sam
from local.build import BuildFailed, built
from local.fakes import server as fakes
from local.fakes.konnektive import vendor as konnektive
from local.processes import Group, interruptible, lives, uninterrupted
from tributary.cli.target import LOCAL_CREDENTIALS, LOCAL_REGION, of_stack, operator_of
from tributary.clock import SCALE_VARIABLE
from tributary.drafts import NewConnection

STACK_NAME: Final = "tributary"
PREFERRED_PORTS: Final = (4510, 4511)
"""AWS's API and the deployed API, when nobody else has them: an address that stays the same from one start to the next."""
POSTBACK_SECRET: Final = "local-postback-secret"
ARTIFACTS_BUCKET: Final = "artifacts"
LONGEST_BOOT_SECONDS: Final = 90.0
"""Of the emulator; its first start on a machine compiles it, which took 25 s."""
LONGEST_CALL_SECONDS: Final = 60

CONNECTIONS: Final[Mapping[str, Callable[[str], NewConnection]]] = {
    "kissmetrics": lambda url: NewConnection(type="kissmetrics", label="Kissmetrics", settings={"apiKey": "local-kissmetrics-key", "endpoint": url}),
}
"""For each destination, a connection of default settings that points at its fake."""

Say = Callable[[str], None]


class StartFailed(Exception):
    """The stack did not come up; the text says which step failed, and its last lines."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A running local stack."""

    api_url: str
    write_key: str
    api_key: str
    emulator_url: str
    fakes: Mapping[str, str]
    """Base URL of each vendor's fake."""
    folder: Path
    """Logs: `emulator.log`, `sam.log`, `functions/<name>.log`."""
    outputs: Mapping[str, str]
    """The template's outputs."""
    connections: Mapping[str, str]
    """Id of the connection of each destination."""
    sessions: boto3.Session = field(repr=False)

    def client(self, service: Any) -> Any:
        """A boto3 client on the emulator."""
        return self.sessions.client(service, endpoint_url=self.emulator_url, config=Config(proxies={}))

    def as_document(self) -> dict[str, Any]:
        """What `stack.json` says."""
        return {"api_url": self.api_url, "write_key": self.write_key, "api_key": self.api_key, "emulator_url": self.emulator_url, "fakes": dict(self.fakes)}


@contextmanager
def running(state: Path, *, scale: float = 1.0, shop: int = 0, say: Say = lambda _: None, root: Path = sam.ROOT) -> Iterator[Stack]:
    """Start a stack, and end it with the block: processes, ports and its folder below `state`. `scale`: how much faster than real time the functions wait.
    `shop`: customers of the fake Konnektive account, which is then connected. Raises `StartFailed`."""
    with ExitStack() as everything:
        starting = _Starting(everything, root=root, state=state, scale=scale, shop=shop, say=say)
        try:
            stack = starting.start()
        except BaseException:
            with uninterrupted():
                everything.close()
            raise
        try:
            yield stack
        finally:
            with uninterrupted():
                everything.close()


class _Starting:
    """The steps, in order; what each started is ended by `everything`."""

    def __init__(self, everything: ExitStack, *, root: Path, state: Path, scale: float, shop: int, say: Say) -> None:
        self._everything = everything
        self._root = root
        self._state = state
        self._scale = scale
        self._shop = shop
        self._say = say
        self._began = time.monotonic()
        self._said = self._began

    def start(self) -> Stack:
        folder = self._folder()
        emulator, emulator_url, api_url = self._emulator(folder)
        template = self._built(folder)
        self._until_answers(emulator, emulator_url)
        session = boto3.Session(*LOCAL_CREDENTIALS, region_name=LOCAL_REGION)
        outputs = self._deployed(folder, template, emulator_url, session)
        urls = self._fakes()
        keys = self._keys(emulator_url, urls)
        stack = Stack(api_url=api_url, emulator_url=emulator_url, fakes=urls, folder=folder, outputs=outputs, sessions=session, **keys)
        self._until_functions_answer(stack)
        if self._shop:
            stack = replace(stack, connections={**stack.connections, "konnektive": self._connect_konnektive(stack)})
        self._say(f"{'ready':<12}{api_url:<52}{time.monotonic() - self._began:6.1f} s")
        return stack

    def _done(self, step: str, what: str) -> None:
        now = time.monotonic()
        self._say(f"{step:<12}{what:<52}{now - self._said:6.1f} s")
        self._said = now

    def _folder(self) -> Path:
        """A folder of our own, that names us; those whose owner is gone are removed."""
        self._state.mkdir(parents=True, exist_ok=True)
        for left in self._state.glob("run-*-*"):
            if not lives(int(left.name.split("-")[1])):
                shutil.rmtree(left, ignore_errors=True)
        with uninterrupted():
            folder = next(path for number in count() if not (path := self._state / f"run-{os.getpid()}-{number}").exists())
            folder.mkdir()
            self._everything.callback(shutil.rmtree, folder, ignore_errors=True)
        for name in ("tmp", "functions"):
            (folder / name).mkdir()
        return folder

    def _emulator(self, folder: Path) -> tuple[Group, str, str]:
        with ExitStack() as sockets:
            aws, api = (sockets.enter_context(_listening(port)) for port in PREFERRED_PORTS)
            aws_port, api_port = aws.getsockname()[1], api.getsockname()[1]
            url = f"http://127.0.0.1:{aws_port}"
            command = [sys.executable, "-m", "local.emulator", "--aws-socket", aws.fileno(), "--api-socket", api.fileno(), "--api-port", api_port]
            command += ["--logs", folder / "functions"]
            env = {
                **_without_aws(os.environ),
                "AWS_ENDPOINT_URL": url,
                "BIND_HOST": "127.0.0.1",
                "DOCKER_HOST": f"unix://{folder}/no-docker",
                "GATEWAY_PORT": str(aws_port),
                "IOT_MTLS_ENABLED": "0",
                "LAMBDA_EXECUTOR": "local",
                "MINISTACK_HOST": "127.0.0.1",
                "PYTHONPATH": os.pathsep.join([str(self._root), str(self._root / "layers" / "tributary")]),
                "S3_DATA_DIR": str(folder / "tmp" / "s3"),
                "SFTP_ENABLED": "0",
                "STATE_DIR": str(folder / "tmp" / "state"),
                "TMPDIR": str(folder / "tmp"),
                SCALE_VARIABLE: str(self._scale),
            }
            with uninterrupted():
                emulator = Group([str(part) for part in command], env=env, cwd=self._root, log=folder / "emulator.log", pass_fds=[aws.fileno(), api.fileno()])
                self._everything.callback(emulator.stop)
        return emulator, url, f"http://127.0.0.1:{api_port}"

    def _built(self, folder: Path) -> Path:
        try:
            template, fresh = built(self._root, env=sam.environment(_without_aws(os.environ), temporary=folder / "tmp"), log=folder / "sam.log")
        except BuildFailed as failure:
            _fail("sam build failed", str(failure))
        self._done("build", "functions and layers for this machine" if fresh else "unchanged since an earlier start")
        return template

    def _until_answers(self, emulator: Group, url: str) -> None:
        until = time.monotonic() + LONGEST_BOOT_SECONDS
        while True:
            if emulator.ended() or time.monotonic() > until:
                _fail("the emulator did not start", emulator.last_lines())
            try:
                status, _ = _get(f"{url}/_ministack/health", timeout=2)
            except OSError:
                continue
            if status == 200:
                break
        self._done("emulator", url)

    def _deployed(self, folder: Path, template: Path, url: str, session: boto3.Session) -> dict[str, str]:
        session.client("s3", endpoint_url=url, config=Config(proxies={})).create_bucket(Bucket=ARTIFACTS_BUCKET)
        env = {
            **sam.environment(_without_aws(os.environ), temporary=folder / "tmp"),
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": LOCAL_CREDENTIALS[0],
            "AWS_SECRET_ACCESS_KEY": LOCAL_CREDENTIALS[1],
            "AWS_DEFAULT_REGION": LOCAL_REGION,
            "NO_PROXY": "127.0.0.1",
            "SAM_CLI_POLL_DELAY": "0.1",
        }
        command = ["sam", "deploy", "--template-file", template, "--stack-name", STACK_NAME, "--s3-bucket", ARTIFACTS_BUCKET]
        command += ["--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND", "--no-confirm-changeset", "--no-progressbar"]
        with uninterrupted():
            deploy = Group(command, env=env, cwd=folder, log=folder / "sam.log")
            self._everything.callback(deploy.stop)
        if deploy.wait() != 0:
            _fail("sam deploy failed", deploy.last_lines())
        deployed = session.client("cloudformation", endpoint_url=url, config=Config(proxies={})).describe_stacks(StackName=STACK_NAME)["Stacks"][0]
        self._done("deploy", f"stack {STACK_NAME}")
        return {output["OutputKey"]: output["OutputValue"] for output in deployed["Outputs"]}

    def _fakes(self) -> dict[str, str]:
        with uninterrupted():
            fake_vendors = fakes.start(sorted(fakes.VENDORS))
            self._everything.callback(fake_vendors.stop)
        self._done("vendors", f"fakes of {', '.join(fake_vendors.urls)}")
        return fake_vendors.urls

    def _keys(self, emulator_url: str, urls: Mapping[str, str]) -> dict[str, Any]:
        """The stack's write key, API key and connections."""
        operator = operator_of(of_stack(STACK_NAME, endpoint_url=emulator_url, region=LOCAL_REGION, credentials=LOCAL_CREDENTIALS))
        made = operator.init()
        assert made.source is not None
        assert made.api_key is not None
        connections = {name: operator.create_connection(draft(urls[name])).value.id for name, draft in CONNECTIONS.items()}
        self._done("keys", f"a source, an API key, {len(connections)} connection{'s' if len(connections) != 1 else ''}")
        return {"write_key": made.source.write_key, "api_key": made.api_key.secret, "connections": connections}

    def _until_functions_answer(self, stack: Stack) -> None:
        """Every function on the way of an event answers an empty batch or a harmless request: it is started, and a mistake in it shows now."""
        lambdas = stack.client("lambda")
        mappings = lambdas.list_event_source_mappings()["EventSourceMappings"]
        waiting = {mapping["FunctionArn"] for mapping in mappings if mapping["State"] == "Enabled"}

        def answer_empty_batch(function: str) -> None:
            answer = lambdas.invoke(FunctionName=function, Payload=b'{"Records": []}')
            if "FunctionError" in answer:
                _fail(f"{function.rsplit(':', maxsplit=1)[-1]} does not start", str(json.loads(answer["Payload"].read()).get("errorMessage")))

        def answer_request(method: str, path: str) -> None:
            status, body = _get(f"{stack.api_url}{path}", method=method, timeout=LONGEST_CALL_SECONDS)
            if status >= 500:
                _fail(f"{method} {path} answers {status}", body.decode(errors="replace") + "\n" + _last_function_lines(stack.folder))

        with ThreadPoolExecutor(os.cpu_count() or 2) as callers:
            calls = [callers.submit(answer_empty_batch, function) for function in sorted(waiting)]
            calls += [callers.submit(answer_request, method, path) for method, path in (("OPTIONS", "/v1/batch"), ("GET", "/healthz"))]
            for call in calls:
                call.result()
        self._done("functions", f"{len(waiting) + 2} answer")

    def _connect_konnektive(self, stack: Stack) -> str:
        """A shop of the size that was asked for, connected as its owner would: its history begins to be read at once."""
        grown = call(f"{stack.fakes['konnektive']}/__shop", {"grow": self._shop})["grow"]
        connection = call(f"{stack.api_url}/api/connections", konnektive_connection(stack.fakes["konnektive"]), key=stack.api_key)
        self._done("shop", ", ".join(f"{count:,} {what}" for what, count in grown.items()))
        return str(connection["id"])


def konnektive_connection(url: str) -> dict[str, Any]:
    """What the owner of the fake account enters."""
    return {
        "type": "konnektive",
        "label": "Konnektive",
        "settings": {"loginId": konnektive.LOGIN, "password": konnektive.PASSWORD, "baseUrl": url, "postbackSecret": POSTBACK_SECRET},
    }


def call(url: str, body: Any = None, *, key: str | None = None, method: str = "POST") -> Any:
    """A request to the API or to a fake's controls, and its JSON. Raises `StartFailed` with what it answers instead."""
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
    request = urllib.request.Request(url, method=method, headers=headers, data=None if body is None else json.dumps(body).encode())
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=LONGEST_CALL_SECONDS) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            _fail(f"{method} {url} answers {error.code}", error.read().decode(errors="replace"))


def _fail(what: str, lines: str) -> NoReturn:
    raise StartFailed(f"{what}:\n{lines}")


def _last_function_lines(folder: Path) -> str:
    logs = sorted((folder / "functions").glob("*.log"), key=lambda path: path.stat().st_mtime)
    return "\n".join(logs[-1].read_text().splitlines()[-10:]) if logs else ""


@contextmanager
def _listening(preferred: int) -> Iterator[socket.socket]:
    """A listening socket on the port, or on a free one where it is taken."""
    try:
        listening = socket.create_server(("127.0.0.1", preferred), backlog=256)
    except OSError:
        listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    with listening:
        yield listening


def _without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    """Without the caller's account, endpoints and profile, so that nothing here can reach AWS."""
    kept = {name: value for name, value in environment.items() if not name.startswith("AWS_") and name != SCALE_VARIABLE}
    return {**kept, "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}


def _get(url: str, *, method: str = "GET", timeout: float) -> tuple[int, bytes]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, method=method), timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


# ---------------------------------------------------------------------- python -m local.stack


@contextmanager
def announced(stack: Stack, path: Path) -> Iterator[None]:
    """Keep `stack.json` in place for the block, whole at any moment. Another stack's is left alone at the end."""
    text = json.dumps(stack.as_document(), indent=2) + "\n"
    with uninterrupted():
        partly = path.with_name(f"{path.name}.{os.getpid()}")
        partly.write_text(text)
        partly.chmod(0o600)
        partly.rename(path)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            if path.read_text() == text:
                path.unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m local.stack", description="Run the local stack until Ctrl-C.")
    parser.add_argument("--state", type=Path, default=sam.ROOT / ".local", help="folder for stack.json and, while it runs, everything else (default: .local)")
    parser.add_argument("--scale", type=float, default=1.0, help="how much faster than real time the functions wait (default: 1)")
    parser.add_argument("--shop", type=int, default=0, help="customers of a fake Konnektive account to connect (default: none)")
    given = parser.parse_args(arguments)
    state = given.state.resolve()
    try:
        with interruptible(), running(state, scale=given.scale, shop=given.shop, say=_say) as stack, announced(stack, state / "stack.json"):
            _explain(stack, state / "stack.json")
            while True:
                time.sleep(3600)
    except StartFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        _say("stopped")
        return 0


def _explain(stack: Stack, path: Path) -> None:
    lines = [f"API         {stack.api_url}", f"write key   {stack.write_key}", f"API key     {stack.api_key}"]
    lines += [f"{name:<12}{url}/__requests" for name, url in stack.fakes.items()]
    lines += [f"logs        {stack.folder}/functions", f"all of it   {path}", "Ctrl-C stops it."]
    _say("\n" + "\n".join(lines))


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
