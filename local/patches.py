"""What our template needs and MiniStack 1.5.33 lacks, added from outside, each in a function that changes one thing.

MiniStack has no seams for it, so its insides are relied on: `check_internals` refuses a version whose relied-on parts read differently.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import importlib.util
import inspect
import sys
import threading
import zipfile
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import boto3
import ministack.core.lambda_runtime as runtime
import ministack.services.lambda_svc as lambdas
import samtranslator.translator.transform as sam
from ministack.core.responses import get_account_id, get_region
from ministack.services import apigateway, dynamodb, sqs
from ministack.services.cloudformation import provisioners

from local import http_api
from local.event_sources import EventSources

VERSION: Final = "1.5.33"

RELIED_ON: Final[Mapping[str, str]] = {
    "ministack.core.lambda_runtime:Worker._spawn": "c55febf95656",
    "ministack.core.lambda_runtime:Worker._drain_stderr_bounded": "3fd7cc742872",
    "ministack.core.lambda_runtime:Worker.invoke": "96751a754710",
    "ministack.core.lambda_runtime:_detect_runtime_binary": "222e200df2c0",
    "ministack.core.lambda_runtime:reset": "03a9add47fe3",
    "ministack.core.responses:request_scope": "c1ee92e8e8c7",
    "ministack.services.apigateway:_handle_execute_in_scope": "aa60b8b0dfaa",
    "ministack.services.apigateway:_invoke_lambda_proxy": "fbe5024fcd36",
    "ministack.services.apigateway:_match_route": "c47ed1dc647e",
    "ministack.services.apigateway:_v2_request_body_is_text": "507d7acaf07f",
    "ministack.services.cloudformation.engine:_apply_transforms": "d3f0e05e08db",
    "ministack.services.cloudformation.provisioners:_ddb_create": "277586e016c6",
    "ministack.services.cloudformation.provisioners:_lambda_esm_create": "f053a4e8c30c",
    "ministack.services.dynamodb:_emit_stream_event": "8568d0446f26",
    "ministack.services.dynamodb:_update_ttl": "e8243a4fbbb8",
    "ministack.services.dynamodb:stream_records_since": "aed31a353fda",
    "ministack.services.dynamodb:stream_start_position": "3b822e76fbb1",
    "ministack.services.lambda_svc:_apply_filter_criteria": "d8d7d5c8f77e",
    "ministack.services.lambda_svc:_emit_lambda_logs": "111efbf06968",
    "ministack.services.lambda_svc:_ensure_poller": "a21371869881",
    "ministack.services.lambda_svc:_execute_function": "3ceb16d6480a",
    "ministack.services.lambda_svc:_get_func_record_for_qualifier": "a86e90478088",
    "ministack.services.lambda_svc:_init_stream_position": "bef560b23a1a",
    "ministack.services.lambda_svc:_iter_all_esms": "7db06c0627a5",
    "ministack.services.sqs:_act_receive_message": "abc94f693de1",
    "ministack.services.sqs:_act_send_message": "3abd766508c8",
    "ministack.services.sqs:_collect_fifo": "dc84c5a1db0b",
    "ministack.services.sqs:_collect_msgs": "308a6eb1b3d4",
    "ministack.services.sqs:_delete_messages_for_esm": "c1686f29b48b",
    "ministack.services.sqs:_dispatch": "6a429fdb61eb",
    "ministack.services.sqs:_dlq_sweep": "6a77691e1671",
    "ministack.services.sqs:_queue_by_arn": "b4981875c818",
    "ministack.services.sqs:_receive_messages_for_esm": "f230dbcd4974",
    "ministack.app:_parse_execute_api_url": "13d571174968",
    "ministack.app:_resolve_stage_and_path": "e44464f6865c",
}
"""What is replaced, called or assumed, and a digest of its source as it was read when this was written."""

RUNTIME_PACKAGES: Final = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
"""What Lambda's Python runtime brings besides the standard library."""

LOG_WAIT_SECONDS: Final = (0.005, 0.003, 0.250)
"""Wait for a first log line, quiet time after the last, at most. Stock waits 50 ms for a line that a silent handler never writes."""

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class EmulatorChanged(Exception):
    """MiniStack is not what this was written for."""


