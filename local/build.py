"""`sam build` for this machine, kept for as long as the sources stay the same. Several stacks may build at once: one does, the others wait for it."""

from __future__ import annotations

import fcntl
import hashlib
import platform
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from local.processes import Group, uninterrupted

KEPT_BUILDS: Final = 3
"""A stack reads its build only while it is deployed; the newest few leave room for those that are being deployed."""

_SOURCES: Final = ("template.yaml", "functions", "layers")


class BuildFailed(Exception):
    """`sam build` ended with an error; the text holds its last lines."""


def built(root: Path, *, env: Mapping[str, str], log: Path) -> tuple[Path, bool]:
    """The built template, and whether it had to be built. `env`: as `local.sam.environment` makes it. Raises `BuildFailed`."""
    builds = root / ".local" / "build"
    builds.mkdir(parents=True, exist_ok=True)
    wanted = builds / digest_of_sources(root)
    with _alone(builds / "lock"):
        fresh = not wanted.exists()
        if fresh:
            _build(root, wanted, env=env, log=log)
        wanted.touch()
        for old in sorted((path for path in builds.iterdir() if path.is_dir() and path.name != "cache"), key=lambda path: path.stat().st_mtime)[:-KEPT_BUILDS]:
            shutil.rmtree(old)
    return wanted / "template.yaml", fresh


def digest_of_sources(root: Path) -> str:
    """Of everything that a build for this machine comes from."""
    digest = hashlib.sha256(f"{sys.version} {sysconfig.get_platform()} {platform.libc_ver()}".encode())
    for path in sorted(path for name in _SOURCES for path in [root / name, *(root / name).rglob("*")]):
        if path.is_file() and not {"__pycache__", "tributary.egg-info"} & set(path.parts):
            digest.update(f"{path.relative_to(root)}\0{path.stat().st_mode}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _build(root: Path, target: Path, *, env: Mapping[str, str], log: Path) -> None:
    partly = target.with_suffix(".partly")
    shutil.rmtree(partly, ignore_errors=True)
    command = ["sam", "build", "--template-file", "template.yaml", "--build-dir", partly, "--cached", "--cache-dir", target.parent / "cache", "--parallel"]
    with uninterrupted():
        build = Group(command, env={**env, "TARGET": "host"}, cwd=root, log=log)
    with build:
        if build.wait() != 0:
            raise BuildFailed(build.last_lines())
    partly.rename(target)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
