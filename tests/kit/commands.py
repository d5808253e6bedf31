"""The command line in process, on moto: a stack whose CloudFormation outputs are made up (moto would need more packages for those)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.kit.moto import create_table
from tributary.cli import __main__ as command_line
from tributary.operator import Operator

STACK = "shop"
OUTPUTS = {
    "ConfigTable": "config",
    "EventsTable": "events",
    "ContactsTable": "contacts",
    "SyncQueueUrl": "https://sqs.example/sync.fifo",
    "FactsQueueUrl": "https://sqs.example/facts",
    "FactsBucket": "facts",
    "ApiUrl": "https://api.example",
}


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class _CloudFormation:
    def __init__(self, outputs: dict[str, str]) -> None:
        self._outputs = outputs

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803  (boto3's)
        if StackName != STACK:
            raise ClientError({"Error": {"Code": "ValidationError", "Message": f"Stack with id {StackName} does not exist"}}, "DescribeStacks")
        return {"Stacks": [{"Outputs": [{"OutputKey": name, "OutputValue": value} for name, value in self._outputs.items()]}]}


class CommandLine:
    """`run("keys", "list")` runs the command against the stack, as a shell would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.outputs = dict(OUTPUTS)

    def run(self, *words: str, stack: str | None = STACK) -> Done:
        chosen = [] if stack is None else ["--stack", stack]
        self._monkeypatch.setattr("sys.argv", ["tributary", *chosen, *words])
        self._capsys.readouterr()
        try:
            command_line.main()
            code = 0
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        said = self._capsys.readouterr()
        return Done(code, said.out, said.err)

    def operator(self) -> Operator:
        from tributary.cli.target import of_stack, operator_of

        return operator_of(of_stack(STACK))

    def write_stack_file(self, folder: Path, **said: Any) -> Path:
        path = folder / "stack.json"
        path.write_text(json.dumps(said))
        return path


@contextmanager
def command_line_on_moto(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[CommandLine]:
    for name in list(os.environ):
        if name.startswith(("AWS_", "TRIBUTARY_")):
            monkeypatch.delenv(name)
    for name, value in {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    commands = CommandLine(monkeypatch, capsys)

    clients: dict[str, Any] = {"cloudformation": _CloudFormation(commands.outputs)}

    class Session(boto3.Session):
        """One client of each service for all commands: making one takes longer than what it is used for here."""

        def client(self, service_name: str, *args: Any, **rest: Any) -> Any:
            if service_name not in clients:
                clients[service_name] = super().client(service_name, *args, **rest)  # type: ignore[call-overload]
            return clients[service_name]

    with mock_aws():
        for table in ("config", "events", "contacts"):
            create_table(boto3.client("dynamodb"), table)
        monkeypatch.setattr(boto3, "Session", Session)
        yield commands
