"""``check --measure``: what it foretells is what a run takes, and nothing is written."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.engine.local import LocalEngine
from harness.study import Study
from harness.study.measured import here, measure_study
from harness.studyfile.load import load_study
from harness.studyfile.plan_rendering import describe_plan
from harness.trial import Phase
from tests.conftest import TOY

STUDIES = Path(__file__).parents[2] / "searchspaces"
MINIATURES = {
    "images": (
        "cells: [{dataset: digits, pipelines: [direct, pipe-s]}]\n"
        "fixed: {sharpen.epochs: 4, timesteps: 2, batch_size: 50}\n"
    ),
    "forecasts": (
        "cells:\n  - dataset: {name: tmy3, window: 72, horizon: 24, stride: 29, eval_stride: 29}\n"
        "    pipelines: [persistence, window-mean, train-mean, nlinear-ridge, forecast-ann]\n"
    ),
}
PHASES = "search: {trials: 1, epochs: 8}\nconfirm: {seeds: 0}\nfinal: {seeds: 1}\n"
SPACE = "space: {optimizer.lr: {float: [1.0e-3, 1.0e-2], log: true}}\n"


@pytest.mark.parametrize("name", [*MINIATURES, "quickstart"])
def test_the_cost_foretold_is_the_cost_of_the_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the clock of this process's CPU, so that other work on the machine does not count."""
    monkeypatch.setattr(time, "perf_counter", time.process_time)
    path = STUDIES / "quickstart.yaml"
    if name in MINIATURES:
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"name: {name}\n{MINIATURES[name]}{SPACE}{PHASES}")
    small = ["search.trials=1", "search.pruner=none", "search.epochs=2", "confirm.seeds=0", "final.seeds=1"]
    small += ["fixed.sharpen.epochs=2", "fixed.source.epochs=2"]
    spec = load_study(path, small if name == "quickstart" else ())
    before = measure_study(spec, describe_plan(spec), here, seconds=0.2)
    study = Study(spec, str(tmp_path / "results"))
    study.run(LocalEngine())
    rows = study.store.trials(spec.name)
    truth = float(rows["wall_s"].sum())
    foretold = sum(cell.seconds for cell in before.cells)
    assert all(cell.cost is not None for cell in before.cells)
    assert truth / 1.25 <= foretold <= 1.25 * truth
    hours = sum(before.device_hours(phase, gpu=False) for phase in Phase)
    assert hours * 3600 == pytest.approx(foretold)
    assert before.wall_s(1) == pytest.approx(foretold)
    assert max(cell.seconds for cell in before.cells) / 2 <= before.wall_s(1000) <= foretold


def _toy(tmp_path: Path, mode: str) -> Path:
    path = tmp_path / "toy-study.yaml"
    path.write_text(
        f"name: toy-study\nplugins: ['{TOY}']\ncells: [{{dataset: toy-points, pipelines: [toy]}}]\n"
        f"fixed: {{mode: {mode}}}\n{SPACE.replace('optimizer.lr', 'lr')}{PHASES}"
    )
    return path


def test_the_command_flags_what_gets_no_gradient_and_writes_no_table(tmp_path: Path) -> None:
    results = tmp_path / "results"
    command = ["check", str(_toy(tmp_path, "silent")), "--measure", "--slots", "2", "--results", str(results)]
    ran = CliRunner().invoke(app, [*command, "--seconds", "0.05"])
    assert ran.exit_code == 0
    said = " ".join(ran.output.split())
    assert "2 of 4 tensors train: 0.weight and others get no gradient" in said
    assert "CPU-hours, nothing pruned" in said
    assert "wall time with 2 trials at once" in said
    assert "waits for data" in said
    assert not results.exists()


def test_a_cell_that_cannot_be_measured_says_why(tmp_path: Path) -> None:
    spec = load_study(_toy(tmp_path, "nan"))
    (cell,) = measure_study(spec, describe_plan(spec), here, seconds=0.05).cells
    assert cell.cost is None
    assert "training loss is nan" in cell.why
