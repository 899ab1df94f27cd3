"""Resume by name, retry, fork and overrides, as a user meets them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from harness.store.results import ResultStore
from harness.train import metadata
from tests.cli.conftest import Cli

NEURON = """
import os

from harness.contracts import Neuron, ParamsModel, param
from harness.neurons.lif import LIF


class Params(LIF.Params):
    pass


class Mine(LIF):
    \"\"\"A neuron of one's own that fails at large thresholds.\"\"\"

    name = "mine"
    Params = Params

    def __init__(self, params):
        if os.environ.get("MINE_BROKEN") and params.v_threshold > 1.0:
            raise RuntimeError("bad threshold")
        super().__init__(params)
"""
STUDY = """# a note of mine: --set is for the command line
# --set search.trials=9
name: mine
plugins: [./neuron.py]
cells:
  - dataset: digits
    pipelines: [{name: direct, label: mine, set: {neuron.name: mine, timesteps: 2}}]
space: {neuron.v_threshold: {float: [0.5, 2.0]}}
search: {sampler: random, pruner: none, trials: 4, epochs: 1}
confirm: {top: 1, seeds: 0}
final: {seeds: 1}
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a study and a plug-in that fails for some."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "neuron.py").write_text(NEURON)
    monkeypatch.setenv("MINE_BROKEN", "1")
    (folder / "study.yaml").write_text(STUDY)
    monkeypatch.chdir(folder)
    return folder


def rows(folder: Path, study: str = "mine") -> pd.DataFrame:
    return ResultStore(folder / "results").trials(study)


def states(folder: Path, study: str = "mine") -> dict[str, int]:
    return dict(rows(folder, study)["state"].value_counts())


def _process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, which has not seen the plug-in as it was."""
    command = [sys.executable, "-m", "harness", *arguments, "--engine", "local"]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_a_comment_is_no_override_and_an_override_is_kept(
    cli: Cli, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINE_BROKEN")
    assert cli("launch", "study.yaml", "--engine", "local", "--set", "search.trials=3").code == 0
    assert (rows(mine)["phase"] == "search").sum() == 3
    assert cli("resume", "mine", "--engine", "local").code == 0
    assert (rows(mine)["phase"] == "search").sum() == 3
    launches = ResultStore(mine / "results").studies("mine")
    assert launches["overrides"].tolist() == [["search.trials=3"]] * 2
    assert set(launches["text"]) == {STUDY}


def test_resume_from_another_folder_and_without_the_files(
    cli: Cli, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINE_BROKEN")
    cli("launch", "study.yaml", "--engine", "local", "--set", "search.trials=2")
    monkeypatch.chdir(tmp_path)
    where = ("--results", mine / "results", "--engine", "local")
    more = cli("resume", "mine", *where, "--set", "search.trials=3")
    assert more.code == 0, more.err
    assert "test has been read for 1 configuration; 1 more search trials may find another" in more.out
    (mine / "study.yaml").unlink()
    (mine / "neuron.py").unlink()
    again = cli("resume", "mine", *where)
    assert again.code == 0, again.err
    assert "(0 in this run)" in again.out


def test_failures_run_again_only_if_asked(cli: Cli, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("launch", "study.yaml", "--engine", "local")
    before = states(mine)
    assert before["FAILED"] >= 1
    failed = rows(mine)
    failed = failed[failed["state"] == "FAILED"]
    cli("resume", "mine", "--engine", "local")
    assert states(mine) == before
    assert "unknown failed trial 'x'" in cli("resume", "mine", "--engine", "local", "--retry", "x").line
    one = failed["trial_id"].iloc[0]
    cli("resume", "mine", "--engine", "local", "--retry", one)
    attempts = rows(mine).groupby("trial_id")["attempt"].max()
    assert attempts[one] == 2
    assert (attempts.drop(one) == 1).all()
    cli("resume", "mine", "--engine", "local", "--retry", "failed")
    attempts = rows(mine).groupby("trial_id")["attempt"].max()
    assert attempts[one] == 3
    assert (attempts[failed["trial_id"]] >= 2).all()
    assert cli("verify").code == 0, "a failure that ran again ended twice, and that is no damage"


def test_a_fork_takes_no_failure_and_nothing_of_other_code(cli: Cli, mine: Path) -> None:
    cli("launch", "study.yaml", "--engine", "local")
    same = cli("launch", "study.yaml", "--engine", "local", "--fork", "same")
    good = int((rows(mine)["state"] == "COMPLETE").sum()) - 1  # less the final trial
    bad = states(mine)["FAILED"]
    assert f"fork: {good} trials copied; left out: {bad} that failed." in same.out
    (mine / "neuron.py").write_text(NEURON.replace("1.0", "9.0"))
    assert "was begun with other settings" in _process("launch", "study.yaml").stderr
    fixed = _process("launch", "study.yaml", "--fork", "fixed")
    assert fixed.returncode == 0, fixed.stderr
    assert "fork: 0 trials copied" in fixed.stdout
    assert f"{good} made with other plug-ins" in fixed.stdout
    assert states(mine, "fixed") == {"COMPLETE": 5}


def test_rows_say_which_code_made_them(cli: Cli, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINE_BROKEN")
    cli("launch", "study.yaml", "--engine", "local", "--set", "search.trials=2")
    found = rows(mine)
    assert set(found["code"]) == {metadata.code_version()}
    assert all(
        re.fullmatch(r"[0-9a-f]{12}", digest) for plugins in found["plugins"] for digest in plugins.values()
    )
    monkeypatch.setattr(metadata, "code_version", lambda: "0" * 12)
    said = cli("resume", "mine", "--engine", "local")
    assert "has trials made by other code of the harness" in said.out
    fork = cli("launch", "study.yaml", "--engine", "local", "--set", "search.trials=2", "--fork", "other")
    assert "2 made by other code of the harness" in fork.out
