"""What a use case refuses, as problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn

from tributary.control.http import Answer, Call
from tributary.control.problems import Problem
from tributary.operator import InUse, Invalid, NotFound, Refused, Unreadable, VersionConflict

_STATUS: Final[dict[type[Refused], int]] = {NotFound: 404, Invalid: 400, InUse: 409, Unreadable: 409}


def refusing(handle: Callable[[Call], Answer]) -> Callable[[Call], Answer]:
    """The use case's refusals, as problems."""

    def guarded(call: Call) -> Answer:
        try:
            return handle(call)
        except Refused as refused:
            _raise_problem(refused, seen=call.version is not None)

    return guarded


def _raise_problem(refused: Refused, *, seen: bool) -> NoReturn:
    """`seen`: whether the caller named the version that it meant (then 412: RFC 9110, 13.1.1)."""
    status = (412 if seen else 409) if isinstance(refused, VersionConflict) else _STATUS.get(type(refused), 409)
    text = str(refused)
    raise Problem(status=status, code=refused.code, field=refused.field, detail=f"{text[:1].upper()}{text[1:]}.") from refused
