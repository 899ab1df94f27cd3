"""The networks of arXiv 2306.17670: delayed synapses, normalisation, LIF, and a leaky readout.

Time grows by (K - 1) // 2 steps a layer, so that delayed spikes are not cut off. The network without
delays has linear synapses and no kernel at all; its class of synapse follows from the variant.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.contracts import Neuron
from harness.layers.delay import DelayLayer, DelaySpec
from harness.layers.delay.backends import leaky_sum

Readout = Literal["sum", "mean", "max"]


@dataclass(frozen=True, slots=True)
class DelayNetSpec:
    """``delay`` None means no delays. ``decay`` is the readout's k = 1 - 1/tau a step.

    ``mask_padding`` leaves steps after a sample's own end out of the readout; the released code does not.
    """

    inputs: int
    classes: int
    width: int
    depth: int
    decay: float
    delay: DelaySpec | None = None
    dropout: float = 0.0
    readout: Readout = "sum"
    mask_padding: bool = False
    sparsity: float = 0.0


class LinearSynapses(nn.Module):
    """Synapses without delays: x (T, B, I) to (T, B, O); no bias, the delay layer's initial weights."""

    mask: Tensor | None

    def __init__(
        self, inputs: int, outputs: int, generator: torch.Generator | None, sparsity: float = 0.0
    ) -> None:
        super().__init__()
        bound = math.sqrt(6.0 / inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        nn.init.uniform_(self.weight, -bound, bound, generator=generator)
        self.register_buffer("mask", None)
        if sparsity > 0.0:
            self.mask = (torch.rand(outputs, inputs, generator=generator) > sparsity).float()
        self.constrain()

    @property
    def fan_out(self) -> Tensor:
        """Synaptic operations that one spike of each input causes, (I,)."""
        return torch.count_nonzero(self.weight.detach(), dim=0)

    @torch.no_grad()
    def constrain(self) -> None:
        """Re-apply the mask."""
        if self.mask is not None:
            self.weight.mul_(self.mask)

    def forward(self, x_tbi: Tensor, decay: float | None = None) -> Tensor:
        """Weighted sums (T, B, O); with ``decay`` their leaky sum over time."""
        return leaky_sum(functional.linear(x_tbi, self.weight), decay)


class SequenceDropout(nn.Module):
    """Dropout with one mask (B, C) a sequence, held over all steps; scaled by 1 / (1 - p)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x_tbc: Tensor) -> Tensor:
        """The same shape; the input itself in evaluation or at p = 0."""
        if not self.training or self.p == 0.0:
            return x_tbc
        mask = functional.dropout(torch.ones_like(x_tbc[0]), self.p)
        return x_tbc * mask


class DelayBlock(nn.Module):
    """Synapses, batch normalisation over T * B (padded steps included), neuron, dropout."""

    def __init__(
        self,
        synapses: DelayLayer | LinearSynapses,
        width: int,
        neuron: Callable[[], Neuron],
        p: float,
    ) -> None:
        super().__init__()
        self.synapses = synapses
        self.norm = nn.BatchNorm1d(width)
        self.neuron = neuron()
        self.dropout = SequenceDropout(p)

    def forward(self, x_tbi: Tensor) -> Tensor:
        """Spikes (T', B, width) of inputs (T, B, I)."""
        current = self.synapses(x_tbi)
        current = self.norm(current.flatten(0, 1)).view_as(current)
        spikes: Tensor = self.dropout(self.neuron(current))
        return spikes


class DelayNet(nn.Module):
    """``depth`` delay blocks and a readout whose leaky membrane never fires.

    Inputs (T, B, C) float counts, not clipped; outputs (B, classes). Readout ``sum``: the sum over time of
    the softmax of the membrane, used as logits (0..T'), as in the released code; ``mean`` divides it by T';
    ``max`` is the membrane's maximum over time.
    """

    def __init__(self, spec: DelayNetSpec, neuron: Callable[[], Neuron], generator: torch.Generator) -> None:
        super().__init__()
        self.spec = spec
        sizes = [spec.inputs] + [spec.width] * spec.depth
        self.blocks = nn.ModuleList(
            DelayBlock(self._synapses(sizes[i], spec.width, generator), spec.width, neuron, spec.dropout)
            for i in range(spec.depth)
        )
        self.readout = self._synapses(sizes[-1], spec.classes, generator)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """``torch.compile`` in place; delay layers stay outside its graphs."""
        for module in self.modules():
            if isinstance(module, DelayLayer):
                module.leave_graphs()
        super().compile(*args, **kwargs)

    def _synapses(self, inputs: int, outputs: int, generator: torch.Generator) -> DelayLayer | LinearSynapses:
        if self.spec.delay is None:
            return LinearSynapses(inputs, outputs, generator, self.spec.sparsity)
        return DelayLayer(replace(self.spec.delay, inputs=inputs, outputs=outputs), generator)

    def membrane(self, x_tbc: Tensor) -> Tensor:
        """The readout's potential at every step, (T', B, classes)."""
        for block in self.blocks:
            x_tbc = block(x_tbc)
        out: Tensor = self.readout(x_tbc, decay=self.spec.decay)
        return out

    def forward(self, x_tbc: Tensor, length: Tensor | None = None) -> Tensor:
        """Logits (B, classes); ``length`` (B,) counts each sample's own steps."""
        v = self.membrane(x_tbc).float()
        outside = None
        if self.spec.mask_padding and length is not None:
            own = length + (len(v) - len(x_tbc))
            outside = torch.arange(len(v), device=v.device).unsqueeze(1) >= own
        if self.spec.readout == "max":
            return (v if outside is None else v.masked_fill(outside.unsqueeze(2), -math.inf)).amax(0)
        share = torch.softmax(v, 2)
        if outside is not None:
            share = share.masked_fill(outside.unsqueeze(2), 0.0)
        total = share.sum(0)
        if self.spec.readout == "sum":
            return total
        steps = len(v) if outside is None else (~outside).sum(0).clamp(min=1).unsqueeze(1)
        return total / steps

    def constrain(self) -> None:
        """Clamp positions and re-apply masks, after every optimiser step."""
        for module in self.modules():
            if isinstance(module, DelayLayer | LinearSynapses):
                module.constrain()
