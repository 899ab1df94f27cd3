"""Every bad input through the real command: exit code 2, one clear line, no traceback, nothing lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.engine.pool import RayEngine
from harness.store import schemas
from harness.store.lock import StudyLock
from harness.store.merging import plain
from harness.store.results import ResultStore
from tests.cli.conftest import SMALL, Cli, Said
from tests.conftest import STUDY, TOY

BASE = """\
name: small
cells:
  - dataset: digits
    pipelines: [ann, direct]
space:
  optimizer.lr: {float: [1.0e-3, 1.0e-1], log: true}
  neuron.tau: {float: [1.1, 4.0]}
fixed: {timesteps: 2, neuron.name: lif}
search: {trials: 2, epochs: 1}
"""
LR = "{float: [1.0e-3, 1.0e-1], log: true}"
BAD = {
    "unknown dataset": ("dataset: digits", "dataset: digts", 3, "'digts'. Did you mean 'digits'?"),
    "unknown pipeline": ("[ann, direct]", "[ann, direkt]", 4, "'direkt'. Did you mean 'direct'?"),
    "unknown neuron": ("neuron.name: lif", "neuron.name: plfi", 8, "Did you mean 'plif'?"),
    "unknown parameter": ("neuron.tau:", "neuron.tua:", 7, "Did you mean 'neuron.tau'?"),
    "unknown key": ("search: {trials", "serach: {trials", 9, "Did you mean 'search'?"),
    "unknown key inside": ("{trials: 2, epochs: 1}", "{trails: 2}", 9, "Did you mean 'trials'?"),
    "low above high": (LR, "{float: [1.0, 0.1]}", 6, "low 1.0 is above high 0.1"),
    "log through zero": (LR, "{float: [0.0, 0.1], log: true}", 6, "A logarithm needs low above 0"),
    "number as text": (LR, "{float: [1e-4, 0.1]}", 6, "YAML needs a dot: write 1.0e-4"),
    "wrong type": ("timesteps: 2", "timesteps: many", 8, "timesteps"),
    "text for a number": ("trials: 2", "trials: two", 9, "trials"),
    "zero trials": ("trials: 2", "trials: 0", 9, "trials"),
    "name with a slash": ("name: small", "name: a/b", 1, "a/b"),
    "key twice": ("name: small", "name: small\nname: large", 2, "name"),
    "not YAML": ("cells:", "cells: [", None, "YAML"),
    "tab": ("  - dataset", "\t- dataset", 3, ""),
}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good study file in the working folder."""
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(BASE)
    return Path("small.yaml")


@pytest.fixture
def toy(tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private copy of the finished toy study; its file is ``toy.yaml`` in the working folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, tmp_path / "results")
    Path("toy.yaml").write_text(STUDY.format(plugin=TOY, trials=3, epochs=2, pruner="none"))
    return tmp_path / "results"


def again(cli: Cli, *more: str) -> Said:
    """Launch the finished toy study."""
    settings = [item for setting in SMALL for item in ("--set", setting)]
    return cli("launch", "toy.yaml", "--engine", "local", *settings, *more)


def test_the_base_is_good(cli: Cli, study: Path) -> None:
    said = cli("check", study)
    assert said.code == 0, said.err
    assert not Path("results").exists()


@pytest.mark.parametrize("command", ["check", "launch"])
@pytest.mark.parametrize("kind", BAD)
def test_study_files(cli: Cli, study: Path, kind: str, command: str) -> None:
    old, new, line, words = BAD[kind]
    assert old in BASE
    study.write_text(BASE.replace(old, new, 1))
    said = cli(command, study).line
    location = "small.yaml:" if line is None else f"small.yaml:{line}: "
    assert said.startswith(f"error: {location}")
    assert words in said
    assert not Path("results").exists()


