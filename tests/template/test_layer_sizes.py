"""A function and its layers may be 250 MB unzipped: DuckDB is most of that."""

from __future__ import annotations

import re
from importlib.metadata import distribution
from pathlib import Path

from tests.template.test_layers import PACKAGE, ROOT

MOST_BYTES = 250 * 1024 * 1024
PINNED = re.compile(r"^([A-Za-z0-9_.-]+)==(\S+)", re.MULTILINE)


def test_all_layers_together_are_below_what_lambda_takes() -> None:
    """By the same versions as they are installed here: for the functions' processor their files are about as large."""
    found = 0
    for requirements in (ROOT / "layers").glob("*/requirements.txt"):
        for name, version in PINNED.findall(requirements.read_text()):
            installed = distribution(name)
            assert installed.version == version, f"{name} is pinned as {version} for the functions and {installed.version} is installed"
            found += sum(_size(Path(str(file.locate()))) for file in installed.files or [])
    found += sum(file.stat().st_size for file in PACKAGE.rglob("*.py")) * 2  # with its bytecode
    assert 50_000_000 < found < MOST_BYTES, f"{found / 1e6:.0f} MB"


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0
