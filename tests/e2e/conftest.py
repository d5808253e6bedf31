"""One local stack for all end-to-end tests: it is shared, so each test's people and ids are its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Final

import pytest

from local.sam import ROOT
from local.stack import Stack, running

SCALE: Final = 60.0
"""A minute of back-off in a second."""
LOGS_OF_FAILURES: Final = ROOT / ".local" / "e2e-logs"


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("stack"), scale=SCALE) as stack:
        yield stack
        if request.session.testsfailed:
            shutil.rmtree(LOGS_OF_FAILURES, ignore_errors=True)
            shutil.copytree(stack.folder, LOGS_OF_FAILURES, ignore=shutil.ignore_patterns("tmp"))
