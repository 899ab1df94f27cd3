"""A spiking network as a NIR graph (nir's Python package) for chips and other simulators.

One timestep is :data:`DT_S` seconds, as snnTorch, Norse and sinabs assume. The graph maps input currents of a
step to the readout of a step; what comes before (the code of static values, binning of events) and after (the
mean over T) is no part of NIR and stands in the graph's metadata. Normalisation is folded into weights; a
global average and the readout are one convolution, so that no library's idea of Flatten matters.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.errors import HarnessError, IncompatibleError
from harness.kept.network import KeptModel
from harness.models.build import input_shape
from harness.models.converted import folded
from harness.models.delays import DelayNet
from harness.models.plain import MLP, VGG
from harness.models.resnet import BasicBlock, ResNet
from harness.neurons.if_ import IF
from harness.neurons.lif import LIF
from harness.neurons.plif import PLIF

DT_S = 1.0e-4
Shape = tuple[int, ...]


def write_nir(model: KeptModel, path: Path) -> str:
    """Write the network's graph; says what stays outside of it.

    Raises IncompatibleError naming what NIR lacks.
    """
    nir = _library()
    graph = nir_graph(model)
    nir.write(str(path), graph)
    return f"{len(graph.nodes)} nodes, dt {DT_S:g} s; outside: {graph.metadata['outside']}"


def nir_graph(model: KeptModel) -> Any:
    """The ``nir.NIRGraph`` of a kept network. Raises IncompatibleError naming what NIR cannot express."""
    network, shape = model.network, input_shape(model.data)
    walk = _walks().get(type(network))
    if walk is None:
        why = "; its Delay is one a neuron, not one a synapse" if isinstance(network, DelayNet) else ""
        raise IncompatibleError(
            f"NIR: networks of pipeline '{model.card.pipeline}' ({type(network).__name__}) cannot be "
            f"expressed{why}. Those of mlp, vgg and resnet can."
        )
    graph = _Graph(shape if not isinstance(network, MLP) else (int(np.prod(shape)),))
    with torch.no_grad():
        walk(graph, network)
    code = model.card.params.get("encoder.code", "direct")
    steps = model.card.params.get("timesteps", 1)
    outside = f"input code '{code}' for {steps} steps, the mean of the readout over them"
    return graph.finished({"dt_s": DT_S, "outside": outside, "model": model.card.name})


def _walks() -> dict[type, Callable[[_Graph, Any], None]]:
    return {MLP: _mlp, VGG: _vgg, ResNet: _resnet}


class _Graph:
    """Nodes in the making; ``at`` and ``shape`` are the last one's."""

    def __init__(self, shape: Shape) -> None:
        self.nir = _library()
        self.nodes: dict[str, Any] = {"input": self.nir.Input(input_type={"input": np.array(shape)})}
        self.edges: list[tuple[str, str]] = []
        self.at, self.shape = "input", shape

    def add(self, name: str, node: Any, shape: Shape, *also: str) -> None:
        """A node behind the last one, and behind ``also``: currents add up."""
        self.nodes[name] = node
        self.edges += [(before, name) for before in (self.at, *also)]
        self.at, self.shape = name, shape

    def layer(self, name: str, layer: nn.Module, norm: nn.Module) -> None:
        """A linear layer or convolution with its normalisation folded in."""
        try:
            plain: Any = folded(layer, norm)
        except IncompatibleError as error:
            raise IncompatibleError(f"NIR: {name}: {str(error).removeprefix('convert: ')}") from None
        weight, bias = _array(plain.weight), _array(plain.bias)
        if isinstance(layer, nn.Linear):
            self.add(name, self.nir.Affine(weight, bias), (len(weight),))
            return
        self.convolution(name, weight, bias, plain.stride, plain.padding)

    def convolution(self, name: str, weight: Any, bias: Any, stride: Shape, padding: Shape) -> None:
        """A convolution over the last two axes."""
        size = [
            (length + 2 * pad - kernel) // step + 1
            for length, pad, kernel, step in zip(
                self.shape[1:], padding, weight.shape[2:], stride, strict=True
            )
        ]
        node = self.nir.Conv2d(self.shape[1:], weight, tuple(stride), tuple(padding), 1, 1, bias)
        self.add(name, node, (len(weight), *size))

    def neuron(self, name: str, neuron: nn.Module, *also: str) -> None:
        """LIF, PLIF or IF with a hard reset. Raises IncompatibleError for all else, by name."""
        kind = getattr(neuron, "name", type(neuron).__name__)
        if not isinstance(neuron, (LIF, PLIF, IF)):
            raise IncompatibleError(
                f"NIR: {name}: it has no neuron '{kind}'; lif, plif and if can be expressed."
            )
        if neuron.params.reset != "hard":
            raise IncompatibleError(
                f"NIR: {name}: neuron.reset '{neuron.params.reset}' cannot be expressed, NIR's membranes "
                "are set to a "
                "value when they fire; train with neuron.reset: hard."
            )

        def full(value: float) -> NDArray[np.float64]:
            return np.full(self.shape, value)

        threshold = full(neuron.v_threshold)
        if isinstance(neuron, IF):
            self.add(name, self.nir.IF(full(1.0), threshold, full(0.0)), self.shape, *also)
            return
        steps = 1.0 / (1.0 - float(neuron.decay()))
        gain = full(1.0 if neuron.decay_input else steps)
        node = self.nir.LIF(full(steps * DT_S), gain, full(0.0), threshold, full(0.0))
        self.add(name, node, self.shape, *also)

    def finished(self, metadata: dict[str, Any]) -> Any:
        """The graph with its output."""
        self.add("output", self.nir.Output(output_type={"output": np.array(self.shape)}), self.shape)
        return self.nir.NIRGraph(self.nodes, self.edges, metadata=metadata)


