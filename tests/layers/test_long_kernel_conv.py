"""The convolution with gradients of its own equals torch's."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import conv2d

from harness.layers.long_kernel_conv import LONG_KERNEL, conv_last_axis


@pytest.mark.parametrize("taps", [1, LONG_KERNEL - 1, LONG_KERNEL, 16])
@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_equals_the_convolution(taps: int, dilation: int) -> None:
    generator = torch.Generator().manual_seed(taps + dilation)
    results = []
    for function in (lambda x, w: conv2d(x, w, dilation=(1, dilation)), None):
        x = torch.randn(3, 5, 2, 80, generator=generator.manual_seed(1)).requires_grad_()
        w = torch.randn(4, 5, 1, taps, generator=generator.manual_seed(2)).requires_grad_()
        out = conv_last_axis(x, w, dilation) if function is None else function(x, w)
        out.backward(torch.randn(out.shape, generator=generator.manual_seed(3)))
        results.append((out.detach(), x.grad, w.grad))
    for theirs, ours in zip(*results, strict=True):
        assert theirs is not None
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_bf16_takes_the_ordinary_one() -> None:
    x, w = torch.randn(2, 3, 1, 40).requires_grad_(), torch.randn(4, 3, 1, LONG_KERNEL).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = conv_last_axis(x, w)
    assert out.dtype == torch.bfloat16
    out.sum().backward()
    assert w.grad is not None
    assert w.grad.dtype == torch.float32


def test_a_window_as_long_as_the_kernel_and_a_part_that_needs_no_gradient() -> None:
    x, w = torch.randn(2, 3, 1, LONG_KERNEL), torch.randn(4, 3, 1, LONG_KERNEL).requires_grad_()
    out = conv_last_axis(x, w)
    assert out.shape == (2, 4, 1, 1)
    out.sum().backward()
    torch.testing.assert_close(w.grad, x.sum(0)[None].expand(4, -1, -1, -1), atol=1e-5, rtol=1e-5)
