"""Sound through the cochlea model in small: 48 kHz whatever comes in, seeded, one line for what is wrong."""

import numpy as np
import pytest

from harness.errors import DataError, MissingDataError
from harness.events import cochlea


def tone(rate: int, seconds: float = 0.08, hertz: float = 400.0) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_every_sound_is_brought_to_48_khz(rate: int) -> None:
    wave = cochlea.to_48_khz(tone(rate), rate)
    assert abs(len(wave) - 0.08 * 48_000) <= 2
    middle = slice(1200, 2400)
    wanted = tone(48_000)[middle]
    assert np.abs(wave[middle] - wanted).max() < 0.01


def test_spikes_of_an_8_khz_tone_are_finite_sorted_and_seeded() -> None:
    pytest.importorskip("lauscher", reason="pip install 'harness[cochlea]'")
    state = np.random.get_state()[1][:4].tolist()  # noqa: NPY002
    first = cochlea.spikes(tone(8_000), 8_000, seed=1, channels=7)
    again = cochlea.spikes(tone(8_000), 8_000, seed=1, channels=7)
    other = cochlea.spikes(tone(8_000), 8_000, seed=2, channels=7)
    times, units = first
    assert len(times) >= 5
    assert np.diff(times).min() >= 0
    assert times.max() < 0.1
    assert set(units) <= set(range(7))
    assert times.tolist() == again[0].tolist()
    assert times.tolist() != other[0].tolist()
    assert np.random.get_state()[1][:4].tolist() == state  # noqa: NPY002


@pytest.mark.parametrize(
    ("wave", "rate", "message"),
    [
        (np.zeros((2, 100)), 8_000, r"shape \(2, 100\)"),
        (np.array([np.nan]), 8_000, "finite mono"),
        (np.zeros(0), 8_000, r"shape \(0,\)"),
        (np.zeros(100), 10, "rate of 10 Hz"),
    ],
)
def test_what_is_no_sound(wave: np.ndarray, rate: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        cochlea.to_48_khz(wave, rate)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lauscher.audiowaves", None)
    with pytest.raises(MissingDataError, match=r"harness\[cochlea\]"):
        cochlea.spikes(tone(8_000), 8_000, seed=0)
