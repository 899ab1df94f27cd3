"""A kept network measures what its row says, to the last digit, and says that test was read again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from harness.kept.evaluate import evaluate_split
from harness.kept.network import open_model
from harness.store.models import Models
from harness.store.readings import Readings
from harness.store.results import ResultStore
from tests.cli.conftest import Cli


def test_every_network_equals_its_row(here: Path, tmp_path: Path) -> None:
    store, models = ResultStore("results"), Models("results", "kept")
    rows = store.trials("kept").set_index("trial_id")
    cells = set()
    for trial in models.trials():
        card = models.card(trial)
        model = open_model(store, card)
        found, _ = evaluate_split([model], str(tmp_path), "test")
        row = dict(rows.loc[trial, "test"])
        assert {name: row[name] for name in found} == found
        assert card.objectives[0].split()[0] in found
        last, _ = evaluate_split([open_model(store, card, which="last")], str(tmp_path), "test")
        metric = card.objectives[0].split()[0]
        assert last[metric] == row[f"last_{metric}"]
        valid, _ = evaluate_split([model], str(tmp_path), "valid")
        assert valid[metric] == card.values[0]
        assert not any(module.training for module in model.modules())
        cells.add(card.cell)
    assert len(cells) == 12


def test_the_command_prints_the_boards_value_and_counts_the_reading(
    cli: Cli, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    rows = ResultStore("results").trials("kept")
    finals = rows[(rows["cell"] == "digits[pixels=8]/direct") & (rows["phase"] == "final")]
    best = finals.sort_values(["value", "seed"], ascending=[False, True]).iloc[0]
    said = cli("evaluate", "kept/digits[pixels=8]/direct")
    assert f"accuracy  {best['test']['accuracy']!r}" in said.out
    assert f"trial {best['trial_id']}" in said.out
    assert "has now been read 1 times after its final phase" in said.out
    assert "read 2 times" in cli("evaluate", "kept/digits[pixels=8]/direct", "--ensemble").out
    assert "harness evaluate has read test 2 times more" in cli("leaderboard", "kept").out
    valid = cli("evaluate", "kept/digits[pixels=8]/direct", "--split", "valid")
    assert f"accuracy  {float(best['value'])!r}" in valid.out
    assert "has now been read" not in valid.out
    assert Readings("results", "kept").count("digits[pixels=8]/direct") == 2


def test_the_studys_own_file_counts_as_test(
    cli: Cli, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    said = cli("evaluate", "kept/own.npz/direct", "--data", made / "own.npz")
    assert "has now been read 1 times" in said.out
    assert Readings("results", "kept").count() == 1


def test_nothing_of_torchs_state_is_left(here: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    models = Models("results", "kept")
    evaluate_split(
        [open_model(ResultStore("results"), models.card(models.trials()[0]))], str(tmp_path), "valid"
    )
    assert torch.get_num_threads() == before
