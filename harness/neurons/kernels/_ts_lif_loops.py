"""The recurrence of :mod:`harness.neurons.kernels.ts_lif_recurrence` as machine code for one CPU thread.

Arrays are float32 and C-contiguous, (T, N): time, then all elements; an input of one row is held for
all ``steps``. A block of elements runs through all timesteps in the processor's cache. What it works
on are lanes of one array, a constant apart: only so does the compiler see that they do not overlap.

``k`` holds k11, k12, kx1, k22, k21, kx2, then the reset as it acts at once (g1, g2: form ``code``) and
a step late (form ``paper``), then threshold and surrogate: r where p < h < q (``rect``), else
1 / (p + q (h - th)^2). ``mix`` (2, F) weighs dendrite and soma spikes; element i has feature
(i // inner) % F. Importing this module compiles it (seconds), or loads it from numba's cache on disk.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.neurons.kernels._machine import compiled

ZERO, ONE = np.float32(0.0), np.float32(1.0)
FAR = np.float32(1e16)
"""A squared distance from threshold beyond which the slope is 0: its square would overflow."""
LANE = 1136
"""Elements of a block. Lanes that begin a multiple of a page apart, or nearly, wait for one another."""
M_D, M_S, P_D, P_S, R_D, R_S, OUT = (LANE * i for i in range(7))
A_D, A_S, G_D, G_S = P_D, P_S, R_D, R_S  # the backward pass: dL/du, dL/d(mix)
LANES = 7 * LANE
_ROW, _ARRAY = "f4[::1]", "f4[:,::1]"


def _fire_now(x: Any, w: Any, k: Any) -> None:
    """One step; the reset acts at once."""
    k11, k12, kx1, k22, k21, kx2 = k[0], k[1], k[2], k[3], k[4], k[5]
    now_d, now_s, th = k[6], k[7], k[10]
    for j in range(len(x)):
        u_d = k11 * w[P_D + j] + k12 * w[P_S + j] + kx1 * x[j]
        u_s = k22 * w[P_S + j] + k21 * u_d + kx2 * x[j]
        w[P_D + j], w[P_S + j] = u_d - (now_d if u_d >= th else ZERO), u_s - (now_s if u_s >= th else ZERO)
        w[OUT + j] = (w[M_D + j] if u_d >= th else ZERO) + (w[M_S + j] if u_s >= th else ZERO)


def _fire_late(x: Any, w: Any, k: Any) -> None:
    """One step; the reset acts in the next."""
    k11, k12, kx1, k22, k21, kx2 = k[0], k[1], k[2], k[3], k[4], k[5]
    late_d, late_s, th = k[8], k[9], k[10]
    for j in range(len(x)):
        u_d = k11 * w[P_D + j] + k12 * w[P_S + j] + kx1 * x[j] - w[R_D + j]
        u_s = k22 * w[P_S + j] + k21 * u_d + kx2 * x[j] - w[R_S + j]
        w[P_D + j], w[P_S + j] = u_d, u_s
        w[R_D + j], w[R_S + j] = late_d if u_d >= th else ZERO, late_s if u_s >= th else ZERO
        w[OUT + j] = (w[M_D + j] if u_d >= th else ZERO) + (w[M_S + j] if u_s >= th else ZERO)


def _charge(x: Any, before: Any, h: Any, k: Any) -> None:
    """Potentials h (2 lanes: u_d, u_s) from those of the step before."""
    k11, k12, kx1, k22, k21, kx2 = k[0], k[1], k[2], k[3], k[4], k[5]
    now_d, now_s, late_d, late_s, th = k[6], k[7], k[8], k[9], k[10]
    for j in range(len(x)):
        b_d, b_s = before[j], before[LANE + j]
        s_d, s_s = ONE if b_d >= th else ZERO, ONE if b_s >= th else ZERO
        p_d, p_s = b_d - now_d * s_d, b_s - now_s * s_s
        u_d = k11 * p_d + k12 * p_s + kx1 * x[j] - late_d * s_d
        h[j] = u_d
        h[LANE + j] = k22 * p_s + k21 * u_d + kx2 * x[j] - late_s * s_s


def _rest(x: Any, h: Any, k: Any) -> None:
    """Potentials of the first step."""
    kx1, k21, kx2 = k[2], k[4], k[5]
    for j in range(len(x)):
        h[j] = kx1 * x[j]
        h[LANE + j] = k21 * (kx1 * x[j]) + kx2 * x[j]


def _back_atan(g: Any, h: Any, w: Any, k: Any) -> None:
    """One step back: dL/du of dendrite and soma, dL/dx (lane OUT)."""
    k11, k12, kx1, k22, k21, kx2 = k[0], k[1], k[2], k[3], k[4], k[5]
    now_d, now_s, late_d, late_s, th, p, q = k[6], k[7], k[8], k[9], k[10], k[11], k[12]
    for j in range(len(g)):
        u_d, u_s, a_d, a_s = h[j], h[LANE + j], w[A_D + j], w[A_S + j]
        e_d, e_s = u_d - th, u_s - th
        e_d, e_s = e_d * e_d, e_s * e_s
        f_d, f_s = p + q * (FAR if e_d > FAR else e_d), p + q * (FAR if e_s > FAR else e_s)
        inverse = ONE / (f_d * f_s)  # one division for both slopes
        slope_d, slope_s = ZERO if e_d > FAR else f_s * inverse, ZERO if e_s > FAR else f_d * inverse
        d, s = k11 * a_d, k12 * a_d + k22 * a_s
        by_s = s + slope_s * (w[M_S + j] * g[j] - now_s * s - late_s * a_s)
        by_d = d + slope_d * (w[M_D + j] * g[j] - now_d * d - late_d * a_d) + k21 * by_s
        w[A_D + j], w[A_S + j] = by_d, by_s
        w[OUT + j] = kx1 * by_d + kx2 * by_s


def _back_rect(g: Any, h: Any, w: Any, k: Any) -> None:
    """The same for the other surrogate, written out: a loop with a branch in it is not vectorised."""
    k11, k12, kx1, k22, k21, kx2 = k[0], k[1], k[2], k[3], k[4], k[5]
    now_d, now_s, late_d, late_s, p, q, r = k[6], k[7], k[8], k[9], k[11], k[12], k[13]
    for j in range(len(g)):
        u_d, u_s, a_d, a_s = h[j], h[LANE + j], w[A_D + j], w[A_S + j]
        slope_d, slope_s = r if (u_d > p) & (u_d < q) else ZERO, r if (u_s > p) & (u_s < q) else ZERO
        d, s = k11 * a_d, k12 * a_d + k22 * a_s
        by_s = s + slope_s * (w[M_S + j] * g[j] - now_s * s - late_s * a_s)
        by_d = d + slope_d * (w[M_D + j] * g[j] - now_d * d - late_d * a_d) + k21 * by_s
        w[A_D + j], w[A_S + j] = by_d, by_s
        w[OUT + j] = kx1 * by_d + kx2 * by_s


def _sum_mix(g: Any, h: Any, w: Any, th: Any) -> None:
    """Add dL/d(mix) of a step."""
    for j in range(len(g)):
        w[G_D + j] += g[j] if h[j] >= th else ZERO
        w[G_S + j] += g[j] if h[LANE + j] >= th else ZERO


def _sum_gains(x: Any, before: Any, h: Any, w: Any, k: Any, sums: Any) -> None:
    """Add the products of dL/du with x, u_d of the step and what the step before left: 0 to 5."""
    now_d, now_s, th = k[6], k[7], k[10]
    d_x, s_x, s_d, d_pd, d_ps, s_ps = ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
    for j in range(len(x)):
        by_d, by_s, b_d, b_s = w[A_D + j], w[A_S + j], before[j], before[LANE + j]
        p_d, p_s = b_d - (now_d if b_d >= th else ZERO), b_s - (now_s if b_s >= th else ZERO)
        d_x += by_d * x[j]
        s_x += by_s * x[j]
        s_d += by_s * h[j]
        d_pd += by_d * p_d
        d_ps += by_d * p_s
        s_ps += by_s * p_s
    sums[0] += d_x
    sums[1] += s_x
    sums[2] += s_d
    sums[3] += d_pd
    sums[4] += d_ps
    sums[5] += s_ps


def _sum_resets(n: int, before: Any, w: Any, th: Any, sums: Any) -> None:
    """Add the products of dL/du with the spikes of the step before: 6 to 8."""
    d_d, d_s, s_s = ZERO, ZERO, ZERO
    for j in range(n):
        f_d, f_s = ONE if before[j] >= th else ZERO, ONE if before[LANE + j] >= th else ZERO
        d_d += w[A_D + j] * f_d
        d_s += w[A_D + j] * f_s
        s_s += w[A_S + j] * f_s
    sums[6] += d_d
    sums[7] += d_s
    sums[8] += s_s


def _copy(w: Any, out: Any) -> None:
    for j in range(len(out)):
        out[j] = w[OUT + j]


def _add(w: Any, out: Any) -> None:
    for j in range(len(out)):
        out[j] += w[OUT + j]


_FUSED = frozenset({"contract"})
_SUMMED = frozenset({"contract", "reassoc", "nsz"})
fire_now, fire_late, rest = (
    compiled(f, f"void({_ROW},{_ROW},{_ROW})", _FUSED) for f in (_fire_now, _fire_late, _rest)
)
charge = compiled(_charge, f"void({_ROW},{_ROW},{_ROW},{_ROW})", _FUSED)
back_atan, back_rect = (
    compiled(f, f"void({_ROW},{_ROW},{_ROW},{_ROW})", _FUSED) for f in (_back_atan, _back_rect)
)
sum_mix = compiled(_sum_mix, f"void({_ROW},{_ROW},{_ROW},f4)")
sum_gains = compiled(_sum_gains, f"void({_ROW},{_ROW},{_ROW},{_ROW},{_ROW},f8[::1])", _SUMMED)
sum_resets = compiled(_sum_resets, f"void(i8,{_ROW},{_ROW},f4,f8[::1])", _SUMMED)
copy, add = (compiled(f, f"void({_ROW},{_ROW})") for f in (_copy, _add))


def _size(features: int, inner: int) -> int:
    """Elements of a block: whole periods of the mix where they fit, so that all blocks are alike."""
    period = features * inner
    return LANE // period * period if period <= LANE else LANE


def _lay(w: Any, mix: Any, inner: int, first: int, n: int, share: Any) -> None:
    """Write the mix of elements first..first+n into their lanes."""
    features = mix.shape[1]
    at = 0
    while at < n:
        f = ((first + at) // inner) % features
        end = min(n, at + inner - (first + at) % inner)
        w[M_D + at : M_D + end] = mix[0, f] * share
        w[M_S + at : M_S + end] = mix[1, f] * share
        at = end


def _fold(w: Any, by_mix: Any, inner: int, first: int, n: int, share: float) -> None:
    """Add dL/d(mix) of elements first..first+n to ``by_mix`` (2, F), and forget it."""
    features = by_mix.shape[1]
    at = 0
    while at < n:
        f = ((first + at) // inner) % features
        end = min(n, at + inner - (first + at) % inner)
        d, s = 0.0, 0.0
        for j in range(at, end):
            d += w[G_D + j]
            s += w[G_S + j]
        by_mix[0, f] += d * share
        by_mix[1, f] += s * share
        at = end
    w[G_D : G_D + n] = ZERO
    w[G_S : G_S + n] = ZERO


size = compiled(_size, "i8(i8,i8)")
lay = compiled(_lay, f"void({_ROW},{_ARRAY},i8,i8,i8,f4)")
fold = compiled(_fold, f"void({_ROW},f8[:,::1],i8,i8,i8,f8)", _SUMMED)


def _forward(x: Any, out: Any, steps: int, k: Any, mix: Any, inner: int) -> None:
    """Mixed spikes (T, N), or their mean (1, N) of a held input."""
    elements, held = x.shape[1], x.shape[0] < steps
    w, alike, block = np.zeros(LANES, np.float32), mix.shape[1] * inner <= LANE, size(mix.shape[1], inner)
    late, share = k[8] != ZERO or k[9] != ZERO, ONE / np.float32(steps) if held else ONE
    for first in range(0, elements, block):
        end = min(first + block, elements)
        if first == 0 or not alike:
            lay(w, mix, inner, first, end - first, share)
        w[P_D:OUT] = ZERO
        for t in range(steps):
            if late:
                fire_late(x[0 if held else t, first:end], w, k)
            else:
                fire_now(x[0 if held else t, first:end], w, k)
            if held and t > 0:
                add(w, out[0, first:end])
            else:
                copy(w, out[0 if held else t, first:end])


def _backward(
    x: Any, grad: Any, grad_x: Any, steps: int, k: Any, mix: Any, inner: int, rect: bool,
    sums: Any, by_mix: Any,
) -> None:  # fmt: skip
    """Fill dL/dx from dL/d(out); add what constants need to ``sums`` and ``by_mix`` (2, F).

    ``sums`` has 9 numbers, 6 where resets are fixed, none where all are;
    ``by_mix`` is empty where the mix is fixed.
    """
    elements, held, th = x.shape[1], x.shape[0] < steps, k[10]
    w, alike, block = np.zeros(LANES, np.float32), mix.shape[1] * inner <= LANE, size(mix.shape[1], inner)
    h_tn, at_rest = np.empty((steps, 2 * LANE), np.float32), np.zeros(2 * LANE, np.float32)
    share = ONE / np.float32(steps) if held else ONE
    for first in range(0, elements, block):
        end = min(first + block, elements)
        n = end - first
        if first == 0 or not alike:
            lay(w, mix, inner, first, n, share)
        rest(x[0, first:end], h_tn[0], k)
        for t in range(1, steps):
            charge(x[0 if held else t, first:end], h_tn[t - 1], h_tn[t], k)
        w[A_D:G_D] = ZERO
        for t in range(steps - 1, -1, -1):
            row, before = 0 if held else t, h_tn[t - 1] if t else at_rest
            current, g = x[row, first:end], grad[row, first:end]
            if len(by_mix):
                sum_mix(g, h_tn[t], w, th)
            if rect:
                back_rect(g, h_tn[t], w, k)
            else:
                back_atan(g, h_tn[t], w, k)
            if held and t < steps - 1:
                add(w, grad_x[0, first:end])
            else:
                copy(w, grad_x[row, first:end])
            if len(sums):
                sum_gains(current, before, h_tn[t], w, k, sums)
            if len(sums) > 6:
                sum_resets(n, before, w, th, sums)
        if len(by_mix) and (end == elements or not alike):
            fold(w, by_mix, inner, 0 if alike else first, block if alike else n, np.float64(share))


forward = compiled(_forward, f"void({_ARRAY},{_ARRAY},i8,{_ROW},{_ARRAY},i8)")
backward = compiled(_backward, f"void({_ARRAY},{_ARRAY},{_ARRAY},i8,{_ROW},{_ARRAY},i8,b1,f8[::1],f8[:,::1])")
