"""SpikingJelly's own multi-step kernels: the alternative that `harness doctor` and benchmarks compare."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.neurons.kernels.recurrence import Reset
from harness.neurons.kernels.surrogate import Surrogate


def covers(surrogate: Surrogate, k: float | Tensor) -> bool:
    """Whether SpikingJelly 2 has a fused kernel: atan and sigmoid, a fixed decay in (0, 1]."""
    return surrogate.name in ("atan", "sigmoid") and isinstance(k, float) and 0.0 < k <= 1.0


def multistep(
    x_tbn: Tensor,
    k: float,
    v_threshold: float,
    surrogate: Surrogate,
    *,
    decay_input: bool = False,
    reset: Reset = "hard",
) -> Tensor:
    """Spikes (T, B, ...) of LIF (k < 1) or IF (k = 1) neurons from rest, reset detached."""
    from spikingjelly.activation_based import functional
    from spikingjelly.activation_based import surrogate as curves

    curve = (curves.ATan if surrogate.name == "atan" else curves.Sigmoid)(1.0 / surrogate.width)
    v = torch.zeros_like(x_tbn[0], dtype=torch.float32)
    v_reset = 0.0 if reset == "hard" else None
    if k == 1.0:
        spikes = functional.if_multi_step(x_tbn, v, v_threshold, v_reset, curve, True)[0]
    else:
        spikes = functional.lif_multi_step(
            x_tbn, v, 1.0 / (1.0 - k), decay_input, v_threshold, v_reset, curve, True
        )[0]
    out: Tensor = spikes
    return out
