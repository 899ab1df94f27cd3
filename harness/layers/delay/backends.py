"""Ways to compute one and the same delayed sum; which is fastest is measured.

Every backend maps x (T, B, I) and a kernel (K, O, I) to

    out[t] = sum_k kernel[k] x[t - (K - 1) + k],   t = 0 .. T' - 1,   x = 0 outside 0 .. T - 1

in (T', B, O), with T' = T + (K - 1) // 2 unless said otherwise. ``decay`` k adds a leaky sum over
time, v[t] = k v[t-1] + out[t]: the membrane of a readout that never fires.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from harness.contracts import choices, timing
from harness.errors import UnknownNameError
from harness.layers.delay import dft

Backend = Literal["auto", "conv1d", "fft", "dft"]
BACKENDS: tuple[str, ...] = get_args(Backend)


def convolve(
    x_tbi: Tensor,
    kernel_koi: Tensor,
    *,
    backend: Backend = "auto",
    steps_out: int | None = None,
    decay: float | None = None,
) -> Tensor:
    """The delayed sum (T', B, O); see the module. Raises UnknownNameError for a backend."""
    taps, steps = len(kernel_koi), len(x_tbi)
    length = steps + (taps - 1) // 2 if steps_out is None else steps_out
    if backend == "auto":
        backend = chosen(x_tbi, kernel_koi, length, decay)
    if backend == "conv1d":
        return leaky_sum(_conv1d(x_tbi, kernel_koi, length), decay)
    with torch.autocast(x_tbi.device.type, enabled=False):
        x_tbi, kernel_koi = x_tbi.float(), kernel_koi.float()
        if backend == "fft":
            return leaky_sum(_fft(x_tbi, kernel_koi, length), decay)
        if backend == "dft":
            return dft.convolve(x_tbi, kernel_koi, length, decay)
    raise UnknownNameError("delay backend", backend, BACKENDS)


def chosen(
    x_tbi: Tensor, kernel_koi: Tensor, length: int, decay: float | None = None, *, whole: bool = False
) -> Backend:
    """The fastest backend for a shape and the gradients that are wanted: :mod:`harness.contracts.choices`.

    Timesteps and batches of about the same size share a choice. ``whole``: the kernel stays as it is.
    """
    (taps, outputs, inputs), (steps, batch) = kernel_koi.shape, x_tbi.shape[:2]
    wanted = timing.wanted(x_tbi, kernel_koi)
    form = "whole delays" if whole else timing.gradients(wanted)
    sizes = f"{choices.bucket(steps)} steps, batch {choices.bucket(batch)}, {inputs}-{outputs}, {taps} taps"
    key = f"delays: {sizes}, {form}{'' if decay is None else ', leaky sum'}"

    def work(name: Backend, size: int) -> timing.Work:
        x, kernel = timing.samples(wanted, x_tbi, (steps, size, inputs), kernel_koi, kernel_koi.shape)
        if whole and name == "dft":
            table = dft.transforms(steps, taps, length, decay, x.device)
            return partial(dft.apply_spectrum, x, dft.kernel_spectrum(kernel, table), table)
        run = partial(convolve, x, kernel, backend=name, steps_out=length, decay=decay)
        return timing.there_and_back(run, x, kernel)

    ways: tuple[Backend, ...] = ("conv1d", "fft", "dft")
    return choices.pick(key, x_tbi, batch, {name: partial(work, name) for name in ways})


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
