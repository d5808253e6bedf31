"""Handlers of this process, kept from printing between the figures."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Final, TextIO

_LOGGER: Final = "test"
"""`POWERTOOLS_SERVICE_NAME` of `tests.kit.pipeline`."""


@contextmanager
def printed() -> Iterator[io.StringIO]:
    """What they print meanwhile: metrics, and the lines of their logger, which holds on to the stream that it was made with."""
    output = io.StringIO()
    with redirect_stdout(output):
        _log_to(output)
        try:
            yield output
        finally:
            _log_to(sys.__stdout__ or output)


def _log_to(stream: TextIO) -> None:
    for handler in logging.getLogger(_LOGGER).handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(stream)
