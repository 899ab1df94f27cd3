"""The recurrence of :mod:`harness.neurons.kernels.recurrence` as machine code for one CPU thread.

Arrays are float32 and C-contiguous, (T, N): time, then all elements. A block of elements runs through
all timesteps while its membranes stay in the processor's cache, so a pass reads its input once and
writes its output once. The backward pass computes the membranes again instead of keeping them.
An input of one row is held for all ``steps``; an output of one row is the mean over them.

Constants: k, c (gain of the input), th (threshold), hard (reset to zero, else by subtraction); the
surrogate is r where p < h < q (RECT), 1 / (p + q (h - th)^2) (ATAN) or 1 (NONE: the output is the
potential). The loops over elements are functions of their own: only so are they vectorised. Importing
this module compiles it (seconds), or loads it from numba's cache on disk.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.neurons.kernels._machine import compiled

NONE, RECT, ATAN = 0, 1, 2
ZERO, ONE = np.float32(0.0), np.float32(1.0)
CACHED = 131072
"""Floats of a block's potentials over all steps that stay near the processor."""
WIDEST = 4096
_ROW = "f4[::1]"


def _fire_hard(current: Any, v: Any, spikes: Any, k: Any, c: Any, th: Any) -> None:
    for j in range(len(v)):
        h = current[j] * c + k * v[j]
        spikes[j] = ONE if h >= th else ZERO
        v[j] = ZERO if h >= th else h


def _fire_soft(current: Any, v: Any, spikes: Any, k: Any, c: Any, th: Any) -> None:
    for j in range(len(v)):
        h = current[j] * c + k * v[j]
        spikes[j] = ONE if h >= th else ZERO
        v[j] = h - (th if h >= th else ZERO)


def _charge_hard(current: Any, before: Any, h: Any, k: Any, c: Any, th: Any) -> None:
    for j in range(len(h)):
        u = before[j]
        h[j] = current[j] * c + k * (ZERO if u >= th else u)


def _charge_soft(current: Any, before: Any, h: Any, k: Any, c: Any, th: Any) -> None:
    for j in range(len(h)):
        u = before[j]
        h[j] = current[j] * c + k * (u - (th if u >= th else ZERO))


def _scale(values: Any, factor: Any, out: Any) -> None:
    for j in range(len(out)):
        out[j] = factor * values[j]


def _add(values: Any, factor: Any, out: Any) -> None:
    for j in range(len(out)):
        out[j] += factor * values[j]


def _back_none(h: Any, g: Any, e: Any, share: Any, k: Any, fired: Any, th: Any) -> None:
    for j in range(len(e)):
        e[j] = g[j] * share + (fired if h[j] >= th else k) * e[j]


def _back_rect(h: Any, g: Any, e: Any, share: Any, k: Any, fired: Any, th: Any, p: Any, q: Any) -> None:
    for j in range(len(e)):
        u = h[j]
        slope = share if (u > p) & (u < q) else ZERO
        e[j] = g[j] * slope + (fired if u >= th else k) * e[j]


def _back_atan(h: Any, g: Any, e: Any, share: Any, k: Any, fired: Any, th: Any, p: Any, q: Any) -> None:
    for j in range(len(e)):
        u = h[j]
        slope = share / (p + q * (u - th) * (u - th))
        e[j] = g[j] * slope + (fired if u >= th else k) * e[j]


def _keep_hard(h: Any, e: Any, by_k: Any, th: Any) -> None:
    for j in range(len(e)):
        u = h[j]
        by_k[j] += e[j] * (ZERO if u >= th else u)


def _keep_soft(h: Any, e: Any, by_k: Any, th: Any) -> None:
    for j in range(len(e)):
        u = h[j]
        by_k[j] += e[j] * (u - (th if u >= th else ZERO))


def _rows(function: Any, rows: int, constants: int) -> Any:
    return compiled(function, f"void({','.join([_ROW] * rows + ['f4'] * constants)})")


