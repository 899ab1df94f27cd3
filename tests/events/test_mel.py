"""The front ends against torchaudio where it is installed, and the empty bands of the released code."""

import math

import pytest
import torch

from harness.events.mel import AS_CODED, CORRECTED, decimate, log_mel, mel_bands


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


@pytest.mark.filterwarnings("ignore:At least one mel filterbank")
def test_equal_to_torchaudio() -> None:
    transforms = pytest.importorskip("torchaudio.transforms", reason="torchaudio is not installed")
    wave = sound()
    slow = transforms.Resample(16_000, 8_000)(wave)
    torch.testing.assert_close(decimate(wave, 2), slow, atol=1e-6, rtol=0)
    power = transforms.Spectrogram(n_fft=256, hop_length=80, power=2)(slow)
    bands = transforms.MelScale(n_mels=140, sample_rate=8000, f_min=50, f_max=14000, n_stft=129)
    wanted = transforms.AmplitudeToDB()(bands(power)).transpose(1, 2)
    torch.testing.assert_close(log_mel(wave, AS_CODED), wanted, atol=2e-3, rtol=0)
