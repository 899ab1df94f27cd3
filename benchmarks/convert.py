"""The image converter at scale, killed and resumed; run `python -m benchmarks.convert`.

Writes `--images` generated PNG files of 8 to 16 pixels a side, a thousand a class, every 997th of them no
image. Converts them once without interruption; then again in processes that SIGKILL ends at random moments,
`--kills` times, and once to the end. Every file must open, none may be missing or torn, labels and
quarantine must be those of the uninterrupted run. Last, a launch that finds everything done. Nothing is
downloaded; `--folder` keeps the files (delete it by hand), without it they lie in a temporary folder.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from harness.cli.convert import mapper
from harness.events import convert, sources
from harness.events.odg import OdgSettings

WORK = convert.OdgWork(OdgSettings(window=None, min_events=1), longer_side=None)
BAD_EVERY = 997
MILLION = 1_000_000


def make_images(root: Path, count: int) -> None:
    """Noise, so that every image has events; the same ones at every run."""
    rng = np.random.default_rng(0)
    for number in range(count):
        folder = root / f"class{number // 1000:04d}"
        if number % 1000 == 0:
            folder.mkdir(parents=True)
        file = folder / f"{number:07d}.png"
        if number % BAD_EVERY == BAD_EVERY - 1:
            file.write_text("no image")
            continue
        pixels = rng.integers(0, 256, (*rng.integers(8, 17, 2), 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file, compress_level=1)


def child(images: Path, out: Path, workers: int) -> None:
    """What the killed processes run: the converter as the command line calls it, for small images."""
    begun, cpu = time.perf_counter(), time.process_time()
    items = sources.image_items(images)
    listed = time.perf_counter() - begun
    print("listed", flush=True)
    summary = convert.convert(items, WORK, out, mapper=mapper(workers))
    memory = largest_mb()
    wall = time.perf_counter() - begun
    print(
        f"{summary.made} {summary.kept} {summary.bad} {listed:.3f} {wall:.3f} {memory:.0f} "
        f"{time.process_time() - cpu:.3f}"
    )


def largest_mb() -> float:
    """The most memory this process held; getrusage would count its parent's before exec."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


class Run:
    """One launch of the converter in a process of its own."""

    def __init__(self, images: Path, out: Path, workers: int) -> None:
        command = [sys.executable, "-m", "benchmarks.convert", "--child", str(images), str(out)]
        self.process = subprocess.Popen(
            [*command, "--workers", str(workers)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def end(self) -> tuple[int, int, int, list[float]]:
        """Made, kept, bad; seconds of the listing, of all, largest memory in MB, processor seconds."""
        said, _ = self.process.communicate()
        if self.process.returncode:
            raise SystemExit(f"the converter ended with {self.process.returncode}")
        made, kept, bad, *rest = said.splitlines()[-1].split()
        return int(made), int(kept), int(bad), [float(value) for value in rest]

    def kill(self, after_s: float) -> bool:
        """SIGKILL so many seconds after the listing; whether it was still running."""
        assert self.process.stdout is not None
        self.process.stdout.readline()
        try:
            self.process.wait(after_s)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            return True
        return False


def finished(out: Path) -> set[Path]:
    """The files that have their names, without those that were being written."""
    return {path.relative_to(out) for path in out.rglob("*.npz") if not path.name.startswith(".")}


def check(out: Path, whole: Path, new: set[Path]) -> None:
    """Each file opens and is the uninterrupted run's, byte by byte."""
    for path in new:
        with np.load(out / path, allow_pickle=False) as file:
            for name in file.files:
                file[name]
        if (out / path).read_bytes() != (whole / path).read_bytes():
            raise SystemExit(f"{path} differs from the uninterrupted run's")


def measure(root: Path, count: int, kills: int, workers: int, seed: int) -> None:
    """All of it; prints as it goes."""
    images, whole, out = root / "images", root / "whole", root / "out"
    if not images.is_dir():
        make_images(images, count)
    made, _, bad, (listed, wall, memory, cpu) = Run(images, whole, workers).end()
    rate = count / wall
    print(f"uninterrupted: {made} files, {bad} quarantined in {wall:.1f} s, {rate:.0f} a second; ", end="")
    print(f"{cpu:.1f} s of processor time; listing {listed:.2f} s; {memory:.0f} MB", flush=True)
    rng = np.random.default_rng(seed)
    seen: set[Path] = set()
    killed = 0
    for _ in range(kills):
        killed += Run(images, out, workers).kill(float(rng.uniform(0.1, 1.5) * wall / (kills + 1)))
        there = finished(out)
        if not seen <= there:
            raise SystemExit(f"{len(seen - there)} finished files were lost")
        check(out, whole, there - seen)
        seen = there
        print(f"killed ({killed}): {len(there)} finished files, all whole", flush=True)
    made, kept, *_ = Run(images, out, workers).end()
    if kept != len(seen) or finished(out) != finished(whole):
        raise SystemExit("files are missing")
    check(out, whole, finished(out) - seen)
    for name in ("trainlabel.txt", convert.QUARANTINE, convert.SETTINGS):
        if (out / name).read_bytes() != (whole / name).read_bytes():
            raise SystemExit(f"{name} differs from the uninterrupted run's")
    left = [path for path in out.rglob(".*") if path.is_file()]
    if left:
        raise SystemExit(f"{len(left)} half-written files are left, first {left[0]}")
    print(f"resumed: {kept} kept, {made} made; none missing, none torn, the same labels", flush=True)
    *_, (listed, wall, memory, cpu) = Run(images, out, workers).end()
    print(
        f"everything there: {wall:.1f} s, {cpu / count * 1e3:.2f} ms of processor time a file; "
        f"{memory:.0f} MB"
    )
    print(
        f"a million at these rates: {MILLION / rate / 60:.0f} min to convert images this small, "
        f"{MILLION * cpu / count / 60:.1f} min of processor time to find all done, "
        f"{MILLION * listed / count:.0f} s of it to list"
    )


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--workers", type=int, default=1, help="1: one process; more: over Ray")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--child", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(*given.child, given.workers)
        return
    if given.folder is not None:
        measure(given.folder, given.images, given.kills, given.workers, given.seed)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), given.images, given.kills, given.workers, given.seed)


if __name__ == "__main__":
    main()
