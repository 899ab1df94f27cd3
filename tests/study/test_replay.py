"""Simulated studies: real director, real store, virtual time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.engine.local import LocalEngine
from harness.engine.simulated import SIMULATED, SimulatedEngine
from harness.errors import HarnessError
from harness.store.results import ResultStore
from harness.study import Study
from harness.study.replay import StoredCurves, SyntheticCurves, distances, units
from harness.study.strategies import OPTUNA, STRATEGIES, compare
from harness.studyfile.load import load_study
from harness.studyfile.values import StudySpec
from harness.trial import Objective

TEXT = """
name: small
cells:
  - dataset: digits
    pipelines:
      - {name: ann, set: {optimizer.name: adam}}
space:
  optimizer.lr: {float: [1.0e-4, 1.0e-1], log: true}
  batch_size: {choice: [64, 256]}
search: {sampler: random, pruner: hyperband, trials: 12, epochs: 9}
confirm: {top: 2, seeds: 1}
final: {seeds: 2}
"""


@pytest.fixture
def spec(tmp_path: Path) -> StudySpec:
    """A study over a space with a choice."""
    path = tmp_path / "small.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return load_study(path, ())


def test_a_simulated_study_goes_through_director_and_store(spec: StudySpec, tmp_path: Path) -> None:
    summary = Study(spec, tmp_path / "r").run(SimulatedEngine(SyntheticCurves(spec), slots=4))
    store = ResultStore(tmp_path / "r")
    trials, epochs = store.trials("small"), store.epochs("small")
    assert summary.finished == len(trials) == 12 + 2 + 2
    assert set(trials["device_name"]) == {SIMULATED}
    assert (trials["phase"] == "final").sum() == 2
    assert set(trials["state"]) == {"COMPLETE", "PRUNED"}
    ran = epochs.groupby("trial_id")["epoch"].max()
    assert (trials.set_index("trial_id")["epochs"] == ran).all()
    pruned = trials[trials["state"] == "PRUNED"]
    assert set(pruned["epochs"]) <= {1, 3}, "Hyperband's rungs"


def test_slots_share_virtual_time(spec: StudySpec, tmp_path: Path) -> None:
    spec = replace(spec, search=replace(spec.search, pruner="none"))
    took = []
    for slots in (1, 4):
        engine = SimulatedEngine(SyntheticCurves(spec), slots=slots, keep_trace=True)
        Study(spec, tmp_path / str(slots)).run(engine)
        assert len(engine.trace) == 12 * 9
        took.append(max(item.at_s for item in engine.trace))
    assert took == [108.0, 27.0]


def test_a_limit_leaves_a_study_that_goes_on(spec: StudySpec, tmp_path: Path) -> None:
    study = Study(spec, tmp_path / "r")
    study.run(SimulatedEngine(SyntheticCurves(spec), slots=3, limit=20))
    trials = ResultStore(tmp_path / "r").trials("small")
    assert (trials["state"] == "INTERRUPTED").any()
    study.run(SimulatedEngine(SyntheticCurves(spec), slots=3))
    trials = ResultStore(tmp_path / "r").trials("small")
    final = trials[trials["state"].isin(["COMPLETE", "PRUNED"])]
    assert final["trial_id"].is_unique
    assert len(final) == 16


def test_stored_curves_come_back(spec: StudySpec, tmp_path: Path) -> None:
    """A real study, replayed: every configuration that ran measures what it measured."""
    real = replace(
        spec,
        search=replace(spec.search, trials=4, epochs=2, pruner="none"),
        confirm=replace(spec.confirm, seeds=0),
    )
    Study(real, tmp_path / "r").run(LocalEngine())
    store = ResultStore(tmp_path / "r")
    source = StoredCurves(store, "small", real)
    Study(replace(real, name="again"), tmp_path / "r").run(SimulatedEngine(source))

    def search(name: str) -> dict[int, float]:
        rows = store.trials(name)
        rows = rows[rows["phase"] == "search"]
        return dict(zip(rows["number"], rows["value"], strict=True))

    assert search("again") == search("small")
    assert source.best(real.cells[0].name) == max(search("small").values())


def test_a_curve_that_is_too_short_keeps_its_last_value(spec: StudySpec, tmp_path: Path) -> None:
    short = replace(spec, search=replace(spec.search, trials=2, epochs=2))
    Study(short, tmp_path / "r").run(SimulatedEngine(SyntheticCurves(short)))
    source = StoredCurves(ResultStore(tmp_path / "r"), "small", short)
    engine = SimulatedEngine(source, keep_trace=True)
    longer = replace(spec, name="longer", search=replace(spec.search, trials=2, epochs=5, pruner="none"))
    Study(longer, tmp_path / "r2").run(engine)
    assert [item.value for item in engine.trace[2:5]] == [engine.trace[1].value] * 3


def test_values_of_a_choice_are_as_far_apart_as_can_be(spec: StudySpec) -> None:
    cell = spec.cells[0]
    here = units(cell, {"optimizer.lr": 1.0e-4, "batch_size": 64})
    other = units(cell, {"optimizer.lr": 1.0e-1, "batch_size": 64})
    choice = units(cell, {"optimizer.lr": 1.0e-4, "batch_size": 256})
    missing = units(cell, {"batch_size": 64})
    assert distances(cell, here[None], here).tolist() == [0.0]
    assert distances(cell, here[None], other).tolist() == [1.0]
    assert distances(cell, here[None], choice).tolist() == [1.0]
    assert distances(cell, here[None], missing).tolist() == [1.0]


def test_strategies_side_by_side(spec: StudySpec) -> None:
    spec = replace(spec, search=replace(spec.search, trials=30, epochs=9, startup=5))
    outcomes = compare(spec, SyntheticCurves(spec), replays=2)["digits/ann"]
    assert [outcome.strategy for outcome in outcomes] == [*map(str, STRATEGIES), OPTUNA]
    assert all(len(outcome.epochs) == 2 for outcome in outcomes)
    assert any(outcome.reached for outcome in outcomes)
    assert compare(spec, SyntheticCurves(spec), replays=2)["digits/ann"] == outcomes, "seeds decide"


def test_a_study_without_one_curve_is_refused(spec: StudySpec, tmp_path: Path) -> None:
    two = replace(spec.cells[0], objectives=(Objective("accuracy", True), Objective("synops", False)))
    with pytest.raises(HarnessError, match="several objectives"):
        SyntheticCurves(replace(spec, cells=(two,)))
    with pytest.raises(HarnessError, match="no search trial with a curve"):
        StoredCurves(ResultStore(tmp_path / "empty"), "small", spec)
