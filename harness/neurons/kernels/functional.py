"""Neurons over a whole sequence as functions: leaky integrate-and-fire, its potentials, its spikes.

The recurrence, its constants and its gradient are those of :mod:`harness.neurons.kernels.recurrence`.
Axes are time-major: ``x_tbn`` is (T, B, ...) for any number of unit axes.
"""

from __future__ import annotations

from torch import Tensor

from harness.errors import HarnessError
from harness.neurons.kernels.leaky_node import Leaky, Spike
from harness.neurons.kernels.recurrence import Constants, Reset
from harness.neurons.kernels.surrogate import Surrogate

ATAN = Surrogate()


def lif_multistep(
    x_tbn: Tensor,
    decay: float | Tensor | None = None,
    v_threshold: float = 1.0,
    surrogate: Surrogate = ATAN,
    *,
    tau: float | None = None,
    decay_input: bool = False,
    reset: Reset = "hard",
) -> Tensor:
    """Run LIF neurons from rest over T steps.

    ``x_tbn`` is the input current (T, B, ...). Give either ``decay`` (k, a float or a scalar
    tensor that is learned) or ``tau`` (in timesteps, k = 1 - 1/tau). Returns the spikes, 0 or
    1, in the shape and type of the input. Raises HarnessError if T is 0 or a constant is out of range.
    """
    k = check_constants(x_tbn, decay, tau, v_threshold)
    return _run(x_tbn, k, Constants(v_threshold, reset == "hard", decay_input, surrogate))


def lif_held(
    x_bn: Tensor,
    steps: int,
    decay: float | Tensor,
    v_threshold: float = 1.0,
    surrogate: Surrogate = ATAN,
    *,
    decay_input: bool = False,
    reset: Reset = "hard",
) -> Tensor:
    """Mean of the spikes of ``steps`` timesteps from rest under a current that stays, (B, ...).

    Equal to the mean of :func:`lif_multistep` of the repeated current, which is read once.
    """
    if steps < 1:
        raise HarnessError(f"neurons: {steps} timesteps; set timesteps to 1 or more.")
    k = check_constants(x_bn[None], decay, None, v_threshold)
    return _run(x_bn, k, Constants(v_threshold, reset == "hard", decay_input, surrogate, steps))


def integrate_multistep(
    x_tbn: Tensor,
    decay: float | Tensor | None = None,
    v_threshold: float = 1.0,
    *,
    tau: float | None = None,
    decay_input: bool = False,
    reset: Reset = "hard",
) -> Tensor:
    """Potentials before reset, h (T, B, ...), of the same recurrence: what LIAF's output reads.

    The arguments and errors are those of :func:`lif_multistep`.
    """
    k = check_constants(x_tbn, decay, tau, v_threshold)
    return _run(x_tbn, k, Constants(v_threshold, reset == "hard", decay_input))


def _run(x: Tensor, k: float | Tensor, constants: Constants) -> Tensor:
    if not constants.hold and len(x) > 1 and x.stride(0) == 0:  # one storage at every step: read it once
        constants, x = constants._replace(hold=len(x), each=True), _expanded(x)
    out: Tensor = Leaky.apply(x, k, constants)
    return out


def _expanded(x: Tensor) -> Tensor:
    """What was expanded along the first axis; itself where it is at hand: indexing copies gradients."""
    base = x._base
    if base is not None and base.shape == x.shape[1:] and base.stride() == x.stride()[1:]:
        return base
    return x[0]


def spike(h: Tensor, v_threshold: float, surrogate: Surrogate) -> Tensor:
    """One where the potential reaches the threshold, else zero; the surrogate is its gradient."""
    return Spike.apply(h, v_threshold, surrogate)  # type: ignore[no-any-return]


def check_constants(
    x_tbn: Tensor, decay: float | Tensor | None, tau: float | None, v_threshold: float
) -> float | Tensor:
    """The decay k of a step, after checking the sequence and the constants."""
    if x_tbn.dim() < 1 or x_tbn.shape[0] == 0:
        raise HarnessError(
            f"neurons: the input has shape {tuple(x_tbn.shape)}; the first axis is time and "
            "needs at least 1 timestep. Set timesteps to 1 or more."
        )
    if (decay is None) == (tau is None):
        raise HarnessError("neurons: give exactly one of decay and tau.")
    if not v_threshold > 0:
        raise HarnessError(f"neurons: v_threshold {v_threshold} is not positive; try 1.0.")
    if tau is not None:
        if not tau >= 1:
            raise HarnessError(f"neurons: tau {tau} is below 1 timestep; allowed are 1 to inf.")
        return 1.0 - 1.0 / tau
    if isinstance(decay, float) and not 0.0 <= decay <= 1.0:
        raise HarnessError(f"neurons: decay {decay} is outside 0 to 1.")
    if decay is None:  # excluded above; for the type checker
        raise AssertionError
    return decay
