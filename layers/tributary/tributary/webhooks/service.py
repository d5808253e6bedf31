"""A call of another system → a hint for the sync. Nothing of a postback but its ids is believed: what it points to is read again, through the same door as
every poll. So a lost one costs minutes, a forged one nothing, and a burst of them one read.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from tributary.errors import CredentialMissing, RetryError, SettingsInvalid
from tributary.gateway import GatewayCall
from tributary.ports import Connections, MessageQueue, Secrets
from tributary.settings import Connection
from tributary.sources.konnektive.postbacks import MAX_BODY_BYTES, Hint, Postback, Refusal, Refused, hint_of
from tributary.sync.poll import account_settings
from tributary.sync.tasks import HintTask, message_of

_PATH: Final = re.compile(r".*/webhooks/(?P<provider>[a-z]{1,32})/(?P<connection>[A-Za-z0-9_-]{1,64})(?:/(?P<secret>[^/]{1,256}))?/?")
_STATUSES: Final[Mapping[str, int]] = {
    Refusal.SECRET_REFUSED: 401,
    Refusal.BODY_TOO_LARGE: 413,
    Refusal.BODY_UNREADABLE: 400,
    Refusal.NOTHING_NAMED: 400,
}
_WORDS: Final[Mapping[str, str]] = {
    Refusal.SECRET_REFUSED: "the connection's postback secret is in neither the path, the query, the body nor the header X-Tributary-Secret",
    Refusal.BODY_TOO_LARGE: "the body is larger than a postback's",
    Refusal.BODY_UNREADABLE: "the body is neither a form nor a JSON object",
    Refusal.NOTHING_NAMED: "no order, purchase or customer is named: map one of clientOrderId, clientPurchaseId and customerId",
}


@dataclass(frozen=True, kw_only=True)
class WebhookAnswer:
    status: int
    code: str
    message: str = ""
    field: str = ""
    connection: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def as_gateway_response(self) -> dict[str, Any]:
        body: dict[str, Any] = {"success": self.status == 200, "code": self.code}
        body |= {name: value for name, value in (("message", self.message), ("field", self.field)) if value}
        headers = {"content-type": "application/json", "cache-control": "no-store", **self.headers}
        return {"statusCode": self.status, "headers": headers, "body": json.dumps(body), "isBase64Encoded": False}


@dataclass(frozen=True, kw_only=True)
class Webhooks:
    connections: Connections
    secrets: Secrets
    tasks: MessageQueue
    now: Callable[[], datetime]

    def handle(self, call: GatewayCall) -> WebhookAnswer:
        """Answered once the queue has the hint. A connection that there is not, and one with a wrong secret, are told apart from nobody."""
        path = _PATH.fullmatch(call.path)
        if path is None or path["provider"] != "konnektive":
            return WebhookAnswer(status=404, code="not_found", message="there is no such webhook; there is /webhooks/konnektive/{connection}")
        if call.method not in {"GET", "POST"}:
            return WebhookAnswer(status=405, code="method_not_allowed", message="a webhook takes GET and POST", headers={"allow": "GET, POST"})
        try:
            return self._konnektive(path["connection"], path["secret"], call)
        except RetryError as error:
            return WebhookAnswer(status=503, code=error.code, message="try again", connection=path["connection"], headers={"retry-after": "30"})

    def _konnektive(self, name: str, secret: str | None, call: GatewayCall) -> WebhookAnswer:
        if call.body is None:
            return _refused(Refused(Refusal.BODY_UNREADABLE, "body"), name)
        if len(call.body) > MAX_BODY_BYTES:
            return _refused(Refused(Refusal.BODY_TOO_LARGE, "body"), name)
        connection = next((one for one in self.connections.all() if isinstance(one, Connection) and one.id == name and one.type == "konnektive"), None)
        if connection is None:
            return _refused(Refused(Refusal.SECRET_REFUSED, "secret"))
        try:
            settings = account_settings(connection, self.secrets)
        except (CredentialMissing, SettingsInvalid):
            return _refused(Refused(Refusal.SECRET_REFUSED, "secret"))
        query = parse_qsl(call.query, keep_blank_values=True, errors="replace")
        hint = hint_of(Postback(query=query, headers=call.headers, body=call.body, path_secret=secret), settings)
        if isinstance(hint, Refused):
            return _refused(hint, name if hint.code is not Refusal.SECRET_REFUSED else "")
        if not connection.enabled or connection.mode != "live":
            return WebhookAnswer(status=200, code="connection_off", connection=name)
        task = self._task(name, hint)
        if task is None:
            return WebhookAnswer(status=200, code="left_to_the_poll", connection=name)
        self.tasks.send([message_of(task)])
        return WebhookAnswer(status=200, code="ok", connection=name)

    def _task(self, connection: str, hint: Hint) -> HintTask | None:
        """None where the ids are such that the API cannot be asked by them: the next poll brings what they point to."""
        if hint.order_id is None and hint.customer_id is None and hint.purchase_id is None:
            return None
        minute = self.now().replace(second=0, microsecond=0)
        return HintTask(connection=connection, order_id=hint.order_id, customer_id=hint.customer_id, purchase_id=hint.purchase_id, minute=minute)


def _refused(refused: Refused, connection: str = "") -> WebhookAnswer:
    """`connection`: named only to who knows its secret; whoever swaps the two in a URL would have the secret in our log."""
    return WebhookAnswer(status=_STATUSES[refused.code], code=refused.code, message=_WORDS[refused.code], field=refused.field, connection=connection)
