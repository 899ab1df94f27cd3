"""Eight trials at once on one data set hold one copy of it.

    python benchmarks/memory.py [--mib 200] [--trials 8]

A user's npz of random numbers is trained on by eight workers that touch every sample. The proportional set
size of a page (PSS in /proc/*/smaps) is shared out among the processes that map it: if all hold one copy, the
sum over the workers' mappings of the data is its size, not eight times that. Private bytes of these mappings
are printed as well. Linux only.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from harness.engine.pool import RayEngine
from harness.study import Study
from harness.studyfile.load import load_study
from harness.studyfile.values import ClusterSpec

STUDY = """
name: memory
cells:
  - dataset: {{npz: {npz}, x: x, y: y, split: split, layout: nc}}
    pipelines: [ann]
space:
  optimizer.lr: {{float: [1.0e-3, 1.0e-2], log: true}}
fixed: {{batch_size: 256, timesteps: 1}}
search: {{sampler: random, pruner: none, trials: {trials}, epochs: {epochs}}}
confirm: {{top: 1, seeds: 0}}
final: {{seeds: 1}}
"""


def mappings(pid: int, folder: str) -> dict[str, int]:
    """KiB by kind of the mappings of files below a folder."""
    found = {"Rss": 0, "Pss": 0, "Private_Clean": 0, "Private_Dirty": 0, "Shared_Clean": 0}
    inside = False
    try:
        lines = Path(f"/proc/{pid}/smaps").read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        head = line.split()
        if "-" in head[0] and not head[0].endswith(":"):
            inside = folder in line
        elif inside and head[0].rstrip(":") in found:
            found[head[0].rstrip(":")] += int(head[1])
    return found


def workers(folder: str) -> list[dict[str, int]]:
    """The processes that map files below a folder."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    found = [mappings(pid, folder) for pid in pids if pid != os.getpid()]
    return [sizes for sizes in found if sizes["Rss"] > 0]


def main() -> None:
    """Watch eight workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=200)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=6)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cache = os.environ["HARNESS_CACHE"] = str(Path(folder) / "cache")
        count = args.mib * 2**20 // (4 * 256)
        rng = np.random.default_rng(0)
        x = rng.standard_normal((count, 256), dtype=np.float32)
        split = np.array(["train"] * 8 + ["valid", "test"])[np.arange(count) % 10]
        np.savez(Path(folder) / "x.npz", x=x, y=(x[:, 0] > 0).astype(np.int64), split=split)
        del x
        file = Path(folder) / "memory.yaml"
        file.write_text(STUDY.format(npz=Path(folder) / "x.npz", trials=args.trials, epochs=args.epochs))
        best: list[dict[str, int]] = []
        stop = threading.Event()

        def watch() -> None:
            nonlocal best
            while not stop.wait(0.5):
                now = workers(cache)
                if (len(now), sum(w["Rss"] for w in now)) > (len(best), sum(w["Rss"] for w in best)):
                    best = now

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            with RayEngine(ClusterSpec(cpus=args.trials)) as engine:
                begun = time.perf_counter()
                Study(load_study(file), Path(folder) / "results").run(engine)
        finally:
            stop.set()
            thread.join()
        size = sum(path.stat().st_size for path in Path(cache).rglob("*.npy")) / 2**20
        report(best, size, time.perf_counter() - begun)


def report(found: list[dict[str, int]], size: float, seconds: float) -> None:
    """The sums over workers beside the size of the data."""
    total = {kind: sum(worker[kind] for worker in found) / 1024 for kind in found[0]}
    private = total["Private_Clean"] + total["Private_Dirty"]
    print(f"prepared data {size:.0f} MiB; {len(found)} workers map it at once ({seconds:.0f} s)")
    sums = {
        "resident, as if each had its own": total["Rss"],
        "proportional, what they hold together": total["Pss"],
        "private to one worker": private,
    }
    for name, mib in sums.items():
        print(f"{name:38s} {mib:7.0f} MiB   {mib / size:5.2f} copies")


if __name__ == "__main__":
    main()