fire_hard, fire_soft = _rows(_fire_hard, 3, 3), _rows(_fire_soft, 3, 3)
charge_hard, charge_soft = _rows(_charge_hard, 3, 3), _rows(_charge_soft, 3, 3)
keep_hard, keep_soft = _rows(_keep_hard, 3, 1), _rows(_keep_soft, 3, 1)
back_none = _rows(_back_none, 3, 4)
back_rect, back_atan = _rows(_back_rect, 3, 6), _rows(_back_atan, 3, 6)
scale, add = (compiled(f, f"void({_ROW},f4,{_ROW})") for f in (_scale, _add))


def _spikes(x: Any, out: Any, steps: int, k: Any, c: Any, th: Any, hard: bool) -> None:
    elements, held, mean = x.shape[1], x.shape[0] < steps, out.shape[0] < steps
    v_n, fired_n = np.empty(min(elements, WIDEST), np.float32), np.empty(min(elements, WIDEST), np.float32)
    for first in range(0, elements, WIDEST):
        end = min(first + WIDEST, elements)
        v, fired = v_n[: end - first], fired_n[: end - first]
        v[:] = ZERO
        for t in range(steps):
            current = x[0 if held else t, first:end]
            into = out[0 if mean else t, first:end]
            spikes = fired if mean and t > 0 else into
            if hard:
                fire_hard(current, v, spikes, k, c, th)
            else:
                fire_soft(current, v, spikes, k, c, th)
            if mean and t > 0:
                add(fired, ONE, into)
        if mean:
            scale(out[0, first:end], ONE / np.float32(steps), out[0, first:end])


def _potentials(x: Any, h_tn: Any, k: Any, c: Any, th: Any, hard: bool) -> None:
    scale(x[0], c, h_tn[0])
    for t in range(1, h_tn.shape[0]):
        current = x[min(t, x.shape[0] - 1)]
        if hard:
            charge_hard(current, h_tn[t - 1], h_tn[t], k, c, th)
        else:
            charge_soft(current, h_tn[t - 1], h_tn[t], k, c, th)


def _backward(
    x: Any, grad: Any, grad_x: Any, steps: int, k: Any, c: Any, th: Any, hard: bool,
    kind: int, p: Any, q: Any, r: Any, learned: bool,
) -> float:  # fmt: skip
    elements, held, mean = x.shape[1], x.shape[0] < steps, grad.shape[0] < steps
    size = min(elements, max(64, min(WIDEST, CACHED // steps)))
    h_tn, e_n, by_k = (
        np.empty((steps, size), np.float32),
        np.empty(size, np.float32),
        np.zeros(size, np.float32),
    )
    fired = ZERO if hard else k
    share = ONE / np.float32(steps) if mean else ONE
    for first in range(0, elements, size):
        end = min(first + size, elements)
        n = end - first
        e = e_n[:n]
        e[:] = ZERO
        scale(x[0, first:end], c, h_tn[0, :n])
        for t in range(1, steps):
            current = x[0 if held else t, first:end]
            if hard:
                charge_hard(current, h_tn[t - 1, :n], h_tn[t, :n], k, c, th)
            else:
                charge_soft(current, h_tn[t - 1, :n], h_tn[t, :n], k, c, th)
        for t in range(steps - 1, -1, -1):
            h, g = h_tn[t, :n], grad[0 if mean else t, first:end]
            if kind == RECT:
                back_rect(h, g, e, share * r, k, fired, th, p, q)
            elif kind == ATAN:
                back_atan(h, g, e, share, k, fired, th, p, q)
            else:
                back_none(h, g, e, share, k, fired, th)
            if held and t < steps - 1:
                add(e, c, grad_x[0, first:end])
            else:
                scale(e, c, grad_x[0 if held else t, first:end])
            if learned and t > 0:
                if hard:
                    keep_hard(h_tn[t - 1, :n], e, by_k[:n], th)
                else:
                    keep_soft(h_tn[t - 1, :n], e, by_k[:n], th)
    return by_k.astype(np.float64).sum() if learned else 0.0


_ARRAY = "f4[:,::1]"
spikes = compiled(_spikes, f"void({_ARRAY},{_ARRAY},i8,f4,f4,f4,b1)")
potentials = compiled(_potentials, f"void({_ARRAY},{_ARRAY},f4,f4,f4,b1)")
backward = compiled(_backward, f"f8({_ARRAY},{_ARRAY},{_ARRAY},i8,f4,f4,f4,b1,i8,f4,f4,f4,b1)")
