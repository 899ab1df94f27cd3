"""Measured choices stand in rows and checkpoints: a resume elsewhere repeats its curve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.contracts import choices, registry
from harness.engine.local import LocalEngine
from harness.store.results import ResultStore
from harness.study import Study
from harness.studyfile.load import load_study
from harness.train.task import Task
from harness.trial import DatasetRef, Objective, Phase, TrialSpec, freeze
from tests.study.test_resume import Cut, CutAfter
from tests.tables import assert_same
from tests.train.test_loop import numbers, run

Machine = Callable[[str], None]
SMALL = {"network.width": 6, "delay.max": 9, "neuron.name": "lif", "batch_size": 50}
STUDY = """
name: toy
cells:
  - dataset: vowels
    pipelines: [{name: delays, set: {network.width: 6, delay.max: 9, neuron.name: lif}}]
space: {optimizer.lr: {float: [1.0e-3, 3.0e-2], log: true}}
fixed: {batch_size: 50}
search: {sampler: tpe, pruner: none, trials: 3, epochs: 2, startup: 2}
confirm: {seeds: 0}
final: {seeds: 1}
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Go to a machine with a cache of its own where one backend is the fastest for all shapes."""

    def go(fastest: str) -> None:
        monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / f"cache of {fastest}"))
        choices._known.clear()

        def measure(_batch: int, ways: Mapping[str, Any], _device: torch.device) -> dict[str, float]:
            return {fastest: 1.0} | {name: 2.0 for name in ways if name != fastest}

        monkeypatch.setattr(choices, "measure", measure)

    return go


def task(root: Path, **changes: Any) -> Task:
    schema = registry.pipeline("delays").schema()
    spec = TrialSpec(
        dataset=DatasetRef("vowels"),
        pipeline="delays",
        params=freeze(schema.resolve(SMALL)),
        seed=3,
        phase=Phase.FINAL,
        epochs=3,
        objectives=(Objective("accuracy", True),),
    )
    return replace(Task("s", "c", spec, 0, 1, str(root), checkpoint_every=50), **changes)


def test_a_trial_goes_on_elsewhere_as_it_began(tmp_path: Path, machine: Machine) -> None:
    machine("dft")
    whole, end = run(task(tmp_path / "a"))
    assert end is not None
    taken = end.metadata["choices"]
    assert set(taken.values()) == {"dft"}
    assert {key.split(", ")[-1].split(";")[0] for key in taken} >= {"whole delays", "leaky sum"}
    machine("conv1d")
    other, _ = run(task(tmp_path / "b"))
    assert numbers(other) != numbers(whole), "a choice changes the rounding: the test can see it"
    machine("dft")
    run(task(tmp_path / "c"), stop_after=2)  # after its first epoch it has a checkpoint, for its choices
    machine("conv1d")
    resumed, end = run(task(tmp_path / "c", attempt=2))
    assert numbers(resumed) == numbers(whole)
    assert end is not None
    trained = {key for key in taken if "gradients" in key}
    assert {end.metadata["choices"][key] for key in trained} == {"dft"}
    assert set(end.metadata["choices"]) == set(taken)
    given, _ = run(task(tmp_path / "d", choices=tuple(taken.items())))
    assert numbers(given) == numbers(whole)


def test_a_study_goes_on_elsewhere_as_it_began(tmp_path: Path, machine: Machine) -> None:
    file = tmp_path / "toy.yaml"
    file.write_text(STUDY)
    machine("dft")
    Study(load_study(file), tmp_path / "whole").run(LocalEngine())
    with pytest.raises(Cut):
        Study(load_study(file), tmp_path / "cut").run(CutAfter(3))
    machine("fft")
    Study(load_study(file), tmp_path / "cut").run(LocalEngine())
    assert_same(tmp_path / "cut", tmp_path / "whole")
    rows = ResultStore(tmp_path / "cut").trials("toy")
    ended = rows[rows["state"] == "COMPLETE"]
    searched = ended[ended["phase"] == "search"]
    assert all(set(row["choices"].values()) == {"dft"} for row in searched["metadata"])
