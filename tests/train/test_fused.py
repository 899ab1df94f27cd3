"""Trials in one process equal the same trials one after another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.contracts import registry
from harness.engine.local import LocalEngine
from harness.store.results import ResultStore
from harness.study import Study
from harness.studyfile.load import load_study
from harness.train.attempt import run_attempt
from harness.train.fused import run_fused
from harness.train.task import Task
from harness.trial import DatasetRef, Objective, Phase, Report, State, TrialEnd, TrialSpec, freeze

Rows = list[tuple[int, str, str, float]]
COSTS = ("train_s", "eval_s", "wall_s")


def task(root: Any, number: int, pipeline: str = "direct", epochs: int = 2, **params: Any) -> Task:
    registry.load_plugins(())
    values = {"network.width": 4, "batch_size": 250, "timesteps": 3, **params}
    schema = registry.pipeline(pipeline).schema()
    spec = TrialSpec(
        dataset=DatasetRef("digits"),
        pipeline=pipeline,
        params=freeze(schema.resolve(values)),
        seed=number + 1,
        phase=Phase.SEARCH,
        epochs=epochs,
        objectives=(Objective("accuracy", maximize=True),),
    )
    return Task("fused", "digits", spec, number, 1, str(root), checkpoint_every=1)


def alone(one: Task) -> tuple[Rows, TrialEnd]:
    rows: Rows = []
    attempt = run_attempt(one)
    try:
        report = next(attempt)
        while True:
            rows += [(r.epoch, r.stage, r.metric, r.value) for r in report.rows]
            report = attempt.send(True)
    except StopIteration as stop:
        return rows, stop.value


def together(tasks: list[Task], stop: int = -1) -> dict[int, tuple[Rows, TrialEnd]]:
    rows: dict[int, Rows] = {one.number: [] for one in tasks}
    ends: dict[int, TrialEnd] = {}
    run = run_fused(tasks)
    answer: Any = None
    try:
        while True:
            one, said = run.send(answer)
            if isinstance(said, Report):
                rows[one.number] += [(r.epoch, r.stage, r.metric, r.value) for r in said.rows]
            else:
                ends[one.number] = said
            answer = one.number != stop
    except StopIteration:
        return {number: (rows[number], ends[number]) for number in rows}


def different() -> list[dict[str, Any]]:
    """Learning rates, optimisers and time constants that differ from trial to trial."""
    return [
        {"optimizer.lr": 1e-3, "neuron.tau": 1.5},
        {"optimizer.lr": 5e-3, "neuron.tau": 2.0},
        {"optimizer.lr": 2e-2, "neuron.tau": 4.0, "optimizer.name": "sgd"},
    ]


@pytest.mark.parametrize("neuron", ["lif", "plif"])
def test_they_equal_single_runs(tmp_path: Any, neuron: str) -> None:
    made = [task(tmp_path / "a", i, **{"neuron.name": neuron, **p}) for i, p in enumerate(different())]
    fused = together(made)
    for one in made:
        rows, end = alone(replace(one, root=str(tmp_path / "b")))
        ours, our_end = fused[one.number]
        assert our_end.state is end.state is State.COMPLETE, our_end
        assert our_end.metadata["fused"] == "3"
        assert [row[:3] for row in ours] == [row[:3] for row in rows]
        for mine, expected in zip(ours, rows, strict=True):
            if mine[2] == "loss":
                assert mine[3] == pytest.approx(expected[3], rel=2e-3, abs=2e-3), mine
        assert 0 < our_end.train_s < our_end.wall_s
        assert our_end.metadata["neurons"] != ""


def test_one_is_pruned_and_the_others_go_on(tmp_path: Any) -> None:
    made = [task(tmp_path, i, epochs=3, **p) for i, p in enumerate(different())]
    found = together(made, stop=1)
    assert {number: end.state for number, (_, end) in found.items()} == {
        0: State.COMPLETE,
        1: State.PRUNED,
        2: State.COMPLETE,
    }
    assert found[0][1].metadata["fused"] == "2"


def test_other_shapes_and_random_layers_train_alone(tmp_path: Any) -> None:
    made = [task(tmp_path, 0), task(tmp_path, 1, **{"network.width": 6})]
    made += [task(tmp_path, n, **{"encoder.code": "poisson"}) for n in (2, 3)]
    found = together(made)
    assert all(end.state is State.COMPLETE for _, end in found.values()), found
    assert found[0][1].metadata["fused"] == found[1][1].metadata["fused"] == "1"
    assert found[2][1].metadata["fused"].startswith("1 (RuntimeError: vmap")


def test_a_trial_that_diverges_fails_alone(tmp_path: Any) -> None:
    """Analog neurons without normalisation, one with a learning rate that no network survives."""
    wild = {
        "optimizer.name": "sgd",
        "network.norm": "none",
        "neuron.name": "liaf",
        "neuron.activation": "leaky_relu",
        "batch_size": 50,
    }
    made = [task(tmp_path, i, **wild, **{"optimizer.lr": lr}) for i, lr in enumerate((1e-3, 10.0))]
    found = together(made)
    assert found[0][1].state is State.COMPLETE
    assert found[1][1].state is State.FAILED
    assert "training loss is" in found[1][1].detail


STUDY = """
name: fused
cells:
  - dataset: digits
    pipelines: [{name: direct, label: a}, {name: direct, label: b, set: {timesteps: 2}}]
space: {optimizer.lr: {float: [1.0e-3, 1.0e-1], log: true}}
fixed: {network.width: 4, batch_size: 250, timesteps: 3}
search: {sampler: random, pruner: median, trials: 5, epochs: 2}
confirm: {top: 1, seeds: 0}
final: {seeds: 2}
resources: {fused: 4}
"""


def test_a_study_fuses_its_search(tmp_path: Any) -> None:
    """Every trial has its row; final trials, whose times count, run alone."""
    file = tmp_path / "fused.yaml"
    file.write_text(STUDY)
    Study(load_study(file), tmp_path / "results").run(LocalEngine())
    rows = ResultStore(tmp_path / "results").trials("fused")
    search, final = rows[rows["phase"] == "search"], rows[rows["phase"] == "final"]
    assert sorted(search["state"].unique()) in (["COMPLETE"], ["COMPLETE", "PRUNED"])
    assert (len(search), len(final)) == (10, 4)
    assert (final["state"] == "COMPLETE").all()
    counts = [facts.get("fused") for facts in search["metadata"]]
    assert "4" in counts, counts
    assert all("fused" not in facts for facts in final["metadata"])
    assert all(facts["neurons"] == "compiled loops" for facts in rows["metadata"])
