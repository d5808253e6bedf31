"""The fakes over a real socket. They are servers: this is the lowest level at which their HTTP can fail."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from KISSmetrics.client import Client

from local.fakes.server import Running, start

pytestmark = pytest.mark.enable_socket
ROOT = Path(__file__).parents[3]


@pytest.fixture
def running() -> Iterator[Running]:
    with start(["kissmetrics"]) as running:
        yield running


@pytest.fixture
def client(running: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.urls["kissmetrics"]) as client:
        yield client


def requests(client: httpx.Client) -> list[dict[str, Any]]:
    log = client.get("/__requests").json()
    assert isinstance(log, list)
    return log


def test_a_query_arrives_decoded_with_its_headers_in_lower_case(client: httpx.Client) -> None:
    answer = client.get("/e?_k=key&_p=ada%2Btea%40shop.example&_n=Saw%20%C3%84rger&colour=red&colour=blue&note=", headers={"X-Shop": "Tea"})
    assert (answer.status_code, answer.headers["content-type"], answer.content[:6]) == (200, "image/gif", b"GIF89a")
    [entry] = requests(client)
    assert entry["query"] == {"_k": ["key"], "_p": ["ada+tea@shop.example"], "_n": ["Saw Ärger"], "colour": ["red", "blue"], "note": [""]}
    assert entry["headers"]["x-shop"] == "Tea"
    assert (entry["method"], entry["path"], entry["body"]) == ("GET", "/e", "")


def test_a_form_is_read_and_a_compressed_body_is_inflated(client: httpx.Client) -> None:
    client.post("/s", data={"_k": "key", "_p": "ada", "plan": "gold & red"})
    client.post("/s", content=gzip.compress(b"_k=key&_p=bob&plan=iron"), headers={"content-encoding": "gzip"})
    client.post("/s", content=iter([b"_k=key&_p=", b"cleo&plan=tin"]))
    assert [entry["body"] for entry in requests(client)] == ["_k=key&_p=ada&plan=gold+%26+red", "_k=key&_p=bob&plan=iron", "_k=key&_p=cleo&plan=tin"]
    people = client.get("/__state").json()["people"]
    assert [(person["identities"], person["properties"]["plan"]) for person in people] == [(["ada"], "gold & red"), (["bob"], "iron"), (["cleo"], "tin")]


def test_a_body_that_is_not_what_it_says_is_400(client: httpx.Client) -> None:
    assert client.post("/s", content=b"plain", headers={"content-encoding": "gzip"}).status_code == 400


def test_a_dropped_connection_is_one_without_an_answer(client: httpx.Client) -> None:
    client.post("/__script", json=[{"drop": "before"}, {"drop": "after_apply"}])
    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/e?_k=key&_p=ada&_n=Saw")
    assert [entry["applied"] for entry in requests(client)] == [False, True]


def test_a_slow_answer_is_waited_for_and_has_been_taken_in_by_then(client: httpx.Client) -> None:
    client.post("/__script", json=[{"delay_s": 30}])
    with pytest.raises(httpx.ReadTimeout):
        client.get("/e?_k=key&_p=ada&_n=Saw", timeout=0.2)
    assert [entry["applied"] for entry in requests(client)] == [True]


def test_stopping_ends_every_thread_and_port_also_in_the_middle_of_an_answer() -> None:
    before = set(threading.enumerate())
    running = start(["kissmetrics"])
    url = running.urls["kissmetrics"]
    with httpx.Client(base_url=url) as client:
        client.post("/__script", json=[{"delay_s": 300}])
        outcome: list[type[Exception]] = []

        def wait_for_an_answer() -> None:
            try:
                client.get("/e?_k=key&_p=ada&_n=Saw", timeout=60)
            except httpx.TransportError as error:
                outcome.append(type(error))

        waiting = threading.Thread(target=wait_for_an_answer)
        waiting.start()
        with httpx.Client(base_url=url) as observer:
            while not requests(observer):
                time.sleep(0.01)
            running.stop()
        waiting.join(timeout=5)
    running.stop()
    assert outcome == [httpx.RemoteProtocolError]
    assert set(threading.enumerate()) <= before
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_many_callers_at_once_are_all_taken_in(client: httpx.Client) -> None:
    def call(person: int) -> None:
        for second in range(10):
            client.get("/e", params={"_k": "key", "_p": str(person), "_n": "Saw", "_t": str(1_772_600_000 + second), "_d": "1"})

    callers = [threading.Thread(target=call, args=(person,)) for person in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    people = client.get("/__state").json()["people"]
    assert sorted(len(person["events"]) for person in people) == [10] * 8


def test_kissmetrics_own_python_client_is_understood(running: Running, client: httpx.Client) -> None:
    untyped: Any = Client
    own = untyped(key="key", trk_host=running.urls["kissmetrics"].removeprefix("http://"), trk_scheme="http")
    with own.http:
        own.record("ada", "Ordered", {"Billing Amount": 32}, timestamp=1_772_600_767)
        own.set("ada", {"plan": "gold"}, timestamp=1_772_600_768)
        own.alias("ada", "visitor")
    state = client.get("/__state").json()
    assert state["ignored"] == []
    [person] = state["people"]
    assert person["identities"] == ["ada", "visitor"]
    assert person["events"] == [{"name": "Ordered", "at": "2026-03-04T05:06:07Z", "properties": {"Billing Amount": "32"}}]
    assert person["properties"] == {"Billing Amount": "32", "plan": "gold"}


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_as_a_process_that_says_where_it_is_and_ends_when_asked(ending: signal.Signals) -> None:
    command = [sys.executable, "-m", "local.fakes", "kissmetrics"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        assert process.stdout is not None
        urls = json.loads(process.stdout.readline())
        assert httpx.get(f"{urls['kissmetrics']}/e").status_code == 200
        process.send_signal(ending)
        assert process.wait(timeout=10) == 0
