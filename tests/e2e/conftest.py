"""One local stack for all end-to-end tests: it is shared, so each test's people and ids are its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from local.stack import Stack, running

SCALE: Final = 60.0
"""A minute of back-off in a second."""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("stack"), scale=SCALE) as stack:
        yield stack
