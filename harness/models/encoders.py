"""From what a data set gives to the network's input currents, (T, B, ...), time first.

Static values become sequences by one of three codes: *direct* (the value at every step: constant
current), *poisson* (a spike with probability x at each step), *latency* (one spike, the earlier
the larger the value). Sequences keep their own time axis. Events are binned at T timesteps.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from harness.contracts import Batch, Events
from harness.errors import HarnessError
from harness.events.binning import by_count, by_time

Code = Literal["direct", "poisson", "latency"]
FrameSplit = Literal["time", "count"]


def check_timesteps(timesteps: int) -> int:
    """T if it is at least 1. Raises HarnessError."""
    if timesteps < 1:
        raise HarnessError(f"timesteps: {timesteps} is too few; an SNN needs at least 1 timestep.")
    return timesteps


def direct(x_b: Tensor, timesteps: int) -> Tensor:
    """Constant current: the values at every step, (T, B, ...), one storage expanded over T."""
    return x_b.unsqueeze(0).expand(check_timesteps(timesteps), *x_b.shape)


def poisson(x_b: Tensor, timesteps: int, generator: torch.Generator) -> Tensor:
    """Spikes of probability x in [0, 1] at each step, independent: (T, B, ...) of 0 and 1.

    Values outside [0, 1] are limited to it. ``generator`` lives on the device of ``x_b``.
    """
    shape = (check_timesteps(timesteps), *x_b.shape)
    drawn = torch.rand(shape, generator=generator, device=x_b.device, dtype=x_b.dtype)
    return (drawn < x_b.clamp(0.0, 1.0)).to(x_b.dtype)


def latency(x_b: Tensor, timesteps: int) -> Tensor:
    """One spike a value at step round((T - 1)(1 - x)); x in [0, 1]; a zero spikes last.

    (T, B, ...) of 0 and 1. Source: SpikingJelly's LatencyEncoder, linear form.
    """
    last = check_timesteps(timesteps) - 1
    at = torch.round((1.0 - x_b.clamp(0.0, 1.0)) * last)
    steps = torch.arange(timesteps, device=x_b.device, dtype=x_b.dtype)
    return (at == steps.reshape(-1, *([1] * x_b.dim()))).to(x_b.dtype)


def static(x_b: Tensor, timesteps: int, code: Code, generator: torch.Generator | None = None) -> Tensor:
    """Static values (B, ...) as a sequence (T, B, ...) by one of the codes."""
    if code == "direct":
        return direct(x_b, timesteps)
    if code == "latency":
        return latency(x_b, timesteps)
    if generator is None:
        raise HarnessError("the poisson code needs a generator with a seed of its own.")
    return poisson(x_b, timesteps, generator)


def time_major(
    batch: Batch,
    timesteps: int,
    *,
    code: Code = "direct",
    split: FrameSplit = "time",
    generator: torch.Generator | None = None,
    sequence: bool = False,
) -> Tensor:
    """A batch of any layout as (T, B, ...).

    ``sequence`` says that a dense ``x`` is (B, T, ...) with its own time axis (layouts ntc and
    ntchw): it is transposed and ``timesteps`` is not used. Events are binned into T frames of
    equal duration (``split`` time) or of equal numbers of events (count).
    Raises HarnessError for fewer than 1 timestep.
    """
    if isinstance(batch.x, Events):
        steps = check_timesteps(timesteps)
        if split == "count":
            return by_count(batch.x, steps=steps)
        return by_time(batch.x, steps=steps)
    if sequence:
        return batch.x.transpose(0, 1)
    return static(batch.x, timesteps, code, generator)
