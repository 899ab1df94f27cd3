"""What only a card can show: the kernels run there, equal the passes of torch, and never wait for it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from harness.contracts.choices import Record, recording
from harness.neurons.kernels import choice, recurrence
from harness.neurons.kernels.functional import integrate_multistep, lif_multistep
from harness.neurons.kernels.recurrence import Constants
from harness.neurons.kernels.surrogate import Surrogate, atan, named, rect
from harness.neurons.ts_lif import TSLIF, TSLIFParams

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here"),
]


def on_card(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).cuda()


@pytest.mark.parametrize("steps", [6, 40])
@pytest.mark.parametrize("surrogate", [rect(), atan(), named("sigmoid"), named("gaussian")], ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_lif(steps: int, surrogate: Surrogate, dtype: torch.dtype, reset: Any) -> None:
    x = (on_card(steps, 64, 513, seed=1) + 0.3).to(dtype).requires_grad_()
    grad = on_card(steps, 64, 513, seed=2).to(dtype)
    with recording(Record()):
        out = lif_multistep(x, 0.7, 1.0, surrogate, reset=reset)
        out.backward(grad)
        assert choice.used() == choice.TRITON
    constants = Constants(1.0, reset == "hard", False, surrogate)
    expected = recurrence.forward(x.detach().float(), 0.7, constants)
    by_x, _ = recurrence.backward(x.detach().float(), grad.float(), 0.7, constants, learned=False)
    assert (out.float() != expected).float().mean() < 1e-4  # a threshold met in another rounding
    same = (out.float() == expected).all(0)
    assert x.grad is not None
    torch.testing.assert_close(x.grad.float()[:, same], by_x.to(dtype).float()[:, same], atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("steps", [6, 40])
def test_a_learned_decay_of_analog_neurons(steps: int) -> None:
    x, k = on_card(steps, 32, 257, seed=3).requires_grad_(), torch.tensor(0.6, device="cuda").requires_grad_()
    integrate_multistep(x, k).relu().sum().backward()
    assert k.grad is not None
    h = recurrence.forward(x.detach(), 0.6, Constants(1.0, True))
    _, by_k = recurrence.backward(x.detach(), (h > 0).float(), 0.6, Constants(1.0, True), learned=True)
    torch.testing.assert_close(k.grad, by_k, atol=1.0, rtol=1e-3)


@pytest.mark.parametrize("form", ["code", "paper"])
@pytest.mark.parametrize("hold", [4, 20])
def test_ts_lif_is_that_of_the_processor(form: Any, hold: int) -> None:
    here, there = TSLIF(TSLIFParams(form=form)), TSLIF(TSLIFParams(form=form)).cuda()
    x = 2 * on_card(64, 129, seed=4)
    mine, other = x.cpu().requires_grad_(), x.clone().requires_grad_()
    expected, out = here.hold(mine, hold), there.hold(other, hold)
    same = (out.cpu() - expected).abs() < 1e-6
    assert same.float().mean() > 0.999
    expected.sum().backward()
    out.sum().backward()
    assert mine.grad is not None
    assert other.grad is not None
    torch.testing.assert_close(other.grad.cpu()[same], mine.grad[same], atol=1e-3, rtol=1e-2)


def test_neurons_never_wait_for_the_card() -> None:
    """Forward and back of LIF, PLIF's decay and TS-LIF, with every synchronising call an error."""
    neuron, w = TSLIF(TSLIFParams()).cuda(), torch.zeros((), device="cuda", requires_grad=True)
    x = on_card(6, 32, 64, seed=5).requires_grad_()

    def step() -> None:
        (lif_multistep(x, torch.sigmoid(w)).sum() + lif_multistep(x, 0.5).sum() + neuron(x).sum()).backward()

    step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
