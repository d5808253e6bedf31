"""The build for this machine, kept while the sources are the same."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from local.build import KEPT_BUILDS, BuildFailed, built, digest_of_sources

SAM = """#!/bin/sh
# Stands in for `sam build`: counts its calls, and makes what it would make.
echo called >> {calls}
sleep 0.2
while [ "$1" != --build-dir ]; do shift; done
mkdir -p "$2" && echo "TARGET is $TARGET" > "$2/template.yaml"
{rest}
"""


class Tree:
    """A project's sources, and a `sam` that stands in for the real one."""

    def __init__(self, root: Path) -> None:
        self.root = root / "project"
        self.calls = root / "calls"
        self.bin = root / "bin"
        for path, text in {"template.yaml": "Resources: {}", "functions/intake/handler.py": "x = 1", "layers/tributary/tributary/a.py": "y = 1"}.items():
            self.write(path, text)
        self.bin.mkdir()
        self.sam()

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def sam(self, rest: str = "") -> None:
        (self.bin / "sam").write_text(SAM.format(calls=self.calls, rest=rest))
        (self.bin / "sam").chmod(0o755)

    def built(self) -> tuple[Path, bool]:
        return built(self.root, env={"PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}, log=self.root / "sam.log")

    def called(self) -> int:
        return len(self.calls.read_text().splitlines()) if self.calls.exists() else 0


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_the_first_start_builds_for_this_machine_and_the_next_uses_it(tree: Tree) -> None:
    template, fresh = tree.built()
    assert fresh
    assert template.read_text() == "TARGET is host\n"
    assert tree.built() == (template, False)
    assert tree.called() == 1


@pytest.mark.parametrize("path", ["template.yaml", "functions/intake/handler.py", "functions/record/handler.py", "layers/tributary/tributary/a.py"])
def test_a_changed_or_new_source_is_built_anew(tree: Tree, path: str) -> None:
    tree.built()
    tree.write(path, "z = 2")
    assert tree.built()[1]


def test_what_python_leaves_beside_the_sources_changes_nothing(tree: Tree) -> None:
    before = digest_of_sources(tree.root)
    tree.write("functions/intake/__pycache__/handler.cpython-311.pyc", "bytecode")
    tree.write("layers/tributary/tributary.egg-info/PKG-INFO", "Name: tributary")
    assert digest_of_sources(tree.root) == before
    tree.write("functions/intake/handler.py", "x = 2")
    assert digest_of_sources(tree.root) != before


def test_two_that_start_at_once_build_once(tree: Tree) -> None:
    results: list[tuple[Path, bool]] = []
    starts = [threading.Thread(target=lambda: results.append(tree.built())) for _ in range(3)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert tree.called() == 1
    assert sorted(fresh for _, fresh in results) == [False, False, True]


def test_a_failed_build_says_its_last_lines_and_is_not_taken_for_a_build(tree: Tree) -> None:
    tree.sam(rest="echo no such layer; exit 1")
    with pytest.raises(BuildFailed, match="no such layer"):
        tree.built()
    tree.sam()
    assert tree.built()[1]


def test_old_builds_are_removed_and_the_newest_stay(tree: Tree) -> None:
    made = []
    for number in range(KEPT_BUILDS + 2):
        tree.write("functions/intake/handler.py", f"x = {number}")
        made.append(tree.built()[0])
        time.sleep(0.01)
    assert [template.exists() for template in made] == [False, False, *[True] * KEPT_BUILDS]
