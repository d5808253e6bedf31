"""Importing the emulator raises this process's recursion limit, on which other tests' depths rest: it is put back."""

from __future__ import annotations

import sys

limit = sys.getrecursionlimit()
import local.patches  # noqa: E402, F401

sys.setrecursionlimit(limit)
