"""Postbacks: who may send them, in which forms, and when they are said to be taken."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from tests.kit.builders import NOON, TestClock
from tests.kit.config import MemoryConnections
from tests.kit.stores import MemoryQueue
from tributary.errors import CredentialMissing, StoreUnavailable
from tributary.gateway import call_of
from tributary.settings import Connection
from tributary.sync.tasks import HintTask, decoder
from tributary.webhooks.service import WebhookAnswer, Webhooks

SECRET = "a-postback-secret-0123"
ORDER = "0A1B2C3D4E"
HERE = "/webhooks/konnektive/con_shop"


@dataclass
class Secrets:
    of: dict[str, str] = field(default_factory=lambda: {"connections/con_shop": json.dumps({"password": "p", "postbackSecret": SECRET})})
    down: bool = False

    def get(self, name: str, *, fresh: bool = False) -> str:
        if self.down:
            raise StoreUnavailable("SSM")
        if name not in self.of:
            raise CredentialMissing("none")
        return self.of[name]


class Bench:
    def __init__(self, **settings: Any) -> None:
        given = {"loginId": "shop", **settings}
        self.connections = MemoryConnections(
            Connection(id="con_shop", type="konnektive", label="Shop", settings=given, secrets=["password", "postbackSecret"], created_at=NOON),
            Connection(id="con_km", type="kissmetrics", label="KM", created_at=NOON),
        )
        self.secrets, self.queue, self.clock = Secrets(), MemoryQueue(), TestClock(NOON)
        self.webhooks = Webhooks(connections=self.connections, secrets=self.secrets, tasks=self.queue, now=self.clock.now)

    def call(
        self, path: str = HERE, *, method: str = "POST", query: str = "", body: str = "", headers: dict[str, str] | None = None, base64_encoded: bool = False
    ) -> WebhookAnswer:
        http = {"method": method, "path": path, "sourceIp": "203.0.113.9"}
        event = {"rawPath": path, "rawQueryString": query, "headers": headers or {}, "body": body, "isBase64Encoded": base64_encoded}
        return self.webhooks.handle(call_of({**event, "requestContext": {"http": http}}))

    @property
    def hints(self) -> list[HintTask]:
        tasks = [decoder.decode(message.body) for message in self.queue.sent]
        assert all(isinstance(task, HintTask) for task in tasks)
        return [task for task in tasks if isinstance(task, HintTask)]


Form = Callable[[Bench, dict[str, str]], WebhookAnswer]
FORMS: dict[str, Form] = {
    "query of a GET": lambda bench, fields: bench.call(method="GET", query=urlencode(fields)),
    "query of a POST": lambda bench, fields: bench.call(query=urlencode(fields)),
    "form": lambda bench, fields: bench.call(body=urlencode(fields), headers={"Content-Type": "application/x-www-form-urlencoded"}),
    "form without a type": lambda bench, fields: bench.call(body=urlencode(fields)),
    "form in base64": lambda bench, fields: bench.call(body=base64.b64encode(urlencode(fields).encode()).decode(), base64_encoded=True),
    "JSON": lambda bench, fields: bench.call(body=json.dumps(fields), headers={"content-type": "application/json"}),
    "JSON that says it is a form": lambda bench, fields: bench.call(body=json.dumps(fields), headers={"content-type": "application/x-www-form-urlencoded"}),
    "half in the query": lambda bench, fields: bench.call(query=urlencode({"secret": fields["secret"]}), body=urlencode({**fields, "secret": ""})),
    "odd casing": lambda bench, fields: bench.call(method="GET", query=urlencode({name.upper(): value for name, value in fields.items()})),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_postback_in_any_form_is_a_hint_in_the_queue(form: Form) -> None:
    bench = Bench()
    answer = form(bench, {"clientOrderId": ORDER, "orderId": "4711", "customerId": "77", "customerType": "New Sale", "secret": SECRET})
    assert (answer.status, answer.code) == (200, "ok")
    assert bench.hints == [HintTask(connection="con_shop", order_id=ORDER, customer_id="77", minute=NOON)]


@pytest.mark.parametrize(
    "sent",
    [
        lambda bench, secret: bench.call(f"{HERE}/{secret}", body=f"clientOrderId={ORDER}"),
        lambda bench, secret: bench.call(f"/stage{HERE}/{secret}/", body=f"clientOrderId={ORDER}"),
        lambda bench, secret: bench.call(query=f"secret={secret}", body=f"clientOrderId={ORDER}"),
        lambda bench, secret: bench.call(query=f"token={secret}", body=f"clientOrderId={ORDER}"),
        lambda bench, secret: bench.call(body=f"clientOrderId={ORDER}&secret={secret}"),
        lambda bench, secret: bench.call(body=json.dumps({"clientOrderId": ORDER, "secret": secret})),
        lambda bench, secret: bench.call(body=f"clientOrderId={ORDER}", headers={"X-Tributary-Secret": secret}),
    ],
)
def test_the_secret_stands_in_the_path_the_query_the_body_or_a_header(sent: Callable[[Bench, str], WebhookAnswer]) -> None:
    bench = Bench()
    assert sent(bench, SECRET).status == 200
    assert sent(bench, SECRET[:-1] + "4").status == 401
    assert len(bench.hints) == 1


def test_names_that_the_merchant_chose_go_through_the_connections_map() -> None:
    bench = Bench(postbackFields={"our_order": "clientOrderId", "Buyer": "customerId", "key": "secret"})
    assert bench.call(method="GET", query=f"OUR_ORDER={ORDER}&buyer=77&key={SECRET}").status == 200
    assert bench.hints == [HintTask(connection="con_shop", order_id=ORDER, customer_id="77", minute=NOON)]


def test_a_subscriptions_postback_names_the_subscription() -> None:
    bench = Bench()
    bench.call(body=f"clientPurchaseId={ORDER}&secret={SECRET}")
    assert bench.hints == [HintTask(connection="con_shop", purchase_id=ORDER, minute=NOON)]


def wrong_secrets() -> dict[str, Callable[[Bench], WebhookAnswer]]:
    fields = f"clientOrderId={ORDER}"
    return {
        "none": lambda bench: bench.call(body=fields),
        "another": lambda bench: bench.call(body=f"{fields}&secret=another-secret-0123"),
        "another, and nothing named": lambda bench: bench.call(body="secret=another-secret-0123"),
        "another, and no form": lambda bench: bench.call(f"{HERE}/another-secret-0123", body="{broken", headers={"content-type": "application/json"}),
        "empty": lambda bench: bench.call(body=f"{fields}&secret="),
        "no such connection": lambda bench: bench.call("/webhooks/konnektive/con_none", body=f"{fields}&secret={SECRET}"),
        "a connection of another kind": lambda bench: bench.call("/webhooks/konnektive/con_km", body=f"{fields}&secret={SECRET}"),
    }


@pytest.mark.parametrize("call", wrong_secrets().values(), ids=wrong_secrets().keys())
def test_who_does_not_know_the_secret_is_told_the_same_whatever_else_is_wrong(call: Callable[[Bench], WebhookAnswer]) -> None:
    bench = Bench()
    answer = call(bench).as_gateway_response()
    assert answer == Bench().call(body="x=1").as_gateway_response()
    assert answer["statusCode"] == 401
    assert bench.queue.sent == []


@pytest.mark.parametrize("stored", [None, json.dumps({"password": "p"}), json.dumps({"password": "p", "postbackSecret": ""}), "{broken", "[]"])
def test_a_connection_without_a_secret_takes_no_postbacks_whatever_they_bring(stored: str | None) -> None:
    bench = Bench()
    bench.secrets.of = {} if stored is None else {"connections/con_shop": stored}
    for secret in ("", "None", "null", SECRET):
        assert bench.call(body=f"clientOrderId={ORDER}&secret={secret}").status == 401
    assert bench.queue.sent == []


def test_the_secret_is_compared_in_a_time_that_does_not_tell_how_much_of_it_was_right(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def watched(first: Any, second: Any) -> bool:
        compared.append((first, second))
        return real(first, second)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    Bench().call(body=f"clientOrderId={ORDER}&secret=another-secret-0123")
    assert compared == [(b"another-secret-0123", SECRET.encode())]


@pytest.mark.parametrize("path", [HERE, "/webhooks/konnektive/con_none"])
@pytest.mark.parametrize(("body", "encoded", "status"), [("!no base64!", True, 400), ("x" * 65_537, False, 413)])
def test_a_body_that_nobody_reads_says_nothing_of_whether_there_is_such_a_connection(path: str, body: str, encoded: bool, status: int) -> None:
    assert Bench().call(path, body=body, base64_encoded=encoded).status == status


def test_a_postback_that_names_nothing_says_what_to_map() -> None:
    answer = Bench().call(body=f"amount=9.50&secret={SECRET}")
    assert (answer.status, answer.code) == (400, "nothing_named")
    assert "map one of clientOrderId" in answer.message


def test_a_postback_with_the_internal_number_alone_is_taken_and_left_to_the_poll() -> None:
    bench = Bench()
    answer = bench.call(body=f"orderId=4711&secret={SECRET}")
    assert (answer.status, answer.code) == (200, "left_to_the_poll")
    assert bench.queue.sent == []


def test_taken_is_said_only_once_the_queue_has_it() -> None:
    bench = Bench()
    bench.queue.refuse = lambda _message: True
    answer = bench.call(body=f"clientOrderId={ORDER}&secret={SECRET}")
    assert (answer.status, answer.headers["retry-after"]) == (503, "30")
    bench.queue.refuse = lambda _message: False
    assert bench.call(body=f"clientOrderId={ORDER}&secret={SECRET}").status == 200


def test_a_secret_that_cannot_be_read_at_the_moment_is_no_wrong_one() -> None:
    bench = Bench()
    bench.secrets.down = True
    assert bench.call(body=f"clientOrderId={ORDER}&secret={SECRET}").status == 503


@pytest.mark.parametrize("change", [{"enabled": False}, {"mode": "paused"}])
def test_a_connection_that_is_off_takes_postbacks_and_reads_nothing(change: dict[str, Any]) -> None:
    bench = Bench()
    bench.connections.connections[0] = msgspec.structs.replace(bench.connections.connections[0], **change)
    answer = bench.call(body=f"clientOrderId={ORDER}&secret={SECRET}")
    assert (answer.status, answer.code) == (200, "connection_off")
    assert bench.queue.sent == []


def test_a_burst_for_one_order_is_one_message_to_the_queue_and_two_orders_are_two() -> None:
    bench = Bench()
    for order in (ORDER, ORDER, "1111111AAA"):
        bench.clock.advance(5)
        bench.call(body=f"clientOrderId={order}&secret={SECRET}")
    assert len({message.deduplication for message in bench.queue.sent}) == 2
    assert len({message.group for message in bench.queue.sent}) == 1
    bench.clock.advance(60)
    bench.call(body=f"clientOrderId={ORDER}&secret={SECRET}")
    assert len({message.deduplication for message in bench.queue.sent}) == 3
    assert bench.hints[-1].minute == NOON + timedelta(minutes=1)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", ""])
def test_another_method_is_told_which_there_are(method: str) -> None:
    answer = Bench().call(method=method, query=f"clientOrderId={ORDER}&secret={SECRET}")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize(
    "path", ["/webhooks/konnektive", "/webhooks/stripe/con_shop", "/webhooks/konnektive/con_shop/a/b", "/", "/webhooks/konnektive/con shop"]
)
def test_another_path_is_none(path: str) -> None:
    assert Bench().call(path, body=f"clientOrderId={ORDER}&secret={SECRET}").status == 404


def test_no_answer_repeats_what_was_sent() -> None:
    bench = Bench()
    for body in (f"clientOrderId={ORDER}&secret={SECRET}", f"clientOrderId={ORDER}&secret=another-secret-0123", f"email=ada@buyers.example&secret={SECRET}"):
        said = json.dumps(bench.call(body=body).as_gateway_response())
        assert not any(word in said for word in (ORDER, SECRET, "another-secret", "ada@"))


def test_a_secret_in_the_place_of_the_connection_is_named_to_nobody() -> None:
    bench = Bench()
    answer = bench.call(f"/webhooks/konnektive/{SECRET}", body=f"clientOrderId={ORDER}")
    assert (answer.status, answer.connection) == (401, "")
