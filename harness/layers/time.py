"""Ordinary layers over a time-major sequence."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


def constant_in_time(x_tb: Tensor) -> bool:
    """Whether every timestep is one and the same storage (an expanded view), as in direct coding."""
    return x_tb.shape[0] > 1 and x_tb.stride(0) == 0


def over_time(layer: Callable[[Tensor], Tensor], x_tb: Tensor) -> Tensor:
    """Apply a layer without memory to every step: (T, B, ...) to (T, B, ...).

    Steps are folded into the batch, so normalisation sees T * B samples. Where the input is the
    same storage at every step (direct coding), the layer runs once and its output is expanded:
    the same values for 1/T of the work. (Batch statistics over T copies are those over one; only
    the running variance's factor n / (n - 1) then counts B instead of T * B samples.)
    """
    if constant_in_time(x_tb):
        once_b = layer(x_tb[0])
        return once_b.unsqueeze(0).expand(x_tb.shape[0], *once_b.shape)
    steps, batch = x_tb.shape[:2]
    out = layer(x_tb.flatten(0, 1))
    return out.reshape(steps, batch, *out.shape[1:])


def mean_over_time(x_tb: Tensor, length: Tensor | None = None) -> Tensor:
    """The mean over T: (T, B, ...) to (B, ...); with ``length`` (B,) over a sample's first steps."""
    if length is None:
        return x_tb.mean(0)
    shape = (1, -1) + (1,) * (x_tb.dim() - 2)
    count = length.clamp(min=1, max=x_tb.shape[0]).to(x_tb.device)
    step = count.new_tensor(range(x_tb.shape[0])).reshape(-1, *([1] * (x_tb.dim() - 1)))
    inside = (step < count.reshape(shape)).to(x_tb.dtype)
    return (x_tb * inside).sum(0) / count.reshape(shape[1:]).to(x_tb.dtype)
