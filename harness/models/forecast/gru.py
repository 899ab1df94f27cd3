"""A gated recurrent network whose memory is spiking neurons, and its counterpart.

Source: SeqSNN's ISNNGRU2d (arXiv 2402.01533). There the hidden state is a fresh zero at every step, so
the hidden-to-hidden weight never learns; here it is the last output.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.contracts import Neuron
from harness.models.forecast.units import watched
from harness.neurons.kernels.functional import spike
from harness.neurons.kernels.surrogate import Surrogate

_GATE = Surrogate()


class SpikeGRU(nn.Module):
    """Encoded windows (B, F, C, L) to (B, C, 2*hidden): the last output and the mean over L.

    ``last``: the last output alone, (B, C, hidden), as TS-LIF's released code reads.
    Every variate is a sequence of its own. Gates are 0 or 1; the candidate current
    (1 - z) n + z h charges the neuron, whose output is the next h.
    """

    def __init__(self, width: int, hidden: int, neuron: Neuron, *, last: bool = False) -> None:
        super().__init__()
        self.hidden, self.neuron, self.last = hidden, neuron, last
        self.features = hidden if last else 2 * hidden
        self.of_input = nn.Linear(width, 3 * hidden)
        self.of_hidden = nn.Linear(hidden, 3 * hidden)

    def forward(self, x_bfcl: Tensor) -> Tensor:
        """Features (B, C, 2*hidden)."""
        batch, _, variates, _ = x_bfcl.shape
        x_lnf = x_bfcl.permute(3, 0, 2, 1).flatten(1, 2)  # n: batch and variates
        h = torch.zeros(x_lnf.shape[1], self.hidden, dtype=x_lnf.dtype, device=x_lnf.device)
        state = self.neuron.initial_state(h)
        outputs = []
        for given in self.of_input(x_lnf).unbind(0):
            x_rz, x_n = given.split([2 * self.hidden, self.hidden], dim=1)
            h_rz, h_n = self.of_hidden(h).split([2 * self.hidden, self.hidden], dim=1)
            r, z = spike(x_rz + h_rz, 0.0, _GATE).chunk(2, dim=1)
            n = spike(x_n + r * h_n, 0.0, _GATE)
            h, state = self.neuron.step(n + z * (h - n), state)
            outputs.append(h)
        mean = watched(self.neuron, torch.stack(outputs)).mean(0)
        read = h if self.last else torch.cat([h, mean], dim=1)
        return read.view(batch, variates, self.features)


class PlainGRU(nn.Module):
    """The same with torch's GRU."""

    def __init__(self, width: int, hidden: int, *, last: bool = False) -> None:
        super().__init__()
        self.features, self.last = hidden if last else 2 * hidden, last
        self.gru = nn.GRU(width, hidden)

    def forward(self, x_bfcl: Tensor) -> Tensor:
        """Features (B, C, 2*hidden)."""
        batch, _, variates, _ = x_bfcl.shape
        h_lnh = self.gru(x_bfcl.permute(3, 0, 2, 1).flatten(1, 2))[0]
        out = h_lnh[-1] if self.last else torch.cat([h_lnh[-1], h_lnh.mean(0)], dim=1)
        return out.view(batch, variates, self.features)
