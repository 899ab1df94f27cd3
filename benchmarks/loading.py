"""Photographs a second into training beside torchvision's own loop; run `python benchmarks/loading.py`.

The same random resized crops of 375 x 500 JPEGs: torchvision's ImageFolder with its transforms in one
process, and `images` read here, by one process and by two, into float tensors. Interleaved; medians.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import datasets, transforms

from harness.contracts.data import View
from harness.datasets.images.imagenet import MEAN, STD
from harness.datasets.own.folders import Images, ImagesOptions
from harness.train.feed import Feed, stream

BATCH, ROUNDS = 32, 5
BOUNDS = {1: 1.3, 2: 1.9}


def photographs(folder: Path, count: int) -> None:
    """Smooth colours with noise: a JPEG of about 100 kB, as those of ImageNet."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:375, 0:500]
    for number in range(count):
        waves = [np.sin(x / (9 + number % 7) + c) + np.cos(y / (7 + number % 5) + c) for c in range(3)]
        tones = np.stack(waves, -1) * 50 + rng.normal(0, 15, (375, 500, 3)) + 128
        path = folder / f"n{number % 4:08d}" / f"{number}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(tones.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def torchvision_loop(folder: Path) -> Callable[[], int]:
    """A pass over the folder as a user writes it."""
    steps = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    steps.append(transforms.Normalize(MEAN.tolist(), STD.tolist()))
    found = datasets.ImageFolder(str(folder), transforms.Compose(steps))

    def run() -> int:
        for start in range(0, len(found), BATCH):
            torch.stack([found[i][0] for i in range(start, min(start + BATCH, len(found)))])
        return len(found)

    return run


def ours(folder: Path, workers: int) -> tuple[Callable[[], int], Feed | None]:
    """A pass over the training split, read by so many processes (0: this one)."""
    data = Images(ImagesOptions(path=str(folder)))
    split = data.split(data.prepare(), "train")
    feed = Feed(split, workers, pin=False) if workers else None
    parts = [np.arange(len(split))[at : at + BATCH] for at in range(0, len(split), BATCH)]

    def run() -> int:
        view = View(seed=1, smallest_area=0.08, flip="horizontal")
        for batch in stream(split if feed is None else feed, parts, view):  # type: ignore[arg-type]
            batch.to(torch.device("cpu"))
        return len(split)

    return run, feed


def rate(run: Callable[[], int], clock: Callable[[], float] = time.perf_counter) -> float:
    """Images a second of one pass, by a clock."""
    begun = clock()
    return run() / (clock() - begun)


def main() -> None:
    """Print rates and ratios; the exit code says whether the bounds are met."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photographs(folder, 1000)
        forms = {workers: ours(folder, workers) for workers in (0, 1, 2)}
        base = torchvision_loop(folder)
        rates: dict[int, list[float]] = {workers: [] for workers in forms}
        rates[-1] = []
        for number in range(ROUNDS + 1):
            found = {-1: rate(base)} | {workers: rate(run) for workers, (run, _) in forms.items()}
            if number:  # the first pass starts the processes and fills the page cache
                for workers, value in found.items():
                    rates[workers].append(value)
        for _, feed in forms.values():
            if feed is not None:
                feed.close()
        cpu = [rate(run, time.process_time) for _ in range(ROUNDS) for run in (base, forms[0][0])]
    theirs, own = statistics.median(cpu[::2]), statistics.median(cpu[1::2])
    print(f"images a CPU second: torchvision {theirs:.0f}, here {own:.0f}, {own / theirs:.2f} x")
    report(rates)


def report(rates: dict[int, list[float]]) -> None:
    """Ratios of interleaved rounds."""
    print(f"torchvision's loop: {statistics.median(rates[-1]):.0f} images a second, {os.cpu_count()} cores")
    met = True
    for workers in (0, 1, 2):
        ratio = statistics.median(a / b for a, b in zip(rates[workers], rates[-1], strict=True))
        bound = BOUNDS.get(workers)
        met &= bound is None or ratio >= bound
        wanted = "" if bound is None else f" (wanted: at least {bound})"
        print(f"{workers} processes: {statistics.median(rates[workers]):.0f} a second, {ratio:.2f} x{wanted}")
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
