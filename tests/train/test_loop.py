"""The loop: seeds, checkpoints, clocks, stages, and the test split that search cannot open."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.contracts.data import DatasetCard
from harness.contracts.registry import load_plugins
from harness.errors import DataError, NonFiniteError
from harness.store.checkpoints import Checkpoints
from harness.train.access import Access, ProtocolError
from harness.train.metrics import score
from harness.train.task import Task
from harness.trial import DatasetRef, EpochRow, Objective, Phase, State, TrialSpec, freeze
from tests.conftest import TOY
from tests.train.attempts import run


@pytest.fixture(autouse=True)
def _toy() -> None:
    load_plugins([(str(TOY), TOY.read_text())])


def make_task(
    tmp_path: Path, *, seed: int = 1, phase: Phase = Phase.SEARCH, epochs: int = 6, **params: Any
) -> Task:
    spec = TrialSpec(
        dataset=DatasetRef("toy-points", "1"),
        pipeline="toy",
        params=freeze({"batch_size": 4, "lr": 0.05, "width": 3, **params}),
        seed=seed,
        phase=phase,
        epochs=epochs,
        objectives=(Objective("accuracy", True),),
    )
    return Task("s", "c", spec, 0, 1, str(tmp_path), checkpoint_every=2)


def numbers(rows: list[EpochRow]) -> list[tuple[Any, ...]]:
    return [(row.epoch, row.stage, row.split, row.metric, row.value) for row in rows]


def test_same_seed_same_curve_and_another_seed_another(tmp_path: Path) -> None:
    first, end = run(make_task(tmp_path / "a"))
    again, _ = run(make_task(tmp_path / "b"))
    other, _ = run(make_task(tmp_path / "c", seed=2))
    assert end is not None
    assert end.state is State.COMPLETE
    assert numbers(first) == numbers(again)
    assert numbers(first) != numbers(other)


@pytest.mark.parametrize("stop_after", [1, 2, 3, 5])
def test_abandoned_and_resumed_equals_uninterrupted(tmp_path: Path, stop_after: int) -> None:
    whole, whole_end = run(make_task(tmp_path / "a"))
    run(make_task(tmp_path / "b"), stop_after)
    resumed, end = run(replace(make_task(tmp_path / "b"), attempt=2))
    assert numbers(resumed) == numbers(whole)
    assert end is not None
    assert whole_end is not None
    assert end.values == whole_end.values
    assert end.train_s > 0
    times = [row.train_s for row in resumed]
    assert times == sorted(times)


def test_a_broken_checkpoint_starts_afresh(tmp_path: Path) -> None:
    whole, _ = run(make_task(tmp_path / "a"))
    task = make_task(tmp_path / "b")
    run(task, 4)
    path = tmp_path / "b" / "checkpoints" / "s" / f"{task.spec.id}.pt"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    resumed, end = run(task)
    assert end is not None
    assert end.state is State.COMPLETE
    assert numbers(resumed) == numbers(whole)


@pytest.mark.parametrize(
    "damage",
    [
        {"learner": {}},
        {"progress": {}},
        {"clocks": {}},
        {"learner": {"model": {"other": torch.ones(2)}, "optimizers": [], "schedulers": []}},
        {"progress": None},
        {"clocks": {"train": "x"}},
    ],
)
def test_a_checkpoint_with_other_keys_costs_its_epochs_alone(tmp_path: Path, damage: dict[str, Any]) -> None:
    whole, _ = run(make_task(tmp_path / "a"))
    task = make_task(tmp_path / "b")
    run(task, 4)
    kept = Checkpoints(tmp_path / "b", "s")
    state = kept.load(task.spec.id)
    assert state is not None
    kept.save(task.spec.id, {**state, **damage})
    resumed, end = run(task)
    assert end is not None
    assert end.state is State.COMPLETE
    assert numbers(resumed) == numbers(whole)


def test_an_artifact_that_does_not_fit_is_trained_again(tmp_path: Path) -> None:
    task = make_task(tmp_path, pretrain_epochs=3)
    whole, _ = run(task)
    (path,) = (tmp_path / "artifacts").iterdir()
    Checkpoints(tmp_path, "s").save_artifact(path.stem, {"learner": {}, "train_s": 1.0, "train_cpu_s": 1.0})
    rows, end = run(replace(task, attempt=2, spec=replace(task.spec, epochs=4)))
    assert end is not None
    assert (end.state, end.inherited_s) == (State.COMPLETE, 0.0)
    first = [row for row in rows if row.stage == "pretrain"]
    assert numbers(first) == numbers([row for row in whole if row.stage == "pretrain"])


def test_a_shared_stage_is_trained_once_and_paid_by_all(tmp_path: Path) -> None:
    task = make_task(tmp_path, pretrain_epochs=3)
    _, first = run(task)
    other = replace(task, spec=replace(task.spec, epochs=4))
    rows, second = run(other)
    assert first is not None
    assert second is not None
    assert first.inherited_s == 0
    assert dict(first.stage_train_s)["pretrain"] == pytest.approx(second.inherited_s)
    assert second.metadata["pretrain_s"] == pytest.approx(second.inherited_s)
    assert {row.stage for row in rows} == {"train"}
    assert {row.inherited_s for row in rows} == {second.inherited_s}
    assert second.train_s == rows[-1].train_s, "its own clock, without what it inherited"
    assert second.metadata["best_total_s"] == second.metadata["best_train_s"] + second.inherited_s
    alone = make_task(tmp_path / "alone", pretrain_epochs=3)
    apart, _ = run(replace(alone, spec=other.spec))
    assert numbers([row for row in apart if row.stage == "train"]) == numbers(rows)


@pytest.mark.parametrize("phase", [Phase.SEARCH, Phase.CONFIRM])
def test_the_test_split_cannot_be_constructed_outside_final(phase: Phase) -> None:
    access = Access(DatasetRef("toy-points", "1"), phase)
    assert len(access.open("valid")) == 16
    with pytest.raises(ProtocolError, match="final phase only"):
        access.open("test")
    assert len(Access(DatasetRef("toy-points", "1"), Phase.FINAL).open("test")) == 16


def test_only_the_final_phase_has_test_metrics(tmp_path: Path) -> None:
    _, search = run(make_task(tmp_path))
    rows, final = run(make_task(tmp_path, phase=Phase.FINAL))
    assert search is not None
    assert final is not None
    assert search.test == ()
    assert {"accuracy", "last_accuracy"} <= dict(final.test).keys()
    assert {row.split for row in rows} == {"train", "valid"}


def test_legacy_curves_carry_their_name(tmp_path: Path) -> None:
    task = replace(make_task(tmp_path, phase=Phase.FINAL), legacy_test_curve=True)
    rows, end = run(task)
    assert end is not None
    on_test = {row.metric for row in rows if row.split == "test"}
    assert on_test
    assert all(name.startswith("legacy_") for name in on_test)
    best = max(row.value for row in rows if row.metric == "legacy_accuracy")
    assert dict(end.test)["legacy_best_test_accuracy"] == best


def test_an_exploding_rate_fails_without_a_number(tmp_path: Path) -> None:
    _, end = run(make_task(tmp_path, mode="nan"))
    assert end is not None
    assert (end.state, end.reason, end.values) == (State.FAILED, "non-finite", ())


def test_outputs_that_diverge_after_the_last_update_fail_without_a_number(tmp_path: Path) -> None:
    _, end = run(make_task(tmp_path, mode="diverge", epochs=1))
    assert end is not None
    assert (end.state, end.reason, end.values) == (State.FAILED, "non-finite", ())
    assert "outputs in evaluation" in end.detail


def test_a_forecast_that_diverges_is_the_trials_fault_and_short_data_is_not() -> None:
    card = DatasetCard("load", "1", "forecasting", "nlc", (4, 1), (9, 9, 9), horizon=2, origin="load.csv")
    with pytest.raises(NonFiniteError):
        score(card, torch.full((3, 2, 1), math.nan), torch.rand(3, 2, 1))
    with pytest.raises(DataError, match=r"data set 'load.csv': .* undefined"):
        score(card, torch.rand(3, 2, 1), torch.ones(3, 2, 1))


def test_an_unmeasured_objective_is_named(tmp_path: Path) -> None:
    task = make_task(tmp_path)
    spec = replace(task.spec, objectives=(Objective("r2", True),))
    _, end = run(replace(task, spec=spec))
    assert end is not None
    assert end.reason == "misfit"
    assert "Measured: accuracy" in end.detail


def test_parameters_without_a_gradient_are_named_by_stage_and_survive_a_restart(tmp_path: Path) -> None:
    _, end = run(make_task(tmp_path, mode="silent"), 3)
    _, end = run(replace(make_task(tmp_path, mode="silent"), attempt=2))
    assert end is not None
    assert end.metadata["no_gradient"] == {"train": {"without": 2, "of": 4, "first": "0.weight"}}
    _, fine = run(make_task(tmp_path / "b"))
    assert fine is not None
    assert "no_gradient" not in fine.metadata
