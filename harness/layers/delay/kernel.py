"""Kernels of the delay layer: from weights and positions to taps, with gradients of their own.

Source: arXiv 2306.17670 with DCLS 0.1.1's 1-D form. Of K taps, tap k looks back K - 1 - k steps;
a position P in [-(K // 2), K // 2] has its centre at tap P + K // 2, that is a delay of
K - 1 - K // 2 - P steps (K // 2 - P for odd K). Kernels are (K, O, I): taps first, because
every backend reads them that way. Weights and positions are (KC, O, I): KC elements a synapse.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Shape = Literal["gauss", "triangle"]

GAUSS_FLOOR = 0.27
"""What is added to sigma in the Gaussian: sigma 0.23 gives an effective 0.5."""
TRIANGLE_FLOOR = 1.0
_EPSILON = 1e-7
_COLUMNS = 8192


class _Kernel(torch.autograd.Function):
    """Normalised taps times weight, element by element; saves the shares and recomputes distances."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, position: Tensor, taps: int, sigma: float, shape: Shape) -> Tensor:
        elements, synapses = weight.shape[0], weight[0].numel()
        kernel = weight.new_empty(taps, synapses)
        shares = [weight.new_empty(taps, synapses) for _ in range(elements)]
        for element, share in enumerate(shares):
            w, p = weight[element].reshape(-1), position[element].reshape(-1)
            for at in range(0, synapses, _COLUMNS):
                here = slice(at, at + _COLUMNS)
                _shares(p[here], taps, sigma, shape, out=share[:, here])
                if element == 0:
                    torch.mul(share[:, here], w[here], out=kernel[:, here])
                else:
                    kernel[:, here].addcmul_(share[:, here], w[here])
        ctx.save_for_backward(weight, position, *shares)
        ctx.options = (taps, sigma, shape)
        return kernel.view(taps, *weight.shape[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, position, *shares = ctx.saved_tensors
        taps, sigma, shape = ctx.options
        flat = grad.reshape(taps, -1)
        grad_weight, grad_position = torch.empty_like(weight), None
        if ctx.needs_input_grad[1]:
            grad_position = torch.empty_like(position)
        for element, share in enumerate(shares):
            dw = grad_weight[element].view(-1)
            for at in range(0, flat.shape[1], _COLUMNS):
                here = slice(at, at + _COLUMNS)
                part = share[:, here]
                pull = flat[:, here] * part
                torch.sum(pull, 0, out=dw[here])
                if grad_position is None:
                    continue
                p = position[element].reshape(-1)[here]
                slope = _log_slope(p, taps, sigma, shape)
                mean = torch.linalg.vecdot(part, slope, dim=0)
                force = torch.linalg.vecdot(pull, slope, dim=0) - dw[here] * mean
                grad_position[element].view(-1)[here] = force * weight[element].reshape(-1)[here]
        return grad_weight, grad_position, None, None, None


def _distances(p: Tensor, taps: int) -> Tensor:
    """Tap minus centre, (K, N)."""
    return torch.arange(taps, dtype=p.dtype, device=p.device).unsqueeze(1) - (p + taps // 2)


def _shares(p: Tensor, taps: int, sigma: float, shape: Shape, *, out: Tensor) -> None:
    """Shares of the weight on every tap, (K, N); they add up to one."""
    distance = _distances(p, taps)
    if shape == "gauss":
        width = abs(sigma) + GAUSS_FLOOR
        raw = distance.square_().mul_(-0.5 / (width * width)).exp_()
    else:
        raw = distance.abs_().neg_().add_(abs(sigma) + TRIANGLE_FLOOR).clamp_(min=0.0)
    torch.div(raw, raw.sum(0).add_(_EPSILON), out=out)


def _log_slope(p: Tensor, taps: int, sigma: float, shape: Shape) -> Tensor:
    """The derivative of the logarithm of each unnormalised tap by the position, (K, N)."""
    distance = _distances(p, taps)
    if shape == "gauss":
        return distance.mul_(1.0 / (abs(sigma) + GAUSS_FLOOR) ** 2)
    height = abs(sigma) + TRIANGLE_FLOOR - distance.abs()
    inside = torch.sign(distance) / height
    return torch.where(height > 0, inside, torch.zeros_like(inside))


def spread_kernel(
    weight: Tensor, position: Tensor, *, taps: int, sigma: float, shape: Shape = "gauss"
) -> Tensor:
    """The training kernel (K, O, I) of ``weight`` and ``position`` (KC, O, I).

    Each element's taps outside 0..K-1 do not exist; the others are normalised to add up to its
    weight. ``gauss``: exp(-d^2 / 2 (|sigma| + 0.27)^2); ``triangle``: max(0, |sigma| + 1 - |d|).
    """
    kernel: Tensor = _Kernel.apply(weight, position, taps, sigma, shape)
    return kernel


def delta_kernel(weight: Tensor, position: Tensor, *, taps: int) -> Tensor:
    """One tap an element (K, O, I): positions rounded (half to even) and clamped to the range.

    This is the triangle at sigma 0 and whole positions, as in evaluation and for fixed delays.
    """
    flat = weight.reshape(weight.shape[0], -1)
    tap = whole_positions(position, taps).reshape(weight.shape[0], -1).long() + taps // 2
    kernel = flat.new_zeros(taps, flat.shape[1]).scatter_add(0, tap, flat)
    return kernel.view(taps, *weight.shape[1:])


def whole_positions(position: Tensor, taps: int) -> Tensor:
    """Positions rounded half to even and clamped to what K taps can hold."""
    low, high = limits(taps)
    return position.detach().round().clamp_(low, high)


def limits(taps: int) -> tuple[int, int]:
    """The smallest and largest position whose centre is a tap: -(K // 2) and (K - 1) // 2."""
    return -(taps // 2), (taps - 1) // 2


def sigma_after(epoch: int, start: float, final_epoch: int, end: float = 0.23) -> float:
    """Sigma in force during ``epoch`` (from 0) of a geometric decrease to ``end`` at ``final_epoch``.

    Source: arXiv 2306.17670's released code; a start at or below ``end`` or ``final_epoch`` 0 is constant.
    """
    if final_epoch <= 0 or start <= end:
        return start
    return float(start * math.exp(min(epoch, final_epoch) / final_epoch * math.log(end / start)))
