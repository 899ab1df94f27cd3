"""Evaluation of one split: metrics over all samples, costs over a share of them that is spread evenly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from harness.contracts.data import Batch, DatasetCard, Split
from harness.contracts.pipeline import Learner
from harness.train.feed import stream
from harness.train.metrics import gather, score
from harness.train.probes import Probe

SHARE, LEAST, MOST = 64, 16, 256
"""One sample in ``SHARE`` is probed, at least ``LEAST`` and at most ``MOST``: counting takes three passes,
and that is below a tenth of an evaluation's time from a thousand samples on (``benchmarks/probe.py``)."""
TIMESTEPS = "timesteps"
"""T as simulated; absent where nothing in the network has a state."""


def batches(split: Split, size: int, device: torch.device) -> Iterator[Batch]:
    """The split in order, in batches on the device."""
    parts = [np.arange(start, min(start + size, len(split))) for start in range(0, len(split), size)]
    for batch in stream(split, parts):
        yield batch.to(device)


def evaluate(
    learner: Learner, split: Split, card: DatasetCard, size: int, *, probe: bool = True
) -> dict[str, float]:
    """Metrics of the network in its evaluation form: the task's, ``loss``, and costs a sample.

    The network is left in training mode. Raises ValueError for an empty split.
    """
    if not len(split):
        raise ValueError("an empty split cannot be evaluated")
    device = learner.job.device
    outputs, targets, loss, seen = [], [], 0.0, 0
    learner.model.eval()
    with torch.no_grad(), learner.evaluating():
        for batch in batches(split, size, device):
            output = learner.predict(batch)
            loss += float(learner.criterion(output, batch)) * len(batch)
            seen += len(batch)
            outputs.append(output)
            targets.append(batch.y)
        found = score(card, gather(outputs), gather(targets))
        found["loss"] = loss / seen
        found |= learner.extra_metrics(lambda: batches(split, size, device))
    if probe:
        found |= costs(learner, split, size)
    learner.model.train()
    return found


def probed(count: int) -> NDArray[np.int64]:
    """Which of ``count`` samples costs are measured on: always the same, spread evenly."""
    chosen = min(count, max(LEAST, min(MOST, count // SHARE)))
    return np.arange(chosen) * count // chosen


def costs(learner: Learner, split: Split, size: int) -> dict[str, float]:
    """What a sample costs in the evaluation form, over those of :func:`probed`, in batches of ``size``.

    A pass of its own: what is counted changes no metric. The network is in evaluation mode.
    """
    counter, index = Probe(), probed(len(split))
    with torch.no_grad(), learner.evaluating():
        for start in range(0, len(index), size):
            batch = split.batch(index[start : start + size]).to(learner.job.device)
            with counter.watching(learner.model):
                learner.predict(batch)
            counter.samples += len(batch)
    found = counter.metrics()
    if counter.timesteps:
        found[TIMESTEPS] = float(counter.timesteps)
    return found
