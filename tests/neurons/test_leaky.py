"""if, lif, plif and liaf: the papers' equations by hand, constants that reach the dynamics."""

from __future__ import annotations

import pytest
import torch
from spikingjelly.activation_based import neuron as sj_neuron
from spikingjelly.activation_based import surrogate as sj_surrogate

from harness.contracts import Neuron, neurons
from harness.neurons.constants import LeakParams, SpikeParams, SurrogateParams
from harness.neurons.if_ import IF
from harness.neurons.kernels.functional import lif_multistep
from harness.neurons.liaf import LIAF, LIAFParams
from harness.neurons.lif import LIF
from harness.neurons.plif import PLIF

RECT = SurrogateParams(name="rect")
PAPER = LeakParams(tau=4.0 / 3.0, v_threshold=0.5, surrogate=RECT)
BY_HAND = torch.tensor([0.3, 0.45, 0.45, 0.6, 0.2, 0.2]).reshape(6, 1)


def test_lif_by_hand() -> None:
    assert LIF(PAPER)(BY_HAND).flatten().tolist() == [0, 1, 0, 1, 0, 0]


def test_if_by_hand() -> None:
    neuron = IF(SpikeParams(v_threshold=1.0))
    assert neuron(torch.tensor([[0.5], [0.25], [0.25], [0.9]])).flatten().tolist() == [0, 0, 1, 0]
    soft = IF(SpikeParams(v_threshold=1.0, reset="soft"))
    assert soft(torch.tensor([[1.5], [0.5], [0.9]])).flatten().tolist() == [1, 1, 0]


def test_liaf_by_hand() -> None:
    """docs/papers.md, LIF and LIAF: the output is f(u) and the spike only resets."""
    liaf = LIAF(LIAFParams(tau=4.0 / 3.0, v_threshold=0.5, surrogate=RECT, activation="leaky_relu"))
    expected = torch.tensor([0.3, 0.525, 0.45, 0.7125, 0.2, 0.25])
    torch.testing.assert_close(liaf(BY_HAND).flatten(), expected)
    assert liaf(torch.tensor([[-0.5]])).item() == pytest.approx(-0.1)
    clamped = LIAF(LIAFParams(activation="leaky_relu", clamp=True))
    assert clamped(torch.tensor([[-0.5, 3.0]])).flatten().tolist() == [0.0, 1.0]


def test_liaf_at_one_timestep_is_its_activation() -> None:
    """The bridge of the paper."""
    x = torch.randn(1, 5, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(LIAF(LIAFParams(activation="relu"))(x), x.relu())


def test_liaf_equals_spikingjelly_step_by_step() -> None:
    """Its step_mode 's' is right; its 'm' returns spikes, which is why ours exists."""
    x = torch.randn(9, 4, generator=torch.Generator().manual_seed(1)) + 0.2
    theirs = sj_neuron.LIAFNode(
        torch.relu,
        threshold_related=False,
        tau=2.0,
        decay_input=False,
        v_threshold=0.5,
        v_reset=0.0,
        detach_reset=True,
        surrogate_function=sj_surrogate.Rect(alpha=1.0),
        step_mode="s",
    )
    expected = torch.stack([theirs(x_b) for x_b in x])
    ours = LIAF(LIAFParams(tau=2.0, v_threshold=0.5, surrogate=RECT))(x)
    torch.testing.assert_close(ours, expected, atol=1e-6, rtol=0)


def test_plif_equals_spikingjelly_and_learns() -> None:
    """docs/papers.md, LIF and LIAF: w = 0.5 is tau 2.648721, decay 0.622459."""
    plif = PLIF(LeakParams(tau=2.648721, v_threshold=0.5, surrogate=RECT))
    assert plif.w.item() == pytest.approx(0.5, abs=1e-6)
    assert plif.decay().item() == pytest.approx(0.622459, abs=1e-6)
    theirs = sj_neuron.ParametricLIFNode(
        init_tau=2.648721,
        decay_input=False,
        v_threshold=0.5,
        v_reset=0.0,
        detach_reset=True,
        surrogate_function=sj_surrogate.Rect(alpha=1.0),
        step_mode="m",
    )
    x = torch.randn(9, 4, 5, generator=torch.Generator().manual_seed(2)) * 0.5 + 0.2
    out, expected = plif(x), theirs(x)
    assert torch.equal(out, expected)
    weight = torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    (out * weight).sum().backward()
    (expected * weight).sum().backward()
    assert plif.w.grad is not None
    torch.testing.assert_close(plif.w.grad, -theirs.w.grad, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("lif", {"tau": 4.0}),
        ("plif", {"tau": 4.0}),
        ("liaf", {"tau": 4.0}),
        ("if", {"v_threshold": 2.0}),
        ("lif", {"v_threshold": 2.0}),
        ("lif", {"reset": "soft"}),
        ("lif", {"decay_input": True}),
        ("plif", {"decay_input": True}),
    ],
)
def test_a_constant_changes_the_output(name: str, change: dict[str, object]) -> None:
    kind: type[Neuron] = neurons()[name]
    x = torch.rand(8, 3, 16, generator=torch.Generator().manual_seed(4)) * 2
    assert not torch.equal(kind()(x), kind(kind.Params(**change))(x))


@pytest.mark.parametrize("change", [{"name": "rect"}, {"width": 0.1}, {"name": "gaussian"}])
def test_the_surrogate_changes_the_gradient_alone(change: dict[str, object]) -> None:
    x = torch.rand(8, 3, 16, generator=torch.Generator().manual_seed(5)) * 2
    gradients, outputs = [], []
    for surrogate in (SurrogateParams(), SurrogateParams(**change)):
        current = x.clone().requires_grad_()
        out = LIF(LeakParams(surrogate=surrogate))(current)
        out.sum().backward()
        outputs.append(out)
        gradients.append(current.grad)
    assert torch.equal(*outputs)
    assert not torch.equal(*gradients)


def test_learned_decays_are_not_shared() -> None:
    first, second = PLIF(), PLIF()
    assert first.w.data_ptr() != second.w.data_ptr()


def test_lif_runs_the_fused_sequence() -> None:
    x = torch.rand(8, 3, 16, generator=torch.Generator().manual_seed(6)) * 2
    fused = lif_multistep(x, tau=4.0 / 3.0, v_threshold=0.5)
    assert torch.equal(LIF(PAPER)(x), fused)
