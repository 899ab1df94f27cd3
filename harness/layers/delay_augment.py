"""Augmentations of the delay paper's released code, off by default there and here.

Time and channel masks ("TN") and CutMix of neighbours, on dense frames (T, B, C). Every draw comes
from the generator that is passed in.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

PROBABILITY_TN = 0.65
PROBABILITY_CUTMIX = 0.5


def mask_time_and_channels(
    x_tbc: Tensor, generator: torch.Generator, *, most_steps: int, most_channels: int
) -> Tensor:
    """Blank up to ``most_steps`` - 1 steps of 65 % and ``most_channels`` - 1 channels of 65 % of samples.

    Run lengths are uniform from 0, starts uniform where the run fits. Returns a new tensor.
    """
    steps, batch, channels = x_tbc.shape
    keep_t = ~_runs(batch, steps, most_steps, generator)
    keep_c = ~_runs(batch, channels, most_channels, generator)
    keep = keep_t.t().unsqueeze(2) & keep_c.unsqueeze(0)
    return x_tbc * keep.to(x_tbc.device)


def _runs(batch: int, size: int, most: int, generator: torch.Generator) -> Tensor:
    """Masks (B, size) of one run each, empty where the sample was not chosen."""
    chosen = torch.rand(batch, generator=generator) < PROBABILITY_TN
    length = torch.floor(torch.rand(batch, generator=generator) * max(1, min(most, size))).long()
    start = torch.floor(torch.rand(batch, generator=generator) * (size - length + 1)).long()
    at = torch.arange(size).unsqueeze(0)
    run = (at >= start.unsqueeze(1)) & (at < (start + length).unsqueeze(1))
    return run & chosen.unsqueeze(1)


def cutmix(x_tbc: Tensor, y: Tensor, classes: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Replace int(lam T) steps of half the samples by those of the next sample, lam ~ U(0, 1).

    Returns frames (T, B, C) and soft targets (B, classes): (1 - lam) of the own class, lam of the other.
    """
    steps, batch, _ = x_tbc.shape
    chosen = torch.rand(batch, generator=generator) < PROBABILITY_CUTMIX
    lam = torch.rand(batch, generator=generator) * chosen
    length = torch.floor(lam * steps).long()
    start = torch.floor(torch.rand(batch, generator=generator) * (steps - length + 1)).long()
    at = torch.arange(steps).unsqueeze(1)
    swap = ((at >= start) & (at < start + length)).to(x_tbc.device).unsqueeze(2)
    mixed = torch.where(swap, x_tbc.roll(-1, 1), x_tbc)
    target = functional.one_hot(y, classes).float()
    share = lam.to(x_tbc.device).unsqueeze(1)
    return mixed, (1 - share) * target + share * target.roll(-1, 0)
