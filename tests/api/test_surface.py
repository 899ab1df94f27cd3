"""What ``import harness`` offers: light, typed, and the same numbers as the command line."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

import harness
from harness.contracts import Neuron
from harness.errors import HarnessError, StudyFileError
from harness.store.merging import plain
from harness.store.models import Models
from harness.store.results import ResultStore
from tests.scoring.test_speed import large

LIGHT = """
import sys, time
begun = time.process_time()
import harness
spent = time.process_time() - begun
came = [name for name in ("torch", "ray", "pandas", "pydantic") if name in sys.modules]
assert not came, came
assert spent <= 0.15, spent
names = [name for name in dir(harness) if not name.startswith("_")]
assert names == ["Results", "Study", "dataset", "neuron", "pipeline"], names
harness.Results
assert "torch" not in sys.modules and "ray" not in sys.modules
"""
STUDY = {
    "name": "small",
    "cells": [{"dataset": {"name": "digits", "pixels": 8}, "pipelines": ["ann"]}],
    "space": {"optimizer.lr": {"float": [1.0e-3, 1.0e-2], "log": True}},
    "fixed": {"network.width": 4, "network.depth": 2, "batch_size": 50},
    "search": {"trials": 1, "epochs": 2, "startup": 1},
    "confirm": {"seeds": 0},
    "final": {"seeds": 2},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> harness.Results:
    """A small study, run from Python."""
    return harness.Study.load(STUDY).run(results=tmp_path_factory.mktemp("api"), progress=False)


def test_the_import_is_light() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_name_that_is_not_offered() -> None:
    with pytest.raises(AttributeError, match="it offers Results, Study"):
        harness.Studdy  # noqa: B018


def test_tables_and_board(results: harness.Results) -> None:
    assert results.studies == ("small",)
    trials, epochs = results.trials("small"), results.epochs("small")
    assert isinstance(trials, pd.DataFrame)
    assert set(epochs["trial_id"]) == set(trials["trial_id"])
    row = results.board("small").groups[0].rows[0]
    final = trials[trials["phase"] == "final"]
    assert row.score.mean == pytest.approx(final["test_value"].mean())
    with pytest.raises(HarnessError, match=r"unknown study in .* Did you mean 'small'"):
        results.trials("smal")


def test_a_model_is_a_module_with_its_card(results: harness.Results) -> None:
    model = results.model("small", "digits[pixels=8]/ann")
    assert isinstance(model, torch.nn.Module)
    assert model.card.cell == "digits[pixels=8]/ann"
    assert model(torch.rand(3, 1, 8, 8)).shape == (3, 10)
    assert list(model.state_dict())
    trial = Models(results.root, "small").trials()[0]
    assert results.model("small", trial=trial).card.trial == trial


def test_charts(results: harness.Results) -> None:
    for kind in ("time-accuracy", "learning", "seeds"):
        assert '"cell": "ann' in json.dumps(results.chart("small", kind).to_dict())
    with pytest.raises(HarnessError, match="unknown chart 'pie'"):
        results.chart("small", "pie")


def test_check_runs_nothing_and_reads_as_the_command_prints(tmp_path: Path) -> None:
    checked = harness.Study.load(STUDY).check()
    assert "study small" in repr(checked)
    assert checked.plan.study == "small"
    with pytest.raises(StudyFileError, match=r"cells\.0\.pipelines|pipelines: unknown pipeline 'an'"):
        harness.Study.load({**STUDY, "cells": [{"dataset": "digits", "pipelines": ["an"]}]})
    assert harness.Study.load("quickstart").name == "quickstart"
    with pytest.raises(HarnessError, match="expected 'local', 'ray' or 'tune'"):
        harness.Study.load(STUDY).run("dask", results=tmp_path)  # type: ignore[arg-type]


def test_ten_thousand_trials_on_disk(tmp_path: Path) -> None:
    trials, epochs, studies = large()
    ids = {name: f"{at:016x}" for at, name in enumerate(trials["trial_id"])}
    trials, epochs = (t.assign(trial_id=t["trial_id"].map(ids)) for t in (trials, epochs))
    store = ResultStore(tmp_path)
    rows, values, launches = ([plain(row) for row in t.to_dict("records")] for t in (trials, epochs, studies))
    store.launch(launches[0])
    store.parts.add("demo", rows, values)
    assert len(harness.Results(tmp_path).trials("demo")) == 10_005
    begun = time.process_time()
    board = harness.Results(tmp_path).board("demo", target=0.6)
    assert time.process_time() - begun <= 1.5
    assert board.groups[0].rows[0].budget.finished == 10_000


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    launches = [plain(row) for row in large()[2].to_dict("records")]
    store.launch(launches[0])
    (tmp_path / "trials" / "demo").mkdir(parents=True)
    (tmp_path / "trials" / "demo" / "x.parquet").write_bytes(b"PAR1")
    with pytest.warns(UserWarning, match="left out: .*x.parquet"):
        assert harness.Results(tmp_path).trials("demo").empty


def test_errors_are_one_line_in_a_notebook() -> None:
    assert HarnessError("so")._render_traceback_() == ["HarnessError: so"]


def test_neurons_are_what_contracts_say() -> None:
    with pytest.raises(HarnessError, match=r"is no subclass of harness\.contracts\.Neuron"):
        harness.neuron(int)

    class Nameless(Neuron):
        def step(self, x_b, state):
            return x_b, state

    with pytest.raises(HarnessError, match="needs a class attribute name"):
        harness.neuron(Nameless)
