"""Neurons over a whole sequence as functions: leaky integrate-and-fire, its potentials, its spikes.

The recurrence, its constants and its gradient are those of :mod:`harness.neurons.kernels.recurrence`.
Axes are time-major: ``x_tbn`` is (T, B, ...) for any number of unit axes.
"""

from __future__ import annotations

from typing import Literal, overload

import torch
from torch import Tensor

from harness.errors import HarnessError
from harness.neurons.kernels import compiled
from harness.neurons.kernels import spikingjelly_cuda as kernels
from harness.neurons.kernels.recurrence import (
    LIF,
    Integrate,
    LIFWithPotential,
    Reset,
    Spike,
)
from harness.neurons.kernels.surrogate import Surrogate

ATAN = Surrogate()


@overload
def lif_multistep(
    x_tbn: Tensor,
    decay: float | Tensor | None = ...,
    v_threshold: float = ...,
    surrogate: Surrogate = ...,
    *,
    tau: float | None = ...,
    decay_input: bool = ...,
    reset: Reset = ...,
    return_v: Literal[False] = ...,
) -> Tensor: ...
@overload
def lif_multistep(
    x_tbn: Tensor,
    decay: float | Tensor | None = ...,
    v_threshold: float = ...,
    surrogate: Surrogate = ...,
    *,
    tau: float | None = ...,
    decay_input: bool = ...,
    reset: Reset = ...,
    return_v: Literal[True],
) -> tuple[Tensor, Tensor]: ...
def lif_multistep(
    x_tbn: Tensor,
    decay: float | Tensor | None = None,
    v_threshold: float = 1.0,
    surrogate: Surrogate = ATAN,
    *,
    tau: float | None = None,
    decay_input: bool = False,
    reset: Reset = "hard",
    return_v: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Run LIF neurons from rest over T steps.

    ``x_tbn`` is the input current (T, B, ...). Give either ``decay`` (k, a float or a scalar
    tensor that is learned) or ``tau`` (in timesteps, k = 1 - 1/tau). Returns the spikes, 0 or
    1, in the shape and type of the input; with ``return_v`` also the potentials after reset.
    On CUDA, SpikingJelly's kernels run instead where they cover the case and v is not asked; on a
    CPU compiled loops do.
    Raises HarnessError if T is 0 or a constant is out of range.
    """
    k = check_constants(x_tbn, decay, tau, v_threshold)
    options = (v_threshold, decay_input, reset)
    if x_tbn.is_cuda and not return_v and kernels.covers(surrogate, k):
        return kernels.multistep(
            x_tbn, float(k), v_threshold, surrogate, decay_input=decay_input, reset=reset
        )
    x = _single(x_tbn)
    if return_v:
        spikes, v_tbn = LIFWithPotential.apply(x, k, surrogate, *options)
        return spikes.to(x_tbn.dtype), v_tbn
    if _in_loops(x, k, surrogate, decay_input):
        constants = compiled.Constants(v_threshold, reset == "hard", decay_input, surrogate)
        spikes = compiled.Leaky.apply(x, k, constants)
    else:
        spikes = LIF.apply(x, k, surrogate, *options)
    return spikes.to(x_tbn.dtype)  # type: ignore[no-any-return]


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

    Equal to the mean of :func:`lif_multistep` of the repeated current; on a CPU the current is read once.
    """
    if steps < 1:
        raise HarnessError(f"neurons: {steps} timesteps; set timesteps to 1 or more.")
    x = _single(x_bn)
    if _in_loops(x, decay, surrogate, decay_input):
        check_constants(x[None], decay, None, v_threshold)
        constants = compiled.Constants(v_threshold, reset == "hard", decay_input, surrogate, steps)
        return compiled.Leaky.apply(x, decay, constants).to(x_bn.dtype)  # type: ignore[no-any-return]
    repeated = x_bn.expand(steps, *x_bn.shape)
    spikes = lif_multistep(repeated, decay, v_threshold, surrogate, decay_input=decay_input, reset=reset)
    return spikes.mean(0)


def _single(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _in_loops(x: Tensor, k: float | Tensor, surrogate: Surrogate | None, decay_input: bool) -> bool:
    if decay_input and isinstance(k, Tensor):  # a learned gain of the input has a sum of its own
        return False
    return compiled.covers(x, surrogate) and compiled.loops() is not None


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
    x = _single(x_tbn)
    if _in_loops(x, k, None, decay_input):
        return compiled.Leaky.apply(  # type: ignore[no-any-return]
            x, k, compiled.Constants(v_threshold, reset == "hard", decay_input)
        )
    return Integrate.apply(x, k, v_threshold, decay_input, reset)  # type: ignore[no-any-return]


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
