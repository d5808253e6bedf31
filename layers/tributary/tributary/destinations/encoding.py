"""Percent-encoding of decoded pairs, as a query or a form carries them: UTF-8, a space is %20, only letters, digits and `-._~` stay as they are (RFC 3986).

`urllib.parse.quote` says the same, but walks a string byte by byte in Python. Here the whole query is one byte string and each *kind* of unsafe byte in it is
replaced at once, which on a query of a kilobyte is several times faster; encoding is a good part of what a request costs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_UNRESERVED: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_PERCENT: Final = ord("%")
_ESCAPES: Final = [(bytes([byte]), b"%%%02X" % byte) for byte in range(256)]

# Stand for `=` and `&` until the rest is escaped; text that holds them itself is encoded piece by piece.
_EQUALS: Final = "\x00"
_AND: Final = "\x01"
_MARKED: Final = _UNRESERVED + b"\x00\x01"


def encode_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """`name=value&name=value`, in the order given; an empty text for no pairs. Half of a surrogate pair, which UTF-8 cannot hold, becomes U+FFFD."""
    pairs = list(pairs)
    data = _join(pairs)
    if not _marks_are_ours(data, len(pairs)):
        return "&".join([f"{_encode(name)}={_encode(value)}" for name, value in pairs])
    return _escape(data, safe=_MARKED).replace(b"\x00", b"=").replace(b"\x01", b"&").decode("ascii")


def encoded_length(pairs: Iterable[tuple[str, str]]) -> int:
    """How many characters `encode_pairs` makes of them, without making it."""
    pairs = list(pairs)
    data = _join(pairs)
    if not _marks_are_ours(data, len(pairs)):
        return len(encode_pairs(pairs))
    return len(data) + 2 * len(data.translate(None, _MARKED))


def _join(pairs: list[tuple[str, str]]) -> bytes:
    return _to_utf8(_AND.join([f"{name}{_EQUALS}{value}" for name, value in pairs]))


def _marks_are_ours(data: bytes, pairs: int) -> bool:
    return data.count(b"\x00") == pairs and data.count(b"\x01") == max(pairs - 1, 0)


def _encode(text: str) -> str:
    return _escape(_to_utf8(text), safe=_UNRESERVED).decode("ascii")


def _escape(data: bytes, *, safe: bytes) -> bytes:
    unsafe = set(data.translate(None, safe))
    if _PERCENT in unsafe:  # first: every other escape brings percent signs of its own
        data = data.replace(b"%", b"%25")
        unsafe.remove(_PERCENT)
    for byte in unsafe:
        data = data.replace(*_ESCAPES[byte])
    return data


def _to_utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
