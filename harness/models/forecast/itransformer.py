"""Attention between variates: iSpikformer, and iTransformer as its counterpart.

Sources: SeqSNN (arXiv 2402.01533, iSpikformer), iTransformer (arXiv 2310.06625). T is a time axis.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.models.forecast.units import Maker

#: Factor on q k^T: there is no softmax.
SCALE = 0.125
#: The attention's output neuron fires at half the threshold: its current is doubled instead.
ATTENTION_GAIN = 2.0


class Charge(nn.Module):
    """Linear, batch normalisation over features, neuron: (T, B, C, D) to (T, B, C, D')."""

    def __init__(self, fan_in: int, fan_out: int, make: Maker) -> None:
        super().__init__()
        self.linear = nn.Linear(fan_in, fan_out, bias=False)
        self.norm, self.act = nn.BatchNorm1d(fan_out), make(fan_out, -1)

    def forward(self, x_tbcd: Tensor) -> Tensor:
        """Spikes."""
        current: Tensor = self.linear(x_tbcd)
        current = self.norm(current.flatten(0, 2)).view_as(current)
        out: Tensor = self.act(current)
        return out


class SpikingAttention(nn.Module):
    """Spiking self-attention over variates, without softmax."""

    def __init__(self, dim: int, heads: int, make: Maker) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (Charge(dim, dim, make) for _ in range(3))
        self.fire, self.out = make(dim, -1), Charge(dim, dim, make)

    def _split(self, x_tbcd: Tensor) -> Tensor:
        split = x_tbcd.view(*x_tbcd.shape[:-1], self.heads, -1)
        return split.transpose(2, 3)  # (T, B, heads, C, D/heads)

    def forward(self, x_tbcd: Tensor) -> Tensor:
        """Spikes (T, B, C, D)."""
        q, k, v = (self._split(layer(x_tbcd)) for layer in (self.q, self.k, self.v))
        mixed = (q @ k.transpose(-2, -1) * SCALE) @ v
        current = mixed.transpose(2, 3).flatten(-2)
        out: Tensor = self.out(self.fire(ATTENTION_GAIN * current))
        return out


class SpikingBlock(nn.Module):
    """x + attention(x), then x + MLP(x)."""

    def __init__(self, dim: int, heads: int, wide: int, make: Maker) -> None:
        super().__init__()
        self.attention = SpikingAttention(dim, heads, make)
        self.mlp = nn.Sequential(Charge(dim, wide, make), Charge(wide, dim, make))

    def forward(self, x_tbcd: Tensor) -> Tensor:
        """Sums of spikes (T, B, C, D)."""
        x_tbcd = x_tbcd + self.attention(x_tbcd)
        out: Tensor = x_tbcd + self.mlp(x_tbcd)
        return out


class ISpikformer(nn.Module):
    """Spikes (T, B, C, L) to features (B, C, D): the mean over T of the last block, or its last step."""

    def __init__(
        self, window: int, dim: int, depth: int, heads: int, wide: int, make: Maker, *, last: bool = False
    ) -> None:
        super().__init__()
        self.features, self.last = dim, last
        self.embed = Charge(window, dim, make)
        self.blocks = nn.Sequential(*(SpikingBlock(dim, heads, wide, make) for _ in range(depth)))

    def forward(self, x_tbcl: Tensor) -> Tensor:
        """Features (B, C, D)."""
        out: Tensor = self.blocks(self.embed(x_tbcl))
        return out[-1] if self.last else out.mean(0)


class ITransformer(nn.Module):
    """Windows (B, L, C) to features (B, C, D)."""

    def __init__(self, window: int, dim: int, depth: int, heads: int, wide: int) -> None:
        super().__init__()
        self.features = dim
        self.embed = nn.Linear(window, dim)
        layers = [
            nn.TransformerEncoderLayer(dim, heads, wide, dropout=0.0, activation="gelu", batch_first=True)
            for _ in range(depth)
        ]
        self.blocks = nn.Sequential(*layers, nn.LayerNorm(dim))

    def forward(self, x_blc: Tensor) -> Tensor:
        """Features (B, C, D)."""
        out: Tensor = self.blocks(self.embed(torch.transpose(x_blc, 1, 2)))
        return out
