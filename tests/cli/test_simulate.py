"""``harness simulate`` as a user runs it."""

from __future__ import annotations

from pathlib import Path

from harness.study.strategies import OPTUNA
from tests.cli.conftest import Cli
from tests.conftest import STUDY, TOY


def _file(folder: Path) -> Path:
    file = folder / "toy.yaml"
    file.write_text(STUDY.format(plugin=TOY, trials=6, epochs=3, pruner="none"))
    return file


def test_every_strategy_has_a_line(cli: Cli, finished: Path, tmp_path: Path) -> None:
    said = cli("simulate", _file(tmp_path), "--from", "toy", "--results", finished, "--replays", 2)
    assert said.code == 0, said.err
    for name in ("random", "tpe", "tpe + hyperband", OPTUNA.split()[0]):
        assert name in said.out
    assert "2 replays of 18 epochs" in said.out


def test_a_study_that_is_not_there_is_one_line(cli: Cli, finished: Path, tmp_path: Path) -> None:
    said = cli("simulate", _file(tmp_path), "--from", "toi", "--results", finished)
    assert "unknown study" in said.line
    assert "Did you mean 'toy'" in said.line


def test_nothing_is_written(cli: Cli, finished: Path, tmp_path: Path) -> None:
    before = sorted(finished.rglob("*"))
    cli("simulate", _file(tmp_path), "--replays", 1, "--results", finished)
    assert sorted(finished.rglob("*")) == before
