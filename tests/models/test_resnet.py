"""Sizes and keys of arXiv 2203.01158's networks (docs/papers.md, Networks)."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from harness.layers.norm import ThresholdBatchNorm
from harness.models.build import NetworkParams, build
from harness.models.network import NeuronFactory, neurons_of
from harness.models.resnet import Form, ResNet, es_imagenet, from_rest, imagenet, small
from harness.neurons.analog import LeakyReLU, ReLU
from harness.neurons.liaf import LIAF, LIAFParams
from harness.neurons.lif import LIF
from harness.neurons.plif import PLIF


def tdbn(channels: int) -> ThresholdBatchNorm:
    return ThresholdBatchNorm(channels, 0.5)


def make(form: Form, channels: int, neuron: NeuronFactory = LIF, classes: int = 1000) -> ResNet:
    with torch.device("meta"):
        return ResNet(form, channels, classes, tdbn, neuron)


def size(network: ResNet) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("depth", "parameters", "keys"), [(18, 11_693_736, 128), (34, 21_801_896, 224)])
@pytest.mark.parametrize("neuron", [LIF, ReLU])
def test_imagenet_form(depth: int, parameters: int, keys: int, neuron: NeuronFactory) -> None:
    network = make(imagenet(depth), 3, neuron)
    assert size(network) == parameters
    assert len(network.state_dict()) == keys


def test_imagenet_feature_maps() -> None:
    """112-56-28-14-7."""
    network = make(imagenet(18), 3, ReLU)
    sides = []
    for block in network.blocks[::2]:
        block.register_forward_hook(lambda _m, _i, out: sides.append(out.shape[-1]))
    network.norm.register_forward_hook(lambda _m, _i, out: sides.append(out.shape[-1]))
    network(torch.zeros(1, 1, 3, 224, 224, device="meta"))
    assert sides == [112, 56, 28, 14, 7]


def learned_liaf() -> LIAF:
    return LIAF(LIAFParams(learn_decay=True, activation="leaky_relu"))


@pytest.mark.parametrize("neuron", [PLIF, learned_liaf])
def test_es_form_with_its_nine_learned_decays(neuron: NeuronFactory) -> None:
    network = make(es_imagenet(18), 2, neuron)
    assert size(network) == 11_693_233
    assert len(neurons_of(network)) == 9


def test_es_stem_is_55_pixels() -> None:
    network = make(es_imagenet(18), 2, LeakyReLU)
    seen = []
    network.blocks[0].register_forward_pre_hook(lambda _m, x: seen.append(x[0].shape[-1]))
    network(torch.zeros(2, 1, 2, 224, 224, device="meta"))
    assert seen == [55]


@pytest.mark.parametrize("side", [8, 16, 20, 34])
def test_small_form_takes_small_inputs(side: int) -> None:
    network = ResNet(small(12), 1, 10, tdbn, LIF)
    assert network(torch.rand(3, 2, 1, side, side)).shape == (2, 10)
    assert network.head.in_features == 48


def test_from_rest_is_f_of_the_sum() -> None:
    x = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0))
    liaf = LIAF(LIAFParams(activation="relu"))
    assert torch.equal(from_rest(liaf, x), x.relu())
    lif = LIF()
    assert torch.equal(from_rest(lif, x), (x >= 1.0).float())


@pytest.mark.parametrize("init", ["all", "stem"])
def test_kaiming_in_every_layer_or_in_the_first_alone_as_released(init: str) -> None:
    """Released: nn.init.kaiming_normal_ and a bias of 0.5 in conv1, PyTorch's default elsewhere."""
    params = NetworkParams(name="resnet18-es", norm="bn", init=init)
    network = build(params, (2, 32, 32), 10, LIF, generator=torch.Generator().manual_seed(0))
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.bias is not None]
    halves = [bool((m.bias == 0.5).all()) for m in convolutions if m.bias is not None]
    assert halves == [True] * len(halves) if init == "all" else halves == [True] + [False] * (len(halves) - 1)
    stem = network.get_submodule(network.stem)
    assert isinstance(stem, nn.Conv2d)
    wide = (2.0 / (stem.weight[0].numel())) ** 0.5
    assert float(stem.weight.detach().std()) == pytest.approx(wide, rel=0.05)
