"""Pages of a sorted list. A cursor names the last item seen, so that what comes or goes before it shifts nothing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final, TypeVar

import msgspec

from tributary.control.problems import Problem

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 200

T = TypeVar("T")
Place = tuple[str, str]
"""What the list is sorted by, and the item's id among those that are alike in it."""


def page_of(items: Iterable[T], place: Callable[[T], Place], *, limit: int, cursor: str | None) -> tuple[list[T], str | None]:
    """A page and the cursor of the next. `items` are sorted by the first part of their place. Raises `Problem` for a cursor that is none."""
    rest = iter(items) if cursor is None else _behind(items, place, _read(cursor))
    page = list(islice(rest, limit + 1))
    following = _write(place(page[limit - 1])) if len(page) > limit else None
    return page[:limit], following


def _behind(items: Iterable[T], place: Callable[[T], Place], last: Place) -> Iterable[T]:
    """What stands behind the item of a place. If that item is gone, what is alike in sort is given again rather than left out."""
    alike: list[T] = []
    found = False
    for item in items:
        sort, id = place(item)
        if sort < last[0]:
            continue
        if sort == last[0] and not found:
            alike.append(item)
            if id == last[1]:
                found, alike = True, []
            continue
        yield from alike
        alike = []
        yield item
    yield from alike


def _write(place: Place) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _read(cursor: str) -> Place:
    try:
        sort, id = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=Place)
    except (binascii.Error, ValueError) as error:  # msgspec's errors are ValueErrors
        raise Problem(status=400, code="invalid_parameter", field="cursor", detail="Not a cursor of this list.") from error
    return sort, id
