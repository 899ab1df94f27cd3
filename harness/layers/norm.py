"""Batch normalisation whose scale is tied to a neuron's threshold.

Both are applied to steps folded into the batch (:func:`harness.layers.time.over_time`), so that
their statistics run over (B, T) and space, per channel.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Dims = Literal[1, 2]


class ThresholdBatchNorm(nn.BatchNorm2d):
    """tdBN: the weight starts at ``alpha * v_threshold``, the bias at 0.

    Inputs (N, C, H, W) or (N, C). Source: docs/papers.md, Normalisation (alpha 1, threshold 0.5),
    after Zheng et al. 2021; SpikingJelly's ThresholdDependentBatchNorm2d.
    """

    def __init__(self, channels: int, v_threshold: float = 1.0, alpha: float = 1.0) -> None:
        self.start = alpha * v_threshold
        super().__init__(channels)

    def reset_parameters(self) -> None:
        """Weight to alpha * v_threshold, bias and statistics to their start."""
        super().reset_parameters()
        nn.init.constant_(self.weight, self.start)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in (2, 4):
            raise ValueError(f"expected (N, C) or (N, C, H, W), got {tuple(input.shape)}")


class ScaledVarianceBatchNorm(ThresholdBatchNorm):
    """thBN: the variance is multiplied by ``k``, so outputs have a deviation of 1/sqrt(k).

    The weight starts at 1. Source: arXiv 2203.01158's released code (util/thBN.py; k 4 after the
    first convolution of a block, 8 after the second and in the shortcut). Running statistics are
    those of the input.
    """

    def __init__(self, channels: int, k: float = 4.0) -> None:
        super().__init__(channels, 1.0)
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        """(x - mean) / sqrt(k var + eps) * weight + bias."""
        self._check_input_dim(input)
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        # sqrt(k var + eps) is sqrt(k) sqrt(var + eps / k).
        return functional.batch_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight / math.sqrt(self.k),
            self.bias,
            self.training,
            self.momentum or 0.0,
            self.eps / self.k,
        )


def plain(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with weight 1, for (N, C) and (N, C, H, W)."""
    return ThresholdBatchNorm(channels, 1.0)


@torch.no_grad()
def fold_into(conv: nn.Conv2d | nn.Linear, norm: nn.BatchNorm2d) -> None:
    """Fold a normalisation's running statistics into the layer before it, which needs a bias."""
    if norm.running_var is None or norm.running_mean is None or conv.bias is None:
        raise ValueError("folding needs running statistics and a bias")
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    conv.weight.mul_(scale.reshape(-1, *([1] * (conv.weight.dim() - 1))))
    conv.bias.copy_((conv.bias - norm.running_mean) * scale + norm.bias)
