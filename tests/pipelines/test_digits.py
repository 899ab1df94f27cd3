"""pipe-s on the real digits (docs/papers.md, Miniature on digits), in its shortest form."""

from __future__ import annotations

import numpy as np
import torch

from harness.contracts import Job
from harness.contracts.registry import dataset, pipeline
from harness.train.evaluate import evaluate

SETTINGS = {
    "batch_size": 50,
    "optimizer.name": "sgd",
    "optimizer.lr": 0.1,
    "sharpen.optimizer.lr": 0.1,
    "sharpen.epochs": 12,
    "timesteps": 6,
}


def test_the_first_stage_ends_as_a_spiking_network_and_the_second_starts_from_it() -> None:
    """S1 ends within 15 points of the spiking network; three epochs of S2 go above it."""
    data = dataset("digits")()
    arrays = data.prepare()
    train, valid = data.split(arrays, "train"), data.split(arrays, "valid")
    kind = pipeline("pipe-s")
    params = kind.build_params(SETTINGS)
    learner = kind().learner(Job(params, data.card(), torch.device("cpu"), 1, 3, 12, {}))
    best: dict[str, float] = {}
    for stage in kind().stages(params, 3, 1):
        learner.begin(stage)
        for epoch in range(stage.epochs):
            learner.before_epoch(epoch)
            order = np.random.default_rng(epoch).permutation(len(train))
            for start in range(0, len(order), 50):
                learner.optimizers[0].zero_grad()
                learner.loss(train.batch(order[start : start + 50])).backward()
                learner.optimizers[0].step()
            learner.after_epoch(epoch)
        found = evaluate(learner, valid, data.card(), 100, probe=False)
        best[stage.name] = found["accuracy"]
    assert best["finetune"] > 0.9
    assert best["sharpen"] > best["finetune"] - 0.15
    assert best["finetune"] > best["sharpen"]
