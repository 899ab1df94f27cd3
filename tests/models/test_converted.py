"""Conversion: the plain form is the network; enough timesteps approach it."""

from __future__ import annotations

import os
import subprocess
import sys

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
    once = ours(x)
    assert torch.equal(once, theirs(x))
    ours.carried = None
    assert torch.equal(torch.cat([ours(x[:4]), ours(x[4:])]), once)
    state = ours.initial_state(x[0])
    for t, x_b in enumerate(x):
        out, state = ours.step(x_b, state)
        assert torch.equal(out, once[t])


def test_networks_without_a_plain_form() -> None:
    network, _ = trained("resnet", norm="thbn")
    with pytest.raises(IncompatibleError, match="thbn"):
        as_plain(network)
    generator = torch.Generator()
    crnn = build(NetworkParams(name="crnn", scale=16), (1, 12, 12), 5, ReLU, generator=generator)
    with pytest.raises(IncompatibleError, match="CRNN"):
        as_plain(crnn)


@pytest.mark.parametrize("name", ["resnet", "vgg", "mlp"])
@pytest.mark.parametrize("recipe", ["max", "balanced"])
def test_chunks_of_time_are_exactly_one_pass(name: str, recipe: str) -> None:
    network, x = trained(name)
    converted = convert(as_plain(network, (12, 12)).eval(), [x] * 20, recipe)  # type: ignore[arg-type]
    sequence = torch.rand(21, *x.shape, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        converted.chunk = 21
        whole = converted.outputs(sequence)
        for chunk in (1, 4, 16):
            converted.chunk = chunk
            assert torch.equal(converted.outputs(sequence), whole), chunk
            assert torch.equal(converted.outputs(sequence), whole), "a second pass starts from rest"


FRESH = {"MALLOC_MMAP_THRESHOLD_": "1000000"}
"""Large blocks go back when they are freed: what is measured is what is held."""
_PEAK = """
import sys, torch
from harness.models.converted import convert
from harness.train.peak import high_water_mib, reset_high_water, resident_mib
torch.manual_seed(0)
plain = torch.nn.Sequential(torch.nn.Conv2d(1, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(),
                            torch.nn.Linear(32 * 32 * 32, 5)).eval()
x = torch.rand(8, 1, 32, 32)
converted = convert(plain, [x], "max")
with torch.no_grad():
    converted(x.expand(16, *x.shape))
    assert reset_high_water()
    before = resident_mib()
    converted(x.expand(int(sys.argv[1]), *x.shape))
print(high_water_mib() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux resets a high-water mark")
def test_peak_memory_does_not_grow_with_timesteps() -> None:
    """All 512 steps at once would hold 512 MiB a layer."""
    found = []
    for steps in (16, 512):
        command = [sys.executable, "-c", _PEAK, str(steps)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=120, env={**os.environ, **FRESH}
        )
        found.append(float(done.stdout))
    assert found[1] < found[0] + 32
