"""Forecasting networks: equal sizes across neurons, gradients everywhere, causality, exact shortcuts."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import nn

from harness.contracts import NeuronSpec
from harness.contracts.pipeline import neuron_spec
from harness.errors import IncompatibleError
from harness.models.forecast import BACKBONES, ForecastNet, NetParams, build_forecaster
from harness.models.forecast.gru import SpikeGRU
from harness.models.forecast.itransformer import ISpikformer
from harness.models.forecast.tcn import TCN, position_rows
from harness.models.forecast.units import Held, InstanceNorm, hide
from harness.neurons.lif import LIF
from harness.neurons.ts_lif import TSLIF
from harness.pipelines.forecasting.forecast_snn import ForecastSNN

NEURONS = ("lif", "plif", "ts-lif")
L, H, C = 20, 5, 3


def spec(name: str, **constants: Any) -> NeuronSpec:
    own = {f"neuron.{key}": value for key, value in {"name": name, **constants}.items()}
    whole = ForecastSNN.schema().resolve(own)
    inner = {k.removeprefix("neuron."): v for k, v in whole.items() if k.startswith("neuron.")}
    return neuron_spec(inner)


def small(backbone: str, **others: Any) -> NetParams:
    sizes = {"hidden": 8, "channels": 4, "levels": 2, "kernel": 2, "depth": 1, "heads": 2, "wide": 8}
    return NetParams(**{"backbone": backbone, **sizes, **others})


def make(backbone: str, neuron: str | None = "lif", seed: int = 0, **others: Any) -> ForecastNet:
    torch.manual_seed(seed)
    constants = others.pop("constants", {})
    chosen = None if neuron is None else spec(neuron, **constants)
    return build_forecaster(small(backbone, **others), L, H, neuron=chosen, steps=3)


def windows(batch: int = 6, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, L, C, generator=generator).cumsum(1)


def own_constants(model: nn.Module) -> int:
    """Learned constants of the neurons themselves."""
    kinds = (TSLIF, LIF)
    inside = [m for m in model.modules() if isinstance(m, kinds) or hasattr(m, "v_threshold")]
    return sum(p.numel() for m in inside for p in m.parameters(recurse=False))


EVERY = list(itertools.product(BACKBONES, [*NEURONS, None]))


@pytest.mark.parametrize(("backbone", "neuron"), EVERY)
@pytest.mark.parametrize("encoder", ["conv", "delta", "repeat"])
def test_forecasts_have_their_shape_and_every_weight_a_gradient(backbone, neuron, encoder):
    model = make(backbone, neuron, encoder=encoder)
    y = model(windows(), C)
    assert y.shape == (6, H, C)
    y.square().sum().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert torch.isfinite(p.grad).all(), name


@pytest.mark.parametrize("backbone", BACKBONES)
def test_neurons_share_readout_and_parameter_count(backbone):
    models = {name: make(backbone, name) for name in NEURONS}
    sizes = {name: sum(p.numel() for p in m.parameters()) for name, m in models.items()}
    plain = {name: sizes[name] - own_constants(models[name]) for name in NEURONS}
    assert len(set(plain.values())) == 1
    assert len({m.readout.weight.shape for m in models.values()}) == 1


def test_the_hidden_to_hidden_weight_gets_a_gradient():
    """In the released GRU it is exactly zero: the hidden state is a fresh tensor at every step."""
    for neuron in NEURONS:
        model = make("gru", neuron, constants={"v_threshold": 0.5})
        model(windows(), C).square().sum().backward()
        assert isinstance(model.backbone, SpikeGRU)
        assert model.backbone.of_hidden.weight.grad.abs().sum() > 0


def test_mixing_weights_sit_on_features_never_on_positions():
    for backbone in BACKBONES:
        nodes = [m for m in make(backbone, "ts-lif").modules() if isinstance(m, TSLIF)]
        assert nodes
        assert all(node.weights().shape[1] in (1, 4, 8) for node in nodes)
        # any window length goes through, so no weight knows a position
    model = make("tcn", "ts-lif")
    assert model(torch.randn(2, L + 13, C), C).shape == (2, H, C)


@pytest.mark.parametrize(("backbone", "neuron"), EVERY)
def test_nothing_is_carried_from_batch_to_batch(backbone, neuron):
    model = make(backbone, neuron).eval()
    with torch.no_grad():
        first = model(windows(), C)
        model(windows(3, seed=9), C)
        assert torch.equal(model(windows(), C), first)


def test_a_second_model_starts_from_the_same_constants():
    first = make("tcn", "ts-lif")
    for p in first.parameters():
        p.data.add_(1.0)
    node = next(m for m in make("tcn", "ts-lif").modules() if isinstance(m, TSLIF))
    assert node.decay.tolist() == pytest.approx([0.8, 0.3, 0.2, 0.7])


def test_the_tcn_sees_its_reach_and_no_more():
    tcn = TCN(2, 4, 2, 3, lambda features, axis: nn.ReLU(), scalar=False).eval()
    x = torch.randn(1, 2, C, 40, requires_grad=True)
    tcn(x).sum().backward()
    seen = x.grad.abs().sum((0, 1, 2)) > 0
    assert tcn.reach == 13
    assert not seen[: 40 - tcn.reach].any()
    assert tcn(torch.randn(1, 2, C, 5)).shape == (1, C, 4)  # shorter windows are padded


def test_the_scalar_readout_is_the_released_one():
    model = make("tcn", readout="scalar")
    assert model.readout.in_features == 1
    assert len(model.backbone.blocks) == 3


@pytest.mark.parametrize("neuron", NEURONS)
def test_watching_a_held_neuron_changes_nothing(neuron):
    held = Held(spec(neuron).build(), 4)
    x = 2.0 * torch.randn(5, 7)
    rate = held(x)
    seen = []
    handle = held.neuron.register_forward_hook(lambda m, i, out: seen.append(out.shape))
    torch.testing.assert_close(held(x), rate)
    handle.remove()
    assert seen == [(4, 5, 7)]


def test_the_spikes_of_the_gru_are_shown_to_who_watches():
    model = make("gru", "ts-lif")
    seen = []
    model.backbone.neuron.register_forward_hook(lambda m, i, out: seen.append(out.shape))
    model(windows(), C)
    assert seen == [(L, 6 * C, 8)]


def test_ispikformers_timesteps_are_time_for_ts_lif():
    """In the released code T is a batch axis: then steps could be exchanged."""
    torch.manual_seed(0)
    former = ISpikformer(L, 8, 1, 2, 8, lambda f, a: TSLIF().widen(f, a)).eval()
    x = 3.0 * torch.rand(4, 2, C, L)
    assert not torch.allclose(former(x), former(x.flip(0)))


def test_instance_norm_is_undone():
    x = windows()
    norm = InstanceNorm(x)
    torch.testing.assert_close(norm.undo(norm.apply(x)), x)
    standard = norm.apply(x)
    torch.testing.assert_close(standard.mean(1), torch.zeros(6, C), atol=1e-5, rtol=0)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_with_revin_a_shifted_window_shifts_the_forecast(backbone):
    model = make(backbone).eval()
    with torch.no_grad():
        shifted = model(windows() + 10.0, C) - 10.0
        torch.testing.assert_close(shifted, model(windows(), C), atol=2e-3, rtol=1e-3)


def test_hidden_values_are_counted_seeded_and_zero():
    x = torch.ones(4, 10, 3)
    draw = [hide(x, 0.3, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert (draw[0] == 0).sum() == int(0.3 * 120)
    assert torch.equal(draw[0], draw[1])
    assert not torch.equal(draw[0], draw[2])
    assert hide(x, 0.0, torch.Generator()) is x


def test_time_features_are_inputs_alone():
    model = make("itransformer").eval()
    x = torch.cat([windows(), torch.rand(6, L, 5)], dim=2)
    assert model(x, C).shape == (6, H, C)


@pytest.mark.parametrize(("backbone", "neuron"), EVERY)
def test_half_precision_gives_finite_gradients(backbone, neuron):
    model = make(backbone, neuron)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = model(windows(), C)
        loss = y.float().square().mean()
    loss.backward()
    assert y.shape == (6, H, C)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_autocast_does_not_round_constants():
    node = TSLIF()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert node.gains().tolist() == TSLIF().gains().tolist()
        assert node.gains().dtype is torch.float32


def test_heads_that_do_not_divide_the_token():
    with pytest.raises(IncompatibleError, match=r"3 heads do not divide net\.hidden 8"):
        make("itransformer", heads=3)


def test_seqsnn_s_dense_head_of_metr_la_has_its_1_256_904_parameters():
    """Horizon 24: 207 variates, 5 time features and 40 rows of positions to 24 x 207."""
    net = NetParams(
        backbone="tcn", hidden=8, readout="scalar", padding="layers", positions=40, head="dense", revin=False
    )
    model = build_forecaster(net, 12, 24, neuron=spec("lif"), steps=4, columns=212, variates=207)
    assert sum(p.numel() for p in model.readout.parameters()) == 1_256_904
    assert model(torch.randn(2, 12, 212), 207).shape == (2, 24, 207)


def test_padding_in_layers_equals_the_reference_written_out():
    """Every convolution of a zero-padded past; what stands at the last position."""
    torch.manual_seed(0)
    tcn = TCN(2, 3, 2, 4, lambda features, axis: nn.ReLU(), scalar=False, padded=True).eval()
    x = torch.randn(2, 2, C, 7)
    y = x
    for block in tcn.blocks:
        inner = y
        for conv in (block.first, block.second):
            d = conv.conv.dilation[1]
            padded = nn.functional.pad(inner, (3 * d, 0))
            inner = conv.norm(nn.functional.conv2d(padded, conv.conv.weight, dilation=(1, d))).relu()
        y = (inner + block.skip(y)).relu()
    torch.testing.assert_close(tcn(x), y[..., -1].transpose(1, 2))


def test_padding_in_layers_computes_the_window_and_no_more():
    seen = []
    tcn = TCN(2, 3, 3, 32, lambda features, axis: nn.ReLU(), scalar=True, padded=True)
    for module in tcn.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda _m, _i, out: seen.append(out.shape[-1]))
    tcn(torch.randn(2, 2, C, 12))
    assert tcn.reach == 931
    assert set(seen) == {12}


def test_the_position_code_is_binary_and_tells_steps_apart():
    rows = position_rows(64 * 12, 40)
    assert set(rows.flatten().tolist()) == {0.0, 1.0}
    assert rows[:3, :2].tolist() == [[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]  # sin and cos of 0, 1 and 2
    assert len(torch.unique(rows, dim=0)) > 300


def test_the_last_step_is_read_where_released_code_reads_it():
    mean, last = (make("itransformer", reads=reads) for reads in ("mean", "last"))
    last.load_state_dict(mean.state_dict())
    steps = []
    last.backbone.blocks.register_forward_hook(lambda _m, _i, out: steps.append(out))
    with torch.no_grad():
        last.eval()(windows(), C)
        read = last.backbone(last.encoder(InstanceNorm(windows()).apply(windows())))
    torch.testing.assert_close(read, steps[-1][-1])
    assert make("gru", gru_reads="last").readout.in_features == 8
    assert make("gru", None, gru_reads="last").readout.in_features == 8
