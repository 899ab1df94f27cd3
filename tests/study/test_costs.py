"""What a network costs can be an objective and a limit: a study of a GRU forecaster by each name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.engine.local import LocalEngine
from harness.store.results import ResultStore
from harness.study import Study
from harness.studyfile.load import load_study

STUDY = """
name: costs
cells:
  - dataset: {{name: tmy3, window: 24, horizon: 4, stride: 97, eval_stride: 97}}
    pipelines:
      - {{name: {pipeline}, set: {{net.backbone: gru, net.hidden: 6, net.encoder: conv}}}}
space: {{optimizer.lr: {{float: [1.0e-3, 3.0e-2], log: true}}}}
objective: [{name} min]
limits: {{{name}: {limit}}}
search: {{sampler: random, pruner: {pruner}, trials: 2, epochs: 3}}
confirm: {{seeds: 0}}
final: {{seeds: 1}}
"""
NAMES = ("synops", "energy_nj", "spikes", "firing_rate", "parameters", "train_s", "total_s", "peak_mib")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is measured on Linux")


@pytest.mark.parametrize("pipeline", ["forecast-ann", "forecast-snn"])
@pytest.mark.parametrize("name", [pytest.param(n, marks=linux if n == "peak_mib" else ()) for n in NAMES])
def test_a_cost_as_objective_and_limit(tmp_path: Path, name: str, pipeline: str) -> None:
    file = tmp_path / "costs.yaml"
    file.write_text(STUDY.format(name=name, pipeline=pipeline, limit=1.0e9, pruner="none"))
    summary = Study(load_study(file), tmp_path / "r").run(LocalEngine())
    assert summary.failed == 0
    store = ResultStore(tmp_path / "r")
    trials, epochs = store.trials("costs"), store.epochs("costs")
    epochs = epochs[(epochs["metric"] == name) & (epochs["split"] == "valid")]
    assert set(trials["state"]) == {"COMPLETE"}
    assert len(epochs) == 3 * len(trials)
    for row in trials.itertuples():
        curve = epochs[epochs["trial_id"] == row.trial_id].set_index("epoch")["value"]
        assert row.value == curve[row.best_epoch] == curve.min()
        least = 0.0 if name in ("spikes", "firing_rate") and pipeline == "forecast-ann" else 1e-12
        assert row.value >= least
        assert row.constraints[0] == pytest.approx(row.value - 1.0e9, abs=64.0)  # a peak goes on rising
        assert max(row.constraints) <= 0, "feasible"


def test_a_limit_that_nothing_keeps(tmp_path: Path) -> None:
    file = tmp_path / "costs.yaml"
    file.write_text(STUDY.format(name="parameters", pipeline="forecast-ann", limit=10, pruner="median"))
    Study(load_study(file), tmp_path / "r").run(LocalEngine())
    trials = ResultStore(tmp_path / "r").trials("costs")
    assert all(row.constraints[0] == row.value - 10 > 0 for row in trials.itertuples())
