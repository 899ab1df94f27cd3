"""Event generators against the loops they replace; run `python -m benchmarks.events`.

One thread, the two forms interleaved, medians, ratios. Nothing is downloaded: the 224 x 224 images
are crops of scikit-image photographs, the digits are scikit-learn's.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import skimage.data
import torch
from sklearn.datasets import load_digits
from spikingjelly.datasets import utils

from harness.contracts.data import Events
from harness.datasets.events.nmnist_small import NmnistSmall
from harness.errors import MissingDataError
from harness.events import binning, odg
from harness.events.readers import read_aedat3
from tests.events import camera_files
from tests.events.reference import odg_loop


def seconds(work: Callable[..., object], *args: object) -> float:
    """Wall seconds of one call."""
    start = time.perf_counter()
    work(*args)
    return time.perf_counter() - start


def photo(seed: int) -> np.ndarray:
    """A 224 x 224 crop of lightness, uint8."""
    image = odg.lightness(skimage.data.astronaut())  # type: ignore[no-untyped-call]
    row, col = np.random.default_rng(seed).integers(0, 512 - 224, 2)
    return image[row : row + 224, col : col + 224]


def odg_against_the_loop(images: int = 5) -> None:
    """ODG of 224 x 224 images: vectorised and one pixel at a time, the same events."""
    loop_s, fast_s = [], []
    for seed in range(images):
        value = photo(seed)
        loop_s.append(seconds(odg_loop, value / 255, odg.WINDOW))
        fast_s.append(statistics.median(seconds(odg.generate, value) for _ in range(5)))
        got = odg.generate(value)
        if (got.pos.tolist(), got.neg.tolist()) != odg_loop(value / 255, odg.WINDOW):
            raise SystemExit("the two forms differ")
    ratio = statistics.median(a / b for a, b in zip(loop_s, fast_s, strict=True))
    print(
        f"odg 224 x 224: loop {statistics.median(loop_s) * 1e3:.0f} ms, vectorised "
        f"{statistics.median(fast_s) * 1e3:.2f} ms, ratio {ratio:.0f} (wanted: at least 20)"
    )


def odg_of_the_digits() -> None:
    """All 1,797 digits, 16 x 16, to frames and to event lists."""
    value = load_digits().images / 16.0
    value = value.repeat(2, axis=1).repeat(2, axis=2)
    frames = statistics.median(seconds(lambda: odg.frames_btchw(value)) for _ in range(5))
    lists = seconds(lambda: [odg.generate(image, odg.SMALL) for image in value])
    print(f"odg of 1,797 digits 16 x 16: frames {frames:.3f} s, lists {lists:.3f} s (wanted: < 1)")


def binning_against_spikingjelly(batch: int = 64, steps: int = 10) -> None:
    """A batch of N-MNIST recordings to frames by count: at once, and one recording at a time."""
    try:
        data = NmnistSmall()
        split = data.split(data.prepare(), "train")
    except MissingDataError as error:
        print(f"binning: skipped, {error}")
        return
    events = split.batch(np.arange(batch)).x
    assert isinstance(events, Events)
    _, height, width = events.shape
    ends = np.cumsum(np.bincount(events.sample.numpy(), minlength=batch))[:-1]
    unit = np.split(events.unit.numpy(), ends)
    time_us = np.split(events.time_us.numpy(), ends)
    recordings = [
        {"t": t, "x": u % width, "y": u // width % height, "p": u // (width * height)}
        for t, u in zip(time_us, unit, strict=True)
    ]

    def theirs() -> np.ndarray:
        args = ("number", steps, height, width)
        frames = [utils.integrate_events_by_fixed_frames_number(r, *args) for r in recordings]
        return np.stack(frames, axis=1)

    ours = binning.by_count(events, steps=steps)
    if not np.array_equal(ours.numpy(), theirs()):
        raise SystemExit("the two binnings differ")
    pairs = [(seconds(theirs), seconds(lambda: binning.by_count(events, steps=steps))) for _ in range(9)]
    ratio = statistics.median(a / b for a, b in pairs)
    loop_ms, fast_ms = (statistics.median(column) * 1e3 for column in zip(*pairs, strict=True))
    print(
        f"binning {batch} recordings to {steps} frames by count: SpikingJelly {loop_ms:.1f} ms, "
        f"ours {fast_ms:.1f} ms, ratio {ratio:.1f}, the same frames"
    )


def aedat3_against_spikingjelly(events: int = 200_000) -> None:
    """Reading DVS128 Gesture's format: whole packets, and one event at a time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.aedat")
        camera_files.write_aedat3(path, camera_files.events(events, 128), packet=4096)
        pairs = [(seconds(utils.load_aedat_v3, path), seconds(read_aedat3, path)) for _ in range(3)]
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"aedat 3.1, {events} events: SpikingJelly / ours = {ratio:.0f}")


def main() -> None:
    """Print every comparison."""
    torch.set_num_threads(1)
    odg_against_the_loop()
    odg_of_the_digits()
    binning_against_spikingjelly()
    aedat3_against_spikingjelly()


if __name__ == "__main__":
    main()
