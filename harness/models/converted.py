"""ANN to SNN conversion with SpikingJelly's ann2snn recipes.

The trained network is written as plain modules with its normalisation folded in; a recipe
calibrates thresholds and puts integrate-and-fire neurons for rectifiers; its stateful nodes are
then replaced by ours, which keep nothing between calls. Method: rate coding (Rueckauer et al.
2017; SpikingJelly's RateCodingRecipe) and local threshold balancing (arXiv 2409.03368).
"""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from harness.errors import IncompatibleError
from harness.layers.norm import ScaledVarianceBatchNorm, fold_into
from harness.models.network import Network
from harness.models.plain import MLP, VGG
from harness.models.resnet import BasicBlock, ResNet
from harness.neurons.constants import SpikeParams
from harness.neurons.if_ import IF

Recipe = Literal["max", "99.9%", "99%", "balanced"]


CHUNK_STEPS = 16
"""Timesteps held at once: as many as a batch at T = 32 needed half of."""


class CarriedIF(IF):
    """Integrate-and-fire with soft reset that begins where ``carried`` left it, step by step.

    ``carried`` None is rest: :class:`Converted` sets it before the first chunk of a sequence; ``walked``
    counts the steps since then.
    """

    carried: Tensor | None = None
    walked = 0

    def forward(self, x_tb: Tensor) -> Tensor:
        """Spikes (T, B, ...)."""
        state = self.initial_state(x_tb[0]) if self.carried is None else (self.carried,)
        out_tb = torch.empty_like(x_tb)
        for t, x_b in enumerate(x_tb):
            out_tb[t], state = self.step(x_b, state)
        self.carried = state[0]
        self.walked += len(x_tb)
        return out_tb


class HalfIF(CarriedIF):
    """The same, starting half way to its threshold."""

    name = "half-if"

    def initial_state(self, x_b: Tensor) -> tuple[Tensor, ...]:
        """Half the threshold."""
        return (torch.full_like(x_b, 0.5 * self.v_threshold),)


class _Residual(nn.Module):
    """The plain form of :class:`BasicBlock`."""

    def __init__(self, block: BasicBlock) -> None:
        super().__init__()
        self.conv1, self.relu1 = folded(block.conv1, block.norm1), nn.ReLU()
        self.conv2, self.relu2 = folded(block.conv2, block.norm2), nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if isinstance(block.shortcut, nn.Sequential):
            self.shortcut = folded(block.shortcut[0], block.shortcut[1])

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu2(self.conv2(self.relu1(self.conv1(x))) + self.shortcut(x))
        return out


def folded(layer: nn.Module, norm: nn.Module) -> nn.Module:
    """A copy of a layer with a bias into which its normalisation is folded."""
    if not isinstance(layer, nn.Conv2d | nn.Linear):
        raise IncompatibleError(f"convert: a layer of kind {type(layer).__name__} cannot be converted.")
    plain: Any = copy.deepcopy(layer)
    if plain.bias is None:
        plain.bias = nn.Parameter(plain.weight.new_zeros(plain.weight.shape[0]))
    if isinstance(norm, ScaledVarianceBatchNorm):
        raise IncompatibleError("convert: thbn cannot be folded; set network.norm to tdbn, bn or none.")
    if isinstance(norm, nn.BatchNorm2d):
        fold_into(plain, norm)
    return plain  # type: ignore[no-any-return]


