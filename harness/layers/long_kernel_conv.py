"""A convolution along the last axis whose gradients are convolutions too, for kernels of many taps.

On CPUs oneDNN's backward passes of a (1, k) kernel are far below its forward pass once k is large
(16 taps: 3 to 5 times the time for twice the work, measured). Written as forward convolutions both
gradients run at its speed: dL/dx is the gradient padded by (k - 1) d and convolved with the kernel
reversed; dL/dw is the input convolved with the gradient, channels and batch exchanged, stride d.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d

LONG_KERNEL = 12
"""Taps from where it pays (measured: at 8 taps about equal, at 16 twice as fast)."""


def conv_last_axis(x_bfcl: Tensor, w_ofk: Tensor, dilation: int = 1) -> Tensor:
    """``x`` (B, F, C, L) with kernels (F', F, 1, k): (B, F', C, L - (k - 1) * dilation), no padding.

    Sums differ from torch's in rounding alone (1e-5 of the largest gradient).
    """
    plain = w_ofk.shape[-1] < LONG_KERNEL or x_bfcl.device.type != "cpu" or x_bfcl.dtype != torch.float32
    if plain or torch.is_autocast_enabled("cpu"):
        return conv2d(x_bfcl, w_ofk, dilation=(1, dilation))
    return _LongKernelConv.apply(x_bfcl, w_ofk, dilation)  # type: ignore[no-any-return]


class LastAxisConv(nn.Conv2d):
    """The layer of :func:`conv_last_axis`, without bias or padding."""

    def __init__(self, fan_in: int, fan_out: int, taps: int, dilation: int = 1) -> None:
        super().__init__(fan_in, fan_out, (1, taps), dilation=(1, dilation), bias=False)

    def forward(self, x_bfcl: Tensor) -> Tensor:
        """(B, F, C, L) to (B, F', C, L - (k - 1) * dilation)."""
        return conv_last_axis(x_bfcl, self.weight, int(self.dilation[1]))


class _LongKernelConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, dilation: int) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.dilation = dilation
        return conv2d(x, w, dilation=(1, dilation))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (x, w), dilation, grad_x, grad_w = ctx.saved_tensors, ctx.dilation, None, None
        if ctx.needs_input_grad[0]:
            padding = (0, (w.shape[-1] - 1) * dilation)
            reversed_w = w.transpose(0, 1).flip(3)
            grad_x = conv2d(grad, reversed_w, padding=padding, dilation=(1, dilation))
        if ctx.needs_input_grad[1]:
            grad_w = conv2d(x.transpose(0, 1), grad.transpose(0, 1), stride=(1, dilation)).transpose(0, 1)
        return grad_x, grad_w, None
