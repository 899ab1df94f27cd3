"""What learners of networks share: input to sequences, seeds, optimisers, transfer of state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from harness.contracts import Batch, DatasetCard, Job, Learner, Stage
from harness.ids import derive_seed
from harness.models.build import build, input_shape
from harness.models.encoders import time_major
from harness.models.network import Network, NeuronFactory, load, transfer
from harness.pipelines._params import OptimizerParams, ScheduleParams

LAYOUTS = ("nc", "nchw", "ntc", "ntchw", "events")
SEQUENCES = ("ntc", "ntchw")


def misfit(card: DatasetCard) -> str | None:
    """Why networks for classification cannot run on a data set; None if they can."""
    if card.task != "classification":
        return f"it classifies; '{card.name}' is for {card.task}"
    if card.layout not in LAYOUTS:
        return f"it takes layouts {', '.join(LAYOUTS)}; '{card.name}' has {card.layout}"
    return None


class NetworkLearner(Learner):
    """A :class:`Network` in training. Subclasses say in ``begin`` what a stage is.

    Poisson codes draw from a generator of their own, seeded by stage and epoch, and in evaluation
    always from the same one.
    """

    model: Network
    timesteps = 1
    """T of static values and events in this stage."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.params: Any = job.params
        self.generator = torch.Generator(device=job.device)

    def new_network(
        self,
        card: DatasetCard,
        neuron: NeuronFactory,
        *,
        v_threshold: float = 1.0,
        seed: str = "weights",
        shape: tuple[int, ...] | None = None,
    ) -> Network:
        """A network for a data set on the job's device, weights from the job's seed."""
        generator = torch.Generator().manual_seed(derive_seed(self.job.seed, seed))
        network = build(
            self.params.network,
            input_shape(card) if shape is None else shape,
            card.classes,
            neuron,
            v_threshold=v_threshold,
            generator=generator,
        )
        if self.job.device.type == "cpu":  # convolutions of few channels are a sixth faster so
            return network.to(memory_format=torch.channels_last)
        return network.to(self.job.device)

    def restarted(self, fresh: Network, part: str) -> None:
        """Keep a part (encoder, decoder, none) of what was learned; the rest starts as ``fresh``."""
        learned = {key: value.clone() for key, value in self.model.state_dict().items()}
        if part != "none":
            transfer(fresh, learned, part=part)
        self.model.load_state_dict(fresh.state_dict())

    @property
    def card(self) -> DatasetCard:
        """The card of the data that the stage trains on."""
        name = self.stage.dataset
        return self.job.card if name is None else self.job.cards[name]

    def enter(self, stage: Stage, optimizer: OptimizerParams, schedule: ScheduleParams) -> None:
        """Take a stage's name, optimiser and schedule over."""
        self.stage = stage
        self.optimizers = (optimizer.build(self.model.parameters()),)
        self.schedulers = schedule.build(self.optimizers[0], stage.epochs)

    def before_epoch(self, epoch: int) -> None:
        """Seed the encoder for the epoch."""
        self.generator.manual_seed(derive_seed(self.job.seed, "encoder", self.stage.name, epoch))

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Codes drawn from the evaluation's own seed."""
        training = self.generator
        seed = derive_seed(self.job.seed, "encoder", "evaluation")
        self.generator = torch.Generator(device=self.job.device).manual_seed(seed)
        try:
            yield
        finally:
            self.generator = training

    def sequence(self, batch: Batch) -> Tensor:
        """The inputs of a batch, time first: (T, B, ...)."""
        encoder = getattr(self.params, "encoder", None)
        return time_major(
            batch,
            self.timesteps,
            code="direct" if encoder is None else encoder.code,
            split="time" if encoder is None else encoder.split,
            generator=self.generator,
            sequence=self.card.layout in SEQUENCES,
        )

    def predict(self, batch: Batch) -> Tensor:
        """Logits (B, classes)."""
        out: Tensor = self.model(self.sequence(batch), batch.length)
        return out

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore; a network that differs is a MisfitError that lists the differences."""
        load(self.model, state["model"], where=f"saved state of stage '{self.stage.name}'")
        super().load_state_dict(state)
