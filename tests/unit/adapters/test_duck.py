"""What DuckDB has no room or time for is an error that says what would help."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tributary.adapters.duck import Allowance, Engine
from tributary.errors import ReportTooLarge

ENDLESS = "SELECT count(*) FROM range(100000) a, range(100000) b, range(100) c WHERE (a.range * b.range) % 7 = c.range"


def test_a_statement_ends_when_its_time_is_up(tmp_path: Path) -> None:
    engine = Engine(tmp_path, Allowance(memory_mb=200, seconds=0.3))
    started = time.monotonic()
    with pytest.raises(ReportTooLarge, match=r"more than 0\.3 s: ask for a narrower range, or give the function more memory"):
        engine.run(ENDLESS)
    assert time.monotonic() - started < 5
    assert engine.run("SELECT 1") == [(1,)]


def test_the_statements_of_a_question_have_its_time_together(tmp_path: Path) -> None:
    engine = Engine(tmp_path, Allowance(memory_mb=200, seconds=0.4))
    engine.begin()
    engine.run("CREATE SCHEMA one")
    with pytest.raises(ReportTooLarge):
        engine.run(ENDLESS)
    with pytest.raises(ReportTooLarge):
        engine.run("SELECT 1")
    engine.drop("one")
    engine.begin()
    assert engine.run("SELECT count(*) FROM information_schema.schemata WHERE schema_name = 'one'") == [(0,)]


def test_a_statement_that_needs_more_than_memory_and_disk_ends(tmp_path: Path) -> None:
    engine = Engine(tmp_path, Allowance(memory_mb=60, seconds=20, spill_mb=10))
    with pytest.raises(ReportTooLarge, match="more than 60 MB"):
        engine.run("CREATE TABLE much AS SELECT md5(range::VARCHAR) AS a, random()::VARCHAR AS b FROM range(20000000)")
    assert engine.run("SELECT 1") == [(1,)]
