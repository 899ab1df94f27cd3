"""Sound to spikes as SHD and SSC were made: the cochlea model of PyPI's `lauscher`, extra `[cochlea]`.

Source: Cramer et al. 2022. The model's hair-cell step is unstable below about 19 kHz, and it halves the
rate it is given; sound is therefore always brought to 48 kHz first, whatever its own rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError, MissingDataError

RATE: Final = 48_000
CHANNELS: Final = 700


def to_48_khz(wave: NDArray[np.floating[Any]], rate: int) -> NDArray[np.float64]:
    """A sound (samples,) at 48 kHz, by polyphase filtering. Raises DataError for what is no sound."""
    from scipy.signal import resample_poly

    samples = np.asarray(wave, dtype=np.float64)
    if samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all():
        raise DataError(f"cochlea: a sound of shape {samples.shape}; wanted finite mono samples, one axis.")
    if isinstance(rate, bool) or not 1000 <= rate <= 384_000:
        raise DataError(f"cochlea: a rate of {rate} Hz; allowed are 1000 to 384000.")
    ratio = Fraction(RATE, int(rate))
    if ratio == 1:
        return samples
    up: NDArray[np.float64] = resample_poly(samples, ratio.numerator, ratio.denominator)
    return up


def spikes(
    wave: NDArray[np.floating[Any]], rate: int, *, seed: int, channels: int = CHANNELS, jobs: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Spike times in seconds, sorted, and their units 0..channels-1 (0 hears the highest pitch).

    ``wave`` (samples,) is mono at ``rate`` Hz; ``jobs`` processes work. A second of sound takes minutes.
    Raises MissingDataError without the extra and DataError for what is no sound.
    """
    try:
        from lauscher.audiowaves import MonoAudioWave
        from lauscher.helpers import CommandLineArguments
        from lauscher.transformations.wave2spike import Wave2Spike
    except ImportError:
        raise MissingDataError(
            "cochlea", "the package lauscher", origin="PyPI: pip install 'harness[cochlea]'"
        ) from None
    sound = MonoAudioWave(to_48_khz(wave, rate), RATE)
    CommandLineArguments().num_concurrent_jobs = jobs
    with _seeded(seed):
        train = sound.transform(Wave2Spike(num_channels=channels))
    times = np.asarray(train.spike_times, dtype=np.float64)
    units = np.asarray(train.spike_labels).astype(np.int64)
    order = np.lexsort((units, times))
    return times[order], units[order]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The package draws from numpy's global generator: seed it, and put it back as it was."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
