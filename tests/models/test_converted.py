"""Conversion: the plain form is the network; enough timesteps approach it."""

from __future__ import annotations

import pytest
import torch
from spikingjelly.activation_based import neuron as sj_neuron

from harness.errors import IncompatibleError
from harness.models.build import NetworkParams, build
from harness.models.converted import HalfIF, as_plain, convert
from harness.models.network import Network, neurons_of
from harness.neurons.analog import ReLU
from harness.neurons.constants import SpikeParams


def trained(name: str, **params: object) -> tuple[Network, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    settings = NetworkParams(name=name, **{"width": 4, "hidden": 16} | params)
    network = build(settings, (1, 12, 12), 5, ReLU, generator=generator)
    x = torch.rand(24, 1, 12, 12, generator=generator)
    for _ in range(10):
        network(x.unsqueeze(0))
    return network.eval(), x


@pytest.mark.parametrize("name", ["resnet", "vgg", "mlp"])
@pytest.mark.parametrize("norm", ["tdbn", "none"])
def test_plain_form_equals_the_network(name: str, norm: str) -> None:
    network, x = trained(name, norm=norm)
    plain = as_plain(network, (12, 12)).eval()
    torch.testing.assert_close(plain(x), network(x.unsqueeze(0)), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["resnet", "vgg", "mlp"])
@pytest.mark.parametrize("recipe", ["max", "99.9%", "balanced"])
def test_more_timesteps_approach_the_network(name: str, recipe: str) -> None:
    network, x = trained(name)
    plain = as_plain(network, (12, 12)).eval()
    converted = convert(plain, [x] * 200 if recipe == "balanced" else [x], recipe)  # type: ignore[arg-type]
    assert neurons_of(converted)
    with torch.no_grad():
        by_step = converted.forward_by_step(x.expand(256, *x.shape))
        error = (by_step - plain(x)).abs().mean((1, 2))
    assert error[255] < 0.25 * error[3]
    assert torch.equal(by_step[-1], converted.forward_by_step(x.expand(256, *x.shape))[-1])


def test_half_threshold_start_equals_spikingjelly() -> None:
    x = torch.rand(9, 4, 5, generator=torch.Generator().manual_seed(1))
    theirs = sj_neuron.HalfThresholdIFNode(step_mode="m")
    ours = HalfIF(SpikeParams(reset="soft"))
    assert torch.equal(ours(x), theirs(x))
    state = ours.initial_state(x[0])
    for t, x_b in enumerate(x):
        out, state = ours.step(x_b, state)
        assert torch.equal(out, ours(x)[t])


def test_networks_without_a_plain_form() -> None:
    network, _ = trained("resnet", norm="thbn")
    with pytest.raises(IncompatibleError, match="thbn"):
        as_plain(network)
    generator = torch.Generator()
    crnn = build(NetworkParams(name="crnn", scale=16), (1, 12, 12), 5, ReLU, generator=generator)
    with pytest.raises(IncompatibleError, match="CRNN"):
        as_plain(crnn)
