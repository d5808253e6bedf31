"""What somebody's words may mean as an identifier."""

from __future__ import annotations

import pytest

from tributary.cli.people import candidates
from tributary.identity.identifiers import Identifier


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Orla@Harbour.example", [("email", "orla@harbour.example"), ("user", "Orla@Harbour.example"), ("anonymous", "Orla@Harbour.example")]),
        ("orla-12", [("user", "orla-12"), ("anonymous", "orla-12")]),
        ("user:orla-12", [("user", "orla-12")]),
        ("user:a:b", [("user", "a:b")]),
        ("anonymous:visit-9", [("anonymous", "visit-9")]),
        ("phone:(202) 555-0123", [("phone", "+12025550123")]),
        ("+12025550123", [("user", "+12025550123"), ("phone", "+12025550123"), ("anonymous", "+12025550123")]),
        (
            "konnektive:con_1:77",
            [("user", "konnektive:con_1:77"), ("anonymous", "konnektive:con_1:77"), ("konnektive:con_1", "77"), ("konnektive", "con_1:77")],
        ),
        ("email:nobody", []),
    ],
)
def test_what_it_may_be_the_likeliest_first(text: str, expected: list[tuple[str, str]]) -> None:
    assert list(candidates(text)) == [Identifier(*one) for one in expected]
