"""A small loop over a learner, for tests: real data cards, synthetic samples, no store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from harness.contracts import ArraySplit, Batch, DatasetCard, Job, Learner, Split, Stage
from harness.contracts.registry import pipeline
from harness.ids import derive_seed

CLASSES, COUNT = 3, 24


def card(layout: str, shape: tuple[int, ...], name: str = "toy") -> DatasetCard:
    """The card of a toy set of three classes."""
    return DatasetCard(name, "1", "classification", layout, shape, (COUNT, 8, 8), classes=CLASSES)


IMAGES = card("nchw", (1, 8, 8), "toy-images")
VECTORS = card("nc", (12,), "toy-vectors")
SEQUENCES = card("ntc", (5, 12), "toy-sequences")
FRAMES = card("ntchw", (4, 2, 10, 10), "toy-frames")
VIDEO = card("ntchw", (4, 3, 10, 10), "toy-video")
CARDS = {c.name: c for c in (IMAGES, VECTORS, SEQUENCES, FRAMES, VIDEO)}


def split(of: DatasetCard, count: int = COUNT) -> ArraySplit:
    """Samples of three classes, each its own random pattern with noise."""
    rng = np.random.default_rng(derive_seed("toy", of.name))
    y = np.arange(count) % CLASSES
    patterns = rng.random((CLASSES, *of.shape))
    x = np.clip(patterns[y] + 0.1 * rng.standard_normal((count, *of.shape)), 0, 1)
    return ArraySplit(x.astype(np.float32), y.astype(np.int64), np.arange(count))


class Run:
    """A pipeline with its learner, its stages and its data."""

    def __init__(self, name: str, of: DatasetCard, *, epochs: int = 3, seed: int = 1, **params: Any) -> None:
        kind = pipeline(name)
        self.pipeline = kind()
        self.seed = seed
        self.params = kind.build_params({"batch_size": 8, **small(name), **params})
        self.stages = self.pipeline.stages(self.params, epochs, seed)
        cards = {of.name: of} | {s.dataset: CARDS[s.dataset] for s in self.stages if s.dataset}
        self.splits: Mapping[str, Split] = {name: split(c) for name, c in cards.items()}
        self.own = of.name
        self.job = Job(self.params, of, torch.device("cpu"), seed, epochs, COUNT // 8, cards)
        self.learner: Learner = self.pipeline.learner(self.job)

    def epoch(self, stage: Stage, epoch: int) -> float:
        """One epoch; the mean loss."""
        train = self.splits[stage.dataset or self.own]
        self.learner.before_epoch(epoch)
        total = 0.0
        if not self.learner.fit(train):
            order = np.random.default_rng(derive_seed(self.seed, stage.name, epoch)).permutation(len(train))
            for start in range(0, len(order), 8):
                total += self.step(train.batch(order[start : start + 8]))
        self.learner.after_epoch(epoch)
        return total / len(train)

    def step(self, batch: Batch) -> float:
        """One optimiser step; the summed loss."""
        for optimizer in self.learner.optimizers:
            optimizer.zero_grad()
        loss = self.learner.loss(batch)
        loss.backward()
        for optimizer in self.learner.optimizers:
            optimizer.step()
        self.learner.after_step()
        return loss.item() * len(batch)

    def curve(self) -> list[float]:
        """Losses of all epochs of all stages, with the evaluation's outputs summed."""
        losses = []
        for stage in self.stages:
            self.learner.begin(stage)
            for epoch in range(stage.epochs):
                losses.append(self.epoch(stage, epoch))
                losses.append(float(self.outputs(stage).double().sum()))
        return losses

    def outputs(self, stage: Stage) -> torch.Tensor:
        """Outputs of the stage's samples in evaluation form."""
        data = self.splits[stage.dataset or self.own]
        self.learner.model.eval()
        with torch.no_grad(), self.learner.evaluating():
            out = self.learner.predict(data.batch(np.arange(len(data))))
        self.learner.model.train()
        return out

    def accuracy(self, stage: Stage) -> float:
        """The share of samples that the evaluation form names rightly."""
        data = self.splits[stage.dataset or self.own]
        y = data.batch(np.arange(len(data))).y
        return float((self.outputs(stage).argmax(1) == y).float().mean())


def small(name: str) -> dict[str, Any]:
    """Settings that make a pipeline quick."""
    network = {"network.width": 4, "network.hidden": 16}
    return network | {
        "direct": {"timesteps": 3},
        "pipe-s": {"timesteps": 3, "sharpen.epochs": 2},
        "pipe-d": {"timesteps": 3, "source.epochs": 2, "liaf.epochs": 1},
        "convert": {"timesteps": 8},
    }.get(name, {})
