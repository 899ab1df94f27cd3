"""Memory that kernels read as rows, whatever its axes."""

from __future__ import annotations

import torch
from torch import Tensor


def dense(x: Tensor, rows: int) -> Tensor:
    """``x`` itself where every row lies in one piece, one after another; else a copy."""
    expected = 1
    pairs = [(step, size) for step, size in zip(x.stride(), x.shape, strict=True) if size > 1]
    for step, size in sorted(pairs):
        if step != expected:
            return x.contiguous()
        expected *= size
    if rows > 1 and x.stride(0) * rows != x.numel():
        return x.contiguous()
    return x


def like(grad: Tensor, x: Tensor) -> Tensor:
    """``grad`` with the layout of ``x``."""
    return grad if grad.stride() == x.stride() else torch.empty_like(x).copy_(grad)
