"""The leaky integrate-and-fire recurrence over a sequence, as single autograd functions.

The equations (arXiv 2203.01158 section 3; arXiv 2306.17670; SpikingJelly's LIFNode)::

    h[t] = k v[t-1] + c x[t]      k = 1 - 1/tau;  c = 1, or 1/tau where the input decays
    s[t] = [h[t] >= v_threshold]
    v[t] = (1 - s[t]) h[t]        hard reset to 0, or h[t] - v_threshold s[t] (soft)

with v before the first step 0 and the reset detached. The gradient is the recurrence run back::

    e[t] = gh[t] + k gv'[t] e[t+1],   gv'[t] = 1 - s[t] (hard) or 1 (soft)

Two in-place passes a step and no graph of steps: the reset ``v = h where h < threshold`` is one
call of hardtanh's backward, which passes its first argument where the second is strictly inside
the bounds. Use it through :mod:`harness.neurons.kernels.functional`, which checks its arguments.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from harness.neurons.kernels.surrogate import Surrogate

Reset = Literal["hard", "soft"]

_UNBOUNDED = -math.inf
_pass_inside = torch.ops.aten.hardtanh_backward.grad_input


def _scaled(x: Tensor, k: float, decay_input: bool) -> Tensor:
    return x * (1.0 - k) if decay_input else x


def _after_reset(h: Tensor, v_threshold: float, reset: Reset, out: Tensor) -> Tensor:
    """Write v into ``out``: h where it stayed below the threshold, else 0 (hard)."""
    if reset == "hard":
        _pass_inside(h, h, _UNBOUNDED, v_threshold, grad_input=out)
    else:
        torch.ge(h, v_threshold, out=out)
        torch.sub(h, out, alpha=v_threshold, out=out)
    return out


def _potentials(x: Tensor, k: float, v_threshold: float, decay_input: bool, reset: Reset) -> Tensor:
    """h for every step (T, ...), from rest."""
    x = _scaled(x, k, decay_input)
    h = torch.empty_like(x)  # keeps channels-last
    h[0].copy_(x[0])
    v = torch.empty_like(h[0])
    for t in range(1, x.shape[0]):
        _after_reset(h[t - 1], v_threshold, reset, v)
        torch.add(x[t], v, alpha=k, out=h[t])
    return h


def _run_back(e: Tensor, h: Tensor, k: float, v_threshold: float, reset: Reset) -> Tensor:
    """Turn gh into e in place, from the last step to the first."""
    kept = torch.empty_like(e[0])
    for t in range(e.shape[0] - 2, -1, -1):
        if reset == "hard":
            _pass_inside(e[t + 1], h[t], _UNBOUNDED, v_threshold, grad_input=kept)
            e[t].add_(kept, alpha=k)
        else:
            e[t].add_(e[t + 1], alpha=k)
    return e


def _decay_gradient(e: Tensor, h: Tensor, x: Tensor | None, v_threshold: float, reset: Reset) -> Tensor:
    """dL/dk = sum of e[t] v[t-1], less e[t] x[t] where the input decays (c = 1 - k)."""
    v = torch.empty_like(h)
    _after_reset(h, v_threshold, reset, v)
    total = torch.sum(e[1:] * v[:-1])
    return total if x is None else total - torch.sum(e * x)


class _Core(torch.autograd.Function):
    """What the functions below share: saving for, and finishing, the backward recurrence."""

    @staticmethod
    def prepare(ctx: Any, x: Tensor, k: float | Tensor, options: tuple[float, bool, Reset]) -> Tensor:
        learned = isinstance(k, Tensor)
        ctx.k = float(k.detach()) if isinstance(k, Tensor) else k
        ctx.k_shape = k.shape if isinstance(k, Tensor) else None
        ctx.options = options
        h = _potentials(x, ctx.k, *options)
        ctx.save_for_backward(h, *([x] if learned and options[1] else []))
        return h

    @staticmethod
    def finish(ctx: Any, e: Tensor) -> tuple[Tensor, Tensor | None]:
        v_threshold, decay_input, reset = ctx.options
        h, *inputs = ctx.saved_tensors
        e = _run_back(e, h, ctx.k, v_threshold, reset)
        grad_k = None
        if ctx.k_shape is not None and ctx.needs_input_grad[1]:
            x = inputs[0] if inputs else None
            grad_k = _decay_gradient(e, h, x, v_threshold, reset).reshape(ctx.k_shape)
        return (e.mul_(1.0 - ctx.k) if decay_input else e), grad_k


class LIF(torch.autograd.Function):
    """Spikes of a sequence of currents."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        k: float | Tensor,
        surrogate: Surrogate,
        v_threshold: float,
        decay_input: bool,
        reset: Reset,
    ) -> Tensor:
        h = _Core.prepare(ctx, x, k, (v_threshold, decay_input, reset))
        ctx.surrogate = surrogate
        return torch.ge(h, v_threshold, out=torch.empty_like(h))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        h = ctx.saved_tensors[0]
        e = ctx.surrogate.backward(grad, h, ctx.options[0])
        return *_Core.finish(ctx, e), None, None, None, None


class LIFWithPotential(torch.autograd.Function):
    """Spikes, and potentials after reset, of a sequence of currents."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        k: float | Tensor,
        surrogate: Surrogate,
        v_threshold: float,
        decay_input: bool,
        reset: Reset,
    ) -> tuple[Tensor, Tensor]:
        h = _Core.prepare(ctx, x, k, (v_threshold, decay_input, reset))
        ctx.surrogate = surrogate
        spikes = torch.ge(h, v_threshold, out=torch.empty_like(h))
        return spikes, _after_reset(h, v_threshold, reset, torch.empty_like(h))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, grad_v: Tensor) -> tuple[Tensor | None, ...]:
        h = ctx.saved_tensors[0]
        v_threshold, _, reset = ctx.options
        e = ctx.surrogate.backward(grad, h, v_threshold)
        if reset == "hard":
            e.add_(torch.ops.aten.hardtanh_backward(grad_v, h, _UNBOUNDED, v_threshold))
        else:
            e.add_(grad_v)
        return *_Core.finish(ctx, e), None, None, None, None


class Integrate(torch.autograd.Function):
    """Potentials before reset of a sequence of currents."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        k: float | Tensor,
        v_threshold: float,
        decay_input: bool,
        reset: Reset,
    ) -> Tensor:
        h = _Core.prepare(ctx, x, k, (v_threshold, decay_input, reset))
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return *_Core.finish(ctx, grad.clone()), None, None, None


class Spike(torch.autograd.Function):
    """The spike function of a potential, with its surrogate gradient."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, v_threshold: float, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(h)
        ctx.v_threshold, ctx.surrogate = v_threshold, surrogate
        return torch.ge(h, v_threshold, out=torch.empty_like(h))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (h,) = ctx.saved_tensors
        return ctx.surrogate.backward(grad, h, ctx.v_threshold), None, None