def as_plain(network: Network, side: Sequence[int] = ()) -> nn.Module:
    """The network at one timestep as plain modules over (B, ...). ``side`` is an image's (H, W).

    Raises IncompatibleError for networks that have no such form.
    """
    if isinstance(network, MLP):
        parts: Any = network.layers
        dense = [(folded(layer.linear, layer.norm), nn.ReLU()) for layer in parts]
        return nn.Sequential(nn.Flatten(1), *_chain(dense), copy.deepcopy(network.head))
    pool = (nn.AdaptiveAvgPool2d(1), nn.Flatten(1), copy.deepcopy(network.head))
    if isinstance(network, VGG):
        modules, smallest = list[nn.Module](), min(side)
        parts = network.layers
        for layer in parts:
            modules += [folded(layer.conv, layer.norm), nn.ReLU()]
            if smallest > 1:
                modules.append(nn.AvgPool2d(2))
                smallest //= 2
        return nn.Sequential(*modules, *pool)
    if isinstance(network, ResNet) and not network.form.twice:
        blocks = [_Residual(block) for block in network.blocks if isinstance(block, BasicBlock)]
        return nn.Sequential(folded(network.conv, network.norm), nn.ReLU(), *blocks, *pool)
    raise IncompatibleError(f"convert: a {type(network).__name__} has no plain form; use resnet, vgg or mlp.")


def _chain(pairs: Iterable[tuple[nn.Module, ...]]) -> list[nn.Module]:
    return [module for pair in pairs for module in pair]


class Converted(nn.Module):
    """A converted network over (T, B, ...): logits are the mean of the outputs of T steps.

    T is walked in chunks with the membranes carried on: equal to one pass, and the memory of a chunk.
    """

    def __init__(self, graph: nn.Module, chunk: int = CHUNK_STEPS) -> None:
        super().__init__()
        self.graph, self.chunk = graph, chunk

    def forward(self, x_tb: Tensor, length: Tensor | None = None) -> Tensor:
        """Logits (B, classes)."""
        return self.outputs(x_tb).mean(0)

    def outputs(self, x_tb: Tensor) -> Tensor:
        """The readout of every step, (T, B, classes)."""
        out_tbk: Tensor | None = None
        with self._from_rest():
            for start, part in zip(range(0, len(x_tb), self.chunk), x_tb.split(self.chunk), strict=True):
                out: Tensor = self.graph(part.contiguous())
                if out_tbk is None:  # made once: small blocks kept between large ones fragment the heap
                    out_tbk = out.new_empty(len(x_tb), *out.shape[1:])
                out_tbk[start : start + len(out)] = out
        assert out_tbk is not None
        return out_tbk

    @contextlib.contextmanager
    def _from_rest(self) -> Iterator[None]:
        nodes = [module for module in self.graph.modules() if isinstance(module, CarriedIF)]
        for node in nodes:
            node.carried, node.walked = None, 0
        try:
            yield
        finally:
            for node in nodes:
                node.carried = None

    def forward_by_step(self, x_tb: Tensor) -> Tensor:
        """Logits after 1, 2, ... T steps, (T, B, classes)."""
        outputs_tbk = self.outputs(x_tb)
        count = torch.arange(1, len(outputs_tbk) + 1, device=x_tb.device, dtype=outputs_tbk.dtype)
        return outputs_tbk.cumsum(0) / count[:, None, None]


def convert(plain: nn.Module, calibration: Iterable[Tensor], recipe: Recipe) -> Converted:
    """Convert a plain network with calibration inputs (B, ...).

    Raises IncompatibleError where the recipe refuses, e.g. a layer that never answers has no threshold.
    """
    from spikingjelly.activation_based import ann2snn, functional, neuron

    batches = list(calibration)
    if recipe == "balanced":
        chosen = ann2snn.LocalThresholdBalancingRecipe(batches)
    else:
        chosen = ann2snn.RateCodingRecipe(batches, mode=recipe)
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bars
        try:
            graph: Any = ann2snn.FXConverter(chosen).convert(plain.eval())
        except ValueError as error:
            raise IncompatibleError(f"convert: {' '.join(str(error).split())}") from None
    functional.set_step_mode(graph, "m")
    for name, module in list(graph.named_modules()):
        if isinstance(module, neuron.IFNode | neuron.HalfThresholdIFNode):
            half = isinstance(module, neuron.HalfThresholdIFNode)
            params = SpikeParams(v_threshold=float(module.v_threshold), reset="soft")
            graph.set_submodule(name, HalfIF(params) if half else CarriedIF(params))
    return Converted(graph)
