"""`python -m local.fakes.konnektive` without a running fake."""

from __future__ import annotations

import json
import sys

import pytest

from local.fakes.konnektive.__main__ import main


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["konnektive", *arguments])
    main()


def test_it_prints_the_truth_of_a_shop_made_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run(monkeypatch, "--seed", "7", "--grow", "40", "--months", "3", "--play", "2", "--happen", "new_sale")
    truth = json.loads(capsys.readouterr().out)
    assert truth["contacts"] >= 41
    assert truth["revenue"]["USD"]["net"] > 0


def test_what_it_does_not_know_is_refused_with_all_that_it_does(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, "--happen", "a_wonder")
    assert "chargeback_reverted" in capsys.readouterr().err