def check_internals(relied_on: Mapping[str, str] = RELIED_ON) -> None:
    """Raise `EmulatorChanged`, naming what differs."""
    installed = version("ministack")
    differs = [name for name, digest in relied_on.items() if digest_of(name) != digest]
    if installed != VERSION or differs:
        raise EmulatorChanged(
            f"local/patches.py is written for ministack {VERSION}, and {installed} is installed. "
            f"Read again what it relies on, then renew VERSION and RELIED_ON: {', '.join(differs) or 'nothing differs'}"
        )


def digest_of(name: str) -> str:
    """Digest of the source of `module:attribute`; `missing` when it is not there."""
    module, _, attribute = name.partition(":")
    try:
        thing: Any = importlib.import_module(module)
        for part in attribute.split("."):
            thing = getattr(thing, part)
        return hashlib.sha256(inspect.getsource(thing).encode()).hexdigest()[:12]
    except (ImportError, AttributeError):
        return "missing"


def expand_http_apis() -> None:
    """Give an HTTP API its routes: MiniStack ignores the `Body` that SAM's HttpApi becomes."""
    translate = sam.transform
    sam.transform = lambda *given, **options: http_api.expand(translate(*given, **options))


def keep_expiry() -> None:
    """Apply a table's `TimeToLiveSpecification`."""
    create = provisioners._ddb_create

    def with_expiry(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        created = create(logical_id, properties, stack)
        stated = properties.get("TimeToLiveSpecification")
        if stated:
            enabled = str(stated["Enabled"]).lower() == "true"
            dynamodb._update_ttl({"TableName": created[0], "TimeToLiveSpecification": {**stated, "Enabled": enabled}})
        return created

    provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]["create"] = with_expiry


def keep_compressed_bodies() -> None:
    """Hand a compressed body to a function in base64, as AWS does. Stock takes a content type of JSON for text, and what is not UTF-8 in it is lost."""
    invoke, is_text = apigateway._invoke_lambda_proxy, apigateway._v2_request_body_is_text
    compressed: ContextVar[bool] = ContextVar("compressed", default=False)

    async def noting(*given: Any, **options: Any) -> Any:
        headers = given[5]
        compressed.set("content-encoding" in headers)
        return await invoke(*given, **options)

    apigateway._invoke_lambda_proxy = noting
    apigateway._v2_request_body_is_text = lambda content_type: not compressed.get() and is_text(content_type)


def route_preflights() -> None:
    """Let an OPTIONS request to an API without `CorsConfiguration` go to its route, as AWS does. Stock refuses it before it looks for a route, but only as long
    as the method is in capitals."""
    execute, match, invoke = apigateway._handle_execute_in_scope, apigateway._match_route, apigateway._invoke_lambda_proxy

    async def execute_in_small(api: str, stage: str, path: str, method: str, *rest: Any) -> Any:
        unanswered = method == "OPTIONS" and not (apigateway._apis.get(api) or {}).get("corsConfiguration")
        return await execute(api, stage, path, "options" if unanswered else method, *rest)

    async def invoke_in_capitals(integration: Any, api: str, stage: str, path: str, method: str, *rest: Any, **options: Any) -> Any:
        return await invoke(integration, api, stage, path, method.upper(), *rest, **options)

    apigateway._handle_execute_in_scope = execute_in_small
    apigateway._match_route = lambda api, method, path: match(api, method.upper(), path)
    apigateway._invoke_lambda_proxy = invoke_in_capitals


def guard_queues() -> None:
    """Let no thread change a queue while another does. Stock replaces a queue's list of messages both where the API is served and where a mapping polls: of
    5,000 sent to a queue that was received from in both places, 15 to 50 were lost."""
    lock = threading.RLock()
    sqs._queues_lock = lock

    def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            with lock:
                return function(*given)

        return call

    for name in ("_expire_retained", "_dlq_sweep", "_collect_msgs", "_refresh_counts"):
        setattr(sqs, name, guarded(getattr(sqs, name)))
    for action, function in list(sqs._HANDLERS.items()):
        if not asyncio.iscoroutinefunction(function):  # ReceiveMessage sleeps, and changes a queue through the guarded functions alone
            sqs._HANDLERS[action] = guarded(function)


