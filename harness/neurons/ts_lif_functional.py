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
there, in blocks that stay in the processor's cache, so memory does not grow with T.
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

#: Elements of a block on the CPU (near the second-level cache) and on a GPU.
CPU_BLOCK, GPU_BLOCK = 16384, 1 << 22


class Rule(NamedTuple):
    """What a call fixes.

    `hold` 0: the input has a time axis. `hold` n > 0: the input is held for n steps and the mean
    of the n outputs is returned. `learned_reset`: g1 and g2 get gradients.
    """

    v_threshold: float = 1.0
    surrogate: Surrogate = Surrogate()
    late: bool = False
    hold: int = 0
    learned_reset: bool = False


class Gains(NamedTuple):
    """The constants of the recurrence, in the order of the `gains` tensor (8,)."""

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
    """Buffers of one block of n elements over T steps; first axis: 0 dendrite, 1 soma."""

    def __init__(self, steps: int, n: int, like: Tensor, *, backward: bool) -> None:
        self.steps, self.n = steps, n
        self.u, self.s, self.p = (like.new_empty(2, steps, n) for _ in range(3))
        self.drive = like.new_empty(2, n)
        if backward:
            self.slope, self.g = (like.new_empty(2, steps, n) for _ in range(2))

    def run(self, x_tn: Tensor, k: Gains, rule: Rule) -> None:
        """Fill membranes u, spikes s and carried states p, from rest; ``x_tn`` (T or 1, n)."""
        if rule.late:
            self.p = self.u
        drive_d, drive_s = self.drive
        for t in range(self.steps):
            if t < len(x_tn):
                torch.mul(x_tn[t], k.kx1, out=drive_d)
                torch.mul(x_tn[t], k.kx2, out=drive_s)
            (u_d, u_s), (s_d, s_s) = self.u[:, t], self.s[:, t]
            if t:
                p_d, p_s = self.p[:, t - 1]
                torch.add(drive_d, p_d, alpha=k.k11, out=u_d).add_(p_s, alpha=k.k12)
                torch.add(drive_s, p_s, alpha=k.k22, out=u_s)
                if rule.late:
                    u_d.add_(self.s[0, t - 1], alpha=-k.g1)
                    u_s.add_(self.s[1, t - 1], alpha=-k.g2)
            else:
                self.u[:, 0].copy_(self.drive)
            u_s.add_(u_d, alpha=k.k21)
            torch.ge(u_d, rule.v_threshold, out=s_d)
            torch.ge(u_s, rule.v_threshold, out=s_s)
            if not rule.late and t + 1 < self.steps:
                torch.add(u_d, s_d, alpha=-k.g1, out=self.p[0, t])
                torch.add(u_s, s_s, alpha=-k.g2, out=self.p[1, t])

    def run_back(self, g_d: Tensor, g_s: Tensor, k: Gains, rule: Rule) -> None:
        """Fill g = dL/du from dL/ds through the output alone, ``g_d`` and ``g_s`` (T or 1, n)."""
        gain = self._slopes(rule)
        # The early reset meets dL/dp[t], a mix of dL/du[t+1]; the late one meets dL/du[t+1].
        to_d, to_s, cross = (1.0, 1.0, 0.0) if rule.late else (k.k11, k.k22, k.k12)
        spare_d, spare_s = self.drive
        for t in range(self.steps - 1, -1, -1):
            out_d, out_s = g_d[t % len(g_d)], g_s[t % len(g_s)]
            (d, s), (slope_d, slope_s) = self.g[:, t], self.slope[:, t]
            if t + 1 < self.steps:
                next_d, next_s = self.g[:, t + 1]
                torch.mul(next_s, k.k22, out=s).add_(next_d, alpha=k.k12)
                torch.mul(next_d, k.k11, out=d)
                out_d = torch.add(out_d, next_d, alpha=-k.g1 * to_d, out=spare_d)
                out_s = torch.add(out_s, next_s, alpha=-k.g2 * to_s, out=spare_s)
                if cross:
                    out_s.add_(next_d, alpha=-k.g2 * cross)
            else:
                self.g[:, t].zero_()
            s.addcmul_(out_s, slope_s, value=gain)
            d.add_(s, alpha=k.k21).addcmul_(out_d, slope_d, value=gain)

    def _slopes(self, rule: Rule) -> float:
        """Fill ``slope`` with the surrogate's derivative up to the returned factor."""
        torch.sub(self.u, rule.v_threshold, out=self.slope)
        if rule.surrogate.name != "atan":
            self.slope.copy_(rule.surrogate.derivative(self.slope))
            return 1.0
        # (a/2) / (1 + (pi/2 a u)^2) = (a/2) c^2 / (u^2 + c^2) with c = 2 / (pi a), a = 1 / width
        c = 2.0 * rule.surrogate.width / math.pi
        torch.mul(self.slope, self.slope, out=self.slope).add_(c * c).reciprocal_()
        return 0.5 * c * c / rule.surrogate.width

    def input_grad(self, k: Gains, out_tn: Tensor) -> None:
        """dL/dx of a timed input into ``out_tn`` (T, n), or of a held one (1, n)."""
        g = self.g if len(out_tn) == self.steps else self.g.sum(dim=1, keepdim=True)
        torch.mul(g[0], k.kx1, out=out_tn).add_(g[1], alpha=k.kx2)

    def gains_grad(self, x_tn: Tensor, k: Gains, rule: Rule) -> Tensor:
        """dL/d(gains) of this block, (8,)."""
        m = (self.steps - 1) * self.n  # elements that have a next step
        g_d, g_s = self.g[0].view(-1), self.g[1].view(-1)
        next_d, next_s = g_d[self.n :], g_s[self.n :]
        (p_d, p_s), (s_d, s_s) = (both.view(2, -1)[:, :m] for both in (self.p, self.s))
        by_x = self.g if len(x_tn) == self.steps else self.g.sum(dim=1)
        x_d, x_s = by_x.view(2, -1) @ x_tn.reshape(-1)
        k21 = torch.dot(g_s, self.u[0].view(-1))
        parts = [torch.dot(next_d, p_d), torch.dot(next_d, p_s), x_d]
        parts += [torch.dot(next_s, p_s), k21, x_s]
        if not rule.learned_reset:
            return torch.stack([*parts, k21 * 0, k21 * 0])
        g1, g2 = -torch.dot(next_d, s_d), -torch.dot(next_s, s_s)
        if rule.late:
            return torch.stack([*parts, g1, g2])
        return torch.stack([*parts, k.k11 * g1, k.k22 * g2 - k.k12 * torch.dot(next_d, s_s)])


