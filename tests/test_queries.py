"""The README's queries, as they stand there, over studies of different spaces."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest

from harness.scoring.leaderboard import leaderboard
from harness.store.results import ResultStore
from harness.store.schemas import VERSION
from tests.store.made import epochs as two
from tests.store.made import launch, trial

README = Path(__file__).parent.parent / "README.md"
SCHEMA_1 = Path(__file__).parent / "golden" / "store-1"
EXPECTED = {2.0: 0.75, 4.0: 0.5}


def query(kind: str) -> str:
    """The first code block of a kind in the README."""
    found = re.search(rf"^```{kind}\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)
    assert found is not None
    return found[1]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two studies; the first in the order of names searched no tau, nor did the first part of the second."""
    store = ResultStore(tmp_path / "results")
    rows = [
        trial(0, study="a", params={"lr": 0.1, "neuron.name": "lif"}, searched=["lr"]),
        trial(1, study="b", params={"lr": 0.1}, searched=["lr"], value=0.9),
        trial(2, study="b", params={"neuron.tau": 2.0, "steps": 4, "on": True}, searched=["neuron.tau"]),
        trial(3, study="b", params={"neuron.tau": 2.0}, searched=["neuron.tau"], value=0.75),
        trial(4, study="b", params={"neuron.tau": 4.0}, searched=["neuron.tau"]),
        trial(5, study="b", params={"neuron.tau": 4.0}, searched=["neuron.tau"], value=0.99, phase="final"),
    ]
    for row in rows:
        store.commit(row, two())
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results"


@pytest.mark.parametrize("compacted", [False, True])
def test_pandas(folder: Path, compacted: bool, capsys: pytest.CaptureFixture[str]) -> None:
    if compacted:
        ResultStore(folder).compact("b")
    block = query("python")
    assert len(block.strip().splitlines()) == 2
    names: dict[str, pd.DataFrame] = {}
    exec(block, {"pd": pd}, names)
    assert "0.75" in capsys.readouterr().out
    found = names["trials"]
    assert found[found["phase"] == "search"].groupby("tau")["value"].max().to_dict() == EXPECTED
    assert len(pd.read_parquet(folder / "trials" / "b")) == 5


@pytest.mark.parametrize("where", ["results/trials/*/*.parquet", "results/trials/b/*.parquet"])
def test_duckdb(folder: Path, where: str) -> None:
    block = query("sql")
    assert len(block.strip().splitlines()) == 2
    found = duckdb.sql(block.replace("results/trials/*/*.parquet", where)).fetchall()
    assert dict(found) == EXPECTED


def test_polars(folder: Path) -> None:
    rows = pl.read_parquet(f"{folder}/trials/*/*.parquet").filter(pl.col("phase") == "search")
    best = rows.group_by(pl.col("params").map.get("neuron.tau").alias("tau")).agg(pl.col("value").max())
    assert {tau: value for tau, value in best.rows() if tau is not None} == EXPECTED


def test_a_store_of_schema_1_is_read(tmp_path: Path) -> None:
    """Made by the code before schema 2: two cells, four search trials each (two pruned), two final seeds."""
    shutil.copytree(SCHEMA_1, tmp_path / "results")
    store = ResultStore(tmp_path / "results")
    trials, epochs, studies = store.trials("schema-1"), store.epochs("schema-1"), store.studies("schema-1")
    assert len(trials) == 12
    assert trials["phase"].value_counts().to_dict() == {"search": 8, "final": 4}
    spiking = trials[(trials["cell"] == "digits/spiking") & (trials["number"] == 3)].iloc[0]
    assert spiking["params"]["timesteps"] == 2
    assert isinstance(spiking["params"]["timesteps"], int)
    assert spiking["params"]["compile"] is False
    assert sorted(spiking["searched"]) == ["batch_size", "neuron.name", "optimizer.lr"]
    assert spiking["variant"] == {"timesteps": 2}
    assert spiking["total_s"] == pytest.approx(spiking["stage_train_s"]["train"])
    assert set(spiking["metadata"]["splits"]) == {"train", "valid"}
    assert epochs["total_s"].notna().all()
    assert studies["protocol"].iloc[0]["search"]["pruner"] == "halving"
    board = leaderboard(trials, epochs, studies, study="schema-1")
    assert [row.label for row in board.groups[0].rows] == ["ann", "spiking"]
    store.launch(launch(study="schema-1", number=2))
    assert not store.problems
    assert store.compact("schema-1") == 0 or VERSION == 2
    assert len(ResultStore(tmp_path / "results").trials("schema-1")) == 12
