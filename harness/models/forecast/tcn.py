"""Temporal convolutions over windows, spiking or not.

Source: SeqSNN's SNN_TCN2D (arXiv 2402.01533): per level two dilated causal convolutions and a residual.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from harness.layers.long_kernel_conv import LastAxisConv
from harness.models.forecast.units import Maker

POSITION_THRESHOLD, POSITION_SCALE, POSITION_DROPOUT = 0.8, 10_000.0, 0.1


def position_rows(length: int, count: int) -> Tensor:
    """A binary position code (length, count): 1 where sin(p w) or, in odd columns, cos(p w) is at least 0.8.

    w falls from 1 to 1/10000. Source: SeqSNN's `NeuronPE`, whose positions run over features and steps.
    """
    w = torch.exp(torch.arange(0, count, 2) * (-math.log(POSITION_SCALE) / count))
    angle = torch.arange(length).unsqueeze(1) * w
    both = torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)[:, :count]
    return (both >= POSITION_THRESHOLD).float()


class CausalConv(nn.Module):
    """A convolution over the last axis, normalised: (B, F, C, L) to (B, F', C, L - (k-1)*dilation).

    ``padded``: its own input is padded with zeros in the past, and L stays.
    """

    def __init__(self, fan_in: int, fan_out: int, kernel: int, dilation: int, *, padded: bool) -> None:
        super().__init__()
        self.padding = (kernel - 1) * dilation if padded else 0
        conv = LastAxisConv(fan_in, fan_out, kernel, dilation)
        self.conv, self.norm = nn.utils.parametrizations.weight_norm(conv), nn.BatchNorm2d(fan_out)

    def forward(self, x_bfcl: Tensor) -> Tensor:
        """Normalised currents."""
        if self.padding:
            x_bfcl = nn.functional.pad(x_bfcl, (self.padding, 0))
        out: Tensor = self.norm(self.conv(x_bfcl))
        return out


class Block(nn.Module):
    """Two causal convolutions with activations, a residual, a third activation."""

    def __init__(
        self, fan_in: int, fan_out: int, kernel: int, dilation: int, make: Maker, *, padded: bool
    ) -> None:
        super().__init__()
        self.first = CausalConv(fan_in, fan_out, kernel, dilation, padded=padded)
        self.second = CausalConv(fan_out, fan_out, kernel, dilation, padded=padded)
        self.skip = nn.Identity() if fan_in == fan_out else nn.Conv2d(fan_in, fan_out, 1)
        self.act1, self.act2, self.act3 = (make(fan_out, -3) for _ in range(3))

    def forward(self, x_bfcl: Tensor) -> Tensor:
        """Rates (spiking) or activations of the positions that have a whole past."""
        y = self.act2(self.second(self.act1(self.first(x_bfcl))))
        out: Tensor = self.act3(y + self.skip(x_bfcl[..., -y.shape[-1] :]))
        return out


class TCN(nn.Module):
    """Encoded windows (B, F, C, L) to what stands at the last position, (B, C, channels).

    ``scalar``: a last block of one feature, as released: one number a variate reaches the readout.
    ``padded``: every convolution pads its own input, as released, so that no more than the window is
    computed; else a window shorter than the reach is padded itself, once. ``positions``: so many rows of a
    position code come beside the variates.
    """

    def __init__(
        self,
        width: int,
        channels: int,
        levels: int,
        kernel: int,
        make: Maker,
        *,
        scalar: bool,
        padded: bool = False,
        positions: int = 0,
    ) -> None:
        super().__init__()
        sizes = [channels] * levels + ([1] if scalar else [])
        blocks = []
        for level, size in enumerate(sizes):
            blocks.append(Block(width, size, kernel, 2**level, make, padded=padded))
            width = size
        self.blocks, self.features = nn.Sequential(*blocks), width
        self.padded, self.positions, self.dropout = padded, positions, nn.Dropout(POSITION_DROPOUT)
        self.reach = 1 + 2 * (kernel - 1) * (2 ** len(sizes) - 1)

    def forward(self, x_bfcl: Tensor) -> Tensor:
        """Features (B, C + positions, F') of the last position.

        Only positions that reach it are computed, unless convolutions pad for themselves; a window shorter
        than that is padded with zeros.
        """
        if self.positions:
            batch, features, _, length = x_bfcl.shape
            rows_lp = position_rows(features * length, self.positions).to(x_bfcl)
            rows = rows_lp.view(features, length, self.positions).transpose(1, 2)
            x_bfcl = self.dropout(torch.cat([x_bfcl, rows.expand(batch, -1, -1, -1)], dim=2))
        if self.padded:
            whole: Tensor = self.blocks(x_bfcl)
            return whole[..., -1].transpose(1, 2)
        length = x_bfcl.shape[-1]
        if length < self.reach:
            x_bfcl = nn.functional.pad(x_bfcl, (self.reach - length, 0))
        out: Tensor = self.blocks(x_bfcl[..., -self.reach :])
        return out[..., -1].transpose(1, 2)
