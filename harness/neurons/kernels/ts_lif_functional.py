"""TS-LIF over all timesteps, checked, as one autograd node.

What computes is chosen for each call (:mod:`harness.neurons.kernels.choice`).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from harness.errors import HarnessError
from harness.neurons.kernels import choice
from harness.neurons.kernels.ts_lif_recurrence import Rule


def ts_lif_multistep(x: Tensor, gains: Tensor, mix: Tensor, rule: Rule, axis: int = -1) -> Tensor:
    """Run TS-LIF neurons from rest.

    ``x`` is the input current (T, B, ...), or (B, ...) if ``rule.hold``; ``gains`` (8,) as in
    :class:`Gains`; ``mix`` (2, 1) or (2, F) the weights of dendrite and soma spikes, F the length
    of ``x``'s ``axis``. Returns the mixed spikes in the shape and type of ``x``. Raises
    HarnessError if there is no timestep or the mix does not fit.
    """
    batch_axis = 0 if rule.hold else 1
    if x.dim() <= batch_axis or (not rule.hold and x.shape[0] == 0):
        raise HarnessError(
            f"neuron 'ts-lif': the input has shape {tuple(x.shape)}; the first axis is time and "
            "needs at least 1 timestep. Set timesteps to 1 or more."
        )
    axis = axis % x.dim()
    if mix.shape[1] not in (1, x.shape[axis]) or axis < batch_axis:
        raise HarnessError(
            f"neuron 'ts-lif': {mix.shape[1]} mixing weights do not fit axis {axis} of an input of "
            f"shape {tuple(x.shape)}. Build the layer with features={x.shape[axis]}."
        )
    if x.numel() == 0:
        return torch.zeros_like(x)
    inner = math.prod(x.shape[axis + 1 :]) if mix.shape[1] > 1 else 1
    out: Tensor = TSLIF.apply(x, gains, mix, rule, inner)
    return out


class TSLIF(torch.autograd.Function):
    """Mixed spikes of TS-LIF; element i of a row has feature (i // inner) % F of the mix (2, F).

    Only the input and the constants are kept; membranes are computed again in the backward pass.
    """

    @staticmethod
    def forward(x: Tensor, gains: Tensor, mix: Tensor, rule: Rule, inner: int) -> Tensor:
        out: Tensor = choice.ts_lif(x, gains, rule).forward(x, gains, mix, rule, inner)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *tensors, ctx.rule, ctx.inner = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, gains, mix = ctx.saved_tensors
        run = choice.ts_lif(x, gains, ctx.rule).backward
        found = run(x, grad, gains, mix, ctx.rule, ctx.inner, tuple(ctx.needs_input_grad[1:3]))
        return *found, None, None

    @staticmethod
    def vmap(
        info: Any, in_dims: Any, x: Tensor, gains: Tensor, mix: Tensor, rule: Rule, inner: int
    ) -> tuple[Tensor, int]:
        """Every network by itself: each has constants of its own."""
        each = [
            [
                tensor if dim is None else tensor.select(dim, i)
                for tensor, dim in zip((x, gains, mix), in_dims[:3], strict=True)
            ]
            for i in range(info.batch_size)
        ]
        return torch.stack([TSLIF.apply(*tensors, rule, inner) for tensors in each]), 0
