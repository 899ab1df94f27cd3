"""Half precision: a run that is cut and goes on has the curve of a whole one, the loss scale included."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.contracts import registry
from harness.store.checkpoints import Checkpoints
from harness.train import steps
from harness.train.task import Task
from harness.trial import DatasetRef, Objective, Phase, State, TrialSpec, freeze
from tests.train.test_loop import numbers, run

EPOCHS = 4


def task(root: Path, pipeline: str, precision: str, **params: Any) -> Task:
    small = {"batch_size": 250, "precision": precision, "optimizer.lr": 0.01, **params}
    if pipeline == "direct":
        small |= {"network.width": 4, "timesteps": 2}
    schema = registry.pipeline(pipeline).schema()
    spec = TrialSpec(
        dataset=DatasetRef("digits"),
        pipeline=pipeline,
        params=freeze(schema.resolve(small)),
        seed=5,
        phase=Phase.SEARCH,
        epochs=EPOCHS,
        objectives=(Objective("accuracy", True),),
    )
    return Task("s", "c", spec, 0, 1, str(root), checkpoint_every=1)


@pytest.mark.parametrize("pipeline", ["direct", "ann"])
@pytest.mark.parametrize("precision", ["bf16", "amp"])
def test_a_cut_run_goes_on_as_a_whole_one(tmp_path: Path, pipeline: str, precision: str) -> None:
    whole, end = run(task(tmp_path / "a", pipeline, precision))
    assert end is not None
    assert end.state is State.COMPLETE
    single, _ = run(task(tmp_path / "b", pipeline, "fp32"))
    assert numbers(single) != numbers(whole), "precision reaches the arithmetic"
    for cut in range(1, EPOCHS):
        run(task(tmp_path / f"c{cut}", pipeline, precision), cut)
        resumed, _ = run(replace(task(tmp_path / f"c{cut}", pipeline, precision), attempt=2))
        assert numbers(resumed) == numbers(whole)


@pytest.fixture
def scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Float16 with a loss scale, as on CUDA; the scale grows after three good steps."""
    monkeypatch.setattr(
        steps,
        "autocast_dtype",
        lambda precision, _device: torch.float16 if precision == "amp" else None,
    )
    scaler = torch.amp.GradScaler
    monkeypatch.setattr(torch.amp, "GradScaler", lambda kind: scaler(kind, growth_interval=3))


@pytest.mark.usefixtures("scaled")
def test_the_loss_scale_goes_on_where_it_was(tmp_path: Path) -> None:
    whole, end = run(task(tmp_path / "a", "ann", "amp"))
    assert end is not None
    assert end.state is State.COMPLETE
    made = task(tmp_path / "b", "ann", "amp")
    scales = []
    for attempt in (1, 2, 3):  # each one epoch with its checkpoint, and one that is lost
        run(replace(made, attempt=attempt), 2 if attempt == 1 else 3)
        state = Checkpoints(tmp_path / "b", "s").load(made.spec.id)
        assert state is not None
        scales.append(state["scaler"]["scale"])
    assert scales[0] < scales[1] < scales[2], "it grows, so a resume that began anew would be seen"
    resumed, _ = run(replace(made, attempt=4))
    assert numbers(resumed) == numbers(whole)
