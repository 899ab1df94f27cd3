"""The published tables that are committed, and how they stand beside ours."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from harness.contracts import datasets
from harness.errors import ForeignFileError
from harness.scoring.leaderboard import leaderboard
from harness.scoring.published import COLUMNS, beside, default_folder, load_published
from harness.studyfile.values import TRIVIAL
from tests.scoring.synthetic import Tables, cell

FOLDER = Path(__file__).parents[2] / "results" / "published"
KEY = ["paper", "table", "dataset", "method", "horizon", "metric", "selection"]


def test_the_committed_tables_are_read_whole() -> None:
    table = load_published(FOLDER)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 185 + 1261 + 216
    assert table["value"].notna().all()
    assert default_folder() == FOLDER
    assert sum(f.stat().st_size for f in FOLDER.iterdir()) < 1_500_000


@pytest.mark.parametrize("name", ["delays", "forecasting"])
def test_keys_are_unique(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.csv").write_bytes((FOLDER / f"{name}.csv").read_bytes())
    assert not load_published(tmp_path).duplicated(KEY).any()


def test_the_selection_of_95_07_is_told() -> None:
    rows = beside(load_published(FOLDER), dataset="shd", metrics=["accuracy"])
    row = next(r for r in rows if r.value == 95.07)
    assert (row.selection, row.spread_kind, row.unit) == ("best_test_epoch", "ci95", "percent")
    assert [r.value for r in rows] == sorted((r.value for r in rows), reverse=True)


LACKING = {
    "average",
    "covid19-55",
    "ecg-140",
    "electricity-370",
    "mnist",
    "mnist-dvs",
    "solar-593",
    "traffic-963",
}


def test_published_names_are_those_of_our_data_sets() -> None:
    """A row stands beside ours by its exact name: no other spelling of a set that ships."""
    found = set(load_published(FOLDER)["dataset"])
    assert found - set(datasets()) == LACKING | {"wiki-2000"}
    horizon = {"dataset": "ett-h1", "task": "forecasting", "objectives": ["r2 max"]}
    cells = [cell(f"ett-h1[horizon=96]/{name}", **horizon) for name in TRIVIAL]
    board = leaderboard(*Tables(cells=cells).as_tables(), study="demo", published=load_published(FOLDER))
    assert {row.horizon for row in board.groups[0].published} == {"96"}


def test_options_that_a_name_hides_may_be_other_data() -> None:
    cells = [cell("shd[0a1b2c3d]/direct", dataset="shd")]
    board = leaderboard(*Tables(cells=cells).as_tables(), study="demo", published=load_published(FOLDER))
    assert board.groups[0].published == ()


def test_only_the_same_name_and_horizon() -> None:
    table = load_published(FOLDER)
    assert beside(table, dataset="shd-small", metrics=["accuracy"]) == ()
    assert beside(table, dataset="", metrics=["accuracy"]) == ()
    assert beside(None, dataset="shd", metrics=["accuracy"]) == ()
    rows = beside(table, dataset="metr-la", metrics=["r2", "rse"], horizon=24)
    assert {r.horizon for r in rows} == {"24"}
    rse = [r.value for r in rows if r.metric == "rse"]
    assert rse == sorted(rse)
    assert [r.metric for r in rows] == sorted(r.metric for r in rows)


def test_foreign_files(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    assert len(load_published(tmp_path)) == 0
    (tmp_path / "broken.csv").write_text('a,b\n"1,2\n3')
    with pytest.raises(ForeignFileError, match=r"broken\.csv"):
        load_published(tmp_path)
    assert load_published(tmp_path / "nowhere").empty
    assert math.isnan(load_published(FOLDER)["spread"].iloc[1])
