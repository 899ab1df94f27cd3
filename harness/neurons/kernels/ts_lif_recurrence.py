"""TS-LIF's recurrence on a block of neurons: forward, and backward through time by hand.

Both forms of the neuron (TS-LIF, arXiv 2503.05108, Eq. 4-6, and its released code) are one linear
recurrence with thresholds; they differ in the ties between constants, which live outside this
module, and in the moment of the reset (`late`). Per element, `x` the input current:

    u_d[t] = k11*p_d[t-1] + k12*p_s[t-1] + kx1*x[t]          d: dendrite, s: soma
    u_s[t] = k22*p_s[t-1] + k21*u_d[t]   + kx2*x[t]
    s[t] = 1[u[t] >= v_th];  out[t] = m_d*s_d[t] + m_s*s_s[t]

`late` False (released code): p = u - g*s.  `late` True (paper): p = u, and -g*s[t-1] enters the
next u undecayed. States start at zero; the reset is not detached.

A step is one product of a small matrix with what the step before left, z = (u_d, u_s, s_d, s_s):

    u[t] = M z[t-1] + K x[t]          M (2, 4), K (2,) from the constants, u_s's u_d written out
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from harness.neurons.kernels.surrogate import Surrogate


class Rule(NamedTuple):
    """What a call fixes.

    ``hold`` 0: the input has a time axis. ``hold`` n > 0: the input is held for n steps and the
    mean of the n outputs is returned. ``resets``: whether gradients of g1 and g2 are wanted.
    """

    v_threshold: float = 1.0
    surrogate: Surrogate = Surrogate()
    late: bool = False
    hold: int = 0
    resets: bool = True


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


class Form(NamedTuple):
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
    def of(cls, k: Gains, rule: Rule, like: Tensor) -> Form:
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


class Block:
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

    def run(self, x_tn: Tensor, form: Form, rule: Rule) -> Iterator[Tensor]:
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

    def run_back(self, x_tn: Tensor, form: Form, rule: Rule, into: Sums, grad_x_tn: Tensor) -> None:
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

    def _denominator(self, u: Tensor, form: Form, rule: Rule) -> None:
        """Fill ``den`` with 1 over the surrogate's derivative at u."""
        torch.sub(u, rule.v_threshold, out=self.den)
        if rule.surrogate.name == "atan":
            torch.addcmul(form.flat, self.den, self.den, value=form.curve, out=self.den)
        else:
            torch.reciprocal(rule.surrogate.derivative(self.den), out=self.den)


class Sums:
    """dL/dM (2, 4) and dL/dK (2,): sums over blocks and steps of dL/du times z and times x."""

    def __init__(self, like: Tensor) -> None:
        self.by_z, self.by_x = like.new_zeros(2, 4), like.new_zeros(2)

    def gains_grad(self, k: Gains, *, late: bool) -> list[float]:
        """dL/d(gains), by the ties of :class:`Form`."""
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


def gains_grad(sums: Tensor, gains: Tensor, *, late: bool) -> Tensor:
    """dL/d(gains) (8,) from the kernels' sums over elements and steps, (6,) or with the resets' (9,).

    They are of dL/du_d times x, dL/du_s times x and u_d, dL/du_d times p_d and p_s, dL/du_s times p_s;
    then dL/du_d times the spikes s_d and s_s of the step before, dL/du_s times s_s. Stays on the device.
    """
    d_x, s_x, s_d, d_pd, d_ps, s_ps = sums[:6].unbind()
    g1 = g2 = torch.zeros_like(d_x)
    if len(sums) > 6:
        d_fd, d_fs, s_fs = sums[6:].unbind()
        k11, k12, k22 = gains[0], gains[1], gains[3]
        g1, g2 = (-d_fd, -s_fs) if late else (-k11 * d_fd, -k12 * d_fs - k22 * s_fs)
    return torch.stack([d_pd, d_ps, d_x, s_ps, s_d, s_x, g1, g2]).to(gains.dtype)
