"""What counting operations and spikes costs beside the evaluation that it is part of (bound: 10 %).

    python benchmarks/probe.py            delays, vision and forecasting, an evaluation and its probe

One torch thread; both sides alternate in one process; medians of the thread's own
time, so that what else runs on the machine does not decide. Exit code 1 where the bound is not met.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from harness.contracts import ArraySplit, DatasetCard, Job, Learner
from harness.contracts.registry import pipeline
from harness.layers.malloc import keep_freed_memory
from harness.train.evaluate import costs, evaluate

BOUND = 0.10
SHD = DatasetCard("shd", "1", "classification", "ntc", (100, 140), (8, 4, 4), classes=20)
PHOTOS = DatasetCard("photos", "1", "classification", "nchw", (3, 32, 32), (8, 4, 4), classes=10)
LOAD = DatasetCard("load", "1", "forecasting", "nlc", (96, 7), (8, 4, 4), horizon=24, variates=7)
FAMILIES: Mapping[str, tuple[str, DatasetCard, int, dict[str, Any]]] = {
    "delays": ("delays", SHD, 64, {"network.width": 128}),
    "vision": ("direct", PHOTOS, 64, {"network.name": "resnet", "network.width": 8, "timesteps": 4}),
    "TCN": ("forecast-snn", LOAD, 64, {"net.backbone": "tcn", "net.hidden": 16, "net.channels": 8}),
    "GRU": ("forecast-snn", LOAD, 64, {"net.backbone": "gru", "net.hidden": 32}),
}


def made(name: str, card: DatasetCard, size: int, params: dict[str, Any]) -> Learner:
    kind = pipeline(name)
    values = kind.build_params({"batch_size": size, "neuron.name": "lif", **params})
    return kind().learner(Job(values, card, torch.device("cpu"), 0, 10, 4, {card.name: card}))


def samples(card: DatasetCard, count: int) -> ArraySplit:
    """Spikes at 4 %, or noise; random targets."""
    rng = np.random.default_rng(0)
    if card.layout == "ntc":
        x = (rng.random((count, *card.shape)) < 0.04).astype(np.float32)
    else:
        x = rng.standard_normal((count, *card.shape)).astype(np.float32)
    y: Any = rng.integers(0, max(2, card.classes), count)
    if card.task == "forecasting":
        y = rng.standard_normal((count, card.horizon, card.variates)).astype(np.float32)
    return ArraySplit(x, y, np.arange(count))


def both(
    learner: Learner, card: DatasetCard, split: ArraySplit, size: int, rounds: int
) -> tuple[float, float]:
    """Median seconds of an evaluation without its probe, and of the probe."""
    times: list[list[float]] = [[], []]
    for turn in range(rounds + 1):
        begun = time.thread_time()
        evaluate(learner, split, card, size, probe=False)
        evaluated = time.thread_time()
        learner.model.eval()
        costs(learner, split, size)
        if turn:
            times[0].append(evaluated - begun)
            times[1].append(time.thread_time() - evaluated)
    return statistics.median(times[0]), statistics.median(times[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--samples", type=int, default=1024, help="of the split that is evaluated")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    worst = 0.0
    for family, (name, card, size, params) in FAMILIES.items():
        learner = made(name, card, size, params)
        plain, probe = both(learner, card, samples(card, options.samples), size, options.rounds)
        more = probe / plain
        worst = max(worst, more)
        verdict = "met" if more <= BOUND else "NOT MET"
        print(
            f"{family:8s} evaluation {plain * 1e3:7.1f} ms, its probe {probe * 1e3:6.1f} ms: "
            f"{100 * more:.1f} %, bound {100 * BOUND:.0f} %: {verdict}",
            flush=True,
        )
    sys.exit(worst > BOUND)


if __name__ == "__main__":
    main()
