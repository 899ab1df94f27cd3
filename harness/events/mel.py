"""Log-mel frames of sound, by torchaudio: resampling, power spectrum, mel bands, decibels."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torchaudio import functional

_FLOOR = 1e-10


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
    wave = functional.resample(wave_bs, front_end.divide, 1)
    length = front_end.window or front_end.n_fft
    window = torch.hann_window(length, device=wave.device, dtype=wave.dtype)
    power = functional.spectrogram(
        wave, 0, window, front_end.n_fft, front_end.hop, length, power=2.0, normalized=False
    )
    mel = torch.matmul(power.transpose(1, 2), mel_bands(front_end).to(wave))
    decibels: Tensor = functional.amplitude_to_DB(mel, multiplier=10.0, amin=_FLOOR, db_multiplier=0.0)
    return decibels


@lru_cache(maxsize=8)
def mel_bands(front_end: FrontEnd) -> Tensor:
    """Triangles on the HTK mel scale, (n_fft // 2 + 1, bands), not normalised."""
    bins = front_end.n_fft // 2 + 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of empty bands, which the released code has
        bands: Tensor = functional.melscale_fbanks(
            bins, front_end.f_min, front_end.f_max, front_end.bands, front_end.rate
        )
    return bands
