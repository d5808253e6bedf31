"""Where a vendor's requests may go. One rule for the settings that are saved and for the requests that are sent, so that what can be saved can be sent to."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urlsplit

from tributary.errors import SettingsInvalid

_PLAIN_HTTP_HOSTS: Final = frozenset({"127.0.0.1", "localhost"})
"""This machine, as a local stack's fakes are reached: what goes there goes over no wire."""


def parts_of(url: str) -> SplitResult:
    """The parts of a URL that is https, or http to this machine, in ASCII and with a host. Raises `SettingsInvalid`, field `endpoint`, not quoting the URL."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise SettingsInvalid("the vendor's address is not a URL", field="endpoint") from None
    if not host or url.split() != [url] or not url.isascii():
        raise SettingsInvalid("the vendor's address is not a URL with a host, in ASCII", field="endpoint")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _PLAIN_HTTP_HOSTS):
        raise SettingsInvalid("the vendor's address is not an https URL", field="endpoint")
    return parts
