"""Leaky neurons in Triton: a program takes a block of elements through all timesteps, there and back.

Inputs are (G, T, N), groups, time, elements, in float32, bfloat16 or float16; sums run in float32. The
backward pass computes the potentials again: up to UNROLLED steps they stay in registers, else they lie in
the gradient's own memory (in a scratch of float32 where that is narrower). The decay is read on the device
where it is learned: nothing waits for the host. Surrogates: p, q, r as :func:`curve` gives them.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language import constexpr, tensor

from harness.neurons.kernels.layout import dense, like, rows_like
from harness.neurons.kernels.recurrence import Constants
from harness.neurons.kernels.surrogate import Surrogate

NONE, RECT, ATAN, SIGMOID, GAUSSIAN = (constexpr(i) for i in range(5))
KINDS = {"rect": RECT, "atan": ATAN, "sigmoid": SIGMOID, "gaussian": GAUSSIAN}
BLOCK, WARPS = 512, 4
UNROLLED = 16
"""Steps whose potentials a program keeps in registers, four elements a thread."""


@triton.jit
def slope(h: tensor, th: tensor, p: tensor, q: tensor, r: tensor, KIND: constexpr) -> tensor:
    """The surrogate's derivative at a potential."""
    if KIND == RECT:
        out = tl.where((h > p) & (h < q), r, 0.0)
    elif KIND == ATAN:
        out = 1.0 / (p + q * (h - th) * (h - th))
    elif KIND == SIGMOID:
        bell = tl.exp(-tl.abs(p * (h - th)))  # s (1 - s) is even: no exponential overflows
        out = p * bell / ((1.0 + bell) * (1.0 + bell))
    elif KIND == GAUSSIAN:
        out = r * tl.exp(p * (h - q) * (h - q))
    else:
        out = h * 0.0 + 1.0
    return out


@triton.jit
def reset(h: tensor, th: tensor, HARD: constexpr) -> tensor:
    """The potential after the reset."""
    if HARD:
        v = tl.where(h >= th, 0.0, h)
    else:
        v = tl.where(h >= th, h - th, h)
    return v


@triton.jit
def back(
    e: tensor, h: tensor, g: tensor, th: tensor, k: tensor, p: tensor, q: tensor, r: tensor,
    HARD: constexpr, KIND: constexpr,
) -> tensor:  # fmt: skip
    """e of a step from that of the step after."""
    kept = k * e
    if HARD:
        kept = tl.where(h >= th, 0.0, kept)
    return g * slope(h, th, p, q, r, KIND) + kept


@triton.jit
def forward_kernel(
    x: tensor, out: tensor, k_ptr: tensor, k: tensor, n: tensor, steps: tensor, th: tensor, HELD: constexpr,
    MEAN: constexpr, HARD: constexpr, DECAYS: constexpr, READ_K: constexpr, SPIKES: constexpr,
    BLOCK: constexpr,
) -> tensor:  # fmt: skip
    group, i = tl.program_id(1).to(tl.int64), tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    if READ_K:
        k = tl.load(k_ptr + group).to(tl.float32)
    c = 1.0 - k if DECAYS else 1.0
    x_at = x + group * n * (1 if HELD else steps) + i
    out_at = out + group * n * (1 if MEAN else steps) + i
    current = tl.zeros((BLOCK,), tl.float32)
    if HELD:
        current = tl.load(x_at, mask=inside, other=0.0).to(tl.float32) * c
    v = tl.zeros((BLOCK,), tl.float32)
    total = tl.zeros((BLOCK,), tl.float32)
    for t in range(steps):
        if not HELD:
            current = tl.load(x_at, mask=inside, other=0.0).to(tl.float32) * c
            x_at += n
        h = current + k * v
        v = reset(h, th, HARD)
        y = (h >= th).to(tl.float32) if SPIKES else h
        if MEAN:
            total += y
        else:
            tl.store(out_at, y.to(out.dtype.element_ty), mask=inside)
            out_at += n
    if MEAN:
        tl.store(out_at, (total / steps).to(out.dtype.element_ty), mask=inside)


