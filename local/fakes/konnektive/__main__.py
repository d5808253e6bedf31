"""Grow and play the account of a running fake, or print what a shop would hold.

python -m local.fakes.konnektive http://127.0.0.1:40513 --grow 2000 --months 18 --play 3 --happen new_sale --happen chargeback
python -m local.fakes.konnektive --seed 7 --grow 2000
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from local.fakes.konnektive.shop import HAPPENINGS, Shop


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m local.fakes.konnektive", description="Grow and play a fake Konnektive account, and print its truth as JSON."
    )
    parser.add_argument("url", nargs="?", help="of a running fake; without one, a shop is made here and forgotten")
    parser.add_argument("--seed", type=int, help="of a shop made here: 1")
    parser.add_argument("--grow", type=int, metavar="CUSTOMERS", help="how many the account shall have")
    parser.add_argument("--months", type=int, default=18, help="over how long a history: 18")
    parser.add_argument("--play", type=float, metavar="DAYS", help="how many days then to play; the history ends so many days ago")
    parser.add_argument(
        "--happen", action="append", default=[], choices=sorted(HAPPENINGS), metavar="WHAT", help=f"may be repeated: {', '.join(sorted(HAPPENINGS))}"
    )
    asked = parser.parse_args()
    truth = _here(asked) if asked.url is None else _there(asked)
    print(json.dumps(truth, indent=2, ensure_ascii=False))


def _here(asked: argparse.Namespace) -> Any:
    now = datetime.now(UTC)
    shop = Shop(seed=1 if asked.seed is None else asked.seed)
    if asked.grow is not None:
        shop.grow(customers=asked.grow, months=asked.months, now=now - timedelta(days=asked.play or 0))
    if asked.play:
        shop.play(now)
    for what in asked.happen:
        shop.happen(what, at=now)
    return shop.truth()


def _there(asked: argparse.Namespace) -> Any:
    command: dict[str, Any] = {}
    if asked.seed is not None:
        command["new"] = {"seed": asked.seed}
    if asked.grow is not None:
        command["grow"] = {"customers": asked.grow, "months": asked.months, "ends_days_ago": asked.play or 0}
    if asked.play:
        command["play_days"] = asked.play
    if asked.happen:
        command["happen"] = [{"what": what} for what in asked.happen]
    with httpx.Client(base_url=asked.url, timeout=300, trust_env=False) as client:
        answer = client.post("/__shop", json=command)
        if answer.status_code != 200:
            sys.exit(answer.json()["error"])
        return client.get("/__truth").json()


if __name__ == "__main__":
    main()
