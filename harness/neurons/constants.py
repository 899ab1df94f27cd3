"""The constants that spiking neurons share, as parameters of a study."""

from __future__ import annotations

from typing import Literal

from harness.contracts import ParamsModel, param
from harness.neurons.kernels.surrogate import Surrogate, SurrogateName


class SurrogateParams(ParamsModel):
    """The surrogate gradient; see the table of :mod:`harness.neurons.kernels.surrogate`."""

    name: SurrogateName = param("atan", "curve of the surrogate gradient")
    width: float = param(
        0.5,
        "width of the curve (atan, sigmoid: 1/alpha; rect: half window; gaussian: deviation)",
        unit="membrane potential",
        low=0.01,
        high=10.0,
        log=True,
    )
    shift: float = param(
        0.0,
        "how far above the threshold the gaussian is centred (the paper: 0.2)",
        unit="membrane potential",
        low=-5.0,
        high=5.0,
        source="arXiv 2203.01158, released code",
    )

    def value(self) -> Surrogate:
        """The surrogate that these parameters name."""
        return Surrogate(self.name, self.width, self.shift)


class SpikeParams(ParamsModel):
    """Threshold, reset and surrogate of a neuron that spikes."""

    v_threshold: float = param(
        1.0, "firing threshold", unit="membrane potential", low=0.01, high=100.0, log=True
    )
    reset: Literal["hard", "soft"] = param("hard", "to zero, or by subtracting the threshold")
    surrogate: SurrogateParams = SurrogateParams()


class LeakParams(SpikeParams):
    """The same with a leak."""

    tau: float = param(
        2.0,
        "membrane time constant; a step leaves 1 - 1/tau of the potential",
        unit="timesteps",
        low=1.0,
        high=1000.0,
        log=True,
    )
    decay_input: bool = param(False, "whether the input is divided by tau")
