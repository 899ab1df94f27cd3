"""Memoryless units with the neurons' contract: what stands in a network before it spikes.

They let one topology be trained as an ANN and switched to a spiking one, weight by weight.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from harness.contracts import Neuron, ParamsModel, param
from harness.contracts.neuron import NeuronState
from harness.neurons.kernels.functional import spike
from harness.neurons.kernels.surrogate import Surrogate, rect


class Memoryless(Neuron):
    """A unit whose output at a step depends on that step alone. Not registered: it has no name."""

    spiking = False
    low = 0.0
    high = float("inf")

    def initial_state(self, x_b: Tensor) -> NeuronState:
        """No state."""
        return ()

    def step(self, x_b: Tensor, state: NeuronState) -> tuple[Tensor, NeuronState]:
        """The output of one step."""
        return self(x_b), ()


class ReLUParams(ParamsModel):
    """The rectifier's options."""

    clamp: bool = param(False, "whether outputs are limited to [0, 1]", source="arXiv 2203.01158: 'ReLU1'")


class ReLU(Memoryless):
    """max(0, u), or limited to [0, 1]."""

    name = "relu"
    Params = ReLUParams

    def forward(self, x_tb: Tensor) -> Tensor:
        """The rectified input, same shape."""
        return x_tb.clamp(0.0, 1.0) if self.params.clamp else torch.relu(x_tb)


class LeakyReLU(Memoryless):
    """max(0.2 u, u). Source: arXiv 2203.01158, the ES-ImageNet networks."""

    name = "leaky-relu"
    low = -float("inf")

    def forward(self, x_tb: Tensor) -> Tensor:
        """The output, same shape."""
        return functional.leaky_relu(x_tb, 0.2)


class SharpenedReLUParams(ParamsModel):
    """The two bounds of the linear window, for an epoch fixed by hand."""

    low: float = param(0.005, "where the window begins", unit="membrane potential")
    high: float = param(0.995, "where the window ends", unit="membrane potential")


class SharpenedReLU(Memoryless):
    """A ramp from 0 at ``low`` to 1 at ``high`` with the SNN's rectangular surrogate as gradient.

    The window narrows epoch by epoch (:func:`window`) until the ramp is nearly the spike function.
    With ``hard`` set it is the spike function at one timestep, with which the stage is judged.
    Source: docs/papers.md, Sharpened ReLU: V_th = 0.5, gradient 1 on (0, 1).
    """

    name = "sharpened-relu"
    Params = SharpenedReLUParams
    high = 1.0

    def __init__(self, params: ParamsModel | None = None) -> None:
        super().__init__(params)
        self.window = (float(self.params.low), float(self.params.high))
        self.v_threshold = 0.5
        self.surrogate: Surrogate = rect(0.5)
        self.hard = False

    def forward(self, x_tb: Tensor) -> Tensor:
        """The ramp, or spikes if ``hard``; same shape."""
        if self.hard:
            return spike(x_tb, self.v_threshold, self.surrogate)
        out: Tensor = _Ramp.apply(x_tb, self.window, self.v_threshold, self.surrogate)
        return out


class _Ramp(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, u: Tensor, window: tuple[float, float], v_threshold: float, surrogate: Surrogate
    ) -> Tensor:
        ctx.save_for_backward(u)
        ctx.v_threshold, ctx.surrogate = v_threshold, surrogate
        low, high = window
        return (u - low).mul_(1.0 / (high - low)).clamp_(0.0, 1.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (u,) = ctx.saved_tensors
        return ctx.surrogate.backward(grad, u, ctx.v_threshold), None, None, None


def window(epoch: int, epochs: int = 100, *, end: float = 1.0) -> tuple[float, float]:
    """The linear window of epoch 1..epochs: lo = min(e/200, 0.49), hi = 1 - e/200 for 100 epochs.

    For another number of epochs e is rescaled to 100; ``end`` scales how far the sharpening goes
    (1: to the paper's [0.49, 0.50]; 0: not at all). Source: docs/papers.md, Sharpened ReLU.
    """
    share = end * epoch / epochs
    return min(share / 2.0, 0.49), 1.0 - share / 2.0
