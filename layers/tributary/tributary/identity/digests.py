"""Keyed digests: how an identifier appears where personal data may not. The key is made once per stack and kept in the parameter store."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from tributary.identity.identifiers import Identifier

DIGEST_KEY_NAME: Final = "digest-key"
"""The secret's name below the stack's prefix."""
_BYTES: Final = 16


class Digests:
    """Identifier → 32 hex digits, the same for the same stack."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, identifier: Identifier) -> str:
        text = f"{identifier.kind}#{identifier.value}".encode()
        return hmac.new(self._key, text, hashlib.sha256).digest()[:_BYTES].hex()


def public_digest(*parts: str) -> str:
    """An unkeyed digest of ids that are ours or already digests: 32 hex digits. Group ids and deduplication ids are made of it."""
    joined = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return hashlib.sha256(joined).digest()[:_BYTES].hex()
