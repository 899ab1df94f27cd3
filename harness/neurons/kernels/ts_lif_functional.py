"""TS-LIF over all timesteps in one autograd node; the recurrence is in `ts_lif_recurrence`.

Only the input and the constants are kept for the backward pass. The membranes are computed again
there, in blocks that stay in the processor's cache, so memory does not grow with T.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from harness.errors import HarnessError
from harness.neurons.kernels import compiled
from harness.neurons.kernels.ts_lif_recurrence import Block, Form, Gains, Rule, Sums

#: Elements of a block on the CPU (its buffers stay near the second-level cache) and on a GPU.
CPU_BLOCK, GPU_BLOCK = 32768, 1 << 22


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
    if _in_loops(x, gains, rule):
        out: Tensor = compiled.TSLIF.apply(x.float(), gains, mix.float(), rule, inner)
        return out.to(x.dtype)
    if mix.shape[1] > 1:
        mix = mix if inner == 1 else mix[:, :, None].expand(-1, -1, inner).reshape(2, -1)
    current = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    out = _TSLIF.apply(current.contiguous(), gains, mix, rule)
    return out.to(x.dtype)


def _in_loops(x: Tensor, gains: Tensor, rule: Rule) -> bool:
    single = gains.dtype == torch.float32 and x.dtype != torch.float64
    return single and compiled.covers(gains, rule.surrogate) and compiled.ts_lif_loops() is not None


class _Call:
    """What both passes of a call share: flat views, the constants, and blocks with their buffers.

    A block holds whole rows of the mix, whose weights are laid out once for all its elements, so
    that every pass runs over contiguous memory.
    """

    def __init__(self, x: Tensor, gains: Tensor, mix: Tensor, rule: Rule) -> None:
        self.k, self.rule, self.steps = Gains(*gains.tolist()), rule, rule.hold or len(x)
        self.x_tf = x.view(1 if rule.hold else len(x), -1)
        self.columns, total = mix.shape[1], self.x_tf.shape[1]
        self.form = Form.of(self.k, rule, x)
        limit = CPU_BLOCK if x.device.type == "cpu" else GPU_BLOCK
        self.size = min(total, max(1, limit // self.columns) * self.columns)
        mix = mix / rule.hold if rule.hold else mix
        self.mix = mix if self.columns == 1 else mix.repeat(1, self.size // self.columns)

    def blocks(self, *, backward: bool) -> Iterator[tuple[slice, Tensor, Block]]:
        """Flat positions, the mix (2, n or 1) there and a block to run; buffers are used again."""
        block: Block | None = None
        for first in range(0, self.x_tf.shape[1], self.size):
            at = slice(first, min(first + self.size, self.x_tf.shape[1]))
            n = at.stop - at.start
            if block is None or block.n != n:
                hold = bool(self.rule.hold)
                block = Block(self.steps, n, self.x_tf, hold=hold, backward=backward)
            yield at, self.mix[:, :n], block

    def spikes(self, block: Block, x_tn: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Run a block: every step with its spikes, or of a held input step 0 with the counts."""
        steps = block.run(x_tn, self.form, self.rule)
        if not self.rule.hold:
            yield from enumerate(steps)
            return
        first = next(steps)
        counts = first
        for t, s in enumerate(steps):
            counts = block.spikes.add_(s) if t else torch.add(first, s, out=block.spikes)
        yield 0, counts

    def add_mix_grad(self, total: Tensor, s: Tensor, grad_n: Tensor) -> None:
        """Add dL/d(mix) of spikes ``s`` (2, n) to ``total``: (2,), or (2, size) to be folded."""
        if self.columns == 1:
            total.addmv_(s, grad_n)
        else:
            total[:, : len(grad_n)].addcmul_(s, grad_n)


class _TSLIF(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gains: Tensor, mix: Tensor, rule: Rule) -> Tensor:
        ctx.save_for_backward(x, gains, mix)
        ctx.rule = rule
        call = _Call(x, gains, mix, rule)
        out_tf = torch.empty_like(call.x_tf)
        for at, (m_d, m_s), block in call.blocks(backward=False):
            for t, (s_d, s_s) in call.spikes(block, call.x_tf[:, at]):
                torch.mul(s_d, m_d, out=out_tf[t, at]).addcmul_(s_s, m_s)
        return out_tf.view_as(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, gains, mix = ctx.saved_tensors
        rule: Rule = ctx.rule
        call, sums = _Call(x, gains, mix, rule), Sums(x)
        grad_tf, grad_x = grad.reshape(call.x_tf.shape), torch.empty_like(call.x_tf)
        by_mix = mix.new_zeros(2) if call.columns == 1 else mix.new_zeros(2, call.size)
        for at, weights, block in call.blocks(backward=True):
            x_tn, grad_tn = call.x_tf[:, at], grad_tf[:, at]
            for t, s in call.spikes(block, x_tn):
                torch.mul(grad_tn[t], weights, out=block.outs[t])
                if ctx.needs_input_grad[2]:
                    call.add_mix_grad(by_mix, s, grad_tn[t])
            block.run_back(x_tn, call.form, rule, sums, grad_x[:, at])
        grad_gains = gains.new_tensor(sums.gains_grad(call.k, late=rule.late))
        grad_mix = by_mix.view(2, -1, call.columns).sum(1) / (rule.hold or 1)
        return grad_x.view_as(x), grad_gains, grad_mix, None
