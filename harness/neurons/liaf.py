"""Leaky integrate and analog fire: the spike resets the membrane, the output is analog."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.contracts import ParamsModel, param
from harness.contracts.neuron import NeuronState
from harness.neurons.constants import LeakParams
from harness.neurons.kernels.functional import integrate_multistep
from harness.neurons.leaky import LeakyNeuron
from harness.neurons.plif import logit_of_decay

Activation = Literal["leaky_relu", "relu", "selu"]
ACTIVATIONS = {
    "leaky_relu": lambda u: functional.leaky_relu(u, 0.2),
    "relu": torch.relu,
    "selu": torch.selu,
}


class LIAFParams(LeakParams):
    """LIF's constants and the output function."""

    activation: Activation = param(
        "relu", "f of the output f(u)", source="arXiv 2203.01158: leaky_relu(0.2), relu, selu"
    )
    clamp: bool = param(
        False,
        "whether outputs are limited to [0, 1]",
        source="arXiv 2203.01158, released code of the CIFAR10-DVS part",
    )
    learn_decay: bool = param(False, "whether the decay is learned, one scalar a layer")


class LIAF(LeakyNeuron):
    """Output f(u) of the potential u before reset; the spike only resets.

    At one timestep it is an ordinary layer with activation f. Outputs are analog: [0, inf) for
    relu, [0, 1] with ``clamp``, else (-inf, inf). Source: docs/papers.md, LIF and LIAF; the
    multi-step form that SpikingJelly 2.0.0's LIAFNode lacks (it returns spikes there).
    """

    name = "liaf"
    Params = LIAFParams
    spiking = False
    low = -float("inf")
    high = float("inf")

    def __init__(self, params: ParamsModel | None = None) -> None:
        super().__init__(params)
        self.w: nn.Parameter | None = None
        if self.params.learn_decay:
            self.w = nn.Parameter(logit_of_decay(self.params.tau))

    def decay(self) -> float | Tensor:
        """1 - 1/tau, or sigmoid(w) where it is learned."""
        return 1.0 - 1.0 / float(self.params.tau) if self.w is None else torch.sigmoid(self.w)

    def output(self, h: Tensor) -> Tensor:
        """f(u), limited to [0, 1] if asked."""
        out: Tensor = ACTIVATIONS[self.params.activation](h)
        return out.clamp(0.0, 1.0) if self.params.clamp else out

    def step(self, x_b: Tensor, state: NeuronState) -> tuple[Tensor, NeuronState]:
        """One timestep: analog output (B, ...) and the membrane after reset."""
        h_b = self.charge(x_b, state[0])
        return self.output(h_b), (self.after_reset(h_b),)

    def hold(self, x_b: Tensor, steps: int) -> Tensor:
        """The mean output (B, ...) over ``steps`` timesteps from rest of a current that stays."""
        return self(x_b.expand(steps, *x_b.shape)).mean(0)  # type: ignore[no-any-return]

    def forward(self, x_tb: Tensor) -> Tensor:
        """T timesteps from rest, fused: analog outputs (T, B, ...)."""
        h_tb = integrate_multistep(
            x_tb,
            self.decay(),
            self.v_threshold,
            decay_input=self.decay_input,
            reset=self.params.reset,
        )
        return self.output(h_tb).to(x_tb.dtype)
