"""A fake Konnektive account to call without a socket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from local.fakes.fake import Answer, Fake, Outcome, Request
from local.fakes.konnektive.postbacks import Postback
from local.fakes.konnektive.shop import Shop
from local.fakes.konnektive.vendor import LOGIN, PASSWORD, Konnektive

ALWAYS = {"startDate": "01/01/2010", "endDate": "01/01/3000"}


class Account:
    """`sent` has the postbacks; `now` is the clock of the requests, `statuses` what the merchant's server answers to postbacks, the last one for ever."""

    def __init__(self, shop: Shop | None = None, *, now: datetime = datetime(2026, 3, 4, 17, tzinfo=UTC)) -> None:
        self.now = now
        self.sent: list[Postback] = []
        self.statuses = [200]
        self.vendor = Konnektive(shop, send=self._take)
        self.fake = Fake(self.vendor)

    @classmethod
    def grown(cls, *, customers: int = 250, months: int = 8, seed: int = 7) -> Account:
        account = cls(Shop(seed=seed))
        account.vendor.shop.grow(customers=customers, months=months, now=account.now)
        return account

    def send(self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: bytes = b"") -> Outcome:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return self.fake.receive(
            Request(at=self.now, method=method, path=path, query={name: [value] for name, value in (query or {}).items()}, headers=headers, body=body)
        )

    def answer(self, endpoint: str, **params: str) -> Answer:
        form = urlencode({"loginId": LOGIN, "password": PASSWORD, **params}).encode()
        answer = self.send("POST", f"/{endpoint}/", body=form).answer
        assert answer is not None
        return answer

    def ask(self, endpoint: str, **params: str) -> dict[str, Any]:
        """The whole answer, also of an error."""
        answer = self.answer(endpoint, **params)
        assert answer.status == 200
        said = json.loads(answer.body)
        assert isinstance(said, dict)
        return said

    def page(self, endpoint: str, **params: str) -> dict[str, Any]:
        said = self.ask(endpoint, **params)
        assert said["result"] == "SUCCESS", said
        message = said["message"]
        assert isinstance(message, dict)
        return message

    def rows(self, endpoint: str, **params: str) -> list[dict[str, Any]]:
        """All pages of a walk, none where there is nothing; by default of all there ever was."""
        params = {"resultsPerPage": "200", "sortDir": "1", **(params or ALWAYS)}
        if "could be found" in self.ask(endpoint, **params)["message"]:
            return []
        first = self.page(endpoint, **params)
        rows = list(first["data"])
        for number in range(2, -(-int(first["totalResults"]) // 200) + 1):
            rows += self.page(endpoint, **params, page=str(number))["data"]
        return rows

    def control(self, **command: Any) -> dict[str, Any]:
        status, said = self.try_control(command)
        assert status == 200, said
        return said

    def try_control(self, command: object) -> tuple[int, dict[str, Any]]:
        answer = self.send("POST", "/__shop", body=json.dumps(command).encode()).answer
        assert answer is not None
        return answer.status, json.loads(answer.body)

    def happen(self, what: str, **about: Any) -> dict[str, Any]:
        [made] = self.control(happen=[{"what": what, **about}])["happen"]
        assert isinstance(made, dict)
        return made

    def truth(self) -> dict[str, Any]:
        answer = self.send("GET", "/__truth").answer
        assert answer is not None
        truth = json.loads(answer.body)
        assert isinstance(truth, dict)
        return truth

    def wait(self, **time: float) -> None:
        self.now += timedelta(**time)

    def _take(self, postback: Postback) -> int:
        self.sent.append(postback)
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
