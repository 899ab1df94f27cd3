"""Log-mel frames of sound: resampling, power spectrum, mel bands, decibels.

The formulas are torchaudio's defaults (Resample, Spectrogram, MelScale, AmplitudeToDB), so that frames
equal those of the delay papers' code; torchaudio itself is not needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

_FLOOR = 1e-10
_LOBES = 6
_ROLLOFF = 0.99


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """``divide`` is the whole factor of down-sampling; ``window`` 0 means as long as ``n_fft``."""

    rate: int
    divide: int
    n_fft: int
    hop: int
    bands: int
    f_min: float
    f_max: float
    window: int = 0

    def frames(self, samples: int) -> int:
        """Frames of a sound of that many samples at the original rate."""
        return math.ceil(samples / self.divide) // self.hop + 1


AS_CODED = FrontEnd(rate=8000, divide=2, n_fft=256, hop=80, bands=140, f_min=50.0, f_max=14_000.0)
"""arXiv 2306.17670's released code: bands 87 to 139 lie above the signal and are empty."""
CORRECTED = FrontEnd(
    rate=16_000, divide=1, n_fft=1024, hop=160, bands=140, f_min=50.0, f_max=8000.0, window=400
)


def log_mel(wave_bs: Tensor, front_end: FrontEnd) -> Tensor:
    """Sounds (B, samples) to decibels of mel bands (B, T, bands), at least -100 dB."""
    wave = decimate(wave_bs, front_end.divide)
    length = front_end.window or front_end.n_fft
    window = torch.hann_window(length, device=wave.device, dtype=wave.dtype)
    spectrum = torch.stft(
        wave,
        front_end.n_fft,
        front_end.hop,
        length,
        window,
        center=True,
        pad_mode="reflect",
        return_complex=True,
    )
    power = spectrum.abs().square()
    mel = torch.matmul(power.transpose(1, 2), mel_bands(front_end).to(wave))
    return 10.0 * torch.log10(mel.clamp(min=_FLOOR))


@lru_cache(maxsize=8)
def mel_bands(front_end: FrontEnd) -> Tensor:
    """Triangles on the HTK mel scale, (n_fft // 2 + 1, bands), not normalised."""
    bins = torch.linspace(0, front_end.rate // 2, front_end.n_fft // 2 + 1)

    def mel(hz: float) -> float:
        return 2595.0 * math.log10(1.0 + hz / 700.0)

    points = torch.linspace(mel(front_end.f_min), mel(front_end.f_max), front_end.bands + 2)
    edges = 700.0 * (10.0 ** (points / 2595.0) - 1.0)
    width = edges[1:] - edges[:-1]
    distance = edges.unsqueeze(0) - bins.unsqueeze(1)
    rising = -distance[:, :-2] / width[:-1]
    falling = distance[:, 2:] / width[1:]
    return torch.minimum(rising, falling).clamp(min=0.0)


def decimate(wave_bs: Tensor, divide: int) -> Tensor:
    """Every ``divide``-th sample after a windowed-sinc low pass (Hann, 6 lobes, roll-off 0.99)."""
    if divide == 1:
        return wave_bs
    cutoff = _ROLLOFF / divide
    reach = math.ceil(_LOBES / cutoff)
    at = torch.arange(-reach, reach + divide, dtype=torch.float64) * cutoff
    at = at.clamp(-_LOBES, _LOBES)
    taps = torch.sinc(at) * torch.cos(at * math.pi / _LOBES / 2) ** 2 * cutoff
    padded = functional.pad(wave_bs, (reach, reach + divide)).unsqueeze(1)
    out = functional.conv1d(padded, taps.to(wave_bs).view(1, 1, -1), stride=divide)
    return out.squeeze(1)[:, : math.ceil(wave_bs.shape[1] / divide)]
