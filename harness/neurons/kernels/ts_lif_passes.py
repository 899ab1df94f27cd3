"""TS-LIF over all timesteps as passes of torch; the recurrence is in `ts_lif_recurrence`.

The backward pass computes the membranes again, in blocks that stay in the processor's cache, so memory
does not grow with T. What the kernels are tested against, and what runs where none fits.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from harness.neurons.kernels.ts_lif_recurrence import Block, Form, Gains, Rule, Sums

#: Elements of a block on the CPU (its buffers stay near the second-level cache) and on a GPU.
CPU_BLOCK, GPU_BLOCK = 32768, 1 << 22


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


def forward(x: Tensor, gains: Tensor, mix: Tensor, rule: Rule, inner: int) -> Tensor:
    """Mixed spikes; element i of a row has feature (i // inner) % F of the mix (2, F)."""
    call = _Call(x.contiguous(), gains, _spread(mix, inner), rule)
    out_tf = torch.empty_like(call.x_tf)
    for at, (m_d, m_s), block in call.blocks(backward=False):
        for t, (s_d, s_s) in call.spikes(block, call.x_tf[:, at]):
            torch.mul(s_d, m_d, out=out_tf[t, at]).addcmul_(s_s, m_s)
    return out_tf.view(x.shape)


def backward(
    x: Tensor, grad: Tensor, gains: Tensor, mix: Tensor, rule: Rule, inner: int, wanted: tuple[bool, bool]
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """dL/dx and, where ``wanted``, dL/d(gains) (8,) and dL/d(mix) (2, F)."""
    spread = _spread(mix, inner)
    call, sums = _Call(x.contiguous(), gains, spread, rule), Sums(x)
    grad_tf, grad_x = grad.reshape(call.x_tf.shape), torch.empty_like(call.x_tf)
    by_mix = mix.new_zeros(2) if call.columns == 1 else mix.new_zeros(2, call.size)
    for at, weights, block in call.blocks(backward=True):
        x_tn, grad_tn = call.x_tf[:, at], grad_tf[:, at]
        for t, s in call.spikes(block, x_tn):
            torch.mul(grad_tn[t], weights, out=block.outs[t])
            if wanted[1]:
                call.add_mix_grad(by_mix, s, grad_tn[t])
        block.run_back(x_tn, call.form, rule, sums, grad_x[:, at])
    grad_gains = gains.new_tensor(sums.gains_grad(call.k, late=rule.late)) if wanted[0] else None
    grad_mix = by_mix.view(2, -1, call.columns).sum(1) / (rule.hold or 1)
    if mix.shape[1] > 1:
        grad_mix = grad_mix.view(2, mix.shape[1], inner).sum(2)
    return grad_x.view(x.shape), grad_gains, grad_mix if wanted[1] else None


def _spread(mix: Tensor, inner: int) -> Tensor:
    """The mix of every element of a period, (2, F * inner), or (2, 1)."""
    return mix if mix.shape[1] == 1 or inner == 1 else mix.repeat_interleave(inner, dim=1)
