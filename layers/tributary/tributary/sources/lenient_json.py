"""JSON as people send it → JSON that a strict reader takes.

A body that the strict reader refuses is repaired here once and read again, so that one bad value costs its own event and not the batch it came in. What has an
obvious meaning is set right: a byte-order mark, bytes that are not UTF-8 and lone surrogates (U+FFFD, as browsers do), raw control characters in a string,
integers past 64 bits (floats, as JavaScript reads them). What has none becomes a mark in the value's place: `NaN`, `Infinity`, numbers past a double, and
whatever is nested too deeply. `first_fault` finds marks again and says where they stand. Text that is not JSON stays so.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

_MARK_NUMBER: Final = "\x00tributary: not a number"
_MARK_DEPTH: Final = "\x00tributary: nested too deeply"
_MARKS: Final = {_MARK_NUMBER: "number", _MARK_DEPTH: "depth"}
"""Somebody who sends such a string has his own event refused, nothing else."""

_MAX_NUMBER_LENGTH: Final = 1_000
"""Characters; a double needs 767 at the very most."""
_MAX_PATH_LENGTH: Final = 200
_MAX_DEPTH_PATH_LENGTH: Final = 40
"""Of what is nested too deeply: where it begins is what helps to find it, and the rest of the path is more of the same."""
_PLAIN_NAME: Final = re.compile(r"[\w$ \-]{1,64}")
"""A name fit for an error text. Others, an email as a key among them, appear as `…`."""

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|-?(?:Infinity|[0-9][0-9.eE+\-]*+)|NaN|[\[\]{}]', re.DOTALL)
"""A text that does not end is a token too: looking for its end once more from within it would take quadratic time."""
_CONTROL: Final = re.compile(r"[\x00-\x1f]")
_ESCAPE: Final = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL)
_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**64 - 1


class Fault(NamedTuple):
    """A value that JSON or we cannot hold."""

    path: str
    """Where it stands, as `properties.price` or `products[2].price`; at most 200 characters."""
    kind: str
    """`number` or `depth`."""


def repair(body: bytes, max_depth: int) -> tuple[bytes, int]:
    """The repaired text and how many characters of it had to be replaced. Containers deeper than `max_depth` are cut out. Takes time linear in the body."""
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    replaced = text.count("\ufffd") - body.count(b"\xef\xbf\xbd")
    pieces: list[str] = []
    depth = 0
    kept_to = 0
    for token in _TOKEN.finditer(text):
        start, end = token.span()
        first = text[start]
        if first in "[{":
            depth += 1
            if depth == max_depth + 1:
                pieces += (text[kept_to:start], f'"{_escaped(_MARK_DEPTH)}"')
        elif first in "]}":
            if depth == max_depth + 1:
                kept_to = end
            depth -= 1
        elif depth <= max_depth:
            found = text[start:end]
            if first == '"':
                better, lone = _string(found)
                replaced += lone
            else:
                better = _number(found)
            if better is not found:
                pieces += (text[kept_to:start], better)
                kept_to = end
    pieces.append(text[kept_to:])
    return "".join(pieces).encode(), replaced


def first_fault(value: Any, max_depth: int) -> Fault | None:
    """The first place in a value that is marked, or nested deeper than `max_depth` (the value itself is at 1 if it is a container). Does not recurse."""
    waiting: list[tuple[Any, str, int]] = [(value, "", 1)]
    while waiting:
        here, path, depth = waiting.pop()
        if type(here) is str:
            if here in _MARKS:
                return _fault(path, _MARKS[here])
        elif type(here) is dict or type(here) is list:
            if depth > max_depth:
                return _fault(path, "depth")
            if type(here) is dict:
                parts = [(part, _joined(path, name), depth + 1) for name, part in here.items()]
            else:
                parts = [(part, f"{path}[{number}]", depth + 1) for number, part in enumerate(here)]
            waiting += reversed(parts)
    return None


def _fault(path: str, kind: str) -> Fault:
    most = _MAX_DEPTH_PATH_LENGTH if kind == "depth" else _MAX_PATH_LENGTH
    return Fault(path if len(path) <= most else f"{path[: most - 1]}…", kind)


def _joined(path: str, name: str) -> str:
    shown = name if _PLAIN_NAME.fullmatch(name) else "…"
    return f"{path}.{shown}"[: _MAX_PATH_LENGTH + 1] if path else shown


def _string(token: str) -> tuple[str, int]:
    """The string token with control characters escaped and lone surrogates replaced, and how many of these there were; the same object if there was nothing."""
    better = token
    lone = 0

    def replace(escape: re.Match[str]) -> str:
        nonlocal lone
        if escape.group(1) is None:
            return escape.group()
        lone += 1
        return "\ufffd"

    if _CONTROL.search(better) is not None:
        better = _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", better)
    if "\\u" in better:
        changed = _ESCAPE.sub(replace, better)
        if lone:
            better = changed
    return better, lone


def _number(token: str) -> str:
    """The number token as a strict reader takes it, or a mark in its place; the same object if it is fine, or no number at all."""
    try:
        value = float(token) if len(token) <= _MAX_NUMBER_LENGTH else float("inf")
    except ValueError:
        return token
    if value - value != 0:  # NaN and the infinities
        return f'"{_escaped(_MARK_NUMBER)}"'
    if len(token) > 18 and token.lstrip("-").isdigit() and not _INT_MIN <= int(token) <= _INT_MAX:
        return repr(value)
    return token


def _escaped(mark: str) -> str:
    return mark.replace("\x00", "\\u0000")
