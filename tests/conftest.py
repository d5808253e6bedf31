"""Below e2e no test opens a socket (`--disable-socket`); those that drive the deployed stack may."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("e2e"):
            item.add_marker(pytest.mark.enable_socket)
