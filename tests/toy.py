"""A plug-in for tests: sixteen points, a linear unit, and a parameter that makes trials misbehave."""

from __future__ import annotations

import os
import signal
import time
from typing import Any, Literal

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


class ToyPoints(Dataset):
    """Forty-eight points on a line, two classes."""

    name = "toy-points"

    def card(self) -> DatasetCard:
        """Vectors of two numbers."""
        return DatasetCard("toy-points", "1", "classification", "nc", (2,), (16, 16, 16), classes=2)

    def prepare(self) -> dict[str, Any]:
        """The points."""
        x = np.random.default_rng(0).normal(size=(48, 2)).astype(np.float32)
        return {"x": x, "y": (x.sum(1) > 0).astype(np.int64)}

    def split(self, arrays: Any, name: str) -> ArraySplit:
        """Every third point."""
        start = ("train", "valid", "test").index(name)
        return ArraySplit(arrays["x"], arrays["y"], np.arange(start, 48, 3))


class ToyParams(ParamsModel):
    """What to search, and how to fail."""

    batch_size: int = param(4, "samples a step", low=1)
    lr: float = param(0.1, "learning rate", low=1e-6, high=1e9, log=True)
    width: int = param(2, "hidden units", low=1, high=64)
    mode: Literal["ok", "raise", "nan", "slow", "die", "oom", "hog", "diverge", "silent"] = param(
        "ok", "how trials misbehave"
    )
    marker: str = param("", "a file: 'die' kills its worker only while the file does not exist")
    pause_s: float = param(0.0, "seconds an epoch sleeps", unit="s", low=0.0)
    pretrain_epochs: int = param(0, "epochs of a shared first stage", low=0)


class ToyLearner(Learner):
    """Two layers with dropout, so that every generator matters."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        width = job.params.width
        self.model = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Dropout(0.1), nn.Linear(width, 2))

    def begin(self, stage: Stage) -> None:
        """Adam, whose state must survive."""
        self.stage = stage
        self.optimizers = (torch.optim.Adam(self.model.parameters(), lr=self.job.params.lr),)

    def predict(self, batch: Batch) -> Tensor:
        """Logits (B, 2)."""
        assert isinstance(batch.x, Tensor)
        output: Tensor = self.model(batch.x)
        if self.job.params.mode == "silent":  # the first layer is out of reach
            output = self.model[3](self.model[:3](batch.x).detach())
        diverged = self.job.params.mode == "diverge" and not self.model.training
        return output * float("nan") if diverged else output

    def loss(self, batch: Batch) -> Tensor:
        """Cross entropy, or a misfortune."""
        loss = super().loss(batch)
        return loss * float("nan") if self.job.params.mode == "nan" else loss

    def before_epoch(self, epoch: int) -> None:
        """Misbehave in the second epoch."""
        params = self.job.params
        time.sleep(params.pause_s)
        if epoch != 1 or params.mode in ("ok", "nan", "diverge", "silent"):
            return
        if params.mode == "raise":
            raise RuntimeError("a toy broke")
        if params.mode == "oom":
            raise MemoryError("no room for a toy")
        if params.mode == "slow":
            time.sleep(0.5)
        if params.mode == "hog":
            held = []
            for _ in range(100):  # 10 GB at most
                held.append(bytearray(os.urandom(1 << 20) * 100))
                time.sleep(0.05)
        if params.mode == "die" and not os.path.exists(params.marker):
            with open(params.marker, "w") as file:
                file.write(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)


class Toy(Pipeline):
    """A pipeline that fails on request."""

    name = "toy"
    Params = ToyParams

    def incompatible(self, card: DatasetCard) -> str | None:
        """Vectors only."""
        return None if card.layout == "nc" else "it wants vectors"

    def stages(self, params: Any, epochs: int, seed: int) -> tuple[Stage, ...]:
        """A shared first stage, if asked for, and the training."""
        content = (("width", params.width), ("lr", params.lr), ("seed", seed))
        first = Stage("pretrain", params.pretrain_epochs, artifact=content, pretrain=True)
        return (first, Stage("train", epochs)) if params.pretrain_epochs else (Stage("train", epochs),)

    def learner(self, job: Job) -> Learner:
        """A new network."""
        return ToyLearner(job)

    def published(self, card: DatasetCard) -> dict[str, Any]:
        """A made-up paper's rate."""
        return {"lr": 0.05}
