"""import-linter guards what it is told of: every part of the package must be told."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers" / "tributary" / "tributary"
DOING_IO = {"adapters", "cli"}


def test_every_part_of_the_package_but_the_adapters_and_the_command_line_is_kept_from_io() -> None:
    (contract,) = (
        contract
        for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
        if contract["name"] == "Only the adapters and the command line do I/O"
    )
    parts = {path.stem for path in PACKAGE.iterdir() if (path.suffix == ".py" or (path / "__init__.py").exists()) and path.stem != "__init__"}
    assert {f"tributary.{part}" for part in parts - DOING_IO} == set(contract["source_modules"])
