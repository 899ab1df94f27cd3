"""Which parameters a first step reaches: the published ES network of LIF, and forms of it that train."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.train.gradients import silent
from tests.pipelines.bench import Run, card

FRAMES = card("ntchw", (4, 2, 32, 32), "toy-frames-32")
PUBLISHED = {
    "network.name": "resnet18-es",
    "network.norm": "bn",
    "neuron.name": "plif",
    "neuron.tau": 2.648721,
    "neuron.v_threshold": 0.5,
    "neuron.surrogate.name": "rect",
    "neuron.surrogate.width": 0.5,
}


def first_step(**more: Any) -> tuple[int, int, tuple[str, ...]]:
    """Tensors that the first backward pass reaches, all that are to train, and what the plan remarks."""
    run = Run("direct", FRAMES, **{**PUBLISHED, **more})
    run.learner.begin(run.stages[0])
    run.learner.before_epoch(0)
    run.learner.loss(run.splits[FRAMES.name].batch(np.arange(8))).backward()
    said = silent(run.learner)
    return said.of - said.without, said.of, run.pipeline.remarks(run.params)


def test_as_published_two_of_101_tensors_train_and_the_plan_says_so() -> None:
    reached, tensors, remarks = first_step()
    assert (reached, tensors) == (2, 101)
    assert "no gradient" in remarks[0]


@pytest.mark.parametrize(
    "more",
    [
        {"neuron.surrogate.width": 1.0},
        {"neuron.surrogate.name": "atan"},
        {"neuron.name": "liaf", "neuron.activation": "leaky_relu", "neuron.learn_decay": True},
    ],
)
def test_wider_or_analog_forms_train_whole(more: dict[str, Any]) -> None:
    assert first_step(**more) == (101, 101, ())
