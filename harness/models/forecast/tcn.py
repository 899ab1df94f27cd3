"""Temporal convolutions over windows, spiking or not.

Source: SeqSNN's SNN_TCN2D (arXiv 2402.01533): per level two dilated causal convolutions and a residual.
"""

from __future__ import annotations

from torch import Tensor, nn

from harness.layers.long_kernel_conv import LastAxisConv
from harness.models.forecast.units import Maker


class CausalConv(nn.Module):
    """A convolution over the last axis, normalised: (B, F, C, L) to (B, F', C, L - (k-1)*dilation)."""

    def __init__(self, fan_in: int, fan_out: int, kernel: int, dilation: int) -> None:
        super().__init__()
        conv = LastAxisConv(fan_in, fan_out, kernel, dilation)
        self.conv, self.norm = nn.utils.parametrizations.weight_norm(conv), nn.BatchNorm2d(fan_out)

    def forward(self, x_bfcl: Tensor) -> Tensor:
        """Normalised currents."""
        out: Tensor = self.norm(self.conv(x_bfcl))
        return out


class Block(nn.Module):
    """Two causal convolutions with activations, a residual, a third activation."""

    def __init__(self, fan_in: int, fan_out: int, kernel: int, dilation: int, make: Maker) -> None:
        super().__init__()
        self.first = CausalConv(fan_in, fan_out, kernel, dilation)
        self.second = CausalConv(fan_out, fan_out, kernel, dilation)
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
    """

    def __init__(
        self, width: int, channels: int, levels: int, kernel: int, make: Maker, *, scalar: bool
    ) -> None:
        super().__init__()
        sizes = [channels] * levels + ([1] if scalar else [])
        blocks = []
        for level, size in enumerate(sizes):
            blocks.append(Block(width, size, kernel, 2**level, make))
            width = size
        self.blocks, self.features = nn.Sequential(*blocks), width
        self.reach = 1 + 2 * (kernel - 1) * (2 ** len(sizes) - 1)

    def forward(self, x_bfcl: Tensor) -> Tensor:
        """Features (B, C, F') of the last position.

        Only positions that reach it are computed; a window shorter than that is padded with zeros.
        """
        length = x_bfcl.shape[-1]
        if length < self.reach:
            x_bfcl = nn.functional.pad(x_bfcl, (self.reach - length, 0))
        out: Tensor = self.blocks(x_bfcl[..., -self.reach :])
        return out[..., -1].transpose(1, 2)
