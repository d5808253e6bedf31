"""Where a page event was: its address, the parameters in it, and the page before. All of it is a browser's or a merchant's text: nothing of it is relied on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from tributary.events import Page

MAX_ADDRESS: Final = 4_096
"""Characters of an address that are read. Longer ones are made by machines, and the parameters that matter come first."""
MAX_PARAMETERS: Final = 200
"""Of one address; with more it has none."""


def page_urls(event: Page) -> list[str]:
    """The addresses that the event gives its page: in its properties, and in `context.page`."""
    return _texts(event, "url")


def page_parameters(event: Page) -> list[tuple[str, str]]:
    """Every parameter of the page's address, in the order of the places that give it: names as written, values decoded and trimmed, none empty."""
    found = [pair for url in page_urls(event) for pair in parameters_of(url)]
    return found + [pair for search in _texts(event, "search") for pair in _pairs(search.lstrip("?"))]


def page_mentions(event: Page, text: str) -> bool:
    """Whether the page's address holds the text, anywhere: what is quick to ask before it is taken apart."""
    return any(text in address for name in ("url", "search") for address in _texts(event, name))


def page_referrer(event: Page) -> str | None:
    return next(iter(_texts(event, "referrer")), None)


def parameters_of(url: str) -> list[tuple[str, str]]:
    parts = split(url)
    return _pairs(parts.query) if parts else []


def host_of(url: str | None) -> str:
    """The host in lower case, without `www.` and port; empty if the text has none."""
    parts = split(url) if url else None
    return (parts.hostname or "").removeprefix("www.") if parts else ""


def split(url: str) -> SplitResult | None:
    """None for what is no address."""
    try:
        parts = urlsplit(url.strip()[:MAX_ADDRESS])
        _ = parts.hostname
    except ValueError:
        return None
    return parts


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(query[:MAX_ADDRESS], max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return []
    return [(name, value.strip()) for name, value in pairs if value.strip()]


def _texts(event: Page, name: str) -> list[str]:
    return [value for holder in _holders(event) if isinstance(value := holder.get(name), str) and value.strip()]


def _holders(event: Page) -> Iterable[dict[str, Any]]:
    page = event.context.get("page")
    return (event.properties, page) if isinstance(page, dict) else (event.properties,)
