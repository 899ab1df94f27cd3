"""Leaky integrate-and-fire whose decay is learned, one scalar a layer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from harness.contracts import ParamsModel
from harness.neurons.constants import LeakParams
from harness.neurons.leaky import LeakyNeuron

SMALLEST_TAU = 1.001
"""The logit of a decay of 0 is minus infinity: a learned decay starts at least here."""


def logit_of_decay(tau: float) -> Tensor:
    """w with sigmoid(w) = 1 - 1/tau, which is log(tau - 1)."""
    return torch.tensor(math.log(max(tau, SMALLEST_TAU) - 1.0))


class PLIF(LeakyNeuron):
    """LIF with decay sigmoid(w); ``tau`` is where it starts.

    Source: arXiv 2203.01158 (w = 0.5 at the start, tau 2.6487), SpikingJelly's ParametricLIFNode
    (whose w is minus ours).
    """

    name = "plif"
    Params = LeakParams

    def __init__(self, params: ParamsModel | None = None) -> None:
        super().__init__(params)
        self.w = nn.Parameter(logit_of_decay(self.params.tau))

    def decay(self) -> Tensor:
        """sigmoid(w)."""
        return torch.sigmoid(self.w)
