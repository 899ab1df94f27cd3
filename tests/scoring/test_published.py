"""The published tables that are committed, and how they stand beside ours."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from harness.errors import ForeignFileError
from harness.scoring.published import COLUMNS, beside, default_folder, load_published

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
