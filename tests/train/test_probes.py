"""What is counted, against formulas written here: every network that ships, every operator with a rule."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.layers.delay import DelayLayer, DelaySpec
from harness.models.converted import convert
from harness.models.delays import DelayNet, DelayNetSpec, LinearSynapses
from harness.models.forecast.itransformer import SpikingAttention
from harness.models.forecast.units import InstanceNorm
from harness.neurons.analog import ReLU
from harness.neurons.lif import LIF
from harness.train.operations import binary
from harness.train.probes import Probe
from tests.models.test_forecast import C, L, make, windows
from tests.models.test_network import SMALL, frames, small


def counted(model: nn.Module, *x: Any) -> Probe:
    """A probe that watched one forward pass."""
    probe = Probe()
    model.eval()
    with torch.no_grad(), probe.watching(model):
        model(*x)
    probe.samples = 1
    return probe


def totals(probe: Probe) -> tuple[float, float]:
    """Spike-driven and analog operations."""
    return probe.operations.accumulates, probe.operations.multiplies


def excited(model: Any) -> Any:
    """The same network, every current shifted up so that its neurons fire."""
    for module in model.modules():
        if "BatchNorm" in type(module).__name__:
            module.bias.data.fill_(4.0)
    return model.eval()


@contextmanager
def by_hand(model: nn.Module) -> Iterator[list[float]]:
    """[spike-driven, analog] of all linear layers and convolutions: inputs unequal to zero times synapses."""
    found = [0.0, 0.0]

    def hook(module: Any, inputs: Any, out: Tensor) -> None:
        x = inputs[0]
        active = (x != 0).float()
        if isinstance(module, nn.Linear):
            operations = active.sum(dtype=torch.float64) * module.out_features
        elif isinstance(module, nn.LSTM):  # at the first step its state is zero
            steps, batch, _ = x.shape
            states = (steps - 1) * batch * module.hidden_size
            operations = (active.sum(dtype=torch.float64) + states) * 4 * module.hidden_size
        else:
            ones = torch.ones_like(module.weight)
            operations = functional.conv2d(
                active, ones, None, module.stride, module.padding, module.dilation, module.groups
            ).sum(dtype=torch.float64)
        found[0 if bool(((x == 0) | (x == 1)).all()) else 1] += float(operations)

    kinds = (nn.Linear, nn.Conv2d, nn.LSTM)
    handles = [m.register_forward_hook(hook) for m in model.modules() if isinstance(m, kinds)]
    yield found
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize("neuron", [LIF, ReLU])
@pytest.mark.parametrize("name", SMALL)
def test_vision_networks(name: str, neuron: Any) -> None:
    model = excited(small(name, neuron))
    with by_hand(model) as wanted, torch.no_grad():
        model(frames())
    assert totals(counted(model, frames())) == pytest.approx(tuple(wanted), rel=1e-6)
    assert wanted[1] > 0
    assert (wanted[0] > 0) == (neuron is LIF)


@pytest.mark.parametrize("neuron", ["lif", "plif", "ts-lif"])
@pytest.mark.parametrize("backbone", ["tcn", "gru", "itransformer"])
def test_spiking_forecasters(backbone: str, neuron: str) -> None:
    model = excited(make(backbone, neuron))
    attention = [0.0, 0.0]

    def products(module: SpikingAttention, inputs: Any, _out: Any) -> None:
        q, k, v = (module._split(layer(inputs[0])) for layer in (module.q, module.k, module.v))
        scores = q @ k.transpose(-2, -1)
        for a, b in ((q, k.transpose(-2, -1)), (scores, v)):
            attention[0 if binary(a) or binary(b) else 1] += float(
                ((a != 0).double() @ (b != 0).double()).sum()
            )

    with by_hand(model) as wanted, torch.no_grad():
        model(windows(), C)
    layers = [m for m in model.modules() if isinstance(m, SpikingAttention)]
    handles = [layer.register_forward_hook(products) for layer in layers]
    with torch.no_grad():
        model(windows(), C)
    for handle in handles:
        handle.remove()
    assert (sum(attention) > 0) == (backbone == "itransformer")
    found = totals(counted(model, windows(), C))
    assert found == pytest.approx((wanted[0] + attention[0], wanted[1] + attention[1]), rel=1e-6)


def test_the_gru_that_is_no_snn() -> None:
    """Of L steps the first has no state yet: its hidden product multiplies zeros."""
    model = make("gru", None)
    batch, width, hidden = 6, model.backbone.gru.input_size, model.backbone.gru.hidden_size
    with by_hand(model) as wanted, torch.no_grad():
        model.eval()(windows(), C)
    with torch.no_grad():
        inputs = model.encoder(InstanceNorm(windows()).apply(windows()))
    rows = batch * C
    assert inputs.shape == (batch, width, C, L)
    active = float(torch.count_nonzero(inputs))
    recurrent = 3 * hidden * (active + rows * (L - 1) * hidden)
    assert totals(counted(model, windows(), C)) == pytest.approx((0, wanted[1] + recurrent), rel=1e-6)


def test_the_transformer_that_is_no_snn() -> None:
    model = make("itransformer", None, depth=2)
    batch, dim, wide = 6, 8, 8
    block = batch * C * (3 * dim * dim + dim * dim + 2 * dim * wide) + batch * 2 * C * C * dim
    ends = batch * C * (L * dim + dim * 5)
    with torch.no_grad():
        values = model.eval().encoder(InstanceNorm(windows()).apply(windows()))
    zeros = float(torch.count_nonzero(values == 0)) * dim
    assert totals(counted(model, windows(), C)) == pytest.approx((0, 2 * block + ends - zeros), rel=1e-6)


@pytest.mark.parametrize("kind", ["learned", "fixed", "dense", None])
def test_delay_networks(kind: Any) -> None:
    """A spike drives its weights, whatever delays they have; masked synapses drive nothing."""
    delay = None if kind is None else DelaySpec(1, 1, taps=7, elements=2, kind=kind, sparsity=0.5)
    spec = DelayNetSpec(6, 3, 10, 2, 0.9, delay=delay, sparsity=0.5 if kind is None else 0.0)
    model = DelayNet(spec, LIF, torch.Generator().manual_seed(0)).eval()
    x = (torch.rand(12, 4, 6, generator=torch.Generator().manual_seed(1)) < 0.4).float()
    wanted = 0.0

    def hook(module: Any, inputs: Any, _out: Any) -> None:
        nonlocal wanted
        weight = module.weight.detach().reshape(-1, module.weight.shape[-1])
        wanted += float((inputs[0] != 0).double().sum((0, 1)) @ (weight != 0).double().sum(0))

    layers = [m for m in model.modules() if isinstance(m, DelayLayer | LinearSynapses)]
    handles = [layer.register_forward_hook(hook) for layer in layers]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    probe = counted(model, x)
    assert totals(probe) == (pytest.approx(wanted), 0)
    assert probe.timesteps == 12 + (0 if kind is None else 2 * 3)


@pytest.mark.parametrize("whole", [False, True])
def test_every_backend_of_a_delay_layer_says_the_same(whole: bool) -> None:
    x = (torch.rand(30, 4, 8) < 0.3).float()
    found = set()
    for backend in ("conv1d", "fft", "dft", "auto"):
        generator = torch.Generator().manual_seed(0)
        layer = DelayLayer(DelaySpec(8, 5, taps=9, elements=2, backend=backend), generator)  # type: ignore[arg-type]
        layer._whole = whole
        found.add(totals(counted(layer, x)))
    assert found == {(float(x.sum()) * 5 * 2, 0.0)}


class Function(nn.Module):
    """Any function as a module."""

    def __init__(self, of: Any) -> None:
        super().__init__()
        self.of = of

    def forward(self, *x: Tensor) -> Any:
        return self.of(*x)


A, B, SPIKES = torch.full((3, 4), 0.5), torch.full((4, 5), 0.5), torch.eye(3, 4)


@pytest.mark.parametrize(
    ("of", "x", "wanted"),
    [
        (torch.matmul, (A, B), (0, 60)),
        (torch.matmul, (SPIKES, B), (15, 0)),
        (torch.matmul, (B.t(), SPIKES.t()), (15, 0)),
        (torch.matmul, (A, B[:, 0]), (0, 12)),
        (torch.matmul, (A[0], B[:, 0]), (0, 4)),
        (torch.bmm, (A.expand(2, 3, 4), B.expand(2, 4, 5)), (0, 120)),
        (lambda a, b: torch.einsum("nk,km->nm", a, b), (SPIKES, B), (15, 0)),
        (lambda a, b: torch.einsum("nk,hkm->hnm", a, b), (SPIKES, B.expand(2, 4, 5)), (30, 0)),
        (lambda a, b: torch.addmm(torch.ones(3, 5), a, b), (A, B), (0, 60)),
        (lambda a, b: torch.addmv(torch.ones(3), a, b), (A, B[:, 0]), (0, 12)),
        (lambda a, b: torch.baddbmm(torch.ones(1, 3, 5), a[None], b[None]), (SPIKES, B), (15, 0)),
        (torch.add, (A, A), (0, 0)),
    ],
)
def test_products_of_every_kind(of: Any, x: tuple[Tensor, ...], wanted: tuple[float, float]) -> None:
    assert totals(counted(Function(of), *x)) == wanted


@pytest.mark.parametrize("fused", [True, False])
def test_attention_in_one_call(fused: bool) -> None:
    q = torch.full((2, 4, 3, 8), 0.5)
    k = v = torch.full((2, 4, 5, 8), 0.5)

    def plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.softmax(q @ k.transpose(-2, -1), -1) @ v

    of = functional.scaled_dot_product_attention if fused else plain
    assert totals(counted(Function(of), q, k, v)) == (0, 2 * 2 * 4 * 3 * 5 * 8)


def test_encoder_layers_say_the_same_on_both_paths() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu").eval()
    x, found = torch.rand(2, 3, 8) + 0.1, []
    for fast in (True, False):
        torch.backends.mha.set_fastpath_enabled(fast)
        found.append(totals(counted(layer, x)))
    torch.backends.mha.set_fastpath_enabled(True)
    rows = 2 * 3
    assert found == [(0, rows * (4 * 64 + 2 * 128) + 2 * 2 * 3 * 3 * 8)] * 2


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_networks(kind: Any) -> None:
    gates = {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}[kind]
    probe = counted(kind(6, 5), torch.rand(7, 2, 6) + 0.1)
    assert totals(probe) == (0, gates * 5 * (7 * 2 * 6 + 6 * 2 * 5))


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions_count_what_borders_leave(stride: int, padding: int, dilation: int, groups: int) -> None:
    shared = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    x = (torch.rand(3, 4, 9, 8) < 0.5).float()
    for plain, of in ((nn.Conv2d, functional.conv2d), (nn.ConvTranspose2d, functional.conv_transpose2d)):
        layer = plain(4, 6, 3, **shared)
        wanted = of(x, torch.ones_like(layer.weight), **shared).sum()
        assert totals(counted(layer, x)) == (float(wanted), 0)
    one = nn.Conv1d(4, 6, 3, **shared)
    wanted = functional.conv1d(x[:, :, 0], torch.ones_like(one.weight), **shared).sum()
    assert totals(counted(one, x[:, :, 0])) == (float(wanted), 0)


def test_metrics_are_a_sample() -> None:
    model = nn.Sequential(LIF(), nn.Linear(4, 5))
    probe = counted(model, torch.full((6, 2, 4), 3.0))
    probe.samples = 2
    found = probe.metrics()
    assert found["spikes"] == 6 * 4
    assert found["firing_rate"] == found["firing_rate/0"] == 1.0
    assert found["synops"] == 6 * 4 * 5
    assert found["energy_nj"] == pytest.approx(6 * 4 * 5 * 0.9e-3)
    analog = counted(nn.Linear(4, 5), torch.full((2, 4), 3.0)).metrics()
    assert analog == {"synops": 40, "energy_nj": pytest.approx(40 * 4.6e-3)}
    assert Probe().metrics() == {}


def test_timesteps_are_those_simulated() -> None:
    assert counted(nn.Sequential(LIF()), torch.rand(6, 2, 4)).timesteps == 6
    assert counted(nn.Sequential(ReLU()), torch.rand(6, 2, 4)).timesteps == 0


def test_timesteps_of_a_network_that_walks_in_chunks() -> None:
    plain = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)).eval()
    converted = convert(plain, [torch.rand(8, 4)], "max")
    assert counted(converted, torch.rand(37, 2, 4)).timesteps == 37


def test_binary() -> None:
    assert binary(torch.tensor([0.0, 1.0]))
    assert binary(torch.tensor([True, False]))
    assert not binary(torch.tensor([0.0, 2.0]))
    assert not binary(torch.tensor([-1.0, 1.0]))
    assert not binary(torch.tensor([float("nan")]))
