"""The fake Kissmetrics: what it would have stored, and what it would have ignored in silence."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from local.fakes.fake import Answer, Fake, Request
from local.fakes.kissmetrics import Kissmetrics

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
AT = str(int(NOON.timestamp()))


class Shop:
    """Sends as a client does, and looks at the state."""

    def __init__(self, vendor: Kissmetrics) -> None:
        self._vendor = vendor
        self._fake = Fake(vendor)

    def get(self, path: str, **parameters: str) -> Answer:
        return self._send(Request(at=NOON, method="GET", path=path, query={name: [value] for name, value in _named(parameters).items()}))

    def post(self, path: str, **parameters: str) -> Answer:
        body = urlencode(_named(parameters)).encode()
        return self._send(Request(at=NOON, method="POST", path=path, body=body, headers={"content-type": "application/x-www-form-urlencoded"}))

    @property
    def state(self) -> dict[str, Any]:
        state = self._vendor.state()
        assert isinstance(state, dict)
        return state

    @property
    def ignored(self) -> list[tuple[str, str]]:
        return [(entry["code"], entry["what"]) for entry in self.state["ignored"]]

    @property
    def altered(self) -> list[str]:
        return [entry["code"] for entry in self.state["altered"]]

    def _send(self, request: Request) -> Answer:
        answer = self._fake.receive(request).answer
        assert answer is not None
        return answer


def _named(parameters: dict[str, str]) -> dict[str, str]:
    """`k` stands for `_k`, `p` for `_p`, …; a value that is empty is left out."""
    return {f"_{name}" if name in ("k", "p", "n", "t", "d") else name: value for name, value in {"k": "key", **parameters}.items() if value}


@pytest.fixture
def shop() -> Shop:
    return Shop(Kissmetrics())


@pytest.mark.parametrize("path", ["/e", "/s", "/a"])
def test_it_answers_a_gif_to_get_and_post_even_when_nothing_is_right(shop: Shop, path: str) -> None:
    for answer in (shop.get(path, k=""), shop.post(path, p="ada", n="Ordered", t="then", d="maybe"), shop.get(path, p="ada", n="ada")):
        assert answer.status == 200
        assert answer.headers["content-type"] == "image/gif"
        assert answer.body.startswith(b"GIF89a")


def test_other_paths_are_404(shop: Shop) -> None:
    assert shop.get("/i").status == 404


def test_an_event_its_properties_and_a_set_end_at_one_person(shop: Shop) -> None:
    shop.get("/e", p="ada", n="Ordered", t=AT, d="1", colour="red", _ip="203.0.113.7", _ua="Browser")
    shop.post("/s", p="ada", t=AT, d="1", plan="gold")
    assert shop.state == {
        "people": [
            {
                "identities": ["ada"],
                "events": [{"name": "Ordered", "at": "2026-03-04T12:00:00Z", "properties": {"colour": "red"}}],
                "properties": {"colour": "red", "plan": "gold"},
            }
        ],
        "ignored": [],
        "altered": [],
        "duplicates": 0,
    }


def test_an_alias_makes_one_person_of_two_and_their_order_does_not_matter(shop: Shop) -> None:
    shop.get("/e", p="visitor", n="Saw", t=AT, d="1")
    shop.get("/e", p="ada", n="Ordered", t=AT, d="1")
    shop.get("/a", p="ada", n="visitor")
    shop.get("/a", p="visitor", n="ada")
    shop.get("/a", p="ada", n="ada@shop.example")
    [person] = shop.state["people"]
    assert person["identities"] == ["ada", "visitor", "ada@shop.example"]
    assert [event["name"] for event in person["events"]] == ["Saw", "Ordered"]


def test_an_alias_of_two_groups_joins_all_four(shop: Shop) -> None:
    for one, other in (("a", "b"), ("c", "d"), ("d", "b")):
        shop.get("/a", p=one, n=other)
    shop.get("/s", p="c", t=AT, d="1", plan="gold")
    [person] = shop.state["people"]
    assert sorted(person["identities"]) == ["a", "b", "c", "d"]


def test_an_identity_shows_only_once_it_has_an_event_or_property(shop: Shop) -> None:
    shop.get("/a", p="ada", n="visitor")
    assert shop.state["people"] == []


def test_the_newest_value_of_a_property_stays_whatever_comes_last(shop: Shop) -> None:
    shop.get("/s", p="ada", t=str(int(AT) + 60), d="1", plan="gold")
    shop.get("/s", p="ada", t=AT, d="1", Plan="iron")
    assert shop.state["people"][0]["properties"] == {"plan": "gold"}


def test_commas_and_colons_in_a_name_become_spaces(shop: Shop) -> None:
    shop.get("/e", p="ada", n="Saw: a,b", t=AT, d="1", **{"Experiment: Hero": "Bold"})
    [event] = shop.state["people"][0]["events"]
    assert (event["name"], event["properties"]) == ("Saw  a b", {"Experiment  Hero": "Bold"})


def test_the_same_request_again_is_a_duplicate_and_changes_nothing(shop: Shop) -> None:
    for _ in range(3):
        shop.get("/e", p="ada", n="Ordered", t=AT, d="1", total="5")
    shop.get("/e", p="ada", n="ordered", t=AT, d="1", TOTAL="5")
    assert shop.state["duplicates"] == 3
    assert len(shop.state["people"][0]["events"]) == 1


@pytest.mark.parametrize("other", [{"n": "Refunded"}, {"t": str(int(AT) + 1)}, {"total": "6"}, {"p": "bob"}])
def test_a_request_that_differs_in_one_thing_is_no_duplicate(shop: Shop, other: dict[str, str]) -> None:
    first = {"p": "ada", "n": "Ordered", "t": AT, "d": "1", "total": "5"}
    shop.get("/e", **first)
    shop.get("/e", **{**first, **other})
    assert shop.state["duplicates"] == 0
    assert sum(len(person["events"]) for person in shop.state["people"]) == 2


def test_two_values_of_one_property_in_one_second_are_told(shop: Shop) -> None:
    shop.get("/s", p="ada", t=AT, d="1", sku="A")
    shop.get("/s", p="ada", t=AT, d="1", sku="B")
    shop.get("/s", p="ada", t=str(int(AT) + 1), d="1", sku="C")
    assert shop.altered == ["same_second"]


@pytest.mark.parametrize(
    ("path", "parameters", "reasons"),
    [
        ("/e", {"k": "", "p": "ada", "n": "Ordered"}, [("missing_parameter", "_k")]),
        ("/e", {"p": "", "n": "Ordered"}, [("missing_parameter", "_p")]),
        ("/e", {"p": "ada"}, [("missing_parameter", "_n")]),
        ("/e", {"p": "ada", "n": " "}, [("missing_parameter", "_n")]),
        ("/s", {"k": "", "p": ""}, [("missing_parameter", "_k"), ("missing_parameter", "_p")]),
        ("/a", {"p": "ada"}, [("missing_parameter", "_n")]),
        ("/e", {"p": "a" * 256, "n": "Ordered"}, [("identity_too_long", "_p")]),
        ("/a", {"p": "ada", "n": "a" * 256}, [("identity_too_long", "_n")]),
        ("/e", {"p": "ada", "n": "n" * 256}, [("name_too_long", "n" * 40 + "…")]),
        ("/s", {"p": "ada", "x" * 256: "1"}, [("name_too_long", "x" * 40 + "…")]),
        ("/s", {"p": "ada", "t": "1230767999", "d": "1"}, [("too_early", "_t")]),
    ],
)
def test_what_kissmetrics_would_ignore_is_told_and_not_stored(shop: Shop, path: str, parameters: dict[str, str], reasons: list[tuple[str, str]]) -> None:
    shop.get(path, **parameters)
    assert shop.ignored == reasons
    assert shop.state["people"] == []


@pytest.mark.parametrize("parameters", [{"p": "a" * 255, "n": "n" * 255, "x" * 255: "1"}, {"p": "ada", "n": "Ordered", "t": "1230768000", "d": "1"}])
def test_what_is_just_within_the_limits_is_stored(shop: Shop, parameters: dict[str, str]) -> None:
    shop.get("/e", **parameters)
    assert shop.ignored == []
    assert len(shop.state["people"]) == 1


def test_only_the_keys_it_knows_count_where_it_is_told_them() -> None:
    shop = Shop(Kissmetrics(keys=["right"]))
    shop.get("/s", k="wrong", p="ada", plan="gold")
    shop.get("/s", k="right", p="bob", plan="gold")
    assert shop.ignored == [("unknown_key", "_k")]
    assert [person["identities"] for person in shop.state["people"]] == [["bob"]]


@pytest.mark.parametrize("parameters", [{"t": AT}, {"t": AT, "d": "0"}, {"t": f"{AT}000", "d": "1"}, {"t": "2026-03-04", "d": "1"}])
def test_a_time_that_kissmetrics_does_not_read_gives_way_to_the_receipt(shop: Shop, parameters: dict[str, str]) -> None:
    shop.get("/e", p="ada", n="Ordered", **parameters)
    assert shop.altered == ["time_ignored"]
    assert shop.state["people"][0]["events"][0]["at"] == "2026-03-04T12:00:00Z"


def test_a_value_over_512_characters_is_told(shop: Shop) -> None:
    shop.get("/s", p="ada", t=AT, d="1", note="x" * 512)
    assert shop.altered == []
    shop.get("/s", p="ada", t=str(int(AT) + 1), d="1", note="x" * 513)
    assert shop.altered == ["value_too_long"]


def test_it_can_start_empty_again(shop: Shop) -> None:
    shop.get("/e", p="ada", n="Ordered")
    shop.get("/e", p="ada")
    shop._vendor.forget()
    assert shop.state == {"people": [], "ignored": [], "altered": [], "duplicates": 0}
