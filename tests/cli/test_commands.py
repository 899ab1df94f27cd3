"""Every command on a study that ran: what it prints and writes, and that its example in --help is real."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import optuna
import pandas as pd
import pytest
import typer
import typer.main
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from harness.cli.app import app
from harness.store.results import ResultStore
from tests.cli.conftest import Cli


def stop() -> None:
    """What Ctrl-C does."""
    raise KeyboardInterrupt


CELLS = ("toy-points/a", "toy-points/b")


def commands() -> dict[str, typer.core.TyperCommand]:
    """Every command by its words."""
    found, todo = {}, [((), typer.main.get_command(app))]
    while todo:
        words, command = todo.pop()
        if hasattr(command, "commands"):
            todo += [((*words, name), child) for name, child in command.commands.items()]
        else:
            found[" ".join(words)] = command
    return found


def test_every_command_is_there() -> None:
    wanted = "launch resume status leaderboard report check list compact merge verify unlock export".split()  # noqa: SIM905
    assert {*wanted, "doctor", "data list", "data prepare", "data verify"} <= set(commands())


@pytest.mark.parametrize("name", sorted(commands()))
def test_help_has_an_example_that_parses(cli: Cli, name: str) -> None:
    said = cli(*name.split(), "--help")
    assert said.code == 0
    example = re.search(r"Example: harness (.*)", str(commands()[name].epilog))
    assert example is not None
    assert "Example: harness" in said.out
    words = shlex.split(example[1])
    assert words[: len(name.split())] == name.split()
    commands()[name].make_context(name, words[len(name.split()) :])  # raises on what it does not know


def test_version(cli: Cli) -> None:
    from harness import __version__

    assert cli("--version").out.strip() == f"harness {__version__}"


def test_status(cli: Cli, results: Path) -> None:
    for arguments in (("status",), ("status", "toy")):
        said = cli(*arguments)
        assert said.code == 0
        for cell in CELLS:
            assert cell.split("/")[0] in said.out
        assert "search" in said.out
        assert "final" in said.out
    assert "no study in elsewhere yet: harness launch" in cli("status", "--results", "elsewhere").out


class TestLeaderboard:
    def test_terminal(self, cli: Cli, results: Path) -> None:
        said = cli("leaderboard", "toy")
        assert said.code == 0
        assert "a" in said.out
        assert "toy-points" in said.out

    def test_markdown(self, cli: Cli, results: Path) -> None:
        blocks = re.split(r"\n\s*\n", cli("leaderboard", "toy", "--format", "md").out)
        tables = [[line for line in block.splitlines() if line.startswith("|")] for block in blocks]
        tables = [rows for rows in tables if rows]
        assert len(tables[0]) == 4  # head, rule, two cells
        for rows in tables:
            assert len({line.count("|") - line.count("\\|") for line in rows}) == 1

    def test_csv(self, cli: Cli, results: Path, tmp_path: Path) -> None:
        Path("board.csv").write_text(cli("leaderboard", "toy", "--format", "csv").out)
        frame = pd.read_csv("board.csv", comment="#")
        assert len(frame) == 2

    def test_latex(self, cli: Cli, results: Path) -> None:
        said = cli("leaderboard", "toy", "--format", "tex").out
        assert said.count(r"\begin{tabular}") == said.count(r"\end{tabular}") >= 1

    def test_every_final_seed_counts(self, cli: Cli, results: Path) -> None:
        rows = ResultStore(results).trials("toy")
        mean = rows[(rows["phase"] == "final") & (rows["label"] == "a")]["test_value"].mean()
        assert f"{100 * mean:.1f}" in cli("leaderboard", "toy", "--format", "md").out

    def test_the_first_screen_says_where_the_rest_is(self, cli: Cli, results: Path) -> None:
        said = cli("leaderboard", "toy").out
        assert all(len(line) <= 100 for line in said.splitlines())
        assert "harness leaderboard toy --full" in said
        assert "harness report toy" in said
        assert "Paired differences" not in said
        assert "Paired differences" in cli("leaderboard", "toy", "--full").out
        cli("report", "toy")
        assert str(Path("results/reports/toy/index.html")) in cli("leaderboard", "toy").out

    def test_formats_hold_the_same_rows(self, cli: Cli, results: Path) -> None:
        rows = json.loads(cli("leaderboard", "toy", "--format", "json").out)["rows"]
        for kind in ("csv", "parquet"):
            assert cli("leaderboard", "toy", "--format", kind, "--out", f"board.{kind}").out == ""
        frames = pd.read_csv("board.csv"), pd.read_parquet("board.parquet")
        for frame in frames:
            assert list(frame.columns) == list(rows[0])
            assert frame["mean"].tolist() == pytest.approx([row["mean"] for row in rows])
        assert frames[1]["values"][0].tolist() == rows[0]["values"]

    def test_choices(self, cli: Cli, results: Path) -> None:
        said = cli(
            "leaderboard", "toy", "--format", "csv", "--pipeline", "a", "--sort", "name", "--metric", "loss"
        )
        (row,) = csv.DictReader(said.out.splitlines())
        assert (row["label"], row["metric"], row["rank_low"]) == ("a", "loss", "")

    def test_watch_until_it_is_stopped(
        self, cli: Cli, results: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waits = iter((None,))
        monkeypatch.setattr("harness.cli.boards.time.sleep", lambda _: next(waits) or stop())
        said = cli("leaderboard", "toy", "--watch")
        assert said.code == 130
        assert "harness leaderboard toy --full" in said.out

    def test_target(self, cli: Cli, results: Path) -> None:
        assert cli("leaderboard", "toy", "--target", "0.4").code == 0


def test_report(cli: Cli, results: Path) -> None:
    said = cli("report", "toy", "--out", "page")
    assert said.code == 0
    assert said.out.startswith("report  page")
    page = Path(said.out.split()[1])
    assert "toy" in page.read_text(encoding="utf-8")
    assert [path.name for path in Path("page").iterdir()] == ["index.html"]
    assert cli("report", "toy", "--out", "paper", "--style", "paper").code == 0
    kinds = {path.suffix for path in Path("paper").iterdir()}
    assert kinds == {".html", ".png", ".pdf", ".svg", ".csv", ".md", ".tex"}
    assert cli("report", "toy", "--style", "papr").code == 2


def test_results_are_read_without_torch_and_ray(results: Path) -> None:
    """The wall around the report: importing either fails in this process."""
    commands = (["status"], ["leaderboard", "toy"], ["report", "toy", "--out", "page"], ["verify"])
    code = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['ray'] = None\n"
        "from harness.cli import main\n"
        f"for command in {commands}:\n"
        "    sys.argv = ['harness', *command]\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as stop:\n"
        "        if stop.code:\n"
        "            raise\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "report  page" in done.stdout
    assert "0 files set aside" in done.stdout


def test_compact_changes_files_only(cli: Cli, results: Path) -> None:
    board = cli("leaderboard", "toy", "--format", "csv").out
    before = len(list((results / "trials" / "toy").glob("*.parquet")))
    assert cli("compact", "toy").out.strip() == f"toy: {before} parts merged"
    assert len(list((results / "trials" / "toy").glob("*.parquet"))) == 1
    assert cli("compact", "toy").out.strip() == "toy: nothing to merge"
    assert cli("leaderboard", "toy", "--format", "csv").out == board


def test_merge_twice(cli: Cli, results: Path) -> None:
    count = len(ResultStore(results).trials("toy"))
    assert cli("merge", "results", "--results", "both").out.strip() == f"{count} attempts copied into both"
    assert cli("merge", "results", "--results", "both").out.strip() == "0 attempts copied into both"
    boards = [
        cli("leaderboard", "toy", "--format", "csv", "--results", root).out for root in ("results", "both")
    ]
    assert boards[0] == boards[1]


def test_verify(cli: Cli, results: Path) -> None:
    said = cli("verify")
    assert said.code == 0
    assert "12 attempts in 1 studies; 0 files set aside" in said.out


def test_export_csv(cli: Cli, results: Path) -> None:
    assert cli("export", "toy").out.strip() == "tables  toy-csv"
    trials, store = pd.read_csv("toy-csv/trials.csv"), ResultStore(results)
    assert list(trials["trial_id"]) == list(store.trials("toy")["trial_id"])
    assert len(pd.read_csv("toy-csv/epochs.csv")) == len(store.epochs("toy"))
    assert len(pd.read_csv("toy-csv/studies.csv")) == 1


@pytest.mark.parametrize("name", ["toy.db", "deep/er/toy.log"])
def test_export_optuna_opens(cli: Cli, results: Path, name: str) -> None:
    said = cli("export", "toy", "--to", "optuna", "--out", name)
    assert said.code == 0, said.err
    assert "2 Optuna studies" in said.out
    storage = f"sqlite:///{name}" if name.endswith(".db") else JournalStorage(JournalFileBackend(name))
    assert optuna.get_all_study_names(storage) == [f"toy: {cell}" for cell in CELLS]
    rows = ResultStore(results).trials("toy")
    for cell in CELLS:
        study = optuna.load_study(study_name=f"toy: {cell}", storage=storage)
        mine = rows[(rows["cell"] == cell) & (rows["phase"] == "search")].sort_values("number")
        assert [trial.values for trial in study.trials] == [[value] for value in mine["value"]]
        assert [trial.params["lr"] for trial in study.trials] == [params["lr"] for params in mine["params"]]
        assert study.best_value == mine["value"].max()


def test_list(cli: Cli) -> None:
    said = cli("list").out
    for words in ("digits", "direct", "plif", "tpe", "hyperband"):
        assert words in said
    assert "digits" not in cli("list", "neurons").out
    assert "nmnist-small" in cli("data", "list").out


def test_doctor(cli: Cli) -> None:
    import torch

    from harness.layers.delay import convolve

    convolve(torch.rand(3, 2, 4), torch.rand(5, 6, 4))
    said = cli("doctor").out
    assert "kept choices of measured alternatives: " in said
    assert "delays: 3 steps, batch 2, 4-6, 5 taps, gradients of nothing; float32 on cpu" in said
    assert "compiled neurons" in said
    assert "torch" in said
    assert "cores" in said
    for choice in ("LIF, there and back", "TS-LIF, there and back", "memory of convolutions", "precision"):
        assert f"{choice}: takes " in said
    assert "passes of torch" in said


def test_data_prepare_and_verify(cli: Cli) -> None:
    assert "digits: revision" in cli("data", "verify", "digits").out
    assert "MiB in" in cli("data", "prepare", "digits").out


def test_check_knows_what_trials_cost(cli: Cli, results: Path, finished: Path) -> None:
    said = cli("check", finished.parent / "toy.yaml")
    assert said.code == 0, said.err
    for words in ("lr", "search", "final", "toy-points"):
        assert words in said.out


def test_resume_by_name_runs_what_is_missing(cli: Cli, results: Path) -> None:
    said = cli("resume", "toy", "--engine", "local", "--set", "search.trials=4")
    assert said.code == 0, said.err
    rows = ResultStore(results).trials("toy")
    assert (rows["phase"] == "search").sum() == 8
    assert f"toy: {len(rows)} trials finished" in said.out
    again = cli("resume", "toy", "--engine", "local")
    assert f"toy: {len(rows)} trials finished (0 in this run)" in again.out
    assert (results / "reports" / "toy").is_dir()


def test_resume_without_the_file(cli: Cli, results: Path, finished: Path, tmp_path: Path) -> None:
    store = ResultStore(results)
    launch = store.studies("toy").iloc[-1].to_dict()
    store.launch({**launch, "launch": 2, "folder": str(tmp_path / "gone")})
    said = cli("resume", "toy", "--engine", "local")
    assert said.code == 0, said.err
    assert "(0 in this run)" in said.out
