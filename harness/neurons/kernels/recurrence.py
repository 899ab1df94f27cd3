"""The leaky integrate-and-fire recurrence: its equations, and a sequence of them as passes of torch.

The equations (docs/papers.md, LIF and LIAF, and LIF of the delay networks; SpikingJelly's LIFNode)::

    h[t] = k v[t-1] + c x[t]      k = 1 - 1/tau;  c = 1, or 1/tau where the input decays
    s[t] = [h[t] >= v_threshold]
    v[t] = (1 - s[t]) h[t]        hard reset to 0, or h[t] - v_threshold s[t] (soft)

with v before the first step 0 and the reset detached. The gradient is the recurrence run back::

    e[t] = gh[t] + k gv'[t] e[t+1],   gv'[t] = 1 - s[t] (hard) or 1 (soft)

The reset ``v = h where h < threshold`` is one call of hardtanh's backward, which passes its first
argument where the second is strictly inside the bounds; the membrane gets its gradient so, the spike none.
:func:`forward` and :func:`backward` are what the kernels are tested against, and what runs where none
fits (:mod:`harness.neurons.kernels.choice`); the autograd node is :mod:`harness.neurons.kernels.leaky_node`.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from harness.neurons.kernels.surrogate import Surrogate

Reset = Literal["hard", "soft"]

_UNBOUNDED = -math.inf
_below = torch.ops.aten.hardtanh_backward


class Constants(NamedTuple):
    """What a call of a leaky neuron fixes. ``surrogate`` None: the output is the potential h itself.

    ``hold`` 0: the input has a time axis. n > 0: it is held for n steps; the output is the mean of their
    spikes, or with ``each`` what every step gives, with a time axis.
    ``groups`` G > 0: the input has an axis of G before all others, with a decay of its own for each.
    """

    v_threshold: float
    hard: bool
    decay_input: bool = False
    surrogate: Surrogate | None = None
    hold: int = 0
    groups: int = 0
    each: bool = False

    @property
    def mean(self) -> bool:
        """Whether the output has no time axis."""
        return self.hold > 0 and not self.each


def charge(x_b: Tensor, v_b: Tensor, k: float | Tensor, *, decay_input: bool) -> Tensor:
    """The potential before the reset, h (B, ...)."""
    return k * v_b + ((1.0 - k) * x_b if decay_input else x_b)


def after_reset(h: Tensor, v_threshold: float, *, hard: bool) -> Tensor:
    """The potential after the reset, v, of any shape; the spike in it is detached."""
    if hard:
        out: Tensor = _below(h, h, _UNBOUNDED, v_threshold)
        return out
    return h - v_threshold * (h >= v_threshold).to(h.dtype)


def forward(x: Tensor, k: float, constants: Constants) -> Tensor:
    """Spikes, rates or potentials of one group: (T, ...), or (...) for rates."""
    h = _potentials(x, k, constants)
    if constants.surrogate is None:
        return h
    spikes = torch.ge(h, constants.v_threshold, out=torch.empty_like(h))
    return spikes.mean(0) if constants.mean else spikes


def backward(
    x: Tensor, grad: Tensor, k: float, constants: Constants, *, learned: bool
) -> tuple[Tensor, Tensor | None]:
    """dL/dx, and dL/dk () where it is asked, from dL/d(output); potentials are computed again."""
    h, held = _potentials(x, k, constants), constants.hold
    if constants.mean:
        grad = (grad / held).expand(held, *grad.shape)
    if constants.surrogate is None:
        e = grad.clone(memory_format=torch.contiguous_format)
    else:
        e = constants.surrogate.backward(grad, h, constants.v_threshold)
    _run_back(e, h, k, constants)
    grad_k = None
    if learned:
        v = after_reset(h, constants.v_threshold, hard=constants.hard)
        grad_k = torch.sum(e[1:] * v[:-1])
        if constants.decay_input:  # c = 1 - k
            grad_k = grad_k - torch.sum(e * x)
    if held:
        e = e.sum(0)
    return (e.mul_(1.0 - k) if constants.decay_input else e), grad_k


def _potentials(x: Tensor, k: float, constants: Constants) -> Tensor:
    """h for every step (T, ...), from rest."""
    x = x * (1.0 - k) if constants.decay_input else x
    if constants.hold:
        x = x.expand(constants.hold, *x.shape)
    h = torch.empty_like(x)  # keeps channels-last
    h[0].copy_(x[0])
    v = torch.empty_like(h[0])
    for t in range(1, x.shape[0]):
        if constants.hard:
            _below.grad_input(h[t - 1], h[t - 1], _UNBOUNDED, constants.v_threshold, grad_input=v)
        else:
            torch.ge(h[t - 1], constants.v_threshold, out=v)
            torch.sub(h[t - 1], v, alpha=constants.v_threshold, out=v)
        torch.add(x[t], v, alpha=k, out=h[t])
    return h


def _run_back(e: Tensor, h: Tensor, k: float, constants: Constants) -> None:
    """Turn gh into e in place, from the last step to the first."""
    kept = torch.empty_like(e[0])
    for t in range(e.shape[0] - 2, -1, -1):
        if constants.hard:
            _below.grad_input(e[t + 1], h[t], _UNBOUNDED, constants.v_threshold, grad_input=kept)
            e[t].add_(kept, alpha=k)
        else:
            e[t].add_(e[t + 1], alpha=k)
