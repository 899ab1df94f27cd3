"""A plug-in for benchmarks: eight numbers and a network of one weight, so that all else shows."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.contracts import (
    ArraySplit,
    Batch,
    Dataset,
    DatasetCard,
    Job,
    Learner,
    ParamsModel,
    Pipeline,
    Stage,
    param,
)


class Eight(Dataset):
    """Eight points on a line, two classes."""

    name = "bench-eight"

    def card(self) -> DatasetCard:
        """Vectors of one number."""
        return DatasetCard("bench-eight", "1", "classification", "nc", (1,), (8, 8, 8), classes=2)

    def prepare(self) -> dict[str, Any]:
        """The points."""
        x = np.linspace(-1, 1, 24, dtype=np.float32)[:, None]
        return {"x": x, "y": (x[:, 0] > 0).astype(np.int64)}

    def split(self, arrays: Any, name: str) -> ArraySplit:
        """Every third point."""
        start = ("train", "valid", "test").index(name)
        return ArraySplit(arrays["x"], arrays["y"], np.arange(start, 24, 3))


class TrivialParams(ParamsModel):
    """Three numbers to search and a pause to imitate work."""

    batch_size: int = param(8, "samples a step", low=1)
    x: float = param(0.0, "a coordinate", low=-10.0, high=10.0)
    y: float = param(0.0, "a coordinate", low=-10.0, high=10.0)
    lr: float = param(0.1, "learning rate", low=1e-6, high=10.0, log=True)
    pause_s: float = param(0.0, "seconds of sleep an epoch", unit="s", low=0.0)


class TrivialLearner(Learner):
    """One linear unit; its accuracy does not matter, its objective is a quadratic of x and y."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.model = nn.Linear(1, 2)

    def begin(self, stage: Stage) -> None:
        """Plain SGD."""
        self.optimizers = (torch.optim.SGD(self.model.parameters(), lr=self.job.params.lr),)

    def predict(self, batch: Batch) -> Tensor:
        """Logits (B, 2)."""
        assert isinstance(batch.x, Tensor)
        return self.model(batch.x)

    def after_epoch(self, epoch: int) -> None:
        """Pretend to train."""
        if self.job.params.pause_s:
            time.sleep(self.job.params.pause_s)

    def epoch_metrics(self) -> dict[str, float]:
        """The quadratic."""
        return {"loss": self.job.params.x**2 + self.job.params.y**2}


class Trivial(Pipeline):
    """The least a trial can do."""

    name = "bench-trivial"
    Params = TrivialParams

    def incompatible(self, card: DatasetCard) -> str | None:
        """Fits the eight points."""
        return None if card.name == "bench-eight" else "it is for bench-eight"

    def stages(self, params: Any, epochs: int, seed: int) -> tuple[Stage, ...]:
        """One stage."""
        return (Stage("train", epochs),)

    def learner(self, job: Job) -> Learner:
        """A new unit."""
        return TrivialLearner(job)
