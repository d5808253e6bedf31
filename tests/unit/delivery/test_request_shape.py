"""The shape of a request: recognisable, and empty of what it carries."""

from __future__ import annotations

from tributary.delivery.request_shape import shape
from tributary.ports import VendorRequest


def test_a_query_is_its_names_and_its_size() -> None:
    request = VendorRequest(method="GET", url="https://trk.vendor.example/e", query=[("_p", "ann@example.com"), ("_n", "Signed Up"), ("_p", "twice")])
    assert shape(request) == {
        "method": "GET",
        "host": "trk.vendor.example",
        "path": "/e",
        "parameters": ["_n", "_p"],
        "other_parameters": 0,
        "bytes": len("_p=ann%40example.com&_n=Signed%20Up&_p=twice"),
    }


def test_a_form_and_json_are_told_alike() -> None:
    form = shape(VendorRequest(method="POST", url="https://vendor.example/s", form=[("plan", "gold")], encoded="plan=gold"))
    assert (form["parameters"], form["bytes"]) == (["plan"], 9)
    body = shape(VendorRequest(method="POST", url="https://vendor.example/s", json={"data": {"email": "ann@example.com"}}))
    assert (body["parameters"], body["bytes"]) == (["data"], 36)


def test_a_name_or_path_that_may_be_a_person_is_only_counted() -> None:
    names = ["plan", "ann@example.com", "+49 170 1234567", "Überweisung", "x" * 101, "Signed Up - plan", "card 4111111111111111"]
    told = shape(VendorRequest(method="GET", url="https://user:password@vendor.example/p/ann@example.com/49170123456", query=[(name, "v") for name in names]))
    assert told["parameters"] == ["Signed Up - plan", "plan"]
    assert told["other_parameters"] == 5
    assert told["path"] == "/p/*/*"
    assert told["host"] == "vendor.example"


def test_a_request_of_many_names_is_told_in_part() -> None:
    told = shape(VendorRequest(method="POST", url="https://vendor.example/", form=[(f"name {number:03}", "v") for number in range(250)]))
    assert len(told["parameters"]) == 100
    assert told["other_parameters"] == 150
