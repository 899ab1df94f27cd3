"""Activations of a forecasting network: a spiking neuron over T steps, or ReLU; and instance norm.

Axes: T timesteps, B batch, F features, C variates, L window, H horizon.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from harness.contracts import Neuron
from harness.neurons.kernels.functional import spike
from harness.neurons.kernels.surrogate import Surrogate
from harness.neurons.ts_lif import TSLIF

#: Makes one activation layer for ``features`` on ``axis`` (counted from the end).
Maker = Callable[[int, int], nn.Module]

EPSILON = 1e-5
_ATAN = Surrogate()


def fitted(neuron: Neuron, features: int, axis: int) -> Neuron:
    """The neuron with output weights a feature where it has such (TS-LIF, code form)."""
    if isinstance(neuron, TSLIF) and not neuron.late:
        neuron.widen(features, axis)
    return neuron


class Held(nn.Module):
    """A neuron that sees one current for T steps from rest; its mean output, a rate.

    Fused where the neuron can (``hold``). While somebody watches the neuron (forward hooks, which
    count spikes), every step is run, with the same result.
    """

    def __init__(self, neuron: Neuron, steps: int) -> None:
        super().__init__()
        self.neuron, self.steps = neuron, steps

    def forward(self, x_b: Tensor) -> Tensor:
        """Currents (B, ...) to rates (B, ...)."""
        hold = getattr(self.neuron, "hold", None)
        if hold is not None and not self.neuron._forward_hooks:
            rate: Tensor = hold(x_b, self.steps)
            return rate
        out: Tensor = self.neuron(x_b.expand(self.steps, *x_b.shape))
        return out.mean(0)


class Fire(Neuron):
    """1 where the input reaches the threshold 1: a LIF neuron from rest, called once, as in SeqSNN's
    encoder; no axis is time."""

    def forward(self, x_b: Tensor) -> Tensor:
        """Spikes of any shape."""
        return spike(x_b, 1.0, _ATAN)


def watched(neuron: Neuron, outputs_tb: Tensor) -> Tensor:
    """Show outputs of single steps to whoever counts spikes by forward hooks; the outputs themselves."""
    for hook in neuron._forward_hooks.values():
        hook(neuron, (), outputs_tb)
    return outputs_tb


class InstanceNorm:
    """Mean and deviation of each window and variate (RevIN without affine), to be undone later.

    Source: SeqSNN's runner `vsts`: variance without Bessel's correction, plus 1e-5.
    """

    def __init__(self, x_blc: Tensor) -> None:
        self.mean = x_blc.mean(dim=1, keepdim=True)
        variance = x_blc.var(dim=1, keepdim=True, unbiased=False)
        self.deviation = torch.sqrt(variance + EPSILON)

    def apply(self, x_blc: Tensor) -> Tensor:
        """Standardised."""
        return (x_blc - self.mean) / self.deviation

    def undo(self, y_bhc: Tensor) -> Tensor:
        """Back on the scale of the window."""
        return y_bhc * self.deviation + self.mean


def hide(x_blc: Tensor, ratio: float, generator: torch.Generator) -> Tensor:
    """A copy with int(ratio * numel) values set to 0, drawn uniformly without replacement.

    Source: TS-LIF's released `introduce_missing_values`, but from a seeded generator.
    """
    count = int(x_blc.numel() * ratio)
    if count == 0:
        return x_blc
    chosen = torch.randperm(x_blc.numel(), generator=generator)[:count].to(x_blc.device)
    return x_blc.flatten().index_fill(0, chosen, 0.0).view_as(x_blc)
