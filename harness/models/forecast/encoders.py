"""Values to spikes: conv, delta and repeat, per feature (TCN, GRU) or per timestep (iSpikformer).

Source: SeqSNN, arXiv 2402.01533, released encoders (docs/papers.md, Forecasting networks). They are the
same for every neuron, so that what follows is compared alone.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Code = Literal["conv", "delta", "repeat"]


class Encoder(nn.Module):
    """(B, L, C) to (B, W, C, L): W features of every value, through ``activation``.

    conv: 1x3 filters over time and batch normalisation; delta: differences, normalised, scaled to W;
    repeat: the value W times. With ``activation`` a neuron over W = T timesteps, W is time.
    """

    def __init__(self, code: Code, width: int, activation: nn.Module) -> None:
        super().__init__()
        self.code, self.width, self.activation = code, width, activation
        if code == "conv":
            conv = nn.Conv2d(1, width, (1, 3), padding=(0, 1))
            self.body: nn.Module = nn.Sequential(conv, nn.BatchNorm2d(width))
        elif code == "delta":
            self.body = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, width, 1))
        else:
            self.body = nn.Identity()

    def forward(self, x_blc: Tensor) -> Tensor:
        """Activations (B, W, C, L)."""
        x_b1cl = x_blc.transpose(1, 2).unsqueeze(1)
        if self.code == "delta":
            x_b1cl = torch.diff(x_b1cl, dim=3, prepend=x_b1cl[..., :1])
        elif self.code == "repeat":
            x_b1cl = x_b1cl.expand(-1, self.width, -1, -1)
        out: Tensor = self.activation(self.body(x_b1cl))
        return out


class StepEncoder(nn.Module):
    """(B, L, C) to (T, B, C, L): an :class:`Encoder` whose width is time, through a neuron over T."""

    def __init__(self, code: Code, steps: int, neuron: nn.Module) -> None:
        super().__init__()
        self.features = Encoder(code, steps, nn.Identity())
        self.neuron = neuron

    def forward(self, x_blc: Tensor) -> Tensor:
        """Spikes (T, B, C, L)."""
        out: Tensor = self.neuron(self.features(x_blc).transpose(0, 1))
        return out
