"""`python -m local.fakes kissmetrics …`: serve fakes until SIGTERM or Ctrl-C. The first line says where, as JSON: {"kissmetrics": "http://127.0.0.1:40513"}."""

from __future__ import annotations

import argparse
import json
import signal

from local.fakes.server import VENDORS, start


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.fakes", description="Serve fake vendors on 127.0.0.1 until Ctrl-C.")
    parser.add_argument("vendor", nargs="+", choices=sorted(VENDORS))
    names: list[str] = parser.parse_args().vendor
    # Blocked before the first thread starts, so that every thread leaves them to the `sigwait` below.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    with start(names) as running:
        print(json.dumps(running.urls), flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