SERIES = """\
name: own
cells:
  - dataset: {series: own.csv, window: 12, horizon: 4}
    pipelines: [persistence, window-mean, train-mean, nlinear-ridge]
final: {seeds: 1}
"""
#: What is wrong with a series: its rows (from 100 good ones), a setting of the data set, words of the line.
BAD_SERIES = {
    "cell": (lambda t: t.astype({"a": object}).replace({"a": {t["a"][5]: "x"}}), "", "own.csv:7: column 'a'"),
    "NaN": (lambda t: t.assign(a=t["a"].where(t.index != 5)), "", "Set missing: ffill"),
    "missing steps": (lambda t: t.drop(index=[8, 9]), "", "2 steps are missing before"),
    "too few rows": (lambda t: t.iloc[:15], "", "15 rows are too few for window 12 + horizon 4"),
    "constant": (lambda t: t.assign(b=1.0), "", "variate 'b' is constant"),
    "unsorted": (lambda t: t.iloc[::-1], "", "Sort the rows by time"),
    "doubled": (lambda t: t.iloc[[0, 0, *range(1, 100)]], "", "is there twice"),
    "horizon 0": (lambda t: t, "horizon: 0", "small.yaml:3: dataset.horizon: 0 is below 1"),
    "separator": (lambda t: t, 'horizon: 4, separator: ";"', "has no ';' but has ','"),
}


@pytest.mark.parametrize("command", ["check", "launch"])
@pytest.mark.parametrize("kind", BAD_SERIES)
def test_series_of_ones_own(cli: Cli, study: Path, kind: str, command: str) -> None:
    spoil, setting, words = BAD_SERIES[kind]
    t = np.arange(100)
    dates = pd.date_range("2020", periods=100, freq="h")
    spoil(pd.DataFrame({"date": dates, "a": np.sin(t), "b": np.cos(t)})).to_csv("own.csv", index=False)
    study.write_text(SERIES.replace("horizon: 4", setting) if setting else SERIES)
    assert words in cli(command, study).line
    assert not Path("results").exists()


def test_a_forecasting_study_without_baselines_is_told_so(cli: Cli, study: Path) -> None:
    t = np.arange(100)
    pd.DataFrame({"a": np.sin(t), "b": np.cos(t)}).to_csv("own.csv", index=False)
    study.write_text(SERIES)
    assert "trivial baselines" not in cli("check", study).out
    study.write_text(SERIES.replace(", train-mean, nlinear-ridge", ""))
    said = " ".join(cli("check", study).out.split())
    assert "Add to its pipelines: train-mean, nlinear-ridge." in said


@pytest.mark.parametrize("content", [b"", b"\n\n# nothing\n", b"[]\n", b"just words\n", b"\xff\xfe\x00"])
def test_files_that_are_no_study(cli: Cli, study: Path, content: bytes) -> None:
    study.write_bytes(content)
    assert "small.yaml" in cli("check", study).line


def test_a_study_file_that_is_not_there(cli: Cli, study: Path) -> None:
    assert "smal.yaml" in cli("launch", "smal.yaml").line
    assert "no study file gone.yaml" in cli("resume", "gone.yaml").line


def test_overrides(cli: Cli, study: Path) -> None:
    assert "trials" in cli("check", study, "--set", "search.trails=3").line
    assert "key=value" in cli("check", study, "--set", "search.trials").line


def test_forecasts_without_trivial_ones_are_refused_before_they_run(cli: Cli, tmp_path: Path) -> None:
    """The board refuses them, and cells cannot be added to a study that has begun."""
    (tmp_path / "load.csv").write_text("a\n" + "\n".join(str(i % 7) for i in range(300)))
    file = tmp_path / "x.yaml"
    file.write_text(
        "name: x\ncells: [{dataset: {series: load.csv, window: 6, horizon: 2}, pipelines: [persistence]}]\n"
    )
    wanted = "Add to its pipelines: window-mean, train-mean, nlinear-ridge."
    assert wanted in cli("launch", file, "--engine", "local", "--results", tmp_path / "r").line
    assert not (tmp_path / "r").exists()
    checked = cli("check", file)
    assert checked.code == 0
    assert wanted in " ".join(checked.out.split())


