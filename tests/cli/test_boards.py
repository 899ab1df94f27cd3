"""The leaderboard command on stores of synthetic studies: targets by data set, hostile text, little there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from harness.store import tables as columns
from harness.store.results import ResultStore
from harness.studyfile.values import TRIVIAL
from tests.cli.conftest import Cli
from tests.scoring.synthetic import Tables, cell, failed, race, trial


def stored(made: Tables, root: Path) -> None:
    """Write a synthetic study as a store."""
    store = ResultStore(root)
    launch = made.launch_rows()[-1]
    for row in (*made.epochs, *made.trials):
        row["trial_id"] = re.sub(r"[^a-z0-9]", "-", row["trial_id"])
    for table, rows in (("epochs", made.epochs), ("trials", made.trials), ("studies", [launch])):
        store.files.write(f"{table}/demo/all-000001.parquet", columns.to_bytes(columns.to_table(table, rows)))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results"


def test_a_target_is_of_one_data_set(cli: Cli, here: Path) -> None:
    names = ("lif", *TRIVIAL)
    cells = [
        cell(),
        *(cell(f"ett/{n}", task="forecasting", chance=None, objectives=["rse min"]) for n in names),
    ]
    made = Tables(cells=cells, protocol={"objectives": ["accuracy max", "rse min"]})
    for info in cells:
        row: dict[str, Any] = {"cell": info["cell"], "pipeline": info["pipeline"], "dataset": info["dataset"]}
        made.add(trial(**row, seed=1), [0.4, 0.6])
    stored(made, here)
    assert "name a data set as well" in cli("leaderboard", "demo", "--target", "0.5").line
    said = cli("leaderboard", "demo", "--target", "0.5", "--dataset", "digits")
    assert "time to 50.00 %" in said.out
    assert "persistence" not in said.out


def test_every_format_takes_what_little_there_is(cli: Cli, here: Path) -> None:
    for number, made in enumerate(
        (Tables(), Tables(trials=[failed(seed=1)]), Tables(trials=[trial(seed=1)]))
    ):
        stored(made, here / str(number))
        for kind in ("terminal", "md", "tex", "csv", "json", "parquet"):
            out = f"{number}.{kind}"
            said = cli("leaderboard", "demo", "--results", here / str(number), "--format", kind, "--out", out)
            assert said.code == 0, said.err
            assert b"nan" not in Path(out).read_bytes().lower() or kind == "parquet"


def test_hostile_text_steers_no_screen(cli: Cli, here: Path) -> None:
    label = "\x1b[31m<script>\u202e=1+1 & $x$ %"
    made = race()
    for row in (*made.cells, *made.trials):
        if row["label"] == "ann":
            row["label"] = label
    stored(made, here)
    for more in ((), ("--full",), ("--format", "csv"), ("--format", "json"), ("--format", "md")):
        text = cli("leaderboard", "demo", *more).out
        assert "\x1b" not in text
        assert "\u202e" not in text
    rows = json.loads(cli("leaderboard", "demo", "--format", "json").out)["rows"]
    assert (rows[0]["label"], rows[0]["n"]) == (label, 5)
    assert cli("leaderboard", "demo", "--pipeline", label, "--sort", "time").code == 0


def test_json_has_no_infinity(cli: Cli, here: Path) -> None:
    made = race()
    made.protocol["target"] = 0.999
    stored(made, here)
    (row, *_) = json.loads(cli("leaderboard", "demo", "--format", "json").out)["rows"]
    assert (row["target1.reached"], row["target1.s"]) == (0, None)
