"""The shell scripts: which Python installs, and which one compiles a layer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PYTHON = """#!/bin/sh
# Stands in for a Python: answers the questions that the script asks.
case "$2" in
*version_info*) echo {version} ;;
*ensurepip*) exit {without_venv} ;;
*executable*) echo {path} ;;
*) exit 1 ;;
esac
"""
SHIM = "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A path with the shell's tools and no Python."""
    for tool in ("sh", "printf"):
        found = next(path for path in (Path("/bin") / tool, Path("/usr/bin") / tool) if path.exists())
        (tmp_path / tool).symlink_to(found)
    return tmp_path


def add(folder: Path, name: str, version: str | None, *, venv: bool = True) -> Path:
    path = folder / name
    path.write_text(SHIM if version is None else PYTHON.format(version=version, without_venv=0 if venv else 1, path=path))
    path.chmod(0o755)
    return path


def find_python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", str(ROOT / "local" / "find-python.sh"), *arguments], env={"PATH": str(folder)}, capture_output=True, text=True, check=False)


def test_the_first_new_enough_python_is_taken(folder: Path) -> None:
    add(folder, "python3", "3.9")
    wanted = add(folder, "python3.12", "3.12")
    add(folder, "python3.11", "3.11")
    assert find_python(folder).stdout == f"{wanted}\n"


def test_a_shim_without_a_python_behind_it_is_passed_over(folder: Path) -> None:
    add(folder, "python3", None)
    wanted = add(folder, "python3.11", "3.11")
    assert find_python(folder).stdout == f"{wanted}\n"


@pytest.mark.parametrize(
    ("version", "venv", "said"), [("3.9", True, "is 3.9"), ("3.10", True, "is 3.10"), ("2.7", True, "is 2.7"), ("3.12", False, "has no venv")]
)
def test_a_wrong_python_gets_one_line_that_says_what_to_do(folder: Path, version: str, venv: bool, said: str) -> None:
    add(folder, "python3", version, venv=venv)
    found = find_python(folder)
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.count("\n") == 1
    assert said in found.stderr
    assert "3.11 or newer" in found.stderr


def test_no_python_at_all_gets_one_line_too(folder: Path) -> None:
    found = find_python(folder)
    assert (found.returncode, found.stderr.count("\n")) == (1, 1)
    assert "none was found" in found.stderr


def test_a_python_may_be_named(folder: Path) -> None:
    add(folder, "python3", "3.12")
    wanted = add(folder, "mine", "3.13")
    assert find_python(folder, str(wanted)).stdout == f"{wanted}\n"


def compile_layer(version: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "UV": "/nowhere/uv", "HOME": "/nowhere", "PYENV_ROOT": "/nowhere", **environment}
    return subprocess.run(["sh", str(ROOT / "layers" / "compile.sh"), version, str(folder)], env=env, capture_output=True, text=True, check=False)


def test_a_layer_is_compiled_for_the_runtimes_version_unchecked_and_with_its_path_there(tmp_path: Path) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    (tmp_path / f"python{version}").symlink_to(sys.executable)
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "module.py").write_text("def f(): pass\n")
    done = compile_layer(version, layer, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert (done.returncode, done.stderr) == (0, "")
    [bytecode] = layer.glob("__pycache__/*.pyc")
    assert sys.implementation.cache_tag in bytecode.name
    content = bytecode.read_bytes()
    assert content[4:8] == b"\x01\x00\x00\x00"  # PEP 552: by hash, never checked
    assert b"/opt/python/module.py" in content


def test_without_the_runtimes_python_the_layer_goes_as_it_is_and_one_line_says_so(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("")
    done = compile_layer("3.99", tmp_path)
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert "cold starts will be slower" in done.stderr
    assert list(tmp_path.glob("__pycache__")) == []
