"""Percent-encoding of decoded pairs, as a query or a form carries them: UTF-8, a space is %20, only letters, digits and `-._~` stay as they are (RFC 3986).

`urllib.parse.quote` says the same, but walks a string byte by byte in Python, and encoding is a good part of what a request costs. Here names, which come again
and again, are remembered, and many values become one byte string in which each *kind* of unsafe byte is replaced at once: a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

Pairs = Sequence[tuple[str, str]]

_UNRESERVED: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_ESCAPES: Final = [(bytes([byte]), b"%%%02X" % byte) for byte in range(256)]
_BETWEEN: Final = "\x00"
"""Stands between values while they are one string."""
_SETTLED: Final = _UNRESERVED + b"%"
"""What is no longer to be escaped once the frequent bytes are."""
_SETTLED_OR_BETWEEN: Final = _SETTLED + _BETWEEN.encode()
_MAX_REMEMBERED: Final = 4096
"""A shop's tracking plan has a few hundred names; names made of ids must not fill the memory."""
_MAX_REMEMBERED_LENGTH: Final = 512
"""4,096 of them, three times as long when encoded, stay below 10 MB."""


def encode_pairs(pairs: Pairs) -> str:
    """`name=value&name=value`, in the order given; an empty text for no pairs. Half of a surrogate pair, which UTF-8 cannot hold, becomes U+FFFD."""
    return _assemble([name for name, _ in pairs], _encode_values([value for _, value in pairs]))


def encode_each(requests: Sequence[Mapping[str, str]]) -> list[str]:
    """`encode_pairs` of the items of each, which together cost less than one by one."""
    values: list[str] = []
    for request in requests:
        values += request.values()
    values = _encode_values(values)
    texts = []
    start = 0
    for request in requests:
        end = start + len(request)
        texts.append(_assemble(request, values[start:end]))
        start = end
    return texts


def encoded_length(pairs: Pairs) -> int:
    """How many characters `encode_pairs` makes of them."""
    return len(encode_pairs(pairs))


def encode_remembered(text: str) -> str:
    """One name or value, for those that come again and again: the key of an account, a visitor's user agent."""
    return _REMEMBERED[text]


class _Remembered(dict[str, str]):
    """Texts already encoded. It starts anew when it is full."""

    def __missing__(self, text: str) -> str:
        encoded = self.encode(text)
        if len(text) <= _MAX_REMEMBERED_LENGTH:
            if len(self) >= _MAX_REMEMBERED:
                self.clear()
            self[text] = encoded
        return encoded

    def encode(self, text: str) -> str:
        return _encode(text)


class _RememberedNames(_Remembered):
    """Names with what stands around them: `&Signed%20Up%20-%20plan=`."""

    def encode(self, text: str) -> str:
        return f"&{_encode(text)}="


_REMEMBERED: Final = _Remembered()
_NAMES: Final = _RememberedNames()


def _assemble(names: Collection[str], values: list[str]) -> str:
    parts = [""] * (2 * len(names))
    parts[::2] = map(_NAMES.__getitem__, names)
    parts[1::2] = values
    return "".join(parts)[1:]


def _encode_values(values: list[str]) -> list[str]:
    encoded = _escape(_to_utf8(_BETWEEN.join(values)), settled=_SETTLED_OR_BETWEEN).decode("ascii").split(_BETWEEN)
    return encoded if len(encoded) == len(values) else [_encode(value) for value in values]  # a value has the byte itself


def _encode(text: str) -> str:
    return _escape(_to_utf8(text), settled=_SETTLED).decode("ascii")


def _escape(data: bytes, *, settled: bytes) -> bytes:
    # Without asking whether they are there: that would take longer. Percent signs first, for every escape brings one.
    data = data.replace(b"%", b"%25").replace(b" ", b"%20").replace(b"/", b"%2F").replace(b":", b"%3A").replace(b"?", b"%3F").replace(b"=", b"%3D")
    data = data.replace(b"&", b"%26").replace(b"@", b"%40").replace(b",", b"%2C").replace(b"+", b"%2B").replace(b"|", b"%7C").replace(b"'", b"%27")
    for byte in set(data.translate(None, settled)):
        data = data.replace(*_ESCAPES[byte])
    return data


def _to_utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
