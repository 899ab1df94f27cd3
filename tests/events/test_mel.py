"""The front ends by their definition, and the empty bands of the released code."""

import math

import numpy as np
import pytest
import torch

from harness.events.mel import AS_CODED, CORRECTED, log_mel, mel_bands


def sound() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(16_000) / 16_000
    tone = torch.sin(2 * math.pi * 440 * time) + 0.3 * torch.sin(2 * math.pi * 3100 * time)
    return 0.1 * torch.stack([tone, torch.randn(16_000, generator=generator)])


def test_53_bands_of_the_released_code_are_constant() -> None:
    empty = mel_bands(AS_CODED).sum(0) == 0
    assert int(empty.sum()) == 53
    assert bool(empty[87:].all())
    frames = log_mel(sound(), AS_CODED)
    assert frames.shape == (2, 101, 140)
    assert bool((frames[..., 87:] == -100.0).all())
    assert AS_CODED.frames(16_000) == 101


def test_the_corrected_front_end_has_no_empty_band() -> None:
    assert bool((mel_bands(CORRECTED).sum(0) > 0).all())
    frames = log_mel(sound(), CORRECTED)
    assert frames.shape == (2, 101, 140)
    assert bool((frames[1].std(0) > 1.0).all())


def test_decibels_of_a_band_by_hand() -> None:
    """One frame of the front end as it is defined: window, power of the spectrum, triangles, decibels."""
    wave = sound()[1:]
    frame = wave[0, 160 * 50 - 512 : 160 * 50 + 512].numpy()
    window = np.zeros(1024)
    window[312:712] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    power = np.abs(np.fft.rfft(frame * window)) ** 2
    hz = np.arange(513) * 16_000 / 1024
    ends = 2595 * np.log10(1 + np.array([50.0, 8000.0]) / 700)
    edges = 700 * (10 ** (np.linspace(*ends, 142) / 2595) - 1)
    for band in (5, 70, 139):
        low, centre, high = edges[band : band + 3]
        triangle = np.clip(np.minimum((hz - low) / (centre - low), (high - hz) / (high - centre)), 0, None)
        wanted = 10 * np.log10(max(float(power @ triangle), 1e-10))
        assert float(log_mel(wave, CORRECTED)[0, 50, band]) == pytest.approx(wanted, abs=2e-3)


def test_halving_the_rate_keeps_a_tone_and_drops_what_lies_above() -> None:
    time = torch.arange(16_000) / 16_000
    for hz, heard in ((440, True), (3100, True), (7000, False)):
        frames = log_mel(0.1 * torch.sin(2 * math.pi * hz * time)[None], AS_CODED)[0, 50, :87]
        assert (float(frames.max()) > 0) is heard
