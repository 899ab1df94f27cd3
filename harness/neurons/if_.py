"""Integrate-and-fire: a membrane without a leak."""

from __future__ import annotations

from harness.neurons.constants import SpikeParams
from harness.neurons.leaky import LeakyNeuron


class IF(LeakyNeuron):
    """h = v + x; a spike where h >= v_threshold. Source: SpikingJelly's IFNode."""

    name = "if"
    Params = SpikeParams

    def decay(self) -> float:
        """Nothing leaks."""
        return 1.0
