"""What every registered neuron keeps, whoever wrote it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from harness.contracts import Neuron, neurons
from harness.contracts.params import describe

STEPS, BATCH, UNITS = 6, 4, 8
NAMES = sorted(neurons())


def current(seed: int = 0, batch: int = BATCH) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(STEPS, batch, UNITS, generator=generator) + 0.5


def build(name: str) -> Neuron:
    return neurons()[name]()


@pytest.mark.parametrize("name", NAMES)
def test_output_has_the_shape_and_range_it_documents(name: str) -> None:
    neuron = build(name)
    out_tb = neuron(current())
    assert out_tb.shape == (STEPS, BATCH, UNITS)
    assert out_tb.min() >= neuron.low
    assert out_tb.max() <= neuron.high
    assert out_tb.std() > 0, "a neuron that never or always answers shows nothing here"


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_finite_and_there(name: str) -> None:
    neuron = build(name)
    x_tb = current().requires_grad_()
    (neuron(x_tb) * current(1)).sum().backward()
    assert x_tb.grad is not None
    assert x_tb.grad.isfinite().all()
    assert x_tb.grad.abs().sum() > 0
    for parameter in neuron.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_single_steps_equal_one_run(name: str) -> None:
    neuron = build(name)
    x_tb = current()
    stepped = Neuron.forward(neuron, x_tb)
    torch.testing.assert_close(neuron(x_tb), stepped, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_kept_between_calls(name: str) -> None:
    neuron = build(name)
    first = neuron(current())
    neuron(current(1, batch=BATCH + 3))
    assert torch.equal(neuron(current()), first)
    assert torch.equal(neuron(current()[:, :2]), first[:, :2])


@pytest.mark.parametrize("name", NAMES)
def test_a_second_one_starts_from_the_same_constants(name: str) -> None:
    first = build(name)
    start = copy.deepcopy(first.state_dict())
    with torch.no_grad():
        for tensor in first.state_dict().values():
            tensor.add_(1)
    second = build(name)
    assert second.state_dict().keys() == start.keys()
    for key, value in second.state_dict().items():
        assert torch.equal(value, start[key]), key


@pytest.mark.parametrize("name", NAMES)
def test_every_constant_says_what_it_is(name: str) -> None:
    for info in describe(neurons()[name].Params):
        assert info.doc, f"{name}: {info.name} has no description"
        info.check(info.default)
