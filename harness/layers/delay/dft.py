"""Delays by a discrete Fourier transform written as matrix products, with a backward of its own.

A sequence of T steps convolved with K taps needs n >= T + K - 1 frequencies' worth of rows; the
transforms of input and kernel and the way back are small constant matrices, so that all work is
matrix products. A complex product takes three real ones (Gauss) or, where they are small, four in
fewer calls. Rows are (n / 2, 2, ...): real and imaginary part of each frequency; row pair 0 holds
the two frequencies that are real, 0 and n / 2. No padding, no permutation: time-major throughout.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from harness.layers.delay.long_kernel_matmul import rows_times

THREE_FROM = 8_000_000
"""Multiplications of one real product (B * I * O) from which three of them beat four."""


class Transforms(NamedTuple):
    """Constant matrices: input (n, T), kernel (n, K), and back (T', n)."""

    forward: Tensor
    kernel: Tensor
    back: Tensor


@lru_cache(maxsize=64)
def transforms(
    steps: int, taps: int, steps_out: int, decay: float | None, device: torch.device
) -> Transforms:
    """Matrices for T steps, K taps and T' <= T + K - 1 outputs.

    With ``decay`` k the way back includes a leaky sum over time, v[t] = k v[t-1] + out[t]: a linear
    readout costs nothing.
    """
    n = steps + taps - 1
    n += n % 2
    half = n // 2
    frequency = torch.arange(half, dtype=torch.float64)

    def analysis(times: Tensor) -> Tensor:
        angle = 2 * math.pi / n * torch.outer(frequency, times.double())
        rows = torch.stack([torch.cos(angle), -torch.sin(angle)], 1)
        rows[0, 1] = torch.cos(math.pi * times.double())
        return rows.reshape(n, -1)

    delays = torch.arange(taps - 1, -1, -1)
    back = analysis(torch.arange(steps_out)).t() * (2.0 / n)
    back[:, :2] *= 0.5
    if decay is not None:
        lag = torch.arange(steps_out, dtype=torch.float64)
        lag = lag.unsqueeze(1) - lag
        back = torch.where(lag >= 0, decay ** lag.clamp(min=0), 0.0) @ back
    parts = (analysis(torch.arange(steps)), analysis(delays), back)
    made = [part.float().contiguous().to(device) for part in parts]
    return Transforms(*made)


def kernel_spectrum(kernel_koi: Tensor, table: Transforms) -> Tensor:
    """The kernel's rows (n / 2, 2, O, I)."""
    taps, outputs, inputs = kernel_koi.shape
    rows = rows_times(table.kernel, kernel_koi.reshape(taps, -1).t())
    return rows.view(-1, 2, outputs, inputs)


def _spectrum(x_tbi: Tensor, matrix: Tensor) -> Tensor:
    steps, batch, width = x_tbi.shape
    flat = x_tbi.contiguous().view(
        steps, -1
    )  # an expanded one (a gradient of mean, of sum) is 20 times slower
    rows = rows_times(matrix, flat.t())
    return rows.view(-1, 2, batch, width)


def _synthesis(rows: Tensor, matrix: Tensor) -> Tensor:
    out = rows_times(matrix, rows.view(-1, rows.shape[2] * rows.shape[3]).t())
    return out.view(-1, rows.shape[2], rows.shape[3])


def _three(batch: int, inputs: int, outputs: int) -> bool:
    return batch * inputs * outputs >= THREE_FROM


def multiply(x: Tensor, h: Tensor) -> Tensor:
    """O = X H^T at every frequency: (n/2, 2, B, I) and (n/2, 2, O, I) to (n/2, 2, B, O)."""
    half, _, batch, inputs = x.shape
    outputs = h.shape[2]
    out = x.new_empty(half, 2, batch, outputs)
    out[0, 0] = rows_times(x[0, 0], h[0, 0])
    out[0, 1] = rows_times(x[0, 1], h[0, 1])
    if _three(batch, inputs, outputs):
        for f in range(1, half):
            xr, xi = x[f].unbind(0)
            hr, hi = h[f].unbind(0)
            rr, ii = rows_times(xr, hr), rows_times(xi, hi)
            cross = rows_times(xr + xi, hr + hi)
            torch.sub(rr, ii, out=out[f, 0])
            torch.sub(cross, rr.add_(ii), out=out[f, 1])
        return out
    for f in range(1, half):
        both = rows_times(x[f].view(2 * batch, inputs), h[f].view(2 * outputs, inputs))
        torch.sub(both[:batch, :outputs], both[batch:, outputs:], out=out[f, 0])
        torch.add(both[:batch, outputs:], both[batch:, :outputs], out=out[f, 1])
    return out


def input_gradient(d: Tensor, h: Tensor) -> Tensor:
    """dX = D conj(H) at every frequency, (n/2, 2, B, I)."""
    half, _, batch, outputs = d.shape
    inputs = h.shape[3]
    out = d.new_empty(half, 2, batch, inputs)
    out[0, 0] = rows_times(d[0, 0], h[0, 0].t())
    out[0, 1] = rows_times(d[0, 1], h[0, 1].t())
    if _three(batch, inputs, outputs):
        for f in range(1, half):
            dr, di = d[f].unbind(0)
            hr, hi = h[f].unbind(0)
            rr, ii = rows_times(dr, hr.t()), rows_times(di, hi.t())
            cross = rows_times(dr + di, (hr - hi).t())
            torch.add(rr, ii, out=out[f, 0])
            torch.add(cross, ii.sub_(rr), out=out[f, 1])
        return out
    for f in range(1, half):
        both = d[f].view(2 * batch, outputs)
        by_r, by_i = rows_times(both, h[f, 0].t()), rows_times(both, h[f, 1].t())
        torch.add(by_r[:batch], by_i[batch:], out=out[f, 0])
        torch.sub(by_r[batch:], by_i[:batch], out=out[f, 1])
    return out


def kernel_gradient(d: Tensor, x: Tensor) -> Tensor:
    """dH = D^T conj(X) at every frequency, (n/2, 2, O, I)."""
    half, _, batch, outputs = d.shape
    inputs = x.shape[3]
    out = d.new_empty(half, 2, outputs, inputs)
    out[0, 0] = rows_times(d[0, 0].t(), x[0, 0].t())
    out[0, 1] = rows_times(d[0, 1].t(), x[0, 1].t())
    if _three(batch, inputs, outputs):
        for f in range(1, half):
            dr, di = d[f].unbind(0)
            xr, xi = x[f].unbind(0)
            rr, ii = rows_times(dr.t(), xr.t()), rows_times(di.t(), xi.t())
            cross = rows_times((dr + di).t(), (xr - xi).t())
            torch.add(rr, ii, out=out[f, 0])
            torch.add(cross, ii.sub_(rr), out=out[f, 1])
        return out
    turned = d.new_empty(2, batch, outputs)
    for f in range(1, half):
        torch.neg(d[f, 0], out=turned[1])
        turned[0] = d[f, 1]
        x_rows = x[f].view(2 * batch, inputs).t()
        out[f, 0] = rows_times(d[f].view(2 * batch, outputs).t(), x_rows)
        out[f, 1] = rows_times(turned.view(2 * batch, outputs).t(), x_rows)
    return out


def apply_spectrum(x_tbi: Tensor, kernel_rows: Tensor, table: Transforms) -> Tensor:
    """Outputs (T', B, O) with a kernel that is already transformed; no gradient of its own."""
    return _synthesis(multiply(_spectrum(x_tbi, table.forward), kernel_rows), table.back)


class _Dft(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_tbi: Tensor, kernel_koi: Tensor, table: Transforms) -> Tensor:
        x = _spectrum(x_tbi, table.forward)
        h = kernel_spectrum(kernel_koi, table)
        ctx.save_for_backward(x, h)
        ctx.table = table
        return _synthesis(multiply(x, h), table.back)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_tbo: Tensor) -> tuple[Tensor | None, ...]:
        x, h = ctx.saved_tensors
        table = ctx.table
        d = _spectrum(grad_tbo, table.back.t())
        grad_x = grad_kernel = None
        if ctx.needs_input_grad[0]:
            grad_x = _synthesis(input_gradient(d, h), table.forward.t())
        if ctx.needs_input_grad[1]:
            grad_kernel = _synthesis(kernel_gradient(d, x), table.kernel.t())
        return grad_x, grad_kernel, None


def convolve(x_tbi: Tensor, kernel_koi: Tensor, steps_out: int, decay: float | None = None) -> Tensor:
    """Delayed sums (T', B, O) of ``x_tbi`` (T, B, I), as :func:`harness.layers.delay.backends.convolve`."""
    table = transforms(len(x_tbi), len(kernel_koi), steps_out, decay, x_tbi.device)
    out: Tensor = _Dft.apply(x_tbi, kernel_koi, table)
    return out
