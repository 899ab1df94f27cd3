"""Steps: nothing waits for the device, parts add up to a batch, the failing step is named."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from harness.contracts import ArraySplit
from harness.errors import NonFiniteError
from harness.train.clocks import Clocks
from harness.train.steps import READ_EVERY, Steps, autocast_dtype

CPU = torch.device("cpu")
WAITS = ("_local_scalar_dense", "is_nonzero", "nonzero", "equal")


class Linear:
    """The least a step asks of a learner; ``bad`` is the step whose loss is no number."""

    def __init__(self, bad: int = 0) -> None:
        torch.manual_seed(0)
        self.model = nn.Linear(3, 1)
        self.optimizers = [torch.optim.SGD(self.model.parameters(), lr=0.01)]
        self.bad, self.steps = bad, 0

    def loss(self, batch: Any) -> Tensor:
        """Mean squared error."""
        loss = (self.model(batch.x).squeeze(1) - batch.y).square().mean()
        return loss * math.nan if self.steps + 1 == self.bad else loss

    def after_step(self) -> None:
        """Count."""
        self.steps += 1


def made(learner: Linear, **params: Any) -> Steps:
    return Steps(learner, SimpleNamespace(**{"batch_size": 4, **params}), Clocks(CPU))  # type: ignore[arg-type]


def split(count: int) -> ArraySplit:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(count, 3)).astype(np.float32)
    return ArraySplit(x, x.sum(1), np.arange(count))


class Waits(TorchDispatchMode):
    """Counts the operators that would wait for a device, and copies between devices."""

    found = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.found += func._schema.name.removeprefix("aten::") in WAITS
        return func(*args, **(kwargs or {}))


def waits(steps: int, **params: Any) -> int:
    learner, data = Linear(), split(4 * steps)
    with Waits() as counter:
        made(learner, **params).one_pass(data, np.arange(4 * steps), epoch=1)
    assert learner.steps == steps
    return counter.found


@pytest.mark.parametrize("params", [{}, {"grad_clip": 1.0}, {"micro_batch": 2}, {"precision": "bf16"}])
def test_more_steps_wait_no_more(params: dict[str, Any]) -> None:
    assert waits(READ_EVERY, **params) == waits(2, **params)
    assert waits(READ_EVERY + 1, **params) <= 2 * waits(2, **params)


def test_the_stand_in_counts_what_waits() -> None:
    with Waits() as counter:
        torch.ones(1).item()
        bool(torch.ones(1))
    assert counter.found == 2


@pytest.mark.parametrize("bad", [1, 3, READ_EVERY, READ_EVERY + 1, READ_EVERY + 7])
def test_the_failing_step_is_named(bad: int) -> None:
    learner, count = Linear(bad), 4 * (READ_EVERY + 9)
    with pytest.raises(NonFiniteError, match=rf"loss is nan in step {bad} of epoch 7$"):
        made(learner).one_pass(split(count), np.arange(count), epoch=7)
    assert learner.steps < bad + READ_EVERY


@pytest.mark.parametrize("micro", [1, 3, 4, 5, 8])
def test_parts_of_a_batch_add_up_to_it(micro: int) -> None:
    whole, parts, data = Linear(), Linear(), split(13)
    order = np.random.default_rng(1).permutation(13)
    once = made(whole, batch_size=8).one_pass(data, order, epoch=1)
    in_parts = made(parts, batch_size=8, micro_batch=micro).one_pass(data, order, epoch=1)
    assert in_parts == pytest.approx(once, rel=1e-6)
    torch.testing.assert_close(parts.model.weight, whole.model.weight)
    assert (whole.steps, parts.steps) == (2, 2)


def test_the_mean_loss_weighs_samples_not_batches() -> None:
    learner, data = Linear(), split(6)
    learner.optimizers[0].param_groups[0]["lr"] = 0.0
    with torch.no_grad():
        wanted = float(learner.loss(data.batch(np.arange(6))))
    assert made(learner).one_pass(data, np.arange(6), epoch=1) == pytest.approx(wanted, rel=1e-6)


def test_gradients_are_clipped_only_where_asked() -> None:
    moved = []
    for clip in (0.0, 1e-3):
        learner = Linear()
        before = learner.model.weight.detach().clone()
        made(learner, grad_clip=clip).one_pass(split(4), np.arange(4), epoch=1)
        moved.append(float((learner.model.weight.detach() - before).norm()))
    assert moved[1] <= 1.001e-5 < moved[0]


@pytest.mark.parametrize(
    ("precision", "device", "dtype"),
    [
        ("fp32", "cpu", None),
        ("bf16", "cpu", torch.bfloat16),
        ("amp", "cpu", torch.bfloat16),
        ("fp32", "cuda", None),
        ("bf16", "cuda", torch.bfloat16),
        ("amp", "cuda", torch.float16),
    ],
)
def test_precisions(precision: str, device: str, dtype: Any) -> None:
    assert autocast_dtype(precision, torch.device(device)) is dtype


def test_the_loss_scale_is_saved_and_restored() -> None:
    one, other, plain = made(Linear()), made(Linear()), made(Linear())
    one.scaler, other.scaler = (torch.amp.GradScaler("cpu", init_scale=s) for s in (8.0, 2.0))
    one.one_pass(split(8), np.arange(8), epoch=1)
    other.restore(one.state())
    assert other.state() == one.state()
    assert one.state()["scale"] == 8.0
    assert one.state()["_growth_tracker"] == 2
    assert plain.state() == {}
    plain.restore({})


def test_waiting_for_batches_is_a_clock_of_its_own_within_training() -> None:
    clocks = Clocks(CPU)
    data = split(8)
    whole = data.batch

    def slow(index: Any) -> Any:
        until = time.perf_counter() + 0.02
        while time.perf_counter() < until:
            pass
        return whole(index)

    data.batch = slow  # type: ignore[method-assign]
    with clocks.running("train"):
        Steps(Linear(), SimpleNamespace(batch_size=4), clocks).one_pass(data, np.arange(8), epoch=1)  # type: ignore[arg-type]
    assert 0.04 <= clocks.seconds["data_wait"] <= clocks.seconds["train"]
