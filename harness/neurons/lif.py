"""Leaky integrate-and-fire with a fixed time constant."""

from __future__ import annotations

from harness.contracts import ParamsModel
from harness.neurons.constants import LeakParams
from harness.neurons.leaky import LeakyNeuron


class LIF(LeakyNeuron):
    """h = (1 - 1/tau) v + x; a spike where h >= v_threshold; hard or soft reset, detached.

    Source: docs/papers.md, LIF and LIAF (d = 1 - 1/tau); SpikingJelly's LIFNode.
    """

    name = "lif"
    Params = LeakParams

    def __init__(self, params: ParamsModel | None = None) -> None:
        super().__init__(params)
        self.tau = float(self.params.tau)

    def decay(self) -> float:
        """1 - 1/tau."""
        return 1.0 - 1.0 / self.tau
