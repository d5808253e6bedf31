"""What every fake vendor shares: the log, the script, the routes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from local.fakes.fake import Answer, Control, Fake, Outcome, Request, Route, Vendor

NOON = datetime(2026, 3, 4, 12, 0, 0, 125_000, tzinfo=UTC)


class Shelf(Vendor):
    """A vendor that keeps things by id."""

    name = "shelf"

    def __init__(self) -> None:
        self.kept: list[str] = []

    def routes(self) -> Sequence[Route]:
        return [Route(("PUT",), "/things/{id}", self._keep), Route(("GET",), "/things", lambda _: Answer.json(self.kept))]

    def state(self) -> Any:
        return {"kept": self.kept}

    def forget(self) -> None:
        self.kept.clear()

    def _keep(self, request: Request) -> Answer:
        self.kept.append(request.params["id"])
        return Answer.json({"id": request.params["id"]}, status=201)


@pytest.fixture
def fake() -> Fake:
    return Fake(Shelf())


def send(fake: Fake, method: str, path: str, **rest: Any) -> Outcome:
    return fake.receive(Request(at=NOON, method=method, path=path, **rest))


def read(fake: Fake, path: str) -> Any:
    answer = send(fake, "GET", path).answer
    assert answer is not None
    return json.loads(answer.body)


def script(fake: Fake, *steps: object) -> Answer:
    answer = send(fake, "POST", "/__script", body=json.dumps(steps).encode()).answer
    assert answer is not None
    return answer


def status(outcome: Outcome) -> int | None:
    return None if outcome.answer is None else outcome.answer.status


def put(fake: Fake, thing: str) -> int | None:
    return status(send(fake, "PUT", f"/things/{thing}"))


def test_the_log_tells_all_of_a_request_oldest_first(fake: Fake) -> None:
    send(fake, "PUT", "/things/cup", query={"colour": ["red", "blue"], "note": [""]}, headers={"x-shop": "tea"}, body="für dich".encode())
    send(fake, "GET", "/things")
    first, second = read(fake, "/__requests")
    assert first == {
        "at": "2026-03-04T12:00:00.125Z",
        "method": "PUT",
        "path": "/things/cup",
        "query": {"colour": ["red", "blue"], "note": [""]},
        "headers": {"x-shop": "tea"},
        "body": "für dich",
        "status": 201,
        "applied": True,
    }
    assert (second["method"], second["path"], second["body"]) == ("GET", "/things", "")


def test_a_body_that_is_not_text_stands_in_the_log_as_base64(fake: Fake) -> None:
    send(fake, "PUT", "/things/cup", body=b"\xff\x00")
    [entry] = read(fake, "/__requests")
    assert "body" not in entry
    assert entry["body_base64"] == "/wA="


def test_the_log_can_be_forgotten_and_what_was_stored_stays(fake: Fake) -> None:
    put(fake, "cup")
    send(fake, "DELETE", "/__requests")
    assert read(fake, "/__requests") == []
    assert read(fake, "/__state") == {"kept": ["cup"]}


def test_what_was_stored_can_be_forgotten(fake: Fake) -> None:
    put(fake, "cup")
    send(fake, "DELETE", "/__state")
    assert read(fake, "/__state") == {"kept": []}


def test_looking_at_a_fake_leaves_no_trace_in_its_log(fake: Fake) -> None:
    read(fake, "/__state")
    read(fake, "/__script")
    script(fake, {"status": 500})
    assert read(fake, "/__requests") == []


def test_each_step_of_a_script_is_used_once_and_in_order(fake: Fake) -> None:
    script(fake, {"status": 500}, {"status": 503}, {"status": 200})
    assert [put(fake, "cup") for _ in range(4)] == [500, 503, 200, 201]


def test_an_error_that_was_scripted_is_logged_and_not_taken_in(fake: Fake) -> None:
    script(fake, {"status": 500})
    put(fake, "cup")
    put(fake, "cup")
    assert [(entry["status"], entry["applied"]) for entry in read(fake, "/__requests")] == [(500, False), (201, True)]
    assert read(fake, "/__state") == {"kept": ["cup"]}


def test_a_scripted_success_is_taken_in_and_keeps_the_vendors_own_body(fake: Fake) -> None:
    script(fake, {"status": 200})
    assert send(fake, "PUT", "/things/cup").answer == Answer.json({"id": "cup"}, status=200)
    assert read(fake, "/__state") == {"kept": ["cup"]}


def test_a_step_waits_for_the_path_it_names(fake: Fake) -> None:
    script(fake, {"match": {"path": "/things/*"}, "status": 500}, {"match": {"path": "/things"}, "status": 429})
    assert status(send(fake, "GET", "/things")) == 429
    assert status(send(fake, "GET", "/things")) == 200
    assert put(fake, "cup") == 500
    assert put(fake, "cup") == 201


def test_a_step_waits_for_the_parameters_it_names_in_query_or_form(fake: Fake) -> None:
    script(fake, {"match": {"params": {"page": "2"}}, "status": 500}, {"match": {"path": "/things", "params": {"page": "3", "size": "9"}}, "status": 503})
    assert put(fake, "cup") == 201
    assert status(send(fake, "GET", "/things", query={"page": ["1"]})) == 200
    assert status(send(fake, "GET", "/things", query={"page": ["3"], "size": ["8"]})) == 200
    assert status(send(fake, "GET", "/things", query={"page": ["3"]}, body=b"size=9")) == 503
    assert status(send(fake, "PUT", "/things/cup", body=b"page=2")) == 500
    assert put(fake, "cup") == 201


class Desk(Shelf):
    """A shelf with a control, whose second step asks the fake, and slow answers."""

    def __init__(self) -> None:
        super().__init__()
        self.fake = Fake(self)

    def routes(self) -> Sequence[Route]:
        return [*super().routes(), Route(("GET",), "/slow", lambda _: Answer(delay_s=2))]

    def controls(self) -> Sequence[Control]:
        return [
            Control("POST", "/__fill", lambda request: Answer.json({"filled": request.body.decode()})),
            Control("POST", "/__ask", lambda _: lambda: Answer.json(read(self.fake, "/things"))),
        ]


def test_a_vendor_may_have_controls_of_its_own_which_are_not_logged_and_may_make_others_ask() -> None:
    fake = Desk().fake
    answer = send(fake, "POST", "/__fill", body=b"tea").answer
    assert answer == Answer.json({"filled": "tea"})
    assert read(fake, "/__requests") == []
    assert send(fake, "POST", "/__ask").answer == Answer.json([])
    refused = send(fake, "GET", "/__fill").answer
    assert refused is not None
    assert refused.status == 404
    assert b"/__fill" in refused.body


def test_a_vendors_own_delay_and_a_scripted_one_add_up() -> None:
    fake = Desk().fake
    script(fake, {"delay_s": 3})
    assert [send(fake, "GET", "/slow").delay_s for _ in range(2)] == [5, 2]


def test_a_step_sets_headers_and_a_body_of_text_or_json(fake: Fake) -> None:
    script(fake, {"status": 429, "headers": {"Retry-After": "7"}, "body": "slow down"}, {"status": 422, "body": {"errors": ["id"]}})
    assert send(fake, "PUT", "/things/cup").answer == Answer(status=429, headers={"retry-after": "7"}, body=b"slow down")
    assert send(fake, "PUT", "/things/cup").answer == Answer.json({"errors": ["id"]}, status=422)


def test_a_number_in_a_header_is_its_text(fake: Fake) -> None:
    script(fake, {"status": 429, "headers": {"Retry-After": 7, "X-Half": 0.5}})
    assert send(fake, "PUT", "/things/cup").answer == Answer(status=429, headers={"retry-after": "7", "x-half": "0.5"})


def test_an_empty_match_fits_every_path(fake: Fake) -> None:
    script(fake, {"match": {}, "status": 500})
    assert put(fake, "cup") == 500
    assert put(fake, "cup") == 201


def test_a_connection_dropped_before_leaves_nothing_at_the_vendor(fake: Fake) -> None:
    script(fake, {"drop": "before"})
    assert send(fake, "PUT", "/things/cup") == Outcome(answer=None)
    assert read(fake, "/__state") == {"kept": []}
    assert [(entry["status"], entry["applied"]) for entry in read(fake, "/__requests")] == [(None, False)]


def test_a_connection_dropped_after_has_been_taken_in(fake: Fake) -> None:
    script(fake, {"drop": "after_apply"})
    assert send(fake, "PUT", "/things/cup") == Outcome(answer=None)
    assert read(fake, "/__state") == {"kept": ["cup"]}
    assert [(entry["status"], entry["applied"]) for entry in read(fake, "/__requests")] == [(None, True)]


def test_a_delay_comes_with_the_vendors_own_answer(fake: Fake) -> None:
    script(fake, {"delay_s": 29})
    outcome = send(fake, "PUT", "/things/cup")
    assert outcome == Outcome(answer=Answer.json({"id": "cup"}, status=201), delay_s=29)


def test_scripts_add_up_and_an_empty_one_forgets_what_is_left(fake: Fake) -> None:
    script(fake, {"status": 500})
    script(fake, {"status": 429})
    assert read(fake, "/__script") == [{"status": 500}, {"status": 429}]
    script(fake)
    assert put(fake, "cup") == 201


@pytest.mark.parametrize(
    ("steps", "named"),
    [
        ([{"stauts": 500}], "stauts"),
        ([{"status": 99}], "status"),
        ([{"drop": "sometimes"}], "drop"),
        ([{"match": {"method": "GET"}}], "method"),
        ([{"delay_s": -1}], "delay_s"),
        ({"status": 500}, "array"),
    ],
)
def test_a_script_that_does_not_fit_is_refused_by_name_and_changes_nothing(fake: Fake, steps: object, named: str) -> None:
    answer = send(fake, "POST", "/__script", body=json.dumps(steps).encode()).answer
    assert answer is not None
    assert answer.status == 400
    assert named in json.loads(answer.body)["error"]
    assert put(fake, "cup") == 201


def test_an_unknown_path_is_404_and_an_unknown_method_405_and_both_are_logged(fake: Fake) -> None:
    assert status(send(fake, "GET", "/nothing")) == 404
    assert status(send(fake, "POST", "/things/cup")) == 405
    assert status(send(fake, "PUT", "/things/cup/saucer")) == 404
    assert [entry["applied"] for entry in read(fake, "/__requests")] == [False, False, False]
    assert status(send(fake, "GET", "/__nothing")) == 404
