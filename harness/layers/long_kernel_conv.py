"""A convolution along the last axis, in three forms that are equal up to rounding; the fastest is measured.

On CPUs oneDNN's backward passes of a (1, k) kernel are far below its forward pass once k is large. Written as
forward convolutions both gradients run at its speed: dL/dx is the gradient padded by (k - 1) d and convolved
with the kernel reversed; dL/dw is the input convolved with the gradient, channels and batch exchanged, stride
d. With many channels and taps a Fourier transform needs fewer multiplications. Which pays from where differs
from one processor to the next.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d, pad
from torch.utils._python_dispatch import _get_current_dispatch_mode

from harness.contracts import choices, timing
from harness.layers.delay.backends import smooth_length


def conv_last_axis(x_bfcl: Tensor, w_ofk: Tensor, dilation: int = 1) -> Tensor:
    """``x`` (B, F, C, L) with kernels (F', F, 1, k): (B, F', C, L - (k - 1) * dilation), no padding.

    Sums differ from torch's in rounding alone (1e-5 of the largest gradient). Only float32 on a CPU has a
    choice, and none while operators are counted (a dispatch mode): what they say does not depend on the form.
    """
    plain = w_ofk.shape[-1] == 1 or x_bfcl.device.type != "cpu" or x_bfcl.dtype != torch.float32
    if plain or torch.is_autocast_enabled("cpu") or _get_current_dispatch_mode() is not None:
        return by_conv2d(x_bfcl, w_ofk, dilation)
    return FORMS[_chosen(x_bfcl, w_ofk, dilation)](x_bfcl, w_ofk, dilation)


def _chosen(x_bfcl: Tensor, w_ofk: Tensor, dilation: int) -> str:
    (batch, fan_in, places, length), (fan_out, _, _, taps) = x_bfcl.shape, w_ofk.shape
    wanted = timing.wanted(x_bfcl, w_ofk)
    sizes = f"batch {choices.bucket(batch * places)}, length {length}, {fan_in}-{fan_out}, {taps} taps"
    key = f"convolution: {sizes}, dilation {dilation}, {timing.gradients(wanted)}"

    def work(name: str, size: int) -> timing.Work:
        x, w = timing.samples(wanted, x_bfcl, (size, fan_in, places, length), w_ofk, w_ofk.shape)
        return timing.there_and_back(partial(FORMS[name], x, w, dilation), x, w)

    return choices.pick(key, x_bfcl, batch, {name: partial(work, name) for name in FORMS})


def by_conv2d(x_bfcl: Tensor, w_ofk: Tensor, dilation: int) -> Tensor:
    """As torch has it."""
    return conv2d(x_bfcl, w_ofk, dilation=(1, dilation))


def by_forward_passes(x_bfcl: Tensor, w_ofk: Tensor, dilation: int) -> Tensor:
    """Gradients as convolutions."""
    return _LongKernelConv.apply(x_bfcl, w_ofk, dilation)  # type: ignore[no-any-return]


def by_fft(x_bfcl: Tensor, w_ofk: Tensor, dilation: int) -> Tensor:
    """One product a frequency; a circle of L is enough, as what wraps around is cut off."""
    (batch, _, places, length), (fan_out, _, _, taps) = x_bfcl.shape, w_ofk.shape
    reach, n = (taps - 1) * dilation, smooth_length(length)
    spread = pad(w_ofk[:, :, 0].unsqueeze(3), (0, dilation - 1)).flatten(2)[..., : reach + 1]
    x = torch.fft.rfft(x_bfcl, n).permute(3, 0, 2, 1).flatten(1, 2)
    w = torch.fft.rfft(spread, n).conj().permute(2, 1, 0)
    out: Tensor = torch.fft.irfft(torch.bmm(x, w), n, dim=0)[: length - reach]
    return out.view(-1, batch, places, fan_out).permute(1, 3, 2, 0).contiguous()


FORMS = {"conv2d": by_conv2d, "forward passes": by_forward_passes, "fft": by_fft}


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