def test_missing_data_says_name_origin_sha256_and_where(
    cli: Cli, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.datasets.events.nmnist_small import FILE, ORIGIN, SHA256

    monkeypatch.setenv("HARNESS_DATA", str(tmp_path / "data"))
    study.write_text(BASE.replace("dataset: digits", "dataset: nmnist-small"))
    for command in (("check", study), ("launch", study), ("data", "verify", "nmnist-small")):
        said = cli(*command).line
        for words in ("'nmnist-small'", ORIGIN, SHA256, str(tmp_path / "data" / FILE), "HARNESS_DATA"):
            assert words in said


def test_wrong_sha256(cli: Cli, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.datasets.events.nmnist_small import FILE

    monkeypatch.setenv("HARNESS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE).write_bytes(b"not what it was")
    study.write_text(BASE.replace("dataset: digits", "dataset: nmnist-small"))
    for command in (("data", "verify", "nmnist-small"), ("launch", study, "--engine", "local")):
        said = cli(*command).line
        assert FILE in said
        assert "sha256" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("status", "tyo"), "Did you mean 'toy'?"),
        (("leaderboard", "tyo"), "Did you mean 'toy'?"),
        (("report", "tyo"), "Did you mean 'toy'?"),
        (("compact", "tyo"), "Did you mean 'toy'?"),
        (("export", "tyo"), "Did you mean 'toy'?"),
        (("resume", "tyo"), "Did you mean 'toy'?"),
        (("leaderboard", "toy", "--format", "latex"), "Did you mean 'tex'?"),
        (("leaderboard", "toy", "--sort", "scor"), "unknown order 'scor'. Did you mean 'score'?"),
        (("leaderboard", "toy", "--dataset", "toy-point"), "Did you mean 'toy-points'?"),
        (("leaderboard", "toy", "--pipeline", "c"), "unknown pipeline 'c'. Known: a, b"),
        (("leaderboard", "toy", "--metric", "acuracy"), "Did you mean 'accuracy'?"),
        (("leaderboard", "toy", "--watch", "--full"), "leave out --full"),
        (("leaderboard", "toy", "--format", "csv", "--out", "toy.yaml/x"), "Choose another --out."),
        (("export", "toy", "--to", "optna"), "Did you mean 'optuna'?"),
        (("launch", "toy.yaml", "--engine", "lokal"), "Did you mean 'local'?"),
        (("launch", "toy.yaml", "--cluster", "lcal"), "Did you mean 'local'?"),
        (("launch", "toy.yaml", "--fork", "a/b"), "study name 'a/b'"),
        (("merge", "nowhere"), "holds no study"),
        (("list", "neuron"), "Did you mean 'neurons'?"),
        (("data", "verify", "digit"), "Did you mean 'digits'?"),
        (("data", "prepare", "digit"), "Did you mean 'digits'?"),
        (("status", "--results", "nope://x"), "results root nope://x"),
    ],
)
def test_names(cli: Cli, toy: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in cli(*arguments).line


def test_usage(cli: Cli) -> None:
    for arguments in (("lanch",), ("launch",), ("launch", "x.yaml", "--nope")):
        said = cli(*arguments)
        assert said.code == 2
        assert "Traceback" not in said.err


class TestStores:
    def test_results_that_are_no_folder(self, cli: Cli, toy: Path) -> None:
        Path("file").write_text("")
        said = again(cli, "--results", "file").line
        assert "results folder" in said
        assert "not writable" in said
        assert "--results" in said

    @pytest.mark.parametrize("content", [b"", b"PAR1 and no more", None])
    def test_truncated_and_foreign_files(self, cli: Cli, toy: Path, content: bytes | None) -> None:
        part = sorted((toy / "trials" / "toy").glob("*.parquet"))[0]
        if content is None:
            pd.DataFrame({"mine": [1]}).to_parquet(part)
        else:
            part.write_bytes(content)
        said = again(cli).line
        assert str(part) in said
        assert "harness verify" in said
        board = cli("leaderboard", "toy")
        assert board.code == 0
        assert part.name in board.err.replace("\n", "")
        found = cli("verify")
        assert found.code == 1
        assert part.name in found.out
        assert "1 files set aside" in found.out
        assert again(cli).code == 0
        assert len(ResultStore(toy).trials("toy")) == 12
        assert cli("verify").code == 0

    def test_a_report_says_what_it_leaves_out(self, cli: Cli, toy: Path) -> None:
        part = sorted((toy / "trials" / "toy").glob("*.parquet"))[0]
        part.write_bytes(b"")
        said = cli("report", "toy")
        assert said.code == 0
        assert f"left out: {part}" in said.err

    def test_a_launch_row_that_cannot_be_read(self, cli: Cli, toy: Path) -> None:
        (launch,) = (toy / "studies" / "toy").glob("*.parquet")
        launch.write_bytes(b"PAR1")
        for command in ("leaderboard", "report"):
            said = cli(command, "toy").line
            assert str(launch) in said
            assert "harness verify" in said

    def test_a_copied_row_is_there_once_again(self, cli: Cli, toy: Path) -> None:
        part = sorted((toy / "trials" / "toy").glob("*.parquet"))[0]
        shutil.copy(part, part.with_name("copy.parquet"))
        said = cli("verify")
        assert said.code == 1
        assert "study 'toy' had 1 rows twice: they are there once now" in said.out
        assert cli("verify").code == 0

    def test_a_newer_schema(self, cli: Cli, toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        row = plain(ResultStore(toy).trials("toy").iloc[0].to_dict())
        newer = schemas.TRIALS.with_metadata({"harness_table": "trials", "harness_schema": "99"})
        with monkeypatch.context() as patch:
            patch.setitem(schemas.TABLES, "trials", newer)
            ResultStore(toy).start({**row, "trial_id": "f" * 16, "state": "RUNNING"})
        for arguments in (("status",), ("leaderboard", "toy"), ("verify",), ("compact", "toy")):
            assert "schema 99; this harness reads up to 2. Upgrade the harness." in cli(*arguments).line
        assert "schema 99" in again(cli).line

    def test_a_changed_study_is_refused_with_the_difference(self, cli: Cli, toy: Path) -> None:
        said = again(cli, "--set", "fixed.batch_size=4")
        assert said.code == 2
        assert "Traceback" not in said.err
        assert "fixed/batch_size: 8 -> 4" in said.err
        assert "-> 4" in said.err
        assert "--fork NAME" in said.err
        assert again(cli, "--set", "fixed.batch_size=4", "--fork", "other").code == 0
        assert sorted(ResultStore(toy).study_names()) == ["other", "toy"]

    def test_a_second_driver(self, cli: Cli, toy: Path) -> None:
        with StudyLock(ResultStore(toy).files, "toy"):
            assert "study 'toy' is being run by pid" in again(cli).line
            assert "study 'toy' is being run by pid" in cli("compact", "toy").line

    def test_merging_another_study_of_the_same_name(self, cli: Cli, toy: Path, tmp_path: Path) -> None:
        assert again(cli, "--set", "seed=5", "--results", "other").code == 0
        assert "another fingerprint" in cli("merge", "other").line

    def test_an_export_that_exists(self, cli: Cli, toy: Path) -> None:
        Path("toy.db").write_text("mine")
        assert "toy.db exists" in cli("export", "toy", "--to", "optuna").line
        Path("tables").write_text("mine")
        assert "tables" in cli("export", "toy", "--out", "tables").line


class TestCapacity:
    def test_more_gpus_than_this_machine(self, cli: Cli, toy: Path) -> None:
        said = again(cli, "--set", "resources.gpus=64", "--results", "r").line
        assert "asks 1 CPUs and 64 GPUs a trial" in said
        assert not Path("r").exists()

    def test_more_gpus_than_the_cluster(self, cli: Cli, toy: Path, ray_engine: RayEngine) -> None:
        said = cli("launch", "toy.yaml", "--set", "resources.gpus=8", "--results", "r")
        assert said.code == 2
        assert "8 GPUs a trial" in said.err
        assert "2 GPUs" in said.err
        assert not Path("r").exists()


def test_a_launch_ends_with_one_screen_and_the_page(cli: Cli, toy: Path) -> None:
    said = again(cli).out
    board = said[said.index("toy-points") :]
    assert len(board.splitlines()) < 12
    assert "harness leaderboard toy --full" in board
    assert str(Path("results/reports/toy/index.html")) in board


def test_a_page_that_cannot_be_written_costs_no_board(cli: Cli, toy: Path) -> None:
    (toy / "reports").write_text("")
    said = again(cli)
    assert "cannot write the report to" in said.line
    assert "harness leaderboard toy --full" in said.out
