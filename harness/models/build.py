"""Networks by name, as parameters of a study."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from harness.contracts import DatasetCard, ParamsModel, param
from harness.errors import IncompatibleError
from harness.layers.norm import ScaledVarianceBatchNorm, ThresholdBatchNorm
from harness.models import resnet
from harness.models.crnn import CRNN
from harness.models.network import Network, NeuronFactory, initialise, initialise_kaiming
from harness.models.plain import MLP, VGG
from harness.models.resnet import NormFactory, ResNet

Topology = Literal[
    "auto",
    "mlp",
    "vgg",
    "resnet",
    "resnet18-imagenet",
    "resnet34-imagenet",
    "resnet18-es",
    "resnet34-es",
    "crnn",
]
CONVOLUTIONAL = ("auto", "vgg", "resnet")
DENSE = ("auto", "mlp")
ES = ("resnet18-es", "resnet34-es")


class NetworkParams(ParamsModel):
    """Which network, and its size where it has one."""

    name: Topology = param(
        "auto",
        "topology; auto is resnet for images and frames, mlp for vectors",
        source="arXiv 2203.01158; docs/papers.md, Networks",
    )
    width: int = param(
        12,
        "channels of the first stage, doubled from stage to stage",
        low=1,
        high=1024,
        log=True,
        when={"network.name": CONVOLUTIONAL},
    )
    depth: int = param(3, "stages", low=1, high=6, when={"network.name": CONVOLUTIONAL})
    hidden: int = param(
        128, "units of a hidden layer", low=1, high=65_536, log=True, when={"network.name": DENSE}
    )
    layers: int = param(2, "hidden layers", low=1, high=32, when={"network.name": DENSE})
    scale: int = param(
        1,
        "divides the widths of the crnn; above 1 its convolutions are padded",
        low=1,
        high=32,
        when={"network.name": ("crnn",)},
    )
    init: Literal["all", "stem"] = param(
        "all",
        "Kaiming weights and biases of 0.5 in every convolution and the head, or the first layer (released)",
        when={"network.name": ES},
    )
    norm: Literal["tdbn", "thbn", "bn", "none"] = param(
        "tdbn", "batch normalisation: weight from the threshold, variance x 4, plain, or none"
    )


def input_shape(card: DatasetCard) -> tuple[int, ...]:
    """The shape that a network sees at one timestep: (C,) or (C, H, W). Axes of time are left out.

    Raises IncompatibleError for layouts that are neither images, frames nor vectors.
    """
    if card.layout in ("ntc", "ntchw"):
        return card.shape[1:]
    if card.layout in ("nc", "nchw", "events"):
        return card.shape
    raise IncompatibleError(
        f"data set '{card.name}' has layout '{card.layout}'; networks for classification take "
        "nc, nchw, ntc, ntchw or events."
    )


def norm_factory(params: NetworkParams, v_threshold: float) -> NormFactory:
    """A maker of normalisation layers for a number of channels."""
    if params.norm == "tdbn":
        return lambda channels: ThresholdBatchNorm(channels, v_threshold)
    if params.norm == "thbn":
        return lambda channels: ScaledVarianceBatchNorm(channels)
    if params.norm == "bn":
        return lambda channels: ThresholdBatchNorm(channels, 1.0)
    return lambda channels: nn.Identity()


def build(
    params: NetworkParams,
    shape: tuple[int, ...],
    classes: int,
    neuron: NeuronFactory,
    *,
    v_threshold: float = 1.0,
    generator: torch.Generator,
) -> Network:
    """A network for inputs of ``shape`` at one step, weights drawn from ``generator``.

    ``v_threshold`` is where tdBN's weight starts. Raises IncompatibleError where the shape does not suit.
    """
    norm = norm_factory(params, v_threshold)
    network = _topology(params, shape, classes, norm, neuron)
    es = params.name in ES
    (initialise_kaiming if es and params.init == "all" else initialise)(network, generator)
    if es and params.init == "stem":
        initialise_kaiming(network.get_submodule(network.stem), generator)
    return network


def _topology(
    params: NetworkParams,
    shape: tuple[int, ...],
    classes: int,
    norm: NormFactory,
    neuron: NeuronFactory,
) -> Network:
    if params.name == "mlp" or (params.name == "auto" and len(shape) != 3):
        inputs = int(torch.Size(shape).numel())
        return MLP(inputs, (params.hidden,) * params.layers, classes, norm, neuron)
    if len(shape) != 3:
        raise IncompatibleError(
            f"network '{params.name}' takes images (C, H, W), not {shape}; set network.name: mlp."
        )
    if params.name == "vgg":
        widths = tuple(params.width * 2**stage for stage in range(params.depth))
        return VGG(shape[0], widths, classes, norm, neuron)
    if params.name == "crnn":
        size = (shape[0], shape[1], shape[2])
        scale = params.scale
        return CRNN(size, classes, norm, neuron, scale=scale, pad=scale > 1)
    return ResNet(_form(params), shape[0], classes, norm, neuron)


def _form(params: NetworkParams) -> resnet.Form:
    if params.name in ("auto", "resnet"):
        return resnet.small(params.width, params.depth)
    depth = 18 if params.name.startswith("resnet18") else 34
    if params.name.endswith("-es"):
        return resnet.es_imagenet(depth)
    return resnet.imagenet(depth)