def serve_event_sources(*, scale: float, endpoint: str) -> Callable[[], None]:
    """Replace the poll thread; answers how to stop."""

    def keep(bucket: str, key: str, document: bytes) -> None:
        s3 = boto3.client("s3", endpoint_url=endpoint, region_name=get_region(), aws_access_key_id=get_account_id(), aws_secret_access_key="local")
        s3.put_object(Bucket=bucket, Key=key, Body=document)

    sources = EventSources(scale=scale, keep=keep)
    lambdas._poll_loop = sources.run
    return sources.stop


class _UnpackedOnce:
    """Stands in for `zipfile.ZipFile` where a worker unpacks its code: each archive once, into a folder that is linked from then on, so that bytecode stays."""

    folder: Path
    _lock: Final = threading.Lock()

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def __enter__(self) -> _UnpackedOnce:
        return self

    def __exit__(self, *_: object) -> None:
        self._path.unlink()

    def namelist(self) -> list[str]:
        """Read by a check for members that leave the folder; `extractall` never lets them."""
        return []

    def extractall(self, target: str) -> None:
        with self._path.open("rb") as archive:
            unpacked = self.folder / hashlib.file_digest(archive, "sha256").hexdigest()[:32]
        with self._lock:
            if not unpacked.exists():
                partly = unpacked.with_suffix(".partly")
                with zipfile.ZipFile(self._path) as members:
                    members.extractall(partly)
                partly.rename(unpacked)
        Path(target).rmdir()
        Path(target).symlink_to(unpacked)


def unpack_once(folder: Path) -> None:
    """Share unpacked code and layers between workers."""
    _UnpackedOnce.folder = folder
    folder.mkdir()
    errors = {name: getattr(zipfile, name) for name in ("BadZipFile", "LargeZipFile")}
    runtime.zipfile = SimpleNamespace(ZipFile=_UnpackedOnce, LargeFileError=zipfile.LargeZipFile, **errors)


def wait_briefly_for_logs() -> None:
    """Answer a silent handler's call without the 50 ms of stock."""
    runtime.Worker._drain_stderr_bounded.__defaults__ = LOG_WAIT_SECONDS


def isolate_functions(folder: Path) -> None:
    """Show a function what Lambda would: its layers and the runtime's own packages. Stock shows it all of this environment, so that a requirement that the
    layer lacks goes unnoticed."""
    folder.mkdir()
    for name in RUNTIME_PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise EmulatorChanged(f"{name}, a package of the Lambda runtime, is not installed")
        origin = Path(spec.origin)
        (folder / (name if origin.name == "__init__.py" else origin.name)).symlink_to(origin.parent if origin.name == "__init__.py" else origin)
    interpreter = folder / "python"
    interpreter.write_text(f"#!/bin/sh\nPYTHONPATH='{folder}' exec '{sys.executable}' -S \"$@\"\n")
    interpreter.chmod(0o755)
    detect = runtime._detect_runtime_binary

    def isolated(name: str) -> tuple[str, str]:
        binary, script = detect(name)
        return (str(interpreter), script) if name.startswith("python") else (binary, script)

    runtime._detect_runtime_binary = isolated


def write_function_logs(folder: Path) -> None:
    """Each function's log also as a file, to be followed while it runs."""
    folder.mkdir(exist_ok=True)
    emit = lambdas._emit_lambda_logs

    def emit_and_write(function: dict[str, Any], request: str, text: str, *rest: Any, **options: Any) -> None:
        if text:
            config = function.get("config") or function
            with (folder / f"{config['FunctionName']}.log").open("a") as log:
                log.write(text + "\n")
        emit(function, request, text, *rest, **options)

    lambdas._emit_lambda_logs = emit_and_write


def serve_api_at_root(app: App, port: int) -> App:
    """Show the deployed HTTP API at the root of `port`, as on AWS it is at the root of its host."""

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["server"][1] == port:
            api = next((key[2] for key in list(apigateway._apis._data)), "none")
            prefix = f"/_aws/execute-api/{api}/$default"
            scope = {**scope, "path": prefix + scope["path"], "raw_path": prefix.encode() + scope["raw_path"]}
        await app(scope, receive, send)

    return route


if __name__ == "__main__":
    for relied_on in RELIED_ON:
        print(f'    "{relied_on}": "{digest_of(relied_on)}",')