@triton.jit
def backward_kernel(
    x: tensor, grad: tensor, grad_x: tensor, by_k: tensor, k_ptr: tensor, k: tensor, n: tensor, th: tensor,
    p: tensor, q: tensor, r: tensor, STEPS: constexpr, HELD: constexpr, MEAN: constexpr, HARD: constexpr,
    DECAYS: constexpr, READ_K: constexpr, LEARNED: constexpr, KIND: constexpr, BLOCK: constexpr,
) -> tensor:  # fmt: skip
    """Few steps: potentials in registers."""
    group, i = tl.program_id(1).to(tl.int64), tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    if READ_K:
        k = tl.load(k_ptr + group).to(tl.float32)
    c = 1.0 - k if DECAYS else 1.0
    at = group * n * (1 if HELD else STEPS) + i
    g_at = grad + group * n * (1 if MEAN else STEPS) + i
    step = 0 if HELD else n
    g_step = 0 if MEAN else n
    v = tl.zeros((BLOCK,), tl.float32)
    potentials = ()
    for _ in tl.static_range(STEPS):
        h = tl.load(x + at, mask=inside, other=0.0).to(tl.float32) * c + k * v
        v = reset(h, th, HARD)
        potentials = potentials + (h,)  # type: ignore[assignment]
        at += step
        g_at += g_step
    e = tl.zeros((BLOCK,), tl.float32)
    total = tl.zeros((BLOCK,), tl.float32)
    sums = tl.zeros((BLOCK,), tl.float32)
    for back_t in tl.static_range(STEPS):
        at -= step
        g_at -= g_step
        g = tl.load(g_at, mask=inside, other=0.0).to(tl.float32)
        if MEAN:
            g = g / STEPS
        e = back(e, potentials[STEPS - 1 - back_t], g, th, k, p, q, r, HARD, KIND)
        if HELD:
            total += e * c
        else:
            tl.store(grad_x + at, (e * c).to(grad_x.dtype.element_ty), mask=inside)
        if LEARNED:
            if back_t < STEPS - 1:
                sums += e * reset(potentials[STEPS - 2 - back_t], th, HARD)
            if DECAYS:
                sums -= e * tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    if HELD:
        tl.store(grad_x + at, total.to(grad_x.dtype.element_ty), mask=inside)
    if LEARNED:
        blocks = tl.num_programs(0)
        tl.store(by_k + group * blocks + tl.program_id(0), tl.sum(tl.where(inside, sums, 0.0)))


@triton.jit
def backward_long_kernel(
    x: tensor, grad: tensor, grad_x: tensor, scratch: tensor, by_k: tensor, k_ptr: tensor, k: tensor,
    n: tensor, steps: tensor, th: tensor, p: tensor, q: tensor, r: tensor, HELD: constexpr, MEAN: constexpr,
    HARD: constexpr, DECAYS: constexpr, READ_K: constexpr, LEARNED: constexpr, KIND: constexpr,
    BLOCK: constexpr,
) -> tensor:  # fmt: skip
    """Any number of steps: potentials in memory, each read before the gradient takes its place."""
    group, i = tl.program_id(1).to(tl.int64), tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    if READ_K:
        k = tl.load(k_ptr + group).to(tl.float32)
    c = 1.0 - k if DECAYS else 1.0
    at = group * n * (1 if HELD else steps) + i
    g_at = grad + group * n * (1 if MEAN else steps) + i
    h_at = scratch + group * n * steps + i
    step = 0 if HELD else n
    g_step = 0 if MEAN else n
    h = tl.zeros((BLOCK,), tl.float32)
    for t in range(steps):
        h = tl.load(x + at, mask=inside, other=0.0).to(tl.float32) * c + k * reset(h, th, HARD)
        tl.store(h_at, h, mask=inside)
        at += step
        g_at += g_step
        h_at += n
    tl.debug_barrier()
    h_at -= n
    share = 1.0 / steps if MEAN else 1.0
    e = tl.zeros((BLOCK,), tl.float32)
    total = tl.zeros((BLOCK,), tl.float32)
    sums = tl.zeros((BLOCK,), tl.float32)
    for left in range(steps):
        h_at -= n
        at -= step
        g_at -= g_step
        before = tl.load(h_at, mask=inside & (left < steps - 1), other=0.0)
        g = tl.load(g_at, mask=inside, other=0.0).to(tl.float32) * share
        e = back(e, h, g, th, k, p, q, r, HARD, KIND)
        if HELD:
            total += e * c
        else:
            tl.store(grad_x + at, (e * c).to(grad_x.dtype.element_ty), mask=inside)
        if LEARNED:
            sums += e * reset(before, th, HARD)
            if DECAYS:
                sums -= e * tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
        h = before
        tl.debug_barrier()
    if HELD:
        tl.store(grad_x + at, total.to(grad_x.dtype.element_ty), mask=inside)
    if LEARNED:
        blocks = tl.num_programs(0)
        tl.store(by_k + group * blocks + tl.program_id(0), tl.sum(tl.where(inside, sums, 0.0)))