class _Cut(NamedTuple):
    """One block of a call: flat positions within a step, and the mix's columns there."""

    at: slice
    columns: slice

    def weigh(self, values: Tensor, mix: Tensor) -> Tensor:
        """``values`` (..., n) as (..., rows, columns), to be multiplied by ``mix[:, columns]``."""
        width = self.columns.stop - self.columns.start
        return values.view(*values.shape[:-1], -1, width) if mix.shape[1] > 1 else values[..., None]


def _cuts(n: int, columns: int, limit: int) -> Iterator[_Cut]:
    """Blocks of at most ``limit`` elements: whole rows of the mix unless one row is longer."""
    if columns == 1:
        for first in range(0, n, limit):
            yield _Cut(slice(first, min(first + limit, n)), slice(0, 1))
    elif columns <= limit:
        step = limit // columns * columns
        for first in range(0, n, step):
            yield _Cut(slice(first, min(first + step, n)), slice(0, columns))
    else:
        for row in range(0, n, columns):
            for first in range(0, columns, limit):
                last = min(first + limit, columns)
                yield _Cut(slice(row + first, row + last), slice(first, last))


class _Call:
    """What both passes of a call share: views with flat positions, blocks, mix divided by hold."""

    def __init__(self, x: Tensor, gains: Tensor, mix: Tensor, rule: Rule) -> None:
        self.k, self.rule = Gains(*gains.tolist()), rule
        self.steps = rule.hold or len(x)
        self.x_tf = x.view(1 if rule.hold else len(x), -1)
        self.mix = mix / rule.hold if rule.hold else mix
        limit = CPU_BLOCK if x.device.type == "cpu" else GPU_BLOCK
        self.cuts = list(_cuts(self.x_tf.shape[1], mix.shape[1], limit))

    def blocks(self, *, backward: bool) -> Iterator[tuple[_Cut, _Block]]:
        """Every block after its forward run; the buffers are used again where the size allows."""
        block: _Block | None = None
        for cut in self.cuts:
            n = cut.at.stop - cut.at.start
            if block is None or block.n != n:
                block = _Block(self.steps, n, self.x_tf, backward=backward)
            block.run(self.x_tf[:, cut.at], self.k, self.rule)
            yield cut, block


class _TSLIF(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gains: Tensor, mix: Tensor, rule: Rule) -> Tensor:
        ctx.save_for_backward(x, gains, mix)
        ctx.rule = rule
        call = _Call(x, gains, mix, rule)
        out_tf = torch.empty_like(call.x_tf)
        for cut, block in call.blocks(backward=False):
            s = block.s.sum(dim=1, keepdim=True) if rule.hold else block.s
            s_d, s_s = cut.weigh(s, mix)
            m_d, m_s = call.mix[:, cut.columns]
            out = cut.weigh(out_tf[:, cut.at], mix)
            torch.mul(s_d, m_d, out=out).addcmul_(s_s, m_s)
        return out_tf.view_as(x)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, gains, mix = ctx.saved_tensors
        rule: Rule = ctx.rule
        call = _Call(x, gains, mix, rule)
        grad_tf = grad.reshape(call.x_tf.shape)
        grad_x, grad_mix = torch.empty_like(call.x_tf), torch.zeros_like(mix)
        grad_gains = torch.zeros_like(gains)
        for cut, block in call.blocks(backward=True):
            out_grad = cut.weigh(grad_tf[:, cut.at], mix)
            m_d, m_s = call.mix[:, cut.columns]
            g_d, g_s = (out_grad * m for m in (m_d, m_s))
            x_tn = call.x_tf[:, cut.at]
            block.run_back(g_d.view(len(x_tn), -1), g_s.view(len(x_tn), -1), call.k, rule)
            block.input_grad(call.k, grad_x[:, cut.at])
            if ctx.needs_input_grad[1]:
                grad_gains += block.gains_grad(x_tn, call.k, rule)
            if ctx.needs_input_grad[2]:
                s = block.s.sum(dim=1, keepdim=True) if rule.hold else block.s
                share = (cut.weigh(s, mix) * out_grad).sum(dim=(1, 2))
                grad_mix[:, cut.columns] += share / rule.hold if rule.hold else share
        return grad_x.view_as(x), grad_gains, grad_mix, None
