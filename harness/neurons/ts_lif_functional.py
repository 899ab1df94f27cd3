"""TS-LIF over all timesteps in one autograd node: forward, and backward through time by hand.

Both forms of the neuron (TS-LIF, arXiv 2503.05108, Eq. 4-6, and its released code) are one linear
recurrence with thresholds; they differ in the ties between constants, which live outside this
module, and in the moment of the reset (`late`). Per element, `x` the input current:

    u_d[t] = k11*p_d[t-1] + k12*p_s[t-1] + kx1*x[t]          d: dendrite, s: soma
    u_s[t] = k22*p_s[t-1] + k21*u_d[t]   + kx2*x[t]
    s[t] = 1[u[t] >= v_th];  out[t] = m_d*s_d[t] + m_s*s_s[t]

`late` False (released code): p = u - g*s.  `late` True (paper): p = u, and -g*s[t-1] enters the
next u undecayed. States start at zero; the reset is not detached.

Only the input and the constants are kept for the backward pass. The membranes are computed again
there, in blocks that stay in the processor's cache, so memory does not grow with T. A block makes
its views once: at this size, indexing a tensor costs as much as adding two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from harness.errors import HarnessError
from harness.neurons.surrogate import Surrogate

#: Elements of a block on the CPU (its buffers stay near the second-level cache) and on a GPU.
CPU_BLOCK, GPU_BLOCK = 65536, 1 << 22


class Rule(NamedTuple):
    """What a call fixes.

    ``hold`` 0: the input has a time axis. ``hold`` n > 0: the input is held for n steps and the
    mean of the n outputs is returned.
    """

    v_threshold: float = 1.0
    surrogate: Surrogate = Surrogate()
    late: bool = False
    hold: int = 0


class Gains(NamedTuple):
    """The constants of the recurrence, in the order of the ``gains`` tensor (8,)."""

    k11: float
    k12: float
    kx1: float
    k22: float
    k21: float
    kx2: float
    g1: float
    g2: float


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
    if mix.shape[1] > 1:
        inner = math.prod(x.shape[axis + 1 :])
        mix = mix if inner == 1 else mix[:, :, None].expand(-1, -1, inner).reshape(2, -1)
    current = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    out: Tensor = _TSLIF.apply(current.contiguous(), gains, mix, rule)
    return out.to(x.dtype)


class _Block:
    """Buffers of one block of n elements over T steps. First axis: 0 dendrite, 1 soma.

    Kept for every step are the membranes and spikes, ``z``: rows u_d, u_s, s_d, s_s.
    """

    def __init__(self, steps: int, n: int, like: Tensor, *, hold: bool, backward: bool) -> None:
        self.steps, self.n = steps, n
        kept = steps if backward else min(steps, 2)  # a forward pass looks one step back
        z = like.new_empty(4, kept, n)
        self.z = [tuple(z[:, t % kept]) for t in range(steps)]
        self.us = [z[:2, t % kept] for t in range(steps)]
        self.ss = [z[2:, t % kept] for t in range(steps)]
        self.rows = [z[:, t % kept].t() for t in range(steps)]
        self.drive, self.p, self.spikes = (like.new_empty(2, n) for _ in range(3))
        if backward:
            self.out = like.new_empty(2, 1 if hold else steps, n)
            self.outs = [self.out[:, t % self.out.shape[1]] for t in range(steps)]
            self.g = [like.new_empty(2, n) for _ in range(2)]
            self.g_sum, self.den = like.new_empty(2, n), like.new_empty(2, n)

    def run(self, x_tn: Tensor, k: Gains, rule: Rule) -> Iterator[Tensor]:
        """Run from rest on ``x_tn`` (T or 1, n); yields the spikes (2, n) after each step."""
        column = x_tn.new_tensor([[k.kx1, -k.g1], [k.kx2, -k.g2]])
        gain, reset = column[:, :1], column[:, 1:]
        (drive_d, drive_s), (p_d, p_s) = self.drive, self.p
        for t, (u, s) in enumerate(zip(self.us, self.ss, strict=True)):
            if t < len(x_tn):
                torch.mul(x_tn[t], gain, out=self.drive)
            u_d, u_s, _, _ = self.z[t]
            if t:
                if rule.late:
                    p_d, p_s, _, _ = self.z[t - 1]
                torch.add(drive_d, p_d, alpha=k.k11, out=u_d).add_(p_s, alpha=k.k12)
                torch.add(drive_s, p_s, alpha=k.k22, out=u_s)
                if rule.late:
                    u.addcmul_(self.ss[t - 1], reset)
            else:
                u.copy_(self.drive)
            u_s.add_(u_d, alpha=k.k21)
            torch.ge(u, rule.v_threshold, out=s)
            if not rule.late and t + 1 < self.steps:
                torch.addcmul(u, s, reset, out=self.p)
            yield s

    def run_back(self, x_tn: Tensor, k: Gains, rule: Rule, grad_x_tn: Tensor) -> list[float]:
        """From ``out`` = dL/ds through the output: dL/dx into ``grad_x_tn``, returns dL/d(gains)."""
        column = x_tn.new_tensor([[k.k11, -k.g1], [k.k22, -k.g2]])
        decay, reset = column[:, :1], column[:, 1:]
        by_z, by_x = x_tn.new_zeros(2, 4), x_tn.new_zeros(2)
        hold, late = bool(rule.hold), rule.late
        g, later = self.g
        for t in range(self.steps - 1, -1, -1):
            out, gain = self.outs[t], self._denominator(t, rule)
            if t + 1 < self.steps:
                by_z.addmm_(later, self.rows[t])
                torch.mul(later, decay, out=g)
                g[1].add_(later[0], alpha=k.k12)  # g is dL/dp[t] now: what the early reset meets
                out = torch.addcmul(out, later if late else g, reset, out=self.drive)
                g.addcdiv_(out, self.den, value=gain)
            else:
                torch.div(out, self.den, out=g).mul_(gain)
            g[0].add_(g[1], alpha=k.k21)
            if not hold:
                torch.mul(g[0], k.kx1, out=grad_x_tn[t]).add_(g[1], alpha=k.kx2)
                by_x.addmv_(g, x_tn[t])
            elif t + 1 < self.steps:
                self.g_sum.add_(g)
            else:
                self.g_sum.copy_(g)
            g, later = later, g
        if hold:
            torch.mul(self.g_sum[0], k.kx1, out=grad_x_tn[0]).add_(self.g_sum[1], alpha=k.kx2)
            by_x.addmv_(self.g_sum, x_tn[0])
        return _gains_grad(by_z.tolist(), by_x.tolist(), k, late=late)

    def _denominator(self, t: int, rule: Rule) -> float:
        """Fill ``den``: the surrogate's derivative at step t is the returned factor over it."""
        torch.sub(self.us[t], rule.v_threshold, out=self.den)
        if rule.surrogate.name != "atan":
            torch.reciprocal(rule.surrogate.derivative(self.den), out=self.den)
            return 1.0
        # (a/2) / (1 + (pi/2 a u)^2) = (a/2) c^2 / (c^2 + u^2) with c = 2 / (pi a), a = 1 / width
        c = 2.0 * rule.surrogate.width / math.pi
        torch.addcmul(self.den.new_tensor(c * c), self.den, self.den, out=self.den)
        return 0.5 * c * c / rule.surrogate.width


