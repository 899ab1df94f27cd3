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
there, in blocks that stay in the processor's cache, so memory does not grow with T. Within a block a
step is one product of a small matrix with what the step before left behind, z = (u_d, u_s, s_d, s_s):

    u[t] = M z[t-1] + K x[t]          M (2, 4), K (2,) from the constants, u_s's u_d written out
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
CPU_BLOCK, GPU_BLOCK = 32768, 1 << 22


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


class _Form(NamedTuple):
    """The recurrence of a call with the equation of u_s written out: u[t] = m z[t-1] + gain x[t]."""

    m: Tensor
    """(2, 4), rows u_d, u_s, columns u_d, u_s, s_d, s_s of the step before."""
    gain: Tensor
    """(2, 1)."""
    flat: Tensor
    curve: float
    """See :func:`_atan`."""
    gains: tuple[float, float]

    @classmethod
    def of(cls, k: Gains, rule: Rule, like: Tensor) -> _Form:
        """On the device and in the type of ``like``."""
        a, b = _rows(k, late=rule.late)
        m = [a, [mine + k.k21 * other for mine, other in zip(b, a, strict=True)]]
        gains = (k.kx1, k.kx2 + k.k21 * k.kx1)
        flat, curve = _atan(rule.surrogate.width)
        column = like.new_tensor(gains)[:, None]
        return cls(like.new_tensor(m), column, like.new_tensor(flat), curve, gains)


def _rows(k: Gains, *, late: bool) -> tuple[list[float], list[float]]:
    """Coefficients of z[t-1] in u_d[t], and in u_s[t] - k21*u_d[t]."""
    if late:
        return [k.k11, k.k12, -k.g1, 0.0], [0.0, k.k22, 0.0, -k.g2]
    return [k.k11, k.k12, -k.k11 * k.g1, -k.k12 * k.g2], [0.0, k.k22, 0.0, -k.k22 * k.g2]


def _atan(width: float) -> tuple[float, float]:
    """(f, c): ATan's derivative is 1 / (f + c u^2), with alpha = 1 / width."""
    return 2.0 * width, math.pi**2 / (2.0 * width)


class _Block:
    """Buffers of one block of n elements over T steps, and their views, made once: at this size
    indexing a tensor costs as much as adding two. A forward pass looks only one step back."""

    def __init__(self, steps: int, n: int, like: Tensor, *, hold: bool, backward: bool) -> None:
        self.steps, self.n = steps, n
        kept = steps if backward else min(steps, 2)
        z = like.new_empty(kept, 4, n)
        views = [(z[t], z[t, :2], z[t, 2:], z[t].t()) for t in range(kept)]
        self.at = [views[t % kept] for t in range(steps)]
        self.drive, self.spikes = like.new_empty(2, n), like.new_empty(2, n)
        if backward:
            out = like.new_empty(2, 1 if hold else steps, n)
            self.outs = [out[:, t % out.shape[1]] for t in range(steps)]
            self.g, self.g_sum, self.den = (like.new_empty(2, n) for _ in range(3))
            self.g_d, self.g_s = self.g
            self.back = like.new_empty(4, n)
            self.back_u, self.back_s = self.back[:2], self.back[2:]

    def run(self, x_tn: Tensor, form: _Form, rule: Rule) -> Iterator[Tensor]:
        """Run from rest on ``x_tn`` (T or 1, n); yields the spikes (2, n) after each step."""
        before = self.drive
        for t, (z, u, s, _) in enumerate(self.at):
            if t < len(x_tn):
                torch.mul(x_tn[t], form.gain, out=self.drive)
            if t:
                torch.addmm(self.drive, form.m, before, out=u)
            else:
                u.copy_(self.drive)
            torch.ge(u, rule.v_threshold, out=s)
            before = z
            yield s

    def run_back(self, x_tn: Tensor, form: _Form, rule: Rule, into: _Sums, grad_x_tn: Tensor) -> None:
        """From ``outs`` = dL/ds through the output: dL/dx into ``grad_x_tn``, products into sums."""
        g, total, transposed = self.g, self.g_sum, form.m.t()
        for t in range(self.steps - 1, -1, -1):
            out, (_, u, _, columns) = self.outs[t], self.at[t]
            self._denominator(u, form, rule)
            if t + 1 < self.steps:
                later = total if rule.hold and t + 2 == self.steps else g
                into.by_z.addmm_(later, columns)
                torch.mm(transposed, later, out=self.back)
                self.back_s.add_(out)
                torch.addcdiv(self.back_u, self.back_s, self.den, out=g)
                if rule.hold:
                    total.add_(g)
            else:  # a held input's sum over steps begins here
                torch.div(out, self.den, out=total if rule.hold else g)
            if not rule.hold:
                torch.mul(self.g_d, form.gains[0], out=grad_x_tn[t])
                grad_x_tn[t].add_(self.g_s, alpha=form.gains[1])
                into.by_x.addmv_(g, x_tn[t])
        if rule.hold:
            torch.mm(form.gain.t(), total, out=grad_x_tn)
            into.by_x.addmv_(total, x_tn[0])

    def _denominator(self, u: Tensor, form: _Form, rule: Rule) -> None:
        """Fill ``den`` with 1 over the surrogate's derivative at u."""
        torch.sub(u, rule.v_threshold, out=self.den)
        if rule.surrogate.name == "atan":
            torch.addcmul(form.flat, self.den, self.den, value=form.curve, out=self.den)
        else:
            torch.reciprocal(rule.surrogate.derivative(self.den), out=self.den)


class _Sums:
    """dL/dM (2, 4) and dL/dK (2,): sums over blocks and steps of dL/du times z and times x."""

    def __init__(self, like: Tensor) -> None:
        self.by_z, self.by_x = like.new_zeros(2, 4), like.new_zeros(2)

    def gains_grad(self, k: Gains, *, late: bool) -> list[float]:
        """dL/d(gains), by the ties of :class:`_Form`."""
        d, b = self.by_z.tolist()
        x_d, x_s = self.by_x.tolist()
        own = _rows(k, late=late)[0]
        k21 = sum(mine * given for mine, given in zip(own, b, strict=True)) + k.kx1 * x_s
        a = [mine + k.k21 * other for mine, other in zip(d, b, strict=True)]
        kx1 = x_d + k.k21 * x_s
        if late:
            return [a[0], a[1], kx1, b[1], k21, x_s, -a[2], -b[3]]
        k11, k12, k22 = a[0] - k.g1 * a[2], a[1] - k.g2 * a[3], b[1] - k.g2 * b[3]
        return [k11, k12, kx1, k22, k21, x_s, -k.k11 * a[2], -k.k12 * a[3] - k.k22 * b[3]]


class _Call:
    """What both passes of a call share: flat views, the constants, and blocks with their buffers.

    A block holds whole rows of the mix, whose weights are laid out once for all its elements, so
    that every pass runs over contiguous memory.
    """

    def __init__(self, x: Tensor, gains: Tensor, mix: Tensor, rule: Rule) -> None:
        self.k, self.rule, self.steps = Gains(*gains.tolist()), rule, rule.hold or len(x)
        self.x_tf = x.view(1 if rule.hold else len(x), -1)
        self.columns, total = mix.shape[1], self.x_tf.shape[1]
        self.form = _Form.of(self.k, rule, x)
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

    def spikes(self, block: _Block, x_tn: Tensor) -> Iterator[tuple[int, Tensor]]:
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
        call, sums = _Call(x, gains, mix, rule), _Sums(x)
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
