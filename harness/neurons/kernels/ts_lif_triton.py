"""TS-LIF in Triton: a program takes a block of elements through all timesteps, there and back.

The recurrence is that of :mod:`harness.neurons.kernels.ts_lif_recurrence`. Inputs are (T, N) or held (1, N)
in float32, bfloat16 or float16; sums run in float32. The backward pass computes the membranes again: up to
UNROLLED steps they stay in registers, else they lie in a scratch of float32. Constants are read on the
device, and their gradients stay there: nothing waits for the host.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language import constexpr, tensor

from harness.neurons.kernels.layout import like
from harness.neurons.kernels.leaky_triton import curve, slope
from harness.neurons.kernels.ts_lif_recurrence import Rule, gains_grad

BLOCK, WARPS, UNROLLED = 256, 4, 8
SUMS = 9


@triton.jit
def charge(current: tensor, u_d: tensor, u_s: tensor, gains: tensor, th: tensor, LATE: constexpr) -> tensor:
    """Membranes of a step from those of the step before."""
    k11, k12, kx1 = tl.load(gains), tl.load(gains + 1), tl.load(gains + 2)
    k22, k21, kx2 = tl.load(gains + 3), tl.load(gains + 4), tl.load(gains + 5)
    r_d = tl.where(u_d >= th, tl.load(gains + 6), 0.0)
    r_s = tl.where(u_s >= th, tl.load(gains + 7), 0.0)
    if LATE:
        d = k11 * u_d + k12 * u_s + kx1 * current - r_d
        s = k22 * u_s + k21 * d + kx2 * current - r_s
    else:
        d = k11 * (u_d - r_d) + k12 * (u_s - r_s) + kx1 * current
        s = k22 * (u_s - r_s) + k21 * d + kx2 * current
    return d, s


@triton.jit
def back(
    a_d: tensor, a_s: tensor, u_d: tensor, u_s: tensor, g: tensor, m_d: tensor, m_s: tensor, gains: tensor,
    th: tensor, p: tensor, q: tensor, r: tensor, LATE: constexpr, KIND: constexpr,
) -> tensor:  # fmt: skip
    """dL/du of a step from that of the step after, g the gradient of the output."""
    k11, k12, k22, k21 = tl.load(gains), tl.load(gains + 1), tl.load(gains + 3), tl.load(gains + 4)
    g1, g2 = tl.load(gains + 6), tl.load(gains + 7)
    d, s = k11 * a_d, k12 * a_d + k22 * a_s
    by_d, by_s = (g1 * a_d, g2 * a_s) if LATE else (g1 * d, g2 * s)
    s = s + slope(u_s, th, p, q, r, KIND) * (m_s * g - by_s)
    d = d + slope(u_d, th, p, q, r, KIND) * (m_d * g - by_d) + k21 * s
    return d, s


@triton.jit
def add(
    sums: tensor, a_d: tensor, a_s: tensor, u_d: tensor, b_d: tensor, b_s: tensor, current: tensor,
    gains: tensor, th: tensor, LATE: constexpr,
) -> tensor:  # fmt: skip
    """Products of dL/du with what it came from; b are the membranes of the step before."""
    f_d, f_s = (b_d >= th).to(tl.float32), (b_s >= th).to(tl.float32)
    p_d, p_s = b_d, b_s
    if not LATE:
        p_d, p_s = b_d - tl.load(gains + 6) * f_d, b_s - tl.load(gains + 7) * f_s
    return (
        sums[0] + a_d * current, sums[1] + a_s * current, sums[2] + a_s * u_d,
        sums[3] + a_d * p_d, sums[4] + a_d * p_s, sums[5] + a_s * p_s,
        sums[6] + a_d * f_d, sums[7] + a_d * f_s, sums[8] + a_s * f_s,
    )  # fmt: skip


@triton.jit
def weights(mix: tensor, i: tensor, inside: tensor, inner: tensor, features: tensor) -> tensor:
    """The mix of every element."""
    at = (i // inner) % features
    return tl.load(mix + at, mask=inside, other=0.0).to(tl.float32), tl.load(
        mix + features + at, mask=inside, other=0.0
    ).to(tl.float32)


@triton.jit
def forward_kernel(
    x: tensor, out: tensor, gains: tensor, mix: tensor, n: tensor, steps: tensor, inner: tensor,
    features: tensor, th: tensor, HELD: constexpr, LATE: constexpr, BLOCK: constexpr,
) -> tensor:  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    m_d, m_s = weights(mix, i, inside, inner, features)
    u_d, u_s = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    total = tl.zeros((BLOCK,), tl.float32)
    at = i
    for _ in range(steps):
        current = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
        u_d, u_s = charge(current, u_d, u_s, gains, th, LATE)
        y = tl.where(u_d >= th, m_d, 0.0) + tl.where(u_s >= th, m_s, 0.0)
        if HELD:
            total += y
        else:
            tl.store(out + at, y.to(out.dtype.element_ty), mask=inside)
            at += n
    if HELD:
        tl.store(out + at, (total / steps).to(out.dtype.element_ty), mask=inside)


@triton.jit
def unwind(
    x: tensor, grad: tensor, grad_x: tensor, at: tensor, inside: tensor, u_d: tensor, u_s: tensor,
    b_d: tensor, b_s: tensor, state: tensor, sums: tensor, m_d: tensor, m_s: tensor, gains: tensor,
    th: tensor, p: tensor, q: tensor, r: tensor, share: tensor, HELD: constexpr, LATE: constexpr,
    KIND: constexpr, BY_GAIN: constexpr, BY_MIX: constexpr,
) -> tensor:  # fmt: skip
    """One step back: membranes u, those of the step before b; the state is dL/du, dL/d(mix), dL/dx held."""
    a_d, a_s, g_d, g_s, total = state
    g = tl.load(grad + at, mask=inside, other=0.0).to(tl.float32) * share
    a_d, a_s = back(a_d, a_s, u_d, u_s, g, m_d, m_s, gains, th, p, q, r, LATE, KIND)
    by_x = tl.load(gains + 2) * a_d + tl.load(gains + 5) * a_s
    if HELD:
        total += by_x
    else:
        tl.store(grad_x + at, by_x.to(grad_x.dtype.element_ty), mask=inside)
    if BY_MIX:
        g_d += tl.where(u_d >= th, g, 0.0)
        g_s += tl.where(u_s >= th, g, 0.0)
    if BY_GAIN:
        current = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
        sums = add(sums, a_d, a_s, u_d, b_d, b_s, current, gains, th, LATE)
    return (a_d, a_s, g_d, g_s, total), sums


@triton.jit
def finish(
    state: tensor, sums: tensor, grad_x: tensor, by_gain: tensor, by_mix: tensor, i: tensor, n: tensor,
    inside: tensor, HELD: constexpr, BY_GAIN: constexpr, BY_MIX: constexpr,
) -> tensor:  # fmt: skip
    """Write what was summed over the steps."""
    if HELD:
        tl.store(grad_x + i, state[4].to(grad_x.dtype.element_ty), mask=inside)
    if BY_MIX:
        tl.store(by_mix + i, state[2], mask=inside)
        tl.store(by_mix + n + i, state[3], mask=inside)
    if BY_GAIN:
        at = by_gain + tl.program_id(0) * 9
        for j in tl.static_range(9):
            tl.store(at + j, tl.sum(tl.where(inside, sums[j], 0.0)))


@triton.jit
def backward_kernel(
    x: tensor, grad: tensor, grad_x: tensor, gains: tensor, mix: tensor, by_gain: tensor, by_mix: tensor,
    n: tensor, inner: tensor, features: tensor, th: tensor, p: tensor, q: tensor, r: tensor,
    STEPS: constexpr, HELD: constexpr, LATE: constexpr, KIND: constexpr, BY_GAIN: constexpr,
    BY_MIX: constexpr, BLOCK: constexpr,
) -> tensor:  # fmt: skip
    """Few steps: membranes in registers."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    m_d, m_s = weights(mix, i, inside, inner, features)
    zero = tl.zeros((BLOCK,), tl.float32)
    step = 0 if HELD else n
    share = 1.0 / STEPS if HELD else 1.0
    u_d, u_s, at = zero, zero, i
    kept = (zero, zero)
    for _ in tl.static_range(STEPS):
        current = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
        u_d, u_s = charge(current, u_d, u_s, gains, th, LATE)
        kept = kept + (u_d, u_s)  # type: ignore[assignment]
        at += step
    state = (zero, zero, zero, zero, zero)
    sums = (zero, zero, zero, zero, zero, zero, zero, zero, zero)
    for left in tl.static_range(STEPS):
        at -= step
        u_d, u_s = kept[2 * (STEPS - left)], kept[2 * (STEPS - left) + 1]
        b_d, b_s = kept[2 * (STEPS - left) - 2], kept[2 * (STEPS - left) - 1]
        state, sums = unwind(
            x, grad, grad_x, at, inside, u_d, u_s, b_d, b_s, state, sums, m_d, m_s, gains, th, p, q, r,
            share, HELD, LATE, KIND, BY_GAIN, BY_MIX,
        )  # fmt: skip
    finish(state, sums, grad_x, by_gain, by_mix, i, n, inside, HELD, BY_GAIN, BY_MIX)


