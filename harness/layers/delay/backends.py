"""Ways to compute one and the same delayed sum, and the measured rule that chooses.

Every backend maps x (T, B, I) and a kernel (K, O, I) to

    out[t] = sum_k kernel[k] x[t - (K - 1) + k],   t = 0 .. T' - 1,   x = 0 outside 0 .. T - 1

in (T', B, O), with T' = T + (K - 1) // 2 unless said otherwise. ``decay`` k adds a leaky sum over
time, v[t] = k v[t-1] + out[t]: the membrane of a readout that never fires.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from harness.errors import UnknownNameError
from harness.layers.delay import dft
from harness.layers.delay.long_kernel_matmul import fast_matmul

Backend = Literal["auto", "conv1d", "fft", "dft"]
BACKENDS: tuple[str, ...] = get_args(Backend)

CALL_COST = 2_000_000
"""What one small matrix product costs beyond its multiplications, in multiplications (17 us, measured)."""
NARROW = 48
"""Outputs below which conv1d gets no cheaper (256-20 takes 0.37 of the time of 256-256, measured)."""
DFT_RATE = 0.8
"""Rate of the transform's products over that of conv1d forward and backward (measured, at worst)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """The size of one layer's work on one batch."""

    steps: int
    batch: int
    inputs: int
    outputs: int
    taps: int
    device: str = "cpu"

    @property
    def direct(self) -> float:
        """Multiplications of the convolution as written; few outputs cost as many as NARROW."""
        steps_out = self.steps + (self.taps - 1) // 2
        outputs = max(self.outputs, NARROW)
        return float(steps_out) * self.batch * self.inputs * outputs * self.taps

    @property
    def transformed(self) -> float:
        """Multiplications by transform, calls counted in the same unit."""
        n, steps_out = self.steps + self.taps - 1, self.steps + (self.taps - 1) // 2
        products = 1.5 * n * self.batch * self.inputs * self.outputs
        ways = n * self.batch * (self.steps * self.inputs + steps_out * self.outputs)
        return products + ways + n * self.taps * self.inputs * self.outputs + n * CALL_COST


def backend_rule(problem: Problem) -> Backend:
    """The backend for a problem: on CPU ``dft`` where it saves work, else ``conv1d``.

    On a GPU ``conv1d``: cuDNN runs it near peak and the transform was not measured there.
    Measured by ``python benchmarks/delays.py rule``.
    """
    if problem.device != "cpu":
        return "conv1d"
    if not fast_matmul():
        return "fft" if problem.direct > 8 * problem.transformed else "conv1d"
    return "dft" if DFT_RATE * problem.direct > problem.transformed else "conv1d"


def explain(device: str = "cpu") -> tuple[str, ...]:
    """The rule in words and its choice for the paper's layers, one line each."""
    product = "oneDNN" if fast_matmul() else "torch.mm"
    lines = [
        f"delay layers on {device}: matrix products by {product}; 'dft' where its multiplications, "
        f"calls counted as {CALL_COST:.0e} each, are below {DFT_RATE:g} x those of conv1d"
    ]
    for name, taps, sizes in (
        ("shd", 25, ((100, 140, 256), (112, 256, 256), (124, 256, 20))),
        ("ssc/gsc", 31, ((101, 140, 512), (116, 512, 512), (146, 512, 35))),
    ):
        for batch in (256, 64, 8):
            chosen = [
                f"{inputs}-{outputs} " + backend_rule(Problem(steps, batch, inputs, outputs, taps, device))
                for steps, inputs, outputs in sizes
            ]
            lines.append(f"  {name}, batch {batch}: {', '.join(chosen)}")
    return tuple(lines)


def convolve(
    x_tbi: Tensor,
    kernel_koi: Tensor,
    *,
    backend: Backend = "auto",
    steps_out: int | None = None,
    decay: float | None = None,
) -> Tensor:
    """The delayed sum (T', B, O); see the module. Raises UnknownNameError for a backend."""
    taps, outputs, inputs = kernel_koi.shape
    steps, batch = x_tbi.shape[:2]
    length = steps + (taps - 1) // 2 if steps_out is None else steps_out
    if backend == "auto":
        backend = backend_rule(Problem(steps, batch, inputs, outputs, taps, x_tbi.device.type))
    if backend == "conv1d":
        return leaky_sum(_conv1d(x_tbi, kernel_koi, length), decay)
    with torch.autocast(x_tbi.device.type, enabled=False):
        x_tbi, kernel_koi = x_tbi.float(), kernel_koi.float()
        if backend == "fft":
            return leaky_sum(_fft(x_tbi, kernel_koi, length), decay)
        if backend == "dft":
            return dft.convolve(x_tbi, kernel_koi, length, decay)
    raise UnknownNameError("delay backend", backend, BACKENDS)


def _conv1d(x_tbi: Tensor, kernel_koi: Tensor, length: int) -> Tensor:
    taps, steps = len(kernel_koi), len(x_tbi)
    padded = functional.pad(x_tbi.permute(1, 2, 0), (taps - 1, length - steps))
    out = functional.conv1d(padded, kernel_koi.permute(1, 2, 0).contiguous())
    return out.permute(2, 0, 1).contiguous()


def _fft(x_tbi: Tensor, kernel_koi: Tensor, length: int) -> Tensor:
    n = smooth_length(len(x_tbi) + len(kernel_koi) - 1)
    x = torch.fft.rfft(x_tbi, n, dim=0)
    h = torch.fft.rfft(kernel_koi.flip(0), n, dim=0)
    out: Tensor = torch.fft.irfft(torch.bmm(x, h.transpose(1, 2)), n, dim=0)[:length].contiguous()
    return out


def leaky_sum(out_tbo: Tensor, decay: float | None) -> Tensor:
    """v[t] = decay v[t-1] + out[t] over (T, B, O), as one product; the input itself without decay."""
    if decay is None:
        return out_tbo
    steps = len(out_tbo)
    lag = torch.arange(steps, dtype=torch.float64)
    lag = lag.unsqueeze(1) - lag
    matrix = torch.where(lag >= 0, decay ** lag.clamp(min=0), 0.0).to(out_tbo)
    return (matrix @ out_tbo.reshape(steps, -1)).view_as(out_tbo)


def smooth_length(least: int) -> int:
    """The smallest number >= ``least`` with no prime factor above 5."""
    n = max(1, least)
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1


def gather(
    x_tbi: Tensor, weight: Tensor, delay_steps: Tensor, *, steps_out: int | None = None, taps: int
) -> Tensor:
    """The delayed sum of whole delays, by indexing and without any kernel: an independent check.

    ``weight`` and ``delay_steps`` (KC, O, I), delays in 0..K-1. Output o at t reads input i at
    t - delay: T' * B * O * I reads, for small problems. No gradient for the delays.
    """
    steps, batch, inputs = x_tbi.shape
    length = steps + (taps - 1) // 2 if steps_out is None else steps_out
    source = x_tbi.permute(0, 2, 1).reshape(steps * inputs, batch)
    source = torch.cat([source, source.new_zeros(1, batch)])
    t = torch.arange(length, device=x_tbi.device).unsqueeze(1)
    i = torch.arange(inputs, device=x_tbi.device)
    outputs = []
    for o in range(weight.shape[1]):
        total = x_tbi.new_zeros(length, batch)
        for element in range(weight.shape[0]):
            at = t - delay_steps[element, o].long()
            row = torch.where((at >= 0) & (at < steps), at * inputs + i, steps * inputs)
            total = total + torch.einsum("tib,i->tb", source[row], weight[element, o])
        outputs.append(total)
    return torch.stack(outputs, 2)
