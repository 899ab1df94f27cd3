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


def like(grad: Tensor, out: Tensor) -> Tensor:
    """``grad`` with the layout of ``out``."""
    return grad if grad.stride() == out.stride() else torch.empty_like(out).copy_(grad)


def rows_like(x: Tensor, rows: int, axis: int = 0) -> Tensor:
    """An empty tensor of ``rows`` times ``x`` along a new axis, each row laid out as ``x``."""
    shape, strides = list(x.shape), list(x.stride())
    inner = x[0].numel() if axis else x.numel()
    strides = [step * rows for step in strides[:axis]] + strides[axis:]
    shape.insert(axis, rows)
    strides.insert(axis, inner)
    return x.new_empty_strided(shape, strides)
