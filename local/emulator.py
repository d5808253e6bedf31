"""The AWS emulator as a process: MiniStack with our additions. Started by `local.stack`; everything else in the stack speaks to it as to AWS.

Takes two listening sockets by descriptor, one for AWS's API and one for the deployed HTTP API, and ends when its standard input does: with whoever started it,
however that ended.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final

import ministack.core.lambda_runtime as runtime
from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app

from local import patches
from tributary.clock import SystemClock

LONGEST_FAREWELL_SECONDS: Final = 1
"""For requests under way when it ends."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--aws-socket", type=int, required=True, help="descriptor of the listening socket for AWS's API")
    arguments.add_argument("--api-socket", type=int, required=True, help="descriptor of the listening socket for the deployed HTTP API")
    arguments.add_argument("--api-port", type=int, required=True)
    arguments.add_argument("--logs", type=Path, required=True, help="folder for the functions' logs")
    given = arguments.parse_args()

    patches.check_internals()
    work = Path(tempfile.mkdtemp(prefix="emulator-"))
    patches.expand_http_apis()
    patches.keep_expiry()
    patches.keep_compressed_bodies()
    patches.route_preflights()
    patches.guard_queues()
    patches.unpack_once(work / "code")
    patches.wait_briefly_for_logs()
    patches.isolate_functions(work / "runtime")
    patches.write_function_logs(given.logs)
    stop_event_sources = patches.serve_event_sources(scale=SystemClock.from_environment(os.environ).scale, endpoint=os.environ["AWS_ENDPOINT_URL"])
    try:
        asyncio.run(_serve(patches.serve_api_at_root(app, given.api_port), [given.aws_socket, given.api_socket]))
    finally:
        stop_event_sources()
        runtime.reset()  # ends the workers, each by its process id
        shutil.rmtree(work, ignore_errors=True)
        logging.shutdown()
        os._exit(0)  # without waiting for threads that wait for a function


async def _serve(application: patches.App, sockets: list[int]) -> None:
    config = Config()
    config.bind = [f"fd://{descriptor}" for descriptor in sockets]
    config.keep_alive_timeout = 75
    config.graceful_timeout = LONGEST_FAREWELL_SECONDS
    config.loglevel = "WARNING"
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    threading.Thread(target=_until_starter_ends, args=(loop, ended), daemon=True).start()
    await serve(application, config, shutdown_trigger=ended.wait)  # type: ignore[arg-type]  # its Framework type names every kind of scope


def _until_starter_ends(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    sys.stdin.buffer.read()
    loop.call_soon_threadsafe(ended.set)


if __name__ == "__main__":
    main()
