"""Leaky neurons as autograd nodes: one for a sequence, one for the spike function alone.

Only the input and the decay are kept; potentials are computed again in the backward pass. What computes
is chosen for each call (:mod:`harness.neurons.kernels.choice`). Under ``torch.func.vmap`` the mapped axis
becomes a group axis, so that several networks run as one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from harness.neurons.kernels import choice
from harness.neurons.kernels.recurrence import Constants
from harness.neurons.kernels.surrogate import Surrogate


class Leaky(torch.autograd.Function):
    """Spikes, rates or potentials of leaky neurons from currents; see :class:`Constants`."""

    @staticmethod
    def forward(x: Tensor, k: float | Tensor, constants: Constants) -> Tensor:
        out: Tensor = choice.leaky(x, constants).forward(x, k, constants)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, k, ctx.constants = inputs
        learned = isinstance(k, Tensor)
        ctx.save_for_backward(x, *([k] if learned else []))
        ctx.k = None if learned else k

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, *learned = ctx.saved_tensors
        k = learned[0] if learned else ctx.k
        run = choice.leaky(x, ctx.constants).backward
        grad_x, grad_k = run(x, grad, k, ctx.constants, learned=bool(ctx.needs_input_grad[1]))
        return grad_x, None if grad_k is None else grad_k.reshape(k.shape).to(k.dtype), None

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, k: float | Tensor, constants: Constants) -> Any:
        time, groups = 0 if constants.hold else 1, info.batch_size
        if in_dims[1] is None:  # one decay: the mapped axis is one more of the batch
            return Leaky.apply(x.movedim(in_dims[0], time), k, constants), 0 if constants.mean else 1
        x = x.expand(groups, *x.shape) if in_dims[0] is None else x.movedim(in_dims[0], 0)
        return Leaky.apply(x.contiguous(), k, constants._replace(groups=groups)), 0


class Spike(torch.autograd.Function):
    """One where a potential reaches the threshold, with its surrogate gradient."""

    @staticmethod
    def forward(h: Tensor, v_threshold: float, surrogate: Surrogate) -> Tensor:
        return torch.ge(h, v_threshold, out=torch.empty_like(h))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        h, ctx.v_threshold, ctx.surrogate = inputs
        ctx.save_for_backward(h)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (h,) = ctx.saved_tensors
        return ctx.surrogate.backward(grad, h, ctx.v_threshold), None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, h: Tensor, v_threshold: float, surrogate: Surrogate) -> Any:
        return Spike.apply(h, v_threshold, surrogate), in_dims[0]
