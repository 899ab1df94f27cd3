"""Event generators against the loops they replace; run `python -m benchmarks.events`.

One thread, the two forms interleaved, medians, ratios. Nothing is downloaded: the 224 x 224 images
are crops of scikit-image photographs, the digits are scikit-learn's.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import skimage.data
import torch
from sklearn.datasets import load_digits

from harness.events import odg
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


def main() -> None:
    """Print every comparison."""
    torch.set_num_threads(1)
    odg_against_the_loop()
    odg_of_the_digits()


if __name__ == "__main__":
    main()
