"""Evaluation of one split: metrics over all samples, costs over the first few hundred."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from harness.contracts.data import Batch, DatasetCard, Split
from harness.contracts.pipeline import Learner
from harness.train.feed import stream
from harness.train.metrics import gather, score
from harness.train.probes import Probe

PROBE_SAMPLES = 256
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
    counter = Probe()
    outputs, targets, loss, seen = [], [], 0.0, 0
    learner.model.eval()
    with torch.no_grad(), learner.evaluating():
        for batch in batches(split, size, device):
            if probe and counter.samples < PROBE_SAMPLES:
                with counter.watching(learner.model):
                    output = learner.predict(batch)
                counter.samples += len(batch)
            else:
                output = learner.predict(batch)
            loss += float(learner.criterion(output, batch)) * len(batch)
            seen += len(batch)
            outputs.append(output)
            targets.append(batch.y)
        found = score(card, gather(outputs), gather(targets))
        found["loss"] = loss / seen
        found |= counter.metrics()
        if counter.timesteps:
            found[TIMESTEPS] = float(counter.timesteps)
        found |= learner.extra_metrics(lambda: batches(split, size, device))
    learner.model.train()
    return found
