"""What leaky neurons share: a decay, one membrane, a threshold. Not a neuron by itself."""

from __future__ import annotations

from torch import Tensor

from harness.contracts import Neuron, ParamsModel
from harness.contracts.neuron import NeuronState
from harness.neurons.kernels import compiled
from harness.neurons.kernels.functional import lif_held, lif_multistep, spike
from harness.neurons.kernels.recurrence import after_reset, charge


class LeakyNeuron(Neuron):
    """One membrane v that decays by :meth:`decay` a step; subclasses say by how much.

    Outputs are 0 or 1. ``forward`` is the fused sequence of :mod:`harness.neurons.kernels.functional`
    and equals T calls of ``step``.
    """

    def __init__(self, params: ParamsModel | None = None) -> None:
        super().__init__(params)
        self.v_threshold = float(self.params.v_threshold)
        self.surrogate = self.params.surrogate.value()
        self.decay_input = bool(getattr(self.params, "decay_input", False))
        compiled.loops()  # before anything is timed

    def decay(self) -> float | Tensor:
        """The share of the potential that a step leaves, in [0, 1]."""
        raise NotImplementedError

    def charge(self, x_b: Tensor, v_b: Tensor) -> Tensor:
        """The potential before the reset, h (B, ...)."""
        return charge(x_b, v_b, self.decay(), decay_input=self.decay_input)

    def after_reset(self, h_b: Tensor) -> Tensor:
        """The potential after the reset, v (B, ...); the spike in it is detached."""
        return after_reset(h_b, self.v_threshold, hard=self.params.reset == "hard")

    def step(self, x_b: Tensor, state: NeuronState) -> tuple[Tensor, NeuronState]:
        """One timestep: spikes (B, ...) and the membrane after reset."""
        h_b = self.charge(x_b, state[0])
        return spike(h_b, self.v_threshold, self.surrogate), (self.after_reset(h_b),)

    def forward(self, x_tb: Tensor) -> Tensor:
        """T timesteps from rest, fused: spikes (T, B, ...)."""
        return lif_multistep(
            x_tb,
            self.decay(),
            self.v_threshold,
            self.surrogate,
            decay_input=self.decay_input,
            reset=self.params.reset,
        )

    def hold(self, x_b: Tensor, steps: int) -> Tensor:
        """The mean output (B, ...) over ``steps`` timesteps from rest of a current that stays."""
        return lif_held(
            x_b,
            steps,
            self.decay(),
            self.v_threshold,
            self.surrogate,
            decay_input=self.decay_input,
            reset=self.params.reset,
        )

    def extra_repr(self) -> str:
        """The constants."""
        return f"v_threshold={self.v_threshold:g}, reset={self.params.reset}, {self.surrogate}"
