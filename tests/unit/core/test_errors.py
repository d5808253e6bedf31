from __future__ import annotations

from tributary import errors
from tributary.errors import Disposition, TributaryError


def every_error() -> list[type[TributaryError]]:
    found: list[type[TributaryError]] = []
    left = [TributaryError]
    while left:
        children = left.pop().__subclasses__()
        found += children
        left += children
    return [error for error in found if error.__module__ == errors.__name__]


def test_every_error_has_a_code_of_its_own_and_says_what_happens_next() -> None:
    codes = [error.code for error in every_error()]
    assert len(codes) == len(set(codes)) > 10
    for error in every_error():
        assert error.disposition in Disposition
        assert "code" in vars(error), f"{error.__name__} borrows its code"


def test_every_error_is_defined_in_the_one_file() -> None:
    left = [TributaryError]
    while left:
        children = left.pop().__subclasses__()
        assert {child.__module__ for child in children} <= {errors.__name__}
        left += children


def test_every_error_is_in_the_tree_that_the_file_shows() -> None:
    assert errors.__doc__ is not None
    for error in every_error():
        assert error.__name__ in errors.__doc__