def _gains_grad(by_z: list[list[float]], by_x: list[float], k: Gains, *, late: bool) -> list[float]:
    """dL/d(gains) from the sums of dL/du[t] with u[t-1], s[t-1] (2, 4) and with x[t] (2,)."""
    g = (k.g1, k.g2)
    d, s = by_z
    if not late:  # what is carried is p = u - g*s
        d, s = ([*(row[i] - g[i] * row[2 + i] for i in (0, 1)), row[2], row[3]] for row in (d, s))
    k21 = k.k11 * s[0] + k.k12 * s[1] + k.kx1 * by_x[1] - (k.g1 * s[2] if late else 0.0)
    g1, g2 = -d[2], -s[3]
    if not late:
        g1, g2 = k.k11 * g1, k.k22 * g2 - k.k12 * d[3]
    return [d[0], d[1], by_x[0], s[1], k21, by_x[1], g1, g2]


class _Call:
    """What both passes of a call share: flat views, the constants, and blocks with their buffers.

    A block holds whole rows of the mix, whose weights are laid out once for all its elements, so
    that every pass runs over contiguous memory.
    """

    def __init__(self, x: Tensor, gains: Tensor, mix: Tensor, rule: Rule) -> None:
        self.k, self.rule, self.steps = Gains(*gains.tolist()), rule, rule.hold or len(x)
        self.x_tf = x.view(1 if rule.hold else len(x), -1)
        self.columns, total = mix.shape[1], self.x_tf.shape[1]
        limit = CPU_BLOCK if x.device.type == "cpu" else GPU_BLOCK
        self.size = min(total, max(1, limit // self.columns) * self.columns)
        mix = mix / rule.hold if rule.hold else mix
        self.mix = mix if self.columns == 1 else mix.repeat(1, self.size // self.columns)

    def blocks(self, *, backward: bool) -> Iterator[tuple[slice, Tensor, _Block]]:
        """Flat positions, the mix (2, n or 1) there and a block to run; buffers are used again."""
        block: _Block | None = None
        for first in range(0, self.x_tf.shape[1], self.size):
            at = slice(first, min(first + self.size, self.x_tf.shape[1]))
            n = at.stop - at.start
            if block is None or block.n != n:
                hold = bool(self.rule.hold)
                block = _Block(self.steps, n, self.x_tf, hold=hold, backward=backward)
            yield at, self.mix[:, :n], block

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
            out_tn = out_tf[:, at]
            for t, s in enumerate(block.run(call.x_tf[:, at], call.k, rule)):
                if rule.hold:
                    s = _count(block.spikes, s, t)
                if t + 1 == rule.hold or not rule.hold:
                    out_n = out_tn[0 if rule.hold else t]
                    torch.mul(s[0], m_d, out=out_n).addcmul_(s[1], m_s)
        return out_tf.view_as(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, gains, mix = ctx.saved_tensors
        rule: Rule = ctx.rule
        call = _Call(x, gains, mix, rule)
        grad_tf, grad_x = grad.reshape(call.x_tf.shape), torch.empty_like(call.x_tf)
        by_mix = mix.new_zeros(2) if call.columns == 1 else mix.new_zeros(2, call.size)
        grad_gains = torch.zeros_like(gains)
        for at, weights, block in call.blocks(backward=True):
            x_tn, grad_tn = call.x_tf[:, at], grad_tf[:, at]
            for t, s in enumerate(block.run(x_tn, call.k, rule)):
                if rule.hold:
                    s = _count(block.spikes, s, t)
                if t + 1 == rule.hold or not rule.hold:
                    grad_n = grad_tn[0 if rule.hold else t]
                    torch.mul(grad_n, weights, out=block.outs[t])
                    if ctx.needs_input_grad[2]:
                        call.add_mix_grad(by_mix, s, grad_n)
            grad_gains += gains.new_tensor(block.run_back(x_tn, call.k, rule, grad_x[:, at]))
        grad_mix = by_mix.view(2, -1, call.columns).sum(1) / (rule.hold or 1)
        return grad_x.view_as(x), grad_gains, grad_mix, None


def _count(total: Tensor, s: Tensor, t: int) -> Tensor:
    """Spikes summed up to step t, in place."""
    return total.add_(s) if t else total.copy_(s)