def _mlp(graph: _Graph, network: MLP) -> None:
    for at, layer in enumerate(network.layers):
        graph.layer(f"linear{at}", layer.linear, layer.norm)  # type: ignore[arg-type]
        graph.neuron(f"neuron{at}", layer.neuron)  # type: ignore[arg-type]
    head: Any = network.head
    graph.add("readout", graph.nir.Affine(_array(head.weight), _array(head.bias)), (len(head.weight),))


def _vgg(graph: _Graph, network: VGG) -> None:
    for at, layer in enumerate(network.layers):
        graph.layer(f"conv{at}", layer.conv, layer.norm)  # type: ignore[arg-type]
        graph.neuron(f"neuron{at}", layer.neuron)  # type: ignore[arg-type]
        if min(graph.shape[1:]) > 1:
            two, half = np.array([2, 2]), tuple(size // 2 for size in graph.shape[1:])
            pool = graph.nir.AvgPool2d(two, two, np.array([0, 0]))
            graph.add(f"pool{at}", pool, (graph.shape[0], *half))
    _average_and_head(graph, network.head)


def _resnet(graph: _Graph, network: ResNet) -> None:
    if network.form.twice or network.form.stem_pool:
        what = "blocks that fire twice" if network.form.twice else "a maximum pool"
        raise IncompatibleError(f"NIR: network.name with {what} cannot be expressed; use resnet, vgg or mlp.")
    graph.layer("conv", network.conv, network.norm)
    graph.neuron("neuron", network.neuron)
    for at, block in enumerate(network.blocks):
        assert isinstance(block, BasicBlock)
        before, shape = graph.at, graph.shape
        graph.layer(f"block{at}_conv1", block.conv1, block.norm1)
        graph.neuron(f"block{at}_neuron1", block.neuron1)
        graph.layer(f"block{at}_conv2", block.conv2, block.norm2)
        main, wide = graph.at, graph.shape
        if isinstance(block.shortcut, nn.Sequential):
            graph.at, graph.shape = before, shape
            graph.layer(f"block{at}_shortcut", block.shortcut[0], block.shortcut[1])
            before = graph.at
        graph.at, graph.shape = main, wide
        graph.neuron(f"block{at}_neuron2", block.neuron2, before)
    _average_and_head(graph, network.head)


def _average_and_head(graph: _Graph, head: Any) -> None:
    """The mean over space and the linear readout as one convolution."""
    height, width = graph.shape[1:]
    weight = _array(head.weight)[:, :, None, None] / (height * width)
    kernel = np.broadcast_to(weight, (*weight.shape[:2], height, width)).copy()
    graph.convolution("readout", kernel, _array(head.bias), (1, 1), (0, 0))


def _array(tensor: Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = tensor.detach().cpu().contiguous().numpy()
    return found


def _library() -> Any:
    try:
        import nir
    except ImportError:
        raise HarnessError("NIR needs its package: pip install 'snn-harness[export]'.") from None
    return nir