@triton.jit
def backward_long_kernel(
    x: tensor, grad: tensor, grad_x: tensor, scratch: tensor, gains: tensor, mix: tensor, by_gain: tensor,
    by_mix: tensor, n: tensor, steps: tensor, inner: tensor, features: tensor, th: tensor, p: tensor,
    q: tensor, r: tensor, HELD: constexpr, LATE: constexpr, KIND: constexpr, BY_GAIN: constexpr,
    BY_MIX: constexpr, BLOCK: constexpr,
) -> tensor:  # fmt: skip
    """Any number of steps: membranes in the scratch (T, 2, N)."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    m_d, m_s = weights(mix, i, inside, inner, features)
    zero = tl.zeros((BLOCK,), tl.float32)
    step = 0 if HELD else n
    share = 1.0 / steps if HELD else 1.0
    u_d, u_s, at, d_at = zero, zero, i, scratch + i
    for _ in range(steps):
        current = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
        u_d, u_s = charge(current, u_d, u_s, gains, th, LATE)
        tl.store(d_at, u_d, mask=inside)
        tl.store(d_at + n, u_s, mask=inside)
        at += step
        d_at += 2 * n
    tl.debug_barrier()
    d_at -= 2 * n
    state = (zero, zero, zero, zero, zero)
    sums = (zero, zero, zero, zero, zero, zero, zero, zero, zero)
    for left in range(steps):
        at -= step
        d_at -= 2 * n
        earlier = inside & (left < steps - 1)
        b_d, b_s = tl.load(d_at, mask=earlier, other=0.0), tl.load(d_at + n, mask=earlier, other=0.0)
        state, sums = unwind(
            x, grad, grad_x, at, inside, u_d, u_s, b_d, b_s, state, sums, m_d, m_s, gains, th, p, q, r,
            share, HELD, LATE, KIND, BY_GAIN, BY_MIX,
        )  # fmt: skip
        u_d, u_s = b_d, b_s
    finish(state, sums, grad_x, by_gain, by_mix, i, n, inside, HELD, BY_GAIN, BY_MIX)


def forward(x: Tensor, gains: Tensor, mix: Tensor, rule: Rule, inner: int) -> Tensor:
    """Mixed spikes; element i of a row has feature (i // inner) % F of the mix (2, F)."""
    x = x.detach().contiguous()
    out = torch.empty_like(x)
    steps, n = rule.hold or len(x), x.numel() // (1 if rule.hold else len(x))
    forward_kernel[(triton.cdiv(n, BLOCK),)](
        x, out, gains.detach().contiguous(), mix.detach().contiguous(), n, steps, inner, mix.shape[1],
        rule.v_threshold, HELD=rule.hold > 0, LATE=rule.late, BLOCK=BLOCK, num_warps=WARPS,
    )  # fmt: skip
    return out


def backward(
    x: Tensor, grad: Tensor, gains: Tensor, mix: Tensor, rule: Rule, inner: int, wanted: tuple[bool, bool]
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """dL/dx and, where ``wanted``, dL/d(gains) (8,) and dL/d(mix) (2, F)."""
    x = x.detach().contiguous()
    grad, grad_x, features = like(grad, x), torch.empty_like(x), mix.shape[1]
    steps, n = rule.hold or len(x), x.numel() // (1 if rule.hold else len(x))
    blocks = triton.cdiv(n, BLOCK)

    def floats(*shape: int) -> Tensor:
        return x.new_empty(shape, dtype=torch.float32)

    by_gain, by_mix = floats(blocks, SUMS), floats(2, n) if wanted[1] else floats(1)
    kind, *pqr = curve(rule.surrogate, rule.v_threshold)
    options: dict[str, Any] = {
        "HELD": rule.hold > 0, "LATE": rule.late, "KIND": kind,
        "BY_GAIN": wanted[0], "BY_MIX": wanted[1], "BLOCK": BLOCK, "num_warps": WARPS,
    }  # fmt: skip
    constants = (gains.detach().contiguous(), mix.detach().contiguous(), by_gain, by_mix)
    shape = (inner, features, rule.v_threshold, *pqr)
    if steps <= UNROLLED:
        backward_kernel[(blocks,)](x, grad, grad_x, *constants, n, *shape, STEPS=steps, **options)
    else:
        args = (x, grad, grad_x, floats(steps, 2, n), *constants, n, steps, *shape)
        backward_long_kernel[(blocks,)](*args, **options)
    grad_gains = gains_grad(by_gain.sum(0), gains, late=rule.late) if wanted[0] else None
    grad_mix = by_mix.view(2, -1, features, inner).sum((1, 3)).to(mix.dtype) if wanted[1] else None
    return grad_x, grad_gains, grad_mix
