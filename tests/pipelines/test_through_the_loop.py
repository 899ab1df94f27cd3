"""The staged pipelines in the one training loop: clocks, shared artifacts, test metrics, restarts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.contracts.registry import pipeline
from harness.train.task import Task
from harness.trial import DatasetRef, EpochRow, Objective, Phase, State, TrialEnd, TrialSpec, freeze
from tests.train.attempts import run

SMALL = {"network.width": 4, "batch_size": 100}
STAGED: dict[str, tuple[str, dict[str, Any]]] = {
    "pipe-s": ("digits", {"sharpen.epochs": 1, "timesteps": 2}),
    "pipe-d": ("digits-events", {"source.epochs": 1, "liaf.epochs": 1}),
    "convert": ("digits", {"timesteps": 4}),
}


def task(root: Path, name: str, *, phase: Phase = Phase.FINAL, epochs: int = 1, **params: Any) -> Task:
    dataset, own = STAGED[name]
    kind = pipeline(name)
    values = kind.schema().resolve({**SMALL, **own, **params})
    spec = TrialSpec(
        dataset=DatasetRef(dataset),
        pipeline=name,
        params=freeze(values),
        seed=7,
        phase=phase,
        epochs=epochs,
        objectives=(Objective("accuracy", True),),
    )
    return Task("s", "c", spec, 0, 1, str(root), checkpoint_every=1)


def complete(of: Task) -> tuple[list[EpochRow], TrialEnd]:
    rows, end = run(of)
    assert end is not None
    assert end.state is State.COMPLETE, end.detail
    return rows, end


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cache(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(cache_folder))


@pytest.mark.parametrize("name", STAGED)
def test_every_stage_has_its_clock_and_the_last_one_selects(tmp_path: Path, name: str) -> None:
    rows, end = complete(task(tmp_path, name))
    stages = [stage for stage, _ in end.stage_train_s]
    wanted = {
        "pipe-s": ["sharpen", "finetune"],
        "pipe-d": ["ann", "warmup", "liaf", "lif"],
        "convert": ["ann", "convert"],
    }[name]
    assert stages == wanted
    assert all(seconds > 0 for _, seconds in end.stage_train_s)
    assert 0 < end.metadata["pretrain_s"] < end.train_s
    assert end.best_epoch == len(stages), "the epoch of the last stage"
    assert {row.stage for row in rows} == set(stages)
    assert 0 <= dict(end.test)["accuracy"] <= 1


def test_a_second_trial_takes_the_first_one_s_ann_over_and_pays_for_it(tmp_path: Path) -> None:
    _, first = complete(task(tmp_path, "pipe-s"))
    rows, second = complete(task(tmp_path, "pipe-s", **{"optimizer.lr": 0.02}))
    assert first.inherited_s == 0
    assert second.inherited_s == dict(first.stage_train_s)["sharpen"]
    assert second.metadata["pretrain_s"] == second.inherited_s
    assert {row.inherited_s for row in rows if row.stage == "finetune"} == {second.inherited_s}
    _, other = complete(task(tmp_path, "pipe-s", **{"sharpen.optimizer.lr": 0.02}))
    assert other.inherited_s == 0


def test_an_artifact_of_other_data_is_not_taken(tmp_path: Path) -> None:
    static = {"source.kind": "static", "source.dataset": "digits"}
    complete(task(tmp_path, "pipe-d"))
    _, end = complete(task(tmp_path, "pipe-d", **static))
    assert end.inherited_s == 0
    _, end = complete(task(tmp_path, "pipe-d", **static, **{"optimizer.lr": 0.02}))
    assert end.inherited_s > 0


@pytest.mark.parametrize("name", STAGED)
def test_a_killed_trial_ends_as_an_unbroken_one(tmp_path: Path, name: str) -> None:
    def numbers(rows: list[EpochRow]) -> dict[tuple[int, str, str], float]:
        return {(row.epoch, row.split, row.metric): row.value for row in rows}

    whole, end = complete(task(tmp_path / "whole", name, epochs=2))
    for cut in range(1, end.epochs, 2):
        root = tmp_path / f"cut{cut}"
        before, nothing = run(task(root, name, epochs=2), stop_after=cut)
        assert nothing is None
        after, again = complete(task(root, name, epochs=2))
        assert numbers(before + after) == numbers(whole), f"cut after {cut} epochs"
        assert dict(again.test) == dict(end.test)
