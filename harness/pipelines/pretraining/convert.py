"""`convert`: an ANN converted to integrate-and-fire neurons without further training.

What arXiv 2203.01158 argues against: its cost is inference, so accuracy is recorded against
timesteps. Stage ``ann`` trains, stage ``convert`` calibrates thresholds (its one epoch).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.contracts import Batch, DatasetCard, Events, Job, Learner, Pipeline, Split, Stage, param
from harness.models.build import input_shape
from harness.models.converted import Converted, Recipe, as_plain, convert
from harness.models.network import Network
from harness.neurons.analog import ReLU
from harness.pipelines.pretraining._network import NetworkLearner, incompatible
from harness.pipelines.pretraining._params import TrainingParams, flat, passes

ANN, CONVERT = "ann", "convert"


class ConvertParams(TrainingParams):
    """The ANN's training and the conversion."""

    timesteps: int = param(32, "T of the converted network", low=1, high=10_000)
    recipe: Recipe = param(
        "99.9%", "threshold: largest activation, a percentile, or local threshold balancing"
    )
    calibration: int = param(256, "training samples that set the thresholds", low=1, high=1_000_000)
    passes: int = param(
        20,
        "passes over them; balancing approaches its thresholds step by step",
        low=1,
        high=1000,
        when={"recipe": ("balanced",)},
    )


class ConvertLearner(NetworkLearner):
    """A network of rectifiers, then its converted form."""

    model: Any

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.model = self.new_network(job.card, ReLU)

    def begin(self, stage: Stage) -> None:
        """Train the ANN, or take the converted form (calibrated in :meth:`fit`)."""
        if stage.name == ANN:
            self.enter(stage, self.params.optimizer, self.params.schedule)
            return
        self.stage, self.optimizers, self.schedulers = stage, (), ()
        self.timesteps = self.params.timesteps
        self.ann: Network = self.model
        shape = (2, *input_shape(self.job.card))
        self.model = self._converted([torch.ones(shape, device=self.job.device)])

    def _converted(self, calibration: list[Tensor]) -> Converted:
        side = input_shape(self.job.card)[1:]
        plain = as_plain(self.ann.eval(), side)
        return convert(plain.to(self.job.device), calibration, self.params.recipe)

    def fit(self, train: Split) -> bool:
        """Calibrate with the first training samples; nothing is trained."""
        if self.stage.name != CONVERT:
            return False
        batches = []
        count, size = min(len(train), self.params.calibration), self.params.batch_size
        for start in range(0, count, size):
            x = train.batch(np.arange(start, min(start + size, count))).to(self.job.device).x
            if isinstance(x, Events):
                raise AssertionError  # incompatible() refuses events
            batches.append(x)
        with torch.no_grad():
            passes = self.params.passes if self.params.recipe == "balanced" else 1
            self.model = self._converted(batches * passes)
        return True

    def extra_metrics(self, batches: Callable[[], Iterable[Batch]]) -> Mapping[str, float]:
        """``accuracy_t1``, ``accuracy_t2``, ``accuracy_t4``, ...: accuracy after so many steps."""
        if self.stage.name != CONVERT:
            return {}
        at = [2**power for power in range(32) if 2**power <= self.timesteps]
        correct = torch.zeros(len(at), dtype=torch.long)
        count = 0
        with torch.no_grad():
            for batch in batches():
                by_step = self.model.forward_by_step(self.sequence(batch))
                for index, steps in enumerate(at):
                    correct[index] += int((by_step[steps - 1].argmax(1) == batch.y).sum())
                count += len(batch)
        return {f"accuracy_t{steps}": float(c) / count for steps, c in zip(at, correct, strict=True)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore; the converted form has its own keys."""
        if self.stage.name == CONVERT:
            self.model.load_state_dict(state["model"])
        else:
            super().load_state_dict(state)


class Convert(Pipeline):
    """Conversion by SpikingJelly's ann2snn."""

    name = "convert"
    Params = ConvertParams

    def incompatible(self, card: DatasetCard) -> str | None:
        """Static data, which is put in as a constant current."""
        if card.layout not in ("nc", "nchw"):
            return f"it converts networks of static data; '{card.name}' has layout {card.layout}"
        return incompatible(card)

    def stages(self, params: Any, epochs: int, seed: int) -> tuple[Stage, ...]:
        """``epochs`` is the ANN's."""
        content = {
            "kind": "convert ann",
            "seed": seed,
            "batch_size": params.batch_size,
            **passes(params),
            "precision": params.precision,
            "grad_clip": params.grad_clip,
            **flat(params.network, "network."),
            **flat(params.optimizer, "optimizer."),
            **flat(params.schedule, "schedule."),
            **flat(params.augment, "augment."),
        }
        artifact = tuple(sorted(content.items()))
        return (Stage(ANN, epochs, artifact=artifact, pretrain=True), Stage(CONVERT, 1))

    def learner(self, job: Job) -> Learner:
        """A new network."""
        return ConvertLearner(job)
