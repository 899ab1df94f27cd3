"""The fused sequences equal SpikingJelly's neurons and the papers' recurrences."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import neuron as sj_neuron
from spikingjelly.activation_based import surrogate as sj_surrogate
from torch import Tensor

from harness.errors import HarnessError
from harness.neurons.kernels import spikingjelly_cuda as kernels
from harness.neurons.kernels.functional import integrate_multistep, lif_multistep, spike
from harness.neurons.kernels.recurrence import after_reset
from harness.neurons.kernels.surrogate import Surrogate, atan, named, rect

SHAPE = (7, 3, 5)


def current(seed: int, shape: tuple[int, ...] = SHAPE) -> Tensor:
    """Currents around the threshold, away from exact ties."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.8 + 0.3


def reference(
    x_tbn: Tensor, k: Tensor | float, threshold: float, surrogate: Surrogate, **options: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """The recurrence of the papers, a step at a time by autograd: spikes, v after reset, h."""
    v = torch.zeros_like(x_tbn[0])
    spikes, potentials, charged = [], [], []
    for x in x_tbn:
        h = k * v + ((1 - k) * x if options.get("decay_input") else x)
        s = spike(h, threshold, surrogate)
        v = h - threshold * s.detach() if options.get("reset") == "soft" else h * (1 - s.detach())
        spikes.append(s)
        potentials.append(v)
        charged.append(h)
    return torch.stack(spikes), torch.stack(potentials), torch.stack(charged)


SURROGATES = [
    (atan(2.0), sj_surrogate.ATan(alpha=2.0)),
    (atan(5.0), sj_surrogate.ATan(alpha=5.0)),
    (named("sigmoid"), sj_surrogate.Sigmoid(alpha=4.0)),
    (rect(0.5), sj_surrogate.Rect(alpha=1.0)),
    (rect(0.25), sj_surrogate.Rect(alpha=2.0)),
]


@pytest.mark.parametrize(("ours", "theirs"), SURROGATES, ids=lambda s: repr(s))
@pytest.mark.parametrize("decay_input", [False, True])
@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_equals_spikingjelly(ours: Surrogate, theirs: Any, decay_input: bool, reset: Any) -> None:
    node = sj_neuron.LIFNode(
        tau=4.0 / 3.0,
        decay_input=decay_input,
        v_threshold=0.5,
        v_reset=0.0 if reset == "hard" else None,
        surrogate_function=theirs,
        detach_reset=True,
        step_mode="m",
        store_v_seq=True,
    )
    x1, x2 = current(1).requires_grad_(), current(1).requires_grad_()
    grad = current(2)
    theirs_s = node(x1)
    theirs_s.backward(grad)
    constants: dict[str, Any] = {"tau": 4.0 / 3.0, "decay_input": decay_input, "reset": reset}
    spikes = lif_multistep(x2, None, 0.5, ours, **constants)
    spikes.backward(grad)
    assert torch.equal(spikes, theirs_s)
    v = after_reset(integrate_multistep(x2.detach(), None, 0.5, **constants), 0.5, hard=reset == "hard")
    torch.testing.assert_close(v, node.v_seq, atol=1e-6, rtol=0)
    torch.testing.assert_close(x2.grad, x1.grad, atol=1e-5, rtol=0)


@pytest.mark.parametrize("surrogate", [rect(0.5), named("gaussian"), atan(5.0)], ids=repr)
@pytest.mark.parametrize("decay_input", [False, True])
@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_equals_the_recurrence(surrogate: Surrogate, decay_input: bool, reset: Any) -> None:
    """docs/papers.md, LIF and LIAF, learned decay sigmoid(w): equal to 1e-6 in float64."""
    results = []
    for fused in (True, False):
        x = current(4).double().requires_grad_()
        w = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
        k = torch.sigmoid(w)
        if fused:
            out = lif_multistep(x, k, 0.5, surrogate, decay_input=decay_input, reset=reset)
        else:
            out = reference(x, k, 0.5, surrogate, decay_input=decay_input, reset=reset)[0]
        out.backward(current(5).double())
        results.append((out.detach(), x.grad, w.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_integrate_equals_the_recurrence() -> None:
    """h and its gradients, through an analog output f(h), as LIAF has it."""
    results = []
    for fused in (True, False):
        x = current(6).double().requires_grad_()
        w = torch.tensor(-0.3, dtype=torch.float64, requires_grad=True)
        k = torch.sigmoid(w)
        h = integrate_multistep(x, k, 0.5) if fused else reference(x, k, 0.5, rect())[2]
        torch.nn.functional.leaky_relu(h, 0.2).backward(current(7).double())
        results.append((h.detach(), x.grad, w.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_values_by_hand() -> None:
    """docs/papers.md, LIF and LIAF: d = 0.25, V_th = 0.5."""
    x = torch.tensor([0.3, 0.45, 0.45, 0.6, 0.2, 0.2])
    h = integrate_multistep(x, 0.25, 0.5)
    torch.testing.assert_close(h, torch.tensor([0.3, 0.525, 0.45, 0.7125, 0.2, 0.25]))
    spikes = lif_multistep(x, 0.25, 0.5, rect())
    assert spikes.tolist() == [0, 1, 0, 1, 0, 0]


def test_delays_constant_is_not_an_exponential() -> None:
    """docs/papers.md, LIF of the delay networks: tau 1.005 steps leaves .004975 of the potential, not .37."""
    h = integrate_multistep(torch.tensor([0.8, 0.0]), tau=1.005)
    assert h[1].item() == pytest.approx(0.8 * 0.004975, rel=1e-3)


def test_surrogate_values() -> None:
    """docs/papers.md, LIF and LIAF: the Gaussian centred at 0.7 with V_th = 0.5; rect on (0, 1)."""
    gaussian = named("gaussian")
    u = torch.tensor([0.7, 0.5, 1.0, 1.7]) - 0.5
    expected = torch.tensor([0.398942, 0.391043, 0.381388, 0.241971])
    torch.testing.assert_close(gaussian.derivative(u), expected, atol=1e-6, rtol=0)
    ones = torch.ones(4)
    window = rect().backward(ones, torch.tensor([0.0, 0.01, 0.99, 1.0]), 0.5)
    assert window.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("name", ["atan", "sigmoid", "rect", "gaussian"])
def test_surrogates_have_unit_area(name: str) -> None:
    u = torch.linspace(-400, 400, 800_001, dtype=torch.float64)
    area = torch.trapezoid(named(name, 0.3).derivative(u), u).item()
    assert area == pytest.approx(1.0, abs=2e-3)


def test_nothing_of_the_input_is_overwritten() -> None:
    x, grad = current(8).requires_grad_(), current(9)
    before, grad_before = x.detach().clone(), grad.clone()
    lif_multistep(x, 0.5, 1.0, rect()).backward(grad)
    integrate_multistep(x, 0.5, 1.0).backward(grad)
    assert torch.equal(x.detach(), before)
    assert torch.equal(grad, grad_before)


@pytest.mark.parametrize("surrogate", [atan(2.0), atan(5.0), named("sigmoid")], ids=repr)
@pytest.mark.parametrize("k", [0.25, 0.9, 1.0])
@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_kernels_for_cuda_agree(surrogate: Surrogate, k: float, reset: Any) -> None:
    """SpikingJelly's functional forms (here on the CPU; on CUDA they choose their kernels)."""
    assert kernels.covers(surrogate, k)
    results = []
    for run in (lif_multistep, kernels.multistep):
        x = current(12).requires_grad_()
        out = run(x, k, 1.0, surrogate, reset=reset)
        out.backward(current(13))
        results.append((out.detach(), x.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_kernels_do_not_cover_the_rest() -> None:
    assert not kernels.covers(rect(), 0.25)
    assert not kernels.covers(atan(), 0.0)
    assert not kernels.covers(atan(), torch.tensor(0.5))


def test_expanded_and_channels_last_inputs() -> None:
    image = current(10, (3, 4, 5, 5)).contiguous(memory_format=torch.channels_last)
    repeated = image.unsqueeze(0).expand(6, -1, -1, -1, -1)
    dense = image.contiguous().repeat(6, 1, 1, 1, 1)
    assert torch.equal(lif_multistep(repeated, 0.5), lif_multistep(dense, 0.5))


def test_half_precision_integrates_in_single() -> None:
    x = current(11).to(torch.bfloat16).requires_grad_()
    out = lif_multistep(x, 0.9)
    assert out.dtype == torch.bfloat16
    assert torch.equal(out.float(), lif_multistep(x.detach().float(), 0.9))
    out.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_a_nan_stays_one() -> None:
    """A broken current must reach the loss, where the trial stops; not vanish in a comparison."""
    h = integrate_multistep(torch.tensor([0.1, math.nan, 0.1]), 0.5)
    assert h.isnan().tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"tau": 0.5}, "tau 0.5"),
        ({"decay": 1.5}, "decay 1.5"),
        ({"tau": 2.0, "v_threshold": 0.0}, "v_threshold 0.0"),
        ({}, "exactly one"),
    ],
)
def test_constants_out_of_range(arguments: dict[str, float], said: str) -> None:
    with pytest.raises(HarnessError, match=said):
        lif_multistep(current(1), **arguments)  # type: ignore[arg-type]


def test_no_timesteps() -> None:
    with pytest.raises(HarnessError, match="at least 1 timestep"):
        lif_multistep(torch.zeros(0, 2, 3), 0.5)


def test_bad_surrogates() -> None:
    with pytest.raises(HarnessError, match="Did you mean 'atan'"):
        named("attan")
    with pytest.raises(HarnessError, match="not a positive number"):
        Surrogate("rect", 0.0)