def curve(surrogate: Surrogate | None, threshold: float) -> tuple[Any, float, float, float]:
    """The kind of a surrogate and its p, q, r."""
    if surrogate is None:
        return NONE, 0.0, 0.0, 0.0
    width, kind = surrogate.width, KINDS[surrogate.name]
    if surrogate.name == "rect":
        return kind, threshold - width, threshold + width, 0.5 / width
    if surrogate.name == "atan":
        return kind, 2.0 * width, math.pi**2 / (2.0 * width), 0.0
    if surrogate.name == "sigmoid":
        return kind, 1.0 / width, 0.0, 0.0
    area = 1.0 / (width * math.sqrt(2.0 * math.pi))
    return kind, -0.5 / width**2, threshold + surrogate.shift, area


def _size(x: Tensor, constants: Constants) -> tuple[int, int, int, tuple[int, int]]:
    """Steps, elements, groups and the grid."""
    groups = max(1, constants.groups)
    rows = 1 if constants.hold else x.shape[1 if constants.groups else 0]
    n = x.numel() // (groups * rows)
    return constants.hold or rows, n, groups, (triton.cdiv(n, BLOCK), groups)


def _decay(k: float | Tensor, x: Tensor) -> tuple[Tensor, float, bool]:
    """A pointer, a value, and whether to read the pointer."""
    return (k.contiguous(), 0.0, True) if isinstance(k, Tensor) else (x, float(k), False)


def _laid(x: Tensor, constants: Constants) -> Tensor:
    return x.contiguous() if constants.groups else dense(x, 1 if constants.hold else len(x))


def _output(x: Tensor, steps: int, constants: Constants) -> Tensor:
    """Empty, in the layout of the output."""
    return rows_like(x, steps, 1 if constants.groups else 0) if constants.each else torch.empty_like(x)


def forward(x: Tensor, k: float | Tensor, constants: Constants) -> Tensor:
    """Spikes, rates or potentials in the shape, type and layout of ``x``."""
    x = _laid(x.detach(), constants)
    steps, n, _, grid = _size(x, constants)
    out = _output(x, steps, constants)
    pointer, value, reads = _decay(k, x)
    forward_kernel[grid](
        x, out, pointer, value, n, steps, constants.v_threshold,
        HELD=constants.hold > 0, MEAN=constants.mean, HARD=constants.hard, DECAYS=constants.decay_input,
        READ_K=reads, SPIKES=constants.surrogate is not None, BLOCK=BLOCK, num_warps=WARPS,
    )  # fmt: skip
    return out


def backward(
    x: Tensor, grad: Tensor, k: float | Tensor, constants: Constants, *, learned: bool
) -> tuple[Tensor, Tensor | None]:
    """dL/dx in the layout of ``x``, and dL/dk (G,) where it is asked."""
    x = _laid(x.detach(), constants)
    steps, n, groups, grid = _size(x, constants)
    grad, grad_x = like(grad, _output(x, steps, constants)), torch.empty_like(x)
    pointer, value, reads = _decay(k, x)
    sums = x.new_empty((groups, grid[0]) if learned else (1,), dtype=torch.float32)
    kind, *pqr = curve(constants.surrogate, constants.v_threshold)
    options: dict[str, Any] = {
        "HELD": constants.hold > 0, "MEAN": constants.mean, "HARD": constants.hard,
        "DECAYS": constants.decay_input, "READ_K": reads, "LEARNED": learned, "KIND": kind,
        "BLOCK": BLOCK, "num_warps": WARPS,
    }  # fmt: skip
    shared = (pointer, value, n)
    if steps <= UNROLLED:
        args = (x, grad, grad_x, sums, *shared, constants.v_threshold, *pqr)
        backward_kernel[grid](*args, STEPS=steps, **options)
    else:
        own = x.dtype == torch.float32 and not constants.hold
        scratch = grad_x if own else x.new_empty((groups, steps, n), dtype=torch.float32)
        args = (x, grad, grad_x, scratch, sums, *shared, steps, constants.v_threshold, *pqr)
        backward_long_kernel[grid](*args, **options)
    return grad_x, sums.sum(1) if learned else None
